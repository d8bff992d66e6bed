//! `cargo xtask demo`: the main job in five acts, on a clone of this clone.
//!
//! What `capstan` says of itself is not believed here: each act ends with one line of evidence
//! from outside it, from the file system, git or the kernel.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::capstan::Capstan;
use crate::failure::Failure;
use crate::packs::Built;
use crate::phase::{phase, print, say};
use crate::tree::Tree;
use crate::{guest_compiler, packs};

/// The plan that the demo runs.
const PLAN: &str = "packs/text/plans/codemap.plan.md";
/// What it writes.
const MAP: &str = "CODEMAP.md";
/// Exit codes of `capstan`, as its help documents them.
const DONE: i32 = 0;
const MALFORMED: i32 = 2;
const WAITING: i32 = 3;
const REFUSED: i32 = 4;

/// Plays the five acts.
pub(crate) fn run(tree: &Tree) -> Result<(), Failure> {
    let built = packs::build(tree, guest_compiler::Choice::FirstFound)?;
    let liar = packs::build_liar(tree, &built)?;
    let stage = phase("clone this repository", || Stage::set(tree, &built))?;
    let started = Instant::now();
    let facts = play(&stage, &built, &liar)?;
    say("");
    print(&format!(
        "demo: 5 acts in {:.1} s, {} sandboxed calls at {:.0} calls/s, peak memory {} MiB",
        started.elapsed().as_secs_f64(),
        facts.calls,
        facts.calls_per_second,
        facts.peak_kib / 1024
    ));
    Ok(())
}

/// What the map's run measured.
struct Facts {
    calls: u64,
    calls_per_second: f64,
    peak_kib: u64,
}

fn play(stage: &Stage<'_>, built: &Built, liar: &Path) -> Result<Facts, Failure> {
    act_one(stage, built, liar)?;
    act_two(stage)?;
    let facts = act_three(stage)?;
    act_four(stage)?;
    act_five(stage)?;
    Ok(facts)
}

/// The clone that the acts play in, with a home of its own.
struct Stage<'a> {
    capstan: &'a Capstan,
    folder: PathBuf,
    clone: PathBuf,
    home: PathBuf,
}

impl<'a> Stage<'a> {
    fn set(tree: &Tree, built: &'a Built) -> Result<Self, Failure> {
        let folder = tree.kept()?.join("demo");
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(Failure::cannot("clear the last demo"))?;
        }
        fs::create_dir_all(&folder).map_err(Failure::cannot("make the demo's folder"))?;
        let clone = folder.join("clone");
        let mut git = tree.command("git");
        git.args(["clone", "--quiet", "--local", "."]).arg(&clone);
        expect("git clone", &git.output().map_err(Failure::cannot("start git"))?, DONE)?;
        Ok(Self { capstan: &built.capstan, home: folder.join("home"), folder, clone })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.capstan.program());
        command.arg("--home").arg(&self.home).args(words).current_dir(&self.clone).stdin(Stdio::null());
        command
    }

    /// Runs `capstan`, shows what it was asked and what it said, and holds it to `exit`.
    fn capstan(&self, words: &[&str], exit: i32) -> Result<String, Failure> {
        say(&format!("$ capstan {}", words.join(" ")));
        let output = self.command(words).output().map_err(Failure::cannot("start capstan"))?;
        expect(&format!("capstan {}", words.join(" ")), &output, exit)
    }

    /// How many files the pack store holds.
    fn stored(&self) -> usize {
        fs::read_dir(self.home.join("store/sha256")).map_or(0, |entries| entries.flatten().count())
    }

    fn map(&self) -> PathBuf {
        self.clone.join(MAP)
    }

    fn git_status(&self) -> Result<String, Failure> {
        let mut git = Command::new("git");
        git.arg("-C").arg(&self.clone).args(["status", "--porcelain"]);
        expect("git status", &git.output().map_err(Failure::cannot("start git"))?, DONE)
    }
}

