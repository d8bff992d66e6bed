//! That nothing of a program is left when its call is over, and that it takes no more than it may.

use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::Env;

use super::{HOSTILE, configure, printed, processes, reason, run, unconfined, wait_for, with_hostile};

/// What the manual says of processes, with what it is vague by.
const TASKS_MAX: usize = 256 + 300;

/// As many as show that it went on until it was held.
const TASKS_MIN: usize = 128;

/// An argument that no other process has.
fn marker(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

/// Runs `act` and gives the most processes with the marker that were there meanwhile.
fn most(marker: &str, act: impl FnOnce()) -> usize {
    let (done, most) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                most.fetch_max(processes(marker).len(), Ordering::Relaxed);
            }
        });
        act();
        done.store(true, Ordering::Relaxed);
    });
    most.into_inner()
}

#[test]
fn a_fork_bomb_ends_with_its_call() {
    let env = with_hostile();
    let marker = marker("bomb");
    let seen = most(&marker, || {
        let said = run(&env, HOSTILE, &["bomb", &marker]);
        assert_eq!(said["result"]["success"], true, "{said:#}");
    });
    assert!((TASKS_MIN..=TASKS_MAX).contains(&seen), "{seen}");
    assert_eq!(processes(&marker).len(), 0);
    // And the next one is as free as the first.
    printed(&env, HOSTILE, &["self"]);
}

#[test]
fn a_daemon_does_not_outlive_its_call() {
    let env = with_hostile();
    let marker = marker("daemon");
    assert_eq!(unconfined(&env, &["daemon", &marker]), "left one behind\n");
    let left = processes(&marker);
    assert_eq!(left.len(), 1, "it does outlive its parent where nothing holds it");
    for pid in left {
        assert!(
            std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success()
        );
    }
    wait_for("the end of the daemon", || processes(&marker).is_empty());
    assert_eq!(printed(&env, HOSTILE, &["daemon", &marker]), "left one behind\n");
    assert_eq!(processes(&marker).len(), 0);
}

/// Starts `words`, waits for the program in it, sends a signal, and gives how long the program was
/// still there.
fn interrupted(env: &Env, words: &[String], marker: &str, signal: &str) -> Duration {
    let mut child = env.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the program", || processes(marker).len() == 2);
    let kill = [signal, &child.id().to_string()];
    assert!(std::process::Command::new("kill").args(kill).status().unwrap().success());
    let sent = Instant::now();
    wait_for("the end of the program", || processes(marker).is_empty());
    let took = sent.elapsed();
    child.wait().unwrap();
    took
}

/// The same where it is not the program that ends the call.
#[test]
fn an_interrupted_call_leaves_no_process() {
    let env = with_hostile();
    for (name, signal, is_run) in
        [("interrupted", "-INT", false), ("killed", "-KILL", false), ("stopped", "-INT", true)]
    {
        let marker = marker(name);
        let command =
            json!({ "program": HOSTILE, "arguments": ["sleep", marker], "stdin": null, "folder": null });
        let plan = env.folder().join("sleep.plan.yaml");
        let text = json!({
            "schema": "capstan.plan/v1",
            "name": "sleep",
            "packs": { "p": "capstan:exec ^0.1" },
            "steps": { "one": { "call": "p/program.run", "with": { "command": command } } },
            "outputs": { "found": "$one" },
        });
        fs::write(&plan, text.to_string()).unwrap();
        let command = json!({ "command": command }).to_string();
        let words = match is_run {
            true => ["plan", "run", plan.to_str().unwrap(), "--no-prompt"],
            false => ["op", "call", "capstan:exec/program.run", &command],
        };
        let words = words.map(ToOwned::to_owned);
        // One of three: a busy machine may be slow once.
        let took = (0..3).map(|_| interrupted(&env, &words, &marker, signal)).min().unwrap();
        assert!(took < Duration::from_millis(200), "{name}: {took:?}");
    }
}

#[test]
fn a_program_that_takes_too_long_is_ended() {
    let env = with_hostile();
    configure(&env, "wall = \"1s\"");
    let marker = marker("long");
    let started = Instant::now();
    assert_eq!(reason(&run(&env, HOSTILE, &["sleep", &marker])), "timeout");
    assert!(started.elapsed() > Duration::from_secs(1));
    assert_eq!(processes(&marker).len(), 0);
    configure(&env, "cpu = \"1s\"");
    let said = run(&env, HOSTILE, &["spin"]);
    assert_eq!(said["result"]["signal"], 9, "{said:#}");
}

#[test]
fn output_is_taken_up_to_its_limit() {
    let env = with_hostile();
    configure(&env, "output = \"1MiB\"");
    let all = printed(&env, HOSTILE, &["flood", &(1 << 20).to_string()]);
    assert_eq!(all.len(), 1 << 20);
    assert_eq!(reason(&run(&env, HOSTILE, &["flood", &((1 << 20) + 1).to_string()])), "too-large");
    // As much as would fill this machine's memory, without a limit below the call's own.
    configure(&env, "output = \"1GiB\"");
    let (peak, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let flood = json!({ "command": { "program": HOSTILE, "arguments": ["flood", (1 << 30).to_string()], "stdin": null, "folder": null } });
    let words = ["op", "call", "capstan:exec/program.run", &flood.to_string(), "--format", "json"];
    let child = env.command(words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let output = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let text = fs::read_to_string(&status).unwrap_or_default();
                let kib = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
                let kib = kib.and_then(|kib| kib.trim_end_matches("kB").trim().parse().ok()).unwrap_or(0);
                peak.fetch_max(kib, Ordering::Relaxed);
            }
        });
        let output = child.wait_with_output().unwrap();
        done.store(true, Ordering::Relaxed);
        output
    });
    assert_eq!(reason(&serde_json::from_slice(&output.stdout).unwrap()), "too-large");
    let peak = peak.into_inner();
    assert!((1..256 << 10).contains(&peak), "{peak} KiB");
}

#[test]
fn memory_and_its_folder_are_bounded() {
    let env = with_hostile();
    configure(&env, "memory = \"1GiB\"\nscratch = \"16MiB\"");
    let mebibytes: u64 = printed(&env, HOSTILE, &["memory"]).trim().parse().unwrap();
    assert!((512..=1024).contains(&mebibytes), "{mebibytes}");
    assert_eq!(printed(&env, HOSTILE, &["fill"]), "16 ENOSPC\n");
    let files: u32 = printed(&env, HOSTILE, &["files"]).trim().parse().unwrap();
    assert!((16_000..16_384).contains(&files), "{files}");
    // Nothing of it is found by the next.
    assert_eq!(printed(&env, HOSTILE, &["fill"]), "16 ENOSPC\n");
}
