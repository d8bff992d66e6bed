//! Scopes: where a capability reaches. Each capability has scopes of one kind, or none.

use std::fmt;

use base::{Capability, ScopeKind};

use crate::glob::GlobError;

mod exec;
mod model;
mod path;
mod secret;
mod url;

pub use exec::{ExecCall, ExecParts, ExecScope, ExecScopeError, ExecWordError, Slot};
pub use model::{MODEL_NAME_BYTES_MAX, ModelName, ParseModelNameError};
pub use path::PathScope;
pub use secret::{ParseSecretNameError, SECRET_NAME_BYTES_MAX, SecretName, SecretScope};
pub use url::UrlScope;

/// A scope of any kind, ordered by kind, then as its kind is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Paths below a root.
    Path(PathScope),
    /// URLs of a host.
    Url(UrlScope),
    /// Commands in a root.
    Exec(ExecScope),
    /// A secret for a host.
    Secret(SecretScope),
    /// A model.
    Model(ModelName),
}

/// The text is not a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a scope: {reason}")]
pub struct ParseScopeError {
    /// What was given, cut to 80 characters.
    pub text: String,
    /// Why it is none.
    pub reason: ScopeErrorReason,
}

/// What is wrong with the text of a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeErrorReason {
    /// There is no `:`.
    #[error("expected `root:glob`, such as `workspace:docs/**`")]
    NoRoot,
    /// The part before `:` is no root name.
    #[error("expected a root name before `:`, such as `workspace`")]
    RootName,
    /// The part after `:`, or after the host, is no pattern.
    #[error(transparent)]
    Glob(#[from] GlobError),
    /// It does not start with a scheme that the host speaks.
    #[error("expected `https://host/path`, such as `https://api.example.com/repos/**`")]
    Scheme,
    /// There is no `/` after the host.
    #[error("expected a path after the host; all of it is `/**`")]
    NoPath,
    /// The host is none, or names a user.
    #[error("expected a host name, an address, `*.` before a name, or `*`, and no user")]
    Host,
    /// The port is none.
    #[error("expected a port from 1 to 65535 after `:`, or `*`")]
    Port,
    /// A character that the path of a URL has only percent-encoded, or that starts a query.
    #[error("{0:?} is never in the path of a URL: write it percent-encoded; a path holds every query of it")]
    PathCharacter(char),
    /// It is not in the form of a secret for a host.
    #[error(
        "expected `name@host:header:name-of-header`, such as `example-token@api.example.com:header:authorization`"
    )]
    SecretForm,
    /// The part before `@` is no name of a secret.
    #[error("expected the name of a secret before `@`: lower-case letters, digits and `-`")]
    SecretName,
    /// The part after `@` is no host.
    #[error("expected one host after `@`, a name or an address, without a pattern")]
    SecretHost,
    /// The header is none that a secret can be put in.
    #[error("expected a header that is not the host's own, such as `authorization`")]
    SecretHeader,
    /// What follows `=` cannot stand in front of a value.
    #[error("expected a text in quotes after `=`, such as `=\"Bearer \"`")]
    SecretPrefix,
    /// It is no name of a model.
    #[error("expected the name of a model, such as `default`: lower-case letters, digits and `-`")]
    ModelName,
    /// What follows `via` is no network.
    #[error("expected a network after ` via `, such as `10.0.0.0/8`, with its other bits zero")]
    Network,
    /// The command is none.
    #[error(transparent)]
    Command(#[from] ExecScopeError),
}

impl ParseScopeError {
    fn new(text: &str, reason: ScopeErrorReason) -> Self {
        Self { text: text.chars().take(80).collect(), reason }
    }
}

