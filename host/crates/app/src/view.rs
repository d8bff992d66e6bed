//! What the facade gives back: plain data, the JSON form of every command.
//!
//! A field here is a promise to programs: snake_case, stable. Types of lower layers that own a
//! format appear as they are; nothing is copied that already has a form.

mod grant;

use std::collections::BTreeMap;

use base::{Capability, ChangeSet, Digest, Effect, Limits, PackId, RunId, StepPath, Usage};
use journal::{ApprovalBinding, DeniedCall, Receipt};
use policy::Reason;
use serde::Serialize;
use serde_json::Value as Json;

pub use grant::{ExplainView, GrantView, LimitView, ReachView, TightenView, TightenedView};

/// The result of `init`.
#[derive(Debug, Serialize)]
pub struct InitView {
    /// The home folder.
    pub home: String,
    /// Whether it was made now.
    pub created: bool,
    /// The approver key's fingerprint.
    pub approver: String,
    /// Whether that key has no passphrase.
    pub unattended: bool,
    /// `solo`: who starts a run also approves it.
    pub mode: &'static str,
}

/// A signing key of the home.
#[derive(Debug, Serialize)]
pub struct KeyView {
    /// Its name in the home.
    pub name: String,
    /// `pack` or `approver`.
    pub role: String,
    /// What people compare.
    pub fingerprint: String,
    /// `ed25519:<base64>`.
    pub public_key: String,
    /// Whether a passphrase protects it.
    pub protected: bool,
}

/// A secret, without its value.
#[derive(Debug, Serialize)]
pub struct SecretView {
    /// Its name.
    pub name: String,
    /// Where the value is: `file`, `keychain` or `env`.
    pub backend: &'static str,
    /// The variable, for `env`.
    pub variable: Option<String>,
    /// Whether there is a value.
    pub is_set: bool,
    /// When it was set, RFC 3339; none for `env`.
    pub set: Option<String>,
}

/// A trusted key.
#[derive(Debug, Serialize)]
pub struct TrustView {
    /// Whose packs it may sign; for an approver key, who approves.
    pub publisher: String,
    /// `pack` or `approver`.
    pub role: String,
    /// What people compare.
    pub fingerprint: String,
    /// `ed25519:<base64>`.
    pub public_key: String,
    /// When it was added, RFC 3339.
    pub added: String,
}

/// A built pack.
#[derive(Debug, Serialize)]
pub struct BuildView {
    /// The pack.
    pub pack: PackId,
    /// Its version.
    pub version: String,
    /// The pack folder that was written.
    pub folder: String,
    /// Size of the component.
    pub component_bytes: u64,
    /// The interfaces that the component imports.
    pub imports: Vec<String>,
    /// The operations that it exports.
    pub operations: Vec<String>,
}

/// A signed pack.
#[derive(Debug, Serialize)]
pub struct SignView {
    /// The pack.
    pub pack: PackId,
    /// Its version.
    pub version: String,
    /// The statement's number, which only grows.
    pub sequence: u64,
    /// The digest of the signed statement.
    pub statement: Digest,
    /// The signer.
    pub fingerprint: String,
    /// The pack folder.
    pub folder: String,
}

/// A pack that was looked into without running it.
#[derive(Debug, Serialize)]
pub struct InspectView {
    /// The pack.
    pub pack: PackId,
    /// Its version.
    pub version: String,
    /// The digest of the signed statement; none while it is unsigned.
    pub statement: Option<Digest>,
    /// The signer's fingerprint.
    pub signer: Option<String>,
    /// `trusted`, `untrusted` or `unsigned`.
    pub signature: &'static str,
    /// The statement's number.
    pub sequence: Option<u64>,
    /// The digests of the files.
    pub files: BTreeMap<String, Digest>,
    /// The operations.
    pub operations: Vec<OperationView>,
    /// One row for each capability that is requested, imported or granted.
    pub capabilities: Vec<CapabilityView>,
    /// Imports that need no authority: the log and the inert WASI baseline.
    pub baseline_imports: Vec<String>,
    /// Exports of no package, which hold no operations: nothing can call them.
    pub other_exports: Vec<String>,
    /// Whether it exports `capstan:pack/health`.
    pub health: bool,
    /// Over-privilege and the like; nothing here stops an install.
    pub warnings: Vec<String>,
}

