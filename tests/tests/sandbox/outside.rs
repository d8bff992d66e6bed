//! A folder as it looks from outside, so that nothing that happens to it goes unseen.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Names, kinds, modes, times of change, contents and link targets of all that is in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen(BTreeMap<PathBuf, String>);

impl Seen {
    pub(crate) fn of(folder: &Path) -> Self {
        let mut found = BTreeMap::new();
        let mut open = vec![folder.to_owned()];
        while let Some(path) = open.pop() {
            let meta = fs::symlink_metadata(&path).unwrap();
            let content = if meta.is_dir() {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                String::new()
            } else if meta.is_symlink() {
                hex(fs::read_link(&path).unwrap().as_os_str().as_bytes())
            } else if meta.is_file() {
                hex(&fs::read(&path).unwrap())
            } else {
                format!("device {}", meta.rdev())
            };
            let (mode, inode) = (meta.mode(), meta.ino());
            let (changed, nanos) = (meta.mtime(), meta.mtime_nsec());
            found.insert(path, format!("{mode:o} {inode} {changed}.{nanos} {content}"));
        }
        Self(found)
    }

    /// One digest over all of it.
    pub(crate) fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for (path, what) in &self.0 {
            hasher.update(path.as_os_str().as_bytes());
            hasher.update([0]);
            hasher.update(what.as_bytes());
            hasher.update([0]);
        }
        hex(&hasher.finalize())
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
