//! A run as people and programs are shown it.

use base::{Attempt, Change, Code, Digest, Effect, Refusal, RunId, StepId, Timestamp};
use journal::{Conflict, Failure, Payload, Receipt, Staleness};

use crate::changes::target;
use crate::machine::{ApprovalAnswer, ApprovalState, End, Flight, Phase, SentState, Spent, State, StepState};

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunStatus {
    /// Made, and not begun.
    Queued,
    /// Begun, and something can be done without a person.
    Running,
    /// Everything waits for an approval.
    RequiresApproval,
    /// Stopped for something that a person can supply.
    Yielded,
    /// Ended without its outputs.
    Failed,
    /// Ended with its outputs.
    Completed,
    /// Ended by a person.
    Cancelled,
}

impl RunStatus {
    /// The name in JSON and text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::RequiresApproval => "requires_approval",
            Self::Yielded => "yielded",
            Self::Failed => "failed",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepStatus {
    /// It waits for other steps.
    Pending,
    /// It can begin.
    Ready,
    /// It has begun.
    Running,
    /// It waits for an approval.
    RequiresApproval,
    /// It is what the run stopped for.
    Yielded,
    /// It has no result.
    Failed,
    /// It has its result.
    Completed,
    /// A step that it depends on has no result.
    Skipped,
    /// The run ended first.
    Cancelled,
    /// Some of its targets were not as they had to be.
    Conflict,
    /// Its approved call may have been made, and nobody knows.
    UnknownOutcome,
}

impl StepStatus {
    /// The name in JSON and text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::RequiresApproval => "requires_approval",
            Self::Yielded => "yielded",
            Self::Failed => "failed",
            Self::Completed => "completed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Conflict => "conflict",
            Self::UnknownOutcome => "unknown_outcome",
        }
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunView {
    /// The run.
    pub run: RunId,
    /// Where it is.
    pub status: RunStatus,
    /// The plan's name.
    pub plan: String,
    /// The checked plan.
    pub plan_digest: Digest,
    /// When it was made.
    pub created_at: Timestamp,
    /// When something happened last.
    pub changed_at: Timestamp,
    /// What was used of the budget.
    pub spent: Spent,
    /// The steps in the plan's order.
    pub steps: Vec<StepView>,
    /// The approvals in the order they were asked for.
    pub approvals: Vec<ApprovalView>,
    /// The artifacts that the run names, with what they are.
    pub artifacts: Vec<(Digest, &'static str)>,
    /// The outputs of a completed run.
    pub outputs: Option<Payload>,
    /// Why it failed or stopped: code and message.
    pub problem: Option<(String, String)>,
    /// Whether effects were applied, and how many of those steps are undone.
    pub applied: usize,
    /// See `applied`.
    pub undone: usize,
    /// What can be done now.
    pub next_actions: Vec<NextAction>,
}

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepView {
    /// The step.
    pub id: StepId,
    /// What it calls.
    pub operation: String,
    /// Where it is.
    pub status: StepStatus,
    /// How often it was tried.
    pub attempts: Attempt,
    /// How many items a fan-out has; none before its list is computed, or without `for-each`.
    pub items: Option<usize>,
    /// How many of them have their result.
    pub items_done: usize,
    /// Why it failed, and at which item.
    pub failure: Option<(Option<u32>, Failure)>,
    /// What it staged.
    pub changes: Vec<Change>,
    /// How its changes came to be on disk.
    pub receipt: Vec<Receipt>,
    /// The outgoing calls that it made.
    pub sent: Vec<SentState>,
    /// Why earlier tries were void.
    pub stale: Vec<(Attempt, Vec<Staleness>)>,
    /// Which targets are in the way.
    pub conflicts: Vec<Conflict>,
}

/// An approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalView {
    /// Its digest; the id is a prefix of its hex form.
    pub digest: Digest,
    /// The step.
    pub step: StepId,
    /// The try of the step.
    pub attempt: Attempt,
    /// `pending`, `granted`, `consumed`, `rejected` or `stale`.
    pub status: &'static str,
    /// Who answered.
    pub by: Option<String>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// After this time the answer comes too late.
    pub expires_at: Option<Timestamp>,
}

/// Something that a person can do about the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextAction {
    /// What it does.
    pub label: String,
    /// What to type.
    pub command: String,
}