/// A capability of a pack from every side.
#[derive(Debug, Serialize)]
pub struct CapabilityView {
    /// The capability.
    pub capability: String,
    /// The scopes that the manifest requests; `["*"]` for one without scopes.
    pub requested: Vec<String>,
    /// Whether the component imports the interface.
    pub imported: bool,
    /// The scopes that are granted.
    pub granted: Vec<String>,
    /// The operations that can use it: their effect permits it.
    pub used_by: Vec<String>,
}

/// An operation.
#[derive(Debug, Serialize)]
pub struct OperationView {
    /// `publisher:name/interface.function`.
    pub name: String,
    /// What it may do.
    pub effect: Effect,
    /// Whether a repeat with the same key does no more than once.
    pub idempotent: bool,
    /// Its parameters and result as WIT would print them.
    pub signature: String,
    /// What the author wrote about it.
    pub docs: Option<String>,
    /// The limits of a call.
    pub limits: Limits,
    /// JSON Schema of the arguments.
    pub arguments_schema: Json,
    /// JSON Schema of the result.
    pub result_schema: Json,
}

/// An installed pack.
#[derive(Debug, Serialize)]
pub struct PackView {
    /// The pack.
    pub pack: PackId,
    /// Its version.
    pub version: String,
    /// The digest of the signed statement.
    pub statement: Digest,
    /// The signer's fingerprint.
    pub signer: String,
    /// When it was installed, RFC 3339.
    pub installed: String,
}

/// An install.
#[derive(Debug, Serialize)]
pub struct InstallView {
    /// The pack.
    pub pack: PackId,
    /// Its version.
    pub version: String,
    /// The version that it replaced.
    pub replaced: Option<String>,
    /// The digest of the signed statement.
    pub statement: Digest,
    /// The signer's fingerprint.
    pub signer: String,
    /// Whether the signer's key was added to the trust store by this command.
    pub trusted_now: bool,
    /// Whether this very statement was installed already.
    pub unchanged: bool,
    /// Capabilities that the pack requests now and did not before.
    pub requests_added: Vec<String>,
    /// Capabilities that it no longer requests.
    pub requests_removed: Vec<String>,
    /// Requested and not imported by the component.
    pub unused_requests: Vec<String>,
    /// What is granted after the install.
    pub granted: Vec<String>,
    /// What is requested and not granted, as `grant add` takes it.
    pub not_granted: Vec<String>,
    /// What was granted and is not in force: it has expired, or another key signed the pack then.
    pub lapsed: Vec<String>,
}

/// One finding of `pack health` or `doctor`.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// `ok`, `note`, `warning` or `error`.
    pub severity: &'static str,
    /// What was looked at.
    pub check: String,
    /// What was found.
    pub message: String,
    /// What to type.
    pub hint: Option<String>,
}

/// A health check.
#[derive(Debug, Serialize)]
pub struct HealthView {
    /// What was checked.
    pub subject: String,
    /// Whether nothing worse than a note was found.
    pub healthy: bool,
    /// Everything that was looked at.
    pub findings: Vec<Finding>,
}

/// The result of one call.
#[derive(Debug, Serialize)]
pub struct CallView {
    /// The operation.
    pub operation: String,
    /// `returned`, `failed`, `denied`, `trapped`, or `held`: it came to a call that a run would ask for
    /// approval of.
    pub outcome: &'static str,
    /// The result, or the operation's own error.
    pub result: Json,
    /// The limit or rule that stopped it.
    pub reason: Option<String>,
    /// The host calls that were denied, and why.
    pub denied: Vec<DeniedCall>,
    /// The grants that they would need.
    pub missing_grants: Vec<String>,
    /// Writes that were staged and not applied.
    pub staged: ChangeSet,
    /// Those writes as a unified diff.
    pub diff: String,
    /// The outgoing call that it came to, which was not made.
    pub held: Option<HeldView>,
    /// What it used.
    pub usage: Usage,
    /// What it logged.
    pub log: Vec<String>,
    /// Why there is no result, in the form of every failure; none if it returned.
    pub error: Option<CallError>,
}

