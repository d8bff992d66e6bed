//! The machine against goldens, against random schedules with crashes, and against journals that
//! nobody can have written.

use std::collections::{BTreeMap, BTreeSet};

use base::{
    Attempt, Change, ChangeKind, ChangeSet, Digest, Effect, RunId, StepId, StepPath, Timestamp, Usage,
};
use journal::{
    ApprovalBinding, BudgetRecord, CallRecord, Conflict, Event, Failure, FailureClass, HeldRecord,
    HowApplied, Mode, Payload, Receipt, Record, RunCreated, StaleCause, Staleness, StepRecord,
};
use proptest::prelude::*;

use super::{Command, End, Flight, Phase, State};

const NOW: Timestamp = Timestamp(1);

fn run() -> RunId {
    RunId::from_random([1; 12])
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn id(number: usize) -> StepId {
    format!("s{number}").parse().unwrap()
}

fn path(step: usize, item: Option<u32>) -> StepPath {
    StepPath { step: id(step), item }
}

/// A step of a made-up plan, and how the world treats it.
#[derive(Debug, Clone)]
struct Made {
    needs: Vec<usize>,
    writes: bool,
    /// Whether each call comes to an outgoing call first, and whether that may be repeated.
    sends: Option<bool>,
    /// Whether that call only asks, by an operation that changes nothing else.
    asks: bool,
    width: Option<u32>,
    items: u32,
    fails_at: Option<u32>,
}

fn made(needs: &[usize], writes: bool) -> Made {
    Made { needs: needs.to_vec(), writes, sends: None, asks: false, width: None, items: 1, fails_at: None }
}

fn fan_out(made: Made, width: u32, items: u32) -> Made {
    Made { width: Some(width), items, ..made }
}

fn created(steps: &[Made], budget: BudgetRecord) -> Event {
    let step = |(number, made): (usize, &Made)| StepRecord {
        id: id(number),
        operation: "acme:tools/tree.write".parse().unwrap(),
        effect: match (made.sends.filter(|_| !made.asks), made.writes) {
            (Some(_), _) => Effect::External,
            (None, true) => Effect::Write,
            (None, false) => Effect::Read,
        },
        idempotent: made.sends == Some(true),
        discloses: made.asks,
        depends_on: made.needs.iter().map(|&need| id(need)).collect(),
        fan_out: made.width,
        gate: false,
        expires_ms: None,
    };
    Event::RunCreated(Box::new(RunCreated {
        plan: "p".into(),
        plan_digest: digest("plan"),
        planfile: digest("file"),
        planfile_name: "p".into(),
        inputs: Payload::Inline(serde_json::json!({})),
        roots: Vec::new(),
        packs: Vec::new(),
        steps: steps.iter().enumerate().map(step).collect(),
        budget,
        policy: digest("policy"),
        mode: Mode::Solo,
        started_by: "somebody".into(),
    }))
}

const NO_BUDGET: BudgetRecord = BudgetRecord {
    calls: u64::MAX,
    fuel: u64::MAX,
    wall_ms: u64::MAX,
    files: u64::MAX,
    file_bytes: u64::MAX,
    model_tokens: u64::MAX,
    model_cost: u64::MAX,
};

fn call(step: usize, item: Option<u32>) -> CallRecord {
    CallRecord {
        operation: "acme:tools/tree.write".parse().unwrap(),
        input: digest(&format!("{step} {item:?}")),
        output: None,
        usage: Usage { fuel: 1, ..Usage::default() },
        denied: Vec::new(),
        reached: None,
        log: None,
    }
}

fn changes(step: usize, item: Option<u32>) -> ChangeSet {
    ChangeSet::new([Change {
        root: "workspace".parse().unwrap(),
        path: format!("{step}/{item:?}"),
        kind: ChangeKind::Create,
        pre: None,
        post: Some(digest("post")),
        mode: None,
    }])
}

fn failure() -> Failure {
    Failure { class: FailureClass::Guest, code: "E-X".into(), message: "no".into(), trap: None }
}

fn failed(path: StepPath, attempt: Attempt) -> Event {
    Event::StepFailed {
        path,
        attempt,
        failure: failure(),
        usage: Usage::default(),
        denied: Vec::new(),
        log: None,
    }
}

fn completed(step: usize, item: Option<u32>) -> Event {
    Event::StepCompleted { path: path(step, item), attempt: Attempt::FIRST, call: call(step, item) }
}

fn staged(step: usize, item: Option<u32>, attempt: Attempt) -> Event {
    Event::EffectsStaged {
        path: path(step, item),
        attempt,
        call: call(step, item),
        changes: changes(step, item),
    }
}

fn held(step: usize, item: Option<u32>, attempt: Attempt) -> Event {
    held_by(base::Capability::HttpSend, step, item, attempt)
}

fn held_by(capability: base::Capability, step: usize, item: Option<u32>, attempt: Attempt) -> Event {
    let CallRecord { operation, input, usage, .. } = call(step, item);
    let held = HeldRecord {
        operation,
        input,
        capability,
        target: format!("POST to {step} {item:?}"),
        request: digest(&format!("request of {step} {item:?}")),
        tape: digest(&format!("tape of {step} {item:?}")),
        number: 0,
    };
    Event::CallHeld { path: path(step, item), attempt, held, usage, denied: Vec::new(), log: None }
}

fn answered(step: usize, item: Option<u32>, attempt: Attempt) -> Event {
    let tape = digest(&format!("answer of {step} {item:?}"));
    Event::CallAnswered { path: path(step, item), attempt, tape, summary: "201".into() }
}

fn rehearsed(attempt: Attempt) -> Event {
    Event::CallRehearsed { path: path(0, None), attempt, usage: base::Usage::default() }
}

fn binding(state: &State, step: usize) -> ApprovalBinding {
    let staged = &state.steps()[step];
    if let Some(held) = &staged.held {
        return ApprovalBinding {
            path: held.path.clone(),
            input: held.call.input,
            effects: held.call.digest(),
            ..binding_of_changes(state, step)
        };
    }
    binding_of_changes(state, step)
}

fn binding_of_changes(state: &State, step: usize) -> ApprovalBinding {
    let staged = &state.steps()[step];
    ApprovalBinding {
        run: run(),
        plan: digest("plan"),
        path: path(step, None),
        attempt: staged.attempt,
        statement: digest("statement"),
        operation: "acme:tools/tree.write".parse().unwrap(),
        input: staged.input_digest(state.graph().is_fan_out(step)),
        authority: digest("authority"),
        effects: staged.changes().digest(),
        policy: digest("policy"),
    }
}

fn requested(state: &State, step: usize) -> Event {
    let binding = binding(state, step);
    Event::ApprovalRequested { digest: binding.digest(), binding, expires_at: None }
}

fn granted(digest: Digest) -> Event {
    Event::ApprovalGranted { digest, statement: digest, approver: "somebody".into() }
}

fn applied(state: &State, step: usize) -> Event {
    let line = |change: &Change| Receipt {
        root: change.root.clone(),
        path: change.path.clone(),
        how: HowApplied::Created,
    };
    Event::EffectsApplied {
        step: id(step),
        attempt: state.steps()[step].attempt,
        receipt: state.steps()[step].changes().changes().iter().map(line).collect(),
    }
}

/// A journal in memory with its fold.
struct Log {
    records: Vec<Record>,
    state: State,
}

impl Log {
    fn new(steps: &[Made], budget: BudgetRecord) -> Self {
        let mut log = Self { records: Vec::new(), state: State::new(run()) };
        log.add(created(steps, budget));
        log.claim();
        log
    }

    fn record(&self, event: Event) -> Record {
        Record { seq: self.records.len() as u64, at: NOW, event, leaf: digest("leaf") }
    }

    fn add(&mut self, event: Event) {
        let record = self.record(event);
        self.state.apply(&record).unwrap();
        self.records.push(record);
    }

    fn claim(&mut self) {
        self.add(Event::RunClaimed { epoch: self.state.claims() + 1, pid: 1 });
    }

    fn next(&self) -> Vec<Command> {
        self.state.next(&Flight::default(), 8, NOW)
    }

    /// Why the event cannot come next.
    fn refuses(&self, event: Event) -> Option<&'static str> {
        self.state.clone().apply(&self.record(event)).err().map(|error| error.why)
    }
}

