//! Measures a durable pure step against the least that a durable record costs: one row, one
//! commit with `synchronous=FULL`, in the same folder, in turn with it.
//!
//! A step here is all that the driver does for a call that returns at once: arguments evaluated,
//! the call, its record durable before the next step, which needs its result.
//!
//! `durable_step <folder> <steps>`

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement takes times and is for reading"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base::{
    Attempt, Change, ChangeSet, Clock, Code, Digest, Effect, Limits, NoProbe, OperationName, PackId, Refusal,
    RunId, Timestamp, Usage,
};
use journal::{Event, HowApplied, Journal, Mode, Record};
use plan::{Catalog, CatalogOperation, CatalogPack, CheckedPlan, PlanSource};
use run::{
    ApplyError, ApproverInfo, Approvers, CallFuture, CallOutcome, CallReport, CallRequest, Effects, Host,
    Invoke, NewRun, Observer, OnDisk,
};
use rusqlite::Connection;
use values::{Field, FunctionType, Type, Value};

type Failure = Box<dyn std::error::Error>;

/// Steps of one run: the most that a plan may have.
const STEPS_A_RUN: usize = 1_000;

/// One operation, `increment: func(n: u64) -> u64`, that is computed in place.
struct World;

impl Catalog for World {
    fn pack(&self, _: &PackId) -> Option<CatalogPack> {
        Some(CatalogPack { version: semver::Version::new(1, 0, 0), statement: Digest::of(b"pack") })
    }

    fn operation(&self, name: &OperationName) -> Option<CatalogOperation> {
        let n = Field { name: "n".to_owned(), ty: Type::U64 };
        let function = FunctionType { params: vec![n], result: Some(Type::U64) };
        (name.local() == "count.increment").then(|| CatalogOperation {
            function,
            effect: Effect::Pure,
            idempotent: true,
            limits: Limits::DEFAULT,
            request: Vec::new(),
            missing: Vec::new(),
            discloses: false,
            authority: Digest::of(b"none"),
        })
    }

    fn operations(&self, _: &PackId) -> Vec<OperationName> {
        Vec::new()
    }

    fn packs(&self) -> Vec<PackId> {
        Vec::new()
    }
}

impl Invoke for World {
    fn invoke(&self, call: CallRequest) -> CallFuture {
        let output = match call.arguments.first() {
            Some(Value::U64(n)) => Value::U64(n + 1),
            _ => Value::U64(0),
        };
        Box::pin(std::future::ready(CallReport {
            outcome: CallOutcome::Returned(Some(output)),
            usage: Usage { fuel: 1, ..Usage::default() },
            log: String::new(),
            denied: Vec::new(),
            reached: base::Reached::default(),
            changes: ChangeSet::default(),
            blobs: BTreeMap::new(),
        }))
    }

    fn send(&self, _: run::SendRequest) -> run::SendFuture {
        let refusal = base::Refusal::new(base::Code::CallFailed, "nothing is sent here");
        Box::pin(std::future::ready(Err(refusal)))
    }
}

impl Effects for World {
    fn state(&self, _: &Change, _: &base::ChangeSet) -> Result<OnDisk, ApplyError> {
        Ok(OnDisk::Other(None))
    }

    fn pre_image(&self, _: &Change) -> Result<Vec<u8>, ApplyError> {
        Ok(Vec::new())
    }

    fn apply(&self, _: &Change, _: Option<&[u8]>, _: &str) -> Result<HowApplied, ApplyError> {
        Ok(HowApplied::Already)
    }
}

