//! Two processes, and Ctrl-C.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tests::env::finish;

use crate::scene::{BASE, Scene, count};

/// Blocks for real: long enough to be found at work, however slow the machine is.
const LONG: &str = "\
schema: capstan.plan/v1
name: long
packs: { limits: test:limits ^0.1 }
inputs:
  times: { type: list<u64>, default: [1, 3500, 3500] }
steps:
  wait: { for-each: $inputs.times, max-parallel: 1, call: limits/spend.block, with: { milliseconds: $item } }
outputs: { waited: $wait }
";

/// Longest wait for another process to get somewhere.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts the long plan and waits until its first item is recorded.
fn start_long(scene: &Scene) -> Child {
    scene.env.write("long.plan.yaml", LONG);
    let mut command = scene.env.command(["plan", "run", "long.plan.yaml"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let start = Instant::now();
    while !scene.run(&["run", "events", "last"]).stdout.contains("step_completed") {
        assert!(start.elapsed() < PATIENCE, "no item completed");
    }
    child
}

fn send(signal: &str, child: &Child) {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("kill -{signal} {}", child.id())]);
    drop(finish(&mut command).exits(0));
}

#[test]
fn ctrl_c_leaves_a_run_that_resumes_and_nobody_else_drives_it_meanwhile() {
    ends_resumable("INT");
}

#[test]
fn a_supervisor_s_signal_leaves_a_run_that_resumes() {
    ends_resumable("TERM");
}

#[test]
fn a_terminal_that_goes_away_leaves_a_run_that_resumes() {
    ends_resumable("HUP");
}

fn ends_resumable(signal: &str) {
    let scene = Scene::new();
    let child = start_long(&scene);
    let view = scene.show();
    assert_eq!((&view["status"], &view["live"]), (&"running".into(), &true.into()), "{view:#}");
    assert_eq!(view["next_actions"], serde_json::json!([]), "nobody else can go on with it");
    drop(scene.run(&["run", "resume", "last"]).exits(1).says("E-RUN-BUSY"));
    drop(scene.run(&["run", "cancel", "last"]).exits(1).says("E-RUN-BUSY"));
    send(signal, &child);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(130), "exit code; it said: {said}");
    assert!(said.contains("capstan run resume"), "it says how to go on: {said}");
    assert!(said.contains("interrupted"), "{said}");
    assert_eq!(scene.show()["live"], false);
    let resumed = scene.env.json(["run", "resume", "last"]).exits(0).json();
    assert_eq!(resumed["status"], "completed", "{resumed:#}");
    let events = scene.events("last");
    assert_eq!((count(&events, "step_completed"), count(&events, "fan_out_expanded")), (3, 1), "{events:?}");
    assert_eq!((count(&events, "run_claimed"), count(&events, "run_failed")), (2, 0), "{events:?}");
}

#[test]
fn two_processes_that_approve_at_once_have_one_effect() {
    let scene = Scene::new();
    for _ in 0..5 {
        scene.env.write("note.txt", BASE);
        let id = scene.stage(&[]);
        let spawn = || {
            let mut command = scene.env.command(["approve", &id]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
        };
        let children = [spawn(), spawn()];
        let mut done = 0;
        for child in children {
            let output = child.wait_with_output().expect("it ends");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            match output.status.code() {
                Some(0) => done += 1,
                Some(1) => assert!(said.contains("E-RUN-BUSY") || said.contains("E-RUN-STATE"), "{said}"),
                Some(4) => assert!(said.contains("E-APPROVAL-CONSUMED"), "{said}"),
                code => panic!("exit code {code:?}: {said}"),
            }
        }
        // The second may also come when the first has finished, and find the run completed.
        assert!(done >= 1, "one of them did it");
        scene.assert_done_once(BASE);
    }
}
