//! The files that the rules look at: those of this clone, or a few in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use crate::source::Source;

/// One breach of a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    /// A finding at `line` of `path`, from 1; 0 is the file as a whole.
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// Text files by path, `/`-separated and relative to the root of the clone.
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
    /// The Rust files among them that parse.
    pub(crate) sources: Vec<Source>,
    /// Those that do not.
    pub(crate) unparsed: Vec<Finding>,
}

impl Tree {
    /// What git tracks in this clone, and what it would track: a new file is held to the rules
    /// before it is added.
    pub(crate) fn of_this_clone() -> &'static Self {
        static TREE: LazyLock<Tree> = LazyLock::new(|| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            let listing = Command::new("git")
                .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
                .current_dir(&root)
                .output()
                .expect("git lists the files");
            assert!(listing.status.success(), "git cannot list the files: {listing:?}");
            let paths = String::from_utf8(listing.stdout).expect("file names are UTF-8");
            let read = |path: &str| {
                // A file that is tracked but deleted has no text, and a binary one no lines.
                let bytes = std::fs::read(root.join(path)).ok()?;
                Some((path.to_owned(), String::from_utf8(bytes).unwrap_or_default()))
            };
            Tree::new(paths.split_terminator('\0').filter_map(read).collect())
        });
        &TREE
    }

    /// The given files, each a path and its text.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self::new(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    fn new(files: BTreeMap<String, String>) -> Self {
        let (mut sources, mut unparsed) = (Vec::new(), Vec::new());
        for (path, text) in files.iter().filter(|(path, _)| is_rust(path)) {
            match Source::parse(path, text) {
                Ok(source) => sources.push(source),
                Err(finding) => unparsed.push(finding),
            }
        }
        Self { files, sources, unparsed }
    }

    /// Every file: its path and its text.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// The parsed Rust file at `path`.
    pub(crate) fn source(&self, path: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.path == path)
    }
}

/// Whether the file at `path` is Rust. One of a template becomes Rust once its names are filled in.
fn is_rust(path: &str) -> bool {
    path.ends_with(".rs") && !path.split('/').any(|folder| folder == "template")
}

/// Fails with every finding, one a line.
#[track_caller]
pub(crate) fn assert_none(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} findings:\n{}", lines.len(), lines.join("\n"));
}

/// Fails unless the findings are at exactly these places, `path:line`.
#[track_caller]
pub(crate) fn assert_found_at(findings: &[Finding], places: &[&str]) {
    let found: Vec<String> =
        findings.iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect();
    assert_eq!(found, places, "{findings:#?}");
}

#[test]
fn every_rust_file_parses() {
    assert_none(&Tree::of_this_clone().unparsed);
}

#[test]
fn a_rust_file_that_does_not_parse_is_found() {
    let tree =
        Tree::of(&[("a.rs", "fn good() {}"), ("b.rs", "\nfn bad( {}"), ("template/c.rs", "use {{name}}")]);
    assert_found_at(&tree.unparsed, &["b.rs:2"]);
}
