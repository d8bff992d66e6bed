//! `cargo xtask bench`: the figures of `tests/bench/README.md`, measured anew.
//!
//! Each figure is a ratio against the least that the same machine can do in the same run, in turn
//! with it; absolute times are of this machine and this minute.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::guest_compiler::Choice;
use crate::packs::{self, Built};
use crate::phase::{self, print, say};
use crate::tree::Tree;

/// Rounds of what is measured within one process.
const ROUNDS: &str = "10000";
/// Starts of the whole process.
const STARTS: usize = 200;
/// Rounds under the tracer that counts fsyncs.
const TRACED: &str = "1000";

/// Measures everything.
pub(crate) fn run(tree: &Tree) -> Result<(), Failure> {
    let built = packs::build(tree, Choice::FirstFound)?;
    phase::run("build the measurements", tree.cargo("build", ".").args(["--workspace", "--examples"]))?;
    let folder = tree.kept()?.join("bench");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Failure::cannot("clear the last measurement"))?;
    }
    fs::create_dir_all(&folder).map_err(Failure::cannot("make a folder"))?;
    let examples = tree.target().join("debug/examples");
    say(
        "\na fresh call, 1 KB of JSON in and out, all limits, against wasmtime alone, and in a worker process",
    );
    measure(Command::new(examples.join("fresh_call")).arg(ROUNDS).arg(built.capstan.program()))?;
    say("\nwhat a host call asks of its authority, and a component of a megabyte made ready");
    measure(Command::new(examples.join("checks_and_loads")).arg(folder.join("loads")))?;
    say("\na durable pure step against one commit with synchronous=FULL, in the same folder");
    measure(Command::new(examples.join("durable_step")).arg(folder.join("step")).arg(ROUNDS))?;
    fsyncs(&examples.join("durable_step"), &folder.join("traced"))?;
    say("\n`op call` from process start to result, the compiled code in the cache, and in a worker process");
    op_call(&built, &folder)
}

fn measure(command: &mut Command) -> Result<(), Failure> {
    let text = phase::output(command)?;
    text.lines().for_each(print);
    Ok(())
}

/// Counts the kernel's fsyncs of a run of steps, where a tracer is installed.
fn fsyncs(example: &Path, folder: &Path) -> Result<(), Failure> {
    let summary = folder.with_extension("strace");
    let mut command = Command::new("strace");
    command.args(["-f", "-c", "-e", "trace=fsync,fdatasync", "-o"]).arg(&summary);
    command.arg(example).arg(folder).arg(TRACED).stdout(Stdio::null()).stderr(Stdio::null());
    if !command.status().is_ok_and(|status| status.success()) {
        say("fsyncs were not counted: `strace` is not installed");
        return Ok(());
    }
    let text = fs::read_to_string(&summary).map_err(Failure::cannot("read what strace counted"))?;
    let calls: u64 = text
        .lines()
        .filter(|line| line.trim_end().ends_with("sync"))
        .filter_map(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok())
        .sum();
    // The example makes whole runs of 1,000 steps, and as many bare commits beside them.
    print(&format!("the kernel saw {calls} fsyncs for 2000 steps and 2000 bare commits"));
    Ok(())
}

fn op_call(built: &Built, folder: &Path) -> Result<(), Failure> {
    let home = folder.join("home");
    let capstan = |words: &[&str]| {
        let mut command = Command::new(built.capstan.program());
        command.arg("--home").arg(&home).args(words).current_dir(folder).stdin(Stdio::null());
        command
    };
    let text = built.pack("text")?;
    let text = text.to_str().ok_or_else(|| Failure::new("a path is not UTF-8"))?;
    phase::output(&mut capstan(&["init"]))?;
    phase::output(&mut capstan(&["pack", "install", text, "--trust", &built.fingerprint]))?;
    let settings = home.join("config.toml");
    let text = fs::read_to_string(&settings).map_err(Failure::cannot("read settings"))?;
    let isolate = |place: &str| {
        let text = format!("isolation = \"{place}\"\n{text}");
        fs::write(&settings, text).map_err(Failure::cannot("write settings"))
    };
    let call = ["op", "call", "capstan:text/words.count", r#"{"text": "one two"}"#];
    let [mut starts, mut threads, mut processes] = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..STARTS {
        isolate("thread")?;
        threads.push(timed(&mut capstan(&call))?);
        isolate("process")?;
        processes.push(timed(&mut capstan(&call))?);
        starts.push(timed(&mut capstan(&["--version"]))?);
    }
    print(&row("start alone", &mut starts));
    print(&row("on a thread", &mut threads));
    print(&row("in a worker", &mut processes));
    Ok(())
}

fn timed(command: &mut Command) -> Result<Duration, Failure> {
    let started = Instant::now();
    phase::output(command)?;
    Ok(started.elapsed())
}

fn row(name: &str, times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |of_hundred: usize| {
        times.get(times.len() * of_hundred / 100).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    format!("{name:<12} n {:<6} p50 {:8.1} ms   p99 {:8.1} ms", times.len(), at(50), at(99))
}
