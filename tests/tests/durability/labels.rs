//! Every point at which the program can be told to kill itself is swept by some test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tests::repository;

use crate::folders::{MOVE, REMOVE, UNDO_MOVE};
use crate::held::SEND;
use crate::sweep::{APPROVE, INSTALL, PLAN_RUN, RESUME, UNDO};

/// Where each layer's labels are, and what they begin with.
const OWNERS: &[(&str, &str)] = &[
    ("host/crates/journal/src", "journal:"),
    ("host/crates/run/src", "run:"),
    ("host/crates/engine/src/files", "apply:"),
    ("host/crates/pack/src/store.rs", "store:"),
];

#[test]
fn every_label_in_the_sources_is_swept() {
    let mut labels = BTreeSet::new();
    for (path, prefix) in OWNERS {
        let found = literals(&repository().join(path), prefix);
        assert!(!found.is_empty(), "no labels `{prefix}` in `{path}`");
        labels.extend(found);
    }
    let swept = [PLAN_RUN, APPROVE, RESUME, UNDO, INSTALL, MOVE, UNDO_MOVE, REMOVE, SEND].concat();
    let swept: BTreeSet<String> = swept.into_iter().map(str::to_owned).collect();
    assert_eq!(labels, swept, "left: in the sources; right: in `sweep.rs`, `folders.rs` and `held.rs`");
}

/// The string literals in the file or folder that look like a label.
fn literals(path: &Path, prefix: &str) -> BTreeSet<String> {
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("the folder can be read");
        return entries.flatten().flat_map(|entry| literals(&entry.path(), prefix)).collect();
    }
    if path.file_name().is_some_and(|name| name == "tests.rs") {
        return BTreeSet::new();
    }
    let text = fs::read_to_string(path).expect("the source can be read");
    let is_label = |word: &&str| {
        let tail = word.strip_prefix(prefix).unwrap_or_default();
        !tail.is_empty() && tail.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    };
    text.split('"').filter(is_label).map(str::to_owned).collect()
}
