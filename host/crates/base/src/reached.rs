//! What a call used of what it was granted: the record that grants are tightened by.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::Capability;

/// What one call reached, by capability. Only what was permitted: refusals are recorded apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reached(pub BTreeMap<Capability, Uses>);

/// What was reached through one capability.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uses {
    /// Each `root:path`, or URL without its query. Empty for a capability without scopes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub places: BTreeSet<String>,
    /// Each `root:glob` that was listed, as the guest asked. What the listings gave is in `places`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub listed: BTreeSet<String>,
    /// Whether there was more than is recorded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl Uses {
    /// Adds what another call used.
    pub fn join(&mut self, other: &Self) {
        self.places.extend(other.places.iter().cloned());
        self.listed.extend(other.listed.iter().cloned());
        self.more |= other.more;
    }
}
