//! Measures one fresh call with all limits against the least that wasmtime can do for the same call
//! (a new store, an instance, a typed call), and against what it needs for the same call under the
//! same limits with values of which only the program knows the types. Interleaved, so that all meet
//! the same machine. Then the same for a guest that computes, and calls from eight threads.
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
use values::{Field, FunctionType, Type, Value};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker, Val};
use wasmtime::{Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline};

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
      (i32.const 16))
    (func (export "spin") (param $n i64) (result i64) (local $sum i64)
      (loop $again
        (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 31)) (local.get $n)))
        (local.set $n (i64.sub (local.get $n) (i64.const 1)))
        (br_if $again (i64.ne (local.get $n) (i64.const 0))))
      (local.get $sum)))
  (core instance $m (instantiate $M))
  (func $spin (param "n" u64) (result u64) (canon lift (core func $m "spin")))
  (func $echo (param "text" string) (result string)
    (canon lift (core func $m "echo") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
  (instance $ops (export "echo" (func $echo)) (export "spin" (func $spin)))
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

/// How the bare call is bounded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bounds {
    /// Not at all: an engine without fuel, epochs or anything else of ours.
    None,
    /// As ours is.
    Same,
}

/// The bare calls.
struct Bare {
    bounds: Bounds,
    pre: InstancePre<StoreLimits>,
    echo: ComponentExportIndex,
    spin: ComponentExportIndex,
}

impl Bare {
    fn new(bytes: &[u8], bounds: Bounds) -> Result<Self, Failure> {
        let mut config = wasmtime::Config::new();
        if bounds == Bounds::Same {
            config.consume_fuel(true).epoch_interruption(true).cranelift_nan_canonicalization(true);
        }
        let engine = wasmtime::Engine::new(&config)?;
        let component = Component::from_binary(&engine, bytes)?;
        let ops = component.get_export_index(None, "test:guest/ops@0.1.0").ok_or("no interface")?;
        let function = |name| component.get_export_index(Some(&ops), name).ok_or("no function");
        let (echo, spin) = (function("echo")?, function("spin")?);
        if bounds == Bounds::Same {
            let ticking = engine.clone();
            std::thread::spawn(move || {
                loop {
                    std::thread::sleep(TICK);
                    ticking.increment_epoch();
                }
            });
        }
        Ok(Self { bounds, pre: Linker::new(&engine).instantiate_pre(&component)?, echo, spin })
    }

    fn store(&self) -> Result<Store<StoreLimits>, Failure> {
        let Limits { memory_bytes, table_elements, instances, .. } = Limits::DEFAULT;
        let limits = StoreLimitsBuilder::new()
            .memory_size(usize::try_from(memory_bytes)?)
            .table_elements(usize::try_from(table_elements)?)
            .instances(usize::try_from(instances)?)
            .build();
        let mut store = Store::new(self.pre.engine(), limits);
        if self.bounds == Bounds::Same {
            store.limiter(|limits| limits);
            store.set_fuel(Limits::DEFAULT.fuel)?;
            store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(1)));
            store.set_epoch_deadline(1);
        }
        Ok(store)
    }

    fn typed(&self, text: &str) -> Result<usize, Failure> {
        let mut store = self.store()?;
        let instance = self.pre.instantiate(&mut store)?;
        let echo = instance.get_typed_func::<(&str,), (String,)>(&mut store, self.echo)?;
        Ok(echo.call(&mut store, (text,))?.0.len())
    }

    /// The argument is made before, and the result dropped after what is measured, as ours are.
    fn dynamic(&self, arguments: &[Val]) -> Result<Val, Failure> {
        let mut store = self.store()?;
        let instance = self.pre.instantiate(&mut store)?;
        let echo = instance.get_func(&mut store, self.echo).ok_or("no function")?;
        let mut results = [Val::Bool(false)];
        echo.call(&mut store, arguments, &mut results)?;
        let [text @ Val::String(_)] = results else { return Err("no text".into()) };
        Ok(text)
    }

    fn spin(&self, rounds: u64) -> Result<u64, Failure> {
        let mut store = self.store()?;
        let instance = self.pre.instantiate(&mut store)?;
        let spin = instance.get_typed_func::<(u64,), (u64,)>(&mut store, self.spin)?;
        Ok(spin.call(&mut store, (rounds,))?.0)
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
            models: engine::Models {
                client: HttpClient::new(HttpSettings::default())?,
                by_name: std::collections::BTreeMap::new(),
            },
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

/// A guest that computes for some milliseconds, bare and as ours.
#[expect(clippy::print_stdout, reason = "a measurement is for reading")]
fn computing(bare: &Bare, program: &Program, template: &Invocation) -> Result<(), Failure> {
    let signature =
        FunctionType { params: vec![Field { name: "n".to_owned(), ty: Type::U64 }], result: Some(Type::U64) };
    let template = Invocation { function: "spin".to_owned(), signature, ..template.clone() };
    let arguments = vec![Value::U64(SPINS)];
    let (mut bare_times, mut our_times) = (Vec::new(), Vec::new());
    for _ in 0..COMPUTED {
        let started = Instant::now();
        let expected = bare.spin(SPINS)?;
        bare_times.push(started.elapsed());
        let started = Instant::now();
        let outcome = program.invoke(Invocation { arguments: arguments.clone(), ..template.clone() }).outcome;
        our_times.push(started.elapsed());
        if outcome != Outcome::Returned(Some(Value::U64(expected))) {
            return Err(format!("{outcome:?}").into());
        }
    }
    row("computing, bare", &mut bare_times);
    row("computing, engine", &mut our_times);
    println!("ratio     p50 {:7.2}", percentile(&mut our_times, 50) / percentile(&mut bare_times, 50));
    Ok(())
}

/// Calls a second of one thread, and of eight together, in turn.
#[expect(clippy::print_stdout, reason = "a measurement is for reading")]
fn threads(
    name: &str,
    rounds: usize,
    call: impl Fn() -> Result<usize, Failure> + Sync,
) -> Result<(), Failure> {
    let all = |count: usize| -> Result<f64, Failure> {
        let started = Instant::now();
        std::thread::scope(|scope| {
            let work = || {
                let one = |()| call().map(drop).map_err(|error| error.to_string());
                std::iter::repeat_n((), rounds / count).try_for_each(one)
            };
            let running: Vec<_> = std::iter::repeat_with(|| scope.spawn(work)).take(count).collect();
            running.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
        })?;
        Ok((rounds / count * count) as f64 / started.elapsed().as_secs_f64())
    };
    let (mut one, mut eight) = (Vec::new(), Vec::new());
    for _ in 0..THREADED {
        one.push(all(1)?);
        eight.push(all(8)?);
    }
    let middle = |all: &mut Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    let (one, eight) = (middle(&mut one), middle(&mut eight));
    println!("{name}: 1 thread {one:.0} calls/s, 8 threads {eight:.0} calls/s, ratio {:.2}", eight / one);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a measurement is for reading")]
fn row(name: &str, times: &mut [Duration]) {
    println!("{name:18} p50 {:9.1} us   p99 {:9.1} us", percentile(times, 50), percentile(times, 99));
}

/// Turns of the loop in a guest that computes: some milliseconds.
const SPINS: u64 = 10_000_000;
/// Rounds of computing.
const COMPUTED: usize = 100;
/// Rounds of one thread against eight.
const THREADED: usize = 5;
/// How often epochs pass, as in the engine.
const TICK: Duration = Duration::from_millis(2);

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
    let bare = Bare::new(&bytes, Bounds::None)?;
    let bounded = Bare::new(&bytes, Bounds::Same)?;
    let program = Engine::new(EngineSettings::default())?.load(&bytes, &Digest::of(&bytes))?;
    let text = "a".repeat(1024);
    let template = template()?;
    let arguments = format!("{{\"text\": \"{text}\"}}");
    let [mut bare_times, mut bounded_times, mut alone_times, mut our_times] =
        [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..rounds {
        let started = Instant::now();
        bare.typed(&text)?;
        bare_times.push(started.elapsed());
        let argument = [Val::String(text.clone())];
        let started = Instant::now();
        let result = bounded.dynamic(&argument)?;
        bounded_times.push(started.elapsed());
        drop(result);
        let invocation = Invocation { arguments: vec![Value::String(text.clone())], ..template.clone() };
        let started = Instant::now();
        let outcome = program.invoke(invocation).outcome;
        alone_times.push(started.elapsed());
        let Outcome::Returned(Some(_)) = outcome else { return Err(format!("{outcome:?}").into()) };
        let started = Instant::now();
        ours(&program, &template, &arguments)?;
        our_times.push(started.elapsed());
    }
    row("bare", &mut bare_times);
    row("bare, same limits", &mut bounded_times);
    row("engine alone", &mut alone_times);
    row("engine and JSON", &mut our_times);
    let (bare_p50, bounded_p50) = (percentile(&mut bare_times, 50), percentile(&mut bounded_times, 50));
    let (alone_p50, ours_p50) = (percentile(&mut alone_times, 50), percentile(&mut our_times, 50));
    println!(
        "ratio to bare             alone {:.2}   with JSON {:.2}",
        alone_p50 / bare_p50,
        ours_p50 / bare_p50
    );
    println!(
        "ratio to the same limits  alone {:.2}   with JSON {:.2}",
        alone_p50 / bounded_p50,
        ours_p50 / bounded_p50
    );
    computing(&bare, &program, &template)?;
    threads("bare", rounds, || bare.typed(&text))?;
    threads("engine", rounds, || ours(&program, &template, &arguments))?;
    match std::env::args().nth(2) {
        Some(path) => isolated(&program, &template, &arguments, &path, rounds),
        None => Ok(()),
    }
}
