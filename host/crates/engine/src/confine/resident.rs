//! Confining a worker: a process of this program that runs guests, and needs nothing but its socket.
//!
//! Unlike a program that a guest starts, it is our own code, so what it may do is a short list and
//! all else is refused. It is put on in three steps, each without a way back:
//!
//! - [`leave`]: a session of its own, bounds, no capabilities, no new privileges, and Landlock without
//!   a single rule, so that no file can be opened; where the machine has them, namespaces of its own;
//! - [`restrict`]: the list of system calls, on every thread. What is not on it fails: files, sockets,
//!   processes, threads, signals, and descriptors sent by others;
//! - [`seal`]: once the guest's code is loaded, no memory becomes code.
//!
//! The kernel ends the worker with the thread that started it.

#![expect(clippy::disallowed_methods, reason = "this module tries what it should not be able to do")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::Command;

use base::Limits;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetStatus, Scope,
};
use libc::c_long;
use nix::sched::{CloneFlags, unshare};
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::{
    DumpableBehavior, Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit, setsid, test_kill_process,
};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter_all_threads,
};

use super::{Holds, step};
use crate::exec::ExecError;

/// Memory that is written to, in bytes: what a guest may have at most, its code and its results.
const DATA_BYTES: u64 = 4 << 30;
/// The least that is asked of the kernel's Landlock, as for programs.
const LEAST: ABI = ABI::V3;
/// What should not be there to be read.
const A_FILE: &str = "/proc/self/status";
/// What should not be there to be made.
const A_NEW_FILE: &str = "/tmp/.capstan-worker-trial";
/// A program that every machine has.
const A_PROGRAM: &str = "/bin/sh";

/// What a worker does: talks over its socket, has memory, tells the time, waits for its threads.
const CALLS: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_close,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_membarrier,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // A component's first memory, which all its calls begin with.
    libc::SYS_memfd_create,
    // More filters: they only ever take away.
    libc::SYS_seccomp,
];
/// Files in memory: one for each memory of a component at most, and the socket.
const FILES: u64 = 8 + 2 * Limits::CEILING.instances;

/// Closes everything but `socket`, standard input and outputs too.
pub(crate) fn close_others(socket: &OwnedFd) -> std::io::Result<()> {
    let open = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect::<Vec<i32>>();
    for fd in open.into_iter().filter(|fd| *fd != socket.as_raw_fd()) {
        // That of the listing itself is closed already.
        let _closed_already = nix::unistd::close(fd);
    }
    Ok(())
}

/// Leaves everything that this process was given behind. It has one thread.
pub(crate) fn leave() -> Result<(), ExecError> {
    let what = "end a worker with its host";
    step(what, set_parent_process_death_signal(Some(Signal::KILL)))?;
    step("give a worker its own session", setsid())?;
    // With the list of system calls there is no network, process or mount to be reached in any
    // namespace, so this is for the day that the list has a hole.
    let _not_on_this_machine = unshare(
        CloneFlags::CLONE_NEWUSER
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS,
    );
    for (resource, most) in
        [(Resource::Data, DATA_BYTES), (Resource::Fsize, Limits::CEILING.memory_bytes), (Resource::Core, 0)]
    {
        bound(resource, most)?;
    }
    step("give up new privileges", set_no_new_privs(true))?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    step("give up its capabilities", set_capabilities(None, none))?;
    step("be closed to debuggers", set_dumpable_behavior(DumpableBehavior::NotDumpable))?;
    let what = "restrict files by Landlock";
    let status = step(what, lock_files())?;
    if status.ruleset == RulesetStatus::NotEnforced || !status.no_new_privs {
        return step(what, Err("the kernel takes the rules and does not enforce them"));
    }
    bound(Resource::Nofile, FILES)
}

