//! `apply`: one event onto the state. Everything that an event says is checked against what came
//! before it, so that a row that cannot have been written is refused and not believed.

use base::{Attempt, Capability, ChangeSet, Digest, StepId, StepPath, Timestamp};
use journal::{CallRecord, Conflict, Event, Failure, FailureClass, HeldRecord, Receipt, Record, RunCreated};

use super::Graph;
use super::graph::ITEMS_MAX;
use super::state::{
    AppliedEffects, ApprovalAnswer, ApprovalState, End, HeldState, ItemState, Phase, SentState, State,
    StepState, Undone, Yielded,
};

/// An event that cannot follow the ones before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} (`{kind}`) cannot follow the events before it: {why}")]
pub struct FoldError {
    /// The event's number.
    pub seq: u64,
    /// What it says happened.
    pub kind: &'static str,
    /// What speaks against it.
    pub why: &'static str,
}

/// What speaks against an event.
type Fold = Result<(), &'static str>;

impl State {
    /// The fold of `records`.
    ///
    /// # Errors
    /// If one of them cannot follow the ones before it.
    pub fn fold<'a>(
        run: base::RunId,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<Self, FoldError> {
        let mut state = Self::new(run);
        for record in records {
            state.apply(record)?;
        }
        Ok(state)
    }

    /// Adds one event. After an error the state is not to be used any more.
    ///
    /// # Errors
    /// If the event cannot follow the ones before it.
    pub fn apply(&mut self, record: &Record) -> Result<(), FoldError> {
        let kind = record.event.kind();
        let fail = |why| FoldError { seq: record.seq, kind, why };
        if record.seq != self.next_seq {
            return Err(fail("its number is not the next one"));
        }
        self.event(record.at, &record.event).map_err(fail)?;
        self.next_seq += 1;
        self.changed_at = record.at;
        Ok(())
    }

    fn event(&mut self, at: Timestamp, event: &Event) -> Fold {
        let is_first = self.created.is_none();
        if is_first != matches!(event, Event::RunCreated(_)) {
            return Err("the run is made by its first event and only by that");
        }
        let is_after_end = matches!(
            event,
            Event::RunClaimed { .. } | Event::UndoIntended { .. } | Event::EffectsUndone { .. }
        );
        if self.end.is_some() && !is_after_end {
            return Err("the run has ended");
        }
        self.clock(at, event);
        match event {
            Event::RunCreated(created) => self.create(at, created),
            Event::RunClaimed { epoch, .. } => self.claim(*epoch),
            Event::FanOutExpanded { step, items } => self.expand(step, *items),
            Event::StepCompleted { path, attempt, call } => self.complete_item(path, *attempt, call),
            Event::StepFailed { path, attempt, failure, usage, .. } => {
                let was_called = failure.class.was_called() || *usage != base::Usage::default();
                self.spent.add(u64::from(was_called), usage);
                self.fail_item(path, *attempt, failure)
            }
            Event::EffectsStaged { path, attempt, call, changes } => {
                self.stage(path, *attempt, call, changes)
            }
            Event::CallHeld { path, attempt, held, usage, .. } => {
                self.spent.calls += 1;
                self.spent.fuel = self.spent.fuel.saturating_add(usage.fuel);
                self.hold(path, *attempt, held, usage.host_call_bytes)
            }
            Event::CallAnswered { path, attempt, tape, summary } => {
                self.answered(at, path, *attempt, *tape, summary)
            }
            Event::CallRehearsed { path, attempt, usage } => self.rehearsed(path, *attempt, usage.fuel),
            Event::ApprovalRequested { .. }
            | Event::ApprovalGranted { .. }
            | Event::ApprovalRejected { .. }
            | Event::ApprovalConsumed { .. } => self.approval_event(at, event),
            Event::EffectsIntended { step, attempt } => self.intend(step, *attempt),
            Event::EffectsApplied { step, attempt, receipt } => self.applied_all(step, *attempt, receipt),
            Event::EffectsConflicted { step, attempt, receipt, conflicts } => {
                self.conflict(step, *attempt, receipt, conflicts)
            }
            Event::EffectsStale { step, attempt, changed } => {
                let number = self.at_attempt(step, *attempt)?;
                self.restage(number, changed)
            }
            Event::RunYielded { code, message, step } => {
                let (code, message) = (code.clone(), message.clone());
                self.yielded = Some(Yielded { code, message, step: step.clone() });
                Ok(())
            }
            Event::RunCompleted { outputs } => {
                if self.unsettled > 0 || self.first_failed().is_some() {
                    return Err("not every step is completed");
                }
                self.finish(End::Completed(outputs.clone()))
            }
            Event::RunFailed { code, message } => {
                self.finish(End::Failed { code: code.clone(), message: message.clone() })
            }
            Event::RunCancelled { by, reason } => {
                self.finish(End::Cancelled { by: by.clone(), reason: reason.clone() })
            }
            Event::UndoIntended { step, attempt } => self.undo(step, *attempt, Undone::Intended),
            Event::EffectsUndone { step, attempt, .. } => self.undo(step, *attempt, Undone::Yes),
        }
    }

