//! What is known of a run.

use std::collections::{BTreeMap, BTreeSet};

use base::{Attempt, ChangeSet, Digest, FramedHasher, RootName, RunId, StepId, StepPath, Timestamp, Usage};
use journal::{
    ApprovalBinding, CallRecord, Conflict, Failure, HeldRecord, Payload, Receipt, RunCreated, Staleness,
};

use super::{BudgetPart, Graph};

/// Where a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Steps that it depends on are not completed.
    Waiting,
    /// A fan-out whose list can be computed.
    Ready,
    /// Calls can be made, or are.
    Active,
    /// Every call returned, and the results are held; or one call came to an outgoing call.
    Staged,
    /// A person is asked.
    Requested,
    /// A person agreed.
    Granted,
    /// Its effects may be on disk, wholly or in part.
    Intended,
    /// Some targets were not as they had to be; tried again at the next claim.
    Conflict,
    /// The held call may have been made, and nobody knows.
    Unknown,
    /// It has its result.
    Completed,
    /// It has none.
    Failed,
    /// A step that it depends on has none.
    Skipped,
    /// The run ended first.
    Cancelled,
}

impl Phase {
    /// Whether nothing can happen to the step any more.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Skipped | Self::Cancelled)
    }
}

/// One call of a step that has its result.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemState {
    /// The call.
    pub call: CallRecord,
    /// What it staged.
    pub changes: ChangeSet,
}

/// An outgoing call that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldState {
    /// The item whose call it is; 0 without `for-each`.
    pub item: u32,
    /// The path of that item.
    pub path: StepPath,
    /// The call.
    pub call: HeldRecord,
    /// Bytes that were moved between guest and host until then.
    pub moved: u64,
}

/// An outgoing call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentState {
    /// The step or item that made it.
    pub path: StepPath,
    /// The try.
    pub attempt: Attempt,
    /// What it was done to.
    pub target: String,
    /// The artifact with the exact call.
    pub request: Digest,
    /// The answer on one line.
    pub summary: String,
    /// When the answer was recorded.
    pub at: Timestamp,
}

/// The targets that a try of a step stages.
pub(crate) type StagedTargets = BTreeSet<(RootName, String)>;

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepState {
    /// Where it is.
    pub phase: Phase,
    /// The try that is going on, or was the last.
    pub attempt: Attempt,
    /// The results by item; a step without `for-each` has one item. Empty until the list of a
    /// fan-out is known.
    pub items: Vec<Option<ItemState>>,
    /// The items without a result.
    pub todo: BTreeSet<u32>,
    /// Why it failed, and at which item.
    pub failure: Option<(Option<u32>, Failure)>,
    /// The outgoing call that is to be approved or made.
    pub held: Option<HeldState>,
    /// Where items were answered that go on: the artifacts with their tapes.
    pub tapes: BTreeMap<u32, Digest>,
    /// The outgoing calls that were made, in order.
    pub sent: Vec<SentState>,
    /// The approval of this try.
    pub approval: Option<Digest>,
    /// Why earlier tries were void, in order.
    pub stale: Vec<(Attempt, Vec<Staleness>)>,
    /// The targets that are in the way.
    pub conflicts: Vec<Conflict>,
    pub(super) unmet: usize,
    pub(super) targets: StagedTargets,
}

impl StepState {
    pub(super) fn new(unmet: usize) -> Self {
        Self {
            phase: Phase::Waiting,
            attempt: Attempt::FIRST,
            items: Vec::new(),
            todo: BTreeSet::new(),
            failure: None,
            held: None,
            tapes: BTreeMap::new(),
            sent: Vec::new(),
            approval: None,
            stale: Vec::new(),
            conflicts: Vec::new(),
            unmet,
            targets: BTreeSet::new(),
        }
    }

    /// Makes room for `count` results.
    pub(super) fn expect_items(&mut self, count: u32) {
        self.items = (0..count).map(|_| None).collect();
        self.todo = (0..count).collect();
        self.targets.clear();
    }

    pub(super) fn has_begun(&self) -> bool {
        self.phase > Phase::Active
            || !self.tapes.is_empty()
            || (!self.items.is_empty() && self.todo.len() < self.items.len())
    }

