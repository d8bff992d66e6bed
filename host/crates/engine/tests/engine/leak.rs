//! What thousands of hostile calls leave behind in the process: nothing.
//!
//! Resident memory is that of a process, so they are made by one of their own: this test binary
//! again, with this one test, told so by a variable.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Command;
use std::time::{Duration, Instant};

use base::{Effect, Limits};
use engine::{Invocation, Outcome, Program, Trap};
use values::Type;

use crate::calls::spinner;
use crate::endings::{FOREVER, Place, prepare};
use crate::fixture::{USES_HEAP, assert_next_call_works, assert_trap, authority, call, load, number, simple};
use crate::http::{Server, read_head, weigh, weigher};
use crate::limits::{CHATTY, drawer, grower, handle_taker, logger, producer, recursion, table_grower};
use crate::wasi;

const ALONE: &str = "CAPSTAN_TEST_ALONE";
const NAME: &str = "leak::ten_thousand_hostile_calls_from_eight_threads_leave_nothing_behind";
/// After so many calls each pool and cache of the process has its size.
const SETTLED: usize = 1_000;
const CALLS: usize = 10_000;
const THREADS: usize = 8;
const GROWTH_MAX: u64 = 8 << 20;
/// Longest wait for a thread that ended to be gone.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn ten_thousand_hostile_calls_from_eight_threads_leave_nothing_behind() {
    if std::env::var_os(ALONE).is_none() {
        let this = std::env::current_exe().unwrap();
        let alone =
            Command::new(this).args(["--exact", NAME, "--nocapture"]).env(ALONE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&alone.stdout);
        let why = String::from_utf8_lossy(&alone.stderr);
        assert!(alone.status.success() && said.contains("1 passed"), "{said}{why}");
        return;
    }
    let attacks = attacks();
    let threads = entries("/proc/self/task");
    make(&attacks, SETTLED);
    let settled = Held::with(threads);
    make(&attacks, CALLS - SETTLED);
    let held = Held::with(threads);
    let grown = held.resident_bytes.saturating_sub(settled.resident_bytes);
    assert!(grown <= GROWTH_MAX, "{grown} bytes more than after {SETTLED} calls");
    let countable = |held: &Held| (held.files, held.threads, held.children);
    assert_eq!(countable(&held), countable(&settled), "open files, threads, children");
    assert_next_call_works();
}

/// Makes `calls` calls, one attack after the other, on all threads at once.
fn make(attacks: &[Attack], calls: usize) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let mine = (thread..calls).step_by(THREADS);
            scope.spawn(move || mine.for_each(|number| attacks[number % attacks.len()].make()));
        }
    });
}

fn entries(folder: &str) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// What this process holds.
struct Held {
    resident_bytes: u64,
    files: usize,
    threads: usize,
    children: usize,
}

