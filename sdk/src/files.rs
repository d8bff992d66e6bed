//! Files below a named root: capabilities `files-read` and `files-write`.
//!
//! Paths are relative to the root, `/` between segments. The host refuses whatever is outside the
//! granted scope with [`Reason::Denied`], and symbolic links always.

use std::fmt;

use crate::host::types::FileError;
use crate::host::{files_read, files_write};

pub use crate::host::files_read::{Kind, Metadata};

/// A file call that failed: where, and why.
///
/// `?` turns it into a `String` or into the WIT type `capstan:host/types.file-error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The root named in the call.
    pub root: String,
    /// The path, or for a listing the glob, named in the call.
    pub path: String,
    /// What went wrong.
    pub reason: Reason,
}

/// Why a file call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Outside the pack's authority; the text is the host's and names the grant that is missing.
    Denied(String),
    /// Nothing is there.
    NotFound,
    /// Something is there already.
    Exists,
    /// A directory or a special file.
    NotAFile,
    /// A parent is not a directory, or the path itself where one is needed.
    NotADirectory,
    /// Not a legal path; the text says which rule it breaks.
    InvalidPath(String),
    /// Over a limit of the call.
    TooLarge,
    /// Read as text, and not UTF-8.
    NotText,
    /// The operating system failed; the text is its message.
    Io(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(why) => write!(f, "denied: {why}"),
            Self::NotFound => f.write_str("not found"),
            Self::Exists => f.write_str("already exists"),
            Self::NotAFile => f.write_str("not a regular file"),
            Self::NotADirectory => f.write_str("the path or a parent is not a directory"),
            Self::InvalidPath(why) => write!(f, "invalid path: {why}"),
            Self::TooLarge => f.write_str("too large"),
            Self::NotText => f.write_str("not UTF-8 text"),
            Self::Io(why) => write!(f, "input/output error: {why}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}:{}`: {}", self.root, self.path, self.reason)
    }
}

impl std::error::Error for Error {}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.to_string()
    }
}

impl From<FileError> for Reason {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Denied(why) => Self::Denied(why),
            FileError::NotFound => Self::NotFound,
            FileError::Exists => Self::Exists,
            FileError::NotAFile => Self::NotAFile,
            FileError::NotADirectory => Self::NotADirectory,
            FileError::InvalidPath(why) => Self::InvalidPath(why),
            FileError::TooLarge => Self::TooLarge,
            FileError::Io(why) => Self::Io(why),
        }
    }
}

impl From<Error> for FileError {
    fn from(error: Error) -> Self {
        match error.reason {
            Reason::Denied(why) => Self::Denied(why),
            Reason::NotFound => Self::NotFound,
            Reason::Exists => Self::Exists,
            Reason::NotAFile => Self::NotAFile,
            Reason::NotADirectory => Self::NotADirectory,
            Reason::InvalidPath(why) => Self::InvalidPath(why),
            Reason::TooLarge => Self::TooLarge,
            Reason::NotText => Self::Io(Reason::NotText.to_string()),
            Reason::Io(why) => Self::Io(why),
        }
    }
}

fn located<T>(root: &str, path: &str, result: Result<T, FileError>) -> Result<T, Error> {
    result.map_err(|error| Error { root: root.to_owned(), path: path.to_owned(), reason: error.into() })
}

/// Every regular file below `root` that matches `glob` and lies in the granted scope, sorted by bytes.
///
/// Source: `capstan:host/files-read.list`, all pages.
///
/// # Errors
/// If the host refuses or cannot list.
pub fn list(root: &str, glob: &str) -> Result<Vec<String>, Error> {
    let mut paths = Vec::new();
    let mut cursor = None;
    loop {
        let page = located(root, glob, files_read::list(root, glob, cursor.as_deref()))?;
        paths.extend(page.paths);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(paths);
        }
    }
}

/// What is at `path`: file or directory, and its size in bytes.
///
/// Source: `capstan:host/files-read.stat`.
///
/// # Errors
/// If the host refuses, or nothing is there.
pub fn stat(root: &str, path: &str) -> Result<Metadata, Error> {
    located(root, path, files_read::stat(root, path))
}

