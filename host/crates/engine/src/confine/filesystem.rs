//! What the program can reach of the file system.

#![expect(clippy::disallowed_methods, reason = "this module opens what the program may reach")]

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetStatus, Scope,
};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

use super::step;
use crate::exec::{ExecError, ExecFolder, ExecLimits, SCRATCH};

/// The least that is asked of the kernel: it is the first whose rules hold truncation too. What later
/// ones add is taken where it is there; namespaces and the filter hold the same.
const LEAST: ABI = ABI::V3;
/// Programs and libraries: read and run.
const SYSTEM: [&str; 8] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store"];
/// What the loader and the C library read, none of it secret.
const SETTINGS: [&str; 9] = [
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/alternatives",
];
/// Devices that are read.
const READ_DEVICES: [&str; 4] = ["/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
/// The device that is written too.
const NULL: &str = "/dev/null";
/// Files and folders in the private folder.
const SCRATCH_FILES: u64 = 16_384;

/// What a program reaches beside the system's own.
pub(super) struct Reach<'a> {
    pub(super) root: Option<&'a str>,
    pub(super) program: Option<&'a File>,
}

/// Rules that are ready to be put on.
pub(super) struct Rules(RulesetCreated);

/// Goes to the folder that the program runs in, which is the one that was meant: its root has the
/// numbers that were recorded, and no link leads to it from there.
pub(super) fn enter(folder: &ExecFolder) -> Result<(), ExecError> {
    // Before anything is mounted over what the path leads through.
    let root = File::open(&folder.root).map_err(|_| ExecError::NotFound)?;
    let about = step("look at a folder", root.metadata())?;
    if (about.dev(), about.ino()) != (folder.device, folder.inode) {
        return Err(ExecError::NotFound);
    }
    let below = if folder.below.is_empty() { "." } else { &folder.below };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let below = rustix::fs::openat2(&root, below, flags, Mode::empty(), resolve);
    let below = below.map_err(|_| ExecError::NotFound)?;
    rustix::process::fchdir(&below).map_err(|_| ExecError::NotFound)?;
    hide(folder)
}

/// Covers the host's own folder, if it is below the root.
fn hide(folder: &ExecFolder) -> Result<(), ExecError> {
    let what = "hide the host's own folder";
    keep_mounts_private()?;
    let Some(hidden) = &folder.hidden else { return Ok(()) };
    let nothing = CString::new("size=4k,nr_inodes=2,mode=000").unwrap_or_default();
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
    step(what, mount("none", hidden.as_str(), "tmpfs", flags, nothing.as_c_str()))?;
    // The folder that the program starts in may be in there, by a handle from before.
    let here = step(what, rustix::process::getcwd(Vec::new()))?;
    if here.to_bytes().starts_with(hidden.as_bytes()) {
        return Err(ExecError::NotFound);
    }
    Ok(())
}

fn keep_mounts_private() -> Result<(), ExecError> {
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    step("keep mounts to itself", mount_change("/", flags))
}

/// Mounts the private folder and opens everything that the rules name.
pub(super) fn open(limits: &ExecLimits, reach: &Reach<'_>) -> Result<Rules, ExecError> {
    keep_mounts_private()?;
    let options = format!("size={},nr_inodes={SCRATCH_FILES},mode=0700", limits.scratch_bytes);
    let options = step("name the size of a folder in memory", CString::new(options))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    step("mount a folder in memory", mount("none", SCRATCH, "tmpfs", flags, options.as_c_str()))?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let devices = AccessFs::MakeChar | AccessFs::MakeBlock;
    let mut rules = Rules(step("restrict files by Landlock", ruleset())?);
    for path in SYSTEM {
        rules.allow(open_path(path)?, read | AccessFs::Execute)?;
    }
    for path in SETTINGS.iter().chain(&READ_DEVICES) {
        rules.allow(open_path(path)?, read)?;
    }
    rules.allow(open_path(NULL)?, AccessFs::ReadFile | AccessFs::WriteFile)?;
    let all = AccessFs::from_all(LEAST) & !devices & !BitFlags::from(AccessFs::Execute);
    rules.allow(open_path(SCRATCH)?, all)?;
    if let Some(root) = reach.root {
        rules.allow(open_path(root)?, read)?;
    }
    if let Some(program) = reach.program {
        let program = step("keep the program's file", program.try_clone())?;
        rules.allow(Some(program), AccessFs::ReadFile | AccessFs::Execute)?;
    }
    Ok(rules)
}

fn ruleset() -> Result<RulesetCreated, landlock::RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(LEAST))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::IoctlDev | AccessFs::ResolveUnix)?
        .handle_access(AccessNet::from_all(ABI::V4))?
        .scope(Scope::from_all(ABI::V6))?
        .create()
}

/// What is at a path of the system, if anything is.
fn open_path(path: &str) -> Result<Option<OwnedFd>, ExecError> {
    let opened = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    match opened {
        Ok(found) => Ok(Some(found)),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
        Err(error) => step(&format!("open `{path}`"), Err(error)),
    }
}

impl Rules {
    /// Permits `access` to what is at and below `place`, as far as it is of use there.
    fn allow(
        &mut self,
        place: Option<impl AsFd>,
        access: impl Into<BitFlags<AccessFs>>,
    ) -> Result<(), ExecError> {
        let Some(place) = place else { return Ok(()) };
        let what = "restrict files by Landlock";
        let about = step(what, rustix::fs::fstat(&place))?;
        let is_folder = rustix::fs::FileType::from_raw_mode(about.st_mode).is_dir();
        let kind = if is_folder { AccessFs::from_all(LEAST) } else { AccessFs::from_file(LEAST) };
        let rule = PathBeneath::new(place, access.into() & kind);
        step(what, (&mut self.0).add_rule(rule).map(drop))
    }

    /// Puts the rules on this process and all that it starts, for good.
    pub(super) fn restrict(self) -> Result<(), ExecError> {
        let what = "restrict files by Landlock";
        let status = step(what, self.0.restrict_self())?;
        if status.ruleset == RulesetStatus::NotEnforced || !status.no_new_privs {
            return step(what, Err("the kernel takes the rules and does not enforce them"));
        }
        Ok(())
    }
}
