//! How the grants to one pack stand: which are in force for its signer now, and which no longer are.

use std::collections::BTreeMap;

use base::{Capability, PackId, Timestamp};

use crate::{Grants, Lapse, Scope, Signer, Terms};

/// The grants to one pack, held against the key that signed it and the time. The only thing that
/// authority is made from, so that no grant counts whose terms nobody looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pack: PackId,
    in_force: BTreeMap<Capability, Vec<(Option<Scope>, Terms)>>,
    lapsed: BTreeMap<Capability, Vec<Lapsed>>,
}

/// What was granted and is not in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lapsed {
    /// Where; none for a capability without scopes.
    pub scope: Option<Scope>,
    /// The terms that it was granted on.
    pub terms: Terms,
    /// Why it is not in force.
    pub why: Lapse,
}

impl Standing {
    /// Nothing was ever granted to the pack.
    #[must_use]
    pub fn none(pack: PackId) -> Self {
        Self { pack, in_force: BTreeMap::new(), lapsed: BTreeMap::new() }
    }

    /// The pack.
    #[must_use]
    pub fn pack(&self) -> &PackId {
        &self.pack
    }

    /// What is in force, scope by scope (none for a capability without), with its terms.
    pub fn in_force(&self) -> impl Iterator<Item = (Capability, &[(Option<Scope>, Terms)])> {
        self.in_force.iter().map(|(capability, granted)| (*capability, granted.as_slice()))
    }

    /// What is not in force any more.
    pub fn lapsed(&self) -> impl Iterator<Item = (Capability, &[Lapsed])> {
        self.lapsed.iter().map(|(capability, lapsed)| (*capability, lapsed.as_slice()))
    }
}

impl Grants {
    /// How the grants to `pack` stand at `now`, `signer` having signed it.
    #[must_use]
    pub fn in_force(&self, pack: &PackId, signer: &Signer, now: Timestamp) -> Standing {
        let mut standing = Standing::none(pack.clone());
        for (capability, scope, terms) in self.scopes_of(pack) {
            let scope = scope.cloned();
            match terms.lapse(signer, now) {
                None => standing.in_force.entry(capability).or_default().push((scope, terms.clone())),
                Some(why) => {
                    let lapsed = Lapsed { scope, terms: terms.clone(), why };
                    standing.lapsed.entry(capability).or_default().push(lapsed);
                }
            }
        }
        standing
    }
}
