//! A refusal to reach something, and the grant that would allow it.

use base::{Capability, PackId};

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
}

/// A call may not reach `what`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{capability}`{} {}", of(what), why(*reason))]
pub struct Denied {
    /// The capability that would be needed.
    pub capability: Capability,
    /// `root:path` (cut to 200 characters), or empty where the capability has no scopes.
    pub what: String,
    /// Why.
    pub reason: DeniedReason,
    /// The argument of `capstan grant add <pack>` that would allow it, unquoted; none if no grant
    /// does.
    pub grant: Option<String>,
}

impl Denied {
    /// The command that would allow it, ready to be typed.
    #[must_use]
    pub fn hint(&self, pack: &PackId) -> Option<String> {
        self.grant.as_deref().map(|grant| grant_command(pack, grant))
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

fn of(what: &str) -> String {
    if what.is_empty() { String::new() } else { format!(" of `{what}`") }
}

fn why(reason: DeniedReason) -> &'static str {
    match reason {
        DeniedReason::NotRequested => "is not requested by the pack",
        DeniedReason::AboveEffect => "is above the operation's declared effect",
        DeniedReason::NotGranted => "is not granted",
        DeniedReason::OutOfScope => "is outside what is granted",
    }
}
