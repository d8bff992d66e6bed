//! Diagnostics as text, with the lines that they are about.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::finding::spelt_out;
use crate::{Diagnostic, PlanSource, Span};

/// The diagnostics as a report in plain text, each followed by an empty line. `source` is what was
/// checked. Characters that could act on a terminal are replaced.
#[must_use]
pub fn render_text(diagnostics: &[Diagnostic], source: &PlanSource<'_>) -> String {
    let text = inert(source.text);
    let renderer = Renderer::plain();
    let mut report = String::new();
    for diagnostic in diagnostics {
        for line in renderer.render(&[group(diagnostic, source.name, &text)]).lines() {
            report.push_str(line.trim_end());
            report.push('\n');
        }
        report.push('\n');
    }
    report
}

fn group<'a>(diagnostic: &'a Diagnostic, name: &'a str, text: &'a str) -> Group<'a> {
    let label = diagnostic.expected.as_ref().map(|expected| inert(&format!("expected {expected}")));
    let primary = AnnotationKind::Primary.span(range(text, diagnostic.at.span));
    let mut snippet = Snippet::source(text).path(inert(name)).annotation(primary.label(label));
    for related in &diagnostic.related {
        let context = AnnotationKind::Context.span(range(text, related.at.span));
        snippet = snippet.annotation(context.label(inert(&related.message)));
    }
    let title = Level::ERROR.primary_title(inert(&diagnostic.message)).id(diagnostic.code.as_str());
    let group = title.element(snippet);
    // The label says what was expected already.
    let spelt_out = diagnostic.expected.as_deref().map(spelt_out);
    match diagnostic.fix.as_ref().filter(|fix| spelt_out.as_ref() != Some(fix)) {
        Some(fix) => group.element(Level::HELP.with_name("hint").message(inert(fix))),
        None => group,
    }
}

/// The span inside of `text`, on character boundaries.
fn range(text: &str, span: Span) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    start..text.floor_char_boundary(span.end).max(start)
}

/// The text with what could move a cursor, change a colour or turn the direction of writing replaced
/// by as many bytes, so that spans keep their places.
fn inert(text: &str) -> String {
    let replaced = |c: char| match c {
        '\n' | '\t' => c,
        '\r' => ' ',
        c if c.is_control() && c.len_utf8() == 1 => '?',
        c if c.is_control() => '\u{bf}',
        '\u{61c}' => '\u{bf}',
        '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{feff}' => '\u{fffd}',
        c => c,
    };
    text.chars().map(replaced).collect()
}
