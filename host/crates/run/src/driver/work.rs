//! Commands without effects: what they evaluate, and the events that they lead to.

use std::collections::BTreeMap;

use base::{Attempt, Code, Digest, Refusal, RootName, StepId, Timestamp, Usage};
use journal::{CallRecord, DeniedCall, Event, Failure, FailureClass, HeldRecord, Payload};
use plan::{CheckedStep, EvalError, Scope};
use policy::Decision;
use values::{Type, Value};

use super::commit::artifact_json;
use super::session::{Session, Worked};
use crate::host::{CallOutcome, CallReport, CallRequest, SendRequest};
use crate::machine::{Command, HeldState, Phase, RunFailure, StagedTargets, State};

/// What a command led to, to be recorded.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) command: Command,
    pub(super) events: Vec<Event>,
    pub(super) artifacts: Vec<Vec<u8>>,
    /// The call's result, so that it need not be read back.
    pub(super) value: Option<Value>,
}

impl Work {
    pub(super) fn new(command: Command, events: Vec<Event>) -> Self {
        Self { command, events, artifacts: Vec::new(), value: None }
    }
}

/// The values of the run that were needed so far. All of them can be read back from the journal.
#[derive(Default)]
pub(super) struct Values {
    inputs: Option<BTreeMap<String, Value>>,
    steps: BTreeMap<StepId, Value>,
    /// The lists of fan-outs that are under way.
    lists: BTreeMap<usize, Vec<Value>>,
    /// Results of steps that are under way.
    results: BTreeMap<(usize, u32), Value>,
}

impl Values {
    pub(super) fn keep(&mut self, step: usize, item: Option<u32>, value: Value) {
        self.results.insert((step, item.unwrap_or(0)), value);
    }
}

struct RunScope<'a> {
    values: &'a Values,
    item: Option<&'a Value>,
}

impl Scope for RunScope<'_> {
    fn step(&self, id: &StepId) -> Option<&Value> {
        self.values.steps.get(id)
    }

    fn item(&self) -> Option<&Value> {
        self.item
    }

    fn input(&self, name: &str) -> Option<&Value> {
        self.values.inputs.as_ref()?.get(name)
    }
}

