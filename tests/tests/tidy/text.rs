//! What no tracked text may contain.

use crate::source::is_test_path;
use crate::tree::{Finding, Tree, assert_found_at, assert_none};

/// Marks of unfinished work. With an owner, `TODO(name)`, they are a promise; without, litter.
const NOTES: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];

/// What a line that is a comment begins with, in the tree's other languages.
const COMMENTS: [&str; 5] = ["//", "#", ";;", "<!--", "--"];

/// Folders of somebody's machine. Split, so that this file is clean itself.
const MACHINE_FOLDERS: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

/// Hosts of package registries: which one a machine asks is that machine's affair.
const REGISTRY_HOSTS: [&str; 6] = [
    concat!("crates", ".io"),
    concat!("py", "pi.org"),
    concat!("python", "hosted.org"),
    concat!("npm", "js."),
    concat!("debian", ".org"),
    concat!("proxy", ".golang.org"),
];

/// The registry that cargo writes into every lock file.
const LOCK_SOURCE: &str = concat!("registry+https://github.com/rust-lang/crates", ".io-index");

/// The files that are held to how we write. What lies beside tests is their input, or recorded
/// output: its oddities may be the point.
fn written(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    let is_ours = |path: &str| {
        let ending = path.rsplit('.').next().unwrap_or(path);
        !is_test_path(path) || ["rs", "toml", "md"].contains(&ending)
    };
    tree.files().filter(move |(path, _)| is_ours(path))
}

/// Notes without an owner.
fn notes(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in written(tree) {
        let source = tree.source(path);
        let text = source.map_or(text, |source| &source.unquoted);
        for (index, line) in text.lines().enumerate() {
            let comment = match source {
                Some(_) => line.find("//").and_then(|at| line.get(at..)),
                None => {
                    Some(line).filter(|line| COMMENTS.iter().any(|mark| line.trim_start().starts_with(mark)))
                }
            };
            if comment.is_some_and(is_ownerless_note) {
                findings.push(Finding::new(path, index + 1, "a note without an owner: `TODO(name): ...`"));
            }
        }
    }
    findings
}

fn is_ownerless_note(comment: &str) -> bool {
    let text = comment.trim_start_matches(|c: char| c.is_whitespace() || "/!#;<-*".contains(c));
    NOTES.iter().any(|note| {
        let Some(rest) = text.strip_prefix(note) else { return false };
        let owner =
            rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map(|(owner, _)| owner.trim());
        let is_word = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        is_word && owner.is_none_or(str::is_empty)
    })
}

/// Lines that end in a blank.
fn trailing_blanks(tree: &Tree) -> Vec<Finding> {
    written(tree)
        .flat_map(|(path, text)| {
            let lines = text.split('\n').enumerate();
            lines
                .filter(|(_, line)| line.ends_with(|c: char| c.is_whitespace()))
                .map(move |(index, _)| Finding::new(path, index + 1, "the line ends in a blank"))
        })
        .collect()
}

/// Paths of a machine, and hosts of registries.
fn machine_traces(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files() {
        for (index, line) in text.lines().enumerate() {
            let is_lock = path.ends_with("Cargo.lock");
            if !is_lock && MACHINE_FOLDERS.iter().any(|folder| has_absolute(line, folder)) {
                findings.push(Finding::new(path, index + 1, "a path of somebody's machine"));
            }
            let names_registry = if is_lock {
                line.strip_prefix("source = ").is_some_and(|source| source.trim_matches('"') != LOCK_SOURCE)
            } else {
                REGISTRY_HOSTS.iter().any(|host| line.contains(host))
            };
            if names_registry {
                findings.push(Finding::new(path, index + 1, "the host of a package registry"));
            }
        }
    }
    findings
}

/// Whether `folder` is in `line` as the beginning of a path, not as a part of one.
fn has_absolute(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        before.is_none_or(|c| c.is_whitespace() || "\"'`(=:,<[".contains(c))
    })
}

#[test]
fn every_note_has_an_owner() {
    assert_none(&notes(Tree::of_this_clone()));
}

#[test]
fn a_note_without_an_owner_is_found() {
    let rust = r##"//! TODO() later
// TODO(ada): later
// TODO: later
const A: &str = "// TODO"; // FIXME
const B: &str = "
// TODO
";
/// TODO notes are found.
/// Finds TODO notes. TODOs too.
fn a() {}
"##;
    let tree = Tree::of(&[("a.rs", rust), ("b.toml", "# XXX\na = 1 # XXX\n")]);
    assert_found_at(&notes(&tree), &["a.rs:1", "a.rs:3", "a.rs:4", "a.rs:8", "b.toml:1"]);
}

#[test]
fn no_line_ends_in_a_blank() {
    assert_none(&trailing_blanks(Tree::of_this_clone()));
}

#[test]
fn a_line_that_ends_in_a_blank_is_found() {
    let text = "a\nb \n\nc\t\nd\r\n";
    let tree = Tree::of(&[("a.md", text), ("tests/b.snap", text)]);
    assert_found_at(&trailing_blanks(&tree), &["a.md:2", "a.md:4", "a.md:5"]);
}

#[test]
fn no_text_shows_where_it_was_written() {
    assert_none(&machine_traces(Tree::of_this_clone()));
}

#[test]
fn a_trace_of_a_machine_is_found() {
    let [work, root, ..] = MACHINE_FOLDERS;
    let [host, ..] = REGISTRY_HOSTS;
    let text = format!("see {work}a\nnet{work}a\n`{root}b`\n$x{root}\nfrom https://index.{host}/\n");
    let lock = format!("source = \"{LOCK_SOURCE}\"\nsource = \"sparse+https://mirror.example/\"\n");
    let tree = Tree::of(&[("Cargo.lock", &lock), ("a.md", &text)]);
    assert_found_at(&machine_traces(&tree), &["Cargo.lock:2", "a.md:1", "a.md:3", "a.md:5"]);
}
