//! Applying changes: what each state of the disk leads to, and that a crash at any point can be
//! repeated.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;

use base::{Change, ChangeKind, ChangeSet, Digest, NoProbe, Probe};
use engine::files::{Applied, AppliedHow, ApplyError, FileProblem, LABELS, OnDisk, apply, content, state};
use tempfile::TempDir;

use crate::fixture::workspace;

const OLD: &[u8] = b"old";
const NEW: &[u8] = b"new";
const OTHER: &[u8] = b"somebody else's";

fn change(kind: ChangeKind) -> Change {
    let (pre, post) = match kind {
        ChangeKind::Create => (None, Some(NEW)),
        ChangeKind::Replace => (Some(OLD), Some(NEW)),
        ChangeKind::Delete => (Some(OLD), None),
        ChangeKind::CreateDir | ChangeKind::RemoveDir => (None, None),
    };
    let root = "workspace".parse().unwrap();
    let [pre, post] = [pre, post].map(|side| side.map(Digest::of));
    Change { root, path: "dir/file".to_owned(), kind, pre, post, mode: None }
}

const KINDS: [ChangeKind; 3] = [ChangeKind::Create, ChangeKind::Replace, ChangeKind::Delete];

fn bytes(change: &Change) -> Option<&'static [u8]> {
    change.post.map(|_| NEW)
}

fn before(change: &Change) -> Option<&'static [u8]> {
    change.pre.map(|_| OLD)
}

/// A folder whose `dir/file` holds `content`.
fn folder(content: Option<&[u8]>) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("dir")).unwrap();
    put(folder.path(), content);
    folder
}

fn put(folder: &Path, content: Option<&[u8]>) {
    match content {
        Some(content) => fs::write(folder.join("dir/file"), content).unwrap(),
        None => drop(fs::remove_file(folder.join("dir/file"))),
    }
}

fn on_disk(folder: &Path) -> Option<Vec<u8>> {
    fs::read(folder.join("dir/file")).ok()
}

/// Names in the folder other than the file itself: nothing may be left behind.
fn left_behind(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder.join("dir")).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name != "file").collect()
}

fn run(folder: &Path, change: &Change) -> Result<Applied, ApplyError> {
    apply(&workspace(folder), change, bytes(change), "key", &NoProbe)
}

#[test]
fn each_kind_on_each_state_of_the_disk() {
    for kind in KINDS {
        let change = change(kind);
        for found in [None, Some(OLD), Some(NEW), Some(OTHER)] {
            let folder = folder(found);
            let result = run(folder.path(), &change);
            if found == bytes(&change) {
                assert_eq!(
                    result,
                    Ok(Applied { how: AppliedHow::Already, pre_image: None }),
                    "{kind} on {found:?}"
                );
            } else if found == before(&change) {
                let how = match kind {
                    ChangeKind::Create => AppliedHow::Created,
                    ChangeKind::Replace => AppliedHow::Exchanged,
                    _ => AppliedHow::Removed,
                };
                let pre_image = before(&change).map(<[u8]>::to_vec);
                assert_eq!(result, Ok(Applied { how, pre_image }), "{kind} on {found:?}");
                assert_eq!(on_disk(folder.path()).as_deref(), bytes(&change));
                assert_eq!(run(folder.path(), &change).unwrap().how, AppliedHow::Already);
            } else {
                let found_digest = found.map(Digest::of);
                let path = "dir/file".to_owned();
                assert_eq!(
                    result,
                    Err(ApplyError::Conflict { path, found: found_digest }),
                    "{kind} on {found:?}"
                );
                assert_eq!(on_disk(folder.path()).as_deref(), found);
            }
            assert_eq!(left_behind(folder.path()), [""; 0]);
        }
    }
}

#[test]
fn undo_is_the_reversed_change() {
    for kind in KINDS {
        let change = change(kind);
        let folder = folder(before(&change));
        run(folder.path(), &change).unwrap();
        let back = change.reversed();
        apply(&workspace(folder.path()), &back, back.post.map(|_| OLD), "undo", &NoProbe).unwrap();
        assert_eq!(on_disk(folder.path()).as_deref(), before(&change));
    }
}

#[test]
fn what_is_no_regular_file_is_a_conflict_and_stays() {
    let outside = TempDir::new().unwrap();
    fs::write(outside.path().join("target"), OLD).unwrap();
    for kind in KINDS {
        let change = change(kind);
        let with_link = folder(None);
        symlink(outside.path().join("target"), with_link.path().join("dir/file")).unwrap();
        assert!(matches!(run(with_link.path(), &change), Err(ApplyError::Conflict { found: None, .. })));
        assert!(fs::symlink_metadata(with_link.path().join("dir/file")).unwrap().is_symlink());
        let with_folder = folder(None);
        fs::create_dir(with_folder.path().join("dir/file")).unwrap();
        assert!(matches!(run(with_folder.path(), &change), Err(ApplyError::Conflict { found: None, .. })));
    }
    assert_eq!(fs::read(outside.path().join("target")).unwrap(), OLD);
}

