//! The inert WASI baseline: what a guest of a wasip2 toolchain meets.

use std::time::Instant;

use base::Limits;
use engine::{LogSource, Outcome, Program, Trap};
use values::{Type, Value};

use crate::fixture::{
    USES_HEAP, assert_next_call_works, assert_trap, call, load, number, returned, with_imports,
};

const IMPORTS: &str = r#"
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $e))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $p (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $p))))
    (export "[method]pollable.ready" (func (param "self" (borrow $p)) (result bool)))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $e (type $e'))
    (export "error" (type $e2 (eq $e')))
    (export "output-stream" (type $out (sub resource)))
    (type $se' (variant (case "last-operation-failed" (own $e2)) (case "closed")))
    (export "stream-error" (type $se (eq $se')))
    (export "[method]output-stream.write"
      (func (param "self" (borrow $out)) (param "contents" (list u8)) (result (result (error $se)))))))
  (alias export $streams "output-stream" (type $output))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output (type $o'))
    (export "output-stream" (type $o (eq $o')))
    (export "get-stdout" (func (result (own $o))))))
  (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
  (import "wasi:cli/environment@0.2.0" (instance $env
    (export "get-arguments" (func (result (list string))))
    (export "get-environment" (func (result (list (tuple string string)))))))
  (import "wasi:random/random@0.2.0" (instance $random (export "get-random-u64" (func (result u64)))))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $p'))
    (export "pollable" (type $p (eq $p')))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
"#;

const LOWERED: &str = r#"
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $ready (canon lower (func $poll "[method]pollable.ready")))
  (core func $write (canon lower (func $streams "[method]output-stream.write") (memory $memory)))
  (core func $get_stdout (canon lower (func $stdout "get-stdout")))
  (core func $exit' (canon lower (func $exit "exit")))
  (core func $arguments (canon lower (func $env "get-arguments") (memory $memory) (realloc $realloc)))
  (core func $environment (canon lower (func $env "get-environment") (memory $memory) (realloc $realloc)))
  (core func $u64 (canon lower (func $random "get-random-u64")))
  (core func $now (canon lower (func $clock "now")))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core instance $host
    (export "block" (func $block)) (export "ready" (func $ready)) (export "write" (func $write))
    (export "get-stdout" (func $get_stdout)) (export "exit" (func $exit'))
    (export "arguments" (func $arguments)) (export "environment" (func $environment))
    (export "u64" (func $u64)) (export "now" (func $now)) (export "subscribe" (func $subscribe)))
"#;

pub(crate) fn guest() -> Program {
    let core = format!(
        r#"{USES_HEAP}
        (import "host" "block" (func $block (param i32)))
        (import "host" "ready" (func $ready (param i32) (result i32)))
        (import "host" "write" (func $write (param i32 i32 i32 i32)))
        (import "host" "get-stdout" (func $stdout (result i32)))
        (import "host" "exit" (func $exit (param i32)))
        (import "host" "arguments" (func $arguments (param i32)))
        (import "host" "environment" (func $environment (param i32)))
        (import "host" "u64" (func $u64 (result i64)))
        (import "host" "now" (func $now (result i64)))
        (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
        ;; Waits n milliseconds and returns how many passed on the guest's clock.
        (func (export "sleep") (param i32) (result i32)
          (local $start i64)
          (local.set $start (call $now))
          (call $block (call $subscribe (i64.mul (i64.extend_i32_u (local.get 0)) (i64.const 1000000))))
          (i32.wrap_i64 (i64.div_u (i64.sub (call $now) (local.get $start)) (i64.const 1000000))))
        (func (export "timers") (param i32)
          (loop $again
            (drop (call $subscribe (i64.const 1000000000)))
            (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "not-ready") (param i32) (result i32)
          (call $ready (call $subscribe (i64.const 1000000000))))
        (func (export "say") (param i32)
          (call $write (call $stdout) (i32.const 64) (local.get 0) (i32.const 16)))
        (func (export "quit") (param i32) (call $exit (local.get 0)))
        (func (export "surroundings") (param i32) (result i32)
          (call $arguments (i32.const 32))
          (call $environment (i32.const 40))
          (i32.add (i32.load (i32.const 36)) (i32.load (i32.const 44))))
        (func (export "draw") (param i32) (result i64) (call $u64))
        (data (i32.const 64) "first\nsecond")"#
    );
    let n = r#"(param "n" u32)"#;
    load(&with_imports(
        IMPORTS,
        LOWERED,
        &core,
        &[
            ("sleep", &format!("{n} (result u32)")),
            ("timers", n),
            ("not-ready", &format!("{n} (result bool)")),
            ("say", n),
            ("quit", n),
            ("surroundings", &format!("{n} (result u32)")),
            ("draw", &format!("{n} (result u64)")),
        ],
    ))
}

#[test]
fn a_wait_takes_real_time_and_moves_virtual_time() {
    let started = Instant::now();
    let report = guest().invoke(call("sleep", vec![number(200)], Some(Type::U32)));
    assert_eq!(returned(&report), &Value::U32(200));
    assert!(started.elapsed().as_millis() >= 200);
}

#[test]
fn a_wait_beyond_the_deadline_ends_the_call() {
    let sleep = |ms, wall_ms| {
        let mut sleep = call("sleep", vec![number(ms)], Some(Type::U32));
        sleep.limits = Limits { wall_ms, ..Limits::DEFAULT };
        guest().invoke(sleep)
    };
    assert_eq!(returned(&sleep(1_800, 2_000)), &Value::U32(1_800));
    let hour = sleep(3_600_000, 100);
    assert_trap(&hour, Trap::Deadline);
    assert!(hour.usage.wall_us < 60_000_000, "it waits for the deadline, not for the hour");
    let over = sleep(2_200, 2_000);
    assert_trap(&over, Trap::Deadline);
    assert!((2_000_000..3_000_000).contains(&over.usage.wall_us), "{}", over.usage.wall_us);
    assert_next_call_works();
}

#[test]
fn cancelling_ends_a_wait() {
    let mut sleep = call("sleep", vec![number(3_600_000)], Some(Type::U32));
    sleep.limits.wall_ms = 600_000;
    let token = sleep.cancel.clone();
    let canceller = std::thread::spawn(move || token.cancel());
    assert_trap(&guest().invoke(sleep), Trap::Cancelled);
    canceller.join().unwrap();
}

#[test]
fn asking_whether_a_timer_is_ready_does_not_wait() {
    let report = guest().invoke(call("not-ready", vec![number(0)], Some(Type::Bool)));
    assert_eq!(returned(&report), &Value::Bool(false));
}

#[test]
fn host_resources_run_out() {
    let timers = |n: u64| {
        let mut timers = call("timers", vec![number(u32::try_from(n).unwrap())], None);
        timers.limits = Limits { handles: 100_000, ..Limits::DEFAULT };
        guest().invoke(timers)
    };
    // A timer is two resources: itself, and the pollable for it.
    let limit = Limits::DEFAULT.resources / 2;
    assert_eq!(timers(limit * 9 / 10).outcome, engine::Outcome::Returned(None));
    assert_trap(&timers(limit * 11 / 10), Trap::Resources);
    assert_next_call_works();
}

#[test]
fn stdout_is_captured_up_to_the_limit() {
    let say = |n: u64| guest().invoke(call("say", vec![number(u32::try_from(n).unwrap())], None));
    let report = say(12);
    let lines: Vec<_> = report.log.iter().map(|line| (line.source, line.text.as_str())).collect();
    assert_eq!(lines, [(LogSource::Stdout, "first"), (LogSource::Stdout, "second")]);
    let limit = Limits::DEFAULT.stdio_bytes;
    // The guest's memory is one page, as large as the limit; the other side has a smaller one.
    let under = say(limit * 9 / 10);
    assert_eq!((under.outcome, under.usage.stdio_bytes), (Outcome::Returned(None), limit * 9 / 10));
    let mut over = call("say", vec![number(55_000)], None);
    over.limits.stdio_bytes = 50_000;
    let over = guest().invoke(over);
    assert_trap(&over, Trap::Stdio);
    assert_eq!(over.usage.stdio_bytes, 50_000);
    assert_eq!(over.log.iter().map(|line| line.text.len()).sum::<usize>(), 50_000 - "\n".len());
    assert_next_call_works();
}

#[test]
fn exit_is_an_outcome() {
    for status in [0, 1] {
        assert_trap(&guest().invoke(call("quit", vec![number(status)], None)), Trap::Exit);
    }
    assert_next_call_works();
}

#[test]
fn there_are_no_arguments_and_no_environment() {
    let report = guest().invoke(call("surroundings", vec![number(0)], Some(Type::U32)));
    assert_eq!(returned(&report), &Value::U32(0));
}

#[test]
fn randomness_is_a_function_of_the_seed() {
    let draw = |seed| {
        let mut draw = call("draw", vec![number(0)], Some(Type::U64));
        draw.host.seed = [seed; 32];
        returned(&guest().invoke(draw)).clone()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}
