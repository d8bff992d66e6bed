//! Applying one approved change to disk, so that a crash at any point can be repeated.
//!
//! The new content is written beside the target under a name derived from the caller's key
//! (`.capstan-<key>.part`), synced, renamed to `.capstan-<key>.new`, and then takes the target's name in one
//! `renameat2`. A replacement *exchanges* the two, so what the target held comes out under the
//! temporary name and is verified; if it is not what was approved, it is exchanged back. A deletion
//! renames the target away, verifies, and only then unlinks. Whatever a crash leaves behind under
//! those names is settled first by the next call with the same key. Folders are in [`folder`].

mod folder;

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;

use base::{Change, ChangeSet, Digest, FramedHasher, Probe, RootName};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, RenameFlags, Uid};
use rustix::io::Errno;

use super::NEW_FILE_MODE;
use super::lookup::open_named;
use super::roots::{FILE_BYTES_MAX, FileError, KEPT_MODE, Root, Roots, read_all, split_parent};

/// The points that [`apply`] tells its probe, in the order a replacement reaches them, and then
/// those of folders.
pub const LABELS: &[&str] = &[
    "apply:start",
    "apply:part-written",
    "apply:part-synced",
    "apply:ready",
    "apply:swapped",
    "apply:verified",
    "apply:done",
    "apply:folder-ready",
    "apply:folder-made",
    "apply:folder-removed",
];

/// What [`apply`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// How the change came about.
    pub how: AppliedHow,
    /// What the target held before, where this call or the one that crashed took it out.
    pub pre_image: Option<Vec<u8>>,
}

/// How a change came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppliedHow {
    /// The file or folder was created; nothing was there.
    Created,
    /// The file was exchanged for the new one in one step.
    Exchanged,
    /// The file or folder was removed.
    Removed,
    /// The disk was already as it should be.
    Already,
    /// The file system cannot exchange or refuse to overwrite, so the new file was renamed over the
    /// target right after a second check.
    RenamedFallback,
}

impl AppliedHow {
    /// The name used in receipts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Exchanged => "exchanged",
            Self::Removed => "removed",
            Self::Already => "already",
            Self::RenamedFallback => "renamed_fallback",
        }
    }
}

/// A change was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The target is not as it was when the change was staged.
    #[error("`{path}` is no longer as it was when the change was staged")]
    Conflict {
        /// The target.
        path: String,
        /// What it holds; none if it is absent or no regular file.
        found: Option<Digest>,
    },
    /// The bytes are not the ones that the change names.
    #[error("the new content of `{path}` is not the content that was approved")]
    Content {
        /// The target.
        path: String,
    },
    /// The path breaks a rule, its root is unknown, or its folder is gone.
    #[error("`{path}` cannot be reached: {reason}")]
    Unreachable {
        /// The target.
        path: String,
        /// Why, in a few words.
        reason: String,
    },
    /// The operating system failed.
    #[error("`{path}`: {reason}")]
    Io {
        /// The target.
        path: String,
        /// Its message.
        reason: String,
    },
}

/// What the disk holds at a change's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDisk {
    /// What the change expects to find.
    Pre,
    /// What the change leaves.
    Post,
    /// Anything else; the digest if it is a regular file.
    Other(Option<Digest>),
}

/// Applies `change`, whose new content is `bytes` (none for a deletion). `key` names this effect,
/// and no other: a repetition after a crash brings the same key.
///
/// # Errors
/// If the target is not as the change expects, and if anything fails on the way. The target is then
/// as it was; where even that could not be done, as on a failing disk, a repetition with the same key
/// settles it.
pub fn apply(
    roots: &Roots,
    change: &Change,
    bytes: Option<&[u8]>,
    key: &str,
    probe: &dyn Probe,
) -> Result<Applied, ApplyError> {
    if bytes.map(Digest::of) != change.post {
        return Err(ApplyError::Content { path: change.path.clone() });
    }
    let Some(target) = Target::open(roots, change, key, probe)? else {
        // What is to go is gone, with the folder that it was in.
        return Ok(Applied { how: AppliedHow::Already, pre_image: None });
    };
    probe.reach("apply:start");
    if change.kind.is_of_folder() {
        let how = folder::apply(&target)?;
        probe.reach("apply:done");
        return Ok(Applied { how, pre_image: None });
    }
    let pre_image = target.settle()?;
    let (on_disk, there) = target.look()?;
    let how = match (on_disk, bytes) {
        (OnDisk::Post, _) => {
            // The process that made it so may have died before that was durable.
            target.sync()?;
            return Ok(Applied { how: AppliedHow::Already, pre_image });
        }
        (OnDisk::Other(found), _) => return Err(target.conflict(found)),
        (OnDisk::Pre, None) => target.remove(),
        (OnDisk::Pre, Some(bytes)) => target.put(bytes, &there),
    }?;
    probe.reach("apply:done");
    let pre_image = if let There::File { contents, .. } = there { Some(contents) } else { None };
    Ok(Applied { how, pre_image })
}

