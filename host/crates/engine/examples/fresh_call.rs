//! Measures one fresh call with all limits against the least that wasmtime can do for the same call:
//! a new store, an instance, a typed call. Interleaved, so that both meet the same machine.
//!
//! With the program's path as a second argument, also the same call in a worker process, and what
//! the first call of a run costs in either place.
//!
//! `cargo run -p engine --example fresh_call -- 10000 target/debug/capstan`

#![expect(clippy::disallowed_methods, reason = "it measures durations")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use authority::{Authority, Ceiling, Request, Standing};
use base::{Clock, Digest, Effect, Limits, PackId, Timestamp};
use engine::files::Roots;
use engine::{
    ArtifactError, Artifacts, CancelToken, Engine, EngineSettings, ExecLimits, ExecRunner, ExecSettings,
    HostContext, HttpClient, HttpSettings, Invocation, Outcome, Program, WorkerSettings, Workers,
};
use values::{Field, FunctionType, Type};
use wasmtime::Store;
use wasmtime::component::{Component, InstancePre, Linker};

const GUEST: &str = r#"(component
  (core module $M
    (memory (export "memory") 17)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (local.get 3))))
    (func (export "echo") (param i32 i32) (result i32)
      (i32.store (i32.const 16) (local.get 0))
      (i32.store (i32.const 20) (local.get 1))
      (i32.const 16)))
  (core instance $m (instantiate $M))
  (func $echo (param "text" string) (result string)
    (canon lift (core func $m "echo") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
  (instance $ops (export "echo" (func $echo)))
  (export "test:guest/ops@0.1.0" (instance $ops)))"#;

struct Nothing;

impl Clock for Nothing {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

impl Artifacts for Nothing {
    fn put(&self, _: &Digest, _: &[u8], _: &str) -> Result<(), ArtifactError> {
        Err(ArtifactError::NotFound)
    }

    fn get(&self, _: &Digest, _: u64) -> Result<Vec<u8>, ArtifactError> {
        Err(ArtifactError::NotFound)
    }
}

type Failure = Box<dyn std::error::Error>;

/// The bare call, its engine without fuel, epochs or anything else of ours.
struct Bare {
    pre: InstancePre<()>,
    export: wasmtime::component::ComponentExportIndex,
}

impl Bare {
    fn new(bytes: &[u8]) -> Result<Self, Failure> {
        let engine = wasmtime::Engine::default();
        let component = Component::from_binary(&engine, bytes)?;
        let ops = component.get_export_index(None, "test:guest/ops@0.1.0").ok_or("no interface")?;
        let export = component.get_export_index(Some(&ops), "echo").ok_or("no function")?;
        Ok(Self { pre: Linker::new(&engine).instantiate_pre(&component)?, export })
    }

    fn call(&self, text: &str) -> Result<usize, Failure> {
        let mut store = Store::new(self.pre.engine(), ());
        let instance = self.pre.instantiate(&mut store)?;
        let echo = instance.get_typed_func::<(&str,), (String,)>(&mut store, self.export)?;
        Ok(echo.call(&mut store, (text,))?.0.len())
    }
}

/// The call as a run makes it: the arguments' JSON text in, the result's JSON text out.
fn ours(program: &Program, template: &Invocation, arguments: &str) -> Result<usize, Failure> {
    let json = values::parse_json(arguments.as_bytes())?;
    let arguments =
        values::arguments_from_json(&json, &template.signature).map_err(|errors| format!("{errors:?}"))?;
    match program.invoke(Invocation { arguments, ..template.clone() }).outcome {
        Outcome::Returned(Some(value)) => Ok(values::to_json(&value).to_string().len()),
        other => Err(format!("{other:?}").into()),
    }
}

fn template() -> Result<Invocation, Failure> {
    let pack: PackId = "test:guest".parse()?;
    Ok(Invocation {
        interface: "ops".to_owned(),
        function: "echo".to_owned(),
        signature: FunctionType {
            params: vec![Field { name: "text".to_owned(), ty: Type::String }],
            result: Some(Type::String),
        },
        arguments: Vec::new(),
        limits: Limits::DEFAULT,
        authority: Authority::of(&Request::new(), &Standing::none(pack), &Ceiling::none(), Effect::Pure),
        host: HostContext {
            roots: Arc::new(Roots::default()),
            artifacts: Arc::new(Nothing),
            http: HttpClient::new(HttpSettings::default())?,
            exec: ExecRunner::new(ExecSettings {
                helper: "/nonexistent".into(),
                arguments: Vec::new(),
                search: Vec::new(),
                limits: ExecLimits::DEFAULT,
            }),
            secrets: engine::SecretValues::new(),
            clock: Arc::new(Nothing),
            seed: [0; 32],
        },
        call_id: String::new(),
        tape: None,
        cancel: CancelToken::default(),
    })
}

fn percentile(times: &mut [Duration], of_hundred: usize) -> f64 {
    times.sort_unstable();
    times.get(times.len() * of_hundred / 100).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

/// Rounds of starting workers, which take long.
const STARTS: usize = 100;

/// The call on a thread against the call in a worker, then the first call of a run in either place.
#[expect(clippy::print_stdout, reason = "a measurement is for reading")]
fn isolated(
    program: &Program,
    template: &Invocation,
    arguments: &str,
    path: &str,
    rounds: usize,
) -> Result<(), Failure> {
    let arguments_of = ["--home", "/", "internal", "worker"].map(Into::into).to_vec();
    let settings = WorkerSettings { program: path.into(), arguments: arguments_of };
    let workers = Workers::open(settings.clone())?;
    let within = program.clone().within(Some(workers));
    let timed = |program: &Program| -> Result<Duration, Failure> {
        let started = Instant::now();
        ours(program, template, arguments)?;
        Ok(started.elapsed())
    };
    timed(&within)?;
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        here.push(timed(program)?);
        there.push(timed(&within)?);
    }
    let (mut first_here, mut first_there) = (Vec::new(), Vec::new());
    for _ in 0..STARTS.min(rounds) {
        first_here.push(timed(program)?);
        let started = Instant::now();
        let workers = Workers::open(settings.clone())?;
        timed(&program.clone().within(Some(workers)))?;
        first_there.push(started.elapsed());
    }
    for (name, times) in [
        ("thread", &mut here),
        ("process", &mut there),
        ("thread 1", &mut first_here),
        ("process 1", &mut first_there),
    ] {
        println!("{name:9} p50 {:7.1} us   p99 {:7.1} us", percentile(times, 50), percentile(times, 99));
    }
    println!("per call  p50 {:+7.1} us", percentile(&mut there, 50) - percentile(&mut here, 50));
    println!("at start  p50 {:+7.1} us", percentile(&mut first_there, 50) - percentile(&mut first_here, 50));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a measurement is for reading")]
fn main() -> Result<(), Failure> {
    let rounds: usize = std::env::args().nth(1).map_or(Ok(10_000), |text| text.parse())?;
    let bytes = wat::parse_str(GUEST)?;
    let bare = Bare::new(&bytes)?;
    let program = Engine::new(EngineSettings::default())?.load(&bytes, &Digest::of(&bytes))?;
    let text = "a".repeat(1024);
    let template = template()?;
    let arguments = format!("{{\"text\": \"{text}\"}}");
    let (mut bare_times, mut our_times) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let started = Instant::now();
        bare.call(&text)?;
        bare_times.push(started.elapsed());
        let started = Instant::now();
        ours(&program, &template, &arguments)?;
        our_times.push(started.elapsed());
    }
    for (name, times) in [("bare", &mut bare_times), ("engine", &mut our_times)] {
        println!("{name:9} p50 {:7.1} us   p99 {:7.1} us", percentile(times, 50), percentile(times, 99));
    }
    println!("ratio     p50 {:7.2}", percentile(&mut our_times, 50) / percentile(&mut bare_times, 50));
    match std::env::args().nth(2) {
        Some(path) => isolated(&program, &template, &arguments, &path, rounds),
        None => Ok(()),
    }
}
