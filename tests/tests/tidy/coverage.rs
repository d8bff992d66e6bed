//! What has to be named in a test: guests, refusal codes, events, exit codes.
//!
//! Named is less than tested, but what is named nowhere is certainly not tested. A name counts in
//! test code and in the files beside it (goldens, scripts); not in the guests, nor in these rules.

use crate::source::is_test_path;
use crate::tree::{Finding, Tree, assert_found_at, assert_none};

const CODES: &str = "host/crates/base/src/code.rs";
const EXITS: &str = "host/src/exit.rs";
const JOURNAL: &str = "host/crates/journal/src/";
const GUESTS: &str = "tests/guests/";
const TIDY: &str = "tests/tests/tidy/";

/// All text in which a name counts.
struct TestText(Vec<String>);

impl TestText {
    fn of(tree: &Tree) -> Self {
        let files = tree.files().filter(|(path, _)| !path.starts_with(GUESTS) && !path.starts_with(TIDY));
        let of_file = |(path, text): (&str, &str)| match tree.source(path) {
            _ if is_test_path(path) => text.to_owned(),
            Some(source) => {
                let lines = source.lines().filter(|(line, _)| source.is_test_line(*line));
                lines.map(|(_, line)| line).collect::<Vec<_>>().join("\n")
            }
            None => String::new(),
        };
        Self(files.map(of_file).filter(|text| !text.is_empty()).collect())
    }

    /// Whether `word` is somewhere, and not as a part of a longer one.
    fn names(&self, word: &str) -> bool {
        self.0.iter().any(|text| has_word(text, word))
    }

    /// Whether some line speaks of exit codes and holds `number`.
    fn names_exit(&self, number: &str) -> bool {
        let speaks = |line: &str| ["exit", "code"].iter().any(|word| line.to_lowercase().contains(word));
        self.0.iter().flat_map(|text| text.lines()).any(|line| speaks(line) && has_word(line, number))
    }
}

fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Guests that no test calls.
fn uncalled_guests(tree: &Tree) -> Vec<Finding> {
    let tests = TestText::of(tree);
    let manifests = tree.files().filter_map(|(path, _)| {
        let name = path.strip_prefix(GUESTS)?.strip_suffix("/Cargo.toml")?;
        Some((path, name.rsplit('/').next().unwrap_or(name)))
    });
    manifests
        .filter(|(_, name)| !tests.names(name) && !tests.names(&name.replace('-', "_")))
        .map(|(path, name)| Finding::new(path, 0, format!("no test names the guest `{name}`")))
        .collect()
}

/// Refusal codes that no test names, by text or as `Code::Variant`.
fn unnamed_codes(tree: &Tree) -> Vec<Finding> {
    let Some(source) = tree.source(CODES) else { return vec![Finding::new(CODES, 0, "is missing")] };
    let tests = TestText::of(tree);
    // The table is a macro call whose rows begin with `Variant = "E-TEXT"`.
    let rows = source.tokens.windows(3).filter_map(|row| match row {
        [variant, equals, text] if equals.text == "=" && text.text.starts_with("\"E-") => {
            Some((variant, text))
        }
        _ => None,
    });
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return vec![Finding::new(CODES, 0, "has no table of codes that this rule can read")];
    }
    rows.filter(|(variant, text)| {
        !tests.names(text.text.trim_matches('"')) && !tests.names(&format!("Code::{}", variant.text))
    })
    .map(|(_, text)| Finding::new(CODES, text.line, format!("no test names {}", text.text)))
    .collect()
}

/// Events of the journal that no test names, as `Event::Variant` or as they are stored.
fn unnamed_events(tree: &Tree) -> Vec<Finding> {
    let journal = tree.sources.iter().filter(|source| source.path.starts_with(JOURNAL));
    let mut events = journal.flat_map(|source| {
        let enums = source.enums.iter().filter(|found| found.name == "Event");
        enums.map(|event| (&source.path, &event.variants))
    });
    let Some((path, variants)) = events.next() else {
        return vec![Finding::new(JOURNAL, 0, "has no `enum Event`")];
    };
    let tests = TestText::of(tree);
    variants
        .iter()
        .filter(|(name, _)| !tests.names(&format!("Event::{name}")) && !tests.names(&snake_case(name)))
        .map(|(name, line)| Finding::new(path, *line, format!("no test names the event `{name}`")))
        .collect()
}