#[test]
fn a_plan_unfolds_command_by_command() {
    let steps = [made(&[], false), fan_out(made(&[0], false), 2, 3), made(&[1], true), made(&[0], false)];
    let mut log = Log::new(&steps, NO_BUDGET);
    let attempt = Attempt::FIRST;
    let call_of = |step, item| Command::Call { step, item, attempt };
    assert_eq!(log.next(), [call_of(0, None)]);
    log.add(completed(0, None));
    assert_eq!(log.next(), [Command::Expand { step: 1 }, call_of(3, None)]);
    log.add(Event::FanOutExpanded { step: id(1), items: 3 });
    assert_eq!(log.next(), [call_of(1, Some(0)), call_of(1, Some(1)), call_of(3, None)]);
    log.add(completed(1, Some(1)));
    log.add(completed(3, None));
    assert_eq!(log.next(), [call_of(1, Some(0)), call_of(1, Some(2))]);
    log.add(completed(1, Some(0)));
    log.add(completed(1, Some(2)));
    assert_eq!(log.next(), [call_of(2, None)]);
    log.add(staged(2, None, attempt));
    assert_eq!(log.next(), [Command::Gate { step: 2, attempt }]);
    let approval = binding(&log.state, 2).digest();
    log.add(requested(&log.state, 2));
    assert_eq!(log.next(), []);
    log.claim();
    assert_eq!(log.next(), [Command::Review { step: 2, attempt, approval }]);
    log.add(granted(approval));
    assert_eq!(log.next(), [Command::Consume { step: 2, attempt, approval }]);
    log.add(Event::ApprovalConsumed { digest: approval });
    log.add(Event::EffectsIntended { step: id(2), attempt });
    assert_eq!(log.next(), [Command::Apply { step: 2, attempt }]);
    log.add(applied(&log.state, 2));
    assert_eq!(log.next(), [Command::Complete]);
    log.add(Event::RunCompleted { outputs: Payload::Inline(serde_json::json!({})) });
    assert_eq!(log.next(), []);
    assert!(matches!(log.state.end(), Some(End::Completed(_))));
}

