//! The one error at the edge: what kind it is, what happened, what to do about it.

use std::error::Error as _;

use app::{CodeClass, Error};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::ui;

/// A command that did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    code: Option<&'static str>,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
    /// The report of a checker, which replaces the message where there is one.
    report: Option<(String, Value)>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Malformed,
    Refused,
    Failed,
    Bug,
}

impl Failure {
    /// A command line that cannot be carried out.
    pub(crate) fn usage(message: impl Into<String>, hints: &[&str]) -> Self {
        Self {
            kind: Kind::Malformed,
            code: None,
            message: message.into(),
            causes: Vec::new(),
            hints: hints.iter().map(ToString::to_string).collect(),
            report: None,
        }
    }

    /// The exit code that the kind leads to.
    pub(crate) fn exit(&self) -> Exit {
        match self.kind {
            Kind::Malformed => Exit::Malformed,
            Kind::Refused => Exit::Refused,
            Kind::Failed => Exit::Failed,
            Kind::Bug => Exit::Bug,
        }
    }

    /// The text for people.
    pub(crate) fn text(&self) -> String {
        if let Some((text, _)) = &self.report {
            return text.clone();
        }
        let code = self.code.map(|code| format!("[{code}]")).unwrap_or_default();
        let mut text = format!("error{code}: {}\n", ui::visible(&self.message));
        for (index, cause) in self.causes.iter().enumerate() {
            text += &format!("  {}: {}\n", index + 1, ui::visible(cause));
        }
        for hint in &self.hints {
            text += &format!("hint: {}\n", ui::visible(hint));
        }
        text
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        if let Some((_, json)) = &self.report {
            return json.clone();
        }
        json!({ "error": {
            "code": self.code,
            "message": self.message,
            "causes": self.causes,
            "hints": self.hints,
        }})
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let causes = match &error {
            Error::Refused(_) => Vec::new(),
            other => causes(other),
        };
        let message = match &error {
            Error::Io { action, .. } => format!("cannot {action}"),
            other => other.to_string(),
        };
        let base = Self { kind: Kind::Failed, code: None, message, causes, hints: Vec::new(), report: None };
        match error {
            Error::Refused(refusal) => Self {
                kind: match refusal.code.class() {
                    CodeClass::Malformed => Kind::Malformed,
                    CodeClass::Refused => Kind::Refused,
                    CodeClass::Failed => Kind::Failed,
                },
                code: Some(refusal.code.as_str()),
                hints: refusal.hints,
                ..base
            },
            Error::Plan(report) => Self {
                kind: if report.only_missing_grants() { Kind::Refused } else { Kind::Malformed },
                report: Some((report.text(), report.json())),
                ..base
            },
            Error::Usage { hints, .. } => Self { kind: Kind::Malformed, hints, ..base },
            Error::Io { .. } => base,
            Error::Bug(_) => Self { kind: Kind::Bug, ..base },
        }
    }
}

/// What led to the error, outermost first.
fn causes(error: &Error) -> Vec<String> {
    let mut found = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        found.push(error.to_string());
        cause = error.source();
    }
    found
}