#[test]
fn bytes_path_and_root_are_checked() {
    let folder = folder(None);
    let roots = workspace(folder.path());
    let good = change(ChangeKind::Create);
    let wrong_bytes = apply(&roots, &good, Some(OTHER), "key", &NoProbe);
    assert!(matches!(wrong_bytes, Err(ApplyError::Content { .. })));
    assert!(matches!(apply(&roots, &good, None, "key", &NoProbe), Err(ApplyError::Content { .. })));
    for path in ["../file", "/tmp/file", "dir/../file", "dir//file", "", "none/file"] {
        let bad = Change { path: path.to_owned(), ..good.clone() };
        assert!(
            matches!(apply(&roots, &bad, Some(NEW), "key", &NoProbe), Err(ApplyError::Unreachable { .. })),
            "{path}"
        );
    }
    let elsewhere = Change { root: "elsewhere".parse().unwrap(), ..good.clone() };
    assert!(matches!(
        apply(&roots, &elsewhere, Some(NEW), "key", &NoProbe),
        Err(ApplyError::Unreachable { .. })
    ));
    assert!(apply(&roots, &good, Some(NEW), "key", &NoProbe).is_ok());
}

#[test]
fn permission_bits_are_kept() {
    let replaced = folder(Some(OLD));
    fs::set_permissions(replaced.path().join("dir/file"), fs::Permissions::from_mode(0o750)).unwrap();
    run(replaced.path(), &change(ChangeKind::Replace)).unwrap();
    let created = folder(None);
    run(created.path(), &change(ChangeKind::Create)).unwrap();
    let mode = |folder: &TempDir| {
        fs::metadata(folder.path().join("dir/file")).unwrap().permissions().mode() & 0o7777
    };
    assert_eq!((mode(&replaced), mode(&created)), (0o750, 0o644));
}

#[test]
fn state_and_content_say_what_is_there() {
    let replace = change(ChangeKind::Replace);
    for (found, expected) in [
        (Some(OLD), OnDisk::Pre),
        (Some(NEW), OnDisk::Post),
        (Some(OTHER), OnDisk::Other(Some(Digest::of(OTHER)))),
        (None, OnDisk::Other(None)),
    ] {
        let folder = folder(found);
        let roots = workspace(folder.path());
        assert_eq!(state(&roots, &replace, &ChangeSet::default()), Ok(expected));
        assert_eq!(content(&roots, &replace.root, "dir/file"), Ok(found.map(<[u8]>::to_vec)));
        assert_eq!(content(&roots, &replace.root, "dir"), Err(FileProblem::NotAFile));
    }
}

/// Panics at the point `at`, as a crash would end the process there; remembers all points.
struct CrashAt {
    at: &'static str,
    seen: Mutex<BTreeSet<&'static str>>,
}

impl Probe for CrashAt {
    fn reach(&self, label: &'static str) {
        self.seen.lock().unwrap().insert(label);
        if label == self.at {
            std::panic::resume_unwind(Box::new("crash"));
        }
    }
}

#[test]
fn a_crash_at_any_point_is_finished_by_the_next_call() {
    let mut reached = BTreeSet::new();
    for kind in KINDS {
        let change = change(kind);
        for at in LABELS {
            let folder = folder(before(&change));
            let roots = workspace(folder.path());
            let probe = CrashAt { at, seen: Mutex::default() };
            let crash =
                catch_unwind(AssertUnwindSafe(|| apply(&roots, &change, bytes(&change), "key", &probe)));
            let crashed = crash.is_err();
            reached.extend(probe.seen.into_inner().unwrap());
            let again = run(folder.path(), &change).unwrap();
            assert_eq!(on_disk(folder.path()).as_deref(), bytes(&change), "{kind}, crash at {at}");
            assert_eq!(left_behind(folder.path()), [""; 0], "{kind}, crash at {at}");
            // The old content is never lost with the process that took it out, except after the last
            // step, when that process had it.
            let lost = crashed && *at == "apply:done";
            if crashed && !lost {
                assert_eq!(again.pre_image.as_deref(), before(&change), "{kind}, crash at {at}");
            }
        }
    }
    let of_files = LABELS.iter().copied().filter(|label| !label.contains("folder"));
    assert_eq!(reached, of_files.collect());
}

/// Changes the target when the point `at` is reached, as another process might.
struct EditAt<'a> {
    at: &'static str,
    folder: &'a Path,
}

