//! Starting the confining process, and its end.

#![expect(
    clippy::disallowed_methods,
    reason = "this module starts the confining process and bounds its time"
)]

use std::io::Write as _;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::{ExecAnswer, ExecError, ExecLimits, ExecRequest, ExecRunner, Said};
use crate::confine::{Order, Trial};

/// How often the end of the call is looked for.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
/// How long the confining process may take to end what it started, before it is killed itself.
const GRACE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };
/// How long a trial may take.
const TRIAL: Duration = Duration::from_secs(10);
/// Longest report of the confined side, in bytes.
const REPORT_BYTES_MAX: usize = 64 << 10;
/// Read at once.
const CHUNK_BYTES: usize = 64 << 10;

impl ExecRunner {
    /// Runs exactly what `request` says, and takes at most `output_max` bytes of it. `go_on` is asked
    /// every few milliseconds whether the call is still wanted. When this returns, no process of the
    /// program is left.
    ///
    /// # Errors
    /// If it was not run to its end.
    pub fn perform(
        &self,
        request: &ExecRequest,
        output_max: u64,
        go_on: &dyn Fn() -> bool,
    ) -> Result<ExecAnswer, ExecError> {
        self.require_confinement()?;
        let output_max = output_max.min(request.limits.output_bytes);
        let wall = Duration::from_millis(request.limits.wall_ms);
        let (said, [stdout, stderr]) =
            self.watch(&Order::Run(Box::new(request.clone())), output_max, wall, go_on)?;
        match said {
            Said::Ended(ending, duration_ms) => Ok(ExecAnswer { ending, stdout, stderr, duration_ms }),
            Said::Failed(error) => Err(error),
            Said::Tried(_) => Err(ExecError::Io("the confined process answered another question".to_owned())),
        }
    }

    pub(super) fn try_out(&self) -> Result<Trial, ExecError> {
        // Threads cannot be counted where their stacks are what runs out.
        let order = Order::Try(ExecLimits { memory_bytes: u64::MAX, ..self.settings().limits });
        match self.watch(&order, REPORT_BYTES_MAX as u64, TRIAL, &|| true)?.0 {
            Said::Tried(holds) => Ok(Trial { holds }),
            Said::Failed(error) => Err(error),
            Said::Ended(..) => {
                Err(ExecError::Io("the confined process answered another question".to_owned()))
            }
        }
    }

    fn watch(
        &self,
        order: &Order,
        output_max: u64,
        wall: Duration,
        go_on: &dyn Fn() -> bool,
    ) -> Result<(Said, [Vec<u8>; 2]), ExecError> {
        let mut run = self.start(order).map_err(io)?;
        let deadline = Instant::now() + wall;
        let mut stop = None;
        while stop.is_none() && run.is_open() {
            run.move_bytes().map_err(io)?;
            stop = if run.output() > output_max {
                Some(ExecError::TooLarge)
            } else if !go_on() {
                Some(ExecError::Stopped)
            } else if Instant::now() >= deadline {
                Some(ExecError::Timeout)
            } else {
                None
            };
        }
        run.end().map_err(io)?;
        if run.output() > output_max {
            stop.get_or_insert(ExecError::TooLarge);
        }
        match stop {
            Some(stop) => Err(stop),
            None => run.said(),
        }
    }

    fn start(&self, order: &Order) -> std::io::Result<Run> {
        let settings = self.settings();
        let (ours, theirs) = UnixStream::pair()?;
        // The command, and with it our copy of their ends, is gone after this statement.
        let child = Command::new(&settings.helper)
            .args(&settings.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // The keys of the terminal are for this process; it ends the other one itself.
            .process_group(0)
            .spawn()?;
        Run::new(child, ours, order)
    }
}

fn io(error: impl std::fmt::Display) -> ExecError {
    ExecError::Io(error.to_string())
}

/// One of the child's pipes, and what came of it.
struct Source {
    pipe: Option<OwnedFd>,
    bytes: Vec<u8>,
}

impl Source {
    fn new(pipe: Option<OwnedFd>) -> std::io::Result<Self> {
        if let Some(pipe) = &pipe {
            fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
        }
        Ok(Self { pipe, bytes: Vec::new() })
    }