#[test]
fn an_empty_fan_out_completes_with_its_expansion() {
    let steps = [fan_out(made(&[], false), 2, 0), made(&[0], false)];
    let mut log = Log::new(&steps, NO_BUDGET);
    log.add(Event::FanOutExpanded { step: id(0), items: 0 });
    assert_eq!(log.state.steps()[0].phase, Phase::Completed);
    assert_eq!(log.next().len(), 1);
}

/// Each case: how far the run is, what then cannot come, and what can.
#[test]
fn events_that_cannot_follow_are_refused() {
    let attempt = Attempt::FIRST;
    let steps = [made(&[], false), made(&[0], true), fan_out(made(&[], true), 1, 2)];
    let start = || Log::new(&steps, NO_BUDGET);
    let at_staged = || {
        let mut log = start();
        log.add(completed(0, None));
        log.add(staged(1, None, attempt));
        log
    };
    let at_requested = || {
        let mut log = at_staged();
        log.add(requested(&log.state, 1));
        let digest = binding(&log.state, 1).digest();
        (log, digest)
    };
    let at_granted = || {
        let (mut log, digest) = at_requested();
        log.add(granted(digest));
        (log, digest)
    };
    let intended = || Event::EffectsIntended { step: id(1), attempt };

    let log = start();
    assert!(log.refuses(created(&steps, NO_BUDGET)).is_some(), "a second creation");
    assert!(log.refuses(Event::RunClaimed { epoch: 3, pid: 1 }).is_some(), "an epoch that is left out");
    assert!(log.refuses(completed(7, None)).is_some(), "an absent step");
    assert!(log.refuses(completed(0, Some(0))).is_some(), "an item of a step without items");
    assert!(log.refuses(staged(0, None, attempt)).is_some(), "effects of a read");
    assert!(log.refuses(staged(1, None, attempt)).is_some(), "a step before what it needs");
    assert!(
        log.refuses(Event::FanOutExpanded { step: id(2), items: u32::MAX }).is_some(),
        "a list without bound"
    );
    assert!(
        log.refuses(Event::FanOutExpanded { step: id(0), items: 1 }).is_some(),
        "a list of a single call"
    );
    assert!(log.refuses(Event::RunCompleted { outputs: Payload::Inline(serde_json::json!({})) }).is_some());
    assert!(log.refuses(Event::UndoIntended { step: id(1), attempt }).is_some());
    assert_eq!(log.refuses(completed(0, None)), None);
    assert_eq!(log.refuses(Event::FanOutExpanded { step: id(2), items: 2 }), None);

    let mut log = start();
    log.add(completed(0, None));
    assert!(log.refuses(completed(0, None)).is_some(), "a second result");
    assert!(log.refuses(completed(1, None)).is_some(), "a write that is not staged");
    assert!(log.refuses(staged(1, None, attempt.next())).is_some(), "another try");
    assert!(log.refuses(requested(&log.state, 1)).is_some(), "an approval of nothing");
    assert_eq!(log.refuses(staged(1, None, attempt)), None);

    let log = at_staged();
    let sound = binding(&log.state, 1);
    let request = |binding: &ApprovalBinding, digest| {
        log.refuses(Event::ApprovalRequested { digest, binding: binding.clone(), expires_at: None })
    };
    assert!(request(&sound, digest("another")).is_some(), "a digest of something else");
    for wrong in [
        ApprovalBinding { run: RunId::from_random([2; 12]), ..sound.clone() },
        ApprovalBinding { effects: digest("other effects"), ..sound.clone() },
        ApprovalBinding { input: digest("other input"), ..sound.clone() },
        ApprovalBinding { attempt: attempt.next(), ..sound.clone() },
    ] {
        assert!(request(&wrong, wrong.digest()).is_some(), "{wrong:?}");
    }
    assert_eq!(request(&sound, sound.digest()), None);
    assert!(log.refuses(applied(&log.state, 1)).is_some(), "effects that nobody approved");
    assert!(log.refuses(intended()).is_some());

    let (log, digest) = at_requested();
    assert!(log.refuses(Event::ApprovalConsumed { digest }).is_some(), "an approval that was not granted");
    assert!(log.refuses(intended()).is_some());
    assert!(log.refuses(granted(self::digest("another"))).is_some());
    assert_eq!(log.refuses(granted(digest)), None);

    let (mut log, digest) = at_granted();
    assert!(log.refuses(intended()).is_some(), "an intent before its approval is used up");
    assert!(log.refuses(applied(&log.state, 1)).is_some());
    log.add(Event::ApprovalConsumed { digest });
    assert!(log.refuses(Event::ApprovalConsumed { digest }).is_some(), "used twice");
    assert!(log.refuses(applied(&log.state, 1)).is_some(), "effects without their intent");
    log.add(intended());
    assert!(log.refuses(intended()).is_some());
    assert!(
        log.refuses(Event::RunCancelled { by: "me".into(), reason: None }).is_some(),
        "an end within effects"
    );
    log.add(applied(&log.state, 1));
    log.add(Event::RunCancelled { by: "me".into(), reason: None });
    assert!(log.refuses(completed(0, None)).is_some(), "anything after the end");
    log.add(Event::UndoIntended { step: id(1), attempt });
    assert!(log.refuses(Event::UndoIntended { step: id(1), attempt }).is_some(), "undone twice");
    log.add(Event::EffectsUndone { step: id(1), attempt, receipt: Vec::new() });
    assert!(log.refuses(Event::UndoIntended { step: id(1), attempt }).is_some());
}

