//! The overlay: what a call sees of its own changes, and what is left of them.

#![expect(clippy::disallowed_methods, reason = "the tests make and change folders of their own")]

use base::{ChangeKind, Limits};
use tempfile::TempDir;

use super::*;
use crate::trap::Stop;
use crate::{CancelToken, Trap};

fn overlay(folder: &TempDir, writable: bool) -> (Overlay, RootName, Budget) {
    let name: RootName = "workspace".parse().unwrap();
    let roots = Roots::open([(name.clone(), folder.path().to_owned())]).unwrap();
    (Overlay::new(Arc::new(roots), writable), name, Budget::new(Limits::DEFAULT, CancelToken::default()))
}

#[test]
fn a_write_is_staged_against_what_the_guest_read_and_not_what_came_after() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("file"), "seen").unwrap();
    std::fs::write(folder.path().join("moved"), "seen").unwrap();
    let (mut overlay, root, mut budget) = overlay(&folder, true);
    overlay.read(&root, "file", &mut budget).unwrap();
    overlay.read(&root, "moved", &mut budget).unwrap();
    assert!(matches!(overlay.read(&root, "absent", &mut budget), Err(FileError::NotFound)));
    std::fs::write(folder.path().join("file"), "edited meanwhile").unwrap();
    std::fs::write(folder.path().join("moved"), "edited meanwhile").unwrap();
    std::fs::write(folder.path().join("absent"), "created meanwhile").unwrap();
    std::fs::write(folder.path().join("unread"), "never read").unwrap();
    for path in ["file", "absent", "unread"] {
        overlay.write(&root, path, b"new".to_vec(), &mut budget).unwrap();
    }
    overlay.rename(&root, "moved", "there", &|_, _, _| Ok(()), &mut budget).unwrap();
    let is_gone = matches!(overlay.read(&root, "there", &mut budget), Err(FileError::Io(_)));
    assert!(is_gone, "what is read is what is moved, or nothing");
    let (changes, _) = overlay.finish();
    let staged: Vec<_> = changes.changes().iter().map(|change| (change.path.as_str(), change.pre)).collect();
    let seen = Some(Digest::of(b"seen"));
    let expected = [
        ("absent", None),
        ("file", seen),
        ("moved", seen),
        ("there", None),
        ("unread", Some(Digest::of(b"never read"))),
    ];
    assert_eq!(staged, expected);
    assert_eq!(changes.changes()[3].post, seen);
}

#[test]
fn what_is_written_and_taken_back_is_no_change() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("old"), "old").unwrap();
    let (mut overlay, root, mut budget) = overlay(&folder, true);
    overlay.write(&root, "new", b"x".to_vec(), &mut budget).unwrap();
    overlay.remove(&root, "new", &mut budget).unwrap();
    assert!(matches!(overlay.remove(&root, "new", &mut budget), Err(FileError::NotFound)));
    overlay.remove(&root, "old", &mut budget).unwrap();
    overlay.write(&root, "old", b"old".to_vec(), &mut budget).unwrap();
    let (changes, blobs) = overlay.finish();
    assert!(changes.is_empty() && blobs.is_empty());
}

#[test]
fn one_call_stages_a_bounded_number_of_files() {
    let folder = TempDir::new().unwrap();
    let (mut overlay, root, mut budget) = overlay(&folder, true);
    for number in 0..Limits::DEFAULT.files {
        overlay.write(&root, &number.to_string(), Vec::new(), &mut budget).unwrap();
    }
    let over = overlay.write(&root, "over", Vec::new(), &mut budget);
    assert!(matches!(over, Err(FileError::Stopped(Stop::Trap(Trap::Files)))));
}

/// A folder `d` with files and a folder in it, and a file `f`.
fn folders() -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir_all(folder.path().join("d/sub")).unwrap();
    for path in ["f", "d/a", "d/sub/b"] {
        std::fs::write(folder.path().join(path), path).unwrap();
    }
    folder
}

fn shown(changes: &ChangeSet) -> Vec<String> {
    changes.changes().iter().map(|change| format!("{} {}", change.kind, change.path)).collect()
}

#[test]
fn a_moved_folder_is_seen_at_its_new_place_and_staged_as_its_files() {
    let folder = folders();
    let (mut overlay, root, mut budget) = overlay(&folder, true);
    overlay.write(&root, "d/new", b"written".to_vec(), &mut budget).unwrap();
    overlay.remove(&root, "d/a", &mut budget).unwrap();
    overlay.rename(&root, "d", "e", &|_, _, _| Ok(()), &mut budget).unwrap();
    assert!(matches!(overlay.stat(&root, "d", &mut budget), Err(FileError::NotFound)));
    assert!(matches!(overlay.stat(&root, "d/sub", &mut budget), Err(FileError::NotFound)));
    assert!(matches!(overlay.stat(&root, "e/sub", &mut budget), Ok((Kind::Directory, 0))));
    assert_eq!(overlay.read(&root, "e/sub/b", &mut budget).unwrap(), b"d/sub/b");
    assert_eq!(overlay.read(&root, "e/new", &mut budget).unwrap(), b"written");
    assert!(matches!(overlay.read(&root, "e/a", &mut budget), Err(FileError::NotFound)));
    assert!(matches!(overlay.write(&root, "d/x", Vec::new(), &mut budget), Err(FileError::NotFound)));
    overlay.write(&root, "e/sub/c", b"there".to_vec(), &mut budget).unwrap();
    let (changes, blobs) = overlay.finish();
    let expected = [
        "remove-dir d",
        "delete d/a",
        "remove-dir d/sub",
        "delete d/sub/b",
        "create-dir e",
        "create e/new",
        "create-dir e/sub",
        "create e/sub/b",
        "create e/sub/c",
    ];
    assert_eq!(shown(&changes), expected);
    let held: Vec<&[u8]> = blobs.values().map(Vec::as_slice).collect();
    assert!(held.len() == 2 && held.contains(&b"written".as_slice()), "what moved is not held");
}

