//! The operations of `program`: the host's run, with its output as text.

use capstan_sdk::exec;

use crate::Exec;
use crate::exports::capstan::exec::program::{Command, Failure, Finished, Guest, Reason};

impl From<exec::Reason> for Reason {
    fn from(reason: exec::Reason) -> Self {
        match reason {
            exec::Reason::Denied(why) => Self::Denied(why),
            exec::Reason::NotFound => Self::NotFound,
            exec::Reason::Changed => Self::Changed,
            exec::Reason::Unsupported(why) => Self::Unsupported(why),
            exec::Reason::Timeout => Self::Timeout,
            exec::Reason::TooLarge => Self::TooLarge,
            exec::Reason::Io(why) => Self::Io(why),
            // Nothing here reads strictly.
            exec::Reason::NotText => Self::Io(reason.to_string()),
        }
    }
}

impl From<exec::Error> for Failure {
    fn from(error: exec::Error) -> Self {
        Self { program: error.program, reason: error.reason.into() }
    }
}

/// Both outputs as text, and whether anything in them was none.
pub(crate) fn text(stdout: Vec<u8>, stderr: Vec<u8>) -> (String, String, bool) {
    let mut lossy = false;
    let mut read = |bytes: Vec<u8>| {
        String::from_utf8(bytes).unwrap_or_else(|error| {
            lossy = true;
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        })
    };
    let (stdout, stderr) = (read(stdout), read(stderr));
    (stdout, stderr, lossy)
}

fn run(command: Command) -> Result<Finished, Failure> {
    let mut request = exec::command(&command.program, command.arguments);
    request.stdin = command.stdin.unwrap_or_default().into_bytes();
    request.folder = command.folder.unwrap_or_default();
    let outcome = exec::run(&request)?;
    let (code, signal) = match outcome.ending {
        exec::Ending::Exited(code) => (Some(code), None),
        exec::Ending::Signalled(signal) => (None, Some(signal)),
    };
    let (stdout, stderr, lossy) = text(outcome.stdout, outcome.stderr);
    let duration_ms = outcome.duration_ms;
    Ok(Finished { success: code == Some(0), code, signal, stdout, stderr, lossy, duration_ms })
}

impl Guest for Exec {
    fn run(command: Command) -> Result<Finished, Failure> {
        run(command)
    }

    fn run_external(command: Command) -> Result<Finished, Failure> {
        run(command)
    }
}