/// The whole contents of a regular file.
///
/// Source: `capstan:host/files-read.read`.
///
/// # Errors
/// If the host refuses or cannot read it.
pub fn read(root: &str, path: &str) -> Result<Vec<u8>, Error> {
    located(root, path, files_read::read(root, path))
}

/// The whole contents of a regular file as text.
///
/// # Errors
/// As [`read`], and [`Reason::NotText`] if the contents are not UTF-8.
pub fn read_text(root: &str, path: &str) -> Result<String, Error> {
    String::from_utf8(read(root, path)?).map_err(|_| Error {
        root: root.to_owned(),
        path: path.to_owned(),
        reason: Reason::NotText,
    })
}

/// Stages `contents` as the whole file at `path`. The host applies it after approval; until then
/// only this operation's own reads see it.
///
/// Source: `capstan:host/files-write.write`.
///
/// # Errors
/// If the host refuses, always so in an operation of effect `pure` or `read`.
pub fn write(root: &str, path: &str, contents: impl AsRef<[u8]>) -> Result<(), Error> {
    located(root, path, files_write::write(root, path, contents.as_ref()))
}

/// Stages the removal of the regular file at `path`.
///
/// Source: `capstan:host/files-write.remove`.
///
/// # Errors
/// If the host refuses, or no regular file is there.
pub fn remove(root: &str, path: &str) -> Result<(), Error> {
    located(root, path, files_write::remove(root, path))
}

/// Stages an empty folder at `path`. The folder that it is in must be there.
///
/// Source: `capstan:host/files-write.create-dir`.
///
/// # Errors
/// If the host refuses, or something is at `path`.
pub fn create_dir(root: &str, path: &str) -> Result<(), Error> {
    located(root, path, files_write::create_dir(root, path))
}

/// Stages that what is at `source`, a file or a folder with all that is in it, is at `target`.
///
/// Source: `capstan:host/files-write.rename`. The error names `source`.
///
/// # Errors
/// If the host refuses, nothing is at `source`, or something is at `target`.
pub fn rename(root: &str, source: &str, target: &str) -> Result<(), Error> {
    located(root, source, files_write::rename(root, source, target))
}

/// Stages the removal of the folder at `path` with all that is in it.
///
/// Source: `capstan:host/files-write.remove-tree`.
///
/// # Errors
/// If the host refuses, always so in an operation of another effect than `destructive`.
pub fn remove_tree(root: &str, path: &str) -> Result<(), Error> {
    located(root, path, files_write::remove_tree(root, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons() -> Vec<(FileError, &'static str)> {
        vec![
            (FileError::Denied("no grant".into()), "`workspace:a/b`: denied: no grant"),
            (FileError::NotFound, "`workspace:a/b`: not found"),
            (FileError::Exists, "`workspace:a/b`: already exists"),
            (FileError::NotAFile, "`workspace:a/b`: not a regular file"),
            (FileError::NotADirectory, "`workspace:a/b`: the path or a parent is not a directory"),
            (
                FileError::InvalidPath("a `..` segment".into()),
                "`workspace:a/b`: invalid path: a `..` segment",
            ),
            (FileError::TooLarge, "`workspace:a/b`: too large"),
            (FileError::Io("disk".into()), "`workspace:a/b`: input/output error: disk"),
        ]
    }

    #[test]
    fn an_error_says_where_and_why() {
        for (cause, text) in reasons() {
            let error = located::<()>("workspace", "a/b", Err(cause)).unwrap_err();
            assert_eq!(error.to_string(), text);
            assert_eq!(String::from(error), text);
        }
    }

    #[test]
    fn the_hosts_error_survives_the_round_trip() {
        for (cause, _) in reasons() {
            let error = located::<()>("workspace", "a/b", Err(cause.clone())).unwrap_err();
            assert_eq!(FileError::from(error), cause);
        }
    }
}
