//! What a program that a pack may run can do: what its grant and the manual say, and no more.
//!
//! A program made for it tries everything else, first as it is, where it succeeds, then through the
//! pack. What came of it is seen from outside: in listeners, files, and the table of processes.

mod confined;
mod contained;
mod orders;
mod scopes;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{Env, isolation_line, repository};

use crate::guest::call;

/// The program that tries.
const HOSTILE: &str = "hostile";

/// Compiles the program, once.
fn hostile() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = repository().join("tests/tests/sandbox/exec/hostile.c");
        let path = std::env::temp_dir().join(format!("capstan-hostile-{}", std::process::id()));
        let done = Command::new("cc").args(["-O1", "-o"]).args([&path, &source]).status().unwrap();
        assert!(done.success());
        path
    })
}

/// A home whose `capstan:exec` may run what `grants` say, with the hostile program on the search path.
fn with_programs(grants: &[&str]) -> Env {
    let env = Env::with_home();
    let programs = env.folder().join("programs");
    fs::create_dir(&programs).unwrap();
    fs::copy(hostile(), programs.join(HOSTILE)).unwrap();
    configure(&env, "");
    let words: Vec<_> = grants.iter().flat_map(|grant| ["--grant", grant]).collect();
    env.install("packs/exec", &words);
    env
}

/// Sets the search path, and more of `[exec]`.
fn configure(env: &Env, more: &str) {
    let programs = env.folder().join("programs");
    let path = json!([programs, "/usr/local/bin", "/usr/bin", "/bin"]);
    let isolation = isolation_line();
    let text = format!("mode = \"solo\"\n{isolation}[exec]\npath = {path}\n{more}\n");
    fs::write(env.home().join("config.toml"), text).unwrap();
}

/// A home in which the hostile program may be run with any arguments.
fn with_hostile() -> Env {
    with_programs(&["exec=workspace:hostile **"])
}

/// Calls `program.run` and gives what `op call` says.
fn run(env: &Env, program: &str, arguments: &[&str]) -> Value {
    run_with(env, &json!({ "program": program, "arguments": arguments }))
}

fn run_with(env: &Env, command: &Value) -> Value {
    let mut command = command.clone();
    for option in ["stdin", "folder"] {
        if command.get(option).is_none() {
            command[option] = Value::Null;
        }
    }
    call(env, "capstan:exec/program.run", &json!({ "command": command }))
}

/// What a program printed that ran to its end.
#[track_caller]
fn printed(env: &Env, program: &str, arguments: &[&str]) -> String {
    let said = run(env, program, arguments);
    assert_eq!(said["result"]["success"], true, "{said:#}");
    said["result"]["stdout"].as_str().unwrap().to_owned()
}

/// The case of the failure of a call that was not run to its end.
#[track_caller]
fn reason(said: &Value) -> String {
    assert_eq!(said["outcome"], "failed", "{said:#}");
    match &said["result"]["reason"] {
        Value::String(case) => case.clone(),
        Value::Object(case) => case.keys().next().unwrap().clone(),
        other => panic!("{other}"),
    }
}

/// What the program prints when nothing holds it: the positive control.
fn unconfined(env: &Env, arguments: &[&str]) -> String {
    let mut command = Command::new(env.folder().join("programs").join(HOSTILE));
    let done = command.args(arguments).current_dir(env.work()).output().unwrap();
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// The value of the line `name: value`.
#[track_caller]
fn line<'a>(text: &'a str, name: &str) -> &'a str {
    let prefix = format!("{name}: ");
    text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_else(|| panic!("no `{name}`: {text}"))
}

/// The processes with `marker` among their arguments, other than the program that started them.
fn processes(marker: &str) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(words) = fs::read(entry.path().join("cmdline")) else { continue };
        let words: Vec<_> = words.split(|byte| *byte == 0).collect();
        if words.first().is_some_and(|name| name.ends_with(HOSTILE.as_bytes()))
            && words.contains(&marker.as_bytes())
        {
            found.insert(pid);
        }
    }
    found
}

/// Waits for a condition that must come.
#[track_caller]
fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < limit, "{what} did not come");
        std::thread::yield_now();
    }
}

/// Says past the test runner, which shows only what failing tests print, that a test did nothing.
fn skipped(test: &str, why: &str) {
    let line = format!("SKIPPED {test}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Makes a file that only its owner can read.
fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
