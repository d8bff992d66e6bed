//! Trying out, from inside, whether what holds a program does so on this machine.

#![expect(clippy::disallowed_methods, reason = "this module tries what it should not be able to do")]

use std::fs::File;
use std::sync::mpsc;
use std::thread::Builder;

use nix::sched::{CloneFlags, unshare};
use rustix::fs::{Mode, chmod};
use rustix::net::{AddressFamily, SocketType, socket};

use super::{Holds, filesystem, filter, mounts, resources};
use crate::exec::{ExecError, ExecLimits};

/// Threads at a time that no bound would allow.
const TOO_MANY: u64 = 2_000;
/// What is never a program's to read.
const OTHERS: &str = "/proc/self/status";

/// Confines this process as for a program, and tries to get out.
pub(super) fn run(limits: &ExecLimits) -> Result<Vec<Holds>, ExecError> {
    mounts::keep_private()?;
    mounts::scratch(limits)?;
    let rules = filesystem::open(&filesystem::Reach { root: None, writable: &[], program: None })?;
    resources::bound(limits)?;
    rules.restrict()?;
    filter::install(false)?;
    let reached = |what: &str, reached: Option<String>| Holds { what: what.to_owned(), reached };
    let done = |what: &str, done: bool| reached(what, done.then(|| "it can".to_owned()));
    let network = [AddressFamily::INET, AddressFamily::INET6, AddressFamily::UNIX, AddressFamily::NETLINK];
    let family = network.into_iter().find(|family| socket(*family, SocketType::DGRAM, None).is_ok());
    Ok(vec![
        done("read files of others (Landlock)", File::open(OTHERS).is_ok()),
        done("write outside its folder (Landlock)", File::create("/usr/.capstan-trial").is_ok()),
        done("change the mode of a file (seccomp)", chmod(crate::exec::SCRATCH, Mode::RWXU).is_ok()),
        reached("open a socket (seccomp)", family.map(|family| format!("{family:?}"))),
        done("make a namespace (seccomp)", unshare(CloneFlags::CLONE_NEWUSER).is_ok()),
        reached("start processes without end", threads(limits)),
    ])
}

/// How many threads can be started at once, if that is more than the bound and what it is vague by.
fn threads(limits: &ExecLimits) -> Option<String> {
    let (end, ended) = mpsc::channel::<()>();
    let ended = std::sync::Arc::new(std::sync::Mutex::new(ended));
    let mut started = Vec::new();
    while (started.len() as u64) < TOO_MANY {
        let ended = std::sync::Arc::clone(&ended);
        let wait = move || drop(ended.lock().map(|ended| ended.recv()));
        match Builder::new().stack_size(16 << 10).spawn(wait) {
            Ok(thread) => started.push(thread),
            Err(_) => break,
        }
    }
    let count = started.len() as u64;
    drop(end);
    (count > limits.tasks.saturating_add(resources::RESERVED_NUMBERS)).then(|| format!("{count} at once"))
}
