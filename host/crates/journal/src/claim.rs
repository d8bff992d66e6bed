//! One process per run.

#![expect(clippy::disallowed_methods, reason = "this module owns the folder of locks")]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;

use base::{RunId, Timestamp};
use rustix::fs::FlockOperation;

use crate::{Append, AppendError, ClaimError, Event, Journal, Record, StorageError};

/// How often a claim is tried again when somebody appends (an approval, say) at the same moment.
const TRIES_MAX: u32 = 16;

/// The right to work on a run, until it is dropped or the process ends.
///
/// The operating system's lock keeps other processes of this machine away. The epoch in the
/// journal and the expected number of each append keep away those that the lock does not reach.
#[derive(Debug)]
pub struct RunClaim {
    /// The run.
    pub run: RunId,
    /// How often the run was claimed, this time included.
    pub epoch: u64,
    /// The run's events, this claim's own as the last.
    pub records: Vec<Record>,
    _lock: RunLock,
}

/// The operating system's lock on a run, without a record of it: for a person's decision that
/// needs nobody else to be at work, and does no work itself.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl Journal {
    /// Locks the run and records that this process works on it.
    ///
    /// # Errors
    /// `E-RUN-BUSY` if a living process has it; otherwise as reading and appending.
    pub fn claim(&self, run: &RunId, at: Timestamp) -> Result<RunClaim, ClaimError> {
        let lock = self.lock(run)?;
        let mut records = self.events(run)?;
        for _ in 1..TRIES_MAX {
            match self.record_claim(run, at, &mut records) {
                Ok(epoch) => return Ok(RunClaim { run: run.clone(), epoch, records, _lock: lock }),
                Err(AppendError::Sequence { .. }) => {
                    let known = records.len() as u64;
                    records.extend(self.events_from(run, known)?);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(ClaimError::Busy(run.clone()))
    }

    fn record_claim(
        &self,
        run: &RunId,
        at: Timestamp,
        records: &mut Vec<Record>,
    ) -> Result<u64, AppendError> {
        let claims = records.iter().filter(|record| matches!(record.event, Event::RunClaimed { .. })).count();
        let epoch = claims as u64 + 1;
        let event = Event::RunClaimed { epoch, pid: std::process::id() };
        let expected = records.len() as u64;
        records.extend(self.append(Append {
            run: run.clone(),
            expected,
            at,
            events: vec![event],
            artifacts: Vec::new(),
        })?);
        Ok(epoch)
    }

    /// Locks the run.
    ///
    /// The lock's file stays when the lock is gone: removing it would let two processes each lock
    /// a file of their own under the same name.
    ///
    /// # Errors
    /// `E-RUN-BUSY` if a living process has it.
    pub fn lock(&self, run: &RunId) -> Result<RunLock, ClaimError> {
        let path = self.locks().join(run.as_str());
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| StorageError::io(&path, &error))?;
        for _ in 1..TRIES_MAX {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(RunLock { _file: file }),
                // Who looks whether the run is worked on holds the lock for an instant.
                Err(rustix::io::Errno::WOULDBLOCK) => std::thread::yield_now(),
                Err(error) => return Err(StorageError::io(&path, &error.into()).into()),
            }
        }
        Err(ClaimError::Busy(run.clone()))
    }

    /// Whether a living process works on the run now.
    #[must_use]
    pub fn is_locked(&self, run: &RunId) -> bool {
        // No file, no lock: looking makes none.
        let Ok(file) = File::open(self.locks().join(run.as_str())) else { return false };
        let shared = rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared);
        shared == Err(rustix::io::Errno::WOULDBLOCK)
    }
}
