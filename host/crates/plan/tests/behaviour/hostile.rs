//! Text that nobody would write: nothing panics, and every diagnostic is inside of the text.

use base::Code;
use plan::{Diagnostic, Location, PlanSource, Related, Severity, Span, check, render_text};
use proptest::prelude::*;

use crate::catalog::FakeCatalog;
use crate::{HEAD, check as check_text, codes};

const PIECES: [&str; 64] = [
    "schema: capstan.plan/v1",
    "name: a",
    "packs:",
    "steps:",
    "inputs:",
    "outputs:",
    "budget:",
    "call:",
    "with:",
    "needs:",
    "for-each:",
    "max-parallel: 4",
    "approval:",
    "expires: 1h",
    "type: list<u8>",
    "default:",
    "files/tree.list",
    "files/tree.read",
    "s/canvas.draw",
    "$a",
    "$item",
    "$inputs.x",
    "$a.path",
    "${ len($a) }",
    "${ ",
    "$$",
    "$",
    "a",
    "b",
    "x: ",
    "glob: ",
    "path: ",
    "\n",
    "\n  ",
    "\n    ",
    "- ",
    ": ",
    ", ",
    "{",
    "}",
    "[",
    "]",
    "'",
    "\"",
    "|",
    ">",
    "&x ",
    "*x",
    "!t ",
    "---\n",
    "...\n",
    "# c\n",
    "? ",
    "<<: ",
    "%Y 1\n",
    "\t",
    "\r\n",
    "é",
    "\u{202e}",
    "😀",
    "0x1",
    "1e400",
    "```yaml planfile\n",
    "```\n",
];

fn assert_bounded(name: &str, text: &str) {
    let source = PlanSource { name, text };
    let checked = check(&source, &FakeCatalog { write_granted: false });
    assert_eq!(checked.plan.is_some(), checked.diagnostics.is_empty());
    assert!(checked.diagnostics.is_sorted_by_key(|found| found.at.span));
    for found in &checked.diagnostics {
        let places = found.related.iter().map(|related| related.at).chain([found.at]);
        for at in places {
            assert!(text.get(at.span.start..at.span.end).is_some(), "{at:?} is not in {text:?}");
            assert!(at.line >= 1 && at.column >= 1 && (at.end_line, at.end_column) >= (at.line, at.column));
        }
        assert_eq!(
            found.message.chars().next().filter(|c| c.is_uppercase() && !found.message.contains("YAML")),
            None
        );
        assert!(!found.message.ends_with('.') && found.message.len() < 2_000, "{}", found.message);
    }
    let report = render_text(&checked.diagnostics, &source);
    assert!(!report.contains(['\u{1b}', '\u{202e}', '\r']), "{report:?}");
    assert_eq!(check(&source, &FakeCatalog { write_granted: false }), checked);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        assert_bounded("a.plan.yaml", &text);
        assert_bounded("a.plan.md", &format!("```yaml planfile\n{text}\n```\n"));
    }

    #[test]
    fn any_pieces_of_plans_are_answered(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60)) {
        let text = pieces.concat();
        assert_bounded("a.plan.yaml", &text);
        assert_bounded("a.plan.md", &text);
        assert_bounded("a.plan.yaml", &format!("{HEAD}steps:\n  a: {text}"));
        assert_bounded("a.plan.yaml", &format!("{HEAD}steps:\n  a: {{ call: files/tree.read, with: {{ path: {text} }} }}"));
    }

    #[test]
    fn a_plan_with_one_edit_is_answered(at in any::<prop::sample::Index>(), length in 0_usize..20, piece in prop::sample::select(&PIECES[..])) {
        let plan = include_str!("../ok/codemap.plan.md");
        let boundary = |byte: usize| plan.floor_char_boundary(byte);
        let start = boundary(at.index(plan.len()));
        let end = boundary((start + length).min(plan.len()));
        assert_bounded("a.plan.md", &format!("{}{piece}{}", &plan[..start], &plan[end..]));
    }
}

#[test]
fn deep_and_long_texts_are_answered() {
    for text in [
        "[", "{", "- ", "a: ", "? ", "{a: ", "[{a: ", "'", "&a ", "!a ", "\n- ", "*", "#", "\u{feff}", "|\n",
        "$", "${", "\r",
    ] {
        for count in [64, 1_000, 20_000] {
            assert_bounded("a.plan.yaml", &text.repeat(count));
        }
    }
}

#[test]
fn places_are_the_same_with_either_line_ending() {
    let unix = include_str!("../fail/references.plan.yaml");
    let windows = unix.replace('\n', "\r\n");
    let places = |text: &str| -> Vec<_> {
        let checked = check(&PlanSource { name: "a.yaml", text }, &FakeCatalog { write_granted: true });
        checked
            .diagnostics
            .iter()
            .map(|found| (found.code, found.at.line, found.at.column, found.at.end_column))
            .collect()
    };
    assert!(!places(unix).is_empty());
    assert_eq!(places(unix), places(&windows));
}

#[test]
fn a_finding_about_a_call_stays_inside_of_it() {
    let long = r"\L".repeat(8);
    for call in [format!("\"{long}/a.b\""), format!("\"s/{long}\"")] {
        let text = format!("{HEAD}steps: {{ a: {{ call: {call} }} }}\n");
        let start = text.find(&call).unwrap();
        let span = check_text(&text).diagnostics[0].at.span;
        assert!(start <= span.start && span.end <= start + call.len(), "{call}: {span:?}");
    }
}

#[test]
fn characters_that_hide_or_reorder_text_are_refused() {
    let text = |char: char| {
        codes(&format!("{HEAD}# a{char}budget: {{}}\nsteps: {{ a: {{ call: s/canvas.ping }} }}\n"))
    };
    for char in [
        '\r', '\u{7f}', '\u{85}', '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{2028}', '\u{2029}',
        '\u{2066}', '\u{2069}', '\u{feff}',
    ] {
        assert_eq!(text(char), [Code::PlanSyntax], "{char:?}");
    }
    assert_eq!(text('\t'), []);
    assert_eq!(
        codes(&format!("\u{feff}{HEAD}steps: {{ a: {{ call: s/canvas.ping }} }}\n")),
        [Code::PlanSyntax]
    );
}

#[test]
fn messages_quote_without_control_characters() {
    let checked = check_text(&format!("{HEAD}steps: {{ a: {{ call: \"files/\\e[31m\" }} }}\n"));
    assert!(checked.diagnostics[0].message.contains("\u{fffd}[31m"), "{checked:?}");
}

#[test]
fn no_part_of_a_diagnostic_acts_on_a_terminal() {
    const ACTING: [char; 9] =
        ['\u{1b}', '\u{9b}', '\u{61c}', '\u{200f}', '\u{202e}', '\u{2028}', '\u{2066}', '\u{feff}', '\r'];
    let hostile = || format!("<{}>", String::from_iter(ACTING));
    let at = Location { span: Span { start: 2, end: 1 }, line: 1, column: 1, end_line: 1, end_column: 1 };
    let diagnostic = Diagnostic {
        code: Code::PlanType,
        severity: Severity::Error,
        message: hostile(),
        path: hostile(),
        at,
        expected: Some(hostile()),
        related: vec![Related { message: hostile(), at }],
        fix: Some(hostile()),
    };
    let report = render_text(&[diagnostic], &PlanSource { name: &hostile(), text: &hostile() });
    assert_eq!(report.matches("<?").count(), 6, "{report}");
    assert!(!report.contains(ACTING), "{report:?}");
}