/// Exit codes that no test names, as `Exit::Name` or as a number.
fn unnamed_exits(tree: &Tree) -> Vec<Finding> {
    let Some(source) = tree.source(EXITS) else { return vec![Finding::new(EXITS, 0, "is missing")] };
    let tests = TestText::of(tree);
    // The table is a match whose arms are `Exit::Name => number`.
    let arms = source.tokens.windows(7).filter_map(|arm| {
        let [exit, colon, _, name, equals, arrow, number] = arm else { return None };
        let is_arm = exit.text == "Exit" && colon.text == ":" && equals.text == "=" && arrow.text == ">";
        (is_arm && number.text.parse::<u8>().is_ok()).then_some((name, number))
    });
    let mut arms = arms.peekable();
    if arms.peek().is_none() {
        return vec![Finding::new(EXITS, 0, "has no table of exit codes that this rule can read")];
    }
    arms.filter(|(name, number)| {
        !tests.names(&format!("Exit::{}", name.text)) && !tests.names_exit(&number.text)
    })
    .map(|(name, number)| {
        let what = format!("no test names the exit code {} (`{}`)", number.text, name.text);
        Finding::new(EXITS, number.line, what)
    })
    .collect()
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

#[test]
fn every_guest_is_named_in_a_test() {
    assert_none(&uncalled_guests(Tree::of_this_clone()));
}

#[test]
fn a_guest_that_no_test_names_is_found() {
    let tree = Tree::of(&[
        ("tests/guests/spin/Cargo.toml", ""),
        ("tests/guests/spin-start/Cargo.toml", ""),
        ("tests/guests/many-tables/Cargo.toml", ""),
        ("tests/guests/spin/src/lib.rs", "//! spin"),
        ("tests/tests/limits.rs", "fn a() { guest(\"spin-start\"); guest(many_tables); }"),
    ]);
    assert_found_at(&uncalled_guests(&tree), &["tests/guests/spin/Cargo.toml:0"]);
}

#[test]
fn every_refusal_code_is_named_in_a_test() {
    assert_none(&unnamed_codes(Tree::of_this_clone()));
}

#[test]
fn a_refusal_code_that_no_test_names_is_found() {
    let table = "codes! {\nA = \"E-A\", Refused, \"a\";\nAB = \"E-A-B\", Refused, \"b\";\nC = \"E-C\", Refused, \"c\";\n}";
    let tree = Tree::of(&[
        (CODES, table),
        (
            "host/crates/pack/src/verify.rs",
            "fn a() { Code::A; }\n#[cfg(test)]\nmod tests {\nfn b() { Code::C; }\n}",
        ),
        ("tests/tests/cli/install.snap", "E-A-B: refused"),
    ]);
    assert_found_at(&unnamed_codes(&tree), &["host/crates/base/src/code.rs:2"]);
    assert_eq!(unnamed_codes(&Tree::of(&[(CODES, "")])).len(), 1);
}

#[test]
fn every_event_is_named_in_a_test() {
    assert_none(&unnamed_events(Tree::of_this_clone()));
}

#[test]
fn an_event_that_no_test_names_is_found() {
    let tree = Tree::of(&[
        (
            "host/crates/journal/src/event.rs",
            "pub enum Event {\nRunCreated,\nRunEnded,\nStepFailed { a: u8 },\n}",
        ),
        ("host/crates/journal/src/tests.rs", "fn a() { Event::RunCreated; Event::RunEndedTwice; }"),
        ("tests/tests/events.json", "{\"event\": \"step_failed\"}"),
    ]);
    assert_found_at(&unnamed_events(&tree), &["host/crates/journal/src/event.rs:3"]);
    assert_eq!(unnamed_events(&Tree::of(&[])).len(), 1);
}

#[test]
fn every_exit_code_is_named_in_a_test() {
    assert_none(&unnamed_exits(Tree::of_this_clone()));
}

#[test]
fn an_exit_code_that_no_test_names_is_found() {
    let table = "fn a() { match b {\nExit::Done => 0,\nExit::Waiting => 3,\nExit::Refused => 4,\nExit::Bug => 70,\n} }";
    let tree = Tree::of(&[
        (EXITS, table),
        ("host/src/failure/tests.rs", "fn a() { Exit::Done; }"),
        ("tests/tests/run.rs", "fn a() {\nb.exits(3);\nc(4);\nassert_eq!(d.code, 170);\n}"),
    ]);
    assert_found_at(&unnamed_exits(&tree), &["host/src/exit.rs:4", "host/src/exit.rs:5"]);
    assert_eq!(unnamed_exits(&Tree::of(&[(EXITS, "")])).len(), 1);
}
