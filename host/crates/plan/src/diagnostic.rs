//! Findings with their place, what was expected and what to do.

use base::Code;
use serde_json::{Value as Json, json};

use crate::span::Location;

/// How bad a finding is. Every one stops the plan from running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The plan does not run.
    Error,
}

impl Severity {
    /// The name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
        }
    }
}

/// One finding about a planfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable code.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence: lower case, no final period, user text in backticks.
    pub message: String,
    /// The planfile, as it was named.
    pub path: String,
    /// Where it is.
    pub at: Location,
    /// What was expected there.
    pub expected: Option<String>,
    /// Other places that the reader needs.
    pub related: Vec<Related>,
    /// What to do: a command, or what to write.
    pub fix: Option<String>,
}

/// Another place that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// What is there.
    pub message: String,
    /// Where it is.
    pub at: Location,
}

impl Diagnostic {
    /// The form that `plan check --format json` prints.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let related: Vec<Json> = self.related.iter().map(Related::to_json).collect();
        json!({
            "code": self.code.as_str(),
            "severity": self.severity.as_str(),
            "message": self.message,
            "path": self.path,
            "line": self.at.line,
            "column": self.at.column,
            "end_line": self.at.end_line,
            "end_column": self.at.end_column,
            "expected": self.expected,
            "related": related,
            "fix": self.fix,
        })
    }
}

impl Related {
    fn to_json(&self) -> Json {
        json!({
            "message": self.message,
            "line": self.at.line,
            "column": self.at.column,
            "end_line": self.at.end_line,
            "end_column": self.at.end_column,
        })
    }
}
