//! What one approval is bound to, and the digest of it.

use base::{Attempt, Digest, FramedHasher, OperationName, RunId, StepPath};
use serde::{Deserialize, Serialize};

/// Everything that an approval permits, and nothing else. If any field would be different now,
/// the approval is stale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalBinding {
    /// The run.
    pub run: RunId,
    /// The checked plan.
    pub plan: Digest,
    /// The gated step. A fan-out's writes are gated as a whole, without an item; each held call by
    /// itself.
    pub path: StepPath,
    /// Which try of the step was staged.
    pub attempt: Attempt,
    /// The signed statement of the operation's pack.
    pub statement: Digest,
    /// The operation.
    pub operation: OperationName,
    /// The arguments that the step was called with: of all items together where a fan-out is gated
    /// as a whole.
    pub input: Digest,
    /// What the call was able to reach.
    pub authority: Digest,
    /// The staged effect set, or the held call.
    pub effects: Digest,
    /// The rules that asked for the approval.
    pub policy: Digest,
}

impl ApprovalBinding {
    /// The approval digest: SHA-256 over `capstan/approval/v1`, a NUL, and each field with its
    /// length before it. The approval's id is a prefix of its hex form.
    #[must_use]
    pub fn digest(&self) -> Digest {
        FramedHasher::new("capstan/approval/v1")
            .field(self.run.as_str())
            .digest(&self.plan)
            .field(self.path.to_string())
            .number(u64::from(self.attempt.0))
            .digest(&self.statement)
            .field(self.operation.to_string())
            .digest(&self.input)
            .digest(&self.authority)
            .digest(&self.effects)
            .digest(&self.policy)
            .finish()
    }
}
