//! Every limit, from both sides: at 90 % the guest succeeds, at 110 % it ends with the limit's own
//! outcome, and the next call works.

use base::{Effect, Limits};
use engine::{Program, Report, Trap};
use values::{Type, Value};

use crate::calls::spinner;
use crate::fixture::{
    USES_HEAP, assert_next_call_works, assert_trap, authority, call, load, number, returned, simple, text,
    with_imports,
};

/// Calls `function(n)` under `limits`.
fn run(program: &Program, function: &str, n: u64, limits: Limits) -> Report {
    let mut invocation = call(function, vec![number(u32::try_from(n).unwrap())], None);
    invocation.limits = limits;
    invocation.authority = authority(&["random"], &["random"], Effect::Read);
    program.invoke(invocation)
}

/// `function(n)` uses `n` of a limit that is `limit`.
#[track_caller]
fn both_sides(program: &Program, function: &str, limit: u64, limits: Limits, trap: Trap) {
    let under = run(program, function, limit * 9 / 10, limits);
    assert_eq!(under.outcome, engine::Outcome::Returned(None), "at 90 % of {limit}");
    assert_trap(&run(program, function, limit * 11 / 10, limits), trap);
    assert_next_call_works();
}

#[test]
fn fuel() {
    let core = format!(
        r#"{USES_HEAP} (func (export "count") (param i32)
          (loop $again (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))"#
    );
    let program = load(&simple(&core, &[("count", r#"(param "n" u32)"#)]));
    let used = run(&program, "count", 100_000, Limits::DEFAULT).usage.fuel;
    assert!(used > 100_000);
    let with = |fuel| run(&program, "count", 100_000, Limits { fuel, ..Limits::DEFAULT });
    assert_eq!(with(used * 10 / 9).outcome, engine::Outcome::Returned(None));
    let exhausted = with(used * 10 / 11);
    assert_trap(&exhausted, Trap::Fuel);
    assert!(exhausted.usage.fuel <= used * 10 / 11);
    assert_trap(&with(0), Trap::Fuel);
    assert_next_call_works();
}

#[test]
fn deadline_of_a_spinning_guest() {
    let mut spin = call("spin", vec![], None);
    spin.limits = Limits { fuel: u64::MAX / 2, wall_ms: 100, ..Limits::DEFAULT };
    let report = spinner().invoke(spin);
    assert_trap(&report, Trap::Deadline);
    assert!(report.usage.wall_us >= 100_000);
    assert_next_call_works();
}

/// Exports `grow(pages)`, which spreads the pages over `memories` memories of their own instances.
pub(crate) fn grower(memories: u64) -> Program {
    let instances: String =
        (0..memories).map(|n| format!("(core instance $one{n} (instantiate $One))")).collect();
    let with: String = (0..memories).map(|n| format!("(with \"one{n}\" (instance $one{n}))")).collect();
    let imports: String =
        (0..memories).map(|n| format!("(import \"one{n}\" \"grow\" (func $grow{n} (param i32)))")).collect();
    let calls: String = (0..memories)
        .map(|n| format!("(call $grow{n} (i32.div_u (local.get 0) (i32.const {memories})))"))
        .collect();
    load(&format!(
        r#"(component
        (core module $One (memory 0)
          (func (export "grow") (param i32) (drop (memory.grow (local.get 0)))))
        {instances}
        (core module $All {imports} (func (export "grow") (param i32) {calls}))
        (core instance $all (instantiate $All {with}))
        (func $grow (param "pages" u32) (canon lift (core func $all "grow")))
        (instance $ops (export "grow" (func $grow)))
        (export "test:guest/ops@0.1.0" (instance $ops)))"#
    ))
}

#[test]
fn memory_of_one_and_of_several_memories() {
    let pages = Limits::DEFAULT.memory_bytes / 65_536;
    for memories in [1, 4] {
        both_sides(&grower(memories), "grow", pages, Limits::DEFAULT, Trap::Memory);
    }
    let report = run(&grower(4), "grow", pages / 2, Limits::DEFAULT);
    assert_eq!(report.usage.memory_bytes, Limits::DEFAULT.memory_bytes / 2);
}

#[test]
fn memory_that_a_module_starts_with() {
    let starts_with = |pages: u64| {
        load(&format!(
            r#"(component
            (core module $M (memory {pages}) (func (export "run")))
            (core instance $m (instantiate $M))
            (func $run (canon lift (core func $m "run")))
            (instance $ops (export "run" (func $run)))
            (export "test:guest/ops@0.1.0" (instance $ops)))"#
        ))
        .invoke(call("run", vec![], None))
    };
    let pages = Limits::DEFAULT.memory_bytes / 65_536;
    assert_eq!(starts_with(pages * 9 / 10).outcome, engine::Outcome::Returned(None));
    assert_trap(&starts_with(pages * 11 / 10), Trap::Memory);
}

#[test]
fn a_memorys_own_maximum_fails_inside_the_guest() {
    let program = load(
        r#"(component
        (core module $M (memory 1 2) (func (export "grow") (result i32) (memory.grow (i32.const 5))))
        (core instance $m (instantiate $M))
        (func $grow (result s32) (canon lift (core func $m "grow")))
        (instance $ops (export "grow" (func $grow)))
        (export "test:guest/ops@0.1.0" (instance $ops)))"#,
    );
    assert_eq!(returned(&program.invoke(call("grow", vec![], Some(Type::S32)))), &Value::S32(-1));
}

/// Exports `grow(elements)`.
pub(crate) fn table_grower() -> Program {
    let core = format!(
        r#"{USES_HEAP} (table $t 0 funcref)
        (func (export "grow") (param i32) (drop (table.grow $t (ref.null func) (local.get 0))))"#
    );
    load(&simple(&core, &[("grow", r#"(param "n" u32)"#)]))
}

#[test]
fn table() {
    both_sides(&table_grower(), "grow", Limits::DEFAULT.table_elements, Limits::DEFAULT, Trap::Table);
}

#[test]
fn instances() {
    let with = |count: u64| {
        let instances: String =
            (0..count).map(|n| format!("(core instance $m{n} (instantiate $M))")).collect();
        load(&format!(
            r#"(component
            (core module $M (func (export "run")))
            {instances}
            (func $run (canon lift (core func $m0 "run")))
            (instance $ops (export "run" (func $run)))
            (export "test:guest/ops@0.1.0" (instance $ops)))"#
        ))
        .invoke(call("run", vec![], None))
    };
    assert_eq!(with(Limits::DEFAULT.instances * 9 / 10).outcome, engine::Outcome::Returned(None));
    assert_trap(&with(Limits::DEFAULT.instances * 11 / 10), Trap::Instances);
    assert_next_call_works();
}

/// What a component may have of memories and of tables: two for each instance that it may have.
#[test]
fn memories_and_tables() {
    let with = |each: &str, count: u64| {
        let all = each.repeat(usize::try_from(count).unwrap());
        load(&format!(
            r#"(component
            (core module $M {all} (func (export "run")))
            (core instance $m (instantiate $M))
            (func $run (canon lift (core func $m "run")))
            (instance $ops (export "run" (func $run)))
            (export "test:guest/ops@0.1.0" (instance $ops)))"#
        ))
        .invoke(call("run", vec![], None))
    };
    let limit = 2 * Limits::DEFAULT.instances;
    for each in ["(memory 0)", "(table 0 funcref)"] {
        assert_eq!(with(each, limit * 9 / 10).outcome, engine::Outcome::Returned(None), "{each}");
        assert_trap(&with(each, limit * 11 / 10), Trap::Instances);
        assert_next_call_works();
    }
}

/// Exports `down(depth)`, which calls itself so many times.
pub(crate) fn recursion() -> Program {
    let core = format!(
        r#"{USES_HEAP} (func $down (export "down") (param i32)
          (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1)))))
          ;; Something to do after the call, so that it is no tail call.
          (i32.store (i32.const 16) (local.get 0)))"#
    );
    load(&simple(&core, &[("down", r#"(param "n" u32)"#)]))
}

#[test]
fn stack() {
    // What was read before the call and is written after it has to be kept in the frame meanwhile.
    const KEPT: usize = 1_000;
    let each = |make: &dyn Fn(usize) -> String| (0..KEPT).map(make).collect::<String>();
    let locals = each(&|n| format!("(local $v{n} i64)"));
    let read = each(&|n| format!("(local.set $v{n} (i64.load offset={} (i32.const 64)))", 8 * n));
    let write = each(&|n| format!("(i64.store offset={} (i32.const 64) (local.get $v{n}))", 8 * n));
    let core = format!(
        r#"{USES_HEAP} (func $down (export "down") (param i32) {locals} {read}
          (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1))))) {write})"#
    );
    let program = load(&simple(&core, &[("down", r#"(param "n" u32)"#)]));
    let frame = 8 * KEPT as u64;
    both_sides(&program, "down", Limits::DEFAULT.stack_bytes / frame, Limits::DEFAULT, Trap::Stack);
}

/// Exports `take(handles)`.
pub(crate) fn handle_taker() -> Program {
    load(
        r#"(component
        (type $thing (resource (rep i32)))
        (core func $new (canon resource.new $thing))
        (core instance $host (export "new" (func $new)))
        (core module $M (import "host" "new" (func $new (param i32) (result i32)))
          (func (export "take") (param i32)
            (loop $again
              (drop (call $new (i32.const 1)))
              (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))
        (core instance $m (instantiate $M (with "host" (instance $host))))
        (func $take (param "n" u32) (canon lift (core func $m "take")))
        (instance $ops (export "take" (func $take)))
        (export "test:guest/ops@0.1.0" (instance $ops)))"#,
    )
}

#[test]
fn handles() {
    both_sides(&handle_taker(), "take", Limits::DEFAULT.handles, Limits::DEFAULT, Trap::Handles);
}

/// Exports `log(n)`, which logs a line of 1 KiB `n` times, and `once(n)`, which logs one of `n` bytes.
pub(crate) fn logger() -> Program {
    let imports = r#"(import "capstan:host/log@0.1.0" (instance $log
        (type $level' (enum "debug" "info" "warn" "error"))
        (export "level" (type $level (eq $level')))
        (export "log" (func (param "level" $level) (param "message" string)))))"#;
    let lowered = r#"(core func $log_core (canon lower (func $log "log") (memory $memory)))
        (core instance $host (export "log" (func $log_core)))"#;
    let core = format!(
        r#"{USES_HEAP} (import "host" "log" (func $log (param i32 i32 i32)))
        (func (export "log") (param i32)
          (loop $again
            (call $log (i32.const 1) (i32.const 64) (i32.const 1024))
            (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "once") (param i32)
          (call $log (i32.const 2)
            (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (local.get 0)) (local.get 0)))"#
    );
    let n = r#"(param "n" u32)"#;
    load(&with_imports(imports, lowered, &core, &[("log", n), ("once", n)]))
}

/// So much may be logged that another limit is met first.
pub(crate) const CHATTY: Limits = Limits { stdio_bytes: u64::MAX, ..Limits::DEFAULT };

#[test]
fn host_call_bytes_add_up() {
    let lines = Limits::DEFAULT.host_call_bytes / 1024;
    both_sides(&logger(), "log", lines, CHATTY, Trap::HostCallBytes);
    let report = run(&logger(), "log", 100, CHATTY);
    assert_eq!((report.usage.host_calls, report.usage.host_call_bytes), (100, 100 * 1024));
}

#[test]
fn host_call_bytes_of_one_call() {
    // wasmtime stops this one while it copies, before our function is reached.
    both_sides(&logger(), "once", CHATTY.host_call_bytes, CHATTY, Trap::HostCallBytes);
    let limits = Limits { host_call_bytes: 10_000, ..Limits::DEFAULT };
    both_sides(&logger(), "once", 10_000, limits, Trap::HostCallBytes);
}

/// The log of `report` is one line of `bytes`.
#[track_caller]
fn assert_one_line(report: &Report, bytes: u64) {
    assert_eq!(report.log.iter().map(|line| line.text.len() as u64).collect::<Vec<_>>(), [bytes]);
    assert_eq!(report.usage.stdio_bytes, bytes + 1, "a line costs its end too");
}

#[test]
fn a_log_line_over_the_limit() {
    let limit = Limits::DEFAULT.stdio_bytes;
    both_sides(&logger(), "once", limit, Limits::DEFAULT, Trap::Stdio);
    assert_one_line(&run(&logger(), "once", limit * 9 / 10, Limits::DEFAULT), limit * 9 / 10);
    assert_one_line(&run(&logger(), "once", limit * 11 / 10, Limits::DEFAULT), limit - 1);
}

#[test]
fn log_lines_add_up() {
    let limit = Limits::DEFAULT.stdio_bytes;
    both_sides(&logger(), "log", limit / 1025, Limits::DEFAULT, Trap::Stdio);
    let flood = run(&logger(), "log", 1_000_000, Limits::DEFAULT);
    assert_trap(&flood, Trap::Stdio);
    assert_eq!((flood.log.len() as u64, flood.usage.stdio_bytes), (limit.div_ceil(1025), limit));
}

/// Exports `make(n)`, which returns a string of `n` bytes, and `alias(n)`, which returns a list of
/// `n` strings that are all the same 64 KiB of memory.
pub(crate) fn producer() -> Program {
    let core = format!(
        r#"{USES_HEAP}
        (func (export "make") (param i32) (result i32)
          (local $at i32)
          (local.set $at (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (local.get 0)))
          (memory.fill (local.get $at) (i32.const 97) (local.get 0))
          (i32.store (i32.const 16) (local.get $at))
          (i32.store (i32.const 20) (local.get 0))
          (i32.const 16))
        (func (export "alias") (param i32) (result i32)
          (local $text i32) (local $list i32) (local $n i32)
          (local.set $text (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 65536)))
          (memory.fill (local.get $text) (i32.const 97) (i32.const 65536))
          (local.set $list
            (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.mul (local.get 0) (i32.const 8))))
          (loop $again
            (i32.store (i32.add (local.get $list) (i32.mul (local.get $n) (i32.const 8))) (local.get $text))
            (i32.store offset=4 (i32.add (local.get $list) (i32.mul (local.get $n) (i32.const 8))) (i32.const 65536))
            (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (local.get 0))))
          (i32.store (i32.const 16) (local.get $list))
          (i32.store (i32.const 20) (local.get 0))
          (i32.const 16))"#
    );
    let n = r#"(param "n" u32)"#;
    load(&simple(
        &core,
        &[("make", &format!("{n} (result string)")), ("alias", &format!("{n} (result (list string))"))],
    ))
}

#[test]
fn output() {
    let program = producer();
    let make =
        |n: u64| program.invoke(call("make", vec![number(u32::try_from(n).unwrap())], Some(Type::String)));
    let limit = Limits::DEFAULT.output_bytes;
    assert!(
        matches!(returned(&make(limit * 9 / 10)), Value::String(text) if text.len() as u64 == limit * 9 / 10)
    );
    assert_trap(&make(limit * 11 / 10), Trap::Output);
    // So much that wasmtime stops while it copies.
    assert_trap(&make(limit * 5), Trap::Output);
    assert_next_call_works();
}

#[test]
fn output_whose_elements_share_one_buffer() {
    let program = producer();
    let alias = |n: u64| {
        let strings = Some(Type::List(Box::new(Type::String)));
        program.invoke(call("alias", vec![number(u32::try_from(n).unwrap())], strings))
    };
    let limit = Limits::DEFAULT.output_bytes / 65_536;
    assert!(matches!(returned(&alias(limit * 9 / 10)), Value::List(items) if items.len() == 57));
    assert_trap(&alias(limit * 11 / 10), Trap::Output);
    // 6.5 GiB of text, said with 900 KiB of memory.
    assert_trap(&alias(100_000), Trap::Output);
    assert_next_call_works();
}

#[test]
fn input() {
    let limits = Limits { host_call_bytes: 10_000, ..Limits::DEFAULT };
    let with = |bytes: usize| {
        let mut echo = call("echo", vec![text(&"a".repeat(bytes))], Some(Type::String));
        echo.limits = limits;
        crate::fixture::echo().invoke(echo)
    };
    returned(&with(9_000));
    assert_trap(&with(11_000), Trap::Input);
}

/// What arguments may take in the host beside their texts.
pub(crate) const ARGUMENTS_BYTES: u64 = 24 << 20;

/// Many small values are little JSON and much memory.
#[test]
fn input_of_many_values() {
    let core = format!(r#"{USES_HEAP} (func (export "take") (param i32 i32))"#);
    let program = load(&simple(&core, &[("take", r#"(param "all" (list (tuple u8 u8)))"#)]));
    let pair = || Type::Tuple(vec![Type::U8, Type::U8]);
    let take = |values: u64| {
        let pairs =
            vec![Value::Tuple(vec![Value::U8(1), Value::U8(2)]); usize::try_from(values / 3).unwrap()];
        program.invoke(call("take", vec![(Type::List(Box::new(pair())), Value::List(pairs))], None))
    };
    let limit = ARGUMENTS_BYTES / size_of::<wasmtime::component::Val>() as u64;
    assert_eq!(take(limit * 9 / 10).outcome, engine::Outcome::Returned(None));
    assert_trap(&take(limit * 11 / 10), Trap::Input);
    assert_next_call_works();
}

/// Exports `draw(n)` and `twice(n)`, which draws `n` bytes in two halves.
pub(crate) fn drawer() -> Program {
    let imports = r#"(import "capstan:host/random@0.1.0" (instance $random
        (export "bytes" (func (param "length" u32) (result (list u8))))))"#;
    let lowered = r#"(core func $bytes (canon lower (func $random "bytes") (memory $memory) (realloc $realloc)))
        (core instance $host (export "bytes" (func $bytes)))"#;
    let core = format!(
        r#"{USES_HEAP} (import "host" "bytes" (func $bytes (param i32 i32)))
        (func (export "draw") (param i32) (call $bytes (local.get 0) (i32.const 16)))
        (func (export "twice") (param i32)
          (call $bytes (i32.div_u (local.get 0) (i32.const 2)) (i32.const 16))
          (call $bytes (i32.div_u (local.get 0) (i32.const 2)) (i32.const 16)))"#
    );
    let n = r#"(param "n" u32)"#;
    load(&with_imports(imports, lowered, &core, &[("draw", n), ("twice", n)]))
}

#[test]
fn random() {
    let program = drawer();
    for function in ["draw", "twice"] {
        both_sides(&program, function, Limits::DEFAULT.random_bytes, Limits::DEFAULT, Trap::Random);
    }
}
