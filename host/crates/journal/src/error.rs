//! Why the journal could not do what it was asked, one type per operation.

use std::path::PathBuf;

use base::{Code, Digest, Refusal, RunId};

/// The file system or SQLite said no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// No space left.
    #[error("the disk that holds `{}` is full", .0.display())]
    Full(PathBuf),
    /// The folder or file cannot be written.
    #[error("`{}` cannot be written: {reason}", path.display())]
    ReadOnly {
        /// What cannot be written.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// Another process kept the write lock for too long.
    #[error("another process kept `{}` locked", .0.display())]
    Locked(PathBuf),
    /// The file is not a database, or is damaged below the level of rows.
    #[error("`{}` is not a sound database: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        reason: String,
    },
    /// Anything else.
    #[error("`{}`: {reason}", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
}

impl StorageError {
    pub(crate) fn sqlite(path: &std::path::Path, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let path = path.to_path_buf();
        let reason = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(path),
            Some(ErrorCode::SystemIoFailure) if is_no_room(error) => Self::Full(path),
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::ReadOnly { path, reason }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked(path),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Malformed { path, reason },
            _ => Self::Other { path, reason },
        }
    }

    pub(crate) fn io(path: &std::path::Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let path = path.to_path_buf();
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full(path),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly { path, reason: error.to_string() }
            }
            _ => Self::Other { path, reason: error.to_string() },
        }
    }
}

/// Whether SQLite could not make its index of the write-ahead log as large as it has to be: on a
/// full disk that is the first thing that fails, and it is reported as any other I/O error.
fn is_no_room(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        let code = match error {
            StorageError::Malformed { .. } => Code::JournalDamaged,
            _ => Code::JournalUnavailable,
        };
        let refusal = Self::new(code, error.to_string());
        match error {
            StorageError::Full(_) => {
                refusal.hint("free some space, then resume the run: nothing recorded was lost")
            }
            StorageError::ReadOnly { .. } => refusal.hint("give `--home` a folder that can be written"),
            _ => refusal,
        }
    }
}

/// Why a journal could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A newer program wrote it.
    #[error("the journal `{}` has format {found}, this program knows {known}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest known format.
        known: i64,
    },
    /// It is a database of something else.
    #[error("`{}` is a database, but not a journal", .0.display())]
    Foreign(PathBuf),
    /// The file system or SQLite.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Version { .. } => {
                Self::new(Code::JournalVersion, error.to_string()).hint("use the newer capstan that wrote it")
            }
            OpenError::Foreign(_) => Self::new(Code::JournalDamaged, error.to_string()),
            OpenError::Storage(error) => error.into(),
        }
    }
}

/// Why events were not appended. Nothing of the append was written, unless it is `Uncertain`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Somebody else appended to the run first.
    #[error("run {run} is at event {actual}, not {expected}")]
    Sequence {
        /// The run.
        run: RunId,
        /// The number that the append wanted to write.
        expected: u64,
        /// The number that comes next.
        actual: u64,
    },
    /// The approval was consumed before.
    #[error("approval {} was used before", .0.short())]
    ApprovalConsumed(Digest),
    /// An event or artifact is larger than the journal takes.
    #[error("{what} of {bytes} bytes is over the journal's bound of {max}")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The bound.
        max: u64,
    },
    /// The write lock was not free in time; trying again is safe.
    #[error("another process kept the journal locked")]
    Locked,
    /// The commit failed. Whether it reached the disk is only known to who reads it afresh.
    #[error("the journal could not be written: {0}")]
    Uncertain(StorageError),
    /// An earlier commit failed, so this process writes nothing more.
    #[error("an earlier write to the journal failed, this process writes nothing more")]
    Poisoned,
    /// The file of a large artifact could not be written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        let text = error.to_string();
        match error {
            AppendError::Sequence { run, .. } => {
                Self::new(Code::RunBusy, text).hint(format!("capstan run show {run}"))
            }
            AppendError::ApprovalConsumed(_) => Self::new(Code::ApprovalConsumed, text),
            AppendError::TooLarge { .. } | AppendError::Locked | AppendError::Poisoned => {
                Self::new(Code::JournalUnavailable, text)
            }
            AppendError::Uncertain(inner) | AppendError::Storage(inner) => {
                let inner = Self::from(inner);
                Self { message: text, ..inner }
            }
        }
    }
}

