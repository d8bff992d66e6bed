//! What a pack asks for.

use std::collections::BTreeMap;

use base::Capability;

use crate::PathScope;

/// Most scopes of one capability in a request.
pub const SCOPES_MAX: usize = 256;

/// The capabilities that a pack's manifest asks for, each with its scopes. What is not here cannot
/// be had, whatever is granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request(BTreeMap<Capability, Vec<PathScope>>);

/// A capability was asked for in a form that it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Scopes for a capability that has none.
    #[error("`{0}` has no scopes")]
    UnexpectedScope(Capability),
    /// No scope for a capability that needs one.
    #[error("`{0}` needs at least one scope, such as `workspace:**`")]
    MissingScope(Capability),
    /// A capability that every pack has.
    #[error("`{0}` needs no request and no grant")]
    NotNeeded(Capability),
    /// More than [`SCOPES_MAX`] scopes.
    #[error("`{0}` has more than {SCOPES_MAX} scopes")]
    TooManyScopes(Capability),
}

impl RequestError {
    /// Checks the form that requests and grants share.
    pub(crate) fn check(capability: Capability, scopes: &[PathScope]) -> Result<(), Self> {
        match (capability.has_scope(), scopes.len()) {
            _ if !capability.needs_grant() => Err(Self::NotNeeded(capability)),
            (true, 0) => Err(Self::MissingScope(capability)),
            (false, 1..) => Err(Self::UnexpectedScope(capability)),
            _ => Ok(()),
        }
    }
}

impl Request {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for `capability` within `scopes` (none, if it has no scopes), instead of what was asked
    /// for it before.
    ///
    /// # Errors
    /// If the capability does not take such scopes.
    pub fn insert(
        &mut self,
        capability: Capability,
        scopes: impl IntoIterator<Item = PathScope>,
    ) -> Result<(), RequestError> {
        // One more than allowed is enough to know that there are too many.
        let mut scopes: Vec<_> = scopes.into_iter().take(SCOPES_MAX + 1).collect();
        RequestError::check(capability, &scopes)?;
        if scopes.len() > SCOPES_MAX {
            return Err(RequestError::TooManyScopes(capability));
        }
        scopes.sort();
        scopes.dedup();
        self.0.insert(capability, scopes);
        Ok(())
    }

    /// What is asked for, in the capabilities' order.
    pub fn iter(&self) -> impl Iterator<Item = (Capability, &[PathScope])> {
        self.0.iter().map(|(capability, scopes)| (*capability, scopes.as_slice()))
    }

    /// Whether `capability` is asked for.
    #[must_use]
    pub fn contains(&self, capability: Capability) -> bool {
        self.0.contains_key(&capability)
    }

    /// The scopes asked for, sorted; empty for a capability that is not asked for or has none.
    #[must_use]
    pub fn scopes(&self, capability: Capability) -> &[PathScope] {
        self.0.get(&capability).map_or(&[], Vec::as_slice)
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What this asks for beyond `previous`, scopes compared by their text: what a person must
    /// consent to when a pack is replaced.
    #[must_use]
    pub fn beyond(&self, previous: &Self) -> Self {
        let grown = self.iter().filter_map(|(capability, scopes)| {
            let before = previous.scopes(capability);
            let new: Vec<_> = scopes.iter().filter(|scope| !before.contains(scope)).cloned().collect();
            (!new.is_empty() || !previous.contains(capability)).then_some((capability, new))
        });
        Self(grown.collect())
    }
}
