//! Roots and the one way to open something below them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use authority::Denied;
use base::{Digest, Limits, RootName};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::lookup::{self, LOOK, READ, RESOLVE, open_beneath};
use super::reserved::Reserved;
use crate::trap::Stop;

/// Time is checked after each chunk of this size.
const CHUNK_BYTES: u64 = 1 << 20;
/// What is held of a file of which only the digest is wanted.
const DIGEST_CHUNK_BYTES: usize = 64 << 10;
/// The permission bits that a replacement keeps, and a removal that is taken back gives again.
pub(super) const KEPT_MODE: u32 = 0o777;

/// Folders by name, each opened once.
#[derive(Debug, Default)]
pub struct Roots(BTreeMap<RootName, Root>);

/// One open folder.
#[derive(Debug)]
pub struct Root {
    dir: OwnedFd,
    path: PathBuf,
    device: u64,
    inode: u64,
    reserved: Option<Reserved>,
}

/// A folder cannot be a root.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// It could not be opened.
    #[error("the folder `{}` of root `{name}` cannot be opened: {source}", .path.display())]
    Open {
        /// The root.
        name: RootName,
        /// Its folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// It is the reserved folder, or lies in it.
    #[error(
        "the folder `{}` of root `{name}` is in the home folder `{}`, which is never a root",
        .path.display(), .reserved.display()
    )]
    Reserved {
        /// The root.
        name: RootName,
        /// Its folder.
        path: PathBuf,
        /// The folder that no root may be in.
        reserved: PathBuf,
    },
}

impl Roots {
    /// Opens each folder. Symbolic links in these paths are followed: the operator typed them.
    ///
    /// # Errors
    /// If one of them is absent, not a folder, or not accessible.
    pub fn open(folders: impl IntoIterator<Item = (RootName, PathBuf)>) -> Result<Self, RootError> {
        let open = |(name, path): (RootName, PathBuf)| match Root::open(&path) {
            Ok(root) => Ok((name, root)),
            Err(source) => Err(RootError::Open { name, path, source }),
        };
        Ok(Self(folders.into_iter().map(open).collect::<Result<_, _>>()?))
    }

    /// The same roots, with `folder` out of reach: nothing that is it or lies in it is read,
    /// listed, staged or applied, whatever is granted.
    ///
    /// # Errors
    /// If a root is the folder or lies in it, or either can no longer be found.
    pub fn without(mut self, folder: &Path) -> Result<Self, RootError> {
        for (name, root) in &mut self.0 {
            let (name, path) = (name.clone(), root.path.clone());
            root.reserved = match Reserved::seen_from(&root.path, folder) {
                Ok(Some(reserved)) => Some(reserved),
                Ok(None) => return Err(RootError::Reserved { name, path, reserved: folder.to_owned() }),
                Err(source) => return Err(RootError::Open { name, path, source }),
            };
        }
        Ok(self)
    }

    /// The root called `name`.
    #[must_use]
    pub fn get(&self, name: &RootName) -> Option<&Root> {
        self.0.get(name)
    }

    /// All roots, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&RootName, &Root)> {
        self.0.iter()
    }

    pub(crate) fn find(&self, name: &RootName) -> Result<&Root, FileError> {
        self.get(name).ok_or(FileError::UnknownRoot)
    }
}

/// Why a file call failed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum FileError {
    #[error("nothing is there")]
    NotFound,
    #[error("something is already there")]
    Exists,
    #[error("not a regular file")]
    NotAFile,
    #[error("a parent is not a folder")]
    NotADirectory,
    #[error("larger than a call may take")]
    TooLarge,
    #[error("{0}")]
    InvalidPath(String),
    #[error("the pattern is not a glob")]
    InvalidGlob,
    #[error("no such root")]
    UnknownRoot,
    #[error("the path has a symbolic link, and those are not followed")]
    Symlink,
    #[error("the file system takes the name for another one, which it is not")]
    OtherName,
    #[error("the path is in the host's own folder")]
    Reserved,
    #[error("a folder cannot become a file in one call, nor a file a folder")]
    OtherKind,
    #[error("`{0}` is neither a regular file nor a folder, so the folder stays as it is")]
    Special(String),
    #[error("`{0}` holds a name that is not text, so the folder stays as it is")]
    Unnamed(String),
    #[error("{0}")]
    Denied(Box<Denied>),
    #[error("{0}")]
    Io(String),
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl From<std::io::Error> for FileError {
    fn from(error: std::io::Error) -> Self {
        error
            .raw_os_error()
            .map_or_else(|| Self::Io(error.to_string()), |code| Errno::from_raw_os_error(code).into())
    }
}

impl From<Errno> for FileError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT => Self::NotFound,
            Errno::EXIST => Self::Exists,
            Errno::NOTDIR => Self::NotADirectory,
            Errno::ISDIR | Errno::NXIO | Errno::NODEV => Self::NotAFile,
            Errno::LOOP => Self::Symlink,
            Errno::XDEV => Self::InvalidPath("the path leaves its root".to_owned()),
            Errno::NAMETOOLONG => Self::InvalidPath("a segment of the path is too long".to_owned()),
            other => Self::Io(std::io::Error::from(other).to_string()),
        }
    }
}

/// What can be named below a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
}

