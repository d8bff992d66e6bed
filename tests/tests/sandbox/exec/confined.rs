//! What a confined program reaches: of files, of the network, of the kernel.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::Command;

use nix::libc::{self, c_long};
use tests::Env;

use super::{HOSTILE, line, printed, private, run, skipped, unconfined, with_hostile, with_programs};

/// Calls that no program is to make, whatever it asks for.
const REFUSED: &[c_long] = &[
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
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
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
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
/// The same of those that only x86-64 has.
#[cfg(target_arch = "x86_64")]
const OLD_REFUSED: &[c_long] = &[
    libc::SYS__sysctl,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_modify_ldt,
    libc::SYS_sysfs,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_REFUSED: &[c_long] = &[];

/// Servers that count who comes.
struct Canaries {
    tcp: TcpListener,
    udp: UdpSocket,
    local: UnixListener,
    hidden: UnixListener,
}

impl Canaries {
    fn new(env: &Env) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        let udp = UdpSocket::bind(("127.0.0.1", port)).unwrap();
        let local = UnixListener::bind(env.work().join("socket")).unwrap();
        let name = SocketAddr::from_abstract_name(format!("capstan-{port}")).unwrap();
        let hidden = UnixListener::bind_addr(&name).unwrap();
        tcp.set_nonblocking(true).unwrap();
        udp.set_nonblocking(true).unwrap();
        local.set_nonblocking(true).unwrap();
        hidden.set_nonblocking(true).unwrap();
        Self { tcp, udp, local, hidden }
    }

    fn port(&self) -> String {
        self.tcp.local_addr().unwrap().port().to_string()
    }

    /// Who came since the last look, of four.
    fn visited(&self) -> [bool; 4] {
        [
            self.tcp.accept().is_ok(),
            self.udp.recv(&mut [0; 16]).is_ok(),
            self.local.accept().is_ok(),
            self.hidden.accept().is_ok(),
        ]
    }
}

#[test]
fn no_network_of_any_family_is_reached() {
    let env = with_hostile();
    let canaries = Canaries::new(&env);
    let socket = env.work().join("socket");
    let words = ["net", &canaries.port(), socket.to_str().unwrap()];
    let free = unconfined(&env, &words);
    for kind in ["tcp", "udp", "unix", "abstract", "netlink", "datagram pair", "raw pair"] {
        assert_eq!(line(&free, kind), "ok", "{free}");
    }
    assert_eq!(canaries.visited(), [true; 4]);
    let held = printed(&env, HOSTILE, &words);
    for kind in ["tcp", "udp", "unix", "abstract", "netlink", "packet", "vsock", "datagram pair", "raw pair"]
    {
        assert_eq!(line(&held, kind), "EPERM", "{held}");
    }
    assert_eq!(line(&held, "stream pair"), "ok");
    assert_eq!(canaries.visited(), [false; 4]);
}

#[test]
fn no_file_outside_the_root_is_read() {
    let env = with_hostile();
    env.write("inside", "is readable");
    let secret = env.folder().join("secret");
    private(&secret, "is not");
    let key = env.home().join("config.toml");
    std::os::unix::fs::symlink(&secret, env.work().join("link")).unwrap();
    let own = std::env::current_exe().unwrap();
    let inside = env.work().join("inside");
    assert_eq!(printed(&env, HOSTILE, &["read", inside.to_str().unwrap()]), "open: ok\nis readable");
    assert_eq!(printed(&env, HOSTILE, &["read", "inside"]), "open: ok\nis readable");
    for path in [
        &secret,
        &env.work().join("link"),
        &env.work().join("../secret"),
        &key,
        Path::new("/etc/shadow"),
        Path::new("/etc/hostname"),
        Path::new("/proc/self/environ"),
        Path::new("/proc/1/cmdline"),
        Path::new("/sys/kernel/uevent_seqnum"),
        Path::new("/dev/kmsg"),
        Path::new("/"),
        Path::new("/root"),
        &own,
    ] {
        let words = ["read", path.to_str().unwrap()];
        if unconfined(&env, &words).starts_with("open: ok") {
            let held = printed(&env, HOSTILE, &words);
            assert_eq!(held, "open: EACCES\n", "{}", path.display());
        } else {
            skipped("exec: a path", &format!("`{}` cannot be read here anyway", path.display()));
        }
    }
    // What every program needs can be read.
    assert!(printed(&env, HOSTILE, &["read", "/etc/passwd"]).starts_with("open: ok\n"));
    assert!(printed(&env, HOSTILE, &["read", "/dev/urandom"]).starts_with("open: ok\n"));
}

/// The home below a root, where the rules for files alone would not hold.
#[test]
fn the_hosts_own_folder_is_hidden_below_a_root() {
    let env = with_hostile();
    let config = env.home().join("config.toml");
    let words = |path: &Path| {
        let command = serde_json::json!({ "command": {
            "program": HOSTILE, "arguments": ["read", path], "stdin": null, "folder": null,
        }});
        let root = format!("workspace={}", env.folder().display());
        let mut words = vec!["op".to_owned(), "call".to_owned(), "capstan:exec/program.run".to_owned()];
        words.extend([command.to_string(), "--root".to_owned(), root]);
        words
    };
    let beside = env.folder().join("beside");
    fs::write(&beside, "is readable").unwrap();
    let outcome = env.json(words(&beside));
    let Some(0) = outcome.code else { return skipped("the_hosts_own_folder", &outcome.said()) };
    assert_eq!(outcome.json()["result"]["stdout"], "open: ok\nis readable");
    let hidden = env.json(words(&config)).exits(0).json();
    assert_ne!(hidden["result"]["stdout"].as_str().unwrap().lines().next(), Some("open: ok"), "{hidden:#}");
}

/// In a `read` operation, by every call that changes anything, on a file of the root.
#[test]
fn nothing_in_the_root_is_changed() {
    let env = with_hostile();
    env.write("free", "as it was");
    env.write("held", "as it was");
    let free = unconfined(&env, &["change", "free"]);
    for attempt in free.lines() {
        // Not every file system has the attributes, nor every kernel the newest call.
        if !["xattr", "set flags", "fchmodat2"].iter().any(|name| attempt.contains(name)) {
            assert!(attempt.ends_with(": ok"), "{free}");
        }
    }
    let path = env.work().join("held");
    let state = |path: &Path| {
        let about = fs::metadata(path).unwrap();
        let times = [about.mtime(), about.mtime_nsec(), about.ctime(), about.ctime_nsec()];
        (about.ino(), about.nlink(), about.mode(), about.uid(), about.gid(), times)
    };
    let (before, folder, tree) = (state(&path), state(&env.work()), Env::tree(&env.work()));
    let held = printed(&env, HOSTILE, &["change", "held"]);
    assert_eq!(held.lines().count(), free.lines().count());
    for attempt in held.lines() {
        assert!(attempt.ends_with(": EPERM") || attempt.ends_with(": EACCES"), "{held}");
    }
    assert_eq!((before, folder, tree), (state(&path), state(&env.work()), Env::tree(&env.work())));
}

#[test]
fn a_program_of_the_root_is_not_run() {
    let env = with_hostile();
    let local = env.work().join("local");
    fs::copy(super::hostile(), &local).unwrap();
    let words = ["execute", local.to_str().unwrap()];
    assert_eq!(unconfined(&env, &words), "");
    assert_eq!(printed(&env, HOSTILE, &words), "execute: EACCES\n");
    assert_eq!(printed(&env, HOSTILE, &["execute", "/usr/bin/true"]), "");
    // Nor one that the program makes in its own folder.
    let words = ["copied", local.to_str().unwrap()];
    assert_eq!(printed(&env, HOSTILE, &words), "execute: EACCES\n");
}

#[test]
fn the_kernel_is_out_of_reach() {
    let env = with_hostile();
    let (free, held) = (unconfined(&env, &["kernel"]), printed(&env, HOSTILE, &["kernel"]));
    assert_eq!(line(&free, "ptrace"), "ok", "{free}");
    for (attempt, expected) in [
        ("ptrace", "EPERM"),
        ("io_uring_setup", "EPERM"),
        ("bpf", "EPERM"),
        ("userfaultfd", "EPERM"),
        ("perf_event_open", "EPERM"),
        ("keyctl", "EPERM"),
        ("unshare", "EPERM"),
        ("clone", "EPERM"),
        ("clone3", "ENOSYS"),
        ("chroot", "EPERM"),
        ("mount", "EPERM"),
        ("open_tree", "EPERM"),
        ("process_vm_readv", "EPERM"),
        ("personality", "EPERM"),
        ("open_by_handle_at", "EPERM"),
        ("newer than the list", "ENOSYS"),
        // Newer too, and there since 6.13.
        ("setxattrat", "ENOSYS"),
        // What is no terminal is none, as ever.
        ("TCGETS", "ENOTTY"),
        ("TIOCSTI", "EPERM"),
        ("FS_IOC_GETVERSION", "EPERM"),
    ] {
        assert_eq!(line(&held, attempt), expected, "{attempt}: {held}");
    }
}

/// Several the kernel would refuse by itself to whoever has no capabilities; here all are refused
/// before it looks at what is asked for.
#[test]
fn calls_that_no_program_needs_are_refused() {
    let env = with_hostile();
    let words: Vec<String> = REFUSED.iter().chain(OLD_REFUSED).map(ToString::to_string).collect();
    let words: Vec<&str> = ["calls"].into_iter().chain(words.iter().map(String::as_str)).collect();
    let held = printed(&env, HOSTILE, &words);
    assert_eq!(held.lines().count(), words.len() - 1);
    for attempt in held.lines() {
        assert!(attempt.ends_with(": EPERM"), "{attempt}");
    }
    // What is not refused does look at it.
    let read = libc::SYS_read.to_string();
    assert_eq!(line(&printed(&env, HOSTILE, &["calls", &read]), &read), "EBADF");
}

/// A filter that looked at numbers alone could be passed by another table of them.
#[cfg(target_arch = "x86_64")]
#[test]
fn calls_of_other_tables_end_the_program() {
    let env = with_hostile();
    assert_eq!(printed(&env, HOSTILE, &["old", "none"]), "alive\n");
    for table in ["32", "x32"] {
        assert_eq!(unconfined(&env, &["old", table]), "alive\n");
        let said = run(&env, HOSTILE, &["old", table]);
        assert_eq!(said["result"]["signal"], 31, "{said:#}");
    }
}

#[test]
fn it_is_held_in_every_way_that_there_is() {
    let env = with_hostile();
    let (free, held) = (unconfined(&env, &["self"]), printed(&env, HOSTILE, &["self"]));
    for (what, expected) in [
        ("no new privileges", "1"),
        ("seccomp", "2"),
        ("capabilities", "0 0 0"),
        ("address space", "4294967296 4294967296"),
        ("processor", "60 60"),
        ("file size", "67108864 67108864"),
        ("open files", "256 256"),
        ("processes", "256 256"),
        ("core", "1 1"),
    ] {
        assert_eq!(line(&held, what), expected, "{held}");
        assert_ne!(line(&free, what), expected, "{free}");
    }
    for kind in ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup"] {
        let name = format!("namespace {kind}");
        assert!(line(&held, &name).starts_with(&format!("{kind}:[")), "{held}");
        assert_ne!(line(&held, &name), line(&free, &name), "{kind}");
    }
    assert_ne!(line(&held, "terminal"), "ok");
    // The second of its process namespace, in the session that the first one made.
    assert_eq!(line(&held, "number"), "2, parent 1, group 1, session 1");
    assert_eq!(line(&held, "ids"), line(&free, "ids"));
}

