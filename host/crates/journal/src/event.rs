//! The closed set of things that can have happened to a run.

use base::{
    Attempt, Capability, ChangeSet, Digest, Effect, FramedHasher, OperationName, PackId, Reached, RootName,
    StepId, StepPath, Timestamp, Usage,
};
use serde::{Deserialize, Serialize};

use crate::{ApprovalBinding, Payload};

/// One thing that happened. Every state of a run is a fold of these and of nothing else.
///
/// The JSON form is the journal's on-disk format: a new variant or a changed field needs a new
/// row version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run exists. Always the first event, and only that.
    RunCreated(Box<RunCreated>),
    /// A process took the run over, at its start and at every resume.
    RunClaimed {
        /// How often the run was claimed, from 1.
        epoch: u64,
        /// The process.
        pid: u32,
    },
    /// The list of a `for-each` was computed; its items can run.
    FanOutExpanded {
        /// The step.
        step: StepId,
        /// How many items it has.
        items: u32,
    },
    /// A call without side effects returned.
    StepCompleted {
        /// The step or item.
        path: StepPath,
        /// The try.
        attempt: Attempt,
        /// What it was given and gave.
        call: CallRecord,
    },
    /// A step or item ended without a result.
    StepFailed {
        /// The step or item.
        path: StepPath,
        /// The try.
        attempt: Attempt,
        /// Why.
        failure: Failure,
        /// What the call used; zero where no call was made.
        usage: Usage,
        /// Host calls that were refused to it.
        denied: Vec<DeniedCall>,
        /// The artifact with its log lines, if it wrote any.
        log: Option<Digest>,
    },
    /// A side-effecting call returned; its writes are held and not applied. The new contents are
    /// artifacts under the changes' `post` digests.
    EffectsStaged {
        /// The step or item.
        path: StepPath,
        /// The try.
        attempt: Attempt,
        /// What it was given and gave.
        call: CallRecord,
        /// What it wants to change.
        changes: ChangeSet,
    },
    /// A call came to an outgoing call that a person has to approve first. Nothing was sent. The
    /// call is made again from its tape when that is done.
    CallHeld {
        /// The step or item.
        path: StepPath,
        /// The try.
        attempt: Attempt,
        /// What would be sent.
        held: HeldRecord,
        /// What the call used until then.
        usage: Usage,
        /// Host calls that were refused to it.
        denied: Vec<DeniedCall>,
        /// The artifact with its log lines, if it wrote any.
        log: Option<Digest>,
    },
    /// The approved call was made, and this is what came back. An intent without it: nobody knows
    /// whether the call arrived.
    CallAnswered {
        /// The step or item.
        path: StepPath,
        /// The try.
        attempt: Attempt,
        /// The artifact with the tape, which ends with the answer.
        tape: Digest,
        /// The answer on one line.
        summary: String,
    },
    /// The guest ran again on the tape of its held call, before an approval of that call was used.
    /// What came of it is the next event.
    CallRehearsed {
        /// The step or item.
        path: StepPath,
        /// The try.
        attempt: Attempt,
        /// What it used.
        usage: Usage,
    },
    /// The staged effects, or the held call, wait for a person.
    ApprovalRequested {
        /// The digest of `binding`.
        digest: Digest,
        /// What is asked for.
        binding: ApprovalBinding,
        /// After this time the answer comes too late.
        expires_at: Option<Timestamp>,
    },
    /// A person agreed. Proven by the statement, which is verified again before it is used.
    ApprovalGranted {
        /// The approval.
        digest: Digest,
        /// The artifact with the signed statement.
        statement: Digest,
        /// The key that signed, as people see it.
        approver: String,
    },
    /// A person refused.
    ApprovalRejected {
        /// The approval.
        digest: Digest,
        /// Who.
        by: String,
        /// Why, if they said so.
        reason: Option<String>,
    },
    /// The approval was used up. Unique per digest in the whole journal.
    ApprovalConsumed {
        /// The approval.
        digest: Digest,
    },
    /// The host is about to apply the step's effects, or to make its held call. The old contents are
    /// artifacts under the changes' `pre` digests.
    EffectsIntended {
        /// The step.
        step: StepId,
        /// The try.
        attempt: Attempt,
    },
    /// Every change of the step is on disk.
    EffectsApplied {
        /// The step.
        step: StepId,
        /// The try.
        attempt: Attempt,
        /// One line per change, in the effect set's order.
        receipt: Vec<Receipt>,
    },
    /// Some targets were neither as they should be before nor after; those were left alone.
    EffectsConflicted {
        /// The step.
        step: StepId,
        /// The try.
        attempt: Attempt,
        /// The changes that are on disk.
        receipt: Vec<Receipt>,
        /// The changes that are not.
        conflicts: Vec<Conflict>,
    },
    /// What was staged is not what would happen now. The step is staged again as a new attempt.
    EffectsStale {
        /// The step.
        step: StepId,
        /// The try that is void.
        attempt: Attempt,
        /// What changed.
        changed: Vec<Staleness>,
    },
    /// The run stopped for something that a person can supply.
    RunYielded {
        /// A stable code.
        code: String,
        /// What is needed.
        message: String,
        /// The step that needs it, if it is one step.
        step: Option<StepId>,
    },
    /// Every step ended well.
    RunCompleted {
        /// The plan's outputs, an object.
        outputs: Payload,
    },
    /// A step failed and nothing is left to do, or the budget is used up.
    RunFailed {
        /// A stable code.
        code: String,
        /// What went wrong.
        message: String,
    },
    /// A person ended the run.
    RunCancelled {
        /// Who.
        by: String,
        /// Why, if they said so.
        reason: Option<String>,
    },
    /// The host is about to take the step's effects back.
    UndoIntended {
        /// The step.
        step: StepId,
        /// The try that was applied.
        attempt: Attempt,
    },
    /// The step's effects are taken back.
    EffectsUndone {
        /// The step.
        step: StepId,
        /// The try that was applied.
        attempt: Attempt,
        /// One line per reversed change.
        receipt: Vec<Receipt>,
    },
}

