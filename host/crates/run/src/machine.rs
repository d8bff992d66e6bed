//! The state of a run as a fold of its events, and what is to be done next.
//!
//! Pure: no clock, no randomness, no I/O. The time comes with the events and with the question.

mod fold;
mod graph;
mod state;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use base::{Attempt, Digest, Effect, Timestamp};

pub use fold::FoldError;
pub use graph::Graph;
pub use state::{
    AppliedEffects, ApprovalAnswer, ApprovalState, End, HeldState, ItemState, Phase, SentState, Spent, State,
    StepState, Undone, Yielded,
};
pub(crate) use state::{StagedTargets, combined_input};

/// Something that the driver is to do and then to record. Steps are numbered in the plan's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Command {
    /// Evaluate the `for-each` list: `FanOutExpanded`, or `StepFailed`.
    Expand {
        /// The step.
        step: usize,
    },
    /// Call the operation: `StepCompleted`, or `EffectsStaged` if its effects are held, or `CallHeld`
    /// where it comes to an outgoing call, or `StepFailed`.
    Call {
        /// The step.
        step: usize,
        /// The item, in a fan-out.
        item: Option<u32>,
        /// The try.
        attempt: Attempt,
    },
    /// Ask policy about the staged effects: `ApprovalRequested`, or `EffectsApplied` of nothing, or
    /// `EffectsStale`, or `StepFailed`.
    Gate {
        /// The step.
        step: usize,
        /// The try.
        attempt: Attempt,
    },
    /// Check that an approval which an earlier process asked for is still for what would happen:
    /// `EffectsStale`, or nothing.
    Review {
        /// The step.
        step: usize,
        /// The try.
        attempt: Attempt,
        /// The approval.
        approval: Digest,
    },
    /// Check that the approval is for what would happen now: `ApprovalConsumed` with
    /// `EffectsIntended`, or `EffectsStale`.
    Consume {
        /// The step.
        step: usize,
        /// The try.
        attempt: Attempt,
        /// The approval.
        approval: Digest,
    },
    /// Make the intended call: `CallAnswered`.
    Send {
        /// The step.
        step: usize,
        /// The try.
        attempt: Attempt,
    },
    /// Apply the intended effects: `EffectsApplied`, or `EffectsConflicted`.
    Apply {
        /// The step.
        step: usize,
        /// The try.
        attempt: Attempt,
    },
    /// Evaluate the outputs: `RunCompleted`, or `RunFailed`.
    Complete,
    /// Record `RunFailed`.
    Fail(RunFailure),
}

/// Why a run as a whole fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunFailure {
    /// The step failed; the first one in the plan's order, if there are several.
    Step(usize),
    /// A number of the budget is used up.
    Budget(BudgetPart),
}

/// A number of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BudgetPart {
    /// The calls.
    Calls,
    /// The fuel.
    Fuel,
    /// The time.
    Wall,
    /// The files and folders.
    Files,
    /// The bytes of files.
    FileBytes,
}

impl BudgetPart {
    /// The key in the planfile.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Fuel => "fuel",
            Self::Wall => "wall",
            Self::Files => "files",
            Self::FileBytes => "file-bytes",
        }
    }
}

/// The commands that are being carried out: what the journal cannot know.
#[derive(Debug, Clone, Default)]
pub struct Flight {
    calls: BTreeMap<usize, StepCalls>,
    steps: BTreeSet<usize>,
    reviewed: BTreeSet<Digest>,
    running: usize,
    unrecorded: usize,
    ending: bool,
}

#[derive(Debug, Clone, Default)]
struct StepCalls {
    items: BTreeSet<u32>,
    running: usize,
}

impl Flight {
    /// Notes that `command` was begun.
    pub fn begin(&mut self, command: &Command) {
        match *command {
            Command::Call { step, item, .. } => {
                let calls = self.calls.entry(step).or_default();
                if calls.items.insert(item.unwrap_or(0)) {
                    calls.running += 1;
                    self.running += 1;
                    self.unrecorded += 1;
                }
            }
            Command::Complete | Command::Fail(_) => self.ending = true,
            Command::Expand { step }
            | Command::Gate { step, .. }
            | Command::Review { step, .. }
            | Command::Consume { step, .. }
            | Command::Send { step, .. }
            | Command::Apply { step, .. } => {
                self.steps.insert(step);
            }
        }
    }

    /// Notes that the call of `command` returned. Its room is free; the item is not, until what it
    /// returned is recorded.
    pub fn returned(&mut self, command: &Command) {
        if let Command::Call { step, .. } = command
            && let Some(calls) = self.calls.get_mut(step)
        {
            calls.running = calls.running.saturating_sub(1);
            self.running = self.running.saturating_sub(1);
        }
    }

    /// Notes that what `command` led to is recorded, or that it was given up. A call has to have
    /// returned before.
    pub fn end(&mut self, command: &Command) {
        match *command {
            Command::Call { step, item, .. } => {
                let Some(calls) = self.calls.get_mut(&step) else { return };
                if calls.items.remove(&item.unwrap_or(0)) {
                    self.unrecorded = self.unrecorded.saturating_sub(1);
                }
                if calls.items.is_empty() {
                    self.calls.remove(&step);
                }
            }
            Command::Complete | Command::Fail(_) => self.ending = false,
            Command::Review { step, approval, .. } => {
                self.steps.remove(&step);
                self.reviewed.insert(approval);
            }
            Command::Expand { step }
            | Command::Gate { step, .. }
            | Command::Consume { step, .. }
            | Command::Send { step, .. }
            | Command::Apply { step, .. } => {
                self.steps.remove(&step);
            }
        }
    }

