//! What can go wrong, as the shells see it.

use std::io;
use std::path::Path;

use base::{Code, Refusal};

use crate::view::PlanView;

/// A problem on its way to a shell, which turns it into text or JSON and an exit code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A coded refusal or failure; its code decides the exit code.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The planfile has errors; they carry their own codes and places.
    #[error("the planfile has {} error(s)", .0.diagnostics.len())]
    Plan(Box<PlanView>),
    /// The command cannot be carried out as it was typed.
    #[error("{message}")]
    Usage {
        /// What is wrong with it.
        message: String,
        /// What to type instead.
        hints: Vec<String>,
    },
    /// The file system or the system said no.
    #[error("{action}: {source}")]
    Io {
        /// What was being done, e.g. "write `trust.toml`".
        action: String,
        /// What the system said.
        source: io::Error,
    },
    /// A state that the program's own rules exclude.
    #[error("{0}")]
    Bug(String),
}

impl Error {
    /// A refusal with this code.
    pub(crate) fn refused(code: Code, message: impl Into<String>) -> Self {
        Self::Refused(Refusal::new(code, message))
    }

    /// A usage error with hints.
    pub(crate) fn usage(message: impl Into<String>, hints: &[&str]) -> Self {
        Self::Usage { message: message.into(), hints: hints.iter().map(ToString::to_string).collect() }
    }

    /// Wraps an I/O error with what was being done to which path.
    pub(crate) fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let action = format!("{verb} `{}`", path.display());
        move |source| Self::Io { action, source }
    }
}

impl From<crate::system::RandomError> for Error {
    fn from(error: crate::system::RandomError) -> Self {
        Self::Io { action: "draw random bytes".to_owned(), source: io::Error::other(error.to_string()) }
    }
}