#[test]
fn two_items_cannot_stage_one_target() {
    let mut log = Log::new(&[fan_out(made(&[], true), 1, 2)], NO_BUDGET);
    log.add(Event::FanOutExpanded { step: id(0), items: 2 });
    log.add(staged(0, Some(0), Attempt::FIRST));
    let mut same = staged(0, Some(1), Attempt::FIRST);
    if let Event::EffectsStaged { changes: set, .. } = &mut same {
        *set = changes(0, Some(0));
    }
    assert!(log.refuses(same).is_some());
    assert_eq!(log.refuses(staged(0, Some(1), Attempt::FIRST)), None);
}

#[test]
fn steps_in_an_order_that_cannot_run_are_refused() {
    for needs in [vec![1], vec![0], vec![9]] {
        let record = Record {
            seq: 0,
            at: NOW,
            event: created(&[Made { needs, ..made(&[], false) }, made(&[], false)], NO_BUDGET),
            leaf: digest("leaf"),
        };
        assert!(State::new(run()).apply(&record).is_err());
    }
}

#[test]
fn a_record_with_another_number_is_refused() {
    let log = Log::new(&[made(&[], false)], NO_BUDGET);
    let mut record = log.record(completed(0, None));
    record.seq += 1;
    assert!(log.state.clone().apply(&record).is_err());
}

