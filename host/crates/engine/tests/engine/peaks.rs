//! How much memory the process takes at its highest while a guest does its worst: the guest's own cap
//! and 32 MiB, whatever the guest says.
//!
//! The highest mark is the process's, so each attack has a process of its own: this test binary
//! again, with this one test, told which by a variable.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Command;

use base::{Effect, Limits};
use engine::{Invocation, Outcome, Program, Trap};
use values::{Type, Value};
use wasmtime::component::Val;

use crate::fixture::{USES_HEAP, assert_next_call_works, assert_trap, authority, call, load, number, simple};
use crate::http::{Server, read_head, weigh, weigher};
use crate::limits::{ARGUMENTS_BYTES, CHATTY, drawer, logger, producer};

const ATTACK: &str = "CAPSTAN_TEST_ATTACK";
const NAME: &str = "peaks::no_attack_takes_more_memory_than_its_cap_and_32_mib";
const BESIDE: u64 = 32 << 20;
const PAGE: u64 = 65_536;

/// Calls of one function: with `small` and with `under` it returns, with `over` it ends with the trap
/// or, if there is none, with an error of the guest's own.
struct Attack {
    program: Program,
    invocation: Box<dyn Fn(u64) -> Invocation>,
    small: u64,
    under: u64,
    over: u64,
    trap: Option<Trap>,
}

fn attack(program: Program, function: &'static str, result: Option<Type>, trap: Trap) -> Attack {
    let invocation = move |n: u64| {
        let mut call = call(function, vec![number(u32::try_from(n).unwrap())], result.clone());
        call.authority = authority(&["random"], &["random"], Effect::Read);
        call
    };
    Attack { program, invocation: Box::new(invocation), small: 1, under: 0, over: 0, trap: Some(trap) }
}

impl Attack {
    fn around(self, limit: u64) -> Self {
        Self { under: limit * 9 / 10, over: limit * 11 / 10, ..self }
    }

    fn under(self, limits: Limits) -> Self {
        let calls = self.invocation;
        Self { invocation: Box::new(move |n| Invocation { limits, ..calls(n) }), ..self }
    }
}

/// Grows `memories` memories together by `pages` and writes to each byte of them.
fn filler(memories: u64) -> Program {
    let memory = |n: u64| format!("(memory $m{n} 0)");
    let fill = |n: u64| {
        format!(
            "(if (i32.eq (memory.grow $m{n} (i32.div_u (local.get 0) (i32.const {memories}))) (i32.const -1))
               (then unreachable))
             (memory.fill $m{n} (i32.const 0) (i32.const 1)
               (i32.mul (i32.div_u (local.get 0) (i32.const {memories})) (i32.const {PAGE})))"
        )
    };
    let (memories, fills): (String, String) =
        ((0..memories).map(memory).collect(), (0..memories).map(fill).collect());
    load(&format!(
        r#"(component
        (core module $M {memories} (func (export "fill") (param i32) {fills}))
        (core instance $m (instantiate $M))
        (func $fill (param "pages" u32) (canon lift (core func $m "fill")))
        (instance $ops (export "fill" (func $fill)))
        (export "test:guest/ops@0.1.0" (instance $ops)))"#
    ))
}

