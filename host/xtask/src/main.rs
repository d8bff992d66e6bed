//! `cargo xtask`: builds the packs, runs the tests, and runs what CI runs.
//!
//! Invariant: depends on nothing, not even on the project's own crates, so that it compiles in
//! seconds and can build everything else. It starts programs and reads their output; what they
//! do stays theirs.

#![expect(
    clippy::disallowed_methods,
    reason = "a build tool: starting programs, files, the environment and elapsed time are its work"
)]

mod arguments;
mod bench;
mod capstan;
mod ci;
mod codemap;
mod debian;
mod demo;
mod deny;
mod failure;
mod guest_compiler;
mod languages;
mod packs;
mod phase;
mod test;
mod tree;

use std::process::ExitCode;

use arguments::Task;
use failure::Failure;
use tree::Tree;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match Task::parse(&words).and_then(|task| execute(&task)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            phase::say(&format!("error: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn execute(task: &Task) -> Result<(), Failure> {
    let tree = Tree::of_this_clone()?;
    match task {
        Task::Help => {
            phase::say(arguments::HELP);
            Ok(())
        }
        Task::Packs { compiler } => packs::build(&tree, *compiler).map(drop),
        Task::Demo => demo::run(&tree),
        Task::Bench => bench::run(&tree),
        Task::Codemap => codemap::run(&tree),
        Task::Test(options) => test::run(&tree, options),
        Task::Ci => ci::run(&tree),
    }
}
