//! Components that somebody broke: bits, lengths and whole instructions changed, or made up from
//! nothing. Half of them are signed again by a trusted key, so that they get past the envelope, to
//! the validator, the compiler and the call. Each is refused for a reason, or runs within its limits.
//!
//! 500 of them; 100,000 with `CAPSTAN_TEST_LONG`. A seed that fails is printed with the case.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use arbitrary::Unstructured;
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::Value;
use tests::Env;
use wasm_mutate::WasmMutate;
use wasmparser::{Parser, Payload};

use crate::guest::{is_long, key, manifest, sign, wat_pack};

const INSIDE: &str = "CAPSTAN_TEST_MUTANTS";
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
        let is_signed = case.is_multiple_of(2);
        if is_signed {
            let (says, number) = (self.honest.to_str().unwrap(), (case + 1).to_string());
            let words =
                ["internal", "sign-unchecked", path, "--says", says, "--key", "test", "--sequence", &number];
            drop(run(&self.env, case, &words));
            *self.signed.borrow_mut() = component.to_vec();
        }
        let installed = run(&self.env, case, &["pack", "install", path]);
        if let Some(code) = installed["error"]["code"].as_str() {
            let expected = if is_signed { REFUSALS } else { &["E-FILE-DIGEST"] };
            assert!(expected.contains(&code), "case {case}: {installed:#}");
            return code.to_owned();
        }
        // Bytes that were signed before are what was signed, whoever made them again.
        assert!(
            is_signed || component == *self.signed.borrow(),
            "case {case}: it runs, and nobody signed it"
        );
        let called =
            run(&self.env, case, &["op", "call", "test:mutant/ops.run", "{\"n\": 3}", "--no-prompt"]);
        called["outcome"].as_str().unwrap_or_else(|| panic!("case {case}: {called:#}")).to_owned()
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
        let done = command.output().unwrap();
        let (said, why) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success() && said.contains("1 passed"), "{said}{why}");
        return;
    }
    let cases: u64 = if is_long() { 100_000 } else { 500 };
    let base = wat::parse_str(BASE).unwrap();
    let large = fs::read(tests::repository().join("tests/guests/writer/dist/component.wasm")).unwrap();
    let (next, found) = (Mutex::new(0..cases), Mutex::new(BTreeMap::<String, u64>::new()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let bench = Bench::new();
                loop {
                    let Some(case) = next.lock().unwrap().next() else { return };
                    let what = bench.attempt(case, &mutant(case, &base, &large));
                    *found.lock().unwrap().entry(what).or_default() += 1;
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    println!("{found:?}");
    assert_eq!(found.values().sum::<u64>(), cases);
    for what in REACHED {
        assert!(found.contains_key(*what), "no mutant ended with `{what}`: {found:?}");
    }
    let resident = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the system counts").max_rss();
    assert!(resident < RESIDENT_MAX, "a process took {resident} KiB");
}
