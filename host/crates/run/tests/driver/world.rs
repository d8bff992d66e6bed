//! A small world: files in memory, operations as closures, an approver who signs with one word.
//! It outlives the hosts that work in it, as a disk does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use base::{
    Change, ChangeKind, ChangeSet, Clock, Code, Digest, Effect, Limits, NoProbe, Probe, Refusal, RootName,
    RunId, StepId, Timestamp, Usage,
};
use journal::{Append, Event, HowApplied, Journal, Mode, RootRecord};
use plan::{
    Approval, Budget, CheckedPack, CheckedPlan, CheckedStep, Expr, FanOut, Gate, GateReason,
    InputDeclaration, Location, Reference, Root, Span,
};
use run::{
    ApplyError, ApproverInfo, Approvers, CallFuture, CallOutcome, CallReport, CallRequest, Effects, HeldCall,
    Host, Invoke, NewRun, NoObserver, OnDisk, Report, SendFuture, SendReport, SendRequest, State,
};
use tokio::sync::watch;
use values::{Field, FunctionType, Type, Value};

pub(crate) fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

pub(crate) fn root() -> RootName {
    "workspace".parse().unwrap()
}

/// The files, and what was done to them and called.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) files: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Changes that really changed something.
    pub(crate) applied: Mutex<Vec<String>>,
    pub(crate) calls: Mutex<Vec<String>>,
    pub(crate) now: AtomicU64,
    pub(crate) most_at_once: AtomicU64,
    at_once: AtomicU64,
    /// Calls that were sent.
    pub(crate) sent: Mutex<Vec<String>>,
    /// What calls, and those that were sent, might use.
    pub(crate) limits: Mutex<Vec<Limits>>,
    pub(crate) send_limits: Mutex<Vec<Limits>>,
    /// What is there when what a change replaces is kept, though it was not there before.
    pub(crate) pre_image: Mutex<Option<Vec<u8>>>,
    /// What somebody else does while a call is sent.
    pub(crate) meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// What outgoing calls end with now.
    pub(crate) mood: Mutex<String>,
    /// The approver's word; another one makes earlier statements worthless.
    pub(crate) word: Mutex<String>,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        let world = Self::default();
        *world.word.lock().unwrap() = "yes".to_owned();
        Arc::new(world)
    }

    pub(crate) fn put(&self, path: &str, text: &str) {
        self.files.lock().unwrap().insert(path.to_owned(), text.as_bytes().to_vec());
    }

    pub(crate) fn text(&self, path: &str) -> Option<String> {
        self.files.lock().unwrap().get(path).map(|bytes| String::from_utf8(bytes.clone()).unwrap())
    }

    pub(crate) fn remove(&self, path: &str) {
        self.files.lock().unwrap().remove(path);
    }

    pub(crate) fn calls_of(&self, operation: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|call| call.starts_with(operation)).count()
    }

    pub(crate) fn statement(&self, digest: &Digest) -> Vec<u8> {
        format!("{} {}", self.word.lock().unwrap(), digest.hex()).into_bytes()
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.files.lock().unwrap().get(path).cloned()
    }

    fn call(&self, request: &CallRequest) -> CallReport {
        let argument = |index: usize| match &request.arguments[index] {
            Value::String(text) => text.clone(),
            other => panic!("{other:?}"),
        };
        let returned = |value: Value| CallOutcome::Returned(Some(value));
        let mut changes = ChangeSet::default();
        let mut blobs = BTreeMap::new();
        let outcome = match request.operation.local().as_str() {
            "tree.list" => {
                let files = self.files.lock().unwrap();
                let paths = files.keys().filter(|path| path.starts_with(&argument(0)));
                returned(Value::List(paths.map(|path| Value::String(path.clone())).collect()))
            }
            "tree.read" => match self.read(&argument(0)) {
                Some(bytes) => returned(Value::String(String::from_utf8(bytes).unwrap())),
                None => CallOutcome::Failed(Some(Value::String(format!("no {}", argument(0))))),
            },
            "text.join" => {
                let Value::List(texts) = &request.arguments[0] else { panic!("no list") };
                let texts = texts.iter().map(|text| match text {
                    Value::String(text) => text.as_str(),
                    other => panic!("{other:?}"),
                });
                returned(Value::String(texts.collect::<Vec<_>>().join("+")))
            }
            // Reads through, then writes: doing it twice shows.
            "tree.append" | "tree.write" | "tree.sneak" => {
                let (path, text) = (argument(0), argument(1));
                let old = self.read(&path);
                let mut new = text.into_bytes();
                if request.operation.local() == "tree.append" {
                    new = [old.clone().unwrap_or_default(), new].concat();
                }
                if old.as_ref() != Some(&new) {
                    let kind = if old.is_some() { ChangeKind::Replace } else { ChangeKind::Create };
                    let (pre, post) = (old.as_deref().map(Digest::of), Some(Digest::of(&new)));
                    changes = ChangeSet::new([Change {
                        root: root(),
                        path: path.clone(),
                        kind,
                        pre,
                        post,
                        mode: None,
                    }]);
                    blobs.insert(Digest::of(&new), new);
                }
                returned(Value::String(path))
            }
            // Comes to an outgoing call, and goes on with its answer.
            "mail.send" | "web.ask" => match request.tape.as_deref() {
                Some(b"") if *self.mood.lock().unwrap() == "astray" => {
                    CallOutcome::Diverged("it reads another file".to_owned())
                }
                None | Some(b"") => {
                    let text = format!("{}{}", argument(0), self.mood.lock().unwrap());
                    let (target, call) = (format!("POST {text}"), text.into_bytes());
                    CallOutcome::Held(HeldCall {
                        capability: match request.operation.local().as_str() {
                            "web.ask" => base::Capability::HttpRead,
                            _ => base::Capability::HttpSend,
                        },
                        target,
                        call,
                        tape: Vec::new(),
                    })
                }
                Some(_) if *self.mood.lock().unwrap() == "lost" => {
                    CallOutcome::Diverged("it asks for something else".to_owned())
                }
                Some(answer) => returned(Value::String(String::from_utf8(answer.to_vec()).unwrap())),
            },
            "wait.go" => returned(Value::String("went".to_owned())),
            "fail.now" => CallOutcome::Failed(Some(Value::String("it would not".to_owned()))),
            "trap.now" => CallOutcome::Trapped { trap: "fuel".to_owned(), message: "out of fuel".to_owned() },
            other => panic!("{other}"),
        };
        let (files, file_bytes) = (2, 3);
        let (model_tokens, model_cost) = (5, 4);
        let usage = Usage {
            fuel: 10,
            wall_us: 1,
            host_call_bytes: 7,
            files,
            file_bytes,
            model_tokens,
            model_cost,
            ..Usage::default()
        };
        let (log, denied, reached) = (String::new(), Vec::new(), Default::default());
        CallReport { outcome, usage, log, denied, reached, changes, blobs }
    }
}

