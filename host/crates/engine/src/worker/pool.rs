//! The workers of one run: started when they are needed, kept for its next calls, ended with it.

#![expect(clippy::disallowed_methods, reason = "this module starts workers, and bounds the time it takes")]

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base::Digest;

use super::process::{Broken, Worker};
use super::wire::{SLACK_BYTES, Said};
use crate::confine::Holds;
use crate::program::Loaded;

/// How often a wait for a worker is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How long a worker may take to confine itself, and again to load its code.
const START: Duration = Duration::from_secs(10);
/// Most workers that are kept while they have nothing to do.
const IDLE_MAX: usize = 16;

/// How workers are started.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// This program.
    pub program: PathBuf,
    /// What makes it call [`crate::work`].
    pub arguments: Vec<OsString>,
}

/// Guests cannot be given a process of their own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no guest can be isolated in a process of its own: {0}")]
pub struct IsolationError(String);

/// The workers of one run. A worker only ever has the code of one component. Clones share them; the
/// last one ends them.
#[derive(Clone)]
pub struct Workers(Arc<Pool>);

struct Pool {
    idle: Mutex<Vec<Kept>>,
    holds: Vec<Holds>,
    starter: Starter,
}

/// A worker without a call.
struct Kept {
    /// The component whose code it has; none if it has none yet.
    component: Option<Digest>,
    worker: Worker,
}

impl Workers {
    /// Starts the first worker.
    ///
    /// # Errors
    /// If it could not be started, or this machine cannot confine it.
    pub fn open(settings: WorkerSettings) -> Result<Self, IsolationError> {
        let starter = Starter::new(settings)?;
        let (worker, holds) = starter.start()?;
        let first = Kept { component: None, worker };
        Ok(Self(Arc::new(Pool { idle: Mutex::new(vec![first]), holds, starter })))
    }

    /// What the first worker tried when it was confined, in vain.
    #[must_use]
    pub fn holds(&self) -> &[Holds] {
        &self.0.holds
    }

    /// A worker with the program's code.
    pub(super) fn take(&self, program: &Loaded) -> Result<Worker, IsolationError> {
        if let Some(worker) = self.take_kept(Some(program.digest())) {
            return Ok(worker);
        }
        let mut worker = match self.take_kept(None) {
            Some(worker) => worker,
            None => self.0.starter.start()?.0,
        };
        let code = program.code().map_err(|error| failed(&error))?;
        let mut patience = patience();
        worker.tell_bytes(&code, &mut patience).map_err(|error| failed(&error))?;
        match worker.hear(SLACK_BYTES, &mut patience).map_err(|error| failed(&error))? {
            Said::Loaded => Ok(worker),
            Said::Failed(why) => Err(IsolationError(why)),
            _ => Err(failed(&Broken::<IsolationError>::Worker)),
        }
    }

    fn take_kept(&self, component: Option<Digest>) -> Option<Worker> {
        loop {
            let mut idle = self.idle();
            let place = idle.iter().rposition(|kept| kept.component == component)?;
            let mut worker = idle.remove(place).worker;
            drop(idle);
            // Something else may have ended it meanwhile.
            if worker.is_alive() {
                return Some(worker);
            }
        }
    }

    /// Keeps a worker that has ended its call as it should.
    pub(super) fn give_back(&self, program: &Loaded, worker: Worker) {
        let mut idle = self.idle();
        idle.push(Kept { component: Some(program.digest()), worker });
        let oldest = (idle.len() > IDLE_MAX).then(|| idle.remove(0));
        drop(idle);
        drop(oldest);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(error: &impl std::fmt::Display) -> IsolationError {
    IsolationError(error.to_string())
}

/// Goes on until the time for a step of starting is over.
fn patience() -> impl FnMut() -> Result<(), IsolationError> {
    let until = Instant::now() + START;
    move || {
        if Instant::now() < until {
            Ok(())
        } else {
            Err(IsolationError("its process does not get ready".to_owned()))
        }
    }
}

/// What a starting thread gives.
type Started = std::io::Result<(Child, UnixStream)>;

/// Starts processes on a thread of its own, since the kernel ends a worker with the thread that
/// started it, and threads that run guests may end earlier than a run.
struct Starter(Mutex<Sender<SyncSender<Started>>>);

impl Starter {
    fn new(settings: WorkerSettings) -> Result<Self, IsolationError> {
        let (asker, asked): (_, Receiver<SyncSender<Started>>) = channel();
        let thread = std::thread::Builder::new().name("worker-starter".to_owned());
        let work = move || {
            while let Ok(answer) = asked.recv() {
                let _nobody_waits = answer.send(spawn(&settings));
            }
        };
        thread.spawn(work).map_err(|error| failed(&error))?;
        Ok(Self(Mutex::new(asker)))
    }

    /// Starts a worker, and gives it with what it tried when it was confined.
    fn start(&self) -> Result<(Worker, Vec<Holds>), IsolationError> {
        let (answer, answered) = sync_channel(1);
        let gone = |_| IsolationError("the thread that starts processes is gone".to_owned());
        let asker = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        asker.send(answer).map_err(|_| gone(()))?;
        let (child, socket) = answered.recv().map_err(|_| gone(()))?.map_err(|error| failed(&error))?;
        let mut worker = Worker::new(child, socket);
        match worker.hear(SLACK_BYTES, &mut patience()).map_err(|error| failed(&error))? {
            Said::Confined(holds) => match holds.iter().find(|held| held.reached.is_some()) {
                None => Ok((worker, holds)),
                Some(Holds { what, .. }) => {
                    Err(IsolationError(format!("on this machine a confined worker can {what}")))
                }
            },
            Said::Failed(why) => Err(IsolationError(why)),
            _ => Err(failed(&Broken::<IsolationError>::Worker)),
        }
    }
}

fn spawn(settings: &WorkerSettings) -> Started {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_read_timeout(Some(LOOK))?;
    ours.set_write_timeout(Some(LOOK))?;
    // The command, and with it our copy of their end, is gone after this statement.
    let child = Command::new(&settings.program)
        .args(&settings.arguments)
        .env_clear()
        .current_dir("/")
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok((child, ours))
}
