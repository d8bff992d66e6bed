//! What Rust code may not contain.

use crate::source::Source;
use crate::tree::{Finding, Tree, assert_found_at, assert_none};

/// Longest function, in lines, from its `fn` to its closing brace. Tests are not counted.
const FUNCTION_LINES_MAX: usize = 70;

/// The one file with `unsafe` code, and the guests: they run in the sandbox, some to attack it.
const UNSAFE: [&str; 2] = ["host/crates/engine/src/cache.rs", GUESTS];

/// Where the guests are.
const GUESTS: &str = "tests/guests/";

/// The findings of `rule` in every Rust file.
fn in_each(tree: &Tree, rule: impl Fn(&Source) -> Vec<Finding>) -> Vec<Finding> {
    tree.sources.iter().flat_map(rule).collect()
}

/// Functions that are too long.
fn long_functions(source: &Source) -> Vec<Finding> {
    let functions = source.functions.iter().filter(|function| !source.is_test_line(function.line));
    functions
        .filter(|function| function.length > FUNCTION_LINES_MAX)
        .map(|function| {
            let what =
                format!("`{}` has {} lines; at most {FUNCTION_LINES_MAX}", function.name, function.length);
            Finding::new(&source.path, function.line, what)
        })
        .collect()
}

/// A file that does not open by saying what it is for.
fn headless(source: &Source) -> Vec<Finding> {
    let head = source.text.lines().next().and_then(|line| line.strip_prefix("//! "));
    // One word repeats the file's name.
    if head.is_some_and(|head| head.split_whitespace().count() > 1) {
        return Vec::new();
    }
    vec![Finding::new(&source.path, 1, "the first line is not `//! <what the module is for>`")]
}

/// `unsafe`, in whatever position, also inside macros.
fn unsafe_code(source: &Source) -> Vec<Finding> {
    if UNSAFE.iter().any(|path| source.path.starts_with(path)) {
        return Vec::new();
    }
    source
        .find(&["unsafe"])
        .map(|line| Finding::new(&source.path, line, "`unsafe` outside `engine::cache`"))
        .collect()
}

/// Tests that do not run.
fn ignored_tests(source: &Source) -> Vec<Finding> {
    let lines = attribute_lines(source, "ignore");
    lines.map(|line| Finding::new(&source.path, line, "a test is ignored: fix it or remove it")).collect()
}

/// Lints that are silenced for good: `expect` speaks up when its reason is gone.
fn allowed_lints(source: &Source) -> Vec<Finding> {
    let lines = attribute_lines(source, "allow");
    lines.map(|line| Finding::new(&source.path, line, "`allow` instead of `expect` with a reason")).collect()
}

/// Tests that wait for time to pass instead of waiting for what they test. What guests do is tested.
fn sleeping_tests(source: &Source) -> Vec<Finding> {
    if source.path.starts_with(GUESTS) {
        return Vec::new();
    }
    let lines = source.find(&["thread", ":", ":", "sleep"]).filter(|line| source.is_test_line(*line));
    lines
        .map(|line| Finding::new(&source.path, line, "a test sleeps: wait for the condition instead"))
        .collect()
}

/// Where an attribute is `name`, or is `cfg_attr` that holds it.
fn attribute_lines<'a>(source: &'a Source, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let tokens = source.tokens.as_slice();
    (0..tokens.len()).filter_map(move |at| {
        let rest = tokens.get(at..)?;
        let (hash, rest) = rest.split_first()?;
        let rest = rest.strip_prefix_token("!");
        let inside = rest.strip_prefix_token("[");
        if hash.text != "#" || inside.len() == rest.len() {
            return None;
        }
        let first = inside.first()?.text.as_str();
        let end = inside.iter().position(|token| token.text == "]")?;
        let held = || inside.iter().take(end).any(|token| token.text == name);
        (first == name || (first == "cfg_attr" && held())).then_some(hash.line)
    })
}

trait StripToken {
    /// The tokens after `text`, or all of them if they do not begin with it.
    fn strip_prefix_token(&self, text: &str) -> &Self;
}