    /// The effect set of all items together.
    #[must_use]
    pub fn changes(&self) -> ChangeSet {
        let items = self.items.iter().flatten();
        ChangeSet::new(items.flat_map(|item| item.changes.changes().iter().cloned()))
    }

    /// What an approval now would be of: the held call, or the effect set. With how many effects
    /// that are, for policy.
    #[must_use]
    pub fn effects(&self) -> (Digest, usize) {
        match &self.held {
            Some(held) => (held.call.digest(), 1),
            None => {
                let changes = self.changes();
                (changes.digest(), changes.changes().len())
            }
        }
    }

    /// How many approved calls of the item were made.
    pub(crate) fn sent_of(&self, path: &StepPath) -> u64 {
        self.sent.iter().filter(|sent| sent.path == *path).count() as u64
    }

    /// The targets that items of this try stage already.
    pub(crate) const fn staged_targets(&self) -> &StagedTargets {
        &self.targets
    }

    /// The digest of the arguments of all calls: that of the one call, or over those of the items.
    #[must_use]
    pub fn input_digest(&self, is_fan_out: bool) -> Digest {
        combined_input(is_fan_out, self.items.iter().flatten().map(|item| item.call.input))
    }
}

/// See [`StepState::input_digest`].
pub(crate) fn combined_input(is_fan_out: bool, mut inputs: impl Iterator<Item = Digest>) -> Digest {
    if !is_fan_out && let Some(only) = inputs.next() {
        return only;
    }
    inputs.fold(FramedHasher::new("capstan/fan-out-input/v1"), |hasher, input| hasher.digest(&input)).finish()
}

/// How an approval was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalAnswer {
    /// Not yet.
    Pending,
    /// Yes, and not used yet.
    Granted {
        /// The artifact with the signed statement.
        statement: Digest,
        /// The key, as people see it.
        approver: String,
        /// When.
        at: Timestamp,
    },
    /// Yes, and used.
    Consumed {
        /// The artifact with the signed statement.
        statement: Digest,
        /// The key, as people see it.
        approver: String,
        /// When it was granted.
        at: Timestamp,
    },
    /// No.
    Rejected {
        /// Who.
        by: String,
        /// Why.
        reason: Option<String>,
    },
    /// What was asked is not what would happen.
    Stale,
}

/// An approval that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalState {
    /// Its digest.
    pub digest: Digest,
    /// The number of its step.
    pub step: usize,
    /// What it is bound to.
    pub binding: ApprovalBinding,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// In which claim of the run it was asked for.
    pub epoch: u64,
    /// After this time the answer comes too late.
    pub expires_at: Option<Timestamp>,
    /// The answer.
    pub answer: ApprovalAnswer,
}

impl ApprovalState {
    /// Whether nobody answered in time.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.answer == ApprovalAnswer::Pending && self.expires_at.is_some_and(|expires_at| now > expires_at)
    }
}

/// Effects that are on disk, or were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedEffects {
    /// The step.
    pub step: StepId,
    /// The try.
    pub attempt: Attempt,
    /// What was changed: all of the effect set, or after a conflict the part that was applied.
    pub changes: ChangeSet,
    /// How.
    pub receipt: Vec<Receipt>,
    /// Whether it was taken back.
    pub undone: Undone,
}

/// Whether effects were taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// No.
    No,
    /// That was begun.
    Intended,
    /// Yes.
    Yes,
}

/// Why the run stopped for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yielded {
    /// A stable code.
    pub code: String,
    /// What is needed.
    pub message: String,
    /// The step that needs it.
    pub step: Option<StepId>,
}

/// How the run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// With its outputs.
    Completed(Payload),
    /// With a failure.
    Failed {
        /// A stable code.
        code: String,
        /// What went wrong.
        message: String,
    },
    /// By a person.
    Cancelled {
        /// Who.
        by: String,
        /// Why.
        reason: Option<String>,
    },
}

/// What was used of the budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Calls.
    pub calls: u64,
    /// Fuel.
    pub fuel: u64,
    /// Files and folders.
    pub files: u64,
    /// Bytes of files.
    pub file_bytes: u64,
    /// Tokens of models.
    pub model_tokens: u64,
    /// What models cost.
    pub model_cost: u64,
}

