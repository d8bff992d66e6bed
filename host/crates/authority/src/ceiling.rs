//! The organisation's ceiling: what no grant can give more than.

use std::collections::BTreeMap;

use base::{Capability, PackId};

use crate::{Grant, LimitCaps, RequestError, Scope};

/// How much of one capability the ceiling leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// All of it.
    All,
    /// What lies in one of these.
    Scopes(Vec<Scope>),
    /// Nothing.
    Nothing,
}

/// An allow-list of capabilities, and bounds on the limits of every call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ceiling {
    /// None where there is no ceiling, so that everything is allowed.
    allowed: Option<BTreeMap<Capability, Allowed>>,
    limits: LimitCaps,
}

/// A grant gives nothing, because the ceiling forbids all of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the ceiling in `config.toml` forbids {what}, so that granting it to `{pack}` would give nothing")]
pub struct AboveCeilingError {
    /// The pack.
    pub pack: PackId,
    /// The capability, or the scope of it.
    pub what: String,
}

impl Allowed {
    /// Whether something that `holds` tells of is left.
    pub(crate) fn any(&self, holds: impl Fn(&Scope) -> bool) -> bool {
        match self {
            Self::All => true,
            Self::Scopes(scopes) => scopes.iter().any(holds),
            Self::Nothing => false,
        }
    }

    /// Whether something of `scope` is left; of a capability without scopes, `None`.
    pub(crate) fn meets(&self, scope: Option<&Scope>) -> bool {
        match scope {
            Some(scope) => self.any(|allowed| scope.meets(allowed)),
            None => *self != Self::Nothing,
        }
    }

    /// Whether certainly all of `scope` is left.
    #[must_use]
    pub fn covers(&self, scope: &Scope) -> bool {
        self.any(|allowed| scope.is_within(allowed))
    }
}

impl Ceiling {
    /// No ceiling: it forbids nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// A ceiling that forbids every capability, until it is told to allow some.
    #[must_use]
    pub fn closed() -> Self {
        Self { allowed: Some(BTreeMap::new()), limits: LimitCaps::new() }
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.allowed.is_some()
    }

    /// Allows a capability, wholly or within scopes.
    ///
    /// # Errors
    /// If the capability has no such scopes, or needs no permission.
    pub fn allow(&mut self, capability: Capability, scopes: Option<Vec<Scope>>) -> Result<(), RequestError> {
        let allowed = match scopes {
            None if capability.needs_grant() => Allowed::All,
            None => return Err(RequestError::NotNeeded(capability)),
            Some(scopes) => {
                RequestError::check(capability, &scopes)?;
                Allowed::Scopes(scopes)
            }
        };
        self.allowed.get_or_insert_default().insert(capability, allowed);
        Ok(())
    }

    /// Bounds limits of every call.
    pub fn lower(&mut self, limits: &LimitCaps) {
        self.limits.lower_all(limits);
    }

    /// How much of `capability` it leaves.
    #[must_use]
    pub fn of(&self, capability: Capability) -> &Allowed {
        match &self.allowed {
            Some(allowed) if capability.needs_grant() => {
                allowed.get(&capability).unwrap_or(&Allowed::Nothing)
            }
            _ => &Allowed::All,
        }
    }

    /// The bounds on the limits of every call.
    #[must_use]
    pub fn limits(&self) -> &LimitCaps {
        &self.limits
    }
}

impl Grant {
    /// Checks that the ceiling leaves something of each scope. What it leaves may be less than the
    /// scope. A grant that gives nothing now would give something, unasked, once the ceiling rises.
    ///
    /// # Errors
    /// If it forbids all of a scope.
    pub fn check_ceiling(&self, ceiling: &Ceiling) -> Result<(), AboveCeilingError> {
        let above = |what| AboveCeilingError { pack: self.pack.clone(), what };
        let allowed = ceiling.of(self.capability);
        if *allowed == Allowed::Nothing {
            return Err(above(format!("`{}`", self.capability)));
        }
        match self.scopes.iter().find(|scope| !allowed.meets(Some(scope))) {
            Some(scope) => Err(above(format!("`{}` of `{scope}`", self.capability))),
            None => Ok(()),
        }
    }
}
