//! What a run needs from the rest of the program.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use base::{
    Attempt, Capability, Change, ChangeSet, Clock, Digest, Effect, Limits, OperationName, Probe, Reached,
    Refusal, RunId, StepPath, Usage,
};
use journal::{DeniedCall, HowApplied, Journal, Record, RootRecord};
use values::{FunctionType, Value};

/// One call to be made.
#[derive(Debug, Clone)]
pub struct CallRequest {
    /// The run.
    pub run: RunId,
    /// The step or item.
    pub path: StepPath,
    /// The try.
    pub attempt: Attempt,
    /// The operation.
    pub operation: OperationName,
    /// Its effect, which decides what the call can reach.
    pub effect: Effect,
    /// The signed statement of the pack that the plan was checked against.
    pub statement: Digest,
    /// The signature that the plan was checked against.
    pub function: FunctionType,
    /// The arguments, in the signature's order and of its types.
    pub arguments: Vec<Value>,
    /// The limits: the step's, cut by what is left of the budget.
    pub limits: Limits,
    /// The tape of an earlier run of the guest, which this one is answered from.
    pub tape: Option<Vec<u8>>,
}

/// An approved call to be sent.
#[derive(Debug, Clone)]
pub struct SendRequest {
    /// The operation that came to it.
    pub operation: OperationName,
    /// The operation's effect.
    pub effect: Effect,
    /// The signed statement of its pack.
    pub statement: Digest,
    /// The exact call.
    pub call: Vec<u8>,
    /// The tape that ends before it.
    pub tape: Vec<u8>,
    /// What the answer may take.
    pub limits: Limits,
}

/// What came of a sent call.
#[derive(Debug, Clone)]
pub struct SendReport {
    /// The tape, with the answer.
    pub tape: Vec<u8>,
    /// The answer on one line, for people.
    pub summary: String,
}

/// A call that the host keeps until somebody approved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldCall {
    /// The interface that it goes through.
    pub capability: Capability,
    /// What it is done to, on one line.
    pub target: String,
    /// The exact call.
    pub call: Vec<u8>,
    /// What the guest was answered until then.
    pub tape: Vec<u8>,
}

/// How a call ended.
#[derive(Debug, Clone)]
pub enum CallOutcome {
    /// It returned; a top-level `result` is unwrapped.
    Returned(Option<Value>),
    /// It returned its own error.
    Failed(Option<Value>),
    /// It gave up because it was refused something.
    Denied(DeniedCall),
    /// A limit or a trap ended it.
    Trapped {
        /// Which, e.g. `fuel`.
        trap: String,
        /// One sentence for people.
        message: String,
    },
    /// The host could not make the call.
    Refused(Refusal),
    /// It came to an outgoing call that somebody has to approve first.
    Held(HeldCall),
    /// It did something else than its tape says; the text says where.
    Diverged(String),
}

/// What a call led to.
#[derive(Debug, Clone)]
pub struct CallReport {
    /// How it ended.
    pub outcome: CallOutcome,
    /// What it used.
    pub usage: Usage,
    /// Its log as text, one line each; empty if it wrote none.
    pub log: String,
    /// Host calls that were refused to it.
    pub denied: Vec<DeniedCall>,
    /// What it reached of what it was granted.
    pub reached: Reached,
    /// The writes that it staged.
    pub changes: ChangeSet,
    /// The new contents of `changes`, and artifacts that the call put.
    pub blobs: BTreeMap<Digest, Vec<u8>>,
}

/// A call under way.
pub type CallFuture = Pin<Box<dyn Future<Output = CallReport> + Send>>;

/// An approved call under way.
pub type SendFuture = Pin<Box<dyn Future<Output = Result<SendReport, Refusal>> + Send>>;

/// Makes calls.
pub trait Invoke: Send + Sync {
    /// Begins a call. Dropping the future gives it up: the guest must end soon, and nothing that
    /// it did is kept.
    fn invoke(&self, call: CallRequest) -> CallFuture;

    /// Makes an approved call, once. An error says that nothing was sent; a call that was sent and
    /// not answered has that for its answer.
    fn send(&self, send: SendRequest) -> SendFuture;
}

/// What is at a change's target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDisk {
    /// What has to be there before.
    Pre,
    /// What will be there after.
    Post,
    /// Something else: its digest, or none if nothing is there or it cannot be read.
    Other(Option<Digest>),
}

/// Why a change was not applied. Nothing was overwritten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The target is neither as it has to be before nor after.
    #[error("{message}")]
    Conflict {
        /// What is there.
        found: Option<Digest>,
        /// For people.
        message: String,
    },
    /// The file system refused.
    #[error("{0}")]
    Io(String),
}

/// Applies effects. Called on threads that may block.
pub trait Effects: Send + Sync {
    /// What is at the target now. The change is one of `set`: a folder that is to go is as before
    /// only if all that is in it goes too.
    ///
    /// # Errors
    /// If that cannot be found out.
    fn state(&self, change: &Change, set: &ChangeSet) -> Result<OnDisk, ApplyError>;

    /// The bytes at the target now, for a change that has a `pre`.
    ///
    /// # Errors
    /// If they cannot be read.
    fn pre_image(&self, change: &Change) -> Result<Vec<u8>, ApplyError>;

    /// Makes the change, durably: does nothing if the target is as after, changes it if it is as
    /// before, refuses otherwise. `contents` are the bytes of `change.post`; `key` is the same
    /// whenever the same change is tried again, and fit for a file name.
    ///
    /// # Errors
    /// If the target is something else, or the file system refused.
    fn apply(&self, change: &Change, contents: Option<&[u8]>, key: &str) -> Result<HowApplied, ApplyError>;
}

/// Who signed an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApproverInfo {
    /// The key, as people see it.
    pub approver: String,
}

/// Knows the approvers' keys.
pub trait Approvers: Send + Sync {
    /// Checks that `statement` is signed by an approver and approves exactly `digest`.
    ///
    /// # Errors
    /// `E-APPROVAL-FORGED`, with what is wrong.
    fn verify(&self, statement: &[u8], digest: &Digest) -> Result<ApproverInfo, Refusal>;
}

/// Is told what happens, after it is durable.
pub trait Observer: Send + Sync {
    /// `record` was appended to `run`.
    fn recorded(&self, run: &RunId, record: &Record);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn recorded(&self, _run: &RunId, _record: &Record) {}
}

/// Everything that driving a run needs.
#[derive(Clone)]
pub struct Host {
    /// Where it is recorded.
    pub journal: Journal,
    /// Makes the calls.
    pub invoke: Arc<dyn Invoke>,
    /// Applies the effects.
    pub effects: Arc<dyn Effects>,
    /// Knows the approvers.
    pub approvers: Arc<dyn Approvers>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The points of a crash test.
    pub probe: Arc<dyn Probe>,
    /// Progress.
    pub observer: Arc<dyn Observer>,
    /// The folders as they are now; other ones than the run was started with stop it.
    pub roots: Vec<RootRecord>,
    /// Most calls at the same time.
    pub calls_max: usize,
}
