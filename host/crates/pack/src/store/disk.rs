//! The file operations of the store, each durable before it returns.
#![expect(clippy::disallowed_methods, reason = "this module owns the store's folders")]

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use base::{Code, Digest, Refusal};

use crate::files::read_bounded;

/// First part of the name of a file that is being written. No digest and no receipt starts so.
const INCOMING: &str = ".incoming-";

/// Holds the store's lock until dropped, or until the process ends in whatever way.
pub(super) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Makes the folder `dir` and those between it and `top`, each on disk when this returns.
pub(super) fn create_folder(top: &Path, dir: &Path) -> Result<(), Refusal> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent()
        && dir != top
    {
        create_folder(top, parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => {}
        // Another process was quicker.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && dir.is_dir() => {}
        Err(error) => return Err(failed("create", dir, &error)),
    }
    dir.parent().map_or(Ok(()), sync_folder)
}

/// Makes the lock's file, if it is absent.
pub(super) fn create_lock(top: &Path, lock: &Path) -> Result<(), Refusal> {
    if lock.exists() {
        return Ok(());
    }
    lock.parent().map_or(Ok(()), |folder| create_folder(top, folder))?;
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(lock);
    made.map(drop).map_err(|error| failed("create", lock, &error))
}

/// Waits until nobody else reads or changes the store.
pub(super) fn lock_exclusive(path: &Path) -> Result<Lock, Refusal> {
    let file = File::open(path).map_err(|error| failed("open", path, &error))?;
    file.lock().map_err(|error| failed("lock", path, &error))?;
    Ok(Lock(file))
}

/// Waits until nobody changes the store.
pub(super) fn lock_shared(path: &Path) -> Result<Lock, Refusal> {
    let file = File::open(path).map_err(|error| failed("open", path, &error))?;
    file.lock_shared().map_err(|error| failed("lock", path, &error))?;
    Ok(Lock(file))
}

/// What is in the place of a file.
pub(super) enum Found {
    /// Nothing.
    Absent,
    /// More bytes than any file of its kind has.
    TooLarge,
    /// These bytes.
    Bytes(Vec<u8>),
}

/// Reads a file of at most `bytes_max` bytes.
pub(super) fn read(path: &Path, bytes_max: u64) -> Result<Found, Refusal> {
    match File::open(path).and_then(|file| read_bounded(file, bytes_max)) {
        Ok(Some(bytes)) => Ok(Found::Bytes(bytes)),
        Ok(None) => Ok(Found::TooLarge),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Absent),
        Err(error) => Err(failed("read", path, &error)),
    }
}

/// Stores `bytes` under their digest. Right bytes that are there already stay.
pub(super) fn write_blob(blobs: &Path, digest: &Digest, bytes: &[u8]) -> Result<(), Refusal> {
    let name = digest.hex();
    match read(&blobs.join(&name), bytes.len() as u64)? {
        Found::Bytes(present) if present == bytes => Ok(()),
        _ => write_then_rename(blobs, &name, bytes, 0o400),
    }
}

/// Replaces a file by one rename: readers and crashes see the old bytes or the new ones.
pub(super) fn replace(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Refusal> {
    write_then_rename(folder, name, bytes, 0o600)
}

/// The names of the folders in `dir`.
pub(super) fn folders(dir: &Path) -> Result<Vec<String>, Refusal> {
    let mut names = Vec::new();
    let entries = fs::read_dir(dir).map_err(|error| failed("read", dir, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| failed("read", dir, &error))?;
        if entry.path().is_dir() {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    Ok(names)
}

/// Removes every file in `blobs` that is not in `named`, as far as that works.
pub(super) fn remove_others(blobs: &Path, named: &BTreeSet<String>) {
    for entry in fs::read_dir(blobs).into_iter().flatten().flatten() {
        let kept = entry.file_name().to_str().is_some_and(|name| named.contains(name));
        if !kept && let Err(error) = fs::remove_file(entry.path()) {
            // Left for the next sweep: it takes room and is otherwise invisible.
            drop(error);
        }
    }
}

/// The lock is held, so the temporary name is this process's alone; what a crash left under it
/// is replaced.
fn write_then_rename(folder: &Path, name: &str, bytes: &[u8], mode: u32) -> Result<(), Refusal> {
    let temporary = folder.join(format!("{INCOMING}{name}"));
    let target = folder.join(name);
    let written = remove_if_present(&temporary)
        .and_then(|()| OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary))
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, &target));
    if let Err(error) = written {
        // A full disk should not stay full of our half-written file; the first error is the one to tell.
        return Err(remove_if_present(&temporary)
            .map_or_else(|_| failed("write", &target, &error), |()| failed("write", &target, &error)));
    }
    sync_folder(folder)
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the folder's entries durable.
fn sync_folder(folder: &Path) -> Result<(), Refusal> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder).and_then(|dir| dir.sync_all()).map_err(|error| failed("sync", folder, &error))
}

fn failed(verb: &str, path: &Path, error: &io::Error) -> Refusal {
    Refusal::new(Code::FileIo, format!("cannot {verb} `{}`: {error}", path.display()))
}