fn act_one(stage: &Stage<'_>, built: &Built, liar: &Path) -> Result<(), Failure> {
    act("i", "forged packs are refused, the genuine ones install");
    stage.capstan(&["init"], DONE)?;
    let tampered = stage.folder.join("tampered");
    copy_pack(&built.pack("files")?, &tampered)?;
    flip_a_byte(&tampered.join("component.wasm"))?;
    let said =
        stage.capstan(&["pack", "install", text(&tampered)?, "--trust", &built.fingerprint], REFUSED)?;
    contains(&said, "E-FILE-DIGEST")?;
    let said = stage.capstan(&["pack", "install", text(liar)?, "--trust", &built.fingerprint], REFUSED)?;
    contains(&said, "E-IMPORT-UNDECLARED")?;
    let before = stage.stored();
    let grants = ["--grant", "files-read=workspace:**", "--grant", "files-write=workspace:CODEMAP.md"];
    let files = built.pack("files")?;
    let install = ["pack", "install", text(&files)?, "--trust", &built.fingerprint];
    stage.capstan(&[&install[..], &grants[..]].concat(), DONE)?;
    let packs = built.pack("text")?;
    stage.capstan(&["pack", "install", text(&packs)?, "--trust", &built.fingerprint], DONE)?;
    evidence(&format!("the store held {before} files after the forgeries and holds {} now", stage.stored()));
    require(before == 0, "a refused pack left files in the store")
}

fn act_two(stage: &Stage<'_>) -> Result<(), Failure> {
    act("ii", "a misspelt operation is found before anything runs");
    let text = fs::read_to_string(stage.clone.join(PLAN)).map_err(Failure::cannot("read the plan"))?;
    let wrong = stage.folder.join("wrong.plan.md");
    fs::write(&wrong, text.replace("files/tree.list", "files/tree.lst"))
        .map_err(Failure::cannot("write a plan"))?;
    let said = stage.capstan(&["plan", "check", self::text(&wrong)?], MALFORMED)?;
    contains(&said, "E-PLAN-OPERATION")?;
    contains(&said, "tree.list")?;
    stage.capstan(&["plan", "check", PLAN], DONE)?;
    let line = text.lines().position(|line| line.contains("files/tree.list")).map_or(0, |line| line + 1);
    contains(&said, &format!(":{line}:"))?;
    evidence(&format!("the text has `files/tree.list` in line {line}, and that is the line that was named"));
    Ok(())
}

fn act_three(stage: &Stage<'_>) -> Result<Facts, Failure> {
    act("iii", "a map of every Rust source, made by sandboxed calls");
    say(&format!("$ capstan plan run {PLAN}"));
    let started = Instant::now();
    let (output, peak_kib) = with_peak(&mut stage.command(&["plan", "run", PLAN]))?;
    let seconds = started.elapsed().as_secs_f64();
    let said = expect("capstan plan run", &output, WAITING)?;
    let calls =
        number_before(&said, " calls,").ok_or_else(|| Failure::new("the run tells no number of calls"))?;
    let calls_per_second = f64::from(u32::try_from(calls).unwrap_or(u32::MAX)) / seconds;
    evidence(&format!(
        "{calls} calls in {seconds:.2} s of the whole process, {calls_per_second:.0} calls/s; the kernel saw it peak at {} MiB",
        peak_kib / 1024
    ));
    require(calls > 200, "the map took fewer calls than there are sources")?;
    Ok(Facts { calls, calls_per_second, peak_kib })
}

