//! Components that somebody broke: bits, lengths and whole instructions changed, or made up from
//! nothing. Half of them are signed again by a trusted key, so that they get past the envelope, to
//! the validator, the compiler and the call. Each is refused for a reason, or runs within its limits.
//!
//! 500 of them; 100,000 with `CAPSTAN_TEST_LONG`, which says how far it is. A case that fails is
//! printed with its number, and `CAPSTAN_TEST_MUTANTS=243..244` tries it alone, or goes on from
//! where a long run was stopped.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use arbitrary::Unstructured;
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::Value;
use tests::Env;
use wasm_mutate::WasmMutate;
use wasmparser::{Parser, Payload};

use crate::guest::{is_long, key, manifest, sign, wat_pack};

const INSIDE: &str = "CAPSTAN_TEST_MUTANTS_INSIDE";
/// Which cases are tried: `from..to`, by their numbers.
const RANGE: &str = "CAPSTAN_TEST_MUTANTS";
/// Cases of every run of the suite, and of a long one.
const CASES: u64 = 500;
const CASES_LONG: u64 = 100_000;
/// After so many cases a thread begins anew in another home, so that the disk does not fill up.
const CASES_A_HOME: u32 = 1_000;
/// How often a long run says how far it is, in cases.
const TOLD_EVERY: u64 = 1_000;
/// Longest wait for one command in seconds, much more than it takes on a busy machine.
const PATIENCE: &str = "120";
/// Runs a program that may have two seconds of processor time, and each that it starts likewise.
const CPU_MAX: &str = "ulimit -t 2 && exec \"$0\" \"$@\"";
/// Most resident memory of any process that was started.
const RESIDENT_MAX: i64 = 256 << 10;

/// A component with a memory, a table, data, a start function and calls of both kinds.
const BASE: &str = r#"(component
    (core module $M
        (memory (export "memory") 1 4)
        (table 4 funcref)
        (global $g (mut i32) (i32.const 3))
        (type $unary (func (param i32) (result i32)))
        (func $double (type $unary) (i32.mul (local.get 0) (i32.const 2)))
        (func $next (type $unary) (i32.add (local.get 0) (global.get $g)))
        (func $start (global.set $g (i32.const 5)))
        (elem (i32.const 0) func $double $next $double $next)
        (data (i32.const 64) "\01\02\03\04\05\06\07\08")
        (start $start)
        (func (export "run") (param $n i32) (result i32)
            (local $sum i32)
            (loop $again
                (local.set $sum (i32.add (local.get $sum)
                    (call_indirect (type $unary) (local.get $n) (i32.and (local.get $n) (i32.const 3)))))
                (local.set $sum (i32.add (local.get $sum) (i32.load8_u offset=64 (i32.and (local.get $n) (i32.const 7)))))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br_if $again (i32.gt_s (local.get $n) (i32.const 0))))
            (local.get $sum)))
    (core instance $m (instantiate $M))
    (func $run (param "n" u32) (result u32) (canon lift (core func $m "run")))
    (instance $ops (export "run" (func $run)))
    (export "test:mutant/ops@0.1.0" (instance $ops)))"#;

/// What a mutant may be refused for, after it was signed again.
const REFUSALS: &[&str] = &[
    "E-COMPONENT-INVALID",
    "E-EXPORT-MISSING",
    "E-EXPORT-UNDECLARED",
    "E-EXPORT-UNSUPPORTED",
    "E-FILE-SIZE",
    "E-IMPORT-UNDECLARED",
    "E-IMPORT-UNKNOWN",
    "E-MANIFEST-MISMATCH",
    "E-VERSION-MISMATCH",
];
/// Of these there has to be at least one: else the mutants do not get to where they should.
const REACHED: &[&str] = &[
    "E-COMPONENT-INVALID",
    "E-FILE-DIGEST",
    "E-IMPORT-UNKNOWN",
    "E-MANIFEST-MISMATCH",
    "returned",
    "trapped",
];

/// A small generator: the same mutants in each run of the suite.
struct Random(u64);

