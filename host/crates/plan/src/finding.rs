//! Diagnostics while they are collected: places in bytes, no path yet.

use base::Code;

use crate::bounds::DIAGNOSTICS_MAX;
use crate::span::Lines;
use crate::{Diagnostic, Related, Severity, Span};

/// A diagnostic to be.
#[derive(Debug)]
pub(crate) struct Finding {
    code: Code,
    span: Span,
    message: String,
    expected: Option<String>,
    related: Vec<(Span, String)>,
    fix: Option<String>,
}

impl Finding {
    pub(crate) fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        let message = one_line(message.into());
        Self { code, span, message, expected: None, related: Vec::new(), fix: None }
    }

    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    pub(crate) fn related(mut self, span: Span, message: impl Into<String>) -> Self {
        self.related.push((span, one_line(message.into())));
        self
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// Sets the fix if there is one to offer.
    pub(crate) fn maybe_fix(mut self, fix: Option<String>) -> Self {
        self.fix = fix.or(self.fix);
        self
    }
}

/// The findings so far, bounded.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
}

impl Findings {
    pub(crate) fn push(&mut self, finding: Finding) {
        if !self.is_full() {
            self.list.push(finding);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether further findings would be dropped. What is costly to find need not be looked for.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= DIAGNOSTICS_MAX
    }

    /// The diagnostics, in the order of the text; at one place, in the order they were found.
    pub(crate) fn into_diagnostics(mut self, path: &str, lines: &Lines<'_>) -> Vec<Diagnostic> {
        self.list.sort_by_key(|finding| finding.span);
        let diagnostic = |finding: Finding| Diagnostic {
            code: finding.code,
            severity: Severity::Error,
            message: finding.message,
            path: path.to_owned(),
            at: lines.locate(finding.span),
            related: finding
                .related
                .into_iter()
                .map(|(span, message)| Related { message, at: lines.locate(span) })
                .collect(),
            fix: finding.fix.or_else(|| finding.expected.as_deref().map(spelt_out)),
            expected: finding.expected,
        };
        self.list.into_iter().map(diagnostic).collect()
    }
}

/// The fix where there is nothing better to say than what was expected.
pub(crate) fn spelt_out(expected: &str) -> String {
    format!("write {expected}")
}

/// Text of the planfile inside a message: one line of at most 80 characters in backticks.
pub(crate) fn quoted(text: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let short: String = text.chars().take(80).map(visible).collect();
    let more = if text.chars().nth(80).is_some() { "..." } else { "" };
    format!("`{short}{more}`")
}

/// `did you mean ..`, if one of `known` is close to `text`.
pub(crate) fn did_you_mean<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    values::closest(text, known).map(|name| format!("did you mean `{name}`?"))
}

/// Names in messages are the planfile's own and may hold anything; a message is one line.
fn one_line(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}
