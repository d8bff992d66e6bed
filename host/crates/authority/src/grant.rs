//! One grant: a pack may have a capability, within scopes.

use base::{Capability, PackId};

use crate::{ParseScopeError, Request, RequestError, Scope, Signer, Terms};

/// What an operator lets a pack have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Whom.
    pub pack: PackId,
    /// What.
    pub capability: Capability,
    /// Where; empty for a capability without scopes.
    pub scopes: Vec<Scope>,
    /// To whose pack, until when, and how far it lowers limits.
    pub terms: Terms,
}

/// The text is not a grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseGrantError {
    /// The part before `=` is no capability.
    #[error("unknown capability `{text}`")]
    UnknownCapability {
        /// What was given, cut to 80 characters.
        text: String,
        /// The capability that was probably meant.
        suggestion: Option<Capability>,
    },
    /// The part after `=` is no scope.
    #[error(transparent)]
    Scope(#[from] ParseScopeError),
    /// A scope is missing, or there is one too many.
    #[error(transparent)]
    Form(#[from] RequestError),
}

/// A grant gives what the pack does not ask for, so that it would have no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pack}` does not request {what}")]
pub struct ExceedsRequestError {
    /// The pack.
    pub pack: PackId,
    /// The capability, or the scope of it.
    pub what: String,
}

impl Grant {
    /// Parses the form of the command line: `files-read=workspace:**`,
    /// `http-read=https://example.com/**`, or `clock` for a capability without scopes. It names no
    /// signer yet, so that it is in force for nobody.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn parse(pack: &PackId, text: &str) -> Result<Self, ParseGrantError> {
        let (name, scope) = match text.split_once('=') {
            Some((name, scope)) => (name, Some(scope)),
            None => (text, None),
        };
        let capability = parse_capability(name)?;
        let scope = scope.map(|text| Scope::parse(capability, text)).transpose()?;
        let scopes = Vec::from_iter(scope);
        RequestError::check_grant(capability, &scopes)?;
        Ok(Self { pack: pack.clone(), capability, scopes, terms: Terms::default() })
    }

    /// The same, to a pack that `signer` signed.
    #[must_use]
    pub fn to_signer(mut self, signer: Signer) -> Self {
        self.terms.signer = Some(signer);
        self
    }

    /// Checks that the scopes and the terms are ones that the capability has.
    ///
    /// # Errors
    /// If they are not.
    pub fn check_form(&self) -> Result<(), RequestError> {
        RequestError::check_grant(self.capability, &self.scopes)?;
        if self.terms.may_disclose && !self.capability.discloses() {
            return Err(RequestError::NothingDisclosed(self.capability));
        }
        Ok(())
    }

    /// The texts that [`Grant::parse`] reads back, one for each scope.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        grant_arguments(self.capability, &self.scopes)
    }

    /// Its scopes one by one; none for a capability without.
    pub(crate) fn places(&self) -> Vec<Option<Scope>> {
        if self.scopes.is_empty() { vec![None] } else { self.scopes.iter().cloned().map(Some).collect() }
    }

    /// Checks that the pack asks for the capability, and that each scope can meet one asked for: in
    /// it if the scope is a single path, else not certainly apart from it. A scope may be wider than
    /// the request: only what is in both is permitted.
    ///
    /// # Errors
    /// If the grant would give nothing.
    pub fn check_requested(&self, request: &Request) -> Result<(), ExceedsRequestError> {
        let exceeds = |what| ExceedsRequestError { pack: self.pack.clone(), what };
        if !request.contains(self.capability) {
            return Err(exceeds(format!("`{}`", self.capability)));
        }
        let asked = request.scopes(self.capability);
        let meets = |scope: &Scope| asked.iter().any(|asked| scope.meets(asked));
        match self.scopes.iter().find(|scope| !meets(scope)) {
            Some(scope) => Err(exceeds(format!("`{}` of `{scope}`", self.capability))),
            None => Ok(()),
        }
    }
}

/// The arguments of `grant add` that give `capability` within `scopes`, none of them for one without.
#[must_use]
pub fn grant_arguments(capability: Capability, scopes: &[Scope]) -> Vec<String> {
    if scopes.is_empty() {
        return vec![capability.to_string()];
    }
    scopes.iter().map(|scope| format!("{capability}={scope}")).collect()
}

pub(crate) fn parse_capability(name: &str) -> Result<Capability, ParseGrantError> {
    name.parse().map_err(|_| ParseGrantError::UnknownCapability {
        text: name.chars().take(80).collect(),
        suggestion: closest(name, Capability::ALL.iter().map(|capability| capability.as_str()))
            .and_then(|name| name.parse().ok()),
    })
}

/// The candidate within a third of the name's length in edits, at least one, if the name is at most
/// 64 bytes long.
pub(crate) fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > 64 {
        return None;
    }
    let edits_max = (name.chars().count() / 3).max(1);
    candidates
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(edits, _)| *edits <= edits_max)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}
