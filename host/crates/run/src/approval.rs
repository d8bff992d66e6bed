//! Whether an approval is still for what would happen.

use base::{Code, Digest, FramedHasher, Refusal};
use journal::{Journal, RootRecord, StaleCause, Staleness};

use crate::host::Approvers;
use crate::machine::{ApprovalAnswer, ApprovalState};

pub use journal::ApprovalBinding;

/// Checks that an approver signed the approval, and that it covers exactly `effects`.
///
/// It is asked before every change of a file and every call that was held, also one that was intended by an earlier process or
/// takes another back: whoever can write the journal can write any row of it, but not this
/// signature.
///
/// # Errors
/// `E-APPROVAL-FORGED` if that is not so, `E-APPROVAL-EXPIRED` if the answer came too late.
pub(crate) fn require_signed(
    journal: &Journal,
    approvers: &dyn Approvers,
    approval: Option<&ApprovalState>,
    effects: &Digest,
) -> Result<(), Refusal> {
    let forged = |message: &str| Refusal::new(Code::ApprovalForged, message);
    let approval = approval.ok_or_else(|| forged("nobody was asked for an approval"))?;
    let (ApprovalAnswer::Granted { statement, at, .. } | ApprovalAnswer::Consumed { statement, at, .. }) =
        &approval.answer
    else {
        return Err(forged("the approval is not granted"));
    };
    if approval.expires_at.is_some_and(|expires_at| *at > expires_at) {
        return Err(Refusal::new(Code::ApprovalExpired, "the approval came after its time"));
    }
    if approval.binding.digest() != approval.digest || approval.binding.effects != *effects {
        return Err(forged("the approval is of other effects"));
    }
    let bytes = journal.artifact(statement).map_err(|error| {
        forged("the approval's signed statement is not in the journal").hint(Refusal::from(error).message)
    })?;
    approvers.verify(&bytes, &approval.digest).map(|_| ())
}

/// What a call can reach, as approvals are bound to it: the step's authority, and the folders that
/// the names in it stand for.
#[must_use]
pub fn authority_digest(step: &Digest, roots: &[RootRecord]) -> Digest {
    let start = FramedHasher::new("capstan/call-authority/v1").digest(step).number(roots.len() as u64);
    roots
        .iter()
        .fold(start, |hasher, root| {
            hasher.field(root.name.as_str()).field(&root.path).number(root.inode).number(root.device)
        })
        .finish()
}

/// What differs between what was approved and what would happen now. Run, step and attempt are not
/// looked at: an approval that is found by them has them.
#[must_use]
pub fn differences(approved: &ApprovalBinding, now: &ApprovalBinding) -> Vec<Staleness> {
    let mut found = Vec::new();
    let mut compare = |cause, name: &str, was: &Digest, is: &Digest| {
        if was != is {
            let detail = format!("the {name} was {}, it is {}", was.short(), is.short());
            found.push(Staleness { cause, detail });
        }
    };
    compare(StaleCause::Plan, "checked plan", &approved.plan, &now.plan);
    compare(StaleCause::Pack, "pack's statement", &approved.statement, &now.statement);
    compare(StaleCause::Input, "arguments' digest", &approved.input, &now.input);
    compare(StaleCause::Authority, "authority (grants and folders)", &approved.authority, &now.authority);
    compare(StaleCause::Target, "effect set or held call", &approved.effects, &now.effects);
    compare(StaleCause::Policy, "policy", &approved.policy, &now.policy);
    if approved.operation != now.operation {
        let detail = format!("the operation was `{}`, it is `{}`", approved.operation, now.operation);
        found.push(Staleness { cause: StaleCause::Plan, detail });
    }
    found
}

/// Whether the step can be staged again without a word: the world moved on, not the rules.
#[must_use]
pub(crate) fn is_routine(changed: &[Staleness]) -> bool {
    changed.iter().all(|change| matches!(change.cause, StaleCause::Target | StaleCause::Expired))
}

/// The differences as one sentence.
#[must_use]
pub fn describe(changed: &[Staleness]) -> String {
    let details: Vec<_> = changed.iter().map(|change| change.detail.as_str()).collect();
    details.join("; ")
}
