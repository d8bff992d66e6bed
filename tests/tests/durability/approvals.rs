//! An approval is for exactly what was shown, and is used once. Each refusal names what changed.

use tests::Outcome;

use crate::scene::{BASE, EFFECT, Scene, count};

/// Asserts that nothing was applied: the target is as it was, no approval was used up.
#[track_caller]
fn assert_untouched(scene: &Scene) {
    assert_eq!(scene.env.read("note.txt").as_deref(), Some(BASE));
    let events = scene.events("last");
    for kind in ["approval_consumed", "effects_intended", "effects_applied"] {
        assert_eq!(count(&events, kind), 0, "{kind} in {events:?}");
    }
}

/// Asserts that approving now stops the run, with the code and what changed.
#[track_caller]
fn assert_stops(scene: &Scene, id: &str, code: &str, names: &str) {
    drop(scene.run(&["approve", id]).exits(3).says(code).says(names));
    assert_untouched(scene);
    assert_eq!(scene.status(), "yielded");
}

#[test]
fn an_unchanged_approval_is_used_once() {
    let scene = Scene::new();
    let id = scene.stage(&[]);
    drop(scene.run(&["approve", &id]).exits(0));
    scene.assert_done_once(BASE);
    drop(scene.run(&["approve", &id]).exits(4).says("E-APPROVAL-CONSUMED"));
    drop(scene.run(&["run", "resume", "last"]).exits(1).says("E-RUN-STATE"));
    scene.assert_done_once(BASE);
}

#[test]
fn an_approval_that_nobody_asked_for_is_refused() {
    let scene = Scene::new();
    let id = scene.stage(&[]);
    for unknown in ["ffffffffffff", "not-an-id", ""] {
        let outcome: Outcome = scene.run(&["approve", unknown]);
        assert_eq!(outcome.code, Some(2), "exit code of `{unknown}`: {}", outcome.said());
    }
    drop(scene.run(&["approve", "ffffffffffff"]).exits(2).says("E-APPROVAL-UNKNOWN"));
    assert_untouched(&scene);
    drop(scene.run(&["approve", &id]).exits(0));
}

#[test]
fn an_approval_of_one_run_is_not_one_of_another() {
    let scene = Scene::new();
    scene.env.write("other.txt", BASE);
    let first = scene.stage(&["--input", "path=other.txt"]);
    let second = scene.stage(&[]);
    assert_ne!(first, second);
    drop(scene.run(&["approve", &first]).exits(0));
    assert_eq!(scene.env.read("other.txt"), Some(format!("{BASE}{EFFECT}")));
    assert_untouched(&scene);
    assert_eq!(scene.status(), "requires_approval");
    // Nor is it once it was used.
    drop(scene.run(&["approve", &first]).exits(4).says("E-APPROVAL-CONSUMED"));
    assert_untouched(&scene);
    drop(scene.run(&["approve", &second]).exits(0));
    scene.assert_done_once(BASE);
}

#[test]
fn two_runs_of_the_same_plan_ask_for_different_approvals() {
    let scene = Scene::new();
    let first = scene.stage(&[]);
    drop(scene.run(&["run", "cancel", "last"]).exits(0));
    assert_eq!(count(&scene.events("last"), "run_cancelled"), 1);
    let second = scene.stage(&[]);
    assert_ne!(first, second, "an approval is bound to its run");
    drop(scene.run(&["approve", &first]).exits(1).says("E-RUN-STATE"));
    assert_untouched(&scene);
}

#[test]
fn a_rejected_approval_cannot_be_approved() {
    let scene = Scene::new();
    let id = scene.stage(&[]);
    drop(scene.run(&["reject", &id, "--reason", "not this"]).exits(0).says("not this"));
    assert_eq!(scene.status(), "failed");
    drop(scene.run(&["approve", &id]).exits(1).says("E-APPROVAL-REJECTED"));
    assert_untouched(&scene);
    let events = scene.events("last");
    for kind in ["approval_rejected", "run_failed"] {
        assert_eq!(count(&events, kind), 1, "{kind} in {events:?}");
    }
}

#[test]
fn a_pack_signed_again_stops_the_run() {
    let scene = Scene::new();
    let id = scene.stage(&[]);
    drop(scene.run(&["pack", "sign", &scene.pack(), "--key", "pack"]).exits(0));
    drop(scene.run(&["pack", "install", &scene.pack()]).exits(0));
    assert_stops(&scene, &id, "E-APPROVAL-STALE", "pack `capstan:files`");
}

#[test]
fn changed_grants_stop_the_run() {
    let scene = Scene::new();
    let id = scene.stage(&[]);
    drop(scene.run(&["grant", "remove", "capstan:files", "files-write=workspace:**"]).exits(0));
    drop(scene.run(&["grant", "add", "capstan:files", "files-write=workspace:*.txt"]).exits(0));
    drop(scene.run(&["approve", &id]).exits(3).says("E-APPROVAL-STALE"));
    assert_untouched(&scene);
    // What it would reach now is what it has to be asked for again.
    let reason = scene.show()["reason"].clone();
    assert_eq!(reason["code"], "E-APPROVAL-STALE", "{reason:#}");
}