impl Session<'_> {
    /// Makes sure that the inputs and the values of `steps` are in memory.
    fn load_values<'s>(&mut self, steps: impl IntoIterator<Item = &'s StepId>) -> Result<(), Refusal> {
        if self.values.inputs.is_none() {
            self.values.inputs = Some(self.load_inputs()?);
        }
        for id in steps {
            if !self.values.steps.contains_key(id)
                && let Some(number) = self.state.graph().number(id)
                && let Some(value) = self.load_step(number)?
            {
                self.values.steps.insert(id.clone(), value);
            }
        }
        Ok(())
    }

    fn load_inputs(&self) -> Result<BTreeMap<String, Value>, Refusal> {
        let json = match self.state.created().map(|created| &created.inputs) {
            Some(payload) => self.payload(payload)?,
            None => serde_json::Value::Null,
        };
        let declared = self.plan.inputs.iter();
        let given = declared.filter_map(|(name, input)| Some((name, json.get(name)?, &input.ty)));
        given.map(|(name, json, ty)| Ok((name.clone(), decode(json, ty)?))).collect()
    }

    /// The value of a completed step; none if the operation returns nothing.
    fn load_step(&mut self, number: usize) -> Result<Option<Value>, Refusal> {
        let step = self.step(number)?;
        let Some(state) = self.state.steps().get(number) else { return Ok(None) };
        let (Some(ty), Some(item_ty), Phase::Completed) = (&step.ty, step.function.ok(), state.phase) else {
            return Ok(None);
        };
        let count = u32::try_from(state.items.len()).unwrap_or(u32::MAX);
        let mut values = Vec::with_capacity(state.items.len());
        for item in 0..count {
            values.push(match self.values.results.remove(&(number, item)) {
                Some(value) => value,
                None => self.load_item(number, item, item_ty)?,
            });
        }
        self.values.lists.remove(&number);
        Ok(match (step.for_each.is_some(), ty) {
            (false, _) => values.pop(),
            // A list of bytes has a value of its own.
            (true, Type::List(item)) if **item == Type::U8 => {
                Some(Value::Bytes(values.iter().filter_map(byte).collect()))
            }
            (true, _) => Some(Value::List(values)),
        })
    }

    fn load_item(&self, number: usize, item: u32, ty: &Type) -> Result<Value, Refusal> {
        let items = self.state.steps().get(number).map(|step| &step.items);
        let item = usize::try_from(item).ok().and_then(|item| items?.get(item)?.as_ref());
        let payload = item.and_then(|item| item.call.output.as_ref());
        let payload = payload.ok_or_else(|| damaged("a completed call has no result"))?;
        decode(&self.payload(payload)?, ty)
    }

    fn payload(&self, payload: &Payload) -> Result<serde_json::Value, Refusal> {
        match payload {
            Payload::Inline(json) => Ok(json.clone()),
            Payload::Artifact { digest, .. } => artifact_json(self.host, digest),
        }
    }

    /// The list of a fan-out, computed once.
    fn load_list(&mut self, number: usize, step: &CheckedStep) -> Result<Result<(), EvalError>, Refusal> {
        let Some(fan_out) = &step.for_each else { return Ok(Ok(())) };
        if self.values.lists.contains_key(&number) {
            return Ok(Ok(()));
        }
        self.load_values(&step.depends_on)?;
        let scope = RunScope { values: &self.values, item: None };
        Ok(plan::evaluate_items(&fan_out.items, &scope).map(|list| {
            self.values.lists.insert(number, list);
        }))
    }

    /// The arguments of a call in the signature's order, and their digest.
    fn arguments(
        &mut self,
        number: usize,
        step: &CheckedStep,
        item: Option<u32>,
    ) -> Result<Result<(Vec<Value>, Digest), EvalError>, Refusal> {
        self.load_values(&step.depends_on)?;
        if let Err(error) = self.load_list(number, step)? {
            return Ok(Err(error));
        }
        let list = self.values.lists.get(&number);
        let item = item.and_then(|item| list?.get(usize::try_from(item).ok()?));
        let scope = RunScope { values: &self.values, item };
        let values: Result<Vec<Value>, EvalError> =
            step.arguments.iter().map(|(_, expr)| plan::evaluate(expr, &scope)).collect();
        Ok(values.map(|values| {
            let names = step.arguments.iter().map(|(name, _)| name.clone());
            let json: serde_json::Map<_, _> = names.zip(values.iter().map(values::to_json)).collect();
            let digest = Digest::of(serde_json::Value::Object(json).to_string().as_bytes());
            (values, digest)
        }))
    }

    /// The digest of what the step would be called with now, or the item whose call is held.
    pub(super) fn input_now(
        &mut self,
        number: usize,
        held: Option<&HeldState>,
    ) -> Result<Option<Digest>, Refusal> {
        let step = self.step(number)?;
        if let Some(held) = held {
            let now = self.arguments(number, step, held.path.item)?;
            return Ok(now.ok().map(|(_, digest)| digest));
        }
        let count = self.state.steps().get(number).map_or(0, |state| state.items.len());
        let is_fan_out = step.for_each.is_some();
        let mut inputs = Vec::with_capacity(count);
        for item in 0..u32::try_from(count).unwrap_or(u32::MAX) {
            match self.arguments(number, step, is_fan_out.then_some(item))? {
                Ok((_, digest)) => inputs.push(digest),
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(crate::machine::combined_input(is_fan_out, inputs.into_iter())))
    }
}

fn byte(value: &Value) -> Option<u8> {
    match value {
        Value::U8(byte) => Some(*byte),
        _ => None,
    }
}

fn decode(json: &serde_json::Value, ty: &Type) -> Result<Value, Refusal> {
    values::from_json(json, ty).map_err(|_| damaged("a recorded value is not of the type that the plan has"))
}

fn damaged(message: &str) -> Refusal {
    Refusal::new(Code::JournalDamaged, message)
}

/// A call that is ready to be made.
pub(super) struct Call {
    pub(super) request: CallRequest,
    input: Digest,
    is_staged: bool,
    is_gated: bool,
    /// The approved calls that it is answered again.
    sent: u64,
}

