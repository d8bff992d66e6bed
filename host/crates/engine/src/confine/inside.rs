//! The inner process: puts on what holds the program, runs it, and reports.

#![expect(clippy::disallowed_methods, reason = "this module starts the confined program, and measures it")]

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::fs::{MemfdFlags, OFlags, memfd_create};
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, set_parent_process_death_signal, setsid, wait,
};

use super::{Order, filesystem, filter, mounts, resources, step, trial};
use crate::exec::{Ending, ExecError, ExecRequest, Said, hash};

pub(super) fn run(mut control: UnixStream) -> std::io::Result<()> {
    // What follows would change the machine itself where it is not done in namespaces.
    if getpid() != Pid::INIT {
        return Err(std::io::Error::other("it is not the first process of a namespace"));
    }
    // Not even the end of the outer process is survived, nor does a key of a terminal end this.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    setsid()?;
    let said = match Order::read(&mut control)? {
        Order::Run(request) => carry_out(&request).unwrap_or_else(Said::Failed),
        Order::Try(limits) => trial::run(&limits).map_or_else(Said::Failed, Said::Tried),
    };
    control.write_all(&serde_json::to_vec(&said)?)
}

fn carry_out(request: &ExecRequest) -> Result<Said, ExecError> {
    let failed = |error: std::io::Error| ExecError::Io(error.to_string());
    let program = open(request)?;
    let stdin = keep(&request.stdin).map_err(failed)?;
    // Everything that is reached by a path is open now.
    mounts::arrange(&request.folder, &request.writable)?;
    filesystem::enter(&request.folder)?;
    mounts::scratch(&request.limits)?;
    let (root, writable) = (Some(&*request.folder.root), &*request.writable);
    let rules = filesystem::open(&filesystem::Reach { root, writable, program: Some(&program) })?;
    resources::bound(&request.limits)?;
    rules.restrict()?;
    filter::install(!request.writable.is_empty())?;
    start(request, &program, stdin)
}

/// The very file that was resolved, open; what has its path by now does not matter any more.
fn open(request: &ExecRequest) -> Result<File, ExecError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(&request.program.path);
    let mut file = file.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ExecError::NotFound,
        _ => ExecError::Changed,
    })?;
    if hash(&request.program.name, &mut file)? != request.program.digest {
        return Err(ExecError::Changed);
    }
    Ok(file)
}

/// A file in memory with these contents, from whose start the program reads.
fn keep(bytes: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(memfd_create("stdin", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

fn start(request: &ExecRequest, program: &File, stdin: File) -> Result<Said, ExecError> {
    let started = Instant::now();
    let before = state(program)?;
    let child = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
        .arg0(&request.program.name)
        .args(&request.arguments)
        .env_clear()
        .envs(&request.variables)
        .stdin(Stdio::from(stdin))
        .spawn();
    let child = child.map_err(|error| match error.raw_os_error() {
        // Somebody has it open for writing.
        Some(code) if code == rustix::io::Errno::TXTBSY.raw_os_error() => ExecError::Changed,
        _ => ExecError::Io(format!("`{}` does not start: {error}", request.program.name)),
    })?;
    // From here on nobody can write into the file; between its digest and here somebody might.
    if state(program)? != before {
        return Err(ExecError::Changed);
    }
    loop {
        // The first process of a namespace is the parent of all that lose theirs.
        let ended = wait(WaitOptions::empty()).map_err(|error| ExecError::Io(error.to_string()))?;
        let Some((pid, status)) = ended else { continue };
        if pid.as_raw_nonzero().get().unsigned_abs() == child.id() {
            let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            return Ok(Said::Ended(ending(status), took));
        }
    }
}

/// What changes when a file's contents do.
fn state(file: &File) -> Result<[i64; 5], ExecError> {
    let about = step("look at an open file", file.metadata())?;
    let size = i64::try_from(about.size()).unwrap_or(i64::MAX);
    Ok([size, about.mtime(), about.mtime_nsec(), about.ctime(), about.ctime_nsec()])
}

fn ending(status: WaitStatus) -> Ending {
    let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ending::Exited(byte(code)),
        (None, signal) => Ending::Signalled(byte(signal.unwrap_or_default())),
    }
}