#[test]
fn withdrawn_grants_refuse_the_run() {
    let scene = Scene::new();
    let id = scene.stage(&[]);
    drop(scene.run(&["grant", "remove", "capstan:files", "files-write=workspace:**"]).exits(0));
    for words in [&["approve", &id][..], &["run", "resume", "last"]] {
        drop(scene.run(words).exits(4).says("E-RUN-STALE").says("E-PLAN-GRANT").says("grant add"));
    }
    assert_untouched(&scene);
    // What was refused is no yes that waits for better times.
    assert_eq!(count(&scene.events("last"), "approval_granted"), 0);
    drop(scene.run(&["grant", "add", "capstan:files", "files-write=workspace:**"]).exits(0));
    drop(scene.run(&["run", "resume", "last"]).exits(3));
    assert_untouched(&scene);
    drop(scene.run(&["approve", &id]).exits(0));
    scene.assert_done_once(BASE);
}

/// Edits a file of the home.
fn edit(scene: &Scene, name: &str, from: &str, to: &str) {
    let path = scene.env.home().join(name);
    let text = std::fs::read_to_string(&path).expect("the file is there");
    std::fs::write(&path, text.replace(from, to)).expect("the file can be written");
}

#[test]
fn grants_that_ended_meanwhile_refuse_the_run() {
    let scene = Scene::new();
    let id = scene.stage(&[]);
    edit(&scene, "grants.toml", "signer =", "expires = 2001-01-01T00:00:00Z\nsigner =");
    for words in [&["approve", &id][..], &["run", "resume", "last"]] {
        let said = scene.run(words).exits(4).says("E-RUN-STALE").says("E-PLAN-GRANT");
        drop(said.says("the grant has expired"));
    }
    assert_untouched(&scene);
    assert_eq!(count(&scene.events("last"), "approval_granted"), 0);
    edit(&scene, "grants.toml", "expires = 2001", "expires = 2901");
    drop(scene.run(&["approve", &id]).exits(0));
    scene.assert_done_once(BASE);
}

#[test]
fn one_of_two_grants_that_ended_meanwhile_makes_the_approval_stale() {
    let scene = Scene::new();
    let more = ["grant", "add", "capstan:files", "files-write=workspace:*.txt", "--expires", "1d"];
    drop(scene.run(&more).exits(0));
    let id = scene.stage(&[]);
    let text = std::fs::read_to_string(scene.env.home().join("grants.toml")).expect("there are grants");
    let line = text.lines().find(|line| line.starts_with("expires")).expect("one ends");
    edit(&scene, "grants.toml", line, "expires = 2001-01-01T00:00:00Z");
    assert_stops(&scene, &id, "E-APPROVAL-STALE", "authority");
}

#[test]
fn a_ceiling_that_came_meanwhile_makes_the_approval_stale() {
    let scene = Scene::new();
    let id = scene.stage(&[]);
    let ceiling = "[ceiling]\nfiles-read = true\nfiles-write = [\"workspace:**\"]\n";
    edit(&scene, "config.toml", "mode = \"solo\"", &format!("mode = \"solo\"\n{ceiling}"));
    assert_stops(&scene, &id, "E-APPROVAL-STALE", "authority");
}

#[test]
fn a_run_that_cannot_go_on_can_be_rejected() {
    let scene = Scene::new();
    let id = scene.stage(&[]);
    drop(scene.run(&["pack", "uninstall", "capstan:files"]).exits(0));
    drop(scene.run(&["approve", &id]).exits(4).says("E-RUN-STALE").says("E-PLAN-PACK"));
    drop(scene.run(&["reject", &id, "--reason", "no use"]).exits(0));
    assert_eq!(scene.status(), "cancelled");
    let events = scene.events("last");
    assert_eq!(
        (count(&events, "approval_granted"), count(&events, "approval_rejected")),
        (0, 1),
        "{events:?}"
    );
    assert_untouched(&scene);
}

#[test]
fn another_folder_in_the_workspace_s_place_stops_the_run() {
    let scene = Scene::new();
    let id = scene.stage(&[]);
    let (work, aside) = (scene.env.work(), scene.env.folder().join("aside"));
    std::fs::rename(&work, &aside).expect("the workspace moves");
    crate::scene::copy(&aside, &work);
    assert_stops(&scene, &id, "E-APPROVAL-STALE", "root `workspace`");
    std::fs::remove_dir_all(&work).expect("the copy goes");
    std::fs::rename(&aside, &work).expect("the workspace comes back");
    drop(scene.run(&["run", "resume", "last"]).exits(0));
    scene.assert_done_once(BASE);
}