/// Where the run is.
#[must_use]
pub fn status(state: &State) -> RunStatus {
    match state.end() {
        Some(End::Completed(_)) => return RunStatus::Completed,
        Some(End::Failed { .. }) => return RunStatus::Failed,
        Some(End::Cancelled { .. }) => return RunStatus::Cancelled,
        None => {}
    }
    if state.yielded().is_some() {
        RunStatus::Yielded
    } else if state.claims() == 0 {
        RunStatus::Queued
    } else if is_waiting(state) {
        RunStatus::RequiresApproval
    } else {
        RunStatus::Running
    }
}

/// Whether nothing can be begun, and a person was asked.
fn is_waiting(state: &State) -> bool {
    let asked = state.approvals().iter().filter(|approval| approval.answer == ApprovalAnswer::Pending);
    let mut looked_at = Flight::default();
    for approval in asked.clone() {
        looked_at.review_done(&approval.digest);
    }
    asked.count() > 0 && state.next(&looked_at, 1, state.created_at()).is_empty()
}

/// The whole view, as of `now`.
///
/// # Errors
/// If the run has no events.
pub fn view(state: &State, now: Timestamp) -> Result<RunView, Refusal> {
    let created = state.created().ok_or_else(|| journal::ReadError::Unknown(state.run().clone()))?;
    let status = status(state);
    let (outputs, problem) = match state.end() {
        Some(End::Completed(outputs)) => (Some(outputs.clone()), None),
        Some(End::Failed { code, message }) => (None, Some((code.clone(), message.clone()))),
        Some(End::Cancelled { by, reason }) => {
            let reason = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            (None, Some((Code::RunCancelled.to_string(), format!("cancelled by {by}{reason}"))))
        }
        None => (None, state.yielded().map(|yielded| (yielded.code.clone(), yielded.message.clone()))),
    };
    let is_undone = |effects: &&crate::machine::AppliedEffects| effects.undone == crate::machine::Undone::Yes;
    Ok(RunView {
        run: state.run().clone(),
        status,
        plan: created.plan.clone(),
        plan_digest: created.plan_digest,
        created_at: state.created_at(),
        changed_at: state.changed_at(),
        spent: state.spent(),
        steps: state
            .steps()
            .iter()
            .enumerate()
            .filter_map(|(number, step)| step_view(state, number, step))
            .collect(),
        approvals: approvals(state),
        artifacts: state.artifacts().into_iter().collect(),
        outputs,
        problem,
        applied: state.applied().len(),
        undone: state.applied().iter().filter(is_undone).count(),
        next_actions: next_actions(state, status, now),
    })
}

fn step_view(state: &State, number: usize, step: &StepState) -> Option<StepView> {
    let record = state.graph().step(number)?;
    let is_yielded = state.yielded().is_some_and(|yielded| yielded.step.as_ref() == Some(&record.id));
    let mut receipts = state.applied().iter().filter(|effects| effects.step == record.id);
    let is_expanded = record.fan_out.is_some() && step.phase != Phase::Waiting && step.phase != Phase::Ready;
    Some(StepView {
        id: record.id.clone(),
        operation: record.operation.to_string(),
        status: step_status(step, is_yielded),
        attempts: step.attempt,
        items: is_expanded.then_some(step.items.len()),
        items_done: step.items.iter().flatten().count(),
        failure: step.failure.clone(),
        changes: step.changes().changes().to_vec(),
        receipt: receipts.next().map(|effects| effects.receipt.clone()).unwrap_or_default(),
        sent: step.sent.clone(),
        stale: step.stale.clone(),
        conflicts: step.conflicts.clone(),
    })
}

fn step_status(step: &StepState, is_yielded: bool) -> StepStatus {
    match step.phase {
        Phase::Completed => StepStatus::Completed,
        Phase::Failed => StepStatus::Failed,
        Phase::Skipped => StepStatus::Skipped,
        Phase::Cancelled => StepStatus::Cancelled,
        Phase::Conflict => StepStatus::Conflict,
        Phase::Unknown => StepStatus::UnknownOutcome,
        _ if is_yielded => StepStatus::Yielded,
        Phase::Waiting => StepStatus::Pending,
        Phase::Ready => StepStatus::Ready,
        Phase::Active if !step.items.iter().any(Option::is_some) && step.tapes.is_empty() => {
            StepStatus::Ready
        }
        Phase::Active | Phase::Staged | Phase::Granted | Phase::Intended => StepStatus::Running,
        Phase::Requested => StepStatus::RequiresApproval,
    }
}

