//! Somebody else writes the target in between: nothing of theirs is overwritten.

use crate::scene::{BASE, EFFECT, Scene, count};

const THEIRS: &str = "somebody else's\n";

#[test]
fn a_target_changed_between_staging_and_approving_is_staged_again() {
    let scene = Scene::new();
    let old = scene.stage(&[]);
    scene.env.write("note.txt", THEIRS);
    drop(scene.run(&["approve", &old]).exits(3).says("workspace:note.txt"));
    assert_eq!(scene.env.read("note.txt").as_deref(), Some(THEIRS));
    let events = scene.events("last");
    assert_eq!((count(&events, "effects_stale"), count(&events, "approval_consumed")), (1, 0), "{events:?}");
    // The old approval is void, and says why; the new one is for what is there now.
    drop(scene.run(&["approve", &old]).exits(4).says("E-APPROVAL-STALE").says("workspace:note.txt"));
    let shown = scene.json(&["approval", "show", &old]);
    assert_eq!((&shown["status"], &shown["changes"][0]["path"]), (&"stale".into(), &"note.txt".into()));
    let new = scene.asked();
    assert_ne!(new, old);
    drop(scene.run(&["approve", &new]).exits(0));
    assert_eq!(scene.env.read("note.txt"), Some(format!("{THEIRS}{EFFECT}")));
}

#[test]
fn a_target_removed_between_staging_and_approving_is_not_made_again() {
    let scene = Scene::new();
    let id = scene.stage(&[]);
    std::fs::remove_file(scene.env.work().join("note.txt")).expect("the file goes");
    let outcome = scene.run(&["approve", &id]).says("workspace:note.txt");
    assert_eq!(scene.env.read("note.txt"), None, "{}", outcome.said());
    assert_ne!(outcome.code, Some(0));
}

#[test]
fn a_target_changed_after_the_intent_is_a_conflict() {
    let scene = Scene::new();
    let id = scene.stage(&[]);
    assert_eq!(scene.run_until(&["approve", &id], "run:before-apply").signal, Some(9));
    scene.env.write("note.txt", THEIRS);
    drop(scene.run(&["run", "resume", "last"]).exits(3).says("E-EFFECT-CONFLICT").says("workspace:note.txt"));
    assert_eq!(scene.env.read("note.txt").as_deref(), Some(THEIRS));
    let events = scene.events("last");
    for (kind, times) in [("effects_conflicted", 1), ("run_yielded", 1), ("effects_applied", 0)] {
        assert_eq!(count(&events, kind), times, "{kind} in {events:?}");
    }
    let view = scene.show();
    assert_eq!(
        (&view["status"], &view["steps"][1]["status"]),
        (&"yielded".into(), &"conflict".into()),
        "{view:#}"
    );
    // Once the target is as it was, the same intent is carried out.
    scene.env.write("note.txt", BASE);
    drop(scene.run(&["run", "resume", "last"]).exits(0));
    assert_eq!(scene.env.read("note.txt"), Some(format!("{BASE}{EFFECT}")));
}

#[test]
fn a_target_changed_after_the_run_is_not_taken_back() {
    let scene = Scene::new();
    let id = scene.stage(&[]);
    drop(scene.run(&["approve", &id]).exits(0));
    scene.env.write("note.txt", THEIRS);
    drop(scene.run(&["run", "undo", "last"]).exits(1).says("E-EFFECT-CONFLICT").says("workspace:note.txt"));
    assert_eq!(scene.env.read("note.txt").as_deref(), Some(THEIRS));
    assert_eq!(count(&scene.events("last"), "undo_intended"), 0);
    scene.env.write("note.txt", format!("{BASE}{EFFECT}"));
    drop(scene.run(&["run", "undo", "last"]).exits(0));
    assert_eq!(scene.env.read("note.txt").as_deref(), Some(BASE));
}

#[test]
fn of_two_runs_that_stage_one_file_the_second_goes_stale() {
    let scene = Scene::new();
    let first = scene.stage(&["--input", "text=one\n"]);
    let second = scene.stage(&["--input", "text=two\n"]);
    drop(scene.run(&["approve", &first]).exits(0));
    drop(scene.run(&["approve", &second]).exits(3).says("workspace:note.txt"));
    assert_eq!(scene.env.read("note.txt"), Some(format!("{BASE}one\n")));
    drop(scene.run(&["approve", &second]).exits(4).says("E-APPROVAL-STALE"));
    let id = scene.asked();
    let shown = scene.run(&["approval", "show", &id]).exits(0).says(" one").says("+two");
    assert!(!shown.stdout.contains("+one"), "the first run's line is no longer new: {}", shown.stdout);
    drop(scene.run(&["approve", &id]).exits(0));
    assert_eq!(scene.env.read("note.txt"), Some(format!("{BASE}one\ntwo\n")));
}
