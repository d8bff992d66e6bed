//! The terms of a grant: to whose pack, until when, and how far it lowers the limits of a call.

use std::fmt;
use std::str::FromStr;

use base::Timestamp;

use crate::LimitCaps;

/// Groups in the text of a fingerprint, and the letters of each.
const GROUPS: usize = 8;
const GROUP_LETTERS: usize = 4;

/// The fingerprint of the key that signed a pack: eight groups of four letters of base32.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signer(Box<str>);

/// The text is not a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a fingerprint: expected 8 groups of 4 letters, joined by `-`")]
pub struct ParseSignerError {
    /// What was given, cut to 80 characters.
    pub text: String,
}

impl Signer {
    /// The signer with this fingerprint, which is compared as text.
    #[must_use]
    pub fn of_fingerprint(fingerprint: &dyn fmt::Display) -> Self {
        Self(fingerprint.to_string().into())
    }
}

impl FromStr for Signer {
    type Err = ParseSignerError;

    fn from_str(text: &str) -> Result<Self, ParseSignerError> {
        let letter = |byte: u8| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte);
        let group = |group: &str| group.len() == GROUP_LETTERS && group.bytes().all(letter);
        let is_whole = text.split('-').count() == GROUPS && text.split('-').all(group);
        let fail = || ParseSignerError { text: text.chars().take(80).collect() };
        if is_whole { Ok(Self(text.into())) } else { Err(fail()) }
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a grant is given on.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Terms {
    /// The key that has to have signed the pack. Without one the grant is in force for nobody.
    pub signer: Option<Signer>,
    /// The time from which on it is no longer in force.
    pub expires: Option<Timestamp>,
    /// For a capability that discloses: whether an operation that also holds a source uses it without
    /// a question, so that what it reads may go out in what it asks. Without, each such call is held.
    pub may_disclose: bool,
    /// Bounds on each call that the grant gives something to.
    pub limits: LimitCaps,
}

impl Terms {
    /// No more than that the pack is signed by `signer`.
    #[must_use]
    pub fn of(signer: Signer) -> Self {
        Self { signer: Some(signer), ..Self::default() }
    }

    /// Why a grant on these terms gives nothing to a pack that `signer` signed, at `now`.
    #[must_use]
    pub fn lapse(&self, signer: &Signer, now: Timestamp) -> Option<Lapse> {
        if self.signer.as_ref() != Some(signer) {
            return Some(Lapse::OtherSigner);
        }
        self.expires.is_some_and(|expires| now >= expires).then_some(Lapse::Expired)
    }
}

/// Why a grant is not in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lapse {
    /// It was given until a time that is past.
    Expired,
    /// It was given to a pack signed by another key, or names none.
    OtherSigner,
}

impl Lapse {
    /// The name used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::OtherSigner => "other_signer",
        }
    }
}
