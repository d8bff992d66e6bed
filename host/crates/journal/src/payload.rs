//! A value in an event: in place when small, by digest when not.

use base::Digest;
use serde::{Deserialize, Serialize};

/// Longest JSON text that an event carries in place, in bytes. Longer ones are artifacts.
pub const INLINE_BYTES_MAX: usize = 16 << 10;

/// A JSON value in an event, or the digest of the artifact that holds its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// The value itself.
    Inline(serde_json::Value),
    /// The artifact with the value's JSON text.
    Artifact {
        /// The digest of the text.
        digest: Digest,
        /// The text's length.
        bytes: u64,
    },
}

impl Payload {
    /// Wraps `value`. The bytes, if any, are the artifact that must be appended together with the
    /// event that carries the payload.
    #[must_use]
    pub fn new(value: serde_json::Value) -> (Self, Option<Vec<u8>>) {
        let text = value.to_string();
        if text.len() <= INLINE_BYTES_MAX {
            return (Self::Inline(value), None);
        }
        let bytes = text.into_bytes();
        (Self::Artifact { digest: Digest::of(&bytes), bytes: bytes.len() as u64 }, Some(bytes))
    }

    /// The artifact it names, if it names one.
    #[must_use]
    pub const fn artifact(&self) -> Option<Digest> {
        match self {
            Self::Inline(_) => None,
            Self::Artifact { digest, .. } => Some(*digest),
        }
    }
}
