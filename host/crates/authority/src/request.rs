//! What a pack asks for.

use std::collections::BTreeMap;

use base::{Capability, Effect, ScopeKind};

use crate::{ParseScopeError, Scope};

/// Most scopes of one capability in a request.
pub const SCOPES_MAX: usize = 256;

/// The capabilities that a pack's manifest asks for, each with its scopes. What is not here cannot
/// be had, whatever is granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request(BTreeMap<Capability, Vec<Scope>>);

/// A capability was asked for in a form that it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Scopes for a capability that has none.
    #[error("`{0}` has no scopes")]
    UnexpectedScope(Capability),
    /// No scope for a capability that needs one.
    #[error("`{0}` needs at least one scope, such as `{example}`", example = example(*.0))]
    MissingScope(Capability),
    /// A path for a capability of URLs, or the other way round.
    #[error("`{0}` takes scopes such as `{example}`", example = example(*.0))]
    WrongKind(Capability),
    /// A request that names a network.
    #[error("`{0}` is requested without ` via `: private networks are the operator's to grant")]
    NetworkInRequest(Capability),
    /// A request that names the digest of a program.
    #[error("`{0}` is requested without a digest: which file a program is, is the operator's to grant")]
    DigestInRequest(Capability),
    /// A grant for any command.
    #[error("a grant of `{0}` names the program: `{example}`", example = example(*.0))]
    AnyInGrant(Capability),
    /// A capability that every pack has.
    #[error("`{0}` needs no request and no grant")]
    NotNeeded(Capability),
    /// `may-disclose` on a capability whose calls it would not free of a question.
    #[error("`may-disclose` means nothing for `{0}`: {why}", why = undisclosed(*.0))]
    NothingDisclosed(Capability),
    /// More than [`SCOPES_MAX`] scopes.
    #[error("`{0}` has more than {SCOPES_MAX} scopes")]
    TooManyScopes(Capability),
}

/// Why `may-disclose` frees no call of `capability` of a question.
fn undisclosed(capability: Capability) -> &'static str {
    if capability.is_held_in(Effect::Pure) {
        "each of its calls is held until somebody approves exactly that one"
    } else if capability.is_held_in(Effect::External) {
        "it reaches no network where its calls are not held for an approval"
    } else {
        "it sends nothing"
    }
}

impl RequestError {
    /// Checks the form that requests and grants share.
    pub(crate) fn check(capability: Capability, scopes: &[Scope]) -> Result<(), Self> {
        match (capability.has_scope(), scopes.len()) {
            _ if !capability.needs_grant() => Err(Self::NotNeeded(capability)),
            (true, 0) => Err(Self::MissingScope(capability)),
            (false, 1..) => Err(Self::UnexpectedScope(capability)),
            _ if scopes.iter().any(|scope| capability.scope_kind() != Some(scope.kind())) => {
                Err(Self::WrongKind(capability))
            }
            _ => Ok(()),
        }
    }
}

impl RequestError {
    /// The same for a grant, which says what exactly may be run.
    pub(crate) fn check_grant(capability: Capability, scopes: &[Scope]) -> Result<(), Self> {
        Self::check(capability, scopes)?;
        if scopes.iter().any(|scope| !is_grantable(scope)) {
            return Err(Self::AnyInGrant(capability));
        }
        Ok(())
    }
}

/// Whether a grant may have the scope.
pub(crate) fn is_grantable(scope: &Scope) -> bool {
    scope.as_exec().is_none_or(|scope| !scope.is_any())
}

/// A scope of the capability's kind, for messages.
fn example(capability: Capability) -> &'static str {
    match capability.scope_kind() {
        Some(ScopeKind::Url) => "https://example.com/**",
        Some(ScopeKind::Command) => "workspace:git log *",
        Some(ScopeKind::Secret) => "example-token@api.example.com:header:authorization",
        Some(ScopeKind::Model) => "default",
        Some(ScopeKind::Path) | None => "workspace:**",
    }
}

/// The texts of a request do not make one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadRequestError {
    /// A text is no scope of its capability.
    #[error(transparent)]
    Scope(#[from] ParseScopeError),
    /// The scopes do not fit their capability.
    #[error(transparent)]
    Form(#[from] RequestError),
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
        scopes: impl IntoIterator<Item = Scope>,
    ) -> Result<(), RequestError> {
        // One more than allowed is enough to know that there are too many.
        let mut scopes: Vec<_> = scopes.into_iter().take(SCOPES_MAX + 1).collect();
        RequestError::check(capability, &scopes)?;
        if scopes.len() > SCOPES_MAX {
            return Err(RequestError::TooManyScopes(capability));
        }
        if scopes.iter().filter_map(Scope::as_url).any(|scope| scope.network().is_some()) {
            return Err(RequestError::NetworkInRequest(capability));
        }
        if scopes.iter().filter_map(Scope::as_exec).any(|scope| scope.digest().is_some()) {
            return Err(RequestError::DigestInRequest(capability));
        }
        scopes.sort();
        scopes.dedup();
        self.0.insert(capability, scopes);
        Ok(())
    }

    /// The request whose scopes are written as texts, as [`Request::to_texts`] gives them.
    ///
    /// # Errors
    /// The first text that is no scope, or capability that does not take such scopes.
    pub fn from_texts(
        texts: impl IntoIterator<Item = (Capability, Vec<String>)>,
    ) -> Result<Self, ReadRequestError> {
        let mut request = Self::new();
        for (capability, texts) in texts {
            let scopes = texts.iter().map(|text| Scope::parse(capability, text));
            request.insert(capability, scopes.collect::<Result<Vec<_>, _>>()?)?;
        }
        Ok(request)
    }

    /// Each capability with the texts of its scopes, for whoever stores a request.
    #[must_use]
    pub fn to_texts(&self) -> BTreeMap<Capability, Vec<String>> {
        self.iter().map(|(c, scopes)| (c, scopes.iter().map(Scope::to_string).collect())).collect()
    }

    /// What is asked for, in the capabilities' order.
    pub fn iter(&self) -> impl Iterator<Item = (Capability, &[Scope])> {
        self.0.iter().map(|(capability, scopes)| (*capability, scopes.as_slice()))
    }

    /// Whether `capability` is asked for.
    #[must_use]
    pub fn contains(&self, capability: Capability) -> bool {
        self.0.contains_key(&capability)
    }

    /// The scopes asked for, sorted; empty for a capability that is not asked for or has none.
    #[must_use]
    pub fn scopes(&self, capability: Capability) -> &[Scope] {
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
