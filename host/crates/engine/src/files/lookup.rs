//! Looking names up, one after the other: none of them is a link, and each is the name that its
//! folder holds, byte for byte.
//!
//! A scope is matched on the names as they are asked for. Where a file system takes one name for
//! another, as with folded case or a normal form of Unicode, it would open what the scope does not
//! hold. The kernel says of a folder whether it does that; where it says nothing, the folder is read.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Dir, FileType, IFlags, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::roots::FileError;

/// What every look-up obeys.
pub(super) const RESOLVE: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
/// For reading. `O_NONBLOCK`, so that opening a FIFO does not wait for its other end.
pub(super) const READ: OFlags = OFlags::CLOEXEC.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
/// For looking. The kernel takes no other flags with `O_PATH`.
pub(super) const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
/// `FS_CASEFOLD_FL`: names in the folder are compared folded.
const FOLDS_CASE: IFlags = IFlags::from_bits_retain(0x4000_0000);
/// The kernel answers `EAGAIN` when something on the path was renamed meanwhile.
const RACE_RETRIES: usize = 16;

/// Opens `path` below `dir` without following any link.
pub(super) fn open_beneath(dir: impl AsFd, path: &str, flags: OFlags) -> Result<OwnedFd, FileError> {
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(&dir, path, flags, Mode::empty(), RESOLVE) {
            Err(Errno::AGAIN | Errno::INTR) if tries < RACE_RETRIES => tries += 1,
            result => return Ok(result?),
        }
    }
}

/// Opens the folder `name` in `dir`.
pub(super) fn enter(dir: impl AsFd, name: &str) -> Result<OwnedFd, FileError> {
    let inner = open_beneath(&dir, name, READ | OFlags::DIRECTORY)?;
    check_name(&dir, name)?;
    Ok(inner)
}

/// What `name` in `dir` is. Nothing is opened by it.
pub(super) fn look(dir: impl AsFd, name: &str) -> Result<Stat, FileError> {
    let stat = rustix::fs::fstat(open_beneath(&dir, name, LOOK)?)?;
    check_name(&dir, name)?;
    Ok(stat)
}

/// Opens the regular file `name` in `dir` for reading.
pub(super) fn open_named(dir: impl AsFd, name: &str) -> Result<(File, Stat), FileError> {
    let file = open_file(&dir, name)?;
    check_name(&dir, name)?;
    Ok(file)
}

/// The same where the file system may take another name for it. It is looked at before it is opened:
/// opening a device may do something, and a FIFO lets its writer go on.
pub(crate) fn open_file(dir: impl AsFd, name: &str) -> Result<(File, Stat), FileError> {
    let is_file = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if !is_file(&rustix::fs::fstat(open_beneath(&dir, name, LOOK)?)?) {
        return Err(FileError::NotAFile);
    }
    let file = open_beneath(&dir, name, READ)?;
    let stat = rustix::fs::fstat(&file)?;
    if is_file(&stat) { Ok((File::from(file), stat)) } else { Err(FileError::NotAFile) }
}

/// Whether `name`, which leads to something, is what the folder calls it.
fn check_name(dir: impl AsFd, name: &str) -> Result<(), FileError> {
    match rustix::fs::ioctl_getflags(&dir) {
        Ok(flags) if !flags.contains(FOLDS_CASE) => return Ok(()),
        // It folds, or its file system does not say.
        Ok(_) | Err(_) => {}
    }
    for entry in Dir::read_from(&dir)? {
        if entry?.file_name().to_bytes() == name.as_bytes() {
            return Ok(());
        }
    }
    Err(FileError::OtherName)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "the test changes a folder of its own")]

    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{CWD, RenameFlags, renameat_with};

    use super::*;

    /// Tries, of which some meet the moment between the look and the opening.
    const TRIES: usize = 50_000;

    /// A file and a folder change places all the time: what is opened as a file is one.
    #[test]
    fn what_was_replaced_after_the_look_is_not_taken_for_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let [name, other] = ["name", "other"].map(|name| folder.path().join(name));
        std::fs::write(&name, "contents").unwrap();
        std::fs::create_dir(&other).unwrap();
        let dir = File::open(folder.path()).unwrap();
        let done = AtomicBool::new(false);
        let (mut files, mut refused, mut others) = (0, 0, Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    renameat_with(CWD, &name, CWD, &other, RenameFlags::EXCHANGE).unwrap();
                }
            });
            for _ in 0..TRIES {
                match open_file(&dir, "name") {
                    Ok((file, _)) if file.metadata().is_ok_and(|about| about.is_file()) => files += 1,
                    Err(FileError::NotAFile) => refused += 1,
                    other => others.push(format!("{other:?}")),
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(others, Vec::<String>::new());
        assert!(files > 0 && refused > 0, "{files} {refused}");
    }
}