/// Why a call has no result.
#[derive(Debug, Serialize)]
pub struct CallError {
    /// `E-CALL-FAILED`, `E-CALL-DENIED` or `E-CALL-TRAPPED`.
    pub code: String,
    /// What happened.
    pub message: String,
    /// Empty: the call is the first cause.
    pub causes: Vec<String>,
    /// What to type.
    pub hints: Vec<String>,
}

/// A checked planfile.
#[derive(Debug, Serialize)]
pub struct PlanView {
    /// `ok`, `ill-typed` or `missing-grants`.
    pub status: &'static str,
    /// The checked plan's digest.
    pub digest: Option<Digest>,
    /// The plan's name.
    pub name: Option<String>,
    /// What is wrong with it.
    pub diagnostics: Vec<Json>,
    /// The diagnostics for people, with the lines that they point at.
    #[serde(skip)]
    pub rendered: String,
    /// Step and effect, in the order of execution.
    pub effects: Vec<StepEffect>,
    /// The steps that stop for an approval.
    pub gates: Vec<String>,
    /// The packs that it was checked against.
    pub packs: Vec<PlanPack>,
    /// The inputs, by name.
    pub inputs: BTreeMap<String, InputView>,
    /// The outputs' types, by name.
    pub outputs: BTreeMap<String, String>,
}

/// A pack that a plan was checked against.
#[derive(Debug, Serialize)]
pub struct PlanPack {
    /// The pack.
    pub pack: PackId,
    /// Its version.
    pub version: String,
    /// The digest of its signed statement.
    pub statement: Digest,
}

/// An input of a plan.
#[derive(Debug, Serialize)]
pub struct InputView {
    /// Its type as the planfile writes it.
    #[serde(rename = "type")]
    pub ty: String,
    /// Its value if none is given.
    pub default: Option<Json>,
    /// Whether it has to be given.
    pub required: bool,
    /// What it is for.
    pub description: Option<String>,
    /// JSON Schema of its value.
    pub schema: Json,
}

/// A step's effect.
#[derive(Debug, Serialize)]
pub struct StepEffect {
    /// The step.
    pub step: String,
    /// Its operation.
    pub operation: String,
    /// What it may do.
    pub effect: Effect,
    /// Whether it may have to stop before a request that only asks, since what it asks for could hold
    /// what it read.
    pub discloses: bool,
}

/// A run as `run show` gives it.
#[derive(Debug, Serialize)]
pub struct RunView {
    /// The run.
    pub run_id: RunId,
    /// `queued`, `running`, `requires_approval`, `yielded`, `failed`, `completed` or `cancelled`.
    pub status: String,
    /// Whether a process works on it now. A run that is `running` and not live was interrupted.
    pub live: bool,
    /// Whether everything that it applied was taken back.
    pub undone: bool,
    /// The plan's name.
    pub plan: String,
    /// The checked plan's digest.
    pub plan_digest: Digest,
    /// When it was started, RFC 3339.
    pub started: String,
    /// `solo`.
    pub mode: String,
    /// The folders that it works in.
    pub roots: BTreeMap<String, String>,
    /// Its steps, in the order of execution.
    pub steps: Vec<StepView>,
    /// Its approvals.
    pub approvals: Vec<ApprovalView>,
    /// The artifacts that it kept.
    pub artifacts: Vec<Digest>,
    /// The outputs, once it is completed.
    pub outputs: Json,
    /// Why it stopped, if it did.
    pub reason: Option<Problem>,
    /// What can be done now.
    pub next_actions: Vec<NextAction>,
    /// What its calls used, added up.
    pub usage: UsageTotal,
}

/// Why a run or a step stopped.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// The stable code.
    pub code: String,
    /// What happened.
    pub message: String,
}

/// A step of a run.
#[derive(Debug, Serialize)]
pub struct StepView {
    /// The step.
    pub id: String,
    /// Its state.
    pub status: String,
    /// Its operation.
    pub operation: String,
    /// How often it was tried.
    pub attempts: u32,
    /// For a fan-out.
    pub items: Option<Items>,
    /// Why it is not completed.
    pub reason: Option<Problem>,
    /// For writes that were applied.
    pub receipts: Vec<Receipt>,
    /// The outgoing calls that were made.
    pub sent: Vec<SentView>,
}