impl Event {
    /// The name in the journal's `kind` column and in NDJSON.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::RunCreated(_) => "run_created",
            Self::RunClaimed { .. } => "run_claimed",
            Self::FanOutExpanded { .. } => "fan_out_expanded",
            Self::StepCompleted { .. } => "step_completed",
            Self::StepFailed { .. } => "step_failed",
            Self::EffectsStaged { .. } => "effects_staged",
            Self::CallHeld { .. } => "call_held",
            Self::CallAnswered { .. } => "call_answered",
            Self::CallRehearsed { .. } => "call_rehearsed",
            Self::ApprovalRequested { .. } => "approval_requested",
            Self::ApprovalGranted { .. } => "approval_granted",
            Self::ApprovalRejected { .. } => "approval_rejected",
            Self::ApprovalConsumed { .. } => "approval_consumed",
            Self::EffectsIntended { .. } => "effects_intended",
            Self::EffectsApplied { .. } => "effects_applied",
            Self::EffectsConflicted { .. } => "effects_conflicted",
            Self::EffectsStale { .. } => "effects_stale",
            Self::RunYielded { .. } => "run_yielded",
            Self::RunCompleted { .. } => "run_completed",
            Self::RunFailed { .. } => "run_failed",
            Self::RunCancelled { .. } => "run_cancelled",
            Self::UndoIntended { .. } => "undo_intended",
            Self::EffectsUndone { .. } => "effects_undone",
        }
    }

    /// The approval it is about, if it is about one: indexed, so that approvals are found and
    /// their consumption is unique.
    #[must_use]
    pub const fn approval(&self) -> Option<Digest> {
        match self {
            Self::ApprovalRequested { digest, .. }
            | Self::ApprovalGranted { digest, .. }
            | Self::ApprovalRejected { digest, .. }
            | Self::ApprovalConsumed { digest } => Some(*digest),
            _ => None,
        }
    }
}

/// What a run is an execution of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunCreated {
    /// The plan's name.
    pub plan: String,
    /// The checked plan's digest.
    pub plan_digest: Digest,
    /// The artifact with the planfile's bytes.
    pub planfile: Digest,
    /// The name that the planfile was given by, for people and diagnostics.
    pub planfile_name: String,
    /// The inputs, an object.
    pub inputs: Payload,
    /// The folders that the run may reach, by name.
    pub roots: Vec<RootRecord>,
    /// The packs that the plan was checked against.
    pub packs: Vec<PackRecord>,
    /// The steps in order, each after all that it depends on. With them the journal can be folded
    /// without the planfile and the packs.
    pub steps: Vec<StepRecord>,
    /// What the whole run may use.
    pub budget: BudgetRecord,
    /// The policy's digest.
    pub policy: Digest,
    /// Who can approve.
    pub mode: Mode,
    /// Who started it: a user name, for the record only.
    pub started_by: String,
}

/// A step as far as its order and its gates depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRecord {
    /// The step.
    pub id: StepId,
    /// What it calls.
    pub operation: OperationName,
    /// The operation's effect.
    pub effect: Effect,
    /// The steps that must be completed before.
    pub depends_on: Vec<StepId>,
    /// For a fan-out, how many of its calls may run at the same time.
    pub fan_out: Option<u32>,
    /// Whether the plan itself asks for an approval here, even of nothing.
    pub gate: bool,
    /// How long after it is asked for an approval may come, in milliseconds.
    pub expires_ms: Option<u64>,
    /// Whether a call that nobody knows the outcome of may be made again.
    #[serde(default)]
    pub idempotent: bool,
    /// Whether a call may have to stop before a request that only asks, since what it asks for could
    /// hold what it read.
    #[serde(default)]
    pub discloses: bool,
}

/// What a run may use in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetRecord {
    /// Calls.
    pub calls: u64,
    /// Fuel, summed over the calls.
    pub fuel: u64,
    /// Time during which a process works on the run, in milliseconds.
    pub wall_ms: u64,
    /// Files and folders that calls look at, read or stage.
    #[serde(default = "of_old")]
    pub files: u64,
    /// Bytes of files that calls read and stage.
    #[serde(default = "of_old")]
    pub file_bytes: u64,
    /// Tokens that language models read and write.
    #[serde(default = "of_old")]
    pub model_tokens: u64,
    /// What they cost, in millionths of the unit of their prices.
    #[serde(default = "of_old")]
    pub model_cost: u64,
}

