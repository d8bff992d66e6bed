//! The host interfaces that a guest can be handed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Effect;

/// One host interface of `capstan:host`, which is also the key of a request and of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// List, stat and read files under a root.
    FilesRead,
    /// Stage the creation, replacement and removal of files under a root.
    FilesWrite,
    /// Fetch from HTTP servers, by GET and HEAD.
    HttpRead,
    /// Send to HTTP servers, by POST, PUT, PATCH and DELETE. Every request is held for approval.
    HttpSend,
    /// Run programs of this machine.
    Exec,
    /// Store and fetch content-addressed bytes of the run.
    Artifacts,
    /// Ask language models that the operator named.
    Model,
    /// Have the host fill in secrets for their own hosts. It has no interface: what a request asks for
    /// by name, the host adds to the request, and no guest sees it.
    Secrets,
    /// Read the time.
    Clock,
    /// Draw random bytes.
    Random,
    /// Write log lines. Needs no request and no grant.
    Log,
}

/// What the scopes of a capability speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeKind {
    /// `root:glob`.
    Path,
    /// `https://host/glob`.
    Url,
    /// `root:program arguments`.
    Command,
    /// `name@host:header:name-of-header`.
    Secret,
    /// The name of a model.
    Model,
}

impl Capability {
    /// Every capability, in the order they are listed to people.
    pub const ALL: [Self; 11] = [
        Self::FilesRead,
        Self::FilesWrite,
        Self::HttpRead,
        Self::HttpSend,
        Self::Exec,
        Self::Artifacts,
        Self::Model,
        Self::Secrets,
        Self::Clock,
        Self::Random,
        Self::Log,
    ];

    /// The name in manifests, grants and WIT.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FilesRead => "files-read",
            Self::FilesWrite => "files-write",
            Self::HttpRead => "http-read",
            Self::HttpSend => "http-send",
            Self::Exec => "exec",
            Self::Artifacts => "artifacts",
            Self::Model => "model",
            Self::Secrets => "secrets",
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Log => "log",
        }
    }

    /// What narrows it; none for those that are all or nothing.
    #[must_use]
    pub const fn scope_kind(self) -> Option<ScopeKind> {
        match self {
            Self::FilesRead | Self::FilesWrite => Some(ScopeKind::Path),
            Self::HttpRead | Self::HttpSend => Some(ScopeKind::Url),
            Self::Exec => Some(ScopeKind::Command),
            Self::Secrets => Some(ScopeKind::Secret),
            Self::Model => Some(ScopeKind::Model),
            Self::Artifacts | Self::Clock | Self::Random | Self::Log => None,
        }
    }

    /// Whether a scope narrows it. The others are all or nothing.
    #[must_use]
    pub const fn has_scope(self) -> bool {
        self.scope_kind().is_some()
    }

    /// Whether it brings in what the operation may not be free to pass on: what an operation that has
    /// it asks a server for is held.
    #[must_use]
    pub const fn is_source(self) -> bool {
        matches!(self, Self::FilesRead | Self::Exec | Self::Artifacts | Self::Secrets)
    }

    /// Whether a guest can import it. What has no interface works through that of another.
    #[must_use]
    pub const fn has_interface(self) -> bool {
        !matches!(self, Self::Secrets)
    }

    /// Whether using it tells somebody outside something, if only by what is asked for.
    #[must_use]
    pub const fn discloses(self) -> bool {
        matches!(self, Self::HttpRead)
    }

    /// Whether its calls are held in an operation of `effect`, whatever else the operation may do: the
    /// host keeps the exact call, and makes it itself after somebody approved it.
    #[must_use]
    pub fn is_held_in(self, effect: Effect) -> bool {
        match self {
            Self::HttpSend => true,
            Self::Exec => effect >= Effect::External,
            _ => false,
        }
    }

    /// Whether a pack must request it and an operator must grant it.
    #[must_use]
    pub const fn needs_grant(self) -> bool {
        !matches!(self, Self::Log)
    }

    /// The effect cut: whether an operation of `effect` may have this interface live at all.
    #[must_use]
    pub fn permitted_by(self, effect: Effect) -> bool {
        effect >= self.least_effect()
    }

    /// The least effect that permits it.
    #[must_use]
    pub const fn least_effect(self) -> Effect {
        match self {
            Self::Log => Effect::Pure,
            Self::FilesRead | Self::HttpRead | Self::Exec | Self::Artifacts => Effect::Read,
            Self::Model | Self::Secrets | Self::Clock | Self::Random => Effect::Read,
            Self::FilesWrite => Effect::Write,
            Self::HttpSend => Effect::External,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Capability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|capability| capability.as_str() == text)
            .ok_or_else(|| format!("unknown capability `{text}`"))
    }
}
