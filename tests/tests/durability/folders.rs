//! The same for folders: one that moves with what is in it, and one that is removed whole. The
//! process kills itself at every labelled point, and whoever comes next ends where an undisturbed
//! run ends.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tests::Outcome;

use crate::scene::{Scene, count};
use crate::sweep::sweep;

/// The points between the approval of a move and the end of its run: folders and files come and go.
pub const MOVE: &[&str] = &[
    "journal:before-commit",
    "journal:after-commit",
    "run:before-apply",
    "run:after-apply",
    "apply:start",
    "apply:part-written",
    "apply:part-synced",
    "apply:ready",
    "apply:swapped",
    "apply:verified",
    "apply:done",
    "apply:folder-ready",
    "apply:folder-made",
    "apply:folder-removed",
];
/// The points of taking it back.
pub const UNDO_MOVE: &[&str] = &[
    "journal:before-commit",
    "journal:after-commit",
    "run:before-undo",
    "run:after-undo",
    "apply:start",
    "apply:part-written",
    "apply:part-synced",
    "apply:ready",
    "apply:swapped",
    "apply:verified",
    "apply:done",
    "apply:folder-ready",
    "apply:folder-made",
    "apply:folder-removed",
];
/// The points of removing a folder whole: nothing comes.
pub const REMOVE: &[&str] = &[
    "journal:before-commit",
    "journal:after-commit",
    "run:before-apply",
    "run:after-apply",
    "apply:start",
    "apply:swapped",
    "apply:verified",
    "apply:done",
    "apply:folder-removed",
];

/// Paths with their permission bits and contents; folders have none.
type Tree = BTreeMap<String, (u32, String)>;

fn tree(scene: &Scene) -> Tree {
    let mut found = Tree::new();
    let mut folders = vec![scene.env.work()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("it can be read") {
            let path = entry.expect("an entry").path();
            let meta = fs::symlink_metadata(&path).expect("it is there");
            let name = path.strip_prefix(scene.env.work()).expect("below it").display().to_string();
            if meta.is_dir() {
                folders.push(path);
                found.insert(name, (meta.permissions().mode(), String::new()));
            } else {
                let content = fs::read_to_string(&path).expect("it is text");
                found.insert(name, (meta.permissions().mode(), content));
            }
        }
    }
    found
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

/// A folder with a folder and a script in it, at `from` and nowhere else.
fn reset(scene: &Scene) {
    for name in ["from", "to"] {
        drop(fs::remove_dir_all(scene.env.work().join(name)));
    }
    scene.env.write("from/script", "#!/bin/sh\n");
    chmod(&scene.env.work().join("from/script"), 0o755);
    fs::create_dir(scene.env.work().join("from/sub")).expect("it can be made");
    chmod(&scene.env.work().join("from/sub"), 0o700);
}

/// The tree as it is when all of `from` is at `to`.
fn moved(tree: &Tree) -> Tree {
    let name = |name: &String| match name.strip_prefix("from") {
        Some(rest) => format!("to{rest}"),
        None => name.clone(),
    };
    tree.iter().map(|(path, what)| (name(path), what.clone())).collect()
}

fn stage(scene: &Scene, operation: &str, arguments: &str) -> String {
    reset(scene);
    drop(scene.run(&["op", "call", operation, arguments, "--no-prompt"]).exits(3));
    scene.asked()
}

fn stage_move(scene: &Scene) -> String {
    stage(scene, "capstan:files/tree.rename", r#"{"source": "from", "target": "to"}"#)
}

/// Brings a killed `approve` to the run's end, and asserts that it ended once.
fn settle(scene: &Scene, confirm: &[&str], after: &Tree) {
    match scene.status().as_str() {
        "completed" => {}
        "requires_approval" if scene.show()["approvals"][0]["status"] == "waiting" => {
            drop(scene.run(&[&["approve", &scene.asked()], confirm].concat()).exits(0));
        }
        _ => drop(scene.run(&["run", "resume", "last"]).exits(0)),
    }
    assert_eq!(tree(scene), *after);
    let events = scene.events("last");
    for kind in ["approval_consumed", "effects_intended", "effects_applied", "run_completed"] {
        assert_eq!(count(&events, kind), 1, "{kind} in {events:?}");
    }
    scene.assert_clean();
}

#[test]
fn a_move_that_was_killed_is_finished_once() {
    let scene = Scene::new();
    reset(&scene);
    let after = moved(&tree(&scene));
    let approve = |at: &str| -> Outcome {
        let id = stage_move(&scene);
        scene.run_until(&["approve", &id], at)
    };
    sweep(MOVE, 0, approve, || settle(&scene, &[], &after));
}

#[test]
fn a_move_whose_taking_back_was_killed_is_taken_back_once() {
    let scene = Scene::new();
    reset(&scene);
    let before = tree(&scene);
    let undo = |at: &str| -> Outcome {
        let id = stage_move(&scene);
        drop(scene.run(&["approve", &id]).exits(0));
        scene.run_until(&["run", "undo", "last"], at)
    };
    let settle = || {
        if count(&scene.events("last"), "effects_undone") == 0 {
            drop(scene.run(&["run", "undo", "last"]).exits(0));
        }
        assert_eq!(tree(&scene), before);
        drop(scene.run(&["run", "undo", "last"]).exits(1).says("E-RUN-STATE"));
        assert_eq!(tree(&scene), before, "undone twice");
    };
    sweep(UNDO_MOVE, 0, undo, settle);
}

#[test]
fn a_removal_of_a_folder_that_was_killed_is_finished_once() {
    let scene = Scene::new();
    reset(&scene);
    let mut after = tree(&scene);
    after.retain(|path, _| !path.starts_with("from"));
    let confirm = ["--confirm", "workspace:from"];
    let approve = |at: &str| -> Outcome {
        let id = stage(&scene, "capstan:files/tree.remove-tree", r#"{"path": "from"}"#);
        scene.run_until(&[&["approve", &id], &confirm[..]].concat(), at)
    };
    sweep(REMOVE, 0, approve, || settle(&scene, &confirm, &after));
}

/// Somebody puts a file into the folder after the intent: it stays, and so does what is left.
#[test]
fn a_file_that_appears_after_the_intent_is_not_removed() {
    let scene = Scene::new();
    let id = stage(&scene, "capstan:files/tree.remove-tree", r#"{"path": "from"}"#);
    let before = tree(&scene);
    let approve = ["approve", &id, "--confirm", "workspace:from"];
    assert_eq!(scene.run_until(&approve, "run:before-apply").signal, Some(9));
    scene.env.write("from/sub/theirs", "unseen");
    drop(scene.run(&["run", "resume", "last"]).exits(3).says("E-EFFECT-CONFLICT").says("workspace:from/sub"));
    assert_eq!(scene.env.read("from/sub/theirs").as_deref(), Some("unseen"));
    fs::remove_file(scene.env.work().join("from/sub/theirs")).expect("it is ours");
    assert_eq!(tree(&scene), before, "nothing else went");
    drop(scene.run(&["run", "resume", "last"]).exits(0));
    assert!(!scene.env.work().join("from").exists());
}