struct Invoker(Arc<World>);

impl Invoke for Invoker {
    fn invoke(&self, call: CallRequest) -> CallFuture {
        let world = Arc::clone(&self.0);
        Box::pin(async move {
            let at_once = world.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            world.most_at_once.fetch_max(at_once, Ordering::SeqCst);
            tokio::task::yield_now().await;
            let line = format!("{} {}", call.operation.local(), call.path);
            world.calls.lock().unwrap().push(line);
            world.limits.lock().unwrap().push(call.limits);
            if call.operation.local() == "hang.on" {
                std::future::pending::<()>().await;
            }
            while call.operation.local() == "wait.go" && world.read("go").is_none() {
                tokio::task::yield_now().await;
            }
            let report = world.call(&call);
            world.at_once.fetch_sub(1, Ordering::SeqCst);
            report
        })
    }

    fn send(&self, send: SendRequest) -> SendFuture {
        let world = Arc::clone(&self.0);
        Box::pin(async move {
            if let Some(act) = world.meanwhile.lock().unwrap().take() {
                act();
            }
            world.send_limits.lock().unwrap().push(send.limits);
            let mut sent = world.sent.lock().unwrap();
            sent.push(String::from_utf8(send.call).unwrap());
            let tape = format!("answer {}", sent.len()).into_bytes();
            Ok(SendReport { tape, summary: "201".to_owned() })
        })
    }
}

