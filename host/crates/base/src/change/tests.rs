//! Effect sets: their digest, their JSON.

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

/// Approvals that were given before there were folders and permission bits stay what they are.
#[test]
fn the_digest_of_a_set_of_files_is_what_it_always_was() {
    let set = ChangeSet::new([
        change(ChangeKind::Create, "a"),
        change(ChangeKind::Replace, "b"),
        change(ChangeKind::Delete, "c"),
    ]);
    let expected = "sha256:d98163962743f89c9065e87e65ffcca9ee93ceb76c2ee6137698ed0f2956d38e";
    assert_eq!(set.digest().to_string(), expected);
    let json = serde_json::to_string(&set).unwrap();
    assert!(!json.contains("mode"), "{json}");
    assert_eq!(serde_json::from_str::<ChangeSet>(&json).unwrap(), set);
}

#[test]
fn kind_and_permission_bits_are_approved() {
    let of = |kind, mode| ChangeSet::new([Change { mode, ..change(kind, "a") }]).digest();
    let digests: std::collections::BTreeSet<Digest> = [
        of(ChangeKind::CreateDir, None),
        of(ChangeKind::RemoveDir, None),
        of(ChangeKind::Create, None),
        of(ChangeKind::Create, Some(0o755)),
        of(ChangeKind::Create, Some(0o644)),
    ]
    .into();
    assert_eq!(digests.len(), 5);
}
