//! Folders that are made and removed. Each takes its name, or loses it, in one step.

use base::{Change, ChangeKind, ChangeSet, RootName};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::{AppliedHow, ApplyError, OnDisk, Target, check, failed, unsupported};
use crate::files::NEW_FOLDER_MODE;
use crate::files::roots::{FileError, KEPT_MODE, Kind, Root, Roots};

/// See [`super::state`].
pub(super) fn state(roots: &Roots, change: &Change, set: &ChangeSet) -> Result<OnDisk, ApplyError> {
    let look = || {
        check(&change.path)?;
        let root = roots.find(&change.root)?;
        Ok((root, root.stat(&change.path)))
    };
    let (root, found) = look().map_err(|error: FileError| failed(&change.path, &error))?;
    let is_there = match found {
        Ok((Kind::Directory, _)) => true,
        Err(FileError::NotFound | FileError::NotADirectory) => false,
        Ok((Kind::File, _)) | Err(FileError::NotAFile | FileError::Symlink) => {
            return Ok(OnDisk::Other(None));
        }
        Err(error) => return Err(failed(&change.path, &error)),
    };
    Ok(match (change.kind, is_there) {
        (ChangeKind::RemoveDir, true) if !goes_whole(root, change, set)? => OnDisk::Other(None),
        (ChangeKind::RemoveDir, is_there) => {
            if is_there {
                OnDisk::Pre
            } else {
                OnDisk::Post
            }
        }
        (_, is_there) => {
            if is_there {
                OnDisk::Post
            } else {
                OnDisk::Pre
            }
        }
    })
}

/// Whether all that is in the folder goes before it does. What an apply that was cut off has left
/// there goes too: its repetition takes it away.
fn goes_whole(root: &Root, change: &Change, set: &ChangeSet) -> Result<bool, ApplyError> {
    let names = || {
        let dir = root.open_dir(&change.path)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&dir)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if !matches!(name.as_slice(), b"." | b"..") {
                names.push(name);
            }
        }
        Ok(names)
    };
    let names = names().map_err(|error: FileError| failed(&change.path, &error))?;
    let goes = |name: &[u8]| {
        std::str::from_utf8(name).is_ok_and(|name| {
            is_temporary(name) || is_removed(set, &change.root, &format!("{}/{name}", change.path))
        })
    };
    Ok(names.iter().all(|name| goes(name)))
}

/// Whether a name is one of those that changes pass through.
fn is_temporary(name: &str) -> bool {
    name.starts_with(".capstan-") && (name.ends_with(".part") || name.ends_with(".new"))
}

fn is_removed(set: &ChangeSet, root: &RootName, path: &str) -> bool {
    let changes = set.changes();
    let found = changes.binary_search_by(|other| (&other.root, other.path.as_str()).cmp(&(root, path)));
    found.ok().and_then(|at| changes.get(at)).is_some_and(|change| change.kind.removes())
}

/// See [`super::apply`].
pub(super) fn apply(target: &Target<'_>) -> Result<AppliedHow, ApplyError> {
    settle(target)?;
    target.in_place()?;
    let is_there = match target.root.stat(&target.change.path) {
        Ok((Kind::Directory, _)) => true,
        Err(FileError::NotFound) => false,
        Ok((Kind::File, _)) | Err(FileError::NotAFile | FileError::Symlink) => {
            return Err(target.conflict(None));
        }
        Err(error) => return Err(failed(&target.change.path, &error)),
    };
    if is_there == (target.change.kind == ChangeKind::CreateDir) {
        target.sync()?;
        return Ok(AppliedHow::Already);
    }
    if is_there { remove(target) } else { make(target) }
}

/// Takes away the folder that a crash left under the temporary name. It is empty: only this makes it.
fn settle(target: &Target<'_>) -> Result<(), ApplyError> {
    match rustix::fs::unlinkat(&target.dir, &target.new, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(target.io(error)),
    }
}

/// Makes it under the temporary name, so that it has its permissions when it takes its own.
fn make(target: &Target<'_>) -> Result<AppliedHow, ApplyError> {
    let mode = target.change.mode.map_or(NEW_FOLDER_MODE, |mode| mode & KEPT_MODE);
    let made = rustix::fs::mkdirat(&target.dir, &target.new, Mode::from_raw_mode(mode)).and_then(|()| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(&target.dir, &target.new, flags, Mode::empty())?;
        // The process's own mask may have taken some of them.
        rustix::fs::fchmod(&folder, Mode::from_raw_mode(mode))
    });
    made.map_err(|error| target.io(error))?;
    target.probe.reach("apply:folder-ready");
    let named = match rename(target, RenameFlags::NOREPLACE) {
        // Without the flag a folder takes the place of no file, and of an empty folder at most.
        Err(error) if unsupported(error) => rename(target, RenameFlags::empty()),
        named => named,
    };
    if let Err(error) = named {
        settle(target)?;
        return Err(match error {
            Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR => target.conflict(None),
            error => target.io(error),
        });
    }
    target.probe.reach("apply:folder-made");
    target.sync()?;
    Ok(AppliedHow::Created)
}

fn rename(target: &Target<'_>, flags: RenameFlags) -> Result<(), Errno> {
    rustix::fs::renameat_with(&target.dir, &target.new, &target.dir, target.name, flags)
}

/// Only an empty folder goes, so nothing goes with it that nobody saw.
fn remove(target: &Target<'_>) -> Result<AppliedHow, ApplyError> {
    match rustix::fs::unlinkat(&target.dir, target.name, AtFlags::REMOVEDIR) {
        Ok(()) => {}
        Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {
            return Err(target.conflict(None));
        }
        Err(error) => return Err(target.io(error)),
    }
    target.probe.reach("apply:folder-removed");
    target.sync()?;
    Ok(AppliedHow::Removed)
}
