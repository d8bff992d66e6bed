//! Order and target of effect sets.

use base::Digest;

use super::*;

fn change(kind: ChangeKind, path: &str) -> Change {
    let digest = |is: bool| is.then(|| Digest::of(path.as_bytes()));
    Change {
        root: "workspace".parse().unwrap(),
        path: path.to_owned(),
        kind,
        pre: digest(matches!(kind, ChangeKind::Replace | ChangeKind::Delete)),
        post: digest(matches!(kind, ChangeKind::Replace | ChangeKind::Create)),
        mode: None,
    }
}

#[test]
fn folders_are_made_first_and_removed_last() {
    let set = ChangeSet::new([
        change(ChangeKind::RemoveDir, "a"),
        change(ChangeKind::Delete, "a/x"),
        change(ChangeKind::RemoveDir, "a/b"),
        change(ChangeKind::Delete, "a/b/y"),
        change(ChangeKind::CreateDir, "c"),
        change(ChangeKind::CreateDir, "c/b"),
        change(ChangeKind::Create, "c/b/y"),
        change(ChangeKind::Create, "c/x"),
        change(ChangeKind::Replace, "z"),
    ]);
    let shown = |set: &ChangeSet| -> Vec<String> {
        in_order(set).iter().map(|change| format!("{} {}", change.kind, change.path)).collect()
    };
    assert_eq!(
        shown(&set),
        [
            "create-dir c",
            "create-dir c/b",
            "create c/b/y",
            "create c/x",
            "replace z",
            "delete a/b/y",
            "delete a/x",
            "remove-dir a/b",
            "remove-dir a"
        ]
    );
    let back = ChangeSet::new(set.changes().iter().map(Change::reversed));
    let order = shown(&back);
    assert_eq!((order[0].as_str(), order[1].as_str()), ("create-dir a", "create-dir a/b"));
    assert_eq!(order.last().map(String::as_str), Some("remove-dir c"));
    assert_eq!(ChangeSet::new(back.changes().iter().map(Change::reversed)), set);
}

#[test]
fn the_target_is_what_all_that_goes_is_in() {
    use ChangeKind::{Create, Delete, RemoveDir, Replace};
    let target_of = |changes: &[(ChangeKind, &str)]| {
        target(&ChangeSet::new(changes.iter().map(|(kind, path)| change(*kind, path))))
    };
    for (changes, expected) in [
        (&[][..], None),
        (&[(Delete, "a/b")], Some("workspace:a/b")),
        (&[(RemoveDir, "a"), (Delete, "a/b"), (Delete, "a/c")], Some("workspace:a")),
        (&[(Delete, "a/b/x"), (Delete, "a/bc/x")], Some("workspace:a")),
        (&[(Delete, "a"), (Delete, "ab")], Some("workspace:")),
        (&[(RemoveDir, "a/b"), (Create, "z"), (Replace, "y")], Some("workspace:a/b")),
        (&[(Create, "z/1"), (Replace, "z/2")], Some("workspace:z")),
    ] {
        assert_eq!(target_of(changes).as_deref(), expected, "{changes:?}");
    }
}