impl Spent {
    pub(super) fn add(&mut self, calls: u64, usage: &Usage) {
        self.calls = self.calls.saturating_add(calls);
        self.fuel = self.fuel.saturating_add(usage.fuel);
        self.files = self.files.saturating_add(usage.files);
        self.file_bytes = self.file_bytes.saturating_add(usage.file_bytes);
        self.model_tokens = self.model_tokens.saturating_add(usage.model_tokens);
        self.model_cost = self.model_cost.saturating_add(usage.model_cost);
    }
}

/// The fold of a run's events. Equal events give equal states.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    pub(super) run: RunId,
    pub(super) next_seq: u64,
    pub(super) created_at: Timestamp,
    pub(super) changed_at: Timestamp,
    pub(super) created: Option<Box<RunCreated>>,
    pub(super) graph: Graph,
    pub(super) steps: Vec<StepState>,
    pub(super) active: BTreeSet<usize>,
    pub(super) unsettled: usize,
    pub(super) approvals: Vec<ApprovalState>,
    pub(super) applied: Vec<AppliedEffects>,
    pub(super) claims: u64,
    pub(super) spent: Spent,
    pub(super) work: WorkTime,
    pub(super) yielded: Option<Yielded>,
    pub(super) end: Option<End>,
}

/// The time during which a process worked on the run: from each claim to the last thing that the
/// process recorded. Waiting for a person is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WorkTime {
    pub(super) earlier_ms: u64,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Timestamp,
}

impl State {
    /// The run before its first event.
    #[must_use]
    pub fn new(run: RunId) -> Self {
        Self {
            run,
            next_seq: 0,
            created_at: Timestamp(0),
            changed_at: Timestamp(0),
            created: None,
            graph: Graph::default(),
            steps: Vec::new(),
            active: BTreeSet::new(),
            unsettled: 0,
            approvals: Vec::new(),
            applied: Vec::new(),
            claims: 0,
            spent: Spent::default(),
            work: WorkTime { earlier_ms: 0, since: None, until: Timestamp(0) },
            yielded: None,
            end: None,
        }
    }

    /// The run.
    #[must_use]
    pub const fn run(&self) -> &RunId {
        &self.run
    }

    /// The number of the event that comes next.
    #[must_use]
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// What it is an execution of; none before the first event.
    #[must_use]
    pub fn created(&self) -> Option<&RunCreated> {
        self.created.as_deref()
    }

    /// When it was made.
    #[must_use]
    pub const fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// When something happened last.
    #[must_use]
    pub const fn changed_at(&self) -> Timestamp {
        self.changed_at
    }

    /// The steps and what waits for what.
    #[must_use]
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The steps, by number.
    #[must_use]
    pub fn steps(&self) -> &[StepState] {
        &self.steps
    }

    /// The approvals in the order they were asked for.
    #[must_use]
    pub fn approvals(&self) -> &[ApprovalState] {
        &self.approvals
    }

    /// The approval with that digest.
    #[must_use]
    pub fn approval(&self, digest: &Digest) -> Option<&ApprovalState> {
        self.approvals.iter().rev().find(|approval| approval.digest == *digest)
    }

    /// The effects that were applied, in that order.
    #[must_use]
    pub fn applied(&self) -> &[AppliedEffects] {
        &self.applied
    }

    /// How often the run was claimed.
    #[must_use]
    pub const fn claims(&self) -> u64 {
        self.claims
    }

    /// What was used of the budget.
    #[must_use]
    pub const fn spent(&self) -> Spent {
        self.spent
    }

    /// Why the run waits for a person, if it does for another reason than an approval.
    #[must_use]
    pub const fn yielded(&self) -> Option<&Yielded> {
        self.yielded.as_ref()
    }

    /// How it ended, if it did.
    #[must_use]
    pub const fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    pub(super) const fn active(&self) -> &BTreeSet<usize> {
        &self.active
    }

    pub(super) const fn unsettled(&self) -> usize {
        self.unsettled
    }

    pub(super) fn first_failed(&self) -> Option<usize> {
        self.steps.iter().position(|step| step.phase == Phase::Failed)
    }

