//! Bounds on processes, memory and files, and the giving up of every privilege.

#![expect(clippy::disallowed_methods, reason = "this module writes a bound of the process namespace")]

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, geteuid, getrlimit, set_dumpable_behavior, setrlimit,
};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

use super::step;
use crate::exec::{ExecError, ExecLimits};

/// Process numbers below it are given once and not again, so a bound on numbers starts here.
pub(super) const RESERVED_NUMBERS: u64 = 300;
/// The bound on process numbers of this process namespace; every namespace has its own since 6.14.
const NUMBERS: &str = "/proc/sys/kernel/pid_max";
/// Less than the smallest core, and what tells the kernel to give none to a program either, where
/// that is what takes them.
const NO_CORE: u64 = 1;

/// Puts everything on that is inherited and cannot be taken off.
pub(super) fn bound(limits: &ExecLimits) -> Result<(), ExecError> {
    bound_tasks(limits)?;
    for (resource, most) in [
        (Resource::As, limits.memory_bytes),
        (Resource::Cpu, limits.cpu_s),
        (Resource::Fsize, limits.scratch_bytes),
        (Resource::Nofile, limits.open_files),
        (Resource::Nproc, limits.tasks),
        (Resource::Core, NO_CORE),
    ] {
        // Whoever started the host may have allowed less, and only root could go beyond.
        let most = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        step("bound what a process may use", setrlimit(resource, limit))?;
    }
    step("give up new privileges", set_no_new_privs(true))?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    step("give up its capabilities", set_capabilities(None, none))?;
    step("be closed to debuggers", set_dumpable_behavior(DumpableBehavior::NotDumpable))
}

/// The number of processes of a user is not bounded for root, but that of process numbers is.
fn bound_tasks(limits: &ExecLimits) -> Result<(), ExecError> {
    let numbers = RESERVED_NUMBERS.saturating_add(limits.tasks);
    match std::fs::write(NUMBERS, numbers.to_string()) {
        Ok(()) => Ok(()),
        Err(_) if !geteuid().is_root() => Ok(()),
        Err(error) => step("bound the number of processes that root starts", Err(error)),
    }
}