/// What has to be typed to approve, where the effect is destructive: the target of what is staged or
/// held.
#[must_use]
pub fn confirmation(state: &State, approval: &ApprovalState) -> Option<String> {
    let effect = state.graph().step(approval.step).map(|step| step.effect);
    let step = state.steps().get(approval.step);
    let of_step = |step: &StepState| match &step.held {
        Some(held) => Some(held.call.target.clone()),
        None => target(&step.changes()),
    };
    effect.is_none_or(|effect| effect == Effect::Destructive).then(|| of_step(step?)).flatten()
}

/// The command that approves, ready to be typed.
#[must_use]
pub fn approve_command(state: &State, approval: &ApprovalState) -> String {
    let command = format!("capstan approve {}", approval.digest.short());
    match confirmation(state, approval) {
        None => command,
        // Quoted for a POSIX shell.
        Some(target) => format!("{command} --confirm '{}'", target.replace('\'', r"'\''")),
    }
}

fn approvals(state: &State) -> Vec<ApprovalView> {
    let approval = |approval: &crate::machine::ApprovalState| {
        let (status, by) = match &approval.answer {
            ApprovalAnswer::Pending => ("pending", None),
            ApprovalAnswer::Granted { approver, .. } => ("granted", Some(approver.clone())),
            ApprovalAnswer::Consumed { approver, .. } => ("consumed", Some(approver.clone())),
            ApprovalAnswer::Rejected { by, .. } => ("rejected", Some(by.clone())),
            ApprovalAnswer::Stale => ("stale", None),
        };
        ApprovalView {
            digest: approval.digest,
            step: approval.binding.path.step.clone(),
            attempt: approval.binding.attempt,
            status,
            by,
            requested_at: approval.requested_at,
            expires_at: approval.expires_at,
        }
    };
    state.approvals().iter().map(approval).collect()
}

fn next_actions(state: &State, status: RunStatus, now: Timestamp) -> Vec<NextAction> {
    let run = state.run();
    let action = |label: String, command: String| NextAction { label, command };
    let mut actions = Vec::new();
    for approval in state.approvals() {
        let (id, step) = (approval.digest.short(), &approval.binding.path.step);
        if approval.has_expired(now) && status != RunStatus::Yielded {
            let label = format!("look again at what step `{step}` would do, and ask again");
            actions.push(action(label, format!("capstan run resume {run}")));
        } else if approval.answer == ApprovalAnswer::Pending && status != RunStatus::Yielded {
            actions.push(action(
                format!("see what step `{step}` would do"),
                format!("capstan approval show {id}"),
            ));
            actions.push(action(format!("let step `{step}` do it"), approve_command(state, approval)));
            actions
                .push(action(format!("refuse what step `{step}` would do"), format!("capstan reject {id}")));
        }
    }
    let unknown = state.steps().iter().position(|step| step.phase == Phase::Unknown);
    let unknown = unknown.and_then(|number| state.graph().step(number));
    match status {
        RunStatus::Queued | RunStatus::Running => {
            actions.push(action("go on".to_owned(), format!("capstan run resume {run}")));
        }
        RunStatus::Yielded if unknown.is_some() => {
            let label = "make the call again, with another key and after another approval".to_owned();
            let step = unknown.map_or_else(String::new, |step| step.id.to_string());
            let command = format!("capstan run retry {run} {step} --mode force-new-idempotency-key");
            actions.push(action(label, command));
        }
        RunStatus::Yielded => {
            let label = "go on, once what it stopped for is as it has to be".to_owned();
            actions.push(action(label, format!("capstan run resume {run}")));
        }
        RunStatus::RequiresApproval | RunStatus::Failed | RunStatus::Completed | RunStatus::Cancelled => {}
    }
    if state.end().is_none() {
        actions.push(action("end it".to_owned(), format!("capstan run cancel {run}")));
    } else if !crate::undo::reversals(state).is_empty() {
        actions.push(action("take its effects back".to_owned(), format!("capstan run undo {run}")));
    }
    actions
}