impl Approvers for World {
    fn verify(&self, _: &[u8], _: &Digest) -> Result<ApproverInfo, Refusal> {
        Err(Refusal::new(Code::ApprovalForged, "nobody approves here"))
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

/// When each step's record was durable.
#[derive(Default)]
struct Times(Mutex<Vec<Instant>>);

impl Observer for Times {
    fn recorded(&self, _: &RunId, record: &Record) {
        if matches!(record.event, Event::StepCompleted { attempt: Attempt::FIRST, .. }) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
        }
    }
}

fn plan() -> Result<(String, CheckedPlan), Failure> {
    let mut text = "schema: capstan.plan/v1\nname: chain\npacks: { c: acme:count ^1 }\nbudget: { calls: 2000 }\nsteps:\n".to_owned();
    text += "  s0: { call: c/count.increment, with: { n: 0 } }\n";
    for step in 1..STEPS_A_RUN {
        text += &format!("  s{step}: {{ call: c/count.increment, with: {{ n: $s{} }} }}\n", step - 1);
    }
    let source = PlanSource { name: "chain.plan.yaml", text: &text };
    let checked = plan::check(&source, &World);
    let report = plan::render_text(&checked.diagnostics, &source);
    Ok((text.clone(), checked.plan.ok_or(report)?))
}

/// The bare commit's table, beside the journal.
fn bare(folder: &Path) -> Result<Connection, Failure> {
    let connection = Connection::open(folder.join("bare.sqlite"))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch("CREATE TABLE event (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT")?;
    Ok(connection)
}

fn bare_commits(connection: &Connection, count: usize) -> Result<Vec<Duration>, Failure> {
    let body = [7_u8; 300];
    (0..count)
        .map(|_| {
            let started = Instant::now();
            connection.prepare_cached("INSERT INTO event (body) VALUES (?1)")?.execute([&body[..]])?;
            Ok(started.elapsed())
        })
        .collect()
}

async fn steps(
    host: &Host,
    times: &Times,
    text: &str,
    plan: &Arc<CheckedPlan>,
    number: usize,
) -> Result<Vec<Duration>, Failure> {
    let id: RunId = format!("{number:024x}").parse()?;
    let new = NewRun {
        run: id.clone(),
        planfile: text.as_bytes().to_vec(),
        inputs: BTreeMap::new(),
        roots: Vec::new(),
        mode: Mode::Solo,
        started_by: "bench".to_owned(),
    };
    run::create(&host.journal, plan, new, Timestamp(0))?;
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let report = run::drive(host, plan, &id, stopped).await?;
    if report.status != run::RunStatus::Completed {
        return Err(format!("the run ended {}", report.status.as_str()).into());
    }
    let mut seen = times.0.lock().unwrap_or_else(PoisonError::into_inner);
    let found =
        seen.windows(2).filter_map(|pair| Some(pair.get(1)?.duration_since(*pair.first()?))).collect();
    seen.clear();
    Ok(found)
}

fn percentile(times: &mut [Duration], of_hundred: usize) -> f64 {
    times.sort_unstable();
    times.get(times.len() * of_hundred / 100).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("name a folder")?);
    let wanted: usize = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    std::fs::create_dir_all(&folder)?;
    let connection = bare(&folder)?;
    let times = Arc::new(Times::default());
    let world = Arc::new(World);
    let host = Host {
        journal: Journal::open(&folder, Arc::new(NoProbe))?,
        invoke: world.clone(),
        effects: world.clone(),
        approvers: world.clone(),
        clock: world,
        probe: Arc::new(NoProbe),
        observer: times.clone(),
        roots: Vec::new(),
        calls_max: 2,
    };
    let (text, plan) = plan()?;
    let plan = Arc::new(plan);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let commits_before = host.journal.stats().commits;
    let mut number = 0;
    while ours.len() < wanted {
        ours.extend(runtime.block_on(steps(&host, &times, &text, &plan, number))?);
        theirs.extend(bare_commits(&connection, STEPS_A_RUN)?);
        number += 1;
    }
    let commits = host.journal.stats().commits - commits_before;
    let (n, steps_made) = (ours.len(), number * STEPS_A_RUN);
    println!(
        "bare commit   n {n:<6} p50 {:8.1} us   p99 {:8.1} us",
        percentile(&mut theirs, 50),
        percentile(&mut theirs, 99)
    );
    println!(
        "durable step  n {n:<6} p50 {:8.1} us   p99 {:8.1} us",
        percentile(&mut ours, 50),
        percentile(&mut ours, 99)
    );
    println!(
        "ratio p50 {:.2}, commits per step {:.3}",
        percentile(&mut ours, 50) / percentile(&mut theirs, 50),
        commits as f64 / steps_made as f64
    );
    Ok(())
}
