//! The mounts that only the program sees.

#![expect(clippy::disallowed_methods, reason = "this module reads what is mounted")]

use std::ffi::CString;
use std::os::fd::AsRawFd as _;

use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change, mount_remount,
};

use super::filesystem::{open_below, open_root};
use super::step;
use crate::exec::{ExecError, ExecFolder, ExecLimits, SCRATCH};

/// Files and folders in the private folder.
const SCRATCH_FILES: u64 = 16_384;
/// What is mounted in this process's view.
const MOUNTS: &str = "/proc/self/mountinfo";
/// The kernel's own, which nobody but its administrators can change, and what mounts when it is
/// looked at.
const KERNEL: [&str; 14] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "fusectl",
    "mqueue",
    "proc",
    "securityfs",
    "sysfs",
    "tracefs",
];
/// The options of a mount that stay as they are; the kernel insists.
const OPTIONS: [(&str, MountFlags); 6] = [
    ("nosuid", MountFlags::NOSUID),
    ("nodev", MountFlags::NODEV),
    ("noexec", MountFlags::NOEXEC),
    ("noatime", MountFlags::NOATIME),
    ("nodiratime", MountFlags::NODIRATIME),
    ("relatime", MountFlags::RELATIME),
];

/// Hides the host's own folder below the root and, if the program may change something, makes
/// everything else read-only: Landlock has no rules for modes, owners and times.
pub(super) fn arrange(folder: &ExecFolder, writable: &[String]) -> Result<(), ExecError> {
    keep_private()?;
    if !writable.is_empty() {
        let root = open_root(folder)?;
        for path in writable {
            let path = open_below(&root, path)?;
            let path = format!("/proc/self/fd/{}", path.as_raw_fd());
            step("set a folder apart", mount_bind_recursive(&*path, &*path))?;
        }
        make_read_only(&folder.root, writable)?;
    }
    let Some(hidden) = &folder.hidden else { return Ok(()) };
    let nothing = CString::new("size=4k,nr_inodes=2,mode=000").unwrap_or_default();
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
    step("hide the host's own folder", mount("none", hidden.as_str(), "tmpfs", flags, nothing.as_c_str()))
}

/// What is mounted here is mounted nowhere else.
pub(super) fn keep_private() -> Result<(), ExecError> {
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    step("keep mounts to itself", mount_change("/", flags))
}

/// Mounts the program's private folder: memory that nobody else sees, and that goes with it.
pub(super) fn scratch(limits: &ExecLimits) -> Result<(), ExecError> {
    let options = format!("size={},nr_inodes={SCRATCH_FILES},mode=0700", limits.scratch_bytes);
    let options = step("name the size of a folder in memory", CString::new(options))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    step("mount a folder in memory", mount("none", SCRATCH, "tmpfs", flags, options.as_c_str()))
}

/// Every mount but those that were set apart, and those below them.
fn make_read_only(root: &str, writable: &[String]) -> Result<(), ExecError> {
    let what = "mount everything else read-only";
    let mounts = step(what, std::fs::read(MOUNTS))?;
    let apart = |point: &[u8]| {
        writable.iter().any(|below| {
            let folder = if below.is_empty() { root.to_owned() } else { format!("{root}/{below}") };
            let rest = point.strip_prefix(folder.as_bytes());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        })
    };
    for mount in mounts.split(|byte| *byte == b'\n').filter_map(Mount::parse) {
        if apart(&mount.point) || KERNEL.contains(&mount.kind) {
            continue;
        }
        match mount_remount(&*mount.point, MountFlags::BIND | MountFlags::RDONLY | mount.flags, "") {
            // Under another mount, where no path leads any more, or gone.
            Ok(()) | Err(Errno::INVAL | Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return step(what, Err(error)),
        }
    }
    Ok(())
}

/// A line of the list of mounts.
struct Mount<'a> {
    point: Vec<u8>,
    flags: MountFlags,
    kind: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut words = line.split(|byte| *byte == b' ');
        let point = unescape(words.nth(4)?);
        let options = std::str::from_utf8(words.next()?).ok()?;
        let kind = std::str::from_utf8(words.skip_while(|word| *word != b"-").nth(1)?).ok()?;
        let has = |name: &str| options.split(',').any(|option| option == name);
        let set = OPTIONS.into_iter().filter(|(name, _)| has(name)).map(|(_, flag)| flag);
        let flags = set.fold(MountFlags::empty(), MountFlags::union);
        let is_strict = !flags.intersects(MountFlags::NOATIME | MountFlags::RELATIME);
        let flags = if is_strict { flags | MountFlags::STRICTATIME } else { flags };
        Some(Self { point, flags, kind })
    }
}

/// White space and backslashes are written as `\` and three octal digits.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let code = behind.get(..3).filter(|_| *first == b'\\');
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    bytes
}
