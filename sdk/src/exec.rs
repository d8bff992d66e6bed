//! Programs of the host's machine: capability `exec`.
//!
//! The host decides on every command: its program and its arguments must be granted. No shell reads
//! them. The program can read its root, has no network, and ends with the call.

use std::fmt;

use crate::host::exec;
use crate::host::types::ExecError;

pub use crate::host::exec::{Ending, Outcome, Request};

/// The root that a [`command`] runs in.
const WORKSPACE: &str = "workspace";

/// A command that was not run to its end: of which program, and why.
///
/// `?` turns it into a `String` or into the WIT type `capstan:host/types.exec-error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The program named in the call.
    pub program: String,
    /// What went wrong.
    pub reason: Reason,
}

/// Why a command was not run to its end. One that fails by itself has an [`Outcome`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Outside the pack's authority; the text is the host's and names the grant that is missing.
    Denied(String),
    /// No such program or folder.
    NotFound,
    /// The program's file is not the one that was granted.
    Changed,
    /// The machine cannot confine it, or the file is none that can be run; the text says why.
    Unsupported(String),
    /// It took too long.
    Timeout,
    /// It wrote too much.
    TooLarge,
    /// The operating system failed; the text is its message.
    Io(String),
    /// Read as text, and not UTF-8.
    NotText,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(why) => write!(f, "denied: {why}"),
            Self::NotFound => f.write_str("no such program or folder"),
            Self::Changed => f.write_str("not the program that was granted"),
            Self::Unsupported(why) => write!(f, "unsupported: {why}"),
            Self::Timeout => f.write_str("took too long"),
            Self::TooLarge => f.write_str("wrote too much"),
            Self::Io(why) => write!(f, "input/output error: {why}"),
            Self::NotText => f.write_str("not UTF-8 text"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.program, self.reason)
    }
}

impl std::error::Error for Error {}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.to_string()
    }
}

impl From<ExecError> for Reason {
    fn from(error: ExecError) -> Self {
        match error {
            ExecError::Denied(why) => Self::Denied(why),
            ExecError::NotFound => Self::NotFound,
            ExecError::Changed => Self::Changed,
            ExecError::Unsupported(why) => Self::Unsupported(why),
            ExecError::Timeout => Self::Timeout,
            ExecError::TooLarge => Self::TooLarge,
            ExecError::Io(why) => Self::Io(why),
        }
    }
}

impl From<Error> for ExecError {
    fn from(error: Error) -> Self {
        match error.reason {
            Reason::Denied(why) => Self::Denied(why),
            Reason::NotFound => Self::NotFound,
            Reason::Changed => Self::Changed,
            Reason::Unsupported(why) => Self::Unsupported(why),
            Reason::Timeout => Self::Timeout,
            Reason::TooLarge => Self::TooLarge,
            Reason::Io(why) => Self::Io(why),
            Reason::NotText => Self::Io(Reason::NotText.to_string()),
        }
    }
}

/// A command in the root `workspace`, without variables and input: the start of a [`Request`].
#[must_use]
pub fn command<S: Into<String>>(program: &str, arguments: impl IntoIterator<Item = S>) -> Request {
    Request {
        program: program.to_owned(),
        arguments: arguments.into_iter().map(Into::into).collect(),
        variables: Vec::new(),
        root: WORKSPACE.to_owned(),
        folder: String::new(),
        stdin: Vec::new(),
    }
}

/// Runs a command to its end.
///
/// Source: `capstan:host/exec.run`.
///
/// # Errors
/// If the host refuses, or ends it. A program that fails is an outcome.
pub fn run(request: &Request) -> Result<Outcome, Error> {
    exec::run(request).map_err(|error| Error { program: request.program.clone(), reason: error.into() })
}

/// What `program` wrote, as text.
///
/// # Errors
/// [`Reason::NotText`] if it is not UTF-8.
pub fn text(program: &str, written: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(written).map_err(|_| Error { program: program.to_owned(), reason: Reason::NotText })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_error_survives_the_round_trip_and_says_of_which_program() {
        for (cause, text) in [
            (ExecError::Denied("no grant".into()), "`git`: denied: no grant"),
            (ExecError::NotFound, "`git`: no such program or folder"),
            (ExecError::Changed, "`git`: not the program that was granted"),
            (ExecError::Unsupported("x".into()), "`git`: unsupported: x"),
            (ExecError::Timeout, "`git`: took too long"),
            (ExecError::TooLarge, "`git`: wrote too much"),
            (ExecError::Io("x".into()), "`git`: input/output error: x"),
        ] {
            let error = Error { program: "git".to_owned(), reason: cause.clone().into() };
            assert_eq!(error.to_string(), text);
            assert_eq!(String::from(error.clone()), text);
            assert_eq!(ExecError::from(error), cause);
        }
    }

    #[test]
    fn what_a_program_writes_is_text_or_not() {
        assert_eq!(text("git", b"a".to_vec()).unwrap(), "a");
        assert_eq!(text("git", vec![0xff]).unwrap_err().reason, Reason::NotText);
    }
}
