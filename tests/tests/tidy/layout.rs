//! Where files are, what they are called, how long they are.

use std::collections::BTreeSet;

use crate::tree::{Finding, Tree, assert_found_at, assert_none};

/// The visible top level. The rest are dot files.
const TOP_LEVEL: [&str; 10] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "host",
    "packs",
    "sdk",
    "tests",
    "wit",
];

/// Names of drawers: whatever they hold belongs beside the type that it serves. And the old name
/// of a module's file, which makes ten tabs in an editor look the same.
const DRAWERS: [&str; 11] = [
    "common",
    "commons",
    "helper",
    "helpers",
    "manager",
    "managers",
    "misc",
    "mod",
    "util",
    "utils",
    "utilities",
];

/// Longest file, in lines. Tests are not counted.
const FILE_LINES_MAX: usize = 800;

/// Largest size of `base`, in lines of code: blank lines, comments and tests are not counted. A
/// vocabulary that grows beyond this has acquired behaviour.
const BASE_LINES_MAX: usize = 1_000;

/// What is at the visible top level and should not be, or is not and should be.
fn top_level(tree: &Tree) -> Vec<Finding> {
    let found: BTreeSet<&str> =
        tree.files().map(|(path, _)| path.split('/').next().unwrap_or(path)).collect();
    let visible: BTreeSet<&str> = found.into_iter().filter(|name| !name.starts_with('.')).collect();
    let expected = BTreeSet::from(TOP_LEVEL);
    let extra =
        visible.difference(&expected).map(|name| Finding::new(name, 0, "does not belong to the top level"));
    let missing =
        expected.difference(&visible).map(|name| Finding::new(name, 0, "is missing from the top level"));
    extra.chain(missing).collect()
}

/// Files and folders with a drawer's name.
fn drawers(tree: &Tree) -> Vec<Finding> {
    let is_drawer = |part: &str| DRAWERS.contains(&part.split('.').next().unwrap_or(part));
    let paths = tree.files().map(|(path, _)| path);
    paths
        .filter(|path| path.split('/').any(is_drawer))
        .map(|path| Finding::new(path, 0, "the name says nothing about what is inside"))
        .collect()
}

/// Rust files that are too long.
fn long_files(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        let lines = source.lines().filter(|(line, _)| !source.is_test_line(*line)).count();
        if lines > FILE_LINES_MAX {
            let what = format!("{lines} lines without tests; at most {FILE_LINES_MAX}");
            findings.push(Finding::new(&source.path, 0, what));
        }
    }
    findings
}

/// `base`, if it is too large.
fn base_size(tree: &Tree) -> Option<Finding> {
    let base = "host/crates/base/src/";
    let mut lines = 0;
    for source in tree.sources.iter().filter(|source| source.path.starts_with(base)) {
        lines += source
            .lines()
            .filter(|(line, _)| !source.is_test_line(*line))
            .filter(|(_, text)| !text.trim().is_empty() && !text.trim_start().starts_with("//"))
            .count();
    }
    let what = || format!("{lines} lines of code; fewer than {BASE_LINES_MAX}");
    (lines >= BASE_LINES_MAX).then(|| Finding::new(base, 0, what()))
}

#[test]
fn the_top_level_is_closed() {
    assert_none(&top_level(Tree::of_this_clone()));
}

#[test]
fn a_change_of_the_top_level_is_found() {
    let with = |extra: &[&'static str]| -> Vec<(&'static str, &'static str)> {
        TOP_LEVEL.iter().chain(extra).map(|path| (*path, "")).collect()
    };
    assert_none(&top_level(&Tree::of(&with(&[".ci/run", "host"]))));
    assert_found_at(&top_level(&Tree::of(&with(&["docs/intro.md"]))), &["docs:0"]);
    assert_found_at(&top_level(&Tree::of(&with(&[])[1..])), &["Cargo.lock:0"]);
}

#[test]
fn no_file_is_a_drawer() {
    assert_none(&drawers(Tree::of_this_clone()));
}

#[test]
fn a_drawer_is_found() {
    let paths = [
        "host/src/ui.rs",
        "host/src/utility_bill.rs",
        "host/src/utils.rs",
        "host/x/mod.rs",
        "tests/common/a.rs",
    ];
    let files = paths.map(|path| (path, ""));
    assert_found_at(
        &drawers(&Tree::of(&files)),
        &["host/src/utils.rs:0", "host/x/mod.rs:0", "tests/common/a.rs:0"],
    );
}

#[test]
fn no_file_is_too_long() {
    assert_none(&long_files(Tree::of_this_clone()));
}

#[test]
fn a_file_that_is_too_long_is_found() {
    let longest = "\n".repeat(FILE_LINES_MAX);
    let with_tests = format!("{longest}#[cfg(test)] // counts\nmod tests {{\n}}\n");
    let with_tests = with_tests.replacen('\n', "", 1);
    let too_long = format!("{longest}\n");
    let tree = Tree::of(&[
        ("a.rs", &longest),
        ("b.rs", &with_tests),
        ("c.rs", &too_long),
        ("tests/d.rs", &too_long),
    ]);
    assert_found_at(&long_files(&tree), &["c.rs:0"]);
}

#[test]
fn base_is_small() {
    assert_none(base_size(Tree::of_this_clone()).as_slice());
}

#[test]
fn a_base_that_is_too_large_is_found() {
    let one_less = "use a;\n".repeat(BASE_LINES_MAX - 1);
    let path = "host/crates/base/src/id.rs";
    let padded = format!("//! Head.\n\n{one_less}// why\n#[cfg(test)] mod tests {{ }}\n");
    assert_none(base_size(&Tree::of(&[(path, &padded)])).as_slice());
    let two_files = [(path, one_less.as_str()), ("host/crates/base/src/name.rs", "use a;")];
    assert_found_at(base_size(&Tree::of(&two_files)).as_slice(), &["host/crates/base/src/:0"]);
}