/// An outgoing call that was made.
#[derive(Debug, Serialize)]
pub struct SentView {
    /// The step or item that made it.
    pub step: StepPath,
    /// What it was done to.
    pub target: String,
    /// The artifact with the exact call.
    pub request: Digest,
    /// The answer on one line.
    pub answer: String,
    /// When the answer was recorded, RFC 3339.
    pub at: String,
}

/// An outgoing call that waits for approval, or would.
#[derive(Debug, Clone, Serialize)]
pub struct HeldView {
    /// The interface that it goes through.
    pub capability: Capability,
    /// What it is done to, on one line.
    pub target: String,
    /// The digest of the exact call, which is an artifact of the run.
    pub request: Digest,
    /// The exact call: the first line its target, then the headers, an empty line and the body.
    pub text: String,
}

/// The items of a fan-out.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Items {
    /// Those with a result.
    pub done: usize,
    /// All of them.
    pub total: usize,
}

/// Something to type.
#[derive(Debug, Serialize)]
pub struct NextAction {
    /// What it does.
    pub label: String,
    /// The command.
    pub command: String,
}

/// Usage of many calls.
#[derive(Debug, Default, Serialize)]
pub struct UsageTotal {
    /// Calls.
    pub calls: u64,
    /// Fuel of all of them.
    pub fuel: u64,
    /// The largest memory of any one.
    pub memory_bytes_max: u64,
    /// Files and folders that they looked at, read or staged.
    pub files: u64,
    /// Bytes of files that they read and staged.
    pub file_bytes: u64,
    /// Tokens that models read and wrote.
    pub model_tokens: u64,
    /// What they cost, in millionths of the unit of their prices.
    pub model_cost: u64,
    /// The time of all of them added up, in microseconds.
    pub wall_us: u64,
}

/// One line of `run list`.
#[derive(Debug, Serialize)]
pub struct RunSummary {
    /// The run.
    pub run_id: RunId,
    /// As [`RunView::status`], or `damaged`: its rows are not what was recorded.
    pub status: String,
    /// As [`RunView::live`].
    pub live: bool,
    /// As [`RunView::undone`].
    pub undone: bool,
    /// The plan's name; of a damaged run what is wrong with it.
    pub plan: String,
    /// When it was started, RFC 3339.
    pub started: String,
}

/// An approval that was asked for.
#[derive(Debug, Serialize)]
pub struct ApprovalView {
    /// The unique beginning of the digest that `approve` takes.
    pub id: String,
    /// What is approved: the digest over everything that it is bound to.
    pub digest: Digest,
    /// The run.
    pub run_id: RunId,
    /// The step.
    pub step: StepPath,
    /// `waiting`, `granted`, `consumed`, `rejected`, `stale` or `expired`.
    pub status: String,
    /// The operation.
    pub operation: String,
    /// Its effect.
    pub effect: Effect,
    /// For a destructive effect, what has to be typed to approve it: `root:path` of what goes.
    pub confirm: Option<String>,
    /// What will happen, exactly.
    pub changes: ChangeSet,
    /// The same as a unified diff.
    pub diff: String,
    /// The call that will be made, exactly.
    pub call: Option<HeldView>,
    /// Which rules ask for it.
    pub reasons: Vec<Reason>,
    /// When it expires, RFC 3339.
    pub expires: Option<String>,
    /// Who approved or rejected.
    pub decided_by: Option<String>,
    /// Whether that key has no passphrase; none where the signature is not `valid`.
    pub unattended: Option<bool>,
    /// Of a yes: `valid`, `missing`, or whose the signature is instead. Who decided is what the
    /// journal says; this is what the approver's signature says.
    pub signature: Option<&'static str>,
    /// Everything that the digest is over: what must be the same for the approval to be used.
    pub binding: ApprovalBinding,
}

/// An undone run.
#[derive(Debug, Serialize)]
pub struct UndoView {
    /// The run.
    pub run_id: RunId,
    /// One for each change that was taken back.
    pub reverted: Vec<Receipt>,
}

/// An artifact.
#[derive(Debug, Serialize)]
pub struct ArtifactView {
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
    /// Its content, if it is text.
    pub text: Option<String>,
    /// Its content as base64, if it is not.
    pub base64: Option<String>,
}
