//! The outer process: makes the namespaces, and sees to the end of what is in them.

#![expect(clippy::disallowed_methods, reason = "this module starts the inner process")]

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, getegid, geteuid, pidfd_open, set_parent_process_death_signal,
};

use super::step;
use crate::exec::{ExecError, Said};

/// The first descriptor that is not standard.
const FIRST_OTHER: i32 = 3;

pub(super) fn run(mut control: UnixStream) -> std::io::Result<()> {
    close_others(&control)?;
    if let Err(error) = make_namespaces() {
        return control.write_all(&serde_json::to_vec(&Said::Failed(error))?);
    }
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut inner = Command::new("/proc/self/exe")
        .args(["--home", "/", "internal", "confine", "--inside"])
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(control.try_clone()?)))
        .spawn()?;
    let ended = pidfd_open(Pid::from_child(&inner), PidfdFlags::empty())?;
    loop {
        // Of the socket only its end matters: what comes over it is for the inner process.
        let mut waiting = [PollFd::new(&ended, PollFlags::IN), PollFd::new(&control, PollFlags::RDHUP)];
        match poll(&mut waiting, None) {
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let _ended_already = inner.kill();
    // The kernel lets it end only after everything in its process namespace.
    inner.wait().map(drop)
}

/// Closes what this process was left by whoever started the host, so that no program gets it.
fn close_others(control: &UnixStream) -> std::io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let open = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect::<Vec<i32>>();
    let others = open.into_iter().filter(|fd| *fd >= FIRST_OTHER && *fd != control.as_raw_fd());
    for fd in others {
        // That of the listing itself is closed already.
        let _closed_already = nix::unistd::close(fd);
    }
    Ok(())
}

/// In the new namespaces this user is itself and nobody else exists.
fn make_namespaces() -> Result<(), ExecError> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let all = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    step("make namespaces for users, processes, mounts and the network", unshare(all))?;
    let map = |file: &str, text: String| {
        step("name this user in a namespace", std::fs::write(format!("/proc/self/{file}"), text))
    };
    map("setgroups", "deny".to_owned())?;
    map("uid_map", format!("{user} {user} 1"))?;
    map("gid_map", format!("{group} {group} 1"))
}