/// What a run had of a budget that was not recorded when it was made.
const fn of_old() -> u64 {
    u64::MAX
}

/// Whether the person who runs plans is also the one who approves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// One person, one key.
    Solo,
    /// Approvers have keys of their own.
    Separate,
}

/// A folder handed to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootRecord {
    /// The name that plans and scopes use.
    pub name: RootName,
    /// Where it was.
    pub path: String,
    /// Its inode number, so that another folder in its place is noticed.
    pub inode: u64,
    /// Its device number.
    pub device: u64,
}

/// A pack that a plan was checked against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackRecord {
    /// Its name.
    pub id: PackId,
    /// Its version.
    pub version: String,
    /// The digest of its signed statement.
    pub statement: Digest,
}

/// One call that ran to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallRecord {
    /// The operation.
    pub operation: OperationName,
    /// The digest of the arguments' JSON text.
    pub input: Digest,
    /// What it returned, if the operation returns something.
    pub output: Option<Payload>,
    /// What it used.
    pub usage: Usage,
    /// Host calls that were refused to it.
    pub denied: Vec<DeniedCall>,
    /// What it reached of what it was granted; none in rows that were written before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<Reached>,
    /// The artifact with its log lines, if it wrote any.
    pub log: Option<Digest>,
}

/// An outgoing call that waits for approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldRecord {
    /// The operation that makes it.
    pub operation: OperationName,
    /// The digest of the operation's arguments, as JSON text.
    pub input: Digest,
    /// The interface that it goes through.
    pub capability: Capability,
    /// What it is done to, on one line.
    pub target: String,
    /// The artifact with the exact call.
    pub request: Digest,
    /// The artifact with the tape, which ends before the call.
    pub tape: Digest,
    /// How many approved calls are on that tape. The very same call may be made twice, by two
    /// approvals.
    #[serde(default, skip_serializing_if = "is_none_before")]
    pub number: u64,
}

impl HeldRecord {
    /// The digest that an approval is bound to.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let hasher =
            FramedHasher::new("capstan/held-call/v1").field(self.capability.as_str()).digest(&self.request);
        // The first call keeps the digest that it had when no other was told from it.
        if self.number == 0 { hasher.finish() } else { hasher.number(self.number).finish() }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_none_before(number: &u64) -> bool {
    *number == 0
}

/// A host call that was refused to a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeniedCall {
    /// The interface.
    pub capability: Capability,
    /// What it reached for, e.g. `workspace:src/main.rs`.
    pub what: String,
    /// Why not, for people.
    pub reason: String,
    /// The grant that would allow it, if one can.
    pub grant: Option<String>,
}

/// Why a step has no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The kind.
    pub class: FailureClass,
    /// A stable code.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// For `trapped`, which limit or trap, e.g. `fuel`.
    pub trap: Option<String>,
}

/// Who is to blame for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The operation returned its own error.
    Guest,
    /// The guest reached for what it was not given, and gave up.
    Denied,
    /// A limit, or the guest's own trap.
    Trapped,
    /// The step's expressions or its effects make no call possible.
    Plan,
    /// A person refused the effects.
    Rejected,
    /// This host could not run the call.
    Host,
}

impl FailureClass {
    /// Whether a guest was called, which counts towards the budget.
    #[must_use]
    pub const fn was_called(self) -> bool {
        matches!(self, Self::Guest | Self::Denied | Self::Trapped)
    }
}

/// How one change came to be on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The root.
    pub root: RootName,
    /// The path below it.
    pub path: String,
    /// How.
    pub how: HowApplied,
}

/// The ways to apply a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HowApplied {
    /// A new file was put where none was.
    Created,
    /// Old and new file changed places in one step, and the old one was what it had to be.
    Exchanged,
    /// The old file was checked, then replaced: this file system cannot exchange.
    Replaced,
    /// The file was taken away.
    Removed,
    /// It was so already: an earlier try had got this far.
    Already,
}

/// A target that was left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// The root.
    pub root: RootName,
    /// The path below it.
    pub path: String,
    /// What is there now; none if nothing is, or nothing that can be read.
    pub found: Option<Digest>,
    /// What is the matter, for people.
    pub message: String,
}

/// One difference between what was staged and what would happen now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staleness {
    /// What differs.
    pub cause: StaleCause,
    /// How, for people.
    pub detail: String,
}

/// The things that an approval is bound to and that can change under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StaleCause {
    /// A target file.
    Target,
    /// The checked plan.
    Plan,
    /// The pack.
    Pack,
    /// The step's arguments.
    Input,
    /// What the call can reach: grants, roots.
    Authority,
    /// The policy.
    Policy,
    /// Nobody approved in time.
    Expired,
    /// The guest did not make the approved call again.
    Call,
    /// A person had the call made anew, since nobody knew what became of it.
    Renewed,
}
