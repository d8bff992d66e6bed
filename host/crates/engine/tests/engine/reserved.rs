//! The host's own folder below a root: out of reach by every call and every spelling.

use std::fs;
use std::sync::Arc;

use base::{Change, ChangeKind, ChangeSet, Digest, NoProbe};
use engine::files::{ApplyError, RootError, Roots, apply, content, state};
use engine::{Invocation, Outcome, Report};
use tempfile::TempDir;
use values::Value;

use crate::files::{DENIED, assert_error, passer, prepare};
use crate::fixture::workspace;

const SECRET: &[u8] = b"secret";

/// A workspace with a home, and a folder that is none and is called nearly the same.
fn place() -> (TempDir, Arc<Roots>) {
    let folder = TempDir::new().unwrap();
    for name in ["in/home/keys", "in/homes"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    for name in ["in/home/keys/a.key", "in/home/top", "in/homes/top"] {
        fs::write(folder.path().join(name), SECRET).unwrap();
    }
    let roots = workspace(folder.path()).without(&folder.path().join("in/home")).unwrap();
    (folder, Arc::new(roots))
}

fn call(folder: &TempDir, roots: &Arc<Roots>, function: &str, path: &str) -> Report {
    let contents = matches!(function, "write" | "write-list").then_some(&b"**"[..]);
    let mut invocation: Invocation = prepare(folder.path(), function, path, contents);
    invocation.host.roots = Arc::clone(roots);
    passer().invoke(invocation)
}

#[track_caller]
fn assert_out_of_reach(folder: &TempDir, roots: &Arc<Roots>, home: &str) {
    for path in ["keys/a.key", "keys", "top", "new", "new/deeper"].map(|name| format!("{home}/{name}")) {
        for function in ["stat", "read", "write", "remove"] {
            let report = call(folder, roots, function, &path);
            assert_error(&report, DENIED);
            assert!(report.denied[0].to_string().contains("host's own folder"), "{function} {path}");
            assert_eq!(report.denied[0].grant, None);
        }
        let change = create(&path);
        for refused in [
            apply(roots, &change, Some(b"new"), "key", &NoProbe).map(drop),
            content(roots, &change.root, &path).map(drop).map_err(|_| unreachable(&path)),
            state(roots, &change, &ChangeSet::default()).map(drop),
        ] {
            assert!(refused.is_err(), "{path}");
        }
    }
    assert_error(&call(folder, roots, "stat", home), DENIED);
    assert_eq!(fs::read(folder.path().join(home).join("top")).unwrap(), SECRET);
    assert!(!folder.path().join(home).join("new").exists());
}

fn unreachable(path: &str) -> ApplyError {
    ApplyError::Unreachable { path: path.to_owned(), reason: String::new() }
}

fn create(path: &str) -> Change {
    let root = "workspace".parse().unwrap();
    let post = Some(Digest::of(b"new"));
    Change { root, path: path.to_owned(), kind: ChangeKind::Create, pre: None, post, mode: None }
}

#[track_caller]
fn assert_in_reach(folder: &TempDir, roots: &Arc<Roots>) {
    let read = call(folder, roots, "read", "in/homes/top").outcome;
    assert_eq!(read, Outcome::Returned(Some(Value::Bytes(SECRET.to_vec()))));
    for function in ["stat", "write", "remove"] {
        let outcome = call(folder, roots, function, "in/homes/top").outcome;
        assert!(matches!(outcome, Outcome::Returned(_)), "{function}: {outcome:?}");
    }
    apply(roots, &create("in/homes/new"), Some(b"new"), "key", &NoProbe).unwrap();
}

#[test]
fn the_home_below_a_root_is_out_of_reach() {
    let (folder, roots) = place();
    assert_out_of_reach(&folder, &roots, "in/home");
    assert_in_reach(&folder, &roots);
    let listed = call(&folder, &roots, "write-list", "written");
    let paths = ["in/homes/new", "in/homes/top", "written"].map(|path| Value::String(path.to_owned()));
    let page = Value::Tuple(vec![Value::List(paths.to_vec()), Value::Option(None)]);
    assert_eq!(listed.outcome, Outcome::Returned(Some(page)), "it is not listed either");
    let open = Arc::new(workspace(folder.path()));
    let read = call(&folder, &open, "read", "in/home/top").outcome;
    assert!(matches!(read, Outcome::Returned(_)), "the control: without the rule it is a file like any");
}

/// A folder under another name is how an alias looks: a bind mount, or a name in other case.
#[test]
fn another_name_of_the_home_does_not_help() {
    let (folder, roots) = place();
    fs::rename(folder.path().join("in/home"), folder.path().join("in/alias")).unwrap();
    assert_out_of_reach(&folder, &roots, "in/alias");
    assert_in_reach(&folder, &roots);
    let listed = call(&folder, &roots, "write-list", "written").outcome;
    assert!(!format!("{listed:?}").contains("alias"), "{listed:?}");
}

/// A file system that gives folders new numbers has the path to hold on to.
#[test]
fn another_folder_in_the_homes_place_does_not_help() {
    let (folder, roots) = place();
    fs::rename(folder.path().join("in/home"), folder.path().join("moved")).unwrap();
    fs::create_dir_all(folder.path().join("in/home/keys")).unwrap();
    fs::write(folder.path().join("in/home/top"), SECRET).unwrap();
    assert_out_of_reach(&folder, &roots, "in/home");
    assert_in_reach(&folder, &roots);
}

#[test]
fn a_root_is_neither_the_home_nor_in_it() {
    let (folder, _) = place();
    let home = folder.path().join("in/home");
    std::os::unix::fs::symlink(home.join("keys"), folder.path().join("link")).unwrap();
    for path in ["in/home", "in/home/keys", "in/homes/../home/keys", "link"] {
        let refused = workspace(&folder.path().join(path)).without(&home);
        assert!(matches!(refused, Err(RootError::Reserved { .. })), "{path}");
    }
    for path in ["", "in", "in/homes"] {
        workspace(&folder.path().join(path)).without(&home).unwrap();
    }
    let gone = workspace(folder.path()).without(&folder.path().join("gone"));
    assert!(matches!(gone, Err(RootError::Open { .. })), "what cannot be found cannot be kept out");
}