    /// Keeps the time of work. What people decide while nobody works is no work.
    fn clock(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::RunClaimed { .. } => {
                let worked = self.work.since.map_or(0, |since| self.work.until.0.saturating_sub(since.0));
                self.work.earlier_ms = self.work.earlier_ms.saturating_add(worked);
                (self.work.since, self.work.until) = (Some(at), at);
            }
            Event::ApprovalGranted { .. }
            | Event::ApprovalRejected { .. }
            | Event::RunCancelled { .. }
            | Event::UndoIntended { .. }
            | Event::EffectsUndone { .. } => {}
            _ => self.work.until = at,
        }
    }

    fn create(&mut self, at: Timestamp, created: &RunCreated) -> Fold {
        self.graph = Graph::new(created.steps.clone()).ok_or("its steps are not in an order that can run")?;
        self.steps = created.steps.iter().map(|step| StepState::new(step.depends_on.len())).collect();
        self.unsettled = self.steps.len();
        self.created_at = at;
        self.created = Some(Box::new(created.clone()));
        for number in 0..self.steps.len() {
            self.activate_if_met(number)?;
        }
        Ok(())
    }

    fn claim(&mut self, epoch: u64) -> Fold {
        if epoch != self.claims + 1 {
            return Err("its epoch is not the next one");
        }
        self.claims = epoch;
        if self.end.is_some() {
            return Ok(());
        }
        self.yielded = None;
        for (number, step) in self.steps.iter_mut().enumerate() {
            if step.phase == Phase::Conflict {
                step.phase = Phase::Intended;
            } else if step.phase == Phase::Intended
                && let Some(held) = &step.held
                && !is_repeatable(held.call.capability)
                && !self.graph.is_idempotent(number)
            {
                // An earlier process was about to make the call, and recorded no answer.
                step.phase = Phase::Unknown;
            }
        }
        Ok(())
    }

    fn activate_if_met(&mut self, number: usize) -> Fold {
        let is_fan_out = self.graph.is_fan_out(number);
        let step = self.step_mut(number)?;
        if step.unmet > 0 || step.phase != Phase::Waiting {
            return Ok(());
        }
        if is_fan_out {
            step.phase = Phase::Ready;
        } else {
            step.phase = Phase::Active;
            step.expect_items(1);
        }
        self.active.insert(number);
        Ok(())
    }

    fn expand(&mut self, id: &StepId, items: u32) -> Fold {
        let number = self.number(id)?;
        if items > ITEMS_MAX {
            return Err("it has more items than any plan may");
        }
        let step = self.step_mut(number)?;
        if step.phase != Phase::Ready {
            return Err("the step does not wait for its list");
        }
        step.phase = Phase::Active;
        step.expect_items(items);
        if items == 0 { self.all_returned(number) } else { Ok(()) }
    }

    fn complete_item(&mut self, path: &StepPath, attempt: Attempt, call: &CallRecord) -> Fold {
        let number = self.at_attempt(&path.step, attempt)?;
        if self.graph.is_staged(number) {
            return Err("the step's results have to be staged");
        }
        self.store(number, path, call, &ChangeSet::default())
    }

    fn stage(&mut self, path: &StepPath, attempt: Attempt, call: &CallRecord, changes: &ChangeSet) -> Fold {
        let number = self.at_attempt(&path.step, attempt)?;
        if !self.graph.is_staged(number) {
            return Err("the step has no effects to stage");
        }
        let step = self.step_mut(number)?;
        for change in changes.changes() {
            if !step.targets.insert((change.root.clone(), change.path.clone())) {
                return Err("two items stage the same target");
            }
        }
        self.store(number, path, call, changes)
    }

    fn hold(&mut self, path: &StepPath, attempt: Attempt, call: &HeldRecord, moved: u64) -> Fold {
        let number = self.at_attempt(&path.step, attempt)?;
        if !self.graph.is_staged(number) {
            return Err("the step has no effects to hold");
        }
        let item = self.item(number, path)?;
        let step = self.step_mut(number)?;
        if step.phase != Phase::Active || step.held.is_some() {
            return Err("the step makes no calls now");
        }
        if !step.todo.contains(&item) {
            return Err("the item has its result already");
        }
        if call.number != 0 && call.number != step.sent_of(path) {
            return Err("it has another number of calls before it than were sent");
        }
        step.held = Some(HeldState { item, path: path.clone(), call: call.clone(), moved });
        step.phase = Phase::Staged;
        Ok(())
    }

    /// Fuel is burnt whatever comes of it. It is no call more: it only looks at one that was made.
    fn rehearsed(&mut self, path: &StepPath, attempt: Attempt, fuel: u64) -> Fold {
        let number = self.at_attempt(&path.step, attempt)?;
        let step = self.step_mut(number)?;
        if step.phase != Phase::Granted || step.held.as_ref().is_none_or(|held| held.path != *path) {
            return Err("no approved call of it is held");
        }
        self.spent.fuel = self.spent.fuel.saturating_add(fuel);
        Ok(())
    }

    fn answered(
        &mut self,
        at: Timestamp,
        path: &StepPath,
        attempt: Attempt,
        tape: Digest,
        summary: &str,
    ) -> Fold {
        let number = self.at_attempt(&path.step, attempt)?;
        let step = self.step_mut(number)?;
        if step.phase != Phase::Intended {
            return Err("no call was intended");
        }
        let held = step.held.take_if(|held| held.path == *path).ok_or("no call of it is held")?;
        step.sent.push(SentState {
            path: held.path,
            attempt,
            target: held.call.target,
            request: held.call.request,
            summary: summary.to_owned(),
            at,
        });
        step.tapes.insert(held.item, tape);
        step.approval = None;
        step.phase = Phase::Active;
        Ok(())
    }

    /// Keeps a result. Those of calls that were running when the step failed are kept too.
    fn store(&mut self, number: usize, path: &StepPath, call: &CallRecord, changes: &ChangeSet) -> Fold {
        let item = self.item(number, path)?;
        let step = self.step_mut(number)?;
        if !matches!(step.phase, Phase::Active | Phase::Failed) {
            return Err("the step makes no calls now");
        }
        if !step.todo.remove(&item) {
            return Err("the item has its result already");
        }
        let slot = usize::try_from(item).ok().and_then(|item| step.items.get_mut(item));
        *slot.ok_or("there is no such item")? =
            Some(ItemState { call: call.clone(), changes: changes.clone() });
        let is_last = step.todo.is_empty() && step.phase == Phase::Active;
        self.spent.add(1, &call.usage);
        if is_last { self.all_returned(number) } else { Ok(()) }
    }

    fn all_returned(&mut self, number: usize) -> Fold {
        if self.graph.is_staged(number) {
            self.step_mut(number)?.phase = Phase::Staged;
            return Ok(());
        }
        self.settle_completed(number)
    }

    fn fail_item(&mut self, path: &StepPath, attempt: Attempt, failure: &Failure) -> Fold {
        let number = self.at_attempt(&path.step, attempt)?;
        let item = path.item;
        if item.is_some() {
            let item = self.item(number, path)?;
            if !self.step_mut(number)?.todo.remove(&item) {
                return Err("the item has its result already");
            }
        }
        let step = self.step_mut(number)?;
        match step.phase {
            Phase::Failed => Ok(()),
            Phase::Ready | Phase::Active | Phase::Staged => self.settle_failed(number, item, failure.clone()),
            _ => Err("the step makes no calls now"),
        }
    }

    fn approval_event(&mut self, at: Timestamp, event: &Event) -> Fold {
        match event {
            Event::ApprovalRequested { digest, binding, expires_at } => {
                let number = self.at_attempt(&binding.path.step, binding.attempt)?;
                let is_fan_out = self.graph.is_fan_out(number);
                if binding.digest() != *digest || binding.run != self.run {
                    return Err("the approval's digest is not that of its binding");
                }
                let epoch = self.claims;
                let step = self.step_mut(number)?;
                if step.phase != Phase::Staged {
                    return Err("the step has nothing to approve");
                }
                let (input, item) = match &step.held {
                    Some(held) => (held.call.input, held.path.item),
                    None => (step.input_digest(is_fan_out), None),
                };
                if step.effects().0 != binding.effects || input != binding.input || item != binding.path.item
                {
                    return Err("the approval is not for what the step staged");
                }
                step.phase = Phase::Requested;
                step.approval = Some(*digest);
                self.approvals.push(ApprovalState {
                    digest: *digest,
                    step: number,
                    binding: binding.clone(),
                    requested_at: at,
                    epoch,
                    expires_at: *expires_at,
                    answer: ApprovalAnswer::Pending,
                });
                Ok(())
            }
            Event::ApprovalGranted { digest, statement, approver } => {
                let (statement, approver) = (*statement, approver.clone());
                let number = self.answer(digest, ApprovalAnswer::Granted { statement, approver, at })?;
                self.step_mut(number)?.phase = Phase::Granted;
                Ok(())
            }
            Event::ApprovalRejected { digest, by, reason } => {
                let answer = ApprovalAnswer::Rejected { by: by.clone(), reason: reason.clone() };
                let number = self.answer(digest, answer)?;
                let message = match reason {
                    Some(reason) => format!("rejected by {by}: {reason}"),
                    None => format!("rejected by {by}"),
                };
                let code = base::Code::ApprovalRejected.to_string();
                let failure = Failure { class: FailureClass::Rejected, code, message, trap: None };
                self.settle_failed(number, None, failure)
            }
            Event::ApprovalConsumed { digest } => self.consume(digest),
            _ => Err("it is not about an approval"),
        }
    }

    /// Answers the approval that its step waits for. It may be granted again, by another
    /// statement, as long as it is not consumed.
    fn answer(&mut self, digest: &Digest, answer: ApprovalAnswer) -> Result<usize, &'static str> {
        let approval = self.approval_mut(digest)?;
        if !matches!(approval.answer, ApprovalAnswer::Pending | ApprovalAnswer::Granted { .. }) {
            return Err("the approval does not wait for an answer");
        }
        approval.answer = answer;
        let number = approval.step;
        if self.step_mut(number)?.approval != Some(*digest) {
            return Err("the step does not wait for this approval");
        }
        Ok(number)
    }

    fn consume(&mut self, digest: &Digest) -> Fold {
        let approval = self.approval_mut(digest)?;
        let ApprovalAnswer::Granted { statement, approver, at } = &approval.answer else {
            return Err("the approval is not granted");
        };
        approval.answer =
            ApprovalAnswer::Consumed { statement: *statement, approver: approver.clone(), at: *at };
        Ok(())
    }

    fn intend(&mut self, id: &StepId, attempt: Attempt) -> Fold {
        let number = self.at_attempt(id, attempt)?;
        let approval = self.step_mut(number)?.approval;
        let is_consumed = approval
            .and_then(|digest| self.approval(&digest))
            .is_some_and(|approval| matches!(approval.answer, ApprovalAnswer::Consumed { .. }));
        let step = self.step_mut(number)?;
        if step.phase != Phase::Granted || !is_consumed {
            return Err("no approval was consumed for it");
        }
        step.phase = Phase::Intended;
        Ok(())
    }

    fn applied_all(&mut self, id: &StepId, attempt: Attempt, receipt: &[Receipt]) -> Fold {
        let number = self.at_attempt(id, attempt)?;
        let step = self.step_mut(number)?;
        let changes = step.changes();
        let is_allowed = step.phase == Phase::Intended || (step.phase == Phase::Staged && changes.is_empty());
        if !is_allowed {
            return Err("its effects were not intended");
        }
        if step.held.is_some() {
            return Err("a call is held, and no changes are");
        }
        step.conflicts.clear();
        self.record_applied(id, attempt, changes, receipt);
        self.settle_completed(number)
    }

    fn conflict(
        &mut self,
        id: &StepId,
        attempt: Attempt,
        receipt: &[Receipt],
        conflicts: &[Conflict],
    ) -> Fold {
        let number = self.at_attempt(id, attempt)?;
        let step = self.step_mut(number)?;
        if step.phase != Phase::Intended || step.held.is_some() {
            return Err("its effects were not intended");
        }
        step.phase = Phase::Conflict;
        step.conflicts = conflicts.to_vec();
        let is_done = |change: &&base::Change| {
            receipt.iter().any(|line| line.root == change.root && line.path == change.path)
        };
        let done = ChangeSet::new(step.changes().changes().iter().filter(is_done).cloned());
        self.record_applied(id, attempt, done, receipt);
        Ok(())
    }

    /// A second try after a conflict replaces what the first one recorded: its receipt covers both.
    fn record_applied(&mut self, id: &StepId, attempt: Attempt, changes: ChangeSet, receipt: &[Receipt]) {
        self.applied.retain(|effects| effects.step != *id || effects.attempt != attempt);
        if !changes.is_empty() {
            let receipt = receipt.to_vec();
            self.applied.push(AppliedEffects {
                step: id.clone(),
                attempt,
                changes,
                receipt,
                undone: Undone::No,
            });
        }
    }

    fn restage(&mut self, number: usize, changed: &[journal::Staleness]) -> Fold {
        let step = self.step_mut(number)?;
        let is_renewed = changed.iter().any(|change| change.cause == journal::StaleCause::Renewed);
        let can_be = match step.phase {
            Phase::Staged | Phase::Requested | Phase::Granted => !is_renewed,
            Phase::Unknown => is_renewed,
            _ => false,
        };
        if !can_be {
            return Err("nothing is staged that could be stale");
        }
        step.stale.push((step.attempt, changed.to_vec()));
        step.attempt = step.attempt.next();
        step.phase = Phase::Active;
        let items = u32::try_from(step.items.len()).map_err(|_| "it has more items than any plan may")?;
        // What was sent stays sent: an item goes on from its tape, and one whose call is void is the
        // only one that is called again.
        if step.held.take().is_none() {
            step.expect_items(items);
        }
        let approval = step.approval.take();
        if let Some(digest) = approval {
            self.approval_mut(&digest)?.answer = ApprovalAnswer::Stale;
        }
        if items == 0 { self.all_returned(number) } else { Ok(()) }
    }

    fn settle_completed(&mut self, number: usize) -> Fold {
        self.settle(number, Phase::Completed)?;
        for dependent in self.graph.needed_by(number).to_vec() {
            let step = self.step_mut(dependent)?;
            step.unmet = step.unmet.saturating_sub(1);
            self.activate_if_met(dependent)?;
        }
        Ok(())
    }

    fn settle_failed(&mut self, number: usize, item: Option<u32>, failure: Failure) -> Fold {
        self.step_mut(number)?.failure = Some((item, failure));
        self.settle(number, Phase::Failed)?;
        let mut skipped = self.graph.needed_by(number).to_vec();
        while let Some(dependent) = skipped.pop() {
            if self.step_mut(dependent)?.phase == Phase::Waiting {
                self.settle(dependent, Phase::Skipped)?;
                skipped.extend_from_slice(self.graph.needed_by(dependent));
            }
        }
        Ok(())
    }

    fn settle(&mut self, number: usize, phase: Phase) -> Fold {
        self.step_mut(number)?.phase = phase;
        self.active.remove(&number);
        self.unsettled = self.unsettled.saturating_sub(1);
        Ok(())
    }

    fn finish(&mut self, end: End) -> Fold {
        if self.steps.iter().any(|step| step.phase == Phase::Intended) {
            return Err("effects were begun and not finished");
        }
        for step in &mut self.steps {
            // A conflict stays what it is: the run gave up on it, and the targets are as they are. So
            // does a call that nobody knows the outcome of.
            if !step.phase.is_settled() && !matches!(step.phase, Phase::Conflict | Phase::Unknown) {
                step.phase = Phase::Cancelled;
            }
        }
        for approval in &mut self.approvals {
            if matches!(approval.answer, ApprovalAnswer::Pending | ApprovalAnswer::Granted { .. }) {
                approval.answer = ApprovalAnswer::Stale;
            }
        }
        self.active.clear();
        self.unsettled = 0;
        self.yielded = None;
        self.end = Some(end);
        Ok(())
    }

    fn undo(&mut self, id: &StepId, attempt: Attempt, undone: Undone) -> Fold {
        if self.end.is_none() {
            return Err("the run has not ended");
        }
        let effects = self
            .applied
            .iter_mut()
            .find(|effects| effects.step == *id && effects.attempt == attempt)
            .ok_or("no such effects were applied")?;
        effects.undone = match (effects.undone, undone) {
            (Undone::No, Undone::Intended) => Undone::Intended,
            (Undone::Intended, Undone::Yes) => Undone::Yes,
            _ => return Err("the effects are not in a state in which that can happen"),
        };
        Ok(())
    }

    fn number(&self, id: &StepId) -> Result<usize, &'static str> {
        self.graph.number(id).ok_or("the run has no such step")
    }

    fn at_attempt(&mut self, id: &StepId, attempt: Attempt) -> Result<usize, &'static str> {
        let number = self.number(id)?;
        if self.step_mut(number)?.attempt == attempt {
            Ok(number)
        } else {
            Err("that is not the present try")
        }
    }

    /// The item of the path; the only one of a step without `for-each`.
    fn item(&self, number: usize, path: &StepPath) -> Result<u32, &'static str> {
        match (self.graph.is_fan_out(number), path.item) {
            (true, Some(item)) => Ok(item),
            (false, None) => Ok(0),
            (true, None) => Err("an item of a fan-out is meant, and none is named"),
            (false, Some(_)) => Err("the step has no items"),
        }
    }

    fn step_mut(&mut self, number: usize) -> Result<&mut StepState, &'static str> {
        self.steps.get_mut(number).ok_or("the run has no such step")
    }

    fn approval_mut(&mut self, digest: &Digest) -> Result<&mut ApprovalState, &'static str> {
        let approvals = self.approvals.iter_mut().rev();
        approvals.into_iter().find(|approval| approval.digest == *digest).ok_or("it was not asked for")
    }
}

/// Whether a held call of it may be made again when nobody knows what became of it, be the operation
/// idempotent or not. GET and HEAD are safe methods (RFC 9110, section 9.2.1): a server is asked to
/// change nothing, and is told nothing that it was not told before.
fn is_repeatable(capability: Capability) -> bool {
    matches!(capability, Capability::HttpRead)
}
