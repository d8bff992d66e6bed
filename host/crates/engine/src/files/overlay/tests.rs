//! The overlay: what a call sees of its own writes, and what is left of them.

#![expect(clippy::disallowed_methods, reason = "the tests make and change folders of their own")]

use base::Limits;
use tempfile::TempDir;

use super::*;
use crate::CancelToken;

fn overlay(folder: &TempDir, writable: bool) -> (Overlay, RootName, Budget) {
    let name: RootName = "workspace".parse().unwrap();
    let roots = Roots::open([(name.clone(), folder.path().to_owned())]).unwrap();
    (Overlay::new(Arc::new(roots), writable), name, Budget::new(Limits::DEFAULT, CancelToken::default()))
}

#[test]
fn a_write_is_staged_against_what_the_guest_read_and_not_what_came_after() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("file"), "seen").unwrap();
    let (mut overlay, root, budget) = overlay(&folder, true);
    overlay.read(&root, "file", &budget).unwrap();
    assert!(matches!(overlay.read(&root, "absent", &budget), Err(FileError::NotFound)));
    std::fs::write(folder.path().join("file"), "edited meanwhile").unwrap();
    std::fs::write(folder.path().join("absent"), "created meanwhile").unwrap();
    std::fs::write(folder.path().join("unread"), "never read").unwrap();
    for path in ["file", "absent", "unread"] {
        overlay.write(root.clone(), path.to_owned(), b"new".to_vec(), &budget).unwrap();
    }
    let (changes, _) = overlay.finish();
    let staged: Vec<_> = changes.changes().iter().map(|change| (change.path.as_str(), change.pre)).collect();
    let expected =
        [("absent", None), ("file", Some(Digest::of(b"seen"))), ("unread", Some(Digest::of(b"never read")))];
    assert_eq!(staged, expected);
}

#[test]
fn what_is_written_and_taken_back_is_no_change() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("old"), "old").unwrap();
    let (mut overlay, root, budget) = overlay(&folder, true);
    let write = |overlay: &mut Overlay, path: &str, text: &str| {
        overlay.write(root.clone(), path.to_owned(), text.into(), &budget).unwrap();
    };
    write(&mut overlay, "new", "x");
    overlay.remove(root.clone(), "new".to_owned(), &budget).unwrap();
    assert!(matches!(overlay.remove(root.clone(), "new".to_owned(), &budget), Err(FileError::NotFound)));
    overlay.remove(root.clone(), "old".to_owned(), &budget).unwrap();
    write(&mut overlay, "old", "old");
    let (changes, blobs) = overlay.finish();
    assert!(changes.is_empty() && blobs.is_empty());
}

#[test]
fn one_call_stages_a_bounded_number_of_files() {
    let folder = TempDir::new().unwrap();
    let (mut overlay, root, budget) = overlay(&folder, true);
    for number in 0..FILES_MAX {
        overlay.write(root.clone(), number.to_string(), Vec::new(), &budget).unwrap();
    }
    let over = overlay.write(root.clone(), "over".to_owned(), Vec::new(), &budget);
    assert!(matches!(over, Err(FileError::TooMany)));
    overlay.write(root, "0".to_owned(), b"again".to_vec(), &budget).unwrap();
}
