//! Compiling is bounded: what takes too much is refused, by a process that is killed for it.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::{Env, Outcome};

use crate::guest::{call, manifest, sign, wat_pack, with_test_key};

/// Longest wait for a process that was killed to be gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// A component that takes long to compile: straight-line code, `functions` times.
fn heavy(functions: usize) -> String {
    let step = |n: usize| {
        let (to, from, other) = (n % 4, (n + 1) % 4, (n + 2) % 4);
        format!("(local.set {to} (i32.add (i32.mul (local.get {from}) (i32.const {n})) (local.get {other})))")
    };
    let body: String = (0..4_000).map(step).collect();
    let all: String = (0..functions).map(|_| format!("(func (local i32 i32 i32 i32) {body})")).collect();
    format!(
        r#"(component (core module $M {all} (func (export "run") (result i32) (i32.const 7)))
        (core instance $m (instantiate $M))
        (func $run (result u32) (canon lift (core func $m "run")))
        (instance $ops (export "run" (func $run)))
        (export "test:heavy/ops@0.1.0" (instance $ops)))"#
    )
}

fn limit(env: &Env, compile: &str) {
    fs::write(env.home().join("config.toml"), format!("mode = \"solo\"\n[compile]\n{compile}\n")).unwrap();
}

/// Installs the component under these limits.
fn install(env: &Env, component: &str, compile: &str) -> Outcome {
    limit(env, compile);
    let folder = wat_pack(env, "heavy", component, &manifest("test:heavy", "ops.run"));
    sign(env, &folder, "test");
    env.run(["pack", "install", folder.to_str().unwrap()])
}

/// Address space, in bytes, that no other process is given: so its command line is known.
fn ample() -> u64 {
    (3 << 30) + u64::from(std::process::id()) * 4_096
}

/// Processes whose command line names [`ample`].
fn compiling() -> usize {
    let mark = ample().to_string();
    let is_ours = |entry: &fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == mark.as_bytes())
    };
    fs::read_dir("/proc").unwrap().flatten().filter(is_ours).count()
}

#[track_caller]
fn assert_nothing_left(env: &Env) {
    assert_eq!(env.json(["pack", "list"]).exits(0).json(), serde_json::json!([]));
    let start = Instant::now();
    while compiling() > 0 {
        assert!(start.elapsed() < PATIENCE, "a compiling process is left over");
    }
}

#[test]
fn a_component_within_the_limits_is_compiled() {
    let env = with_test_key();
    drop(install(&env, &heavy(1), "memory = \"3GiB\"\ncpu = \"60s\"\nwall = \"60s\"").exits(0));
    assert_eq!(call(&env, "test:heavy/ops.run", &serde_json::json!({}))["result"], 7);
}

#[test]
fn time_on_the_processor() {
    let env = with_test_key();
    let limits = format!("memory = \"{}\"\ncpu = \"1s\"", ample());
    drop(install(&env, &heavy(400), &limits).exits(4).says("E-COMPILE-LIMIT").says("1s on the processor"));
    assert_nothing_left(&env);
}

#[test]
fn wall_time() {
    let env = with_test_key();
    let limits = format!("memory = \"{}\"\nwall = \"300ms\"", ample());
    drop(install(&env, &heavy(400), &limits).exits(4).says("E-COMPILE-LIMIT").says("300ms of time"));
    assert_nothing_left(&env);
}

#[test]
fn memory() {
    let env = with_test_key();
    let outcome = install(&env, &heavy(1), "memory = \"16MiB\"").exits(4).says("E-COMPILE-LIMIT");
    drop(outcome.says("16MiB of memory").says("config.toml"));
    assert_nothing_left(&env);
}

/// The number that the kernel has for a bound of a process, if the process is there and has it.
fn bound(id: u32, name: &str) -> Option<u64> {
    let limits = fs::read_to_string(format!("/proc/{id}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[track_caller]
fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come");
    }
}

/// The process itself, while it waits for its component: what it was bounded to is the kernel's to say.
#[test]
fn the_process_has_no_files_no_core_and_no_way_to_outlive_its_host() {
    let memory = ample().to_string();
    let compile = ["internal", "compile", &memory, "60"];
    let mut child = Command::new(tests::program())
        .args(compile)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let has = |name: &str, most: u64| {
        wait_for(name, || bound(child.id(), name) == Some(most));
    };
    has("Max address space", ample());
    has("Max cpu time", 61);
    has("Max file size", 0);
    has("Max open files", 8);
    has("Max core file size", 0);
    let component = child.stdin.take();
    drop(component);
    child.wait().unwrap();
    // A shell stands for the host. What it started has its pipe as long as this test does.
    let mut host = Command::new("sh");
    host.args(["-c", "\"$@\"; true", "sh"]).arg(tests::program()).args(compile);
    let mut host = host.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let component = host.stdin.take();
    let compiler = || {
        let path = format!("/proc/{0}/task/{0}/children", host.id());
        fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
    };
    wait_for("the process", || compiler().is_some_and(|id| bound(id, "Max core file size") == Some(0)));
    let id: u32 = compiler().unwrap();
    host.kill().unwrap();
    host.wait().unwrap();
    wait_for("its end", || bound(id, "Max core file size").is_none());
    drop(component);
}

#[test]
fn a_damaged_entry_of_the_cache_is_compiled_within_the_limits_too() {
    let env = with_test_key();
    drop(install(&env, &heavy(1), "").exits(0));
    for entry in fs::read_dir(env.home().join("cache/code")).unwrap().flatten() {
        let mut bytes = fs::read(entry.path()).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(entry.path(), bytes).unwrap();
    }
    limit(&env, "memory = \"16MiB\"");
    drop(env.run(["op", "call", "test:heavy/ops.run", "{}"]).exits(4).says("E-COMPILE-LIMIT"));
    limit(&env, "");
    assert_eq!(call(&env, "test:heavy/ops.run", &serde_json::json!({}))["result"], 7);
}

#[test]
fn settings_that_are_none_are_refused() {
    let env = with_test_key();
    for (text, what) in [("memory = \"lots\"", "lots"), ("memroy = \"1GiB\"", "memroy"), ("cpu = 5", "cpu")] {
        limit(&env, text);
        let outcome = env.run(["doctor"]);
        drop(outcome.exits(1).says("config.toml").says(what));
        let folder = wat_pack(&env, "heavy", &heavy(1), &manifest("test:heavy", "ops.run"));
        sign(&env, &folder, "test");
        drop(env.run(["pack", "install", folder.to_str().unwrap()]).exits(2).says("E-CONFIG-MALFORMED"));
    }
}
