//! What policy answers: a decision and the rules that made it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether an effect may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It may, now.
    Allow,
    /// It may after a person approved exactly it.
    NeedsApproval,
    /// It may not.
    Deny,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::NeedsApproval => "needs-approval",
            Self::Deny => "deny",
        })
    }
}

/// One rule that took part in a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The rule's id, e.g. `builtin:write-needs-approval`.
    pub rule: String,
    /// Why it applied, for people.
    pub text: String,
}

/// A decision with its reasons. Never without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The decision.
    pub decision: Decision,
    /// The rules that made it, most decisive first.
    pub reasons: Vec<Reason>,
}
