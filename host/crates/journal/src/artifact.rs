//! Content-addressed bytes: a row when small, a file of their own when large.

#![expect(clippy::disallowed_methods, reason = "this module owns the folder of artifacts")]

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use base::{Digest, Probe};
use rusqlite::{Connection, OptionalExtension};

use crate::{AppendError, ArtifactError, StorageError};

/// Largest artifact that is a row, in bytes.
pub const ARTIFACT_ROW_BYTES_MAX: usize = 1 << 20;
/// Largest artifact at all, in bytes.
pub const ARTIFACT_BYTES_MAX: usize = 256 << 20;

pub(crate) const BEFORE_ARTIFACT: &str = "journal:before-artifact";
pub(crate) const AFTER_ARTIFACT: &str = "journal:after-artifact";

/// An artifact on its way into a transaction.
pub(crate) struct Prepared {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// None if the bytes are in a file already.
    pub(crate) body: Option<Vec<u8>>,
}

/// Hashes `bytes` and, if they are too large for a row, writes and fsyncs their file.
pub(crate) fn prepare(folder: &Path, bytes: Vec<u8>, probe: &dyn Probe) -> Result<Prepared, AppendError> {
    let size = bytes.len() as u64;
    if bytes.len() > ARTIFACT_BYTES_MAX {
        return Err(AppendError::TooLarge {
            what: "an artifact",
            bytes: size,
            max: ARTIFACT_BYTES_MAX as u64,
        });
    }
    let digest = Digest::of(&bytes);
    if bytes.len() <= ARTIFACT_ROW_BYTES_MAX {
        return Ok(Prepared { digest, size, body: Some(bytes) });
    }
    probe.reach(BEFORE_ARTIFACT);
    write_file(folder, &digest, &bytes)?;
    probe.reach(AFTER_ARTIFACT);
    Ok(Prepared { digest, size, body: None })
}

/// Writes beside the final name, fsyncs, renames, fsyncs the folder: the name never stands for
/// half the bytes. A file that is there already is replaced, which heals it if it was damaged.
fn write_file(folder: &Path, digest: &Digest, bytes: &[u8]) -> Result<(), StorageError> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!(".{}.{}.{counter}", digest.short(), std::process::id()));
    let fail = |error: std::io::Error| StorageError::io(&temporary, &error);
    let written = (|| {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path_of(folder, digest))?;
        File::open(folder)?.sync_all()
    })();
    written.map_err(|error| {
        // The error that matters is the first; what is left over is only a hidden file.
        drop(std::fs::remove_file(&temporary));
        fail(error)
    })
}

pub(crate) fn insert(connection: &Connection, artifact: &Prepared) -> Result<(), rusqlite::Error> {
    let size = i64::try_from(artifact.size).unwrap_or(i64::MAX);
    connection
        .prepare_cached("INSERT OR IGNORE INTO artifact (digest, bytes, body) VALUES (?1, ?2, ?3)")?
        .execute((artifact.digest.as_bytes(), size, &artifact.body))?;
    Ok(())
}

/// Reads and checks an artifact.
pub(crate) fn read(
    connection: &Connection,
    database: &Path,
    folder: &Path,
    digest: &Digest,
) -> Result<Vec<u8>, ArtifactError> {
    let fail = |error: rusqlite::Error| StorageError::sqlite(database, &error);
    let row: Option<Option<Vec<u8>>> = connection
        .prepare_cached("SELECT body FROM artifact WHERE digest = ?1")
        .map_err(fail)?
        .query_row([digest.as_bytes()], |row| row.get(0))
        .optional()
        .map_err(fail)?;
    let path = path_of(folder, digest);
    let bytes = match row {
        None => return Err(ArtifactError::Unknown(*digest)),
        Some(Some(bytes)) => bytes,
        Some(None) => std::fs::read(&path).map_err(|error| StorageError::io(&path, &error))?,
    };
    if Digest::of(&bytes) == *digest { Ok(bytes) } else { Err(ArtifactError::Damaged(*digest)) }
}

fn path_of(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join(digest.hex())
}