/// The world that random schedules run in: what was applied and sent, and how often.
#[derive(Default)]
struct World {
    on_disk: BTreeMap<usize, u32>,
    /// By step, item and try, which is what an idempotency key is made from.
    sent: BTreeMap<(usize, Option<u32>, Attempt), u32>,
}

/// Chooses by the given bytes, and the first thing when they are used up.
struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    fn below(&mut self, bound: usize) -> usize {
        self.0.next().map_or(0, |byte| usize::from(*byte) % bound)
    }

    /// One time in `bound`, never when the bytes are used up.
    fn rarely(&mut self, bound: usize) -> bool {
        self.below(bound) == bound - 1
    }
}

/// Runs the plan to its end on one schedule. A crash forgets everything but the log.
fn simulate(steps: &[Made], choices: &[u8]) -> (Log, World) {
    let mut choices = Choices(choices.iter());
    let (mut log, mut world) = (Log::new(steps, NO_BUDGET), World::default());
    let mut flight = Flight::default();
    let mut pending: Vec<Command> = Vec::new();
    for _ in 0..10_000 {
        for command in log.state.next(&flight, 3, NOW) {
            flight.begin(&command);
            pending.push(command);
        }
        check_pending(&log.state, &pending);
        if log.state.end().is_some() {
            return (log, world);
        }
        if pending.is_empty() {
            person(&mut log);
            continue;
        }
        let command = pending.swap_remove(choices.below(pending.len()));
        let events = carry_out(&log, steps, &mut world, command, &mut choices);
        flight.returned(&command);
        if choices.rarely(7) {
            let folded = State::fold(run(), &log.records).unwrap();
            assert_eq!(folded, log.state, "the log is all there is to know");
            (flight, pending) = (Flight::default(), Vec::new());
            log.claim();
            if log.state.end().is_none() && unknown(&log.state).is_some() {
                let step = unknown(&log.state).map(id);
                log.add(Event::RunYielded { code: "E-X".into(), message: "who knows".into(), step });
            }
            continue;
        }
        for event in events {
            log.add(event);
        }
        flight.end(&command);
    }
    panic!("the run does not come to an end: {:?}", log.state);
}

fn unknown(state: &State) -> Option<usize> {
    state.steps().iter().position(|step| step.phase == Phase::Unknown)
}

/// What must hold of everything that is under way together.
fn check_pending(state: &State, pending: &[Command]) {
    let mut effects = BTreeSet::new();
    let mut calls: BTreeMap<usize, usize> = BTreeMap::new();
    for command in pending {
        let step = match *command {
            Command::Call { step, .. } => {
                *calls.entry(step).or_default() += 1;
                step
            }
            Command::Expand { step }
            | Command::Gate { step, .. }
            | Command::Review { step, .. }
            | Command::Consume { step, .. }
            | Command::Send { step, .. }
            | Command::Apply { step, .. } => step,
            Command::Complete | Command::Fail(_) => {
                assert_eq!(pending.len(), 1, "nothing runs when the run ends");
                continue;
            }
        };
        for need in &state.graph().step(step).unwrap().depends_on {
            let need = state.graph().number(need).unwrap();
            assert_eq!(state.steps()[need].phase, Phase::Completed, "{command:?} began before {need}");
        }
        if state.graph().is_staged(step) {
            effects.insert(step);
        }
    }
    assert!(effects.len() <= 1, "side effects overlap: {pending:?}");
    assert!(calls.values().sum::<usize>() <= 3, "more calls than the bound");
    for (step, count) in calls {
        let record = state.graph().step(step).unwrap();
        let width = if state.graph().is_staged(step) { 1 } else { record.fan_out.unwrap_or(1) };
        assert!(count <= width as usize, "step {step} has {count} calls");
    }
}