impl Effects for World {
    fn state(&self, change: &Change, _set: &ChangeSet) -> Result<OnDisk, ApplyError> {
        let found = self.read(&change.path).map(|bytes| Digest::of(&bytes));
        Ok(match found {
            found if found == change.post => OnDisk::Post,
            found if found == change.pre => OnDisk::Pre,
            found => OnDisk::Other(found),
        })
    }

    fn pre_image(&self, change: &Change) -> Result<Vec<u8>, ApplyError> {
        let other = self.pre_image.lock().unwrap().take();
        other.or_else(|| self.read(&change.path)).ok_or_else(|| ApplyError::Io("it is gone".to_owned()))
    }

    fn apply(&self, change: &Change, contents: Option<&[u8]>, _key: &str) -> Result<HowApplied, ApplyError> {
        assert_eq!(contents.map(Digest::of), change.post, "the bytes are those that were approved");
        match self.state(change, &ChangeSet::default())? {
            OnDisk::Post => return Ok(HowApplied::Already),
            OnDisk::Pre => {}
            OnDisk::Other(found) => {
                return Err(ApplyError::Conflict { found, message: "it moved".to_owned() });
            }
        }
        self.applied.lock().unwrap().push(format!("{} {}", change.kind, change.path));
        let mut files = self.files.lock().unwrap();
        Ok(match (change.kind, contents) {
            (ChangeKind::Delete, _) | (_, None) => {
                files.remove(&change.path);
                HowApplied::Removed
            }
            (kind, Some(contents)) => {
                files.insert(change.path.clone(), contents.to_vec());
                if kind == ChangeKind::Create { HowApplied::Created } else { HowApplied::Exchanged }
            }
        })
    }
}

impl Approvers for World {
    fn verify(&self, statement: &[u8], digest: &Digest) -> Result<ApproverInfo, Refusal> {
        if statement == self.statement(digest) {
            Ok(ApproverInfo { approver: "somebody".to_owned() })
        } else {
            Err(Refusal::new(Code::ApprovalForged, "that is not the approver's word"))
        }
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.fetch_add(1, Ordering::SeqCst))
    }
}

/// A process: its journal, and a host over the world.
pub(crate) fn host(world: &Arc<World>, home: &std::path::Path, probe: Arc<dyn Probe>) -> Host {
    Host {
        journal: Journal::open(home, Arc::clone(&probe)).unwrap(),
        invoke: Arc::new(Invoker(Arc::clone(world))),
        effects: Arc::clone(world) as _,
        approvers: Arc::clone(world) as _,
        clock: Arc::clone(world) as _,
        probe,
        observer: Arc::new(NoObserver),
        roots: roots(),
        calls_max: 8,
    }
}

pub(crate) fn roots() -> Vec<RootRecord> {
    vec![RootRecord { name: root(), path: "/w".to_owned(), inode: 1, device: 1 }]
}

/// A world with one process in it and one run.
pub(crate) struct Stage {
    pub(crate) world: Arc<World>,
    pub(crate) home: tempfile::TempDir,
    pub(crate) host: Host,
    pub(crate) plan: Arc<CheckedPlan>,
    pub(crate) run: RunId,
}

impl Stage {
    pub(crate) fn new(plan: CheckedPlan) -> Self {
        Self::of(World::new(), plan)
    }

    pub(crate) fn of(world: Arc<World>, plan: CheckedPlan) -> Self {
        let home = tempfile::tempdir().unwrap();
        let host = host(&world, home.path(), Arc::new(NoProbe));
        let run = RunId::from_random([1; 12]);
        let stage = Self { world, home, host, plan: Arc::new(plan), run };
        stage.create(&stage.run);
        stage
    }

