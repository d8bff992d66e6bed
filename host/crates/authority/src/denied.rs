//! A refusal to reach something, and the grant that would allow it.

use base::{Capability, PackId, RootName};

/// Longest `what` of a denial, in characters.
const WHAT_CHARS_MAX: usize = 200;

/// Why something is out of reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeniedReason {
    /// The pack did not ask for it. No grant helps.
    NotRequested,
    /// The operation's declared effect rules it out. No grant helps.
    AboveEffect,
    /// The pack asked, and the operator granted none of the capability.
    NotGranted,
    /// The operator granted the capability, but not here.
    OutOfScope,
    /// The grant that would allow it was given until a time that is past.
    Expired,
    /// The grant that would allow it was given to a pack that another key signed.
    OtherSigner,
    /// The organisation's ceiling, in `config.toml`, forbids it. No grant helps.
    Ceiling,
    /// It is in the host's own folder. No grant helps.
    Reserved,
    /// The address behind the name is private or reserved, and no grant that holds the URL names its
    /// network. No grant is suggested: whoever controls the name chose the address.
    SpecialAddress,
}

/// A call may not reach `what`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{capability}`{} {}", of(what), why(*reason))]
pub struct Denied {
    /// The capability that would be needed.
    pub capability: Capability,
    /// `root:path` or the URL without its query (cut to 200 characters), or empty where the capability has no scopes.
    pub what: String,
    /// Why.
    pub reason: DeniedReason,
    /// The argument of `capstan grant add <pack>` that would allow it, unquoted; none if no grant
    /// does.
    pub grant: Option<String>,
}

impl Denied {
    /// A refusal that no grant lifts. `what` is cut where nobody would read on.
    #[must_use]
    pub fn for_good(capability: Capability, what: &str, reason: DeniedReason) -> Self {
        Self { capability, what: cut(what), reason, grant: None }
    }

    /// The refusal of a path in the host's own folder, which no scope can be asked about.
    #[must_use]
    pub fn reserved(capability: Capability, root: &RootName, path: &str) -> Self {
        Self { what: place(root, path), ..Self::for_good(capability, "", DeniedReason::Reserved) }
    }

    /// The refusal of `act` on a path that the capability reaches, where only a higher effect permits
    /// that act.
    #[must_use]
    pub fn above_effect(capability: Capability, act: &str, root: &RootName, path: &str) -> Self {
        let what = format!("{act} {}", place(root, path));
        Self { what, ..Self::for_good(capability, "", DeniedReason::AboveEffect) }
    }

    /// The command that would allow it, ready to be typed.
    #[must_use]
    pub fn hint(&self, pack: &PackId) -> Option<String> {
        self.grant.as_deref().map(|grant| grant_command(pack, grant) + grant_flags(self.reason))
    }
}

/// `capstan grant add <pack> <grant>`, the grant quoted for a POSIX shell where it needs to be.
#[must_use]
pub fn grant_command(pack: &PackId, grant: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=:/.,@%+".contains(c);
    if grant.chars().all(plain) {
        return format!("capstan grant add {pack} {grant}");
    }
    format!("capstan grant add {pack} '{}'", grant.replace('\'', r"'\''"))
}

/// What a grant says beside its scope so that it lifts a refusal for `reason`. What was given for a
/// time is given for a time again.
pub(crate) fn grant_flags(reason: DeniedReason) -> &'static str {
    if reason == DeniedReason::Expired { " --expires 1d" } else { "" }
}

/// `root:path`, cut.
pub(crate) fn place(root: &RootName, path: &str) -> String {
    format!("{root}:{}", cut(path))
}

/// What was asked for, as long as anybody reads it.
pub(crate) fn cut(what: &str) -> String {
    what.chars().take(WHAT_CHARS_MAX).collect()
}

fn of(what: &str) -> String {
    if what.is_empty() { String::new() } else { format!(" of `{what}`") }
}

/// The second half of a refusal.
pub(crate) fn why(reason: DeniedReason) -> &'static str {
    match reason {
        DeniedReason::NotRequested => "is not requested by the pack",
        DeniedReason::AboveEffect => "is above the operation's declared effect",
        DeniedReason::NotGranted => "is not granted",
        DeniedReason::OutOfScope => "is outside what is granted",
        DeniedReason::Expired => "was granted, and the grant has expired",
        DeniedReason::OtherSigner => "is granted, but not to a pack signed by the key that signed this one",
        DeniedReason::Ceiling => "is forbidden by the ceiling in `config.toml`, which no grant passes",
        DeniedReason::Reserved => "is in the host's own folder, which no grant opens",
        DeniedReason::SpecialAddress => "is at a private or reserved address that no grant names",
    }
}