    /// Notes that the approval was looked at and found good.
    pub(crate) fn review_done(&mut self, approval: &Digest) {
        self.reviewed.insert(*approval);
    }

    /// Whether nothing is being done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unrecorded == 0 && self.steps.is_empty() && !self.ending
    }

    fn has(&self, step: usize) -> bool {
        self.steps.contains(&step) || self.calls.contains_key(&step)
    }
}

impl State {
    /// What to begin now, besides what is in `flight`: nothing if the run waits or has ended.
    /// At most `calls_max` calls are in flight at a time. The work is in the order of the steps and
    /// items that can be begun, not of all there are.
    #[must_use]
    pub fn next(&self, flight: &Flight, calls_max: usize, now: Timestamp) -> Vec<Command> {
        if self.created().is_none() || self.end().is_some() || self.yielded().is_some() || flight.ending {
            return Vec::new();
        }
        let mut scheduling = Scheduling {
            state: self,
            flight,
            room: calls_max.saturating_sub(flight.running),
            calls_left: self.calls_left().saturating_sub(flight.unrecorded as u64),
            exhausted: self.exhausted(now),
            files_exhausted: self.files_exhausted(),
            refused: None,
            commands: Vec::new(),
        };
        let holder = self.effect_holder(flight);
        for &step in self.active() {
            if flight.steps.contains(&step) {
                continue;
            }
            if let Some(state) = self.steps().get(step)
                && (!self.graph().is_staged(step) || holder == Some(step))
            {
                scheduling.step(step, state);
            }
        }
        let Scheduling { refused, mut commands, .. } = scheduling;
        if commands.is_empty() && flight.is_empty() {
            if let Some(part) = refused {
                commands.push(Command::Fail(RunFailure::Budget(part)));
            } else if self.unsettled() == 0 {
                commands.push(match self.first_failed() {
                    None => Command::Complete,
                    Some(step) => Command::Fail(RunFailure::Step(step)),
                });
            }
        }
        commands
    }

    /// The one step whose effects may be staged, asked about or applied: the one that has begun, or
    /// the first that can.
    fn effect_holder(&self, flight: &Flight) -> Option<usize> {
        let staged = || self.active().iter().copied().filter(|&step| self.graph().is_staged(step));
        let begun =
            |&step: &usize| flight.has(step) || self.steps().get(step).is_some_and(StepState::has_begun);
        staged().find(begun).or_else(|| staged().next())
    }
}

/// One round of choosing commands.
struct Scheduling<'a> {
    state: &'a State,
    flight: &'a Flight,
    room: usize,
    calls_left: u64,
    exhausted: Option<BudgetPart>,
    files_exhausted: Option<BudgetPart>,
    refused: Option<BudgetPart>,
    commands: Vec<Command>,
}

impl Scheduling<'_> {
    fn step(&mut self, step: usize, state: &StepState) {
        let attempt = state.attempt;
        match state.phase {
            Phase::Ready => self.commands.push(Command::Expand { step }),
            Phase::Active => self.calls(step, state),
            Phase::Staged => self.commands.push(Command::Gate { step, attempt }),
            Phase::Granted => {
                if let Some(approval) = state.approval {
                    self.commands.push(Command::Consume { step, attempt, approval });
                }
            }
            Phase::Intended if state.held.is_some() => self.commands.push(Command::Send { step, attempt }),
            Phase::Intended => self.commands.push(Command::Apply { step, attempt }),
            Phase::Requested => self.review(step, state),
            Phase::Waiting
            | Phase::Conflict
            | Phase::Unknown
            | Phase::Completed
            | Phase::Failed
            | Phase::Skipped
            | Phase::Cancelled => {}
        }
    }

    fn calls(&mut self, step: usize, state: &StepState) {
        let begun = self.flight.calls.get(&step);
        // Held calls are counted until they are recorded: the next one has to know their targets.
        let is_staged = self.state.graph().is_staged(step);
        let running = begun.map_or(0, |calls| if is_staged { calls.items.len() } else { calls.running });
        let width = self.state.graph().parallel(step).saturating_sub(running);
        let is_fan_out = self.state.graph().is_fan_out(step);
        let is_begun = |item: &&u32| begun.is_some_and(|calls| calls.items.contains(item));
        let record = self.state.graph().step(step);
        // What only computes needs no files.
        let reaches = record.is_none_or(|record| record.effect > Effect::Pure);
        let exhausted = self.exhausted.or(self.files_exhausted.filter(|_| reaches));
        for &item in state.todo.iter().filter(|item| !is_begun(item)).take(width.min(self.room)) {
            let refusal = exhausted.or_else(|| (self.calls_left == 0).then_some(BudgetPart::Calls));
            if refusal.is_some() {
                self.refused = refusal;
                return;
            }
            self.calls_left -= 1;
            self.room -= 1;
            let item = is_fan_out.then_some(item);
            self.commands.push(Command::Call { step, item, attempt: state.attempt });
        }
    }

    /// Once per claim, and not for what this claim itself asked.
    fn review(&mut self, step: usize, state: &StepState) {
        if let Some(digest) = state.approval
            && let Some(approval) = self.state.approval(&digest)
            && approval.epoch < self.state.claims()
            && !self.flight.reviewed.contains(&digest)
        {
            self.commands.push(Command::Review { step, attempt: state.attempt, approval: digest });
        }
    }
}
