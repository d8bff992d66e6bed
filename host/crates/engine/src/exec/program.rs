//! From a program's name to its file, and the digest of that.

#![expect(clippy::disallowed_methods, reason = "the operator's search path is looked through, and no other")]

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use base::Digest;
use sha2::{Digest as _, Sha256};

use super::{ExecError, ExecProgram};

/// Largest program file, in bytes.
const FILE_BYTES_MAX: u64 = 512 << 20;
/// Read at once.
const CHUNK_BYTES: usize = 64 << 10;
/// What every file starts with that the kernel runs without another program.
const ELF: [u8; 4] = *b"\x7fELF";
/// Anybody may write it, or anybody may run it.
const OTHERS_WRITE: u32 = 0o002;
const ANY_EXECUTE: u32 = 0o111;

/// The program called `name`: the first of that name in the folders of `search`.
pub(super) fn resolve(name: &str, search: &[PathBuf]) -> Result<ExecProgram, ExecError> {
    let found = search.iter().map(|folder| folder.join(name)).find_map(|path| path.canonicalize().ok());
    let found = found.ok_or(ExecError::NotFound)?;
    let path = found.to_str().ok_or_else(|| unsupported(name, "its path is not UTF-8"))?.to_owned();
    let mut file = File::open(&found).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ExecError::NotFound,
        _ => ExecError::Unsupported(format!("`{path}` cannot be read: {error}")),
    })?;
    admit(name, &found, &file)?;
    Ok(ExecProgram { name: name.to_owned(), path, digest: hash(name, &mut file)? })
}

/// Refuses what cannot be run, and what other users could replace.
fn admit(name: &str, path: &Path, file: &File) -> Result<(), ExecError> {
    let about = file.metadata().map_err(|error| ExecError::Io(error.to_string()))?;
    let own = rustix::process::geteuid().as_raw();
    if !about.is_file() || about.mode() & ANY_EXECUTE == 0 {
        return Err(unsupported(name, "it is not an executable file"));
    }
    if about.mode() & OTHERS_WRITE != 0 || ![0, own].contains(&about.uid()) {
        let path = path.display();
        return Err(ExecError::Unsupported(format!("other users can change `{path}`")));
    }
    Ok(())
}

/// The digest of a program's file, from where it stands.
pub(crate) fn hash(name: &str, file: &mut File) -> Result<Digest, ExecError> {
    let (mut hasher, mut chunk, mut read) = (Sha256::new(), vec![0; CHUNK_BYTES], 0_u64);
    let mut file = file.take(FILE_BYTES_MAX.saturating_add(1));
    loop {
        let count = file.read(&mut chunk).map_err(|error| ExecError::Io(error.to_string()))?;
        let new = chunk.get(..count).unwrap_or_default();
        if read == 0 && !new.starts_with(&ELF) {
            let why = if new.starts_with(b"#!") { "it is a script" } else { "it is no compiled program" };
            return Err(unsupported(name, why));
        }
        read = read.saturating_add(count as u64);
        if read > FILE_BYTES_MAX {
            return Err(unsupported(name, "its file is too large"));
        }
        if count == 0 {
            return Ok(Digest::from_bytes(hasher.finalize().into()));
        }
        hasher.update(new);
    }
}

fn unsupported(name: &str, why: &str) -> ExecError {
    ExecError::Unsupported(format!("`{name}` cannot be run: {why}"))
}
