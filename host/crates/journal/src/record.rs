//! A row of the journal and its hashes.

use base::{Digest, FramedHasher, RunId, Timestamp};

use crate::Event;

/// The version of the event format that this program writes, and the newest it reads.
pub(crate) const EVENT_VERSION: u32 = 1;

/// One event with its place in the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its number in the run, from 0.
    pub seq: u64,
    /// When it was appended.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// The RFC 6962 leaf hash of the entry.
    pub leaf: Digest,
}

/// The bytes that a leaf is made of: everything in the row that means something.
pub(crate) struct Entry<'a> {
    pub(crate) run: &'a RunId,
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) version: u32,
    pub(crate) body: &'a [u8],
}

impl Entry<'_> {
    /// SHA-256 over 0x00 and the entry's bytes (RFC 6962, section 2.1). The entry is the run, the
    /// number, the time and the version, each with its length, then the event's JSON as stored.
    pub(crate) fn leaf(&self) -> Digest {
        let run = self.run.as_str().as_bytes();
        let mut bytes = Vec::with_capacity(1 + 8 + run.len() + 8 + 8 + 4 + self.body.len());
        bytes.push(0);
        bytes.extend_from_slice(&(run.len() as u64).to_le_bytes());
        bytes.extend_from_slice(run);
        bytes.extend_from_slice(&self.seq.to_le_bytes());
        bytes.extend_from_slice(&self.at.0.to_le_bytes());
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(self.body);
        Digest::of(&bytes)
    }
}

/// The chain value before a run's first row.
pub(crate) fn chain_start(run: &RunId) -> Digest {
    FramedHasher::new("capstan/journal-chain/v1").field(run.as_str()).finish()
}

/// The chain value after a row.
pub(crate) fn chain_next(previous: &Digest, leaf: &Digest) -> Digest {
    FramedHasher::new("capstan/journal-chain/v1").digest(previous).digest(leaf).finish()
}