/// Why a run could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no such run.
    #[error("there is no run {0}")]
    Unknown(RunId),
    /// A row is not what was appended.
    #[error("event {seq} of run {run} is damaged: {what}")]
    Damaged {
        /// The run.
        run: RunId,
        /// The row.
        seq: u64,
        /// What does not fit.
        what: String,
    },
    /// A row was written by a newer program.
    #[error("event {seq} of run {run} has format {found}, this program knows {known}")]
    Version {
        /// The run.
        run: RunId,
        /// The row.
        seq: u64,
        /// Its format.
        found: u32,
        /// The newest known format.
        known: u32,
    },
    /// The file system or SQLite.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        let text = error.to_string();
        match error {
            ReadError::Unknown(_) => Self::new(Code::RunUnknown, text).hint("capstan run list"),
            ReadError::Damaged { .. } => Self::new(Code::JournalDamaged, text),
            ReadError::Version { .. } => {
                Self::new(Code::JournalVersion, text).hint("use the newer capstan that wrote it")
            }
            ReadError::Storage(error) => error.into(),
        }
    }
}

/// Why a prefix names no run or approval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// Nothing starts with it.
    #[error("no {what} starts with `{prefix}`")]
    None {
        /// `run` or `approval`.
        what: &'static str,
        /// The prefix, cut to 80 characters.
        prefix: String,
    },
    /// More than one thing starts with it.
    #[error("`{prefix}` is the start of several {what}s: {}", candidates.join(", "))]
    Ambiguous {
        /// `run` or `approval`.
        what: &'static str,
        /// The prefix.
        prefix: String,
        /// The first of them.
        candidates: Vec<String>,
    },
    /// The journal could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<FindError> for Refusal {
    fn from(error: FindError) -> Self {
        let text = error.to_string();
        match error {
            FindError::None { what, .. } | FindError::Ambiguous { what, .. } => {
                let (code, list) = match what {
                    "run" => (Code::RunUnknown, "capstan run list"),
                    _ => (Code::ApprovalUnknown, "capstan approval list"),
                };
                Self::new(code, text).hint(list)
            }
            FindError::Read(error) => error.into(),
        }
    }
}

/// Why a run could not be claimed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// A living process works on it.
    #[error("another process works on run {0}")]
    Busy(RunId),
    /// Its events could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The claim could not be recorded.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The lock file could not be made.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<ClaimError> for Refusal {
    fn from(error: ClaimError) -> Self {
        let text = error.to_string();
        match error {
            ClaimError::Busy(run) => Self::new(Code::RunBusy, text).hint(format!("capstan run show {run}")),
            ClaimError::Read(error) => error.into(),
            ClaimError::Append(error) => error.into(),
            ClaimError::Storage(error) => error.into(),
        }
    }
}

/// Why an artifact could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// There is no such artifact.
    #[error("there is no artifact {0}")]
    Unknown(Digest),
    /// Its bytes are not those that were put.
    #[error("the bytes of artifact {0} have another digest")]
    Damaged(Digest),
    /// The file system or SQLite.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<ArtifactError> for Refusal {
    fn from(error: ArtifactError) -> Self {
        let text = error.to_string();
        match error {
            ArtifactError::Unknown(_) => Self::new(Code::ArtifactUnknown, text),
            ArtifactError::Damaged(_) => Self::new(Code::JournalDamaged, text),
            ArtifactError::Storage(error) => error.into(),
        }
    }
}