/// Says what the disk holds at the path of a change that is one of `set`. A folder that is to be
/// removed is as before only if all that is in it goes with it.
///
/// # Errors
/// If it cannot be read.
pub fn state(roots: &Roots, change: &Change, set: &ChangeSet) -> Result<OnDisk, ApplyError> {
    if change.kind.is_of_folder() {
        return folder::state(roots, change, set);
    }
    let contents = content(roots, &change.root, &change.path);
    match contents {
        Ok(contents) => Ok(compare(change, contents.as_deref().map(Digest::of))),
        Err(FileProblem::NotAFile) => Ok(OnDisk::Other(None)),
        Err(FileProblem::Apply(error)) => Err(error),
    }
}

/// Why [`content`] has no content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// There is something, and it is no regular file.
    #[error("not a regular file")]
    NotAFile,
    /// It cannot be read.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// The content of the regular file at `path`; none if nothing is there.
///
/// # Errors
/// If something else is there, or it cannot be read.
pub fn content(roots: &Roots, root: &RootName, path: &str) -> Result<Option<Vec<u8>>, FileProblem> {
    let read = || {
        check(path)?;
        read_all(roots.find(root)?.open_file(path)?, FILE_BYTES_MAX, &|| Ok(()))
    };
    match read() {
        Ok(contents) => Ok(Some(contents)),
        Err(FileError::NotFound | FileError::NotADirectory) => Ok(None),
        Err(FileError::NotAFile | FileError::Symlink) => Err(FileProblem::NotAFile),
        Err(error) => Err(failed(path, &error).into()),
    }
}

fn check(path: &str) -> Result<(), FileError> {
    authority::check_path(path).map_err(|error| FileError::InvalidPath(error.to_string()))
}

fn failed(path: &str, error: &FileError) -> ApplyError {
    let (path, reason) = (path.to_owned(), error.to_string());
    match error {
        FileError::Io(_) | FileError::TooLarge => ApplyError::Io { path, reason },
        _ => ApplyError::Unreachable { path, reason },
    }
}

fn compare(change: &Change, found: Option<Digest>) -> OnDisk {
    if found == change.post {
        OnDisk::Post
    } else if found == change.pre {
        OnDisk::Pre
    } else {
        OnDisk::Other(found)
    }
}

/// What a name in the target's folder stands for.
enum There {
    Nothing,
    File { contents: Vec<u8>, digest: Digest, mode: u32, owner: (u32, u32) },
    Special,
}

impl There {
    fn digest(&self) -> Option<Digest> {
        if let Self::File { digest, .. } = self { Some(*digest) } else { None }
    }
}

/// The file that a change is about: its folder, opened, and the names used in it.
struct Target<'a> {
    root: &'a Root,
    change: &'a Change,
    dir: OwnedFd,
    name: &'a str,
    part: String,
    new: String,
    probe: &'a dyn Probe,
}

impl<'a> Target<'a> {
    fn open(
        roots: &'a Roots,
        change: &'a Change,
        key: &str,
        probe: &'a dyn Probe,
    ) -> Result<Option<Self>, ApplyError> {
        let (parent, name) = split_parent(&change.path);
        let open = || {
            check(&change.path)?;
            let root = roots.find(&change.root)?;
            Ok((root, root.open_dir(parent)?))
        };
        let (root, dir) = match open() {
            Ok(opened) => opened,
            Err(FileError::NotFound | FileError::NotADirectory) if change.kind.removes() => return Ok(None),
            Err(error) => return Err(failed(&change.path, &error)),
        };
        let hash = FramedHasher::new("capstan/apply/v1").field(key).field(&change.path).finish().short();
        let (part, new) = (format!(".capstan-{hash}.part"), format!(".capstan-{hash}.new"));
        Ok(Some(Self { root, change, dir, name, part, new, probe }))
    }

