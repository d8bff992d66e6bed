//! A coded refusal: what was refused, why, and what to type next.

use std::fmt;

use crate::Code;

/// A refusal or failure with its stable code. Lower layers return it where the reader's next
/// step depends on the reason; the shell prints it and picks the exit code from the code's class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// One sentence: lower case, no final period, user text in backticks.
    pub message: String,
    /// Commands or advice, each usable as it stands.
    pub hints: Vec<String>,
}

impl Refusal {
    /// A refusal without hints.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hints: Vec::new() }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}