impl Held {
    /// Once no more than `threads` are left: one that was joined is still listed for an instant.
    fn with(threads: usize) -> Self {
        let start = Instant::now();
        while entries("/proc/self/task") > threads && start.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
        let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
        let children = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
        Self {
            resident_bytes: resident_bytes(),
            files: entries("/proc/self/fd"),
            threads: entries("/proc/self/task"),
            children: children.map(|list| list.split_whitespace().count()).sum(),
        }
    }
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// A call that ends with the trap or, if there is none, with an error of the guest's own.
struct Attack {
    program: Program,
    invocation: Box<dyn Fn() -> Invocation + Send + Sync>,
    trap: Option<Trap>,
}

impl Attack {
    fn make(&self) {
        let report = self.program.invoke((self.invocation)());
        match self.trap {
            Some(trap) => assert_trap(&report, trap),
            None => assert!(matches!(report.outcome, Outcome::Failed(_)), "{report:?}"),
        }
    }
}

/// `function(n)` under `limits`.
fn attack(
    program: Program,
    function: &'static str,
    n: Option<u64>,
    result: Option<Type>,
    limits: Limits,
    trap: Trap,
) -> Attack {
    let invocation = move || {
        let arguments = n.map(|n| number(u32::try_from(n).unwrap())).into_iter().collect();
        let mut invocation = call(function, arguments, result.clone());
        invocation.limits = limits;
        invocation.authority = authority(&["random"], &["random"], Effect::Read);
        invocation
    };
    Attack { program, invocation: Box::new(invocation), trap: Some(trap) }
}

/// One for each way in which a guest can be stopped.
fn attacks() -> Vec<Attack> {
    let usual = Limits::DEFAULT;
    let over = |limit: u64| Some(limit * 11 / 10);
    let text = || Some(Type::String);
    let texts = || Some(Type::List(Box::new(Type::String)));
    let hurried = Limits { fuel: u64::MAX / 2, wall_ms: 1, ..usual };
    let pages = over(usual.memory_bytes / 65_536);
    let few_steps = Limits { fuel: 100_000, ..usual };
    let elsewhere = |place: Place, body: &str, limits, trap| Attack {
        program: place.program(body),
        invocation: Box::new(move || prepare(limits)),
        trap: Some(trap),
    };
    let few_bytes = Limits { host_call_bytes: 100_000, ..CHATTY };
    // Of each kind one client for all calls: a place that is not given back is missed by the next.
    let patient = crate::http::client(|settings| settings.concurrent = THREADS);
    let silent = Server::raw(|stream| drop(stream.read_to_end(&mut Vec::new())));
    let endless = Server::raw(|stream| {
        let _head = read_head(stream);
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n"));
        drop(std::io::copy(&mut std::io::repeat(b'b'), stream));
    });
    let fetch = |url: String, wall_ms: u64, host_call_bytes: u64| {
        let http = patient.clone();
        let invocation = move || {
            let mut fetch = weigh(&url);
            fetch.host.http = http.clone();
            fetch.limits = Limits { wall_ms, host_call_bytes, ..usual };
            fetch
        };
        Box::new(invocation)
    };
    let panics = load(&simple(&format!("{USES_HEAP} (func (export \"run\") unreachable)"), &[("run", "")]));
    vec![
        attack(spinner(), "spin", None, None, Limits { fuel: 100_000, ..usual }, Trap::Fuel),
        attack(spinner(), "spin", None, None, hurried, Trap::Deadline),
        attack(wasi::guest(), "sleep", Some(3_600_000), Some(Type::U32), hurried, Trap::Deadline),
        attack(grower(1), "grow", pages, None, usual, Trap::Memory),
        attack(grower(4), "grow", pages, None, usual, Trap::Memory),
        attack(producer(), "make", over(usual.memory_bytes), text(), usual, Trap::Memory),
        attack(table_grower(), "grow", over(usual.table_elements), None, usual, Trap::Table),
        attack(recursion(), "down", Some(1_000_000), None, usual, Trap::Stack),
        attack(handle_taker(), "take", over(usual.handles), None, usual, Trap::Handles),
        attack(
            wasi::guest(),
            "timers",
            over(usual.resources),
            None,
            Limits { handles: 100_000, ..usual },
            Trap::Resources,
        ),
        attack(logger(), "once", over(usual.stdio_bytes), None, usual, Trap::Stdio),
        attack(logger(), "log", Some(1_000_000), None, usual, Trap::Stdio),
        attack(logger(), "log", Some(1_000_000), None, few_bytes, Trap::HostCallBytes),
        attack(producer(), "make", over(usual.output_bytes), text(), usual, Trap::Output),
        attack(producer(), "alias", Some(10_000), texts(), usual, Trap::Output),
        attack(drawer(), "draw", over(usual.random_bytes), None, usual, Trap::Random),
        attack(wasi::guest(), "quit", Some(1), None, usual, Trap::Exit),
        attack(panics, "run", None, None, usual, Trap::Unreachable),
        attack(
            wasi::guest(),
            "say",
            Some(60_000),
            None,
            Limits { stdio_bytes: 50_000, ..usual },
            Trap::Stdio,
        ),
        elsewhere(Place::Start, FOREVER, few_steps, Trap::Fuel),
        elsewhere(Place::PostReturn, FOREVER, few_steps, Trap::Fuel),
        elsewhere(Place::PostReturn, "unreachable", usual, Trap::Unreachable),
        elsewhere(Place::Destructor, "unreachable", usual, Trap::Unreachable),
        Attack {
            program: weigher(),
            invocation: fetch(silent.url("/"), 2, 1 << 20),
            trap: Some(Trap::Deadline),
        },
        Attack { program: weigher(), invocation: fetch(endless.url("/"), 10_000, 4_096), trap: None },
        Attack {
            program: weigher(),
            invocation: fetch(endless.url("/"), 10_000, 8),
            trap: Some(Trap::Input),
        },
    ]
}
