//! Commands with effects: the gate, the approval's use, the apply. They block, and run on threads
//! that may.

use base::{Change, ChangeSet, Code, Digest, Refusal, StepId, Timestamp};
use journal::{ApprovalBinding, Conflict, Event, Failure, FailureClass, Receipt, StaleCause, Staleness};
use policy::Decision;

use super::session::{Session, Worked};
use super::work::{Work, reasons};
use super::yield_stale;
use crate::approval::{authority_digest, differences, is_routine, require_signed};
use crate::changes::in_order;
use crate::host::{ApplyError, CallOutcome, CallReport, Host, OnDisk, SendReport, SendRequest};
use crate::machine::{ApprovalState, Command, HeldState};

pub(crate) const BEFORE_APPLY: &str = "run:before-apply";
pub(crate) const AFTER_APPLY: &str = "run:after-apply";
pub(crate) const BEFORE_SEND: &str = "run:before-send";
pub(crate) const AFTER_SEND: &str = "run:after-send";

/// How often a step is staged again without anybody having approved in between, because its
/// targets changed before it could even ask.
const RESTAGE_MAX: u32 = 8;

/// A staged step as it would be approved now: everything that the blocking part needs, taken from
/// the state before.
pub(super) struct Check {
    host: Host,
    step: StepId,
    changes: ChangeSet,
    /// The call that is held; then there are no changes.
    held: Option<HeldState>,
    binding: ApprovalBinding,
    question: policy::Question,
    expires_ms: Option<u64>,
    approval: Option<ApprovalState>,
    restaged: u32,
    now: Timestamp,
}

impl Check {
    pub(super) fn new(session: &mut Session<'_>, number: usize, now: Timestamp) -> Result<Self, Refusal> {
        let step = session.step(number)?;
        let missing = || Refusal::new(Code::RunStale, "the run has no such step");
        let held = session.state.steps().get(number).ok_or_else(missing)?.held.clone();
        // Arguments that can no longer be computed differ from any that could.
        let input = session.input_now(number, held.as_ref())?.unwrap_or_else(|| Digest::of(b""));
        let state = session.state.steps().get(number).ok_or_else(missing)?;
        let record = session.state.graph().step(number).ok_or_else(missing)?;
        let changes = if held.is_none() { state.changes() } else { ChangeSet::default() };
        let (effects, count) = state.effects();
        let binding = ApprovalBinding {
            run: session.state.run().clone(),
            plan: session.plan.digest,
            path: held.as_ref().map_or_else(|| Session::path(&step.id, None), |held| held.path.clone()),
            attempt: state.attempt,
            statement: step.statement,
            operation: step.operation.clone(),
            input,
            authority: authority_digest(&step.authority, &session.host.roots),
            effects,
            policy: policy::digest(),
        };
        let question = match &held {
            Some(held) => policy::Question::of_held(step.effect, record.gate, held.call.capability),
            None => policy::Question::of_staged(step.effect, record.gate, count),
        };
        let approval = state.approval.and_then(|digest| session.state.approval(&digest)).cloned();
        // The tries since somebody last answered, or was at least asked.
        let asked = session.state.approvals().iter().rev().find(|approval| approval.step == number);
        let restaged = state.attempt.0 - asked.map_or(1, |approval| approval.binding.attempt.0);
        Ok(Self {
            host: session.host.clone(),
            step: step.id.clone(),
            changes,
            held,
            binding,
            question,
            expires_ms: record.expires_ms,
            approval,
            restaged,
            now,
        })
    }

    fn failure(&self, code: Code, message: String) -> Event {
        Event::StepFailed {
            path: self.binding.path.clone(),
            attempt: self.binding.attempt,
            failure: Failure { class: FailureClass::Plan, code: code.to_string(), message, trap: None },
            usage: base::Usage::default(),
            denied: Vec::new(),
            log: None,
        }
    }

