//! Components written as text, and calls with everything filled in.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use authority::{Authority, Ceiling, Grant, Grants, Request, Signer};
use base::{Clock, Digest, Effect, Limits, PackId, Timestamp};
use engine::files::Roots;
use engine::{
    ArtifactError, Artifacts, CancelToken, Engine, EngineSettings, ExecLimits, ExecRunner, ExecSettings,
    HostContext, HttpClient, HttpSettings, Invocation, Models, Outcome, Program, Report, Trap,
};
use values::{Field, FunctionType, Type, Value};

/// One engine for the whole test process, as in the program.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(EngineSettings::default()).unwrap())
}

pub(crate) fn load(text: &str) -> Program {
    let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    engine().load(&bytes, &Digest::of(&bytes)).unwrap()
}

/// A module with a memory and an allocator that grows it, named `$heap`. Other modules import it.
pub(crate) const HEAP: &str = r#"
  (core module $Heap
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (block $fits
        (loop $more
          (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
          (drop (memory.grow (i32.const 16)))
          (br $more)))
      (local.get $at)))
  (core instance $heap (instantiate $Heap))
  (alias core export $heap "memory" (core memory $memory))
  (alias core export $heap "realloc" (core func $realloc))
"#;

/// A component that exports `ops` with the functions of one core module, which imports the heap.
/// `lifts` are pairs of a name and its component-level type.
pub(crate) fn simple(core: &str, lifts: &[(&str, &str)]) -> String {
    with_imports("", "", core, lifts)
}

/// The same with imports: `imports` at component level, `lowered` as exports of the core instance
/// `host` that the module imports from.
pub(crate) fn with_imports(imports: &str, lowered: &str, core: &str, lifts: &[(&str, &str)]) -> String {
    let lifted: String = lifts
        .iter()
        .map(|(name, ty)| {
            format!(
                "(func ${name} {ty} (canon lift (core func $main \"{name}\") (memory $memory) (realloc $realloc)))\n"
            )
        })
        .collect();
    let exported: String =
        lifts.iter().map(|(name, _)| format!("(export \"{name}\" (func ${name}))")).collect();
    format!(
        r#"(component
  {imports}
  {HEAP}
  {lowered}
  (core module $Main
    {core})
  (core instance $main (instantiate $Main (with "heap" (instance $heap)) {host}))
  {lifted}
  (instance $ops {exported})
  (export "test:guest/ops@0.1.0" (instance $ops)))"#,
        host = if lowered.is_empty() { "" } else { "(with \"host\" (instance $host))" },
    )
}

/// The first lines of a module that uses the heap.
pub(crate) const USES_HEAP: &str = r#"
    (import "heap" "memory" (memory 0))
    (import "heap" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
"#;

pub(crate) fn echo() -> Program {
    let core = format!(
        r#"{USES_HEAP}
        (func (export "echo") (param i32 i32) (result i32)
          (i32.store (i32.const 16) (local.get 0))
          (i32.store (i32.const 20) (local.get 1))
          (i32.const 16))"#
    );
    load(&simple(&core, &[("echo", r#"(param "text" string) (result string)"#)]))
}

/// A call of `test:guest/ops`, pure, with default limits and nothing granted.
pub(crate) fn call(function: &str, arguments: Vec<(Type, Value)>, result: Option<Type>) -> Invocation {
    let params = arguments.iter().map(|(ty, _)| Field { name: "p".to_owned(), ty: ty.clone() }).collect();
    Invocation {
        interface: "ops".to_owned(),
        function: function.to_owned(),
        signature: FunctionType { params, result },
        arguments: arguments.into_iter().map(|(_, value)| value).collect(),
        limits: Limits::DEFAULT,
        authority: authority(&[], &[], Effect::Pure),
        host: host(Roots::default()),
        call_id: String::new(),
        tape: None,
        cancel: CancelToken::default(),
    }
}

pub(crate) fn text(text: &str) -> (Type, Value) {
    (Type::String, Value::String(text.to_owned()))
}

pub(crate) fn number(number: u32) -> (Type, Value) {
    (Type::U32, Value::U32(number))
}

pub(crate) fn pack() -> PackId {
    "test:guest".parse().unwrap()
}

/// The authority of an operation of `effect`, its pack requesting and being granted what is written
/// as on the command line.
pub(crate) fn authority(requested: &[&str], granted: &[&str], effect: Effect) -> Authority {
    let parse = |text: &&str| Grant::parse(&pack(), text).unwrap();
    let mut scopes: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for grant in requested.iter().map(parse) {
        scopes.entry(grant.capability).or_default().extend(grant.scopes);
    }
    let mut request = Request::new();
    for (capability, scopes) in scopes {
        request.insert(capability, scopes).unwrap();
    }
    let mut grants = Grants::default();
    let signer = Signer::of_fingerprint(&"the key that signed the guest");
    for grant in granted.iter().map(parse) {
        grants.add(grant.to_signer(signer.clone()));
    }
    let standing = grants.in_force(&pack(), &signer, FixedClock.now());
    Authority::of(&request, &standing, &Ceiling::none(), effect)
}

pub(crate) struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_234_567_890_123)
    }
}

#[derive(Default)]
pub(crate) struct MemoryArtifacts(Mutex<BTreeMap<Digest, Vec<u8>>>);

impl Artifacts for MemoryArtifacts {
    fn put(&self, digest: &Digest, contents: &[u8], _media_type: &str) -> Result<(), ArtifactError> {
        self.0.lock().unwrap().insert(*digest, contents.to_vec());
        Ok(())
    }

    fn get(&self, digest: &Digest, max_bytes: u64) -> Result<Vec<u8>, ArtifactError> {
        let contents = self.0.lock().unwrap().get(digest).cloned().ok_or(ArtifactError::NotFound)?;
        if contents.len() as u64 > max_bytes { Err(ArtifactError::TooLarge) } else { Ok(contents) }
    }
}

pub(crate) fn host(roots: Roots) -> HostContext {
    HostContext {
        roots: Arc::new(roots),
        artifacts: Arc::new(MemoryArtifacts::default()),
        http: HttpClient::new(HttpSettings::default()).unwrap(),
        models: Models {
            client: HttpClient::new(HttpSettings::default()).unwrap(),
            by_name: BTreeMap::new(),
        },
        exec: no_programs(),
        secrets: BTreeMap::new(),
        clock: Arc::new(FixedClock),
        seed: [7; 32],
    }
}

/// Nothing is found, and nothing could be started: this binary is not the program.
fn no_programs() -> ExecRunner {
    let helper = "/nonexistent".into();
    let limits = ExecLimits::DEFAULT;
    ExecRunner::new(ExecSettings { helper, arguments: Vec::new(), search: Vec::new(), limits })
}

pub(crate) fn workspace(folder: &Path) -> Roots {
    Roots::open([("workspace".parse().unwrap(), folder.to_owned())]).unwrap()
}

pub(crate) fn returned(report: &Report) -> &Value {
    match &report.outcome {
        Outcome::Returned(Some(value)) => value,
        other => panic!("expected a result, got {other:?}"),
    }
}

#[track_caller]
pub(crate) fn assert_trap(report: &Report, trap: Trap) {
    assert_eq!(report.outcome, Outcome::Trapped(trap));
}

/// The engine is as good as new: the next call works.
#[track_caller]
pub(crate) fn assert_next_call_works() {
    let report = echo().invoke(call("echo", vec![text("still here")], Some(Type::String)));
    assert_eq!(report.outcome, Outcome::Returned(Some(Value::String("still here".to_owned()))));
}
