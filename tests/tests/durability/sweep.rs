//! The process kills itself at every labelled point, at every visit of it; whoever comes next
//! ends where an undisturbed run ends.

use tests::Outcome;

use crate::scene::{BASE, EFFECT, Scene, count};

/// The points that `plan run` passes before it waits: the large file is an artifact of its own.
pub const PLAN_RUN: &[&str] =
    &["journal:before-artifact", "journal:after-artifact", "journal:before-commit", "journal:after-commit"];
/// The points between an approval and the end of the run.
pub const APPROVE: &[&str] = &[
    "journal:before-artifact",
    "journal:after-artifact",
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
];
/// The points that a resumed run passes after its intent.
pub const RESUME: &[&str] = &[
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
];
/// The points of an undo.
pub const UNDO: &[&str] = &[
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
];
/// The points of an installation.
pub const INSTALL: &[&str] = &[
    "store:before-blobs",
    "store:after-blob",
    "store:before-receipt",
    "store:after-receipt",
    "store:after-sweep",
];

/// More visits of one point than any command here makes.
const VISITS_MAX: usize = 40;

/// Runs `attempt` with each label and visit until the visit is not made any more, and asserts
/// that the labels passed are exactly `labels`. `attempt` says how the killed command ended.
pub fn sweep(labels: &[&str], code: i32, mut attempt: impl FnMut(&str) -> Outcome, mut settle: impl FnMut()) {
    for label in labels {
        let mut visits = 0;
        loop {
            let at = format!("{label}#{}", visits + 1);
            let outcome = attempt(&at);
            if outcome.signal != Some(9) {
                drop(outcome.exits(code));
                break;
            }
            eprintln!("killed at {at}");
            settle();
            visits += 1;
            assert!(visits < VISITS_MAX, "`{label}` is passed without end");
        }
        assert!(visits > 0, "`{label}` was not reached");
    }
}

/// Brings a killed `plan run` to its approval, and through it.
pub fn settle_start(scene: &Scene, runs_before: usize, base: &str) {
    if scene.runs() == runs_before {
        drop(scene.run(&["plan", "run", "witness.plan.yaml"]).exits(3));
    } else {
        drop(scene.run(&["run", "resume", "last"]).exits(3));
    }
    assert!(scene.env.read("note.txt").as_deref() == Some(base), "written before it was approved");
    drop(scene.run(&["approve", &scene.asked()]).exits(0));
    scene.assert_done_once(base);
}

/// Brings a killed `approve` or `run resume` to the run's end.
pub fn settle_approved(scene: &Scene, base: &str) {
    match scene.status().as_str() {
        "completed" => {}
        "requires_approval" if scene.show()["approvals"][0]["status"] == "waiting" => {
            drop(scene.run(&["approve", &scene.asked()]).exits(0));
        }
        _ => drop(scene.run(&["run", "resume", "last"]).exits(0)),
    }
    scene.assert_done_once(base);
}

/// More than a row of the journal holds, so that its contents become files.
fn large() -> String {
    format!("{}\n", "x".repeat(1_023)).repeat(1_100)
}

#[test]
fn a_run_killed_before_its_approval_ends_the_same() {
    let (scene, base) = (Scene::new(), large());
    let runs = std::cell::Cell::new(0);
    let start = |at: &str| {
        scene.env.write("note.txt", &base);
        runs.set(scene.runs());
        scene.run_until(&["plan", "run", "witness.plan.yaml"], at)
    };
    sweep(PLAN_RUN, 3, start, || settle_start(&scene, runs.get(), &base));
}

#[test]
fn a_run_killed_after_its_approval_has_one_effect() {
    let (scene, base) = (Scene::new(), large());
    let approve = |at: &str| {
        scene.env.write("note.txt", &base);
        let id = scene.stage(&[]);
        scene.run_until(&["approve", &id], at)
    };
    sweep(APPROVE, 0, approve, || settle_approved(&scene, &base));
}

#[test]
fn a_run_killed_again_while_it_resumes_has_one_effect() {
    let scene = Scene::new();
    let resume = |at: &str| {
        scene.env.write("note.txt", BASE);
        let id = scene.stage(&[]);
        assert_eq!(scene.run_until(&["approve", &id], "run:before-apply").signal, Some(9));
        scene.run_until(&["run", "resume", "last"], at)
    };
    sweep(RESUME, 0, resume, || settle_approved(&scene, BASE));
}

#[test]
fn an_undo_that_was_killed_is_finished_once() {
    let scene = Scene::new();
    let undo = |at: &str| {
        scene.env.write("note.txt", BASE);
        let id = scene.stage(&[]);
        drop(scene.run(&["approve", &id]).exits(0));
        scene.run_until(&["run", "undo", "last"], at)
    };
    let settle = || {
        if count(&scene.events("last"), "effects_undone") == 0 {
            drop(scene.run(&["run", "undo", "last"]).exits(0));
        }
        assert_eq!(scene.env.read("note.txt").as_deref(), Some(BASE));
        drop(scene.run(&["run", "undo", "last"]).exits(1).says("E-RUN-STATE"));
        assert_eq!(scene.env.read("note.txt").as_deref(), Some(BASE), "undone twice");
        let events = scene.events("last");
        assert_eq!((count(&events, "undo_intended"), count(&events, "effects_undone")), (1, 1), "{events:?}");
        scene.assert_clean();
    };
    sweep(UNDO, 0, undo, settle);
}

#[test]
fn an_installation_that_was_killed_is_before_or_after() {
    let scene = Scene::new();
    let pack = scene.pack();
    let before = std::cell::RefCell::new(String::new());
    let statement = || scene.json(&["pack", "list"])[0]["statement"].as_str().expect("a digest").to_owned();
    let install = |at: &str| {
        // A new statement, so that there is something to install.
        drop(scene.run(&["pack", "sign", &pack, "--key", "pack"]).exits(0));
        *before.borrow_mut() = statement();
        scene.run_until(&["pack", "install", &pack], at)
    };
    let settle = || {
        // Whichever of the two is installed, it is whole: its operations run.
        scene.env.write("note.txt", BASE);
        let id = scene.stage(&[]);
        drop(scene.run(&["approve", &id]).exits(0));
        assert_eq!(scene.env.read("note.txt"), Some(format!("{BASE}{EFFECT}")));
        drop(scene.run(&["pack", "install", &pack]).exits(0));
        assert_ne!(statement(), *before.borrow(), "the new statement is installed");
    };
    sweep(INSTALL, 0, install, settle);
}
