//! What a call is given and returns: values of every type, ends of every kind.

use base::Limits;
use engine::{CancelToken, GuestThreads, LoadError, Outcome, Trap};
use values::{Type, Value};

use crate::fixture::{
    USES_HEAP, assert_next_call_works, assert_trap, call, echo, engine, load, number, returned, simple, text,
};

#[test]
fn a_string_goes_in_and_comes_out() {
    let long = "a".repeat(1 << 20);
    for case in ["", "hello", "zażółć 🦀", &long] {
        let report = echo().invoke(call("echo", vec![text(case)], Some(Type::String)));
        assert_eq!(returned(&report), &Value::String(case.to_owned()));
        assert!(report.usage.fuel > 0 && report.usage.memory_bytes >= 65_536);
    }
}

/// A function that returns its parameter as it is, for any type that is passed through memory.
fn identity(ty: &str) -> engine::Program {
    let core = format!(
        r#"{USES_HEAP}
        (func (export "same") (param i32 i32) (result i32)
          (i32.store (i32.const 16) (local.get 0))
          (i32.store (i32.const 20) (local.get 1))
          (i32.const 16))"#
    );
    load(&simple(&core, &[("same", &format!(r#"(param "p" {ty}) (result {ty})"#))]))
}

fn list(ty: Type) -> Type {
    Type::List(Box::new(ty))
}

#[test]
fn values_of_every_shape_survive_the_round_trip() {
    let option = |value| Value::Option(Some(Box::new(value)));
    let cases = vec![
        ("(list u8)", list(Type::U8), Value::Bytes(vec![0, 1, 255])),
        ("(list bool)", list(Type::Bool), Value::List(vec![Value::Bool(true), Value::Bool(false)])),
        ("(list s8)", list(Type::S8), Value::List(vec![Value::S8(-128)])),
        ("(list s16)", list(Type::S16), Value::List(vec![Value::S16(-32_768)])),
        ("(list u16)", list(Type::U16), Value::List(vec![Value::U16(65_535)])),
        ("(list s32)", list(Type::S32), Value::List(vec![Value::S32(i32::MIN)])),
        ("(list u32)", list(Type::U32), Value::List(vec![Value::U32(u32::MAX)])),
        ("(list s64)", list(Type::S64), Value::List(vec![Value::S64(i64::MIN)])),
        ("(list u64)", list(Type::U64), Value::List(vec![Value::U64(u64::MAX)])),
        ("(list f32)", list(Type::F32), Value::List(vec![Value::F32(-0.0)])),
        ("(list f64)", list(Type::F64), Value::List(vec![Value::F64(f64::INFINITY)])),
        ("(list char)", list(Type::Char), Value::List(vec![Value::Char('🦀')])),
        ("(list string)", list(Type::String), Value::List(vec![Value::String("x".to_owned())])),
        (
            "(list (tuple u8 string))",
            list(Type::Tuple(vec![Type::U8, Type::String])),
            Value::List(vec![Value::Tuple(vec![Value::U8(1), Value::String("y".to_owned())])]),
        ),
        (
            "(list (option u32))",
            list(Type::Option(Box::new(Type::U32))),
            Value::List(vec![Value::Option(None), option(Value::U32(5))]),
        ),
        (
            "(list (result u32 (error string)))",
            list(Type::Result { ok: Some(Box::new(Type::U32)), err: Some(Box::new(Type::String)) }),
            Value::List(vec![
                Value::Result(Ok(Some(Box::new(Value::U32(1))))),
                Value::Result(Err(Some(Box::new(Value::String("no".to_owned()))))),
            ]),
        ),
        (
            "(list (list u8))",
            list(list(Type::U8)),
            Value::List(vec![Value::Bytes(vec![]), Value::Bytes(vec![9])]),
        ),
    ];
    for (wit, ty, value) in cases {
        let report = identity(wit).invoke(call("same", vec![(ty.clone(), value.clone())], Some(ty)));
        assert_eq!(returned(&report), &value, "{wit}");
    }
}

#[test]
fn a_top_level_result_is_unwrapped() {
    let core = format!(
        r#"{USES_HEAP}
        (func (export "half") (param i32) (result i32)
          (i32.store8 (i32.const 16) (i32.and (local.get 0) (i32.const 1)))
          (i32.store (i32.const 20) (i32.shr_u (local.get 0) (i32.const 1)))
          (i32.const 16))"#
    );
    let program = load(&simple(&core, &[("half", r#"(param "n" u32) (result (result u32 (error u32)))"#)]));
    let u32 = || Some(Box::new(Type::U32));
    let half = |n| {
        program.invoke(call("half", vec![number(n)], Some(Type::Result { ok: u32(), err: u32() }))).outcome
    };
    assert_eq!(half(8), Outcome::Returned(Some(Value::U32(4))));
    assert_eq!(half(9), Outcome::Failed(Some(Value::U32(4))));
}

#[test]
fn guest_faults_have_their_own_names() {
    let cases = [
        ("unreachable", Trap::Unreachable),
        ("(drop (i32.load (i32.const -1)))", Trap::OutOfBounds),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", Trap::Arithmetic),
        ("(call_indirect $table (i32.const 0))", Trap::BadCall),
    ];
    for (body, trap) in cases {
        let core = format!(r#"{USES_HEAP} (table $table 1 funcref) (func (export "run") {body})"#);
        let report = load(&simple(&core, &[("run", "")])).invoke(call("run", vec![], None));
        assert_trap(&report, trap);
    }
    assert_next_call_works();
}

#[test]
fn a_result_that_breaks_the_canonical_abi_is_invalid() {
    // A string that points outside of memory, one that is no UTF-8, and a bool is fine beside them.
    let string = |pointer: u32, length: u32| {
        let core = format!(
            r#"{USES_HEAP} (data (i32.const 100) "\ff\fe")
            (func (export "bad") (result i32)
              (i32.store (i32.const 16) (i32.const {pointer}))
              (i32.store (i32.const 20) (i32.const {length}))
              (i32.const 16))"#
        );
        load(&simple(&core, &[("bad", "(result string)")])).invoke(call("bad", vec![], Some(Type::String)))
    };
    assert_trap(&string(100, 2), Trap::Invalid);
    assert_trap(&string(0xffff_0000, 2), Trap::Invalid);
    assert_eq!(returned(&string(200, 0)), &Value::String(String::new()));
}

/// What the tools of some languages leave in a component beside its interfaces is not called, and
/// hides nothing by having the name of one.
#[test]
fn an_instance_without_a_package_is_not_called() {
    let core = r#"(func (export "seven") (result i32) (i32.const 7))"#;
    let component = simple(core, &[("seven", "(result u32)")]);
    let (whole, _) = component.rsplit_once(')').unwrap();
    let ask = |extra: &str, interface: &str| {
        let mut asked = call("seven", vec![], Some(Type::U32));
        asked.interface = interface.to_owned();
        load(&format!("{whole} {extra})")).invoke(asked)
    };
    for (extra, name) in
        [(r#"(export "rest" (instance $ops))"#, "rest"), (r#"(export "ops" (instance $ops))"#, "ops@")]
    {
        assert_trap(&ask(extra, name), Trap::Signature);
        assert_eq!(returned(&ask(extra, "ops")), &Value::U32(7));
    }
}

#[test]
fn what_is_not_the_components_signature_is_told_apart() {
    let absent = echo().invoke(call("nothing", vec![], None));
    assert_trap(&absent, Trap::Signature);
    let mut elsewhere = call("echo", vec![text("x")], Some(Type::String));
    elsewhere.interface = "other".to_owned();
    assert_trap(&echo().invoke(elsewhere), Trap::Signature);
    assert_trap(&echo().invoke(call("echo", vec![], Some(Type::String))), Trap::Signature);
    assert_trap(&echo().invoke(call("echo", vec![text("x")], None)), Trap::Signature);
    assert_trap(&echo().invoke(call("echo", vec![text("x")], Some(Type::U32))), Trap::Signature);
    for name in ["ops", "test:guest/ops", "test:guest/ops@0.1.0"] {
        let mut named = call("echo", vec![text("x")], Some(Type::String));
        named.interface = name.to_owned();
        assert_eq!(returned(&echo().invoke(named)), &Value::String("x".to_owned()));
    }
}

#[test]
fn loading_refuses_other_bytes_other_imports_and_other_features() {
    let good = wat::parse_str("(component)").unwrap();
    let digest = base::Digest::of(&good);
    assert!(engine().load(&good, &digest).is_ok());
    assert_eq!(engine().load(b"other", &digest).err(), Some(LoadError::Digest { expected: digest }));
    let refused = |text: &str| {
        let bytes = wat::parse_str(text).unwrap();
        engine().load(&bytes, &base::Digest::of(&bytes)).err()
    };
    let unknown =
        refused(r#"(component (import "evil:host/everything@1.0.0" (instance (export "go" (func)))))"#);
    assert!(
        matches!(&unknown, Some(LoadError::Link(text)) if text.contains("evil:host/everything")),
        "{unknown:?}"
    );
    let unversioned =
        refused(r#"(component (import "wasi:http/outgoing-handler@0.2.0" (instance (export "go" (func)))))"#);
    assert!(matches!(unversioned, Some(LoadError::Link(_))));
    let features = [
        "(component (core module (memory i64 1)))",
        "(component (core module (memory 1 1 shared)))",
        "(component (core module (type (struct))))",
        "(component (core module (tag)))",
        "(component (core module (func (local (ref null 0)))))",
        r#"(component (import "f" (func async)))"#,
        "(component (core module (memory 1 (pagesize 1))))",
    ];
    for text in features {
        assert!(matches!(refused(text), Some(LoadError::Compile(_))), "{text} was accepted");
    }
}

/// Counts down for a very long time.
pub(crate) fn spinner() -> engine::Program {
    let core = format!(r#"{USES_HEAP} (func (export "spin") (loop $again (br $again)))"#);
    load(&simple(&core, &[("spin", "")]))
}

#[test]
fn cancelling_ends_a_spinning_guest() {
    let mut spin = call("spin", vec![], None);
    spin.limits = Limits { fuel: u64::MAX / 2, wall_ms: 600_000, ..Limits::DEFAULT };
    let token = spin.cancel.clone();
    let canceller = std::thread::spawn(move || token.cancel());
    assert_trap(&spinner().invoke(spin), Trap::Cancelled);
    canceller.join().unwrap();

    let mut before = call("echo", vec![text("x")], Some(Type::String));
    before.cancel = CancelToken::default();
    before.cancel.cancel();
    assert_trap(&echo().invoke(before), Trap::Cancelled);
    assert_next_call_works();
}

#[tokio::test]
async fn guest_threads_run_calls_of_async_code() {
    let threads = GuestThreads::new(2).unwrap();
    let program = echo();
    let calls = (0..50).map(|n| {
        let (threads, program) = (&threads, program.clone());
        async move {
            let word = n.to_string();
            let report = threads.run(program, call("echo", vec![text(&word)], Some(Type::String))).await;
            assert_eq!(returned(&report), &Value::String(word));
        }
    });
    for each in calls {
        each.await;
    }
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_and_frees_its_thread() {
    let threads = GuestThreads::new(1).unwrap();
    let mut spin = call("spin", vec![], None);
    spin.limits = Limits { fuel: u64::MAX / 2, wall_ms: 600_000, ..Limits::DEFAULT };
    {
        let stuck = threads.run(spinner(), spin);
        let soon = tokio::time::timeout(std::time::Duration::from_millis(50), stuck).await;
        assert!(soon.is_err(), "it spins");
    }
    let report = threads.run(echo(), call("echo", vec![text("next")], Some(Type::String))).await;
    assert_eq!(returned(&report), &Value::String("next".to_owned()));
}

/// Artifacts whose store does not answer until it is let go.
#[derive(Default)]
struct Stuck {
    let_go: std::sync::Mutex<bool>,
    wake: std::sync::Condvar,
}

impl Stuck {
    fn release(&self) {
        *self.let_go.lock().unwrap() = true;
        self.wake.notify_all();
    }
}

impl engine::Artifacts for Stuck {
    fn put(&self, _: &base::Digest, _: &[u8], _: &str) -> Result<(), engine::ArtifactError> {
        drop(self.wake.wait_while(self.let_go.lock().unwrap(), |let_go| !*let_go).unwrap());
        Ok(())
    }

    fn get(&self, _: &base::Digest, _: u64) -> Result<Vec<u8>, engine::ArtifactError> {
        Err(engine::ArtifactError::NotFound)
    }
}

#[tokio::test]
async fn a_stuck_host_call_costs_its_thread_and_not_the_pool() {
    let threads = GuestThreads::new(1).unwrap();
    let (program, mut keep) = crate::live::keep(b"kept", &["artifacts"], base::Effect::Read);
    let stuck = std::sync::Arc::new(Stuck::default());
    keep.host.artifacts = stuck.clone();
    keep.limits.wall_ms = 100;
    let shared = keep.cancel.clone();
    assert_trap(&threads.run(program, keep).await, Trap::Deadline);
    assert!(!shared.is_cancelled(), "other calls may share the caller's token");
    let next = call("echo", vec![text("next")], Some(Type::String));
    assert_eq!(returned(&threads.run(echo(), next).await), &Value::String("next".to_owned()));
    stuck.release();
}

#[test]
fn a_child_token_is_cancelled_with_its_parent_and_not_the_other_way_round() {
    let parent = CancelToken::default();
    let (one, two) = (parent.child(), parent.child());
    one.cancel();
    assert!(one.is_cancelled() && one.child().is_cancelled());
    assert!(!parent.is_cancelled() && !two.is_cancelled());
    parent.cancel();
    assert!(two.is_cancelled());
}

#[test]
fn a_list_of_bytes_is_bounded_both_ways() {
    let bytes = |count: usize| (list(Type::U8), Value::Bytes(vec![7; count]));
    let same = |count| identity("(list u8)").invoke(call("same", vec![bytes(count)], Some(list(Type::U8))));
    returned(&same(values::BYTES_MAX));
    assert_trap(&same(values::BYTES_MAX + 1), Trap::Input);
    // A guest that answers with more than it may: the same memory, said to be longer.
    let core = format!(
        r#"{USES_HEAP} (func (export "make") (param i32) (result i32)
          (drop (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (local.get 0)))
          (i32.store (i32.const 16) (i32.const 4096))
          (i32.store (i32.const 20) (local.get 0))
          (i32.const 16))"#
    );
    let program = load(&simple(&core, &[("make", r#"(param "n" u32) (result (list u8))"#)]));
    let make = |count: usize| {
        program.invoke(call("make", vec![number(u32::try_from(count).unwrap())], Some(list(Type::U8))))
    };
    returned(&make(values::BYTES_MAX));
    assert_trap(&make(values::BYTES_MAX + 1), Trap::Output);
}
