//! What an operation may do to the world, ordered from least to most.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The declared effect of an operation. Enforced by the host, not trusted: it decides which
/// host interfaces are live during the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Computes; reaches nothing but the log.
    Pure,
    /// Reads what was granted.
    Read,
    /// Stages writes, which the host applies after approval.
    Write,
    /// Sends something out of this machine, or runs a program.
    External,
    /// Cannot be taken back.
    Destructive,
}

impl Effect {
    /// Every effect, least first.
    pub const ALL: [Self; 5] = [Self::Pure, Self::Read, Self::Write, Self::External, Self::Destructive];

    /// The name used in manifests, plans and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pure => "pure",
            Self::Read => "read",
            Self::Write => "write",
            Self::External => "external",
            Self::Destructive => "destructive",
        }
    }

    /// Whether a call of this effect changes something outside the run, so that it is gated
    /// and never overlaps another such call of the same run.
    #[must_use]
    pub fn has_side_effects(self) -> bool {
        self >= Self::Write
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Effect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|effect| effect.as_str() == text).ok_or_else(|| {
            format!("unknown effect `{text}`: expected pure, read, write, external or destructive")
        })
    }
}