/// Computes the list of a fan-out.
pub(super) fn expand(session: &mut Session<'_>, number: usize, command: Command) -> Worked {
    let step = session.step(number)?;
    let items_max = step.for_each.as_ref().map_or(0, |fan_out| fan_out.items_max);
    if let Err(error) = session.load_list(number, step)? {
        return Ok(Work::new(command, vec![not_evaluated(step, None, Attempt::FIRST, &error)]));
    }
    let count = session.values.lists.get(&number).map_or(0, Vec::len);
    let event = match u32::try_from(count) {
        Ok(items) if items <= items_max => Event::FanOutExpanded { step: step.id.clone(), items },
        _ => {
            let message = format!("the list has {count} items, `for-each` takes at most {items_max}");
            failed(step, None, Attempt::FIRST, FailureClass::Plan, Code::PlanTooLarge, message)
        }
    };
    Ok(Work::new(command, vec![event]))
}

/// Evaluates the arguments of a call; the inner error is the event that says why there is none.
pub(super) fn prepare(
    session: &mut Session<'_>,
    number: usize,
    item: Option<u32>,
    attempt: Attempt,
    tape: Option<Digest>,
    now: Timestamp,
) -> Result<Result<Call, Event>, Refusal> {
    let step = session.step(number)?;
    let (arguments, input) = match session.arguments(number, step, item)? {
        Ok(arguments) => arguments,
        Err(error) => return Ok(Err(not_evaluated(step, item, attempt, &error))),
    };
    let tape = tape.map(|tape| session.host.journal.artifact(&tape)).transpose()?;
    let mut limits = step.limits;
    limits.fuel = limits.fuel.min(session.state.fuel_left());
    limits.wall_ms = limits.wall_ms.min(session.state.wall_ms_left(now));
    limits.files = limits.files.min(session.state.files_left());
    limits.file_bytes = limits.file_bytes.min(session.state.file_bytes_left());
    limits.model_tokens = limits.model_tokens.min(session.state.model_tokens_left());
    limits.model_cost = limits.model_cost.min(session.state.model_cost_left());
    let path = Session::path(&step.id, item);
    let sent = session.state.steps().get(number).map_or(0, |state| state.sent_of(&path));
    let graph = session.state.graph();
    Ok(Ok(Call {
        input,
        sent,
        is_staged: graph.is_staged(number),
        is_gated: graph.step(number).is_some_and(|step| step.gate),
        request: CallRequest {
            run: session.state.run().clone(),
            path,
            attempt,
            operation: step.operation.clone(),
            effect: step.effect,
            statement: step.statement,
            function: step.function.clone(),
            arguments,
            limits,
            tape,
        },
    }))
}

/// The held call of a step, as it is sent.
pub(super) fn approved_call(session: &mut Session<'_>, number: usize) -> Result<SendRequest, Refusal> {
    let step = session.step(number)?;
    let held = session.state.steps().get(number).and_then(|step| step.held.as_ref());
    let held = held.ok_or_else(|| Refusal::new(Code::RunStale, "the step holds no call"))?;
    let mut limits = step.limits;
    limits.host_call_bytes = limits.host_call_bytes.saturating_sub(held.moved);
    Ok(SendRequest {
        operation: step.operation.clone(),
        effect: step.effect,
        statement: step.statement,
        call: session.host.journal.artifact(&held.call.request)?,
        tape: session.host.journal.artifact(&held.call.tape)?,
        limits,
    })
}