impl Random {
    fn of(case: u64) -> Self {
        Self(case.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).expect("small")).expect("small")
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// The mutant of this number.
fn mutant(case: u64, base: &[u8], large: &[u8]) -> Vec<u8> {
    let mut random = Random::of(case);
    let source = if case % 25 == 7 { large } else { base };
    match case % 5 {
        0 => flipped(source, &mut random),
        1 => spliced(source, &mut random),
        2 => stretched(source, &mut random),
        3 => made_up(&mut random),
        _ => rewritten(source, &mut random),
    }
}

/// A few bits changed.
fn flipped(source: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = source.to_vec();
    for _ in 0..=random.below(4) {
        let at = 8 + random.below(bytes.len() - 8);
        bytes[at] ^= 1 << random.below(8);
    }
    bytes
}

/// A part cut out, put in twice, or replaced by noise.
fn spliced(source: &[u8], random: &mut Random) -> Vec<u8> {
    let (from, length) = (random.below(source.len()), 1 + random.below(64));
    let to = (from + length).min(source.len());
    let part = match random.below(4) {
        0 => Vec::new(),
        1 => source[from..to].repeat(2),
        2 => random.bytes(to - from),
        // All that follows is gone.
        _ => return source[..from].to_vec(),
    };
    [&source[..from], &part, &source[to..]].concat()
}

/// A length or a count that promises what is not there.
fn stretched(source: &[u8], random: &mut Random) -> Vec<u8> {
    let at = 8 + random.below(source.len() - 8);
    let promise: &[u8] = match random.below(3) {
        0 => &[0xff, 0xff, 0xff, 0xff, 0x0f],
        1 => &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
        _ => &[0xff, 0x7f],
    };
    [&source[..at], promise, &source[(at + 1).min(source.len())..]].concat()
}

/// A component that was made up from noise.
fn made_up(random: &mut Random) -> Vec<u8> {
    let noise = random.bytes(4_096);
    let component = wasm_smith::Component::new(wasm_smith::Config::default(), &mut Unstructured::new(&noise));
    component.map_or(noise, |component| component.to_bytes())
}

/// Another core module in the same component, changed so that it stays valid.
fn rewritten(source: &[u8], random: &mut Random) -> Vec<u8> {
    let modules = Parser::new(0).parse_all(source).filter_map(|payload| match payload {
        Ok(Payload::ModuleSection { unchecked_range, .. }) => Some(unchecked_range),
        _ => None,
    });
    let Some(range) = modules.max_by_key(|range| range.len()) else { return source.to_vec() };
    let mut module = source[range.clone()].to_vec();
    for _ in 0..=random.below(3) {
        let mut mutate = WasmMutate::default();
        mutate.seed(random.next()).fuel(200).preserve_semantics(false);
        let found = mutate.run(&module).ok().and_then(|mut found| found.next()).and_then(Result::ok);
        module = found.unwrap_or(module);
    }
    // The section's head: its id, and its length as it was written.
    let head = 1 + leb128(range.len()).len();
    let before = &source[..range.start - head];
    [before, &[1], &leb128(module.len()), &module, &source[range.end..]].concat()
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).expect("seven bits");
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Runs a command of the program and gives what it said as JSON. It ends by itself, in time, with
/// one of its own exit codes.
fn run(env: &Env, case: u64, words: &[&str]) -> Value {
    let bare = env.command([&["--format", "json"], words].concat());
    // Each process of it is ended by the system when it has had its time.
    let mut command = Command::new("timeout");
    command.args([PATIENCE, "sh", "-c", CPU_MAX]).arg(bare.get_program()).args(bare.get_args());
    command.envs(bare.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(bare.get_current_dir().expect("a test runs in its workspace"));
    let output = command.output().expect("the program starts");
    assert_ne!(output.status.code(), Some(124), "case {case}: {words:?} does not end");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(
        matches!(output.status.code(), Some(0..=4)),
        "case {case}: {words:?}: {:?}\n{said}{why}",
        output.status
    );
    assert!(!why.contains("panicked"), "case {case}: {words:?}: {why}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("case {case}: {error}: {said}{why}"))
}

/// One place in which mutants are tried, one after the other.
struct Bench {
    env: Env,
    /// The pack folder whose component is replaced.
    folder: PathBuf,
    /// The same with the component that its manifest is of.
    honest: PathBuf,
    /// The component that the folder's envelope is of.
    signed: RefCell<Vec<u8>>,
}

impl Bench {
    fn new() -> Self {
        let env = Env::with_home();
        drop(key(&env, "test"));
        let public = env.home().join("keys/test.pub");
        drop(env.run(["trust", "add", "test", public.to_str().unwrap()]).exits(0));
        let text = manifest("test:mutant", "ops.run");
        let (folder, honest) = (wat_pack(&env, "mutant", BASE, &text), wat_pack(&env, "honest", BASE, &text));
        sign(&env, &folder, "test");
        sign(&env, &honest, "test");
        let signed = RefCell::new(fs::read(folder.join("component.wasm")).unwrap());
        Self { env, folder, honest, signed }
    }

    /// Tries a mutant and says what became of it: a refusal's code, or how a call of it ended.
    fn attempt(&self, case: u64, component: &[u8]) -> String {
        let path = self.folder.to_str().unwrap();
        fs::write(self.folder.join("component.wasm"), component).unwrap();
        if case.is_multiple_of(2) {
            let (says, number) = (self.honest.to_str().unwrap(), (case + 1).to_string());
            let words =
                ["internal", "sign-unchecked", path, "--says", says, "--key", "test", "--sequence", &number];
            drop(run(&self.env, case, &words));
            *self.signed.borrow_mut() = component.to_vec();
        }
        // Bytes that were signed before are what was signed, whoever made them again: many are made
        // up that are the empty component.
        let is_signed = component == *self.signed.borrow();
        let installed = run(&self.env, case, &["pack", "install", path]);
        if let Some(code) = installed["error"]["code"].as_str() {
            let expected = if is_signed { REFUSALS } else { &["E-FILE-DIGEST"] };
            assert!(expected.contains(&code), "case {case}: it does not install: {installed:#}");
            return code.to_owned();
        }
        assert!(is_signed, "case {case}: it is installed, and nobody signed it");
        let called =
            run(&self.env, case, &["op", "call", "test:mutant/ops.run", "{\"n\": 3}", "--no-prompt"]);
        // A parameter may have another name than the one that is given.
        let code = called["error"]["code"].as_str().filter(|code| *code == "E-CALL-ARGUMENTS");
        let outcome = called["outcome"].as_str().or(code);
        outcome.unwrap_or_else(|| panic!("case {case}: a call of it has no outcome: {called:#}")).to_owned()
    }
}

/// The cases of this run.
fn cases() -> Range<u64> {
    // Where guests run is not what the many are for.
    let all = if is_long() && tests::env::isolation().is_none() { CASES_LONG } else { CASES };
    let Ok(range) = std::env::var(RANGE) else { return 0..all };
    let ends = range.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    ends.unwrap_or_else(|| panic!("`{RANGE}={range}` is not `from..to`"))
}

/// The cases that are left, and what became of those that were tried.
struct Progress {
    left: Range<u64>,
    found: BTreeMap<String, u64>,
}

impl Progress {
    fn next(&mut self) -> Option<u64> {
        let case = self.left.next()?;
        if is_long() && case.is_multiple_of(TOLD_EVERY) {
            eprintln!("mutants: case {case} of {}; so far {:?}", self.left.end, self.found);
        }
        Some(case)
    }
}

/// Tries cases in one home after the other until none is left.
fn work(progress: &Mutex<Progress>, base: &[u8], large: &[u8]) {
    loop {
        let bench = Bench::new();
        for _ in 0..CASES_A_HOME {
            let Some(case) = progress.lock().unwrap().next() else { return };
            let what = bench.attempt(case, &mutant(case, base, large));
            *progress.lock().unwrap().found.entry(what).or_default() += 1;
        }
    }
}

#[test]
fn no_mutant_gets_further_than_it_may() {
    if std::env::var_os(INSIDE).is_none() {
        // Alone in a process, so that what is measured are the mutants.
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "mutants::no_mutant_gets_further_than_it_may", "--nocapture"])
            .env(INSIDE, "1");
        if is_long() {
            // Where it is, and which case failed, is told as it goes.
            command.stderr(Stdio::inherit());
        }
        let done = command.output().unwrap();
        let (said, why) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success() && said.contains("1 passed"), "{said}{why}");
        return;
    }
    let cases = cases();
    let base = wat::parse_str(BASE).unwrap();
    let large = fs::read(tests::repository().join("tests/guests/writer/dist/component.wasm")).unwrap();
    let progress = Mutex::new(Progress { left: cases.clone(), found: BTreeMap::new() });
    let threads = thread::available_parallelism().map_or(2, |threads| threads.get().max(2));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(&progress, &base, &large));
        }
    });
    let found = progress.into_inner().unwrap().found;
    println!("{found:?}");
    assert_eq!(found.values().sum::<u64>(), cases.end - cases.start);
    for what in REACHED.iter().filter(|_| cases.end - cases.start >= CASES) {
        assert!(found.contains_key(*what), "no mutant ended with `{what}`: {found:?}");
    }
    let resident = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the system counts").max_rss();
    assert!(resident < RESIDENT_MAX, "a process took {resident} KiB");
}

/// What is signed is bytes. That a later case made the same ones, and did not sign them, once failed
/// the suite, whenever the two came to one thread.
#[test]
fn bytes_that_were_signed_stay_so_whoever_makes_them_again() {
    let base = wat::parse_str(BASE).unwrap();
    let (signed, unsigned) = (mutant(238, &base, &base), mutant(243, &base, &base));
    assert_eq!(signed, unsigned, "both are made up, and both are empty");
    let bench = Bench::new();
    assert_eq!(bench.attempt(238, &signed), "E-COMPONENT-INVALID");
    assert_eq!(bench.attempt(243, &unsigned), "E-COMPONENT-INVALID");
    assert_eq!(bench.attempt(245, &mutant(245, &base, &base)), "E-FILE-DIGEST");
}