    fn conflict(&self, found: Option<Digest>) -> ApplyError {
        ApplyError::Conflict { path: self.change.path.clone(), found }
    }

    fn io(&self, error: impl Into<std::io::Error>) -> ApplyError {
        ApplyError::Io { path: self.change.path.clone(), reason: error.into().to_string() }
    }

    fn there(&self, name: &str) -> Result<There, ApplyError> {
        let read = || {
            let (file, stat) = open_named(&self.dir, name)?;
            let contents = read_all((file, stat), FILE_BYTES_MAX, &|| Ok(()))?;
            let digest = Digest::of(&contents);
            Ok(There::File { contents, digest, mode: stat.st_mode, owner: (stat.st_uid, stat.st_gid) })
        };
        match read() {
            Ok(there) => Ok(there),
            Err(FileError::NotFound) => Ok(There::Nothing),
            Err(FileError::NotAFile | FileError::Symlink) => Ok(There::Special),
            Err(error) => Err(failed(&self.change.path, &error)),
        }
    }

    fn look(&self) -> Result<(OnDisk, There), ApplyError> {
        let there = self.there(self.name)?;
        let state = match &there {
            There::Special => OnDisk::Other(None),
            there => compare(self.change, there.digest()),
        };
        Ok((state, there))
    }

    /// Settles what a crash of an earlier call with the same key left behind, and returns the old
    /// content if that call took it out and its change stands.
    fn settle(&self) -> Result<Option<Vec<u8>>, ApplyError> {
        self.unlink(&self.part)?;
        let left = self.there(&self.new)?;
        match &left {
            There::Nothing => return Ok(None),
            // Ready and never swapped in, or swapped for the same content.
            There::File { digest, .. } if Some(*digest) == self.change.post => {
                self.unlink(&self.new)?;
                return Ok(None);
            }
            // Swapped out, and it was what the change expected.
            There::File { digest, contents, .. } if Some(*digest) == self.change.pre => {
                let (state, _) = self.look()?;
                if let OnDisk::Other(found) = state {
                    // The change was made, and then somebody changed the file again. The old content
                    // stays where it is: it may be the last copy.
                    return Err(self.conflict(found));
                }
                self.unlink(&self.new)?;
                self.sync()?;
                return Ok((state == OnDisk::Post).then(|| contents.clone()));
            }
            There::File { .. } | There::Special => {}
        }
        // Swapped out, and it was something else: the crash came before it was put back.
        self.put_back()?;
        Err(self.conflict(left.digest()))
    }

    /// Gives what lies under the temporary name its own name again.
    fn put_back(&self) -> Result<(), ApplyError> {
        let flags = if self.change.post.is_some() { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
        self.rename(&self.new, self.name, flags)?;
        // What comes out of an exchange is what this call wrote; anything else is left alone.
        if self.change.post.is_some() && self.there(&self.new)?.digest() == self.change.post {
            self.unlink(&self.new)?;
        }
        self.sync()
    }

    /// Creates or replaces the target.
    fn put(&self, bytes: &[u8], before: &There) -> Result<AppliedHow, ApplyError> {
        self.write_part(bytes, before)?;
        self.rename(&self.part, &self.new, RenameFlags::empty())?;
        self.probe.reach("apply:ready");
        let swapped = self.in_place().and_then(|()| match before {
            There::Nothing => self.swap_in_new(),
            _ => self.swap_in_replacement(),
        });
        if swapped.is_err() {
            // Not swapped, or swapped back: what is left under the temporary name is ours.
            if self.there(&self.new)?.digest() == self.change.post {
                self.unlink(&self.new)?;
            }
        }
        swapped
    }

    fn write_part(&self, bytes: &[u8], before: &There) -> Result<(), ApplyError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let part = rustix::fs::openat(&self.dir, &self.part, flags, Mode::from_raw_mode(0o600));
        let mut part = File::from(part.map_err(|error| self.io(error))?);
        let written = part.write_all(bytes).map_err(|error| self.io(error)).and_then(|()| {
            self.probe.reach("apply:part-written");
            let mode = if let There::File { mode, owner: (user, group), .. } = before {
                // Not permitted to most users, and then the file is theirs like any they write.
                let _unchanged =
                    rustix::fs::fchown(&part, Some(Uid::from_raw(*user)), Some(Gid::from_raw(*group)));
                mode & KEPT_MODE
            } else {
                self.change.mode.map_or(NEW_FILE_MODE, |mode| mode & KEPT_MODE)
            };
            rustix::fs::fchmod(&part, Mode::from_raw_mode(mode)).map_err(|error| self.io(error))?;
            part.sync_all().map_err(|error| self.io(error))
        });
        if written.is_err() {
            self.unlink(&self.part)?;
        }
        self.probe.reach("apply:part-synced");
        written
    }