    /// Takes what is there, a chunk at most.
    fn take(&mut self) -> std::io::Result<()> {
        let Some(pipe) = &self.pipe else { return Ok(()) };
        let mut chunk = vec![0; CHUNK_BYTES];
        match rustix::io::read(pipe, &mut chunk) {
            Ok(0) => self.pipe = None,
            Ok(count) => self.bytes.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// A confining process under way.
struct Run {
    child: Child,
    control: UnixStream,
    order: Vec<u8>,
    sent: usize,
    report: Source,
    stdout: Source,
    stderr: Source,
}

impl Run {
    fn new(mut child: Child, control: UnixStream, order: &Order) -> std::io::Result<Self> {
        let report = Source::new(Some(control.try_clone()?.into()))?;
        let stdout = Source::new(child.stdout.take().map(OwnedFd::from))?;
        let stderr = Source::new(child.stderr.take().map(OwnedFd::from))?;
        Ok(Self { child, control, order: order.frame()?, sent: 0, report, stdout, stderr })
    }

    /// Until the confining process, which holds the other end to its own end, is gone.
    fn is_open(&self) -> bool {
        self.report.pipe.is_some()
    }

    fn output(&self) -> u64 {
        (self.stdout.bytes.len() as u64).saturating_add(self.stderr.bytes.len() as u64)
    }

    /// Waits a moment for bytes in any direction, and moves them.
    fn move_bytes(&mut self) -> std::io::Result<()> {
        let unsent = self.order.get(self.sent..).unwrap_or_default();
        let direction = if unsent.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        let mut waiting = vec![PollFd::new(&self.control, direction)];
        for source in [&self.report, &self.stdout, &self.stderr] {
            waiting.extend(source.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        }
        match poll(&mut waiting, Some(&LOOK)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if !unsent.is_empty() {
            match self.control.write(unsent) {
                Ok(count) => self.sent = self.sent.saturating_add(count),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                // It ended before it had read all, and says why.
                Err(_) => self.sent = self.order.len(),
            }
        }
        self.report.take()?;
        self.stdout.take()?;
        self.stderr.take()?;
        if self.report.bytes.len() > REPORT_BYTES_MAX {
            return Err(std::io::Error::other("the confined process says too much"));
        }
        Ok(())
    }

    /// Sees to it that nothing is left: asks the confining process to end what it started, which it
    /// also does if this process ends, and waits until it has.
    fn end(&mut self) -> std::io::Result<()> {
        let _already_gone = self.control.shutdown(Shutdown::Write);
        if self.child.try_wait()?.is_none() {
            let pid = Pid::from_child(&self.child);
            let ended = pidfd_open(pid, PidfdFlags::empty())?;
            let mut waiting = [PollFd::new(&ended, PollFlags::IN)];
            if poll(&mut waiting, Some(&GRACE)).is_ok_and(|count| count == 0) {
                let _gone_just_now = kill_process_group(pid, Signal::KILL);
            }
            self.child.wait()?;
        }
        // Every writer is gone, so that what is in the pipes is all, and no more than they hold.
        for source in [&mut self.report, &mut self.stdout, &mut self.stderr] {
            while source.pipe.is_some() {
                let before = source.bytes.len();
                source.take()?;
                if source.bytes.len() == before {
                    source.pipe = None;
                }
            }
        }
        Ok(())
    }

    fn said(&mut self) -> Result<(Said, [Vec<u8>; 2]), ExecError> {
        let said = serde_json::from_slice(&self.report.bytes)
            .map_err(|_| ExecError::Io("the confining process ended without a report".to_owned()))?;
        let outputs = [&mut self.stdout, &mut self.stderr];
        Ok((said, outputs.map(|source| std::mem::take(&mut source.bytes))))
    }
}

/// Whatever the reason for leaving early, nothing is left running.
impl Drop for Run {
    fn drop(&mut self) {
        let _failed_already = self.end();
    }
}