/// Takes a list of numbers.
fn taker() -> Attack {
    let core = format!(r#"{USES_HEAP} (func (export "take") (param i32 i32))"#);
    let program = load(&simple(&core, &[("take", r#"(param "numbers" (list u32))"#)]));
    let list = || Type::List(Box::new(Type::U32));
    let take = move |n: u64| {
        let zeros = vec![Value::U32(0); usize::try_from(n).unwrap()];
        call("take", vec![(list(), Value::List(zeros))], None)
    };
    Attack { program, invocation: Box::new(take), small: 1, under: 0, over: 0, trap: Some(Trap::Input) }
}

/// Fetches bodies, of which the server says as much as it is asked for.
fn fetcher() -> Attack {
    let server = Server::raw(|stream| {
        let head = read_head(stream);
        let length = head.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        drop(stream.write_all(head.as_bytes()));
        // Piece by piece: the server is in this process.
        drop(std::io::copy(&mut std::io::repeat(b'b').take(length), stream));
    });
    let fetch = move |n: u64| weigh(&server.url(&format!("/{n}")));
    Attack { program: weigher(), invocation: Box::new(fetch), small: 1, under: 0, over: 0, trap: None }
}

fn attacks() -> Vec<(&'static str, Attack)> {
    let usual = Limits::DEFAULT;
    let text = || Some(Type::String);
    let texts = || Some(Type::List(Box::new(Type::String)));
    let pages = usual.memory_bytes / PAGE;
    // Of each text of 64 KiB that shares its bytes with the others, so much is allowed.
    let shared = usual.output_bytes / PAGE;
    vec![
        ("one memory", attack(filler(1), "fill", None, Trap::Memory).around(pages)),
        ("four memories", attack(filler(4), "fill", None, Trap::Memory).around(pages)),
        ("a long result", attack(producer(), "make", text(), Trap::Output).around(usual.output_bytes)),
        ("a shared buffer", attack(producer(), "alias", texts(), Trap::Output).around(shared)),
        (
            "6 GiB of a shared buffer",
            Attack { under: 2, over: 100_000, ..attack(producer(), "alias", texts(), Trap::Output) },
        ),
        ("many arguments", taker().around(ARGUMENTS_BYTES / size_of::<Val>() as u64)),
        (
            "a flood of lines",
            Attack { under: 60, over: 1_000_000, ..attack(logger(), "log", None, Trap::Stdio) },
        ),
        ("a long line", attack(logger(), "once", None, Trap::Stdio).around(usual.stdio_bytes)),
        (
            "a line of 60 MiB",
            Attack { under: 1_000, over: 60 << 20, ..attack(logger(), "once", None, Trap::HostCallBytes) },
        ),
        (
            "host calls",
            attack(logger(), "once", None, Trap::HostCallBytes).around(usual.host_call_bytes).under(CHATTY),
        ),
        ("random bytes", attack(drawer(), "draw", None, Trap::Random).around(usual.random_bytes)),
        ("a body", fetcher().around(10 << 20)),
    ]
}

/// A line of this process's status, in bytes.
fn status(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let found = status.lines().find_map(|all| all.strip_prefix(line)).unwrap();
    found.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Makes one call and checks how far the process grew for it.
fn measure(name: &str, attack: &Attack, n: u64, returns: bool) {
    let invocation = (attack.invocation)(n);
    let cap = invocation.limits.memory_bytes;
    // The highest mark becomes what there is now.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS:");
    let report = attack.program.invoke(invocation);
    let grown = status("VmHWM:").saturating_sub(before);
    match (returns, attack.trap) {
        (true, _) => assert!(matches!(report.outcome, Outcome::Returned(_)), "{name}: {report:?}"),
        (false, Some(trap)) => assert_trap(&report, trap),
        (false, None) => assert!(matches!(report.outcome, Outcome::Failed(_)), "{name}: {report:?}"),
    }
    assert!(grown <= cap + BESIDE, "{name} with {n}: the process grew by {grown} bytes");
    assert_next_call_works();
}

#[test]
fn no_attack_takes_more_memory_than_its_cap_and_32_mib() {
    if let Ok(name) = std::env::var(ATTACK) {
        let (_, attack) = attacks().into_iter().find(|(other, _)| *other == name).unwrap();
        for (n, returns) in [(attack.small, true), (attack.under, true), (attack.over, false)] {
            measure(&name, &attack, n, returns);
        }
        return;
    }
    let this = std::env::current_exe().unwrap();
    for (name, _) in attacks() {
        let mut alone = Command::new(&this);
        let alone = alone.args(["--exact", NAME, "--nocapture"]).env(ATTACK, name).output().unwrap();
        let said = String::from_utf8_lossy(&alone.stdout);
        let why = String::from_utf8_lossy(&alone.stderr);
        assert!(alone.status.success() && said.contains("1 passed"), "{name}: {said}{why}");
    }
}
