//! `capstan`: reads the command line, calls the facade, prints.
//!
//! Invariant: no logic that a second shell would want. What a command does is in `app`; this
//! package parses arguments, asks, renders and picks the exit code.

mod cli;
mod exit;
mod failure;
mod settings;
mod ui;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run().into()
}
