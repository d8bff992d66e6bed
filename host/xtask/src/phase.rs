//! Progress: one line when a phase starts, one when it ends, with the time that it took.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what a task says to the terminal is said here"
)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::failure::Failure;

/// Prints a line for the person at the terminal.
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// Prints a line that belongs to the task's output.
pub(crate) fn print(line: &str) {
    println!("{line}");
}

/// Runs `work` as a phase.
pub(crate) fn phase<T>(name: &str, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    say(&format!("xtask: {name} ..."));
    let started = Instant::now();
    let result = work();
    let seconds = started.elapsed().as_secs_f64();
    let outcome = if result.is_ok() { "done" } else { "FAILED" };
    say(&format!("xtask: {name}: {outcome} in {seconds:.1} s"));
    result
}

/// Runs `command` as a phase. Its output goes to the terminal.
pub(crate) fn run(name: &str, command: &mut Command) -> Result<(), Failure> {
    phase(name, || {
        let status = command.stdin(Stdio::null()).status().map_err(Failure::cannot(started(command)))?;
        if status.success() { Ok(()) } else { Err(ended(command, &status)) }
    })
}

/// Runs `command` as a phase, and hands each line of its standard output to `line` as it comes.
pub(crate) fn run_lines(
    name: &str,
    command: &mut Command,
    mut line: impl FnMut(&str),
) -> Result<(), Failure> {
    phase(name, || {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(Failure::cannot(started(command)))?;
        if let Some(output) = child.stdout.take() {
            // Tests may print bytes that are not text: read them as such.
            for bytes in BufReader::new(output).split(b'\n') {
                let bytes = bytes.map_err(Failure::cannot(format!("read what {} prints", named(command))))?;
                line(&String::from_utf8_lossy(&bytes));
            }
        }
        let status = child.wait().map_err(Failure::cannot(format!("wait for {}", named(command))))?;
        if status.success() { Ok(()) } else { Err(ended(command, &status)) }
    })
}

/// What `command` prints to standard output. Its errors go to the terminal. Not a phase: for what is quick.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(Failure::cannot(started(command)))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(ended(command, &output.status))
    }
}

/// Whether `command` can be started and succeeds. Prints nothing.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn started(command: &Command) -> String {
    format!("start {}", named(command))
}

fn ended(command: &Command, status: &std::process::ExitStatus) -> Failure {
    Failure::new(format!("{} ended with {status}", named(command)))
}

/// The command as a person would type it.
fn named(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    format!("`{}`", words.join(" "))
}