#[test]
fn what_moves_there_and_back_is_no_change() {
    let folder = folders();
    let (mut overlay, root, mut budget) = overlay(&folder, true);
    for (from, to) in [("d", "e"), ("e", "d"), ("f", "g"), ("g", "f")] {
        overlay.rename(&root, from, to, &|_, _, _| Ok(()), &mut budget).unwrap();
    }
    assert!(overlay.finish().0.is_empty());
}

/// A file gets another's content while the other gets it anew: it is kept for both.
#[test]
fn a_content_that_moved_is_at_hand_when_its_place_is_filled_again() {
    let folder = folders();
    let (mut overlay, root, mut budget) = overlay(&folder, true);
    overlay.rename(&root, "f", "g", &|_, _, _| Ok(()), &mut budget).unwrap();
    overlay.write(&root, "f", b"f".to_vec(), &mut budget).unwrap();
    let (changes, blobs) = overlay.finish();
    assert_eq!(shown(&changes), ["create g"]);
    assert_eq!(blobs[&changes.changes()[0].post.unwrap()], b"f");
}

#[test]
fn what_cannot_be_moved_made_or_removed_stages_nothing() {
    let folder = folders();
    std::os::unix::fs::symlink("/etc", folder.path().join("d/sub/link")).unwrap();
    let (mut overlay, root, mut budget) = overlay(&folder, true);
    let mut rename =
        |from: &str, to: &str| overlay.rename(&root, from, to, &|_, _, _| Ok(()), &mut budget).unwrap_err();
    assert!(matches!(rename("f", "d"), FileError::Exists));
    assert!(matches!(rename("f", "f"), FileError::Exists));
    assert!(matches!(rename("f", "none/f"), FileError::NotFound));
    assert!(matches!(rename("f", "f/f"), FileError::NotADirectory));
    assert!(matches!(rename("none", "g"), FileError::NotFound));
    assert!(matches!(rename("d/sub", "d/sub/in"), FileError::InvalidPath(_)));
    assert!(matches!(rename("d", "e"), FileError::Special(path) if path == "d/sub/link"));
    assert!(matches!(rename("d/sub/link", "e"), FileError::Symlink));
    assert!(matches!(rename("f", "d/sub/link"), FileError::Symlink));
    let remove = |overlay: &mut Overlay, path: &str, budget: &mut Budget| {
        overlay.remove_tree(&root, path, &|_| Ok(()), budget).unwrap_err()
    };
    assert!(matches!(remove(&mut overlay, "f", &mut budget), FileError::NotADirectory));
    assert!(matches!(remove(&mut overlay, "none", &mut budget), FileError::NotFound));
    assert!(matches!(remove(&mut overlay, "d", &mut budget), FileError::Special(_)));
    for (path, exists) in [("d", true), ("f", true), ("none/new", false)] {
        let error = overlay.create_dir(&root, path, &mut budget).unwrap_err();
        assert!(matches!(error, FileError::Exists) == exists, "{path}: {error}");
    }
    assert!(overlay.finish().0.is_empty());
}

#[test]
fn a_path_does_not_change_its_kind_in_one_call() {
    let folder = folders();
    let (mut overlay, root, mut budget) = overlay(&folder, true);
    overlay.remove_tree(&root, "d", &|_| Ok(()), &mut budget).unwrap();
    overlay.remove(&root, "f", &mut budget).unwrap();
    let error = overlay.write(&root, "d", Vec::new(), &mut budget).unwrap_err();
    assert!(matches!(error, FileError::OtherKind));
    assert!(matches!(overlay.create_dir(&root, "f", &mut budget), Err(FileError::OtherKind)));
    overlay.create_dir(&root, "e", &mut budget).unwrap();
    let error = overlay.rename(&root, "e", "f", &|_, _, _| Ok(()), &mut budget).unwrap_err();
    assert!(matches!(error, FileError::OtherKind));
    // The same kind comes back.
    overlay.create_dir(&root, "d", &mut budget).unwrap();
    assert!(matches!(overlay.read(&root, "d/a", &mut budget), Err(FileError::NotFound)));
    overlay.write(&root, "d/a", b"again".to_vec(), &mut budget).unwrap();
    let (changes, _) = overlay.finish();
    let expected = ["replace d/a", "remove-dir d/sub", "delete d/sub/b", "create-dir e", "delete f"];
    assert_eq!(shown(&changes), expected);
}

#[test]
fn permission_bits_move_with_a_file_and_come_back_with_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folders();
    for (path, mode) in [("d/a", 0o750), ("d/sub", 0o700)] {
        std::fs::set_permissions(folder.path().join(path), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let (mut overlay, root, mut budget) = overlay(&folder, true);
    overlay.rename(&root, "d", "e", &|_, _, _| Ok(()), &mut budget).unwrap();
    let (changes, _) = overlay.finish();
    let modes: Vec<_> =
        changes.changes().iter().filter_map(|change| Some((change.kind, change.mode?))).collect();
    assert_eq!(
        modes,
        [
            (ChangeKind::Delete, 0o750),
            (ChangeKind::RemoveDir, 0o700),
            (ChangeKind::Create, 0o750),
            (ChangeKind::CreateDir, 0o700)
        ]
    );
}