/// A descriptor that the operator's shell left open.
#[test]
fn no_descriptor_is_inherited() {
    let env = with_hostile();
    let secret = env.folder().join("secret");
    private(&secret, "secret");
    let shell = |program: &str| {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("exec 9<\"$0\"; shift 0; {program}")).arg(&secret);
        command.env("CAPSTAN_HOME", env.home()).current_dir(env.work());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let free = shell(&format!("exec '{}' self", env.folder().join("programs/hostile").display()));
    assert!(free.contains("descriptor 9\n"), "{free}");
    let arguments = r#"{"command":{"program":"hostile","arguments":["self"],"stdin":null,"folder":null}}"#;
    let program = tests::program();
    let call =
        format!("exec '{}' op call capstan:exec/program.run '{arguments}' --format json", program.display());
    let held: serde_json::Value = serde_json::from_str(&shell(&call)).unwrap();
    let held = held["result"]["stdout"].as_str().unwrap();
    let open: Vec<_> = held.lines().filter(|line| line.starts_with("descriptor ")).collect();
    assert_eq!(open, ["descriptor 0", "descriptor 1", "descriptor 2"], "{held}");
}

/// A program whose file says whom it runs as.
#[test]
fn a_file_gives_no_other_identity() {
    let env = with_hostile();
    let path = env.folder().join("programs").join(HOSTILE);
    // As root a group is another one than root's; as somebody else it cannot be given away.
    if chown(&path, None, Some(1)).is_err() {
        return skipped("a_file_gives_no_other_identity", "only root can give a file to another group");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o2755)).unwrap();
    let ids = |text: &str| line(text, "ids").split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
    let (free, held) = (ids(&unconfined(&env, &["self"])), ids(&printed(&env, HOSTILE, &["self"])));
    assert_eq!((free[2].as_str(), free[3].as_str()), ("0", "1"));
    assert_eq!((held[2].as_str(), held[3].as_str()), ("0", "0"));
}

#[test]
fn no_other_process_is_reached() {
    let env = with_programs(&["exec=workspace:hostile kill {int}"]);
    let own = std::process::id().to_string();
    assert_eq!(unconfined(&env, &["kill", &own]), "kill: ok\n");
    assert_eq!(printed(&env, HOSTILE, &["kill", &own]), "kill: ESRCH\n");
}
