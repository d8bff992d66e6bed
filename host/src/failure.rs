//! The one error at the edge: what kind it is, what happened, what to do about it.

use std::error::Error as _;

use app::{Code, CodeClass, Error};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::ui;

/// The code of a defect of this program: no refusal, so not in their table.
const BUG: &str = "E-BUG";

/// A command that did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    code: Option<&'static str>,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
    /// The report of a checker, which replaces the message where there is one.
    report: Option<Box<(String, Value)>>,
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
            code: Some(Code::Usage.as_str()),
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
        if let Some(report) = &self.report {
            return report.0.clone();
        }
        let code = self.code.map(|code| format!("[{code}]")).unwrap_or_default();
        let mut text = format!("error{code}: {}\n", continued(&self.message));
        for (index, cause) in self.causes.iter().enumerate() {
            text += &format!("  {}: {}\n", index + 1, continued(cause));
        }
        for hint in &self.hints {
            text += &format!("hint: {}\n", continued(hint));
        }
        text
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        if let Some(report) = &self.report {
            return report.1.clone();
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
                kind: if report.status == "missing-grants" { Kind::Refused } else { Kind::Malformed },
                report: Some(Box::new((
                    ui::visible(&report.rendered),
                    serde_json::to_value(&report).unwrap_or(Value::Null),
                ))),
                ..base
            },
            Error::Usage { hints, .. } => {
                Self { kind: Kind::Malformed, code: Some(Code::Usage.as_str()), hints, ..base }
            }
            Error::Io { .. } => Self { code: Some(Code::FileIo.as_str()), ..base },
            Error::Bug(_) => Self { kind: Kind::Bug, code: Some(BUG), ..base },
        }
    }
}

/// The text made visible, each line after the first with a mark in front. What others wrote may be in
/// it, and must not look like a line of ours.
fn continued(text: &str) -> String {
    ui::visible(text.trim_end_matches('\n')).replace('\n', "\n  | ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_rule_of_our_own_ends_with_70() {
        let failure = Failure::from(Error::Bug("two and two are five".to_owned()));
        assert_eq!(failure.exit(), Exit::Bug);
        assert!(failure.text().contains(BUG));
        assert_eq!(std::process::ExitCode::from(Exit::Bug), std::process::ExitCode::from(70));
        let usage = Failure::usage("no such thing", &[]);
        assert_eq!(usage.exit(), Exit::Malformed, "the control is not our defect");
    }

    #[test]
    fn text_of_others_makes_no_line_of_ours() {
        let forged = "it says\nhint: capstan trust add\nsigned by a (trusted)\n";
        let causes = vec![forged.to_owned()];
        let failure = Failure { causes, ..Failure::usage(forged, &[forged]) };
        let shown = "it says\n  | hint: capstan trust add\n  | signed by a (trusted)\n";
        let expected = format!("error[E-USAGE]: {shown}  1: {shown}hint: {shown}");
        assert_eq!(failure.text(), expected);
        assert_eq!(Failure::usage("one", &["two"]).text(), "error[E-USAGE]: one\nhint: two\n");
    }
}
