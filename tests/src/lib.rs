//! The tests' view of the program: its binary, a home, a workspace, and what they look like from
//! outside. Nothing here links a layer of the program.

pub mod env;
pub mod golden;

pub use env::{Env, Outcome, finish, isolation_line, program, repository, run_isolated};
