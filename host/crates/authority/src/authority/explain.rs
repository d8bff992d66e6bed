//! The authority of an operation, told to people: what each side says, and what is missing.

use base::{Capability, Limits, PackId};

use super::Authority;
use crate::denied::{grant_flags, why};
use crate::grant::grant_arguments;
use crate::request::is_grantable;
use crate::{Allowed, DeniedReason, HeldFor, Lapsed, LimitKind, Scope, grant_command};

/// Why one capability is live or not, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation<'a> {
    /// The capability.
    pub capability: Capability,
    /// The scopes that the pack asks for; none if it does not ask.
    pub requested: Option<&'a [Scope]>,
    /// The scopes that the operator granted; none if no grant is in force.
    pub granted: Option<&'a [Scope]>,
    /// Those of them whose use is not held beside a source.
    pub disclosing: &'a [Scope],
    /// What was granted and is not in force.
    pub lapsed: &'a [Lapsed],
    /// What the ceiling leaves.
    pub allowed: &'a Allowed,
    /// Why no call can use it; none if one can.
    pub blocked: Option<DeniedReason>,
    /// Why calls of it may be held; none if none is.
    pub held: Option<HeldFor>,
}

/// A capability that the pack asks for, effect and ceiling permit, and no grant in force gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingGrant {
    /// The capability.
    pub capability: Capability,
    /// The argument of `capstan grant add <pack>` for one of its scopes, unquoted.
    pub grant: String,
    /// What follows that argument: options with a space in front of each, or nothing.
    pub flags: String,
    /// Of a grant that was given and is not in force, why, as in "was granted, and the grant has
    /// expired".
    pub lapsed: Option<&'static str>,
}

impl MissingGrant {
    /// The command that grants it.
    #[must_use]
    pub fn command(&self, pack: &PackId) -> String {
        grant_command(pack, &self.grant) + &self.flags
    }
}

/// Who set a limit of a call: of several that say the same, the first in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecidedBy {
    /// The manifest, or the default where it says nothing.
    Operation,
    /// A grant of something that the call can use.
    Grant,
    /// The organisation's ceiling.
    Ceiling,
}

impl DecidedBy {
    /// The name used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Grant => "grant",
            Self::Ceiling => "ceiling",
        }
    }
}

/// One limit of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EffectiveLimit {
    /// Which.
    pub kind: LimitKind,
    /// Its amount, in the unit of the kind.
    pub amount: u64,
    /// Who set it.
    pub decided_by: DecidedBy,
}

impl Authority {
    /// Each capability that is requested or was granted, and what became of it.
    pub fn explain(&self) -> impl Iterator<Item = Explanation<'_>> {
        self.rows.iter().map(|(capability, row)| Explanation {
            capability: *capability,
            requested: row.requested.as_deref(),
            granted: row.granted.as_deref(),
            disclosing: &row.disclosing,
            lapsed: &row.lapsed,
            allowed: &row.allowed,
            blocked: self.blocked(*capability),
            held: self.held(*capability),
        })
    }

    /// The limits of a call that is given `asked` by its operation, one by one.
    #[must_use]
    pub fn explain_limits(&self, asked: Limits) -> Vec<EffectiveLimit> {
        let granted = self.grant_limits();
        let limit = |kind: LimitKind| {
            let sides = [
                (Some(kind.of(&asked)), DecidedBy::Operation),
                (granted.get(kind), DecidedBy::Grant),
                (self.ceiling_limits.get(kind), DecidedBy::Ceiling),
            ];
            let sides = sides.into_iter().filter_map(|(amount, side)| Some((amount?, side)));
            // `min_by_key` gives the first of the least.
            let (amount, decided_by) =
                sides.min_by_key(|(amount, _)| *amount).unwrap_or((kind.of(&asked), DecidedBy::Operation));
            EffectiveLimit { kind, amount, decided_by }
        };
        LimitKind::ALL.iter().copied().map(limit).collect()
    }

    /// The grants without which a requested and permitted capability stays dead: those that lapsed,
    /// else those for all that the pack asks for.
    #[must_use]
    pub fn missing(&self) -> Vec<MissingGrant> {
        self.rows.keys().flat_map(|capability| self.cure(*capability)).collect()
    }

    /// The grants that would make a dead capability live; none if it is live, or no grant helps.
    #[must_use]
    pub fn cure(&self, capability: Capability) -> Vec<MissingGrant> {
        let Some(reason) = self.blocked(capability) else { return Vec::new() };
        let has_lapsed = matches!(reason, DeniedReason::Expired | DeniedReason::OtherSigner);
        let lapsed = has_lapsed.then(|| why(reason));
        let flags = grant_flags(reason).to_owned();
        let missing = |grant| MissingGrant { capability, grant, flags: flags.clone(), lapsed };
        self.grants_for(capability, reason).into_iter().map(missing).collect()
    }

    /// The arguments of `grant add` that would lift `reason` from the capability as a whole.
    pub(super) fn grants_for(&self, capability: Capability, reason: DeniedReason) -> Vec<String> {
        let requested = self.requested(capability);
        match reason {
            DeniedReason::NotGranted if requested.is_empty() => grant_arguments(capability, &[]),
            DeniedReason::NotGranted => {
                let allowed = self.allowed(capability);
                // What no grant can spell is asked for by its narrower forms.
                let asked =
                    requested.iter().filter(|scope| is_grantable(scope) && allowed.meets(Some(scope)));
                asked.map(|scope| format!("{capability}={scope}")).collect()
            }
            DeniedReason::Expired | DeniedReason::OtherSigner => {
                let lapsed = self.all_lapsed(capability).filter_map(|lapsed| lapsed.scope.clone());
                grant_arguments(capability, &lapsed.collect::<Vec<Scope>>())
            }
            _ => Vec::new(),
        }
    }
}