    pub(crate) fn create(&self, run: &RunId) {
        let new = NewRun {
            run: run.clone(),
            planfile: b"the planfile".to_vec(),
            inputs: BTreeMap::from([("prefix".to_owned(), Value::String("src/".to_owned()))]),
            roots: roots(),
            mode: Mode::Solo,
            started_by: "somebody".to_owned(),
        };
        run::create(&self.host.journal, &self.plan, new, self.world.now()).unwrap();
    }

    pub(crate) async fn try_drive(&self, run: &RunId) -> Result<Report, Refusal> {
        let (_keep, stop) = watch::channel(false);
        run::drive(&self.host, &self.plan, run, stop).await
    }

    pub(crate) async fn drive(&self) -> Report {
        self.try_drive(&self.run).await.unwrap()
    }

    /// The approval that the run waits for.
    pub(crate) fn pending(&self) -> Digest {
        pending(&self.state()).expect("an approval is pending")
    }

    pub(crate) fn state(&self) -> State {
        run::load(&self.host.journal, &self.run).unwrap()
    }

    pub(crate) fn approve(&self, digest: &Digest) -> Result<(), Refusal> {
        self.approve_with(digest, &self.world.statement(digest))
    }

    pub(crate) fn approve_with(&self, digest: &Digest, statement: &[u8]) -> Result<(), Refusal> {
        let approvers = self.host.approvers.as_ref();
        run::answer::approve(&self.host.journal, approvers, &self.run, digest, statement, self.world.now())
            .map(drop)
    }

    /// As if the process had died right after it recorded that it would do what was approved.
    pub(crate) fn intend(&self, step: &str, digest: Digest) {
        let state = self.state();
        let events = vec![
            Event::RunClaimed { epoch: state.claims() + 1, pid: 1 },
            Event::ApprovalConsumed { digest },
            Event::EffectsIntended { step: step.parse().unwrap(), attempt: base::Attempt::FIRST },
        ];
        self.append(events);
    }

    /// Writes into the journal, as another process may.
    pub(crate) fn append(&self, events: Vec<Event>) {
        let (run, expected, at) = (self.run.clone(), self.state().next_seq(), Timestamp(1));
        self.host.journal.append(Append { run, expected, at, events, artifacts: Vec::new() }).unwrap();
    }

    /// The names of the run's events.
    pub(crate) fn kinds(&self) -> Vec<&'static str> {
        self.host.journal.events(&self.run).unwrap().iter().map(|record| record.event.kind()).collect()
    }
}

pub(crate) fn pending(state: &State) -> Option<Digest> {
    let mut approvals = state.approvals().iter();
    approvals
        .find(|approval| approval.answer == run::machine::ApprovalAnswer::Pending)
        .map(|found| found.digest)
}

pub(crate) fn text(text: &str) -> Expr {
    Expr::Literal(Value::String(text.to_owned()))
}

pub(crate) fn input(name: &str) -> Expr {
    Expr::Reference(Reference { root: Root::Input(name.to_owned()), fields: Vec::new() })
}

pub(crate) fn of_step(id: &str) -> Expr {
    Expr::Reference(Reference { root: Root::Step(id.parse().unwrap()), fields: Vec::new() })
}

pub(crate) fn item() -> Expr {
    Expr::Reference(Reference { root: Root::Item, fields: Vec::new() })
}

fn location() -> Location {
    Location { span: Span { start: 0, end: 0 }, line: 1, column: 1, end_line: 1, end_column: 1 }
}