    /// Milliseconds that processes have worked on the run, the present one until `now`.
    #[must_use]
    pub fn work_ms(&self, now: Timestamp) -> u64 {
        let present = self.work.since.map_or(0, |since| now.0.saturating_sub(since.0));
        self.work.earlier_ms.saturating_add(present)
    }

    pub(super) fn calls_left(&self) -> u64 {
        self.created().map_or(0, |created| created.budget.calls.saturating_sub(self.spent.calls))
    }

    /// Fuel that is left for calls.
    #[must_use]
    pub fn fuel_left(&self) -> u64 {
        self.created().map_or(0, |created| created.budget.fuel.saturating_sub(self.spent.fuel))
    }

    /// Time that is left for calls, in milliseconds.
    #[must_use]
    pub fn wall_ms_left(&self, now: Timestamp) -> u64 {
        self.created().map_or(0, |created| created.budget.wall_ms.saturating_sub(self.work_ms(now)))
    }

    /// Files and folders that are left for calls.
    #[must_use]
    pub fn files_left(&self) -> u64 {
        self.created().map_or(0, |created| created.budget.files.saturating_sub(self.spent.files))
    }

    /// Bytes of files that are left for calls.
    #[must_use]
    pub fn file_bytes_left(&self) -> u64 {
        self.created().map_or(0, |created| created.budget.file_bytes.saturating_sub(self.spent.file_bytes))
    }

    /// Tokens of models that are left for calls.
    #[must_use]
    pub fn model_tokens_left(&self) -> u64 {
        let left = |created: &RunCreated| created.budget.model_tokens.saturating_sub(self.spent.model_tokens);
        self.created().map_or(0, left)
    }

    /// What calls may still pay for models.
    #[must_use]
    pub fn model_cost_left(&self) -> u64 {
        let left = |created: &RunCreated| created.budget.model_cost.saturating_sub(self.spent.model_cost);
        self.created().map_or(0, left)
    }

    /// What no call gets any more that reaches files.
    pub(super) fn files_exhausted(&self) -> Option<BudgetPart> {
        if self.files_left() == 0 {
            Some(BudgetPart::Files)
        } else if self.file_bytes_left() == 0 {
            Some(BudgetPart::FileBytes)
        } else {
            None
        }
    }

    pub(super) fn exhausted(&self, now: Timestamp) -> Option<BudgetPart> {
        if self.fuel_left() == 0 {
            Some(BudgetPart::Fuel)
        } else if self.wall_ms_left(now) == 0 {
            Some(BudgetPart::Wall)
        } else {
            None
        }
    }

    /// Artifacts that the run names, by digest, with what they are.
    #[must_use]
    pub fn artifacts(&self) -> BTreeMap<Digest, &'static str> {
        let mut found = BTreeMap::new();
        if let Some(created) = self.created() {
            found.insert(created.planfile, "planfile");
            found.extend(created.inputs.artifact().map(|digest| (digest, "inputs")));
        }
        for item in self.steps.iter().flat_map(|step| step.items.iter().flatten()) {
            found.extend(
                item.call.output.as_ref().and_then(Payload::artifact).map(|digest| (digest, "output")),
            );
            found.extend(item.call.log.map(|digest| (digest, "log")));
            let changes = item.changes.changes();
            // What only moves is not kept before it is applied, and then as an old content.
            let moved: BTreeSet<Digest> = changes
                .iter()
                .filter(|change| change.kind.removes())
                .filter_map(|change| change.pre)
                .collect();
            let staged = changes.iter().filter_map(|change| change.post).filter(|post| !moved.contains(post));
            found.extend(staged.map(|digest| (digest, "staged")));
        }
        for step in &self.steps {
            found.extend(
                step.held
                    .iter()
                    .flat_map(|held| [(held.call.request, "held call"), (held.call.tape, "tape")]),
            );
            found.extend(step.sent.iter().map(|sent| (sent.request, "sent call")));
            found.extend(step.tapes.values().map(|tape| (*tape, "tape")));
        }
        for effects in &self.applied {
            found.extend(
                effects.changes.changes().iter().filter_map(|change| Some((change.pre?, "pre-image"))),
            );
        }
        if let Some(End::Completed(outputs)) = &self.end {
            found.extend(outputs.artifact().map(|digest| (digest, "outputs")));
        }
        found
    }
}
