//! Applying changes of folders: what each state of the disk leads to, that nothing goes with a
//! folder that nobody saw, and that a crash at any point can be repeated.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;

use base::{Change, ChangeKind, ChangeSet, Digest, NoProbe, Probe};
use engine::files::{Applied, AppliedHow, ApplyError, LABELS, OnDisk, apply, state};
use tempfile::TempDir;

use crate::fixture::workspace;

const KINDS: [ChangeKind; 2] = [ChangeKind::CreateDir, ChangeKind::RemoveDir];

fn change(kind: ChangeKind, path: &str) -> Change {
    let pre = (kind == ChangeKind::Delete).then(|| Digest::of(b"x"));
    Change { root: "workspace".parse().unwrap(), path: path.to_owned(), kind, pre, post: None, mode: None }
}

/// What is at `dir/sub`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Empty,
    Full,
    File,
    Link,
}

const FOUND: [Found; 5] = [Found::Nothing, Found::Empty, Found::Full, Found::File, Found::Link];

fn folder(found: Found) -> TempDir {
    let folder = TempDir::new().unwrap();
    let sub = folder.path().join("dir/sub");
    fs::create_dir(folder.path().join("dir")).unwrap();
    match found {
        Found::Nothing => {}
        Found::Empty => fs::create_dir(sub).unwrap(),
        Found::Full => {
            fs::create_dir(&sub).unwrap();
            fs::write(sub.join("file"), "x").unwrap();
        }
        Found::File => fs::write(sub, "x").unwrap(),
        Found::Link => symlink("/", sub).unwrap(),
    }
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("dir")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

fn run(folder: &Path, change: &Change) -> Result<AppliedHow, ApplyError> {
    apply(&workspace(folder), change, None, "key", &NoProbe).map(|Applied { how, .. }| how)
}

fn is_conflict(result: &Result<AppliedHow, ApplyError>) -> bool {
    matches!(result, Err(ApplyError::Conflict { found: None, .. }))
}

#[test]
fn each_kind_on_each_state_of_the_disk() {
    for found in FOUND {
        for kind in KINDS {
            let folder = folder(found);
            let change = change(kind, "dir/sub");
            let on_disk = state(&workspace(folder.path()), &change, &ChangeSet::new([change.clone()]));
            let result = run(folder.path(), &change);
            let (expected, how) = match (kind, found) {
                (ChangeKind::CreateDir, Found::Nothing) => (OnDisk::Pre, Some(AppliedHow::Created)),
                (ChangeKind::CreateDir, Found::Empty | Found::Full) => {
                    (OnDisk::Post, Some(AppliedHow::Already))
                }
                (ChangeKind::RemoveDir, Found::Empty) => (OnDisk::Pre, Some(AppliedHow::Removed)),
                (ChangeKind::RemoveDir, Found::Nothing) => (OnDisk::Post, Some(AppliedHow::Already)),
                _ => (OnDisk::Other(None), None),
            };
            assert_eq!(on_disk, Ok(expected), "{kind} on {found:?}");
            match how {
                Some(how) => assert_eq!(result, Ok(how), "{kind} on {found:?}"),
                None => assert!(is_conflict(&result), "{kind} on {found:?}: {result:?}"),
            }
            let is_gone = kind == ChangeKind::RemoveDir && how.is_some();
            assert_eq!(names(folder.path()), if is_gone { vec![] } else { vec!["sub"] });
        }
    }
}

#[test]
fn a_folder_goes_only_with_what_was_seen_in_it() {
    let folder = folder(Found::Full);
    let roots = workspace(folder.path());
    let [sub, file] = [change(ChangeKind::RemoveDir, "dir/sub"), change(ChangeKind::Delete, "dir/sub/file")];
    let whole = ChangeSet::new([sub.clone(), file.clone()]);
    assert_eq!(state(&roots, &sub, &whole), Ok(OnDisk::Pre));
    // What an apply of this set left behind when it was cut off.
    fs::write(folder.path().join("dir/sub/.capstan-0123456789ab.new"), "x").unwrap();
    assert_eq!(state(&roots, &sub, &whole), Ok(OnDisk::Pre));
    assert!(is_conflict(&run(folder.path(), &sub)), "the kernel has the last word");
    fs::remove_file(folder.path().join("dir/sub/.capstan-0123456789ab.new")).unwrap();
    for stranger in ["dir/sub/new", "dir/sub/.capstan-x", "dir/sub/file2"] {
        fs::write(folder.path().join(stranger), "").unwrap();
        assert_eq!(state(&roots, &sub, &whole), Ok(OnDisk::Other(None)), "{stranger}");
        fs::remove_file(folder.path().join(stranger)).unwrap();
    }
    assert_eq!(run(folder.path(), &file), Ok(AppliedHow::Removed));
    assert_eq!(run(folder.path(), &sub), Ok(AppliedHow::Removed));
    // Both again: the folder that the file was in is gone.
    assert_eq!(run(folder.path(), &file), Ok(AppliedHow::Already));
    assert_eq!(run(folder.path(), &sub), Ok(AppliedHow::Already));
    let created = Change { kind: ChangeKind::Create, pre: None, post: Some(Digest::of(b"x")), ..file };
    let result = apply(&roots, &created, Some(b"x"), "key", &NoProbe);
    assert!(matches!(result, Err(ApplyError::Unreachable { .. })), "what is to come needs its folder");
}

#[test]
fn a_folder_has_its_permission_bits_whatever_the_mask() {
    for mode in [None, Some(0o700), Some(0o777), Some(0o6770)] {
        let folder = folder(Found::Nothing);
        run(folder.path(), &Change { mode, ..change(ChangeKind::CreateDir, "dir/sub") }).unwrap();
        let made = fs::metadata(folder.path().join("dir/sub")).unwrap().permissions().mode() & 0o7777;
        assert_eq!(made, mode.map_or(0o755, |mode| mode & 0o777));
    }
}

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
        for at in LABELS {
            let is_made = kind == ChangeKind::CreateDir;
            let folder = folder(if is_made { Found::Nothing } else { Found::Empty });
            let (roots, change) = (workspace(folder.path()), change(kind, "dir/sub"));
            let probe = CrashAt { at, seen: Mutex::default() };
            let _crash = catch_unwind(AssertUnwindSafe(|| apply(&roots, &change, None, "key", &probe)));
            reached.extend(probe.seen.into_inner().unwrap());
            run(folder.path(), &change).unwrap();
            let expected = if is_made { vec!["sub"] } else { vec![] };
            assert_eq!(names(folder.path()), expected, "{kind}, crash at {at}");
        }
    }
    for label in LABELS.iter().filter(|label| label.contains("folder")) {
        assert!(reached.contains(label), "{label}");
    }
}