impl Probe for EditAt<'_> {
    fn reach(&self, label: &'static str) {
        if label == self.at {
            // A new file under the old name, as editors do.
            let _ignored = fs::remove_file(self.folder.join("dir/file"));
            put(self.folder, Some(OTHER));
        }
    }
}

#[test]
fn an_edit_between_check_and_swap_is_put_back() {
    for kind in KINDS {
        let change = change(kind);
        // Deletions have no temporary file to make ready.
        let points: &[&str] = if kind == ChangeKind::Delete {
            &["apply:start"]
        } else {
            &["apply:start", "apply:part-synced", "apply:ready"]
        };
        for at in points {
            let folder = folder(before(&change));
            let probe = EditAt { at, folder: folder.path() };
            let result = apply(&workspace(folder.path()), &change, bytes(&change), "key", &probe);
            assert!(matches!(result, Err(ApplyError::Conflict { .. })), "{kind}, edit at {at}: {result:?}");
            assert_eq!(on_disk(folder.path()).as_deref(), Some(OTHER), "{kind}, edit at {at}");
            assert_eq!(left_behind(folder.path()), [""; 0], "{kind}, edit at {at}");
        }
    }
}

#[test]
fn a_crash_between_an_edit_and_putting_it_back_is_settled() {
    // The exchange has brought out what somebody else wrote, and then the process died.
    let folder = folder(Some(OLD));
    let change = change(ChangeKind::Replace);
    let roots = workspace(folder.path());
    let ready = CrashAt { at: "apply:ready", seen: Mutex::default() };
    catch_unwind(AssertUnwindSafe(|| apply(&roots, &change, bytes(&change), "key", &ready))).unwrap_err();
    let [temporary] = left_behind(folder.path()).try_into().unwrap();
    put(folder.path(), Some(OTHER));
    let (from, to) = (folder.path().join("dir").join(&temporary), folder.path().join("dir/file"));
    rustix::fs::renameat_with(rustix::fs::CWD, from, rustix::fs::CWD, to, rustix::fs::RenameFlags::EXCHANGE)
        .unwrap();
    assert_eq!(on_disk(folder.path()).as_deref(), Some(NEW));

    assert!(matches!(run(folder.path(), &change), Err(ApplyError::Conflict { found: Some(_), .. })));
    assert_eq!(on_disk(folder.path()).as_deref(), Some(OTHER));
    assert_eq!(left_behind(folder.path()), [""; 0]);
}

#[test]
fn another_key_does_not_touch_what_a_crash_left() {
    let folder = folder(Some(OLD));
    let change = change(ChangeKind::Replace);
    let roots = workspace(folder.path());
    let crash = CrashAt { at: "apply:part-written", seen: Mutex::default() };
    catch_unwind(AssertUnwindSafe(|| apply(&roots, &change, bytes(&change), "mine", &crash))).unwrap_err();
    let left = left_behind(folder.path());
    assert_eq!(left.len(), 1);
    apply(&roots, &change, bytes(&change), "yours", &NoProbe).unwrap();
    assert_eq!(left_behind(folder.path()), left);
    assert_eq!(apply(&roots, &change, bytes(&change), "mine", &NoProbe).unwrap().how, AppliedHow::Already);
    assert_eq!(left_behind(folder.path()), [""; 0]);
}

/// Moves the target's folder out of the root when the point `at` is reached.
struct MoveAt<'a> {
    at: &'static str,
    house: &'a Path,
}

impl Probe for MoveAt<'_> {
    fn reach(&self, label: &'static str) {
        if label == self.at {
            fs::rename(self.house.join("root/dir"), self.house.join("away")).unwrap();
        }
    }
}

#[test]
fn a_folder_that_is_moved_out_of_the_root_meanwhile_is_left_alone() {
    for kind in KINDS {
        let change = change(kind);
        let points: &[&str] =
            if kind == ChangeKind::Delete { &["apply:start"] } else { &["apply:start", "apply:ready"] };
        for at in points {
            let house = TempDir::new().unwrap();
            fs::create_dir_all(house.path().join("root/dir")).unwrap();
            put(&house.path().join("root"), before(&change));
            let probe = MoveAt { at, house: house.path() };
            let roots = workspace(&house.path().join("root"));
            let result = apply(&roots, &change, bytes(&change), "key", &probe);
            assert!(
                matches!(result, Err(ApplyError::Unreachable { .. })),
                "{kind}, moved at {at}: {result:?}"
            );
            let away = house.path().join("away");
            assert_eq!(fs::read(away.join("file")).ok().as_deref(), before(&change), "{kind}, moved at {at}");
            let names = fs::read_dir(&away).unwrap().count();
            assert_eq!(
                names,
                usize::from(before(&change).is_some()),
                "{kind}, moved at {at}: something is left"
            );
        }
    }
}
