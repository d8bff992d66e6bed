//! The host's own folder, which nothing below a root may be: keys, grants and the journal lie in it.
//!
//! It is told by what it is, not only by where it lies. Whatever spelling leads to it (a bind mount,
//! a file system that ignores case), a look-up that ends in it passes through the folder itself, and
//! that has one device and inode number. The path is compared too, at no cost, for file systems that
//! make up these numbers as they go.

#![expect(
    clippy::disallowed_methods,
    reason = "the operator's own path is compared, nothing is opened by it"
)]

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Stat;

/// The reserved folder, seen from one root.
#[derive(Debug)]
pub(super) struct Reserved {
    device: u64,
    inode: u64,
    /// Its path below the root, where it lies there and its path is text; guests name nothing else.
    path: Option<String>,
    /// Its absolute path, where it lies below the root.
    absolute: Option<PathBuf>,
}

impl Reserved {
    /// How `folder` lies to the folder `root`; none if the root is in it.
    pub(super) fn seen_from(root: &Path, folder: &Path) -> io::Result<Option<Self>> {
        let stat = rustix::fs::stat(folder)?;
        let mut reserved = Self { device: stat.st_dev, inode: stat.st_ino, path: None, absolute: None };
        let root = root.canonicalize()?;
        for ancestor in root.ancestors() {
            if reserved.is(&rustix::fs::stat(ancestor)?) {
                return Ok(None);
            }
        }
        let below = folder.canonicalize()?;
        reserved.absolute = below.starts_with(&root).then(|| below.clone());
        reserved.path = below.strip_prefix(&root).ok().and_then(Path::to_str).map(ToOwned::to_owned);
        Ok(Some(reserved))
    }

    /// Its absolute path, if it lies below the root.
    pub(super) fn absolute(&self) -> Option<PathBuf> {
        self.absolute.clone()
    }

    /// Whether this is the folder itself.
    pub(super) fn is(&self, stat: &Stat) -> bool {
        (self.device, self.inode) == (stat.st_dev, stat.st_ino)
    }

    /// Whether `path` is the folder's, or that of something in it.
    pub(super) fn holds(&self, path: &str) -> bool {
        let below = self.path.as_deref().and_then(|folder| path.strip_prefix(folder));
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}