    /// The targets that are not as the step saw them.
    fn moved_targets(&self) -> Vec<Staleness> {
        let detail = |change: &Change| match self.host.effects.state(change, &self.changes) {
            Ok(OnDisk::Pre) => None,
            Ok(OnDisk::Post | OnDisk::Other(_)) => Some(if change.kind.creates() {
                format!("`{}:{}` did not exist and does now", change.root, change.path)
            } else {
                format!("`{}:{}` was changed or removed", change.root, change.path)
            }),
            Err(error) => Some(format!("`{}:{}`: {error}", change.root, change.path)),
        };
        let details = self.changes.changes().iter().filter_map(detail);
        details.map(|detail| Staleness { cause: StaleCause::Target, detail }).collect()
    }

    fn stale(&self, changed: Vec<Staleness>, is_yield: bool) -> Vec<Event> {
        let yielded = is_yield.then(|| yield_stale(&self.step, &changed));
        let attempt = self.binding.attempt;
        let stale = Event::EffectsStale { step: self.step.clone(), attempt, changed };
        std::iter::once(stale).chain(yielded).collect()
    }

    /// Whether the approval is still for what would happen, as far as that is known without the guest and
    /// the disk.
    pub(super) fn is_as_asked(&self) -> bool {
        self.approval.as_ref().is_some_and(|asked| differences(&asked.binding, &self.binding).is_empty())
    }

    /// What differs from the approval, targets on disk included.
    fn changed_since(&self, approval: &ApprovalState) -> Vec<Staleness> {
        let mut changed = differences(&approval.binding, &self.binding);
        changed.extend(self.moved_targets());
        changed
    }
}

/// Asks policy about what is staged.
pub(super) fn gate(command: Command, check: &Check) -> Worked {
    let verdict = policy::decide(&check.question);
    let attempt = check.binding.attempt;
    let events = match verdict.decision {
        Decision::Deny => vec![check.failure(Code::CallDenied, reasons(&verdict))],
        Decision::Allow if check.question.effects == 0 => {
            vec![Event::EffectsApplied { step: check.step.clone(), attempt, receipt: Vec::new() }]
        }
        // No rule lets writes happen that nobody approved; if one ever says so, it is not believed.
        Decision::Allow | Decision::NeedsApproval => {
            let moved = check.moved_targets();
            if moved.is_empty() {
                let expires_at = check.expires_ms.map(|ms| check.now.plus_ms(ms));
                let digest = check.binding.digest();
                vec![Event::ApprovalRequested { digest, binding: check.binding.clone(), expires_at }]
            } else {
                check.stale(moved, check.restaged >= RESTAGE_MAX)
            }
        }
    };
    Ok(Work::new(command, events))
}

/// Looks again at an approval that an earlier process asked for.
pub(super) fn review(command: Command, check: &Check, approval: &Digest) -> Worked {
    let Some(asked) = check.approval.as_ref().filter(|asked| asked.digest == *approval) else {
        return Ok(Work::new(command, Vec::new()));
    };
    let mut changed = check.changed_since(asked);
    if asked.expires_at.is_some_and(|expires_at| check.now > expires_at) {
        let detail = format!("nobody answered approval {} in time", approval.short());
        changed.push(Staleness { cause: StaleCause::Expired, detail });
    }
    if changed.is_empty() {
        return Ok(Work::new(command, Vec::new()));
    }
    let is_yield = !is_routine(&changed);
    Ok(Work::new(command, check.stale(changed, is_yield)))
}

