//! What the program can reach of the file system.

#![expect(clippy::disallowed_methods, reason = "this module opens what the program may reach")]

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetStatus, Scope,
};
use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::step;
use crate::exec::{ExecError, ExecFolder, SCRATCH};

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

/// What a program reaches beside the system's own.
pub(super) struct Reach<'a> {
    pub(super) root: Option<&'a str>,
    pub(super) writable: &'a [String],
    pub(super) program: Option<&'a File>,
}

/// Rules that are ready to be put on.
pub(super) struct Rules(RulesetCreated);

/// Goes to the folder that the program runs in: below the root, and no link leads to it from there.
pub(super) fn enter(folder: &ExecFolder) -> Result<(), ExecError> {
    let below = open_below(&open_root(folder)?, &folder.below)?;
    rustix::process::fchdir(&below).map_err(|_| ExecError::NotFound)?;
    let Some(hidden) = &folder.hidden else { return Ok(()) };
    // Its own path would tell, and nothing that is there.
    let here = step("find its folder", rustix::process::getcwd(Vec::new()))?;
    if here.to_bytes().starts_with(hidden.as_bytes()) { Err(ExecError::NotFound) } else { Ok(()) }
}

/// The root's folder, if it is the one that was recorded.
pub(super) fn open_root(folder: &ExecFolder) -> Result<File, ExecError> {
    let root = File::open(&folder.root).map_err(|_| ExecError::NotFound)?;
    let about = step("look at a folder", root.metadata())?;
    if (about.dev(), about.ino()) == (folder.device, folder.inode) {
        Ok(root)
    } else {
        Err(ExecError::NotFound)
    }
}

/// The folder at `path` below `root`; empty for the root itself.
pub(super) fn open_below(root: &File, path: &str) -> Result<OwnedFd, ExecError> {
    let path = if path.is_empty() { "." } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve).map_err(|_| ExecError::NotFound)
}

/// Opens everything that the rules name.
pub(super) fn open(reach: &Reach<'_>) -> Result<Rules, ExecError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let other = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::Execute;
    let all = AccessFs::from_all(LEAST) & !other;
    let mut rules = Rules(step("restrict files by Landlock", ruleset())?);
    for path in SYSTEM {
        rules.allow(open_path(path)?, read | AccessFs::Execute)?;
    }
    for path in SETTINGS.iter().chain(&READ_DEVICES) {
        rules.allow(open_path(path)?, read)?;
    }
    rules.allow(open_path(NULL)?, AccessFs::ReadFile | AccessFs::WriteFile)?;
    rules.allow(open_path(SCRATCH)?, all)?;
    if let Some(path) = reach.root {
        rules.allow(open_path(path)?, read)?;
        let root = step("open the root", File::open(path))?;
        for folder in reach.writable {
            rules.allow(Some(open_below(&root, folder)?), all)?;
        }
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