/// The event that a call's report leads to.
pub(super) fn recorded_call(command: Command, call: &Call, report: CallReport) -> Work {
    let CallRequest { path, attempt, operation, effect, .. } = &call.request;
    let (path, attempt) = (path.clone(), *attempt);
    let CallReport { outcome, usage, log, denied, reached, changes, blobs } = report;
    let mut artifacts = Vec::new();
    let log = (!log.is_empty()).then(|| {
        let digest = Digest::of(log.as_bytes());
        artifacts.push(log.into_bytes());
        digest
    });
    let outcome = match outcome {
        CallOutcome::Held(held) if call.is_staged => {
            artifacts.extend([held.call.clone(), held.tape.clone()]);
            let held = HeldRecord {
                operation: operation.clone(),
                input: call.input,
                capability: held.capability,
                target: held.target,
                request: Digest::of(&held.call),
                tape: Digest::of(&held.tape),
                number: call.sent,
            };
            let event = Event::CallHeld { path, attempt, held, usage, denied, log };
            return Work { command, events: vec![event], artifacts, value: None };
        }
        other => other,
    };
    let question = policy::Question::of_staged(*effect, call.is_gated, changes.changes().len());
    let verdict = policy::decide(&question);
    let failure = match &outcome {
        CallOutcome::Returned(_) if verdict.decision == Decision::Deny => {
            Some(plan_failure(Code::CallDenied, reasons(&verdict)))
        }
        CallOutcome::Returned(_) => None,
        other => Some(call_failure(other)),
    };
    if let Some(failure) = failure {
        let event = Event::StepFailed { path, attempt, failure, usage, denied, log };
        return Work { command, events: vec![event], artifacts, value: None };
    }
    let value = match outcome {
        CallOutcome::Returned(value) => value,
        _ => None,
    };
    let (output, output_bytes) = value.as_ref().map(|value| Payload::new(values::to_json(value))).unzip();
    artifacts.extend(output_bytes.flatten());
    artifacts.extend(blobs.into_values());
    let (operation, input, reached) = (operation.clone(), call.input, Some(reached));
    let record = CallRecord { operation, input, output, usage, denied, reached, log };
    let event = if call.is_staged {
        Event::EffectsStaged { path, attempt, call: record, changes }
    } else {
        Event::StepCompleted { path, attempt, call: record }
    };
    Work { command, events: vec![event], artifacts, value }
}

/// Turns what an item staged into a failure if another item of the step stages the same target, or
/// one in a folder that either of them changes: one approval cannot show both.
pub(super) fn refuse_overlap(state: &State, work: Work) -> Work {
    let [Event::EffectsStaged { path, attempt, call, changes }] = work.events.as_slice() else { return work };
    let Some(step) = state.graph().number(&path.step).and_then(|number| state.steps().get(number)) else {
        return work;
    };
    let taken = step.staged_targets();
    let mut targets = changes.changes().iter().map(|change| (change.root.clone(), change.path.clone()));
    let Some((root, target)) = targets.find(|target| overlaps(taken, target)) else { return work };
    let message = format!("two items of the step write `{root}:{target}`, or below it");
    let event = Event::StepFailed {
        path: path.clone(),
        attempt: *attempt,
        failure: plan_failure(Code::EffectConflict, message),
        usage: call.usage,
        denied: call.denied.clone(),
        log: call.log,
    };
    Work { events: vec![event], ..work }
}

/// Whether the target, a folder that it is in, or something in it is taken.
fn overlaps(taken: &StagedTargets, target: &(RootName, String)) -> bool {
    let (root, path) = target;
    let above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
    let below = (root.clone(), format!("{path}/"));
    let next = taken.range(below.clone()..).next();
    taken.contains(target)
        || above.into_iter().any(|above| taken.contains(&(root.clone(), above.to_owned())))
        || next.is_some_and(|(other, path)| other == root && path.starts_with(&below.1))
}

pub(super) fn reasons(verdict: &policy::Verdict) -> String {
    let texts: Vec<_> = verdict.reasons.iter().map(|reason| reason.text.as_str()).collect();
    texts.join("; ")
}

fn plan_failure(code: Code, message: String) -> Failure {
    Failure { class: FailureClass::Plan, code: code.to_string(), message, trap: None }
}

