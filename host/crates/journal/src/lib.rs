//! The append-only truth about runs: events, and the artifacts that they name by digest.
//!
//! Invariants:
//! - One sequence of events per run, numbered from 0 without gaps. An append names the number it
//!   expects to write next and fails if another writer was there first; nothing is ever updated.
//! - When an append returns, its events and artifacts survive power loss (SQLite in WAL mode with
//!   `synchronous=FULL`; larger artifacts are files, fsynced before the row that names them).
//! - An approval digest is consumed at most once in the whole journal, whoever races for it.
//! - A row that was edited, removed or moved is found when its run is read, and named.
//! - After a failed commit nothing more is written by this process: what is on disk is no longer
//!   known to it, and only a fresh process that folds from disk may continue.
//!
//! The hashes find accidents and simple tampering. Somebody who can write the file can also
//! recompute them: what they can not make is an approver's signature, which the run verifies
//! before it consumes an approval.

mod approval;
mod artifact;
mod claim;
mod error;
mod event;
mod payload;
mod reader;
mod record;
mod schema;
mod store;
mod writer;

pub use approval::ApprovalBinding;
pub use artifact::{ARTIFACT_BYTES_MAX, ARTIFACT_ROW_BYTES_MAX};
pub use claim::{RunClaim, RunLock};
pub use error::{AppendError, ArtifactError, ClaimError, FindError, OpenError, ReadError, StorageError};
pub use event::{
    BudgetRecord, CallRecord, Conflict, DeniedCall, Event, Failure, FailureClass, HeldRecord, HowApplied,
    Mode, PackRecord, Receipt, RootRecord, RunCreated, StaleCause, Staleness, StepRecord,
};
pub use payload::{INLINE_BYTES_MAX, Payload};
pub use record::Record;
pub use store::{ApprovalEntry, Journal, RunEntry};
pub use writer::{Append, Stats};

/// Every point at which the journal tells its [`base::Probe`] where it is.
pub const LABELS: &[&str] =
    &[artifact::BEFORE_ARTIFACT, artifact::AFTER_ARTIFACT, writer::BEFORE_COMMIT, writer::AFTER_COMMIT];
