//! Guests in processes of their own: the same comes of every call, the process has nothing but its
//! socket, and none is left when its call is.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::env::finish;
use tests::{Env, program, repository, run_isolated};

use crate::guest::{call, install};

/// Long enough to look at a process, in milliseconds; the guest's limit is 4 s.
const WHILE: u64 = 3_000;
/// Layers of Landlock that the kernel has room for.
const LAYERS_MAX: u32 = 16;

/// What a guest can do and what it is refused does not depend on the process that it is in.
#[test]
fn every_outcome_is_the_same_in_a_process() {
    run_isolated(
        "process",
        &[
            "disclosure::",
            "effects::",
            "exec::confined::",
            "exec::contained::",
            "exec::orders::",
            "exec::scopes::",
            "folders::",
            "hostile_paths::",
            "http::",
            "lies::",
            "limits::",
            "mutants::",
            "odd_names::",
            "outside::",
            "own_home::",
            "races::",
            "tampering::",
        ],
    );
}

fn isolated() -> Env {
    let env = Env::with_home();
    env.isolate("process");
    install(&env, "limits", &["artifacts", "clock", "random"]);
    env
}

/// Starts a call and gives it with its worker, whose code is loaded.
fn begin(env: &Env, operation: &str, arguments: &Value) -> (Child, Worker) {
    let arguments = arguments.to_string();
    let words = ["op", "call", operation, &arguments, "--format", "json"];
    let child = env.command(words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut found = None;
    wait_for("the worker", || {
        found = Worker::of(child.id());
        found.is_some()
    });
    (child, found.unwrap())
}

/// A worker process, seen from outside.
struct Worker(u32);

impl Worker {
    /// The one with its code loaded that `parent` has, if any: it has put on both filters.
    fn of(parent: u32) -> Option<Self> {
        let all = fs::read_dir("/proc").unwrap().flatten();
        let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers.map(Self).find(|worker| {
            worker.status("PPid") == Some(parent.to_string())
                && worker.status("Seccomp_filters") == Some("2".to_owned())
        })
    }

    fn file(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.0)
    }

    fn status(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.file("status")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|value| value.trim().to_owned())
    }

    fn is_there(&self) -> bool {
        self.status("State").is_some_and(|state| !state.starts_with('Z'))
    }

    /// What its descriptors are.
    fn open(&self) -> Vec<String> {
        let open = fs::read_dir(self.file("fd")).unwrap().flatten();
        open.map(|entry| fs::read_link(entry.path()).unwrap().display().to_string()).collect()
    }
}

#[track_caller]
fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < limit, "{what} did not come");
        std::thread::yield_now();
    }
}

fn kill(number: u32) {
    assert!(Command::new("kill").args(["-9", &number.to_string()]).status().unwrap().success());
}

fn said(child: Child) -> Value {
    serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn a_worker_has_a_socket_and_nothing_else() {
    let env = isolated();
    let (child, worker) = begin(&env, "test:limits/spend.block", &json!({ "milliseconds": WHILE }));
    let nothing = "0000000000000000";
    for (name, value) in
        [("Seccomp", "2"), ("NoNewPrivs", "1"), ("CapEff", nothing), ("CapPrm", nothing), ("CapInh", nothing)]
    {
        assert_eq!(worker.status(name).as_deref(), Some(value), "{name}");
    }
    let (sockets, others): (Vec<_>, Vec<_>) =
        worker.open().into_iter().partition(|open| open.starts_with("socket:"));
    assert_eq!(sockets.len(), 1, "{sockets:?}");
    assert!(others.iter().all(|open| open.starts_with("/memfd:wasm-memory-image")), "{others:?}");
    assert_eq!(fs::read(worker.file("environ")).unwrap(), b"");
    assert_eq!(fs::read_link(worker.file("cwd")).unwrap(), Path::new("/"));
    assert_ne!(worker.status("NSpid"), None);
    assert_eq!(said(child)["outcome"], "returned");
    assert!(!worker.is_there(), "it is gone before its call's process is");
}

#[test]
fn a_killed_worker_ends_its_call_and_no_other() {
    let env = isolated();
    let (child, worker) = begin(&env, "test:limits/spend.block", &json!({ "milliseconds": WHILE }));
    kill(worker.0);
    let said = said(child);
    assert_eq!((said["outcome"].as_str(), said["reason"].as_str()), (Some("trapped"), Some("worker")));
    assert_eq!(said["error"]["code"], "E-CALL-TRAPPED");
    assert_eq!(call(&env, "test:limits/spend.fuel", &json!({ "rounds": 1 }))["outcome"], "returned");
}

/// It is in the middle of a call and looks at no socket.
#[test]
fn no_worker_outlives_a_process_that_is_killed() {
    let env = isolated();
    let started = Instant::now();
    let (mut child, worker) = begin(&env, "test:limits/spend.block", &json!({ "milliseconds": WHILE }));
    kill(child.id());
    child.wait().unwrap();
    wait_for("the worker's end", || !worker.is_there());
    let took = started.elapsed();
    assert!(took < Duration::from_millis(WHILE), "only the end of its call ended it: {took:?}");
}

#[test]
fn another_place_than_the_two_is_refused() {
    let env = isolated();
    env.isolate("elsewhere");
    let refused = env.json(["op", "call", "test:limits/spend.fuel", r#"{"rounds":1}"#]).exits(2);
    assert_eq!(refused.json()["error"]["code"], "E-CONFIG-MALFORMED", "{}", refused.said());
}

/// Compiles the program that runs others below layers of Landlock.
fn layers(env: &Env) -> std::path::PathBuf {
    let source = repository().join("tests/tests/sandbox/workers/layers.c");
    let path = env.folder().join("layers");
    assert!(Command::new("cc").arg("-o").args([&path, &source]).status().unwrap().success());
    path
}

#[test]
fn what_cannot_be_confined_is_not_run() {
    let env = isolated();
    let layers = layers(&env);
    let below = |count: u32, words: &[&str]| {
        let mut command = Command::new(&layers);
        command.arg(count.to_string()).arg(program()).arg("--home").arg(env.home()).args(words);
        finish(command.current_dir(env.work()).stdin(Stdio::null()))
    };
    let fuel = ["op", "call", "test:limits/spend.fuel", r#"{"rounds":1}"#, "--format", "json"];
    drop(below(LAYERS_MAX - 1, &fuel).exits(0));
    let refused = below(LAYERS_MAX, &fuel).exits(4);
    assert_eq!(refused.json()["error"]["code"], "E-ISOLATION-UNAVAILABLE", "{}", refused.said());
    drop(refused.says("Landlock").says("isolation = "));
    drop(below(LAYERS_MAX, &["doctor"]).exits(1).says("E-ISOLATION-UNAVAILABLE"));
    // Whoever does not ask for it is not refused.
    env.isolate("thread");
    drop(below(LAYERS_MAX, &fuel).exits(0));
    drop(below(LAYERS_MAX, &["doctor"]).exits(0).says("no guest can be isolated"));
}

#[test]
fn doctor_says_where_guests_run_and_what_they_cannot_do_there() {
    let env = isolated();
    let doctor = env.run(["doctor"]).exits(0).says("guests run in confined processes of their own");
    for what in ["open a file", "make a file", "open a socket", "start a program", "start a thread"] {
        assert!(doctor.said().contains(&format!("a process for guests cannot {what}")), "{}", doctor.said());
    }
    env.isolate("thread");
    drop(env.run(["doctor"]).exits(0).says("guests run on threads"));
}