impl StripToken for [crate::source::Token] {
    fn strip_prefix_token(&self, text: &str) -> &Self {
        match self.split_first() {
            Some((first, rest)) if first.text == text => rest,
            _ => self,
        }
    }
}

#[test]
fn no_function_is_too_long() {
    assert_none(&in_each(Tree::of_this_clone(), long_functions));
}

#[test]
fn a_function_that_is_too_long_is_found() {
    let body = |lines: usize| format!("{{\n{}}}\n", "\n".repeat(lines - 2));
    let (longest, too_long) = (body(FUNCTION_LINES_MAX), body(FUNCTION_LINES_MAX + 1));
    let text =
        format!("fn a() {longest}#[test]\nfn b() {too_long}impl C {{\n/// Doc.\nfn d() {too_long}}}\n");
    let line = FUNCTION_LINES_MAX + 1 + (FUNCTION_LINES_MAX + 1) + 3;
    assert_found_at(&in_each(&Tree::of(&[("a.rs", &text)]), long_functions), &[&format!("a.rs:{line}")]);
    assert_none(&in_each(&Tree::of(&[("tests/a.rs", &text)]), long_functions));
}

#[test]
fn every_module_says_what_it_is_for() {
    assert_none(&in_each(Tree::of_this_clone(), headless));
}

#[test]
fn a_module_without_a_head_is_found() {
    let files = [
        ("a.rs", "//! What it is for.\n"),
        ("b.rs", ""),
        ("c.rs", "//! c\n"),
        ("d.rs", "use a;\n//! Too late here.\n"),
    ];
    // An inner doc comment after an item does not parse.
    assert_found_at(&in_each(&Tree::of(&files[..3]), headless), &["b.rs:1", "c.rs:1"]);
    assert_eq!(Tree::of(&files).unparsed.len(), 1);
}

#[test]
fn unsafe_code_is_in_one_file() {
    assert_none(&in_each(Tree::of_this_clone(), unsafe_code));
}

#[test]
fn unsafe_code_elsewhere_is_found() {
    let text = "// unsafe\n#![forbid(unsafe_code)]\nmacro_rules! a { () => { unsafe { b() } } }\n";
    let tree = Tree::of(&[("host/crates/engine/src/cache.rs", text), ("sdk/src/lib.rs", text)]);
    assert_found_at(&in_each(&tree, unsafe_code), &["sdk/src/lib.rs:3"]);
}

#[test]
fn no_test_is_ignored() {
    assert_none(&in_each(Tree::of_this_clone(), ignored_tests));
}

#[test]
fn an_ignored_test_is_found() {
    let text = "#[test]\n#[ignore = \"slow\"]\nfn a() { ignore(\"#[ignore]\"); }\n#[cfg_attr(windows, ignore)]\nfn b() {}\n";
    assert_found_at(&in_each(&Tree::of(&[("a.rs", text)]), ignored_tests), &["a.rs:2", "a.rs:4"]);
}

#[test]
fn no_lint_is_allowed() {
    assert_none(&in_each(Tree::of_this_clone(), allowed_lints));
}

#[test]
fn an_allowed_lint_is_found() {
    let text = "#![allow(dead_code)]\n#[expect(dead_code, reason = \"allow\")]\nfn allow() {}\n\
                #[cfg_attr(test, allow(unused))]\nfn b() {}\n";
    assert_found_at(&in_each(&Tree::of(&[("a.rs", text)]), allowed_lints), &["a.rs:1", "a.rs:4"]);
}

#[test]
fn no_test_sleeps() {
    assert_none(&in_each(Tree::of_this_clone(), sleeping_tests));
}

#[test]
fn a_sleeping_test_is_found() {
    let text = "fn a() { std::thread::sleep(b) }\n#[test]\nfn c() {\n    thread::sleep(d);\n}\n";
    assert_found_at(&in_each(&Tree::of(&[("a.rs", text)]), sleeping_tests), &["a.rs:4"]);
    assert_found_at(
        &in_each(&Tree::of(&[("a/tests/b.rs", "use std::thread::sleep;")]), sleeping_tests),
        &["a/tests/b.rs:1"],
    );
}