/// Nothing goes on without a person: says yes to what is asked, resumes what stopped.
fn person(log: &mut Log) {
    let mut approvals = log.state.approvals().iter();
    let asked = approvals.find(|approval| approval.answer == super::ApprovalAnswer::Pending);
    let digest = asked.map(|approval| approval.digest);
    assert!(digest.is_some() || log.state.yielded().is_some(), "it waits for nobody: {:?}", log.state);
    if let Some(digest) = digest {
        log.add(granted(digest));
    }
    if let Some(step) = unknown(&log.state) {
        let attempt = log.state.steps()[step].attempt;
        let changed = vec![Staleness { cause: StaleCause::Renewed, detail: "again".into() }];
        log.add(Event::EffectsStale { step: id(step), attempt, changed });
    }
    log.claim();
}

/// Does what the command says, and says what the driver would record.
fn carry_out(
    log: &Log,
    steps: &[Made],
    world: &mut World,
    command: Command,
    choices: &mut Choices<'_>,
) -> Vec<Event> {
    let state = &log.state;
    match command {
        Command::Expand { step } => vec![Event::FanOutExpanded { step: id(step), items: steps[step].items }],
        Command::Call { step, item, attempt } if steps[step].fails_at == Some(item.unwrap_or(0)) => {
            vec![failed(path(step, item), attempt)]
        }
        Command::Call { step, item, attempt }
            if steps[step].sends.is_some() && !state.steps()[step].tapes.contains_key(&item.unwrap_or(0)) =>
        {
            let capability =
                if steps[step].asks { base::Capability::HttpRead } else { base::Capability::HttpSend };
            vec![held_by(capability, step, item, attempt)]
        }
        Command::Call { step, item, attempt } if steps[step].writes => vec![staged(step, item, attempt)],
        Command::Call { step, item, attempt } if steps[step].sends.is_some() => {
            vec![Event::EffectsStaged {
                path: path(step, item),
                attempt,
                call: call(step, item),
                changes: ChangeSet::default(),
            }]
        }
        Command::Call { step, item, .. } => vec![completed(step, item)],
        Command::Gate { step, .. } if state.steps()[step].effects().1 == 0 => vec![applied(state, step)],
        Command::Gate { step, .. } => vec![requested(state, step)],
        Command::Review { .. } => Vec::new(),
        Command::Consume { step, attempt, .. } if choices.rarely(5) => {
            let cause =
                if state.steps()[step].held.is_some() { StaleCause::Call } else { StaleCause::Target };
            let changed = vec![Staleness { cause, detail: "moved".into() }];
            vec![Event::EffectsStale { step: id(step), attempt, changed }]
        }
        Command::Consume { step, attempt, approval } => {
            vec![
                Event::ApprovalConsumed { digest: approval },
                Event::EffectsIntended { step: id(step), attempt },
            ]
        }
        Command::Send { step, attempt } => {
            assert_eq!(state.steps()[step].phase, Phase::Intended, "a call without its intent");
            let item = state.steps()[step].held.as_ref().unwrap().path.item;
            *world.sent.entry((step, item, attempt)).or_default() += 1;
            vec![answered(step, item, attempt)]
        }
        Command::Apply { step, attempt } => {
            let consumed = log.records.iter().any(|record| {
                matches!(&record.event, Event::EffectsIntended { step: of, attempt: at } if *of == id(step) && *at == attempt)
            });
            assert!(consumed, "an effect without its intent");
            if choices.rarely(5) && !world.on_disk.contains_key(&step) {
                let conflicts = vec![Conflict {
                    root: "workspace".parse().unwrap(),
                    path: "p".into(),
                    found: None,
                    message: "in the way".into(),
                }];
                let conflicted =
                    Event::EffectsConflicted { step: id(step), attempt, receipt: Vec::new(), conflicts };
                let yielded = Event::RunYielded {
                    code: "E-X".into(),
                    message: "in the way".into(),
                    step: Some(id(step)),
                };
                return vec![conflicted, yielded];
            }
            *world.on_disk.entry(step).or_default() += u32::from(!world.on_disk.contains_key(&step));
            vec![applied(state, step)]
        }
        Command::Complete => vec![Event::RunCompleted { outputs: Payload::Inline(serde_json::json!({})) }],
        Command::Fail(_) => vec![Event::RunFailed { code: "E-X".into(), message: "failed".into() }],
    }
}