/// Uses the approval up, if it is genuine and for what would happen now.
pub(super) fn consume(
    command: Command,
    check: &Check,
    approval: &Digest,
    rehearsed: Result<(), Staleness>,
) -> Worked {
    let Some(asked) = check.approval.as_ref().filter(|asked| asked.digest == *approval) else {
        return Ok(Work::new(command, Vec::new()));
    };
    let mut changed = check.changed_since(asked);
    changed.extend(rehearsed.err());
    if !changed.is_empty() {
        let is_yield = !is_routine(&changed);
        return Ok(Work::new(command, check.stale(changed, is_yield)));
    }
    if let Some(event) = refuse_unsigned(check, Some(asked)) {
        return Ok(Work::new(command, vec![event]));
    }
    let mut pre_images = Vec::new();
    for change in check.changes.changes() {
        let Some(pre) = change.pre else { continue };
        match check.host.effects.pre_image(change) {
            Ok(bytes) if Digest::of(&bytes) == pre => pre_images.push(bytes),
            Ok(_) | Err(_) => {
                return Ok(Work::new(command, check.stale(vec![changed_meanwhile(change)], false)));
            }
        }
    }
    let mut work = Work::new(
        command,
        vec![
            Event::ApprovalConsumed { digest: *approval },
            Event::EffectsIntended { step: check.step.clone(), attempt: check.binding.attempt },
        ],
    );
    work.artifacts = pre_images;
    Ok(work)
}

fn changed_meanwhile(change: &Change) -> Staleness {
    let detail = format!("`{}:{}` was changed or removed", change.root, change.path);
    Staleness { cause: StaleCause::Target, detail }
}

/// The signature is checked when it is used, not only when it was given: the journal may have been
/// edited since, or the approver's key withdrawn.
fn refuse_unsigned(check: &Check, approval: Option<&ApprovalState>) -> Option<Event> {
    let host = &check.host;
    let signed = require_signed(&host.journal, host.approvers.as_ref(), approval, &check.binding.effects);
    signed.err().map(|refusal| Event::RunYielded {
        code: refusal.code.to_string(),
        message: refusal.message,
        step: Some(check.step.clone()),
    })
}

/// Whether the guest, run again on the held call's tape, came to exactly that call: what was approved
/// is still what it would do.
pub(super) fn rehearsed(check: &Check, report: &CallReport) -> Result<(), Staleness> {
    let Some(held) = &check.held else { return Ok(()) };
    let detail = match &report.outcome {
        CallOutcome::Held(now) if Digest::of(&now.call) == held.call.request => return Ok(()),
        CallOutcome::Held(now) => format!(
            "run again, the operation makes another call: `{}` as {} instead of `{}` as {}",
            now.target,
            Digest::of(&now.call).short(),
            held.call.target,
            held.call.request.short(),
        ),
        CallOutcome::Diverged(text) => format!("run again, the operation does something else: {text}"),
        CallOutcome::Refused(refusal) => refusal.message.clone(),
        CallOutcome::Returned(_)
        | CallOutcome::Failed(_)
        | CallOutcome::Denied(_)
        | CallOutcome::Trapped { .. } => "run again, the operation does not make the call".to_owned(),
    };
    Err(Staleness { cause: StaleCause::Call, detail })
}

/// Makes the intended call, whose approval is proven once more.
pub(super) async fn send(command: Command, check: Check, request: SendRequest) -> Worked {
    let Some(held) = &check.held else { return Ok(Work::new(command, Vec::new())) };
    if let Some(event) = refuse_unsigned(&check, check.approval.as_ref()) {
        return Ok(Work::new(command, vec![event]));
    }
    // An earlier process may have intended it, when other grants were in force.
    let changed = check.approval.as_ref().map(|asked| differences(&asked.binding, &check.binding));
    if let Some(changed) = changed.filter(|changed| !changed.is_empty()) {
        return Ok(Work::new(command, vec![yield_stale(&check.step, &changed)]));
    }
    check.host.probe.reach(BEFORE_SEND);
    let sent = check.host.invoke.send(request).await;
    check.host.probe.reach(AFTER_SEND);
    Ok(match sent {
        Ok(SendReport { tape, summary }) => {
            let answered = Event::CallAnswered {
                path: held.path.clone(),
                attempt: check.binding.attempt,
                tape: Digest::of(&tape),
                summary,
            };
            Work { artifacts: vec![tape], ..Work::new(command, vec![answered]) }
        }
        Err(refusal) => {
            let (code, message) = (refusal.code.to_string(), refusal.message);
            Work::new(command, vec![Event::RunYielded { code, message, step: Some(check.step.clone()) }])
        }
    })
}