impl Scope {
    /// Parses a scope of `capability`. For one without scopes every text is refused by whoever adds
    /// the scope to it.
    ///
    /// # Errors
    /// If it is no scope of the capability's kind.
    pub fn parse(capability: Capability, text: &str) -> Result<Self, ParseScopeError> {
        match capability.scope_kind() {
            Some(ScopeKind::Url) => text.parse().map(Self::Url),
            Some(ScopeKind::Command) => text.parse().map(Self::Exec),
            Some(ScopeKind::Secret) => text.parse().map(Self::Secret),
            Some(ScopeKind::Model) => text
                .parse()
                .map(Self::Model)
                .map_err(|_| ParseScopeError::new(text, ScopeErrorReason::ModelName)),
            Some(ScopeKind::Path) | None => text.parse().map(Self::Path),
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ScopeKind {
        match self {
            Self::Path(_) => ScopeKind::Path,
            Self::Url(_) => ScopeKind::Url,
            Self::Exec(_) => ScopeKind::Command,
            Self::Secret(_) => ScopeKind::Secret,
            Self::Model(_) => ScopeKind::Model,
        }
    }

    /// The scope of paths, if it is one.
    #[must_use]
    pub fn as_path(&self) -> Option<&PathScope> {
        match self {
            Self::Path(scope) => Some(scope),
            _ => None,
        }
    }

    /// The scope of URLs, if it is one.
    #[must_use]
    pub fn as_url(&self) -> Option<&UrlScope> {
        match self {
            Self::Url(scope) => Some(scope),
            _ => None,
        }
    }

    /// The scope of commands, if it is one.
    #[must_use]
    pub fn as_exec(&self) -> Option<&ExecScope> {
        match self {
            Self::Exec(scope) => Some(scope),
            _ => None,
        }
    }

    /// The scope of a secret, if it is one.
    #[must_use]
    pub fn as_secret(&self) -> Option<&SecretScope> {
        match self {
            Self::Secret(scope) => Some(scope),
            _ => None,
        }
    }

    /// The model, if it is one.
    #[must_use]
    pub fn as_model(&self) -> Option<&ModelName> {
        match self {
            Self::Model(name) => Some(name),
            _ => None,
        }
    }

    /// Whether all that is in this scope is in `other` too. It says yes only where that is so.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Path(scope), Self::Path(other)) => scope.is_within(other),
            (Self::Url(scope), Self::Url(other)) => scope.is_within(other),
            (Self::Secret(scope), Self::Secret(other)) => scope.is_within(other),
            (Self::Model(name), Self::Model(other)) => name == other,
            _ => false,
        }
    }

    /// Whether it and `asked` can hold something in common: a grant that meets nothing asked for
    /// gives nothing. It may say yes where nothing is.
    pub(crate) fn meets(&self, asked: &Self) -> bool {
        match (self, asked) {
            (Self::Path(scope), Self::Path(asked)) => scope.meets(asked),
            (Self::Url(scope), Self::Url(asked)) => scope.meets(asked),
            (Self::Exec(scope), Self::Exec(asked)) => scope.meets(asked),
            (Self::Secret(scope), Self::Secret(asked)) => scope.meets(asked),
            (Self::Model(name), Self::Model(asked)) => name == asked,
            _ => false,
        }
    }
}

impl From<PathScope> for Scope {
    fn from(scope: PathScope) -> Self {
        Self::Path(scope)
    }
}

impl From<UrlScope> for Scope {
    fn from(scope: UrlScope) -> Self {
        Self::Url(scope)
    }
}

impl From<ExecScope> for Scope {
    fn from(scope: ExecScope) -> Self {
        Self::Exec(scope)
    }
}

impl From<SecretScope> for Scope {
    fn from(scope: SecretScope) -> Self {
        Self::Secret(scope)
    }
}

impl From<ModelName> for Scope {
    fn from(name: ModelName) -> Self {
        Self::Model(name)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(scope) => scope.fmt(f),
            Self::Url(scope) => scope.fmt(f),
            Self::Exec(scope) => scope.fmt(f),
            Self::Secret(scope) => scope.fmt(f),
            Self::Model(name) => name.fmt(f),
        }
    }
}