fn call_failure(outcome: &CallOutcome) -> Failure {
    let failure = |class, code: Code, message, trap| Failure { class, code: code.to_string(), message, trap };
    match outcome {
        CallOutcome::Returned(_) => {
            failure(FailureClass::Host, Code::CallFailed, "it returned".to_owned(), None)
        }
        CallOutcome::Failed(value) => {
            let message =
                value.as_ref().map_or_else(|| "it failed without saying why".to_owned(), guest_message);
            failure(FailureClass::Guest, Code::CallFailed, message, None)
        }
        CallOutcome::Denied(DeniedCall { capability, what, reason, .. }) => {
            let message = format!("`{capability}` of `{what}` was denied: {reason}");
            failure(FailureClass::Denied, Code::CallDenied, message, None)
        }
        CallOutcome::Trapped { trap, message } => {
            failure(FailureClass::Trapped, Code::CallTrapped, message.clone(), Some(trap.clone()))
        }
        CallOutcome::Refused(refusal) => {
            failure(FailureClass::Host, refusal.code, refusal.message.clone(), None)
        }
        CallOutcome::Held(held) => {
            let message = format!(
                "`{}` has to be approved by the grants of now, and had not to be when the run was started: \
                 start it again",
                held.target
            );
            failure(FailureClass::Host, Code::RunStale, message, None)
        }
        CallOutcome::Diverged(text) => {
            let message =
                format!("run again after its approved call, the operation did something else: {text}");
            failure(FailureClass::Guest, Code::CallDiverged, message, None)
        }
    }
}

/// The guest's error as its JSON text, cut where it would no longer be read.
fn guest_message(value: &Value) -> String {
    const CHARS_MAX: usize = 2_000;
    let text = values::to_json(value).to_string();
    if text.chars().count() <= CHARS_MAX {
        return text;
    }
    let mut cut: String = text.chars().take(CHARS_MAX).collect();
    cut.push_str(" ...");
    cut
}

fn failed(
    step: &CheckedStep,
    item: Option<u32>,
    attempt: Attempt,
    class: FailureClass,
    code: Code,
    message: String,
) -> Event {
    Event::StepFailed {
        path: Session::path(&step.id, item),
        attempt,
        failure: Failure { class, code: code.to_string(), message, trap: None },
        usage: Usage::default(),
        denied: Vec::new(),
        log: None,
    }
}

fn not_evaluated(step: &CheckedStep, item: Option<u32>, attempt: Attempt, error: &EvalError) -> Event {
    let code = match error {
        EvalError::TooLarge => Code::PlanTooLarge,
        EvalError::Absent(_) => Code::PlanReference,
        EvalError::OtherType(_) => Code::PlanType,
    };
    failed(step, item, attempt, FailureClass::Plan, code, error.to_string())
}

/// Evaluates the outputs.
pub(super) fn complete(session: &mut Session<'_>, command: Command) -> Worked {
    let plan = session.plan;
    session.load_values(plan.steps.iter().map(|step| &step.id))?;
    let scope = RunScope { values: &session.values, item: None };
    let mut outputs = serde_json::Map::new();
    for (name, expr) in &plan.outputs {
        match plan::evaluate(expr, &scope) {
            Ok(value) => outputs.insert(name.clone(), values::to_json(&value)),
            Err(error) => {
                let code = Code::PlanTooLarge.to_string();
                let message = format!("output `{name}`: {error}");
                return Ok(Work::new(command, vec![Event::RunFailed { code, message }]));
            }
        };
    }
    let (outputs, artifact) = Payload::new(serde_json::Value::Object(outputs));
    let mut work = Work::new(command, vec![Event::RunCompleted { outputs }]);
    work.artifacts.extend(artifact);
    Ok(work)
}

/// Says why the run as a whole fails.
pub(super) fn fail(state: &State, failure: RunFailure, command: Command) -> Work {
    let (code, message) = match failure {
        RunFailure::Budget(part) => {
            let message = format!("the plan's budget of `{}` is used up", part.as_str());
            (Code::RunBudget.to_string(), message)
        }
        RunFailure::Step(number) => {
            let id = state.graph().step(number).map_or_else(String::new, |step| step.id.to_string());
            let failure = state.steps().get(number).and_then(|step| step.failure.as_ref());
            match failure {
                Some((Some(item), failure)) => {
                    (failure.code.clone(), format!("step `{id}[{item}]` failed: {}", failure.message))
                }
                Some((None, failure)) => {
                    (failure.code.clone(), format!("step `{id}` failed: {}", failure.message))
                }
                None => (Code::CallFailed.to_string(), format!("step `{id}` failed")),
            }
        }
    };
    Work::new(command, vec![Event::RunFailed { code, message }])
}

#[cfg(test)]
mod tests;