/// Makes the intended changes. All targets are looked at first: if one is neither as before nor as
/// after, none of those that are still as before is touched.
pub(super) fn apply(command: Command, check: &Check) -> Worked {
    if let Some(event) = refuse_unsigned(check, check.approval.as_ref()) {
        return Ok(Work::new(command, vec![event]));
    }
    let mut receipt = Vec::new();
    let mut conflicts = Vec::new();
    let (mut open, mut applied) = (Vec::new(), Vec::new());
    for change in in_order(&check.changes) {
        match check.host.effects.state(change, &check.changes) {
            Ok(OnDisk::Pre) => open.push(change),
            Ok(OnDisk::Post) => applied.push(change),
            Ok(OnDisk::Other(found)) => {
                conflicts.push(conflict(change, found, "it was changed after the approval".to_owned()));
            }
            Err(error) => conflicts.push(conflict(change, None, error.to_string())),
        }
    }
    if conflicts.is_empty() {
        // What is on disk already is applied again too: a process that was killed in the middle may
        // have left the old file beside it, and only that takes it away.
        for change in applied {
            let how = apply_one(check, change)?.unwrap_or_else(|conflict| {
                conflicts.push(conflict);
                journal::HowApplied::Already
            });
            receipt.push(line(change, how));
        }
        for change in open {
            if !conflicts.is_empty() {
                break;
            }
            match apply_one(check, change)? {
                Ok(how) => receipt.push(line(change, how)),
                Err(conflict) => conflicts.push(conflict),
            }
        }
    } else {
        receipt.extend(applied.into_iter().map(|change| line(change, journal::HowApplied::Already)));
    }
    receipt.sort_by(|a, b| (&a.root, &a.path).cmp(&(&b.root, &b.path)));
    let (step, attempt) = (check.step.clone(), check.binding.attempt);
    if conflicts.is_empty() {
        return Ok(Work::new(command, vec![Event::EffectsApplied { step, attempt, receipt }]));
    }
    let message = format!("step `{step}` could not apply its effects: {}", in_words(&conflicts));
    let yielded =
        Event::RunYielded { code: Code::EffectConflict.to_string(), message, step: Some(step.clone()) };
    let conflicted = Event::EffectsConflicted { step, attempt, receipt, conflicts };
    Ok(Work::new(command, vec![conflicted, yielded]))
}

fn apply_one(check: &Check, change: &Change) -> Result<Result<journal::HowApplied, Conflict>, Refusal> {
    let contents = change.post.map(|digest| check.host.journal.artifact(&digest)).transpose()?;
    let key = format!("{}-{}-{}", check.binding.run, check.step, check.binding.attempt);
    check.host.probe.reach(BEFORE_APPLY);
    let applied = check.host.effects.apply(change, contents.as_deref(), &key);
    check.host.probe.reach(AFTER_APPLY);
    Ok(applied.map_err(|error| match error {
        ApplyError::Conflict { found, message } => conflict(change, found, message),
        ApplyError::Io(message) => conflict(change, None, message),
    }))
}

fn line(change: &Change, how: journal::HowApplied) -> Receipt {
    Receipt { root: change.root.clone(), path: change.path.clone(), how }
}

fn conflict(change: &Change, found: Option<Digest>, message: String) -> Conflict {
    Conflict { root: change.root.clone(), path: change.path.clone(), found, message }
}

fn in_words(conflicts: &[Conflict]) -> String {
    let each = conflicts
        .iter()
        .map(|conflict| format!("`{}:{}`: {}", conflict.root, conflict.path, conflict.message));
    each.collect::<Vec<_>>().join("; ")
}
