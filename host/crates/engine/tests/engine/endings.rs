//! Guest code that runs where no function is called: as a start function, after the result was
//! taken, when a resource is dropped, and to make room for arguments. It is the call's all the same.

use base::Limits;
use engine::{Invocation, Outcome, Program, Report, Trap};
use values::{Type, Value};

use crate::fixture::{USES_HEAP, assert_next_call_works, assert_trap, call, load, returned, simple, text};

/// Where a body of code runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Start,
    PostReturn,
    Destructor,
    Realloc,
}

const PLACES: [Place; 4] = [Place::Start, Place::PostReturn, Place::Destructor, Place::Realloc];

/// Turns so many rounds.
fn rounds(count: u32) -> String {
    format!(
        "(local $n i32) (local.set $n (i32.const {count}))
         (loop $again (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))"
    )
}

pub(crate) const FOREVER: &str = "(loop $again (br $again))";

/// Grows the memory of its module by so many pages, which has none before.
fn grows(pages: u64) -> String {
    format!("(drop (memory.grow (i32.const {pages})))")
}

impl Place {
    /// A component whose `run` takes a text and returns 7, and which runs `body` on the way.
    pub(crate) fn program(self, body: &str) -> Program {
        let (start, done, dropped, room) = match self {
            Self::Start => (body, "", "", ""),
            Self::PostReturn => ("", body, "", ""),
            Self::Destructor => ("", "", body, ""),
            Self::Realloc => ("", "", "", body),
        };
        load(&format!(
            r#"(component
            (core module $D (memory 0) (func (export "drop") (param i32) {dropped}))
            (core instance $d (instantiate $D))
            (type $thing (resource (rep i32) (dtor (core func $d "drop"))))
            (core func $new (canon resource.new $thing))
            (core func $drop (canon resource.drop $thing))
            (core instance $host (export "new" (func $new)) (export "drop" (func $drop)))
            (core module $H (memory (export "memory") 1)
              (func (export "realloc") (param i32 i32 i32 i32) (result i32) {room} (i32.const 64)))
            (core instance $h (instantiate $H))
            (core module $M
              (import "host" "new" (func $new (param i32) (result i32)))
              (import "host" "drop" (func $drop (param i32)))
              (memory 0)
              (func $go {start}) (start $go)
              (func (export "run") (param i32 i32) (result i32)
                (call $drop (call $new (i32.const 1))) (i32.const 7))
              (func (export "done") (param i32) {done}))
            (core instance $m (instantiate $M (with "host" (instance $host))))
            (func $run (param "text" string) (result u32) (canon lift (core func $m "run")
              (memory (core memory $h "memory")) (realloc (core func $h "realloc")) (post-return (core func $m "done"))))
            (instance $ops (export "run" (func $run)))
            (export "test:guest/ops@0.1.0" (instance $ops)))"#
        ))
    }
}

/// A call of [`Place::program`].
pub(crate) fn prepare(limits: Limits) -> Invocation {
    Invocation { limits, ..call("run", vec![text("hello")], Some(Type::U32)) }
}

fn run(program: &Program, limits: Limits) -> Report {
    program.invoke(prepare(limits))
}

#[track_caller]
fn assert_seven(report: &Report, place: Place) {
    assert_eq!(report.outcome, Outcome::Returned(Some(Value::U32(7))), "{place:?}");
}

#[test]
fn a_trap_there_ends_the_call_as_any_other() {
    for place in PLACES {
        assert_seven(&run(&place.program(""), Limits::DEFAULT), place);
        assert_trap(&run(&place.program("unreachable"), Limits::DEFAULT), Trap::Unreachable);
        assert_next_call_works();
    }
}

#[test]
fn fuel_is_burnt_there_too() {
    for place in PLACES {
        let program = place.program(&rounds(100_000));
        let used = run(&program, Limits::DEFAULT).usage.fuel;
        assert!(used > 100_000, "{place:?}: {used}");
        let with = |fuel| run(&program, Limits { fuel, ..Limits::DEFAULT });
        assert_seven(&with(used * 10 / 9), place);
        assert_trap(&with(used * 10 / 11), Trap::Fuel);
        assert_next_call_works();
    }
}

#[test]
fn time_passes_there_too() {
    let hurried = Limits { fuel: u64::MAX / 2, wall_ms: 100, ..Limits::DEFAULT };
    for place in PLACES {
        let report = run(&place.program(FOREVER), hurried);
        assert_trap(&report, Trap::Deadline);
        assert!(report.usage.wall_us >= 100_000);
    }
    assert_next_call_works();
}

#[test]
fn memory_counts_there_too() {
    // The heap has a page of its own.
    let pages = Limits::DEFAULT.memory_bytes / 65_536 - 1;
    for place in PLACES {
        assert_seven(&run(&place.program(&grows(pages * 9 / 10)), Limits::DEFAULT), place);
        assert_trap(&run(&place.program(&grows(pages * 11 / 10)), Limits::DEFAULT), Trap::Memory);
        assert_next_call_works();
    }
}

#[test]
fn room_for_arguments_that_is_none_is_refused() {
    let with = |at: &str| {
        let core = format!(
            r#"{USES_HEAP}
            (func (export "length") (param i32 i32) (result i32) (local.get 1))
            (func (export "room") (param i32 i32 i32 i32) (result i32) {at})"#
        );
        let text = simple(&core, &[("length", r#"(param "text" string) (result u32)"#)]);
        // The main module's own allocator.
        let own = text.replace("(realloc $realloc)", r#"(realloc (core func $main "room"))"#);
        load(&own).invoke(call("length", vec![crate::fixture::text("hello")], Some(Type::U32)))
    };
    assert_eq!(returned(&with("(i32.const 4096)")), &Value::U32(5));
    for at in ["(i32.const -1)", "(i32.const 65533)"] {
        assert_trap(&with(at), Trap::Invalid);
    }
    assert_next_call_works();
}