fn act_four(stage: &Stage<'_>) -> Result<(), Failure> {
    act("iv", "the write waits; a target that changed is noticed; a kill loses nothing");
    require(!stage.map().exists(), "the map was written before it was approved")?;
    let said = stage.capstan(&["approval", "show", "last"], DONE)?;
    contains(&said, "+++ b/workspace/CODEMAP.md")?;
    say("  somebody creates CODEMAP.md meanwhile");
    fs::write(stage.map(), "mine\n").map_err(Failure::cannot("create the file"))?;
    let said = stage.capstan(&["approve", "last"], WAITING)?;
    contains(&said, "E-APPROVAL-STALE")?;
    let theirs = fs::read_to_string(stage.map()).map_err(Failure::cannot("read the file"))?;
    require(theirs == "mine\n", "the file that somebody created was overwritten")?;
    say("  they remove it again");
    fs::remove_file(stage.map()).map_err(Failure::cannot("remove the file"))?;
    stage.capstan(&["approve", "last"], WAITING)?;
    say("  approved again, and the host is killed between intent and apply");
    let mut command = stage.command(&["approve", "last"]);
    let output = command
        .env("CAPSTAN_KILL_AT", "run:before-apply")
        .output()
        .map_err(Failure::cannot("start capstan"))?;
    require(output.status.signal() == Some(9), "the host was not killed")?;
    require(!stage.map().exists(), "the file is there although the host was killed before it applied")?;
    stage.capstan(&["run", "resume", "last"], DONE)?;
    let lines = fs::read_to_string(stage.map()).map_err(Failure::cannot("read the map"))?.lines().count();
    evidence(&format!(
        "signal 9 ended the host with no {MAP} on disk; after `run resume` it has {lines} lines"
    ));
    Ok(())
}

fn act_five(stage: &Stage<'_>) -> Result<(), Failure> {
    act("v", "git is the witness");
    let status = stage.git_status()?;
    require(status == format!("?? {MAP}\n"), &format!("git sees more than the map: {status}"))?;
    stage.capstan(&["run", "undo", "last"], DONE)?;
    let after = stage.git_status()?;
    require(after.is_empty(), &format!("git still sees something after the undo: {after}"))?;
    evidence(&format!("`git status --porcelain` showed `{}`, and nothing after the undo", status.trim()));
    Ok(())
}

fn act(number: &str, title: &str) {
    say(&format!("\n--- act {number}: {title}"));
}

fn evidence(line: &str) {
    print(&format!("evidence: {line}"));
}

fn require(holds: bool, otherwise: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::new(otherwise)) }
}

fn contains(said: &str, wanted: &str) -> Result<(), Failure> {
    require(said.contains(wanted), &format!("expected `{wanted}` in:\n{said}"))
}

/// What the program said, if it ended with `exit`.
fn expect(what: &str, output: &Output, exit: i32) -> Result<String, Failure> {
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for line in said.lines().take(14) {
        say(&format!("  {line}"));
    }
    let found = output.status.code();
    require(found == Some(exit), &format!("`{what}` ended with {found:?}, not {exit}:\n{said}"))?;
    Ok(said)
}

fn text(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| Failure::new(format!("`{}` is not UTF-8", path.display())))
}

fn number_before(said: &str, unit: &str) -> Option<u64> {
    let (before, _) = said.rsplit_once(unit)?;
    before.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn copy_pack(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to).map_err(Failure::cannot("make a folder"))?;
    for entry in fs::read_dir(from).map_err(Failure::cannot("list the pack"))?.flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_pack(&source, &target)?;
        } else {
            fs::copy(&source, &target).map_err(Failure::cannot("copy the pack"))?;
        }
    }
    Ok(())
}

fn flip_a_byte(path: &Path) -> Result<(), Failure> {
    let mut bytes = fs::read(path).map_err(Failure::cannot("read the component"))?;
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    fs::write(path, bytes).map_err(Failure::cannot("write the component"))
}

/// Runs a command and asks the kernel again and again for its peak resident memory, in KiB. The
/// last answer before it ends counts; the figure only ever grows.
fn with_peak(command: &mut Command) -> Result<(Output, u64), Failure> {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Failure::cannot("start capstan"))?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let (peak, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Acquire) {
                let text = fs::read_to_string(&status).unwrap_or_default();
                let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
                if let Some(kib) = line.and_then(|line| line.split_whitespace().next()?.parse().ok()) {
                    peak.fetch_max(kib, Ordering::AcqRel);
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let output = child.wait_with_output();
        ended.store(true, Ordering::Release);
        output
    });
    Ok((output.map_err(Failure::cannot("wait for capstan"))?, peak.load(Ordering::Acquire)))
}
