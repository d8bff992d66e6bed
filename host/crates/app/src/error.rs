//! What can go wrong, as the shells see it.

use std::io;
use std::path::Path;

use base::{Code, Refusal};

/// A problem on its way to a shell, which turns it into text or JSON and an exit code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A coded refusal or failure; its code decides the exit code.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The planfile has errors; they carry their own codes and places.
    #[error("the planfile has {} error(s)", .0.diagnostics.len())]
    Plan(Box<PlanReport>),
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

/// Diagnostics with the text that they point into.
#[derive(Debug)]
pub struct PlanReport {
    /// Where the planfile is, as the user named it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// What is wrong with it, in order.
    pub diagnostics: Vec<plan::Diagnostic>,
}

impl PlanReport {
    /// Whether nothing is wrong but that grants are missing.
    #[must_use]
    pub fn only_missing_grants(&self) -> bool {
        self.diagnostics.iter().all(|found| found.code.class() == base::CodeClass::Refused)
    }

    /// The report for people, with the lines that it points at.
    #[must_use]
    pub fn text(&self) -> String {
        plan::render_text(&self.diagnostics, &plan::PlanSource { name: &self.name, text: &self.text })
    }

    /// The report for programs, in the form of `plan check`.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let status = if self.only_missing_grants() { "missing-grants" } else { "ill-typed" };
        let diagnostics: Vec<_> = self.diagnostics.iter().map(plan::Diagnostic::to_json).collect();
        serde_json::json!({ "status": status, "digest": null, "diagnostics": diagnostics })
    }
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