/// A step that calls `operation` with `arguments`; what it refers to is in `needs`.
pub(crate) fn step(id: &str, operation: &str, needs: &[&str], arguments: Vec<Expr>) -> CheckedStep {
    let strings = Type::List(Box::new(Type::String));
    let (effect, params, result) = match operation {
        "tree.list" => (Effect::Read, vec![Type::String], strings),
        "tree.read" => (Effect::Read, vec![Type::String], Type::String),
        "text.join" => (Effect::Pure, vec![strings], Type::String),
        "tree.write" | "tree.append" => (Effect::Write, vec![Type::String, Type::String], Type::String),
        "mail.send" => (Effect::External, vec![Type::String], Type::String),
        "web.ask" => (Effect::Read, vec![Type::String], Type::String),
        "tree.sneak" => (Effect::Read, vec![Type::String, Type::String], Type::String),
        _ => (Effect::Pure, vec![], Type::String),
    };
    let named = |(index, ty): (usize, Type)| Field { name: format!("p{index}"), ty };
    let function = FunctionType {
        params: params.into_iter().enumerate().map(named).collect(),
        result: Some(result.clone()),
    };
    CheckedStep {
        id: id.parse().unwrap(),
        operation: format!("acme:tools/{operation}").parse().unwrap(),
        effect,
        idempotent: operation != "mail.send",
        discloses: operation == "web.ask",
        capabilities: Vec::new(),
        arguments: function.params.iter().map(|field| field.name.clone()).zip(arguments).collect(),
        function,
        for_each: None,
        depends_on: needs.iter().map(|need| need.parse::<StepId>().unwrap()).collect(),
        gate: effect.has_side_effects() || operation == "web.ask",
        approval: None,
        limits: Limits::DEFAULT,
        statement: digest("statement"),
        authority: digest("authority"),
        ty: Some(result),
        at: location(),
    }
}

pub(crate) fn for_each(mut step: CheckedStep, items: Expr, max_parallel: u32) -> CheckedStep {
    step.for_each = Some(FanOut { items, item_type: Type::String, max_parallel, items_max: 10_000 });
    step.ty = step.ty.map(|ty| Type::List(Box::new(ty)));
    step
}

pub(crate) fn expiring(mut step: CheckedStep, expires_ms: u64) -> CheckedStep {
    step.approval = Some(Approval { expires_ms: Some(expires_ms) });
    step
}

/// The step asks for an approval whatever it does.
pub(crate) fn gated(mut step: CheckedStep) -> CheckedStep {
    step.approval = Some(Approval { expires_ms: None });
    step.gate = true;
    step
}

pub(crate) fn plan(steps: Vec<CheckedStep>, outputs: &[(&str, Expr)]) -> CheckedPlan {
    let gate = |step: &CheckedStep| {
        let is_of_plan = step.approval.is_some_and(|approval| approval.expires_ms.is_none());
        let reason = if is_of_plan { GateReason::Plan } else { GateReason::Effect };
        step.gate.then(|| Gate { step: step.id.clone(), effect: step.effect, reason, expires_ms: None })
    };
    CheckedPlan {
        digest: digest("plan"),
        name: "test".to_owned(),
        path: "test.plan.md".to_owned(),
        packs: BTreeMap::from([(
            "tools".to_owned(),
            CheckedPack {
                id: "acme:tools".parse().unwrap(),
                version: semver::Version::new(1, 0, 0),
                statement: digest("statement"),
            },
        )]),
        inputs: BTreeMap::from([(
            "prefix".to_owned(),
            InputDeclaration { ty: Type::String, default: None, description: None, at: location() },
        )]),
        gates: steps.iter().filter_map(gate).collect(),
        steps,
        outputs: outputs.iter().map(|(name, expr)| ((*name).to_owned(), expr.clone())).collect(),
        output_types: BTreeMap::new(),
        budget: Budget {
            calls: 100_000,
            fuel: u64::MAX,
            wall_ms: u64::MAX,
            files: u64::MAX,
            file_bytes: u64::MAX,
            model_tokens: u64::MAX,
            model_cost: u64::MAX,
        },
    }
}

/// The codemap in small: list, read each, join, save.
pub(crate) fn codemap() -> CheckedPlan {
    plan(
        vec![
            step("sources", "tree.list", &[], vec![input("prefix")]),
            for_each(step("texts", "tree.read", &["sources"], vec![item()]), of_step("sources"), 4),
            step("page", "text.join", &["texts"], vec![of_step("texts")]),
            step("save", "tree.write", &["page"], vec![text("MAP.md"), of_step("page")]),
        ],
        &[("path", of_step("save")), ("page", of_step("page"))],
    )
}