/// Whoever started the host may have allowed less, and only root could go beyond.
fn bound(resource: Resource, most: u64) -> Result<(), ExecError> {
    let most = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
    let limit = Rlimit { current: Some(most), maximum: Some(most) };
    step("bound what a process may use", setrlimit(resource, limit))
}

/// Everything that Landlock knows is handled, and nothing is allowed.
fn lock_files() -> Result<landlock::RestrictionStatus, landlock::RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(LEAST))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::IoctlDev | AccessFs::ResolveUnix)?
        .handle_access(AccessNet::from_all(ABI::V4))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .restrict_self()
}

/// Puts the list on every thread there is, none of which has seen a guest's byte, and tries to get
/// around it.
pub(crate) fn restrict() -> Result<Vec<Holds>, ExecError> {
    let parent = getppid();
    bound(Resource::Nproc, 0)?;
    let what = "filter system calls";
    step(what, apply_filter_all_threads(&step(what, list())?))?;
    Ok(attempts(parent))
}

/// From here on no memory becomes code, so that a guest which gets out finds no more than is there.
pub(crate) fn seal() -> Result<(), ExecError> {
    let what = "keep memory from becoming code";
    step(what, apply_filter_all_threads(&step(what, no_more_code())?))
}

type Built<T> = Result<T, seccompiler::BackendError>;

fn list() -> Built<BpfProgram> {
    let rules = CALLS.iter().map(|call| (*call, Vec::new()));
    let only = |argument: u8, number: i32| -> Built<Vec<SeccompRule>> {
        let (length, number) = (SeccompCmpArgLen::Dword, u64::from(number.unsigned_abs()));
        let condition = SeccompCondition::new(argument, length, SeccompCmpOp::Eq, number)?;
        Ok(vec![SeccompRule::new(vec![condition])?])
    };
    let parts = [
        // What puts a filter on gives up privileges once more first.
        (libc::SYS_prctl, only(0, libc::PR_SET_NO_NEW_PRIVS)?),
        // A file in memory is written once.
        (libc::SYS_fcntl, only(1, libc::F_ADD_SEALS)?),
    ];
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    build(rules.chain(parts).collect(), refuse, SeccompAction::Allow)
}

fn no_more_code() -> Built<BpfProgram> {
    let bit = u64::from(libc::PROT_EXEC.unsigned_abs());
    let executable = || {
        let protection = SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bit), bit)?;
        SeccompRule::new(vec![protection])
    };
    let rules = [(libc::SYS_mmap, vec![executable()?]), (libc::SYS_mprotect, vec![executable()?])];
    build(rules.into(), SeccompAction::Allow, SeccompAction::Errno(libc::EPERM.unsigned_abs()))
}

/// Calls of another architecture end the process.
fn build(
    rules: BTreeMap<c_long, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Built<BpfProgram> {
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, otherwise, matched, arch)?.try_into()
}

/// Each with what came of it.
fn attempts(parent: Option<Pid>) -> Vec<Holds> {
    let done =
        |what: &str, done: bool| Holds { what: what.to_owned(), reached: done.then(|| "it can".to_owned()) };
    let network = [AddressFamily::INET, AddressFamily::INET6, AddressFamily::UNIX, AddressFamily::NETLINK];
    let opened = |family| socket(family, SocketType::DGRAM, None).is_ok();
    let wrote = File::create(A_NEW_FILE).is_ok_and(|mut file| file.write_all(b"trial").is_ok());
    vec![
        done("open a file", File::open(A_FILE).is_ok()),
        done("make a file", wrote),
        done("open a socket", network.into_iter().any(opened)),
        done("start a program", Command::new(A_PROGRAM).args(["-c", "exit"]).status().is_ok()),
        done("start a thread", std::thread::Builder::new().spawn(|| ()).is_ok()),
        done("signal its host", parent.is_some_and(|parent| test_kill_process(parent).is_ok())),
        done("make a namespace", unshare(CloneFlags::CLONE_NEWUSER).is_ok()),
    ]
}
