//! Whether an approval is still for what would happen.

use base::{Digest, FramedHasher};
use journal::{RootRecord, StaleCause, Staleness};

pub use journal::ApprovalBinding;

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
    compare(StaleCause::Target, "effect set", &approved.effects, &now.effects);
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