    fn swap_in_new(&self) -> Result<AppliedHow, ApplyError> {
        let how = match rustix::fs::renameat_with(
            &self.dir,
            &self.new,
            &self.dir,
            self.name,
            RenameFlags::NOREPLACE,
        ) {
            Ok(()) => AppliedHow::Created,
            Err(Errno::EXIST) => return Err(self.conflict(self.there(self.name)?.digest())),
            Err(error) if unsupported(error) => self.rename_over(None)?,
            Err(error) => return Err(self.io(error)),
        };
        self.probe.reach("apply:swapped");
        self.probe.reach("apply:verified");
        self.sync()?;
        Ok(how)
    }

    fn swap_in_replacement(&self) -> Result<AppliedHow, ApplyError> {
        match rustix::fs::renameat_with(&self.dir, &self.new, &self.dir, self.name, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Err(self.conflict(None)),
            Err(error) if unsupported(error) => {
                let how = self.rename_over(self.change.pre)?;
                self.sync()?;
                return Ok(how);
            }
            Err(error) => return Err(self.io(error)),
        }
        self.probe.reach("apply:swapped");
        let out = self.there(&self.new)?.digest();
        if out != self.change.pre {
            self.put_back()?;
            return Err(self.conflict(out));
        }
        self.probe.reach("apply:verified");
        // The new content is safe on disk before the old one goes.
        self.sync()?;
        self.unlink(&self.new)?;
        self.sync()?;
        Ok(AppliedHow::Exchanged)
    }

    /// For file systems without `renameat2`: look again, then rename.
    fn rename_over(&self, expected: Option<Digest>) -> Result<AppliedHow, ApplyError> {
        let there = self.there(self.name)?;
        if matches!(there, There::Special) || there.digest() != expected {
            return Err(self.conflict(there.digest()));
        }
        self.rename(&self.new, self.name, RenameFlags::empty())?;
        Ok(AppliedHow::RenamedFallback)
    }

    fn remove(&self) -> Result<AppliedHow, ApplyError> {
        self.in_place()?;
        match rustix::fs::renameat_with(&self.dir, self.name, &self.dir, &self.new, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Err(self.conflict(None)),
            // The temporary name is this effect's own and was settled: nothing is there to overwrite.
            Err(error) if unsupported(error) => self.rename(self.name, &self.new, RenameFlags::empty())?,
            Err(error) => return Err(self.io(error)),
        }
        self.probe.reach("apply:swapped");
        let out = self.there(&self.new)?.digest();
        if out != self.change.pre {
            self.put_back()?;
            return Err(self.conflict(out));
        }
        self.probe.reach("apply:verified");
        self.unlink(&self.new)?;
        self.sync()?;
        Ok(AppliedHow::Removed)
    }

    /// Whether the folder is still the one at its path: it may have been moved out of the root since
    /// it was opened.
    fn in_place(&self) -> Result<(), ApplyError> {
        let moved = |reason: String| ApplyError::Unreachable { path: self.change.path.clone(), reason };
        let again = self.root.open_dir(split_parent(&self.change.path).0);
        let again = again.map_err(|error| moved(error.to_string()))?;
        let identity = |fd: &OwnedFd| rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
        if identity(&again).map_err(|error| self.io(error))?
            != identity(&self.dir).map_err(|error| self.io(error))?
        {
            return Err(moved("its folder was moved".to_owned()));
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str, flags: RenameFlags) -> Result<(), ApplyError> {
        rustix::fs::renameat_with(&self.dir, from, &self.dir, to, flags).map_err(|error| self.io(error))
    }

    fn unlink(&self, name: &str) -> Result<(), ApplyError> {
        match rustix::fs::unlinkat(&self.dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.io(error)),
        }
    }

    /// Makes renames and removals in the folder durable.
    fn sync(&self) -> Result<(), ApplyError> {
        match rustix::fs::fsync(&self.dir) {
            // Some file systems cannot sync folders.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(error) => Err(self.io(error)),
        }
    }
}

/// Whether the file system lacks the flag.
fn unsupported(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}
