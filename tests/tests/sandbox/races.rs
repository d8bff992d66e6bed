//! Another process swaps a folder for a link to one outside, again and again.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tests::Env;

use crate::guest::{call, result, with_writer};
use crate::outside::Seen;

const CANARY: &str = "CANARY-31337";

/// `spot` is a folder with `f`, and for moments a link to a folder outside, which has another `f`.
fn place() -> Env {
    let env = with_writer();
    env.write("spot/f", "inside");
    fs::create_dir(env.folder().join("outside")).unwrap();
    fs::write(env.folder().join("outside/f"), CANARY).unwrap();
    symlink("../outside", env.folder().join("link")).unwrap();
    env
}

/// Swaps until told to stop, and ends with the folder in its place.
fn swap(folder: &Path, stop: &AtomicBool) {
    let (spot, aside, link) = (folder.join("work/spot"), folder.join("aside"), folder.join("link"));
    while !stop.load(Ordering::Relaxed) {
        fs::rename(&spot, &aside).unwrap();
        fs::rename(&link, &spot).unwrap();
        fs::rename(&spot, &link).unwrap();
        fs::rename(&aside, &spot).unwrap();
    }
}

/// Runs `work` while another thread of this process, which to the program is a stranger, swaps.
fn while_swapping(env: &Env, work: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    let finished = Finish(&stop);
    std::thread::scope(|scope| {
        scope.spawn(|| swap(env.folder(), &stop));
        let _finished = finished;
        work();
    });
}

/// Stops the other thread also if an assertion fails.
struct Finish<'a>(&'a AtomicBool);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn reads_never_go_through_the_link() {
    let env = place();
    let look = json!({ "root": "workspace", "path": "spot/f", "times": 3_000 });
    let mut seen = BTreeSet::new();
    while_swapping(&env, || {
        for _ in 0..40 {
            let answers = result(&env, "test:writer/probe.look-again", &look);
            assert!(!answers.to_string().contains(CANARY), "{answers}");
            seen.extend(answers.as_array().unwrap().iter().map(|answer| answer.as_str().unwrap().to_owned()));
            if seen.contains("inside") && seen.iter().any(|answer| answer.contains("symbolic link")) {
                return;
            }
        }
    });
    assert!(seen.contains("inside"), "the file was read: {seen:?}");
    assert!(seen.iter().any(|answer| answer.contains("symbolic link")), "the link was met: {seen:?}");
}

#[test]
fn writes_never_go_through_the_link() {
    let env = place();
    let outside = Env::tree(&env.folder().join("outside"));
    let mut applied = 0;
    for round in 0..6 {
        let text = format!("round {round}");
        let arguments = json!({ "path": "spot/f", "text": text }).to_string();
        // Staged in peace, approved in the race.
        let staged = env.run(["op", "call", "test:writer/edit.write", &arguments, "--no-prompt"]).exits(3);
        drop(staged);
        while_swapping(&env, || {
            let said = env.run(["approve", "last"]);
            assert!(matches!(said.code, Some(0..=4)), "{}", said.said());
        });
        assert_eq!(Env::tree(&env.folder().join("outside")), outside);
        let is_applied = env.read("spot/f") == Some(text);
        applied += usize::from(is_applied);
        if !is_applied {
            // What could not be applied is given up, so that the next round stages anew.
            drop(env.run(["run", "cancel", "last"]));
        }
    }
    let arguments = json!({ "path": "spot/f", "text": "in peace" }).to_string();
    drop(env.run(["op", "call", "test:writer/edit.write", &arguments, "--no-prompt"]).exits(3));
    drop(env.run(["approve", "last"]).exits(0));
    assert_eq!(env.read("spot/f").as_deref(), Some("in peace"), "{applied} of 6 were applied in the race");
}

/// Whether the folder is the one that was there, or what an operation made of it.
fn inside(env: &Env) -> Vec<String> {
    Env::tree(&env.work()).into_keys().map(|path| path.to_str().unwrap().to_owned()).collect()
}

/// Staged in the race, and approved in it.
#[test]
fn operations_on_folders_never_go_through_the_link() {
    let env = place();
    fs::create_dir_all(env.folder().join("outside/sub")).unwrap();
    fs::write(env.folder().join("outside/sub/deep"), CANARY).unwrap();
    env.write("spot/sub/deep", "inside");
    env.write("spare", "spare");
    let outside = Seen::of(&env.folder().join("outside"));
    let before = inside(&env);
    let (mut staged, mut refused, mut applied) = (0, 0, 0);
    for (operation, arguments) in [
        ("create-dir", json!({ "root": "workspace", "path": "spot/new" })),
        ("rename", json!({ "root": "workspace", "source": "spot/f", "target": "spot/g" })),
        ("rename", json!({ "root": "workspace", "source": "spot/sub", "target": "moved" })),
        ("rename", json!({ "root": "workspace", "source": "spare", "target": "spot/spare" })),
        ("remove-tree", json!({ "root": "workspace", "path": "spot/sub" })),
    ] {
        for _ in 0..6 {
            let mut view = serde_json::Value::Null;
            while_swapping(&env, || {
                view = call(&env, &format!("test:writer/raw.{operation}"), &arguments);
                assert!(!view.to_string().contains(CANARY), "{view:#}");
                if view["status"] == "requires_approval" {
                    let confirm = view["approvals"][0]["confirm"].as_str();
                    let words = confirm.map(|target| vec!["--confirm", target]).unwrap_or_default();
                    let said = env.run([vec!["approve", "last"], words].concat());
                    assert!(matches!(said.code, Some(0..=4)), "{}", said.said());
                    assert!(!said.said().contains(CANARY), "{}", said.said());
                }
            });
            assert_eq!(Seen::of(&env.folder().join("outside")), outside, "{operation}");
            let Some(run) = view["run_id"].as_str() else {
                refused += 1;
                continue;
            };
            staged += 1;
            // In peace it is finished or given up, and what it did is taken back.
            if view["status"] != "failed" {
                drop(env.run(["run", "resume", run, "--no-prompt"]));
                drop(env.run(["run", "cancel", run]));
                applied += usize::from(env.run(["run", "undo", run]).code == Some(0));
            }
            assert_eq!(inside(&env), before, "{operation}: {view:#}");
            assert_eq!(Seen::of(&env.folder().join("outside")), outside, "{operation}");
        }
    }
    eprintln!("{staged} staged, {refused} refused, {applied} applied and taken back");
    assert!(staged > 0, "none got as far as an approval");
    // In peace each of them works.
    let arguments = json!({ "root": "workspace", "source": "spot/f", "target": "spot/g" }).to_string();
    drop(env.run(["op", "call", "test:writer/raw.rename", &arguments, "--no-prompt"]).exits(3));
    drop(env.run(["approve", "last"]).exits(0));
    assert_eq!(env.read("spot/g").as_deref(), Some("inside"));
}