impl Root {
    fn open(path: &Path) -> std::io::Result<Self> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        // One that can be read and asked, beside being the start of look-ups.
        let dir = rustix::fs::openat(&dir, ".", READ | OFlags::DIRECTORY, Mode::empty())?;
        let stat = rustix::fs::fstat(&dir)?;
        let path = std::path::absolute(path)?;
        Ok(Self { dir, path, device: stat.st_dev, inode: stat.st_ino, reserved: None })
    }

    /// The absolute path it was opened at; the folder may have moved since.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The device number of the folder.
    #[must_use]
    pub fn device(&self) -> u64 {
        self.device
    }

    /// The inode number of the folder.
    #[must_use]
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// The absolute path of the reserved folder, if it lies below this one.
    pub(crate) fn reserved_below(&self) -> Option<PathBuf> {
        self.reserved.as_ref()?.absolute()
    }

    /// Opens the regular file at `path` for reading.
    pub(crate) fn open_file(&self, path: &str) -> Result<(File, Stat), FileError> {
        if self.reserved.as_ref().is_some_and(|reserved| reserved.holds(path)) {
            return Err(FileError::Reserved);
        }
        let (parent, name) = split_parent(path);
        lookup::open_named(self.open_dir(parent)?, name)
    }

    /// Opens the folder at `path`; empty for the root itself. Each folder on the way is looked at,
    /// which is little beside reading a file.
    pub(crate) fn open_dir(&self, path: &str) -> Result<OwnedFd, FileError> {
        if self.reserved.as_ref().is_some_and(|reserved| reserved.holds(path)) {
            return Err(FileError::Reserved);
        }
        let mut folder: Option<OwnedFd> = None;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let inner = lookup::enter(folder.as_ref().map_or(self.dir.as_fd(), AsFd::as_fd), name)?;
            if let Some(reserved) = &self.reserved
                && reserved.is(&rustix::fs::fstat(&inner)?)
            {
                return Err(FileError::Reserved);
            }
            folder = Some(inner);
        }
        folder.map_or_else(|| Ok(self.dir.try_clone()?), Ok)
    }

    /// The same for a walk that got the path from the folders themselves, so that the way down to
    /// there is not looked at again for each of them.
    pub(crate) fn open_next_dir(&self, path: &str) -> Result<OwnedFd, FileError> {
        let path = if path.is_empty() { "." } else { path };
        let dir = open_beneath(&self.dir, path, READ | OFlags::DIRECTORY)?;
        self.check_itself(path, &rustix::fs::fstat(&dir)?)?;
        Ok(dir)
    }

    /// Refuses a path that is the reserved folder's.
    fn check_itself(&self, path: &str, stat: &Stat) -> Result<(), FileError> {
        let is_reserved = |reserved: &Reserved| reserved.holds(path) || reserved.is(stat);
        if self.reserved.as_ref().is_some_and(is_reserved) { Err(FileError::Reserved) } else { Ok(()) }
    }

    /// What is at `path`, and its size (0 for a folder).
    pub(crate) fn stat(&self, path: &str) -> Result<(Kind, u64), FileError> {
        let (parent, name) = split_parent(path);
        let stat = lookup::look(self.open_dir(parent)?, name)?;
        self.check_itself(path, &stat)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok((Kind::File, size_of(&stat))),
            FileType::Directory => Ok((Kind::Directory, 0)),
            _ => Err(FileError::NotAFile),
        }
    }
}

/// Whether this kernel, and whatever filters its system calls, resolves paths as the roots need it:
/// `openat2` works, and refuses to leave the folder it starts from.
#[must_use]
pub fn enforces_beneath() -> bool {
    let look = |path| rustix::fs::openat2(rustix::fs::CWD, path, LOOK, Mode::empty(), RESOLVE);
    look(".").is_ok() && matches!(look("..").map(drop), Err(Errno::XDEV))
}

/// The folder that `path` is in (empty for the root), and its last segment.
pub(crate) fn split_parent(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Largest file that is read or replaced, in bytes.
pub(super) const FILE_BYTES_MAX: u64 = Limits::CEILING.host_call_bytes;

/// The permission bits that are kept of a file or folder.
pub(super) fn permissions(stat: &Stat) -> u32 {
    stat.st_mode & KEPT_MODE
}

/// The digest of all of `file` and its length, without holding it. `count` is told each chunk.
pub(super) fn digest_all(
    (mut file, stat): (File, Stat),
    count: &mut dyn FnMut(u64) -> Result<(), Stop>,
) -> Result<(Digest, u64), FileError> {
    if size_of(&stat) > FILE_BYTES_MAX {
        return Err(FileError::TooLarge);
    }
    let (mut hasher, mut length) = (Sha256::new(), 0_u64);
    let mut chunk = vec![0; DIGEST_CHUNK_BYTES];
    loop {
        let read = file.read(&mut chunk).map_err(|error| FileError::Io(error.to_string()))?;
        let read_bytes = chunk.get(..read).unwrap_or_default();
        if read_bytes.is_empty() {
            return Ok((Digest::from_bytes(hasher.finalize().into()), length));
        }
        hasher.update(read_bytes);
        length = length.saturating_add(read_bytes.len() as u64);
        count(read_bytes.len() as u64)?;
        if length > FILE_BYTES_MAX {
            return Err(FileError::TooLarge);
        }
    }
}

pub(crate) fn size_of(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// Reads all of `file`, at most `max` bytes, asking `go_on` between chunks.
pub(crate) fn read_all(
    (mut file, stat): (File, Stat),
    max: u64,
    go_on: &dyn Fn() -> Result<(), Stop>,
) -> Result<Vec<u8>, FileError> {
    if size_of(&stat) > max {
        return Err(FileError::TooLarge);
    }
    // One byte more than the size: enough to see the end, in one read, of a file that stays as it is.
    let mut contents = Vec::with_capacity(usize::try_from(size_of(&stat)).unwrap_or(0).saturating_add(1));
    loop {
        let read = (&mut file).take(CHUNK_BYTES).read_to_end(&mut contents);
        let read = read.map_err(|error| FileError::Io(error.to_string()))?;
        go_on()?;
        if contents.len() as u64 > max {
            return Err(FileError::TooLarge);
        }
        if read == 0 {
            return Ok(contents);
        }
    }
}