/// Does something when a point is reached, as another process might.
struct At<F> {
    at: &'static str,
    act: F,
}

impl<F: Fn() + Send + Sync> Probe for At<F> {
    fn reach(&self, label: &'static str) {
        if label == self.at {
            (self.act)();
        }
    }
}

#[test]
fn what_appears_between_check_and_change_stays() {
    let house = folder(Found::Nothing);
    let sub = house.path().join("dir/sub");
    let probe = At { at: "apply:folder-ready", act: || fs::write(&sub, "theirs").unwrap() };
    let made = change(ChangeKind::CreateDir, "dir/sub");
    let result = apply(&workspace(house.path()), &made, None, "key", &probe);
    assert!(matches!(result, Err(ApplyError::Conflict { .. })), "{result:?}");
    assert_eq!((names(house.path()), fs::read(&sub).unwrap()), (vec!["sub".to_owned()], b"theirs".to_vec()));

    let house = folder(Found::Empty);
    let sub = house.path().join("dir/sub");
    let probe = At { at: "apply:start", act: || fs::write(sub.join("new"), "theirs").unwrap() };
    let removed = change(ChangeKind::RemoveDir, "dir/sub");
    let result = apply(&workspace(house.path()), &removed, None, "key", &probe);
    assert!(matches!(result, Err(ApplyError::Conflict { .. })), "{result:?}");
    assert_eq!(fs::read(sub.join("new")).unwrap(), b"theirs");
}

#[test]
fn a_folder_that_is_moved_out_of_the_root_meanwhile_is_left_alone() {
    for kind in KINDS {
        let house = TempDir::new().unwrap();
        fs::create_dir_all(house.path().join("root/dir")).unwrap();
        if kind == ChangeKind::RemoveDir {
            fs::create_dir(house.path().join("root/dir/sub")).unwrap();
        }
        let (from, to) = (house.path().join("root/dir"), house.path().join("away"));
        let probe = At { at: "apply:start", act: || fs::rename(&from, &to).unwrap() };
        let roots = workspace(&house.path().join("root"));
        let result = apply(&roots, &change(kind, "dir/sub"), None, "key", &probe);
        assert!(matches!(result, Err(ApplyError::Unreachable { .. })), "{kind}: {result:?}");
        assert_eq!(to.join("sub").exists(), kind == ChangeKind::RemoveDir);
    }
}
