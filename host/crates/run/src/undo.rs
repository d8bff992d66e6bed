//! Taking applied effects back, in reverse order.

use std::collections::BTreeMap;

use base::{Attempt, Change, ChangeSet, Code, Refusal, RunId, StepId};
use journal::{Append, Event, Receipt, Record};

use crate::answer::load;
use crate::approval::require_signed;
use crate::changes::in_order;
use crate::host::{ApplyError, Host, OnDisk};
use crate::machine::{State, StepState, Undone};

pub(crate) const BEFORE_UNDO: &str = "run:before-undo";
pub(crate) const AFTER_UNDO: &str = "run:after-undo";

/// What was taken back.
#[derive(Debug, Clone)]
pub struct UndoReport {
    /// The run's state after it.
    pub state: State,
    /// The reversed changes, in the order they were made.
    pub receipts: Vec<Receipt>,
}

/// The effects of one step, reversed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reversal {
    pub(crate) step: StepId,
    pub(crate) attempt: Attempt,
    pub(crate) is_begun: bool,
    pub(crate) changes: ChangeSet,
}

/// What is to be taken back, first the last: every applied effect set that was not.
pub(crate) fn reversals(state: &State) -> Vec<Reversal> {
    let open = state.applied().iter().rev().filter(|effects| effects.undone != Undone::Yes);
    open.map(|effects| Reversal {
        step: effects.step.clone(),
        attempt: effects.attempt,
        is_begun: effects.undone == Undone::Intended,
        changes: ChangeSet::new(effects.changes.changes().iter().map(Change::reversed)),
    })
    .collect()
}

/// Takes back what an ended run applied. Nothing is touched unless every target is as the run left
/// it; an undo that was cut off is finished by the next one.
///
/// Blocks on the file system and the journal.
///
/// # Errors
/// `E-RUN-STATE` if the run has not ended or has nothing to take back, `E-RUN-BUSY` if a process
/// works on it, `E-EFFECT-CONFLICT` if a target was changed since, `E-APPROVAL-FORGED` if what was
/// applied has no approver's signature.
pub fn undo(host: &Host, run: &RunId) -> Result<UndoReport, Refusal> {
    let _lock = host.journal.lock(run)?;
    let mut state = load(&host.journal, run)?;
    refuse_other_roots(host, &state)?;
    let reversals = reversals(&state);
    if state.end().is_none() {
        let message = format!("run {run} has not ended, so there is nothing to undo yet");
        return Err(Refusal::new(Code::RunState, message).hint(format!("capstan run cancel {run}")));
    }
    if reversals.is_empty() {
        let was_undone = state.applied().iter().any(|effects| effects.undone == Undone::Yes);
        let why = if was_undone { "its effects are undone already" } else { "it applied no effects" };
        return Err(Refusal::new(Code::RunState, format!("run {run} cannot be undone: {why}")));
    }
    refuse_unsigned(host, &state, &reversals)?;
    refuse_conflicts(host, &reversals)?;
    let mut receipts = Vec::new();
    for reversal in &reversals {
        receipts.extend(reverse(host, &mut state, reversal)?);
    }
    Ok(UndoReport { state, receipts })
}

fn refuse_other_roots(host: &Host, state: &State) -> Result<(), Refusal> {
    let recorded = state.created().map_or(&[][..], |created| &created.roots);
    match recorded.iter().find(|root| !host.roots.contains(root)) {
        None => Ok(()),
        Some(root) => Err(Refusal::new(
            Code::RunStale,
            format!("root `{}` is not the folder `{}` that the run was started with", root.name, root.path),
        )),
    }
}

/// What is written back comes from the journal too, so it has to be what a person once approved.
fn refuse_unsigned(host: &Host, state: &State, reversals: &[Reversal]) -> Result<(), Refusal> {
    for reversal in reversals {
        let number = state.graph().number(&reversal.step);
        let step = number.and_then(|number| state.steps().get(number));
        let staged = step.map(StepState::changes).unwrap_or_default();
        let effects = staged.digest();
        let mut approvals = state.approvals().iter();
        let approval = approvals.find(|approval| {
            approval.binding.path.step == reversal.step
                && approval.binding.attempt == reversal.attempt
                && approval.binding.effects == effects
        });
        require_signed(&host.journal, host.approvers.as_ref(), approval, &effects)?;
        let is_staged = |change: &Change| staged.changes().contains(&change.reversed());
        if !reversal.changes.changes().iter().all(is_staged) {
            let message = format!("step `{}` did not stage what was applied", reversal.step);
            return Err(Refusal::new(Code::ApprovalForged, message));
        }
    }
    Ok(())
}

/// Only the last change of each target is on disk; the earlier ones become so on the way.
fn refuse_conflicts(host: &Host, reversals: &[Reversal]) -> Result<(), Refusal> {
    let mut latest: BTreeMap<_, (&Change, bool)> = BTreeMap::new();
    for reversal in reversals {
        for change in reversal.changes.changes() {
            latest.entry((&change.root, &change.path)).or_insert((change, reversal.is_begun));
        }
    }
    let all = ChangeSet::new(latest.values().map(|(change, _)| (*change).clone()));
    for (change, is_begun) in latest.into_values() {
        let found = match host.effects.state(change, &all) {
            Ok(OnDisk::Pre) => continue,
            Ok(OnDisk::Post) if is_begun => continue,
            Ok(OnDisk::Post) => "it is already as it was before the run".to_owned(),
            Ok(OnDisk::Other(_)) => "it is not as the run left it".to_owned(),
            Err(error) => error.to_string(),
        };
        let message = format!("`{}:{}` cannot be taken back: {found}", change.root, change.path);
        return Err(Refusal::new(Code::EffectConflict, message).hint("nothing was changed"));
    }
    Ok(())
}

fn reverse(host: &Host, state: &mut State, reversal: &Reversal) -> Result<Vec<Receipt>, Refusal> {
    let (step, attempt) = (reversal.step.clone(), reversal.attempt);
    if !reversal.is_begun {
        record(host, state, Event::UndoIntended { step: step.clone(), attempt })?;
    }
    let mut receipt = Vec::new();
    for change in in_order(&reversal.changes) {
        let contents = change.post.map(|digest| host.journal.artifact(&digest)).transpose()?;
        host.probe.reach(BEFORE_UNDO);
        let key = format!("{}-{step}-{attempt}-undo", state.run());
        let how = host.effects.apply(change, contents.as_deref(), &key).map_err(|error| {
            let place = format!("`{}:{}`", change.root, change.path);
            match error {
                ApplyError::Conflict { message, .. } => {
                    Refusal::new(Code::EffectConflict, format!("{place} cannot be taken back: {message}"))
                }
                ApplyError::Io(message) => {
                    Refusal::new(Code::EffectConflict, format!("{place} could not be written: {message}"))
                }
            }
        })?;
        host.probe.reach(AFTER_UNDO);
        receipt.push(Receipt { root: change.root.clone(), path: change.path.clone(), how });
    }
    record(host, state, Event::EffectsUndone { step, attempt, receipt: receipt.clone() })?;
    Ok(receipt)
}

fn record(host: &Host, state: &mut State, event: Event) -> Result<(), Refusal> {
    let append = Append {
        run: state.run().clone(),
        expected: state.next_seq(),
        at: host.clock.now(),
        events: vec![event],
        artifacts: Vec::new(),
    };
    let records: Vec<Record> = host.journal.append(append)?;
    for record in &records {
        state.apply(record)?;
        host.observer.recorded(state.run(), record);
    }
    Ok(())
}
