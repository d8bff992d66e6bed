//! The filter of system calls.
//!
//! A list of what is refused, since programs of all kinds must run, and beside it whatever the list
//! could not know: calls newer than it are not there, and calls of another architecture end the
//! process. Refused are the network, everything that changes what Landlock has no rules for (modes,
//! owners, times, attributes of files), and those parts of the kernel that ordinary programs do not
//! use and attackers do.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter, sock_filter,
};

use super::step;
use crate::exec::ExecError;

/// The newest call that was looked at: `mseal`. Numbers are the same on every architecture by now.
const NEWEST_KNOWN: u32 = 462;
/// Where the second table of x86-64 begins, that of programs with short pointers.
const X32: u32 = 0x4000_0000;

/// `fchmodat2`, which not every architecture's list of names has yet.
const FCHMODAT2: c_long = 452;

/// Sockets; those of a pair remain, and what else could name another's socket.
const NETWORK: &[c_long] = &[
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
];

/// What changes a file's metadata: Landlock has no rules for it.
const METADATA: &[c_long] = &[
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_utimensat,
];

#[cfg(target_arch = "x86_64")]
const OLD_METADATA: &[c_long] = &[
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_METADATA: &[c_long] = &[];

/// Parts of the kernel that are for its administrators, for debuggers, or new to most programs.
const KERNEL: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_memfd_secret,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_name_to_handle_at,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

#[cfg(target_arch = "x86_64")]
const OLD_KERNEL: &[c_long] = &[
    libc::SYS__sysctl,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_modify_ldt,
    libc::SYS_sysfs,
    libc::SYS_uselib,
    libc::SYS_ustat,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_KERNEL: &[c_long] = &[];

/// Calls that are not there, so that the caller takes an older one whose arguments can be seen.
const ABSENT: &[c_long] = &[libc::SYS_clone3];

/// What `clone` may not make.
const NAMESPACES: &[i32] = &[
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];

/// What a file may be asked or told that is open. Everything else is a driver's or a file system's,
/// some of which change a file that is open for reading.
const IOCTLS: &[u64] = &[
    libc::TCGETS,
    0x802c_542a, // TCGETS2
    libc::TIOCGWINSZ,
    libc::TIOCGPGRP,
    libc::FIONREAD,
    libc::FIONBIO,
    libc::FIOCLEX,
    libc::FIONCLEX,
    0x8008_6601, // FS_IOC_GETFLAGS
];

/// Calls that take the mode of a file that they make or change, and which argument it is.
const MODES: &[(c_long, u8)] = &[
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (FCHMODAT2, 2),
    (libc::SYS_mknodat, 2),
    (libc::SYS_openat, 3),
];

#[cfg(target_arch = "x86_64")]
const OLD_MODES: &[(c_long, u8)] =
    &[(libc::SYS_chmod, 1), (libc::SYS_creat, 1), (libc::SYS_mknod, 1), (libc::SYS_open, 2)];
#[cfg(not(target_arch = "x86_64"))]
const OLD_MODES: &[(c_long, u8)] = &[];

/// A file that runs as its owner, or as its group.
const SET_IDS: [libc::mode_t; 2] = [libc::S_ISUID, libc::S_ISGID];

/// Puts the filter on this process and all that it starts, for good. One that `writes` may change
/// the metadata of files, but make none that runs as somebody.
pub(super) fn install(writes: bool) -> Result<(), ExecError> {
    let what = "filter system calls";
    for filter in [filters::refused(writes), filters::absent(writes)] {
        step(what, apply_filter(&step(what, filter)?))?;
    }
    step(what, apply_filter(&newer()))
}

/// The calls that the lists could not know.
fn newer() -> BpfProgram {
    let code = |class: u32| u16::try_from(class).unwrap_or_default();
    let load = code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS);
    let compare = code(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K);
    let end = code(libc::BPF_RET | libc::BPF_K);
    let line = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let not_there = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    vec![
        line(load, 0, 0, 0),
        line(compare, 0, 1, X32),
        line(end, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
        line(compare, 0, 1, NEWEST_KNOWN + 1),
        line(end, 0, 0, not_there),
        line(end, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

mod filters {
    //! The lists as programs of the kernel.

    use super::*;

    type Rules = BTreeMap<c_long, Vec<SeccompRule>>;
    type Built<T> = Result<T, seccompiler::BackendError>;

    /// A rule that holds if the low half of an argument compares so.
    fn argument(number: u8, compare: SeccompCmpOp, value: u64) -> Built<SeccompCondition> {
        SeccompCondition::new(number, SeccompCmpArgLen::Dword, compare, value)
    }

    fn build(rules: Rules, errno: i32) -> Built<BpfProgram> {
        let refuse = SeccompAction::Errno(errno.unsigned_abs());
        let arch = std::env::consts::ARCH.try_into()?;
        SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?.try_into()
    }

    pub(super) fn refused(writes: bool) -> Built<BpfProgram> {
        let whole = [NETWORK, KERNEL, OLD_KERNEL].into_iter().flatten();
        let mut rules: Rules = whole.map(|call| (*call, Vec::new())).collect();
        if writes {
            for (call, number) in MODES.iter().chain(OLD_MODES) {
                let set_id = |bit: libc::mode_t| {
                    let bit = u64::from(bit);
                    SeccompRule::new(vec![argument(*number, SeccompCmpOp::MaskedEq(bit), bit)?])
                };
                rules.insert(*call, SET_IDS.into_iter().map(set_id).collect::<Built<_>>()?);
            }
        } else {
            rules.extend(METADATA.iter().chain(OLD_METADATA).map(|call| (*call, Vec::new())));
        }
        let namespace = |flag: &i32| {
            let flag = u64::from(flag.unsigned_abs());
            SeccompRule::new(vec![argument(0, SeccompCmpOp::MaskedEq(flag), flag)?])
        };
        rules.insert(libc::SYS_clone, NAMESPACES.iter().map(namespace).collect::<Built<_>>()?);
        let other = IOCTLS.iter().map(|ioctl| argument(1, SeccompCmpOp::Ne, *ioctl));
        rules.insert(libc::SYS_ioctl, vec![SeccompRule::new(other.collect::<Built<_>>()?)?]);
        rules.insert(libc::SYS_socketpair, pairs()?);
        build(rules, libc::EPERM)
    }

    /// Pairs that can be connected to something else: all but streams of the local family.
    fn pairs() -> Built<Vec<SeccompRule>> {
        let family = argument(0, SeccompCmpOp::Ne, u64::from(libc::AF_UNIX.unsigned_abs()))?;
        let kind = |kind: i32| {
            let (mask, kind) = (0xf, u64::from(kind.unsigned_abs()));
            SeccompRule::new(vec![argument(1, SeccompCmpOp::MaskedEq(mask), kind)?])
        };
        Ok(vec![SeccompRule::new(vec![family])?, kind(libc::SOCK_DGRAM)?, kind(libc::SOCK_RAW)?])
    }

    pub(super) fn absent(writes: bool) -> Built<BpfProgram> {
        // Its mode is where no filter sees it.
        let hidden = writes.then_some(libc::SYS_openat2);
        let calls = ABSENT.iter().copied().chain(hidden);
        build(calls.map(|call| (call, Vec::new())).collect(), libc::ENOSYS)
    }
}
