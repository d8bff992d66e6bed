//! Roots and the one way to open something below them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use base::RootName;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::reserved::Reserved;
use crate::trap::Stop;

/// What every look-up below a root obeys.
const RESOLVE: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
/// For reading. `O_NONBLOCK`, so that opening a FIFO does not wait for its other end.
const READ: OFlags = OFlags::CLOEXEC.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
/// For looking. The kernel takes no other flags with `O_PATH`.
const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
/// The kernel answers `EAGAIN` when something on the path was renamed meanwhile.
const RACE_RETRIES: usize = 16;
/// Time is checked after each chunk of this size.
const CHUNK_BYTES: u64 = 1 << 20;

/// Folders by name, each opened once.
#[derive(Debug, Default)]
pub struct Roots(BTreeMap<RootName, Root>);

/// One open folder.
#[derive(Debug)]
pub struct Root {
    dir: Dir,
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
    #[error("the path is in the host's own folder")]
    Reserved,
    #[error("the call touches too many files")]
    TooMany,
    #[error("{0}")]
    Io(String),
    #[error(transparent)]
    Stopped(#[from] Stop),
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
        self.check_parents(path)?;
        open_file(&self.dir, path)
    }

    /// Opens the folder at `path`; empty for the root itself.
    pub(crate) fn open_dir(&self, path: &str) -> Result<OwnedFd, FileError> {
        self.check_parents(path)?;
        self.open_next_dir(path)
    }

    /// The same for a walk that has opened the folder's parent before it, so that the way down to
    /// there is not checked again for each folder.
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

    /// Refuses a path that leads through the reserved folder, by looking at each folder on the way:
    /// a look-up of one name each, which is little beside reading a file. That is a check and not
    /// the look-up itself, but only who may move the reserved folder could come between the two.
    fn check_parents(&self, path: &str) -> Result<(), FileError> {
        let Some(reserved) = &self.reserved else { return Ok(()) };
        if reserved.holds(path) {
            return Err(FileError::Reserved);
        }
        let mut above: Option<OwnedFd> = None;
        for name in split_parent(path).0.split('/').filter(|name| !name.is_empty()) {
            let from = above.as_ref().map_or(self.dir.as_fd(), AsFd::as_fd);
            let dir = open_beneath(from, name, LOOK | OFlags::DIRECTORY)?;
            if reserved.is(&rustix::fs::fstat(&dir)?) {
                return Err(FileError::Reserved);
            }
            above = Some(dir);
        }
        Ok(())
    }

    /// What is at `path`, and its size (0 for a folder).
    pub(crate) fn stat(&self, path: &str) -> Result<(Kind, u64), FileError> {
        self.check_parents(path)?;
        let stat = rustix::fs::fstat(open_beneath(&self.dir, path, LOOK)?)?;
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

/// Opens `path` below `dir` without following any link.
fn open_beneath(dir: impl AsFd, path: &str, flags: OFlags) -> Result<OwnedFd, FileError> {
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(&dir, path, flags, Mode::empty(), RESOLVE) {
            Err(Errno::AGAIN | Errno::INTR) if tries < RACE_RETRIES => tries += 1,
            result => return Ok(result?),
        }
    }
}

/// Opens the regular file at `path` below `dir` for reading.
pub(crate) fn open_file(dir: impl AsFd, path: &str) -> Result<(File, Stat), FileError> {
    let file = open_beneath(dir, path, READ)?;
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(FileError::NotAFile);
    }
    Ok((File::from(file), stat))
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