fn any_plan() -> impl Strategy<Value = Vec<Made>> {
    let step = (
        proptest::collection::btree_set(0..8_usize, 0..3),
        (any::<bool>(), proptest::option::weighted(0.3, any::<bool>()), any::<bool>()),
        proptest::option::of((1..4_u32, 0..5_u32)),
        proptest::option::weighted(0.1, 0..5_u32),
    );
    proptest::collection::vec(step, 1..8).prop_map(|steps| {
        let mut plan: Vec<Made> = Vec::new();
        for (number, (needs, (writes, sends, asks), width, fails_at)) in steps.into_iter().enumerate() {
            let needs: BTreeSet<usize> = needs.into_iter().filter(|&need| need < number).collect();
            let (width, items) = width.map_or((None, 1), |(width, items)| (Some(width), items));
            let (needs, asks) = (needs.into_iter().collect(), asks && sends.is_some());
            plan.push(Made { needs, writes, sends, asks, width, items, fails_at });
        }
        plan
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever the order of events, whatever the crashes: the same end, each effect once.
    #[test]
    fn every_schedule_comes_to_the_same_end(
        plan in any_plan(),
        choices in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let (calm, calm_world) = simulate(&plan, &[]);
        let (wild, wild_world) = simulate(&plan, &choices);
        let phases = |log: &Log| log.state.steps().iter().map(|step| step.phase).collect::<Vec<_>>();
        prop_assert_eq!(phases(&calm), phases(&wild));
        prop_assert_eq!(std::mem::discriminant(calm.state.end().unwrap()), std::mem::discriminant(wild.state.end().unwrap()));
        prop_assert_eq!(&calm_world.on_disk, &wild_world.on_disk);
        for (step, state) in wild.state.steps().iter().enumerate() {
            let is_expected = state.phase == Phase::Completed && !state.changes().is_empty();
            prop_assert_eq!(wild_world.on_disk.get(&step).copied(), is_expected.then_some(1));
        }
        for (world, may_repeat) in [(&calm_world, false), (&wild_world, true)] {
            for (&(step, item, attempt), &count) in &world.sent {
                let repeats = may_repeat && (plan[step].sends == Some(true) || plan[step].asks);
                prop_assert!(count == 1 || repeats, "{step} {item:?} {attempt} was sent {count} times");
            }
        }
        let sent = |world: &World| -> BTreeSet<_> { world.sent.keys().map(|&(step, item, _)| (step, item)).collect() };
        prop_assert_eq!(sent(&calm_world), sent(&wild_world));
    }

    /// A log that lost one event does not fold, or folds to something that is no further.
    #[test]
    fn a_lost_event_is_not_made_up_for(plan in any_plan(), lost in any::<prop::sample::Index>()) {
        let (log, _) = simulate(&plan, &[]);
        let mut records = log.records.clone();
        let removed = records.remove(lost.index(records.len()));
        // A claim that nothing followed from is the one event that a log is complete without.
        prop_assume!(!matches!(removed.event, Event::RunClaimed { .. }));
        for (seq, record) in records.iter_mut().enumerate() {
            record.seq = seq as u64;
        }
        if let Ok(state) = State::fold(run(), &records) {
            let completed = matches!(state.end(), Some(End::Completed(_)));
            prop_assert!(!completed, "completed without {lost:?}");
        }
    }
}

#[test]
fn a_held_call_goes_through_its_approval_to_its_answer() {
    let attempt = Attempt::FIRST;
    let sending = |idempotent| [Made { sends: Some(idempotent), ..made(&[], false) }];
    let at_intended = |idempotent| {
        let mut log = Log::new(&sending(idempotent), NO_BUDGET);
        assert_eq!(log.next(), [Command::Call { step: 0, item: None, attempt }]);
        log.add(held(0, None, attempt));
        assert_eq!(log.next(), [Command::Gate { step: 0, attempt }]);
        assert!(log.refuses(held(0, None, attempt)).is_some(), "a second held call");
        let of_changes = binding_of_changes(&log.state, 0);
        let wrong =
            Event::ApprovalRequested { digest: of_changes.digest(), binding: of_changes, expires_at: None };
        assert!(log.refuses(wrong).is_some(), "an approval of no call");
        let digest = binding(&log.state, 0).digest();
        log.add(requested(&log.state, 0));
        assert!(log.refuses(answered(0, None, attempt)).is_some(), "an answer to what was not sent");
        assert!(log.refuses(rehearsed(attempt)).is_some(), "a rehearsal of what nobody approved");
        log.add(granted(digest));
        assert!(log.refuses(rehearsed(attempt.next())).is_some(), "a rehearsal of another try");
        log.add(rehearsed(attempt));
        log.add(Event::ApprovalConsumed { digest });
        log.add(Event::EffectsIntended { step: id(0), attempt });
        log
    };
    let mut log = at_intended(false);
    assert_eq!(log.next(), [Command::Send { step: 0, attempt }]);
    assert!(log.refuses(applied(&log.state, 0)).is_some(), "a call is not applied");
    assert!(log.refuses(answered(0, None, attempt.next())).is_some(), "another try");
    assert!(
        log.refuses(Event::RunCancelled { by: "me".into(), reason: None }).is_some(),
        "an end within a call"
    );
    log.add(answered(0, None, attempt));
    assert_eq!(log.next(), [Command::Call { step: 0, item: None, attempt }], "it goes on from its tape");
    assert_eq!(log.state.steps()[0].sent.len(), 1);

    // An intent whose process died: only what may be repeated is.
    let mut log = at_intended(true);
    log.claim();
    assert_eq!(log.next(), [Command::Send { step: 0, attempt }]);
    let mut log = at_intended(false);
    log.claim();
    assert_eq!((log.next(), log.state.steps()[0].phase), (Vec::new(), Phase::Unknown));
    assert!(log.refuses(answered(0, None, attempt)).is_some(), "nobody knows the answer");
    let stale = |cause| {
        let changed = vec![Staleness { cause, detail: "d".into() }];
        Event::EffectsStale { step: id(0), attempt, changed }
    };
    assert!(log.refuses(stale(StaleCause::Call)).is_some(), "only a person has it made again");
    log.add(stale(StaleCause::Renewed));
    assert_eq!(log.next(), [Command::Call { step: 0, item: None, attempt: attempt.next() }]);
    // Given up instead, it stays what it is.
    let mut log = at_intended(false);
    log.claim();
    log.add(Event::RunCancelled { by: "me".into(), reason: None });
    assert_eq!(log.state.steps()[0].phase, Phase::Unknown);
}

/// What an operation asks a server for could hold what it read: its step is one of those that never
/// overlap, whatever its effect. To ask again tells nobody anything new.
#[test]
fn a_step_that_discloses_goes_alone_and_asks_again_after_a_crash() {
    let attempt = Attempt::FIRST;
    let asking = Made { sends: Some(false), asks: true, ..made(&[], false) };
    let mut log = Log::new(&[asking, made(&[], true), made(&[], false)], NO_BUDGET);
    let call_of = |step| Command::Call { step, item: None, attempt };
    assert_eq!(log.next(), [call_of(0), call_of(2)], "a write waits, a read does not");
    assert!(log.refuses(completed(0, None)).is_some(), "a result that went through no gate");
    let held = |number| {
        let mut event = held_by(base::Capability::HttpRead, 0, None, attempt);
        if let Event::CallHeld { held, .. } = &mut event {
            held.number = number;
        }
        event
    };
    assert!(log.refuses(held(1)).is_some(), "a second call before the first");
    log.add(held(0));
    let first = binding(&log.state, 0).digest();
    log.add(requested(&log.state, 0));
    log.add(granted(first));
    log.add(Event::ApprovalConsumed { digest: first });
    log.add(Event::EffectsIntended { step: id(0), attempt });
    log.claim();
    assert_eq!(log.next(), [Command::Send { step: 0, attempt }, call_of(2)]);
    log.add(answered(0, None, attempt));
    // The same request a second time is another approval's.
    log.add(held(1));
    assert_ne!(binding(&log.state, 0).digest(), first);
    log.add(requested(&log.state, 0));
}
