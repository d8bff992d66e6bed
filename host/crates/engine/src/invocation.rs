//! What a call is given and what it leaves behind.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use authority::{Authority, Denied};
use base::{ChangeSet, Clock, Digest, Limits, Reached, Usage};
use values::{FunctionType, Value};

use crate::files::Roots;
use crate::held::HeldCall;
use crate::tape::Tape;
use crate::{ExecRunner, HttpClient, Models, SecretValues, Trap};

/// One call of one operation.
#[derive(Clone)]
pub struct Invocation {
    /// The exported interface: its label (`tree`) or its full name, with or without the version
    /// (`capstan:pack/health`). A label never means an interface of `capstan:pack`.
    pub interface: String,
    /// The function in it.
    pub function: String,
    /// The signature that the caller was checked against.
    pub signature: FunctionType,
    /// One value for each parameter, in order.
    pub arguments: Vec<Value>,
    /// The limits of this call.
    pub limits: Limits,
    /// What is live, and in which scope.
    pub authority: Authority,
    /// What the live interfaces reach.
    pub host: HostContext,
    /// The call among all calls, the same when it is made again: its idempotency keys come from it.
    pub call_id: String,
    /// What an earlier run of the guest was answered, which this one is answered too.
    pub tape: Option<Tape>,
    /// Ends the call early.
    pub cancel: CancelToken,
}

/// What the live host interfaces of a call reach.
#[derive(Clone)]
pub struct HostContext {
    /// The folders behind root names.
    pub roots: Arc<Roots>,
    /// The run's artifacts.
    pub artifacts: Arc<dyn Artifacts>,
    /// Sends what `http-read` asks for, and approved calls of `http-send`.
    pub http: HttpClient,
    /// Runs what `exec` asks for.
    pub exec: ExecRunner,
    /// The models that the call's authority may be asked for, and how they are asked.
    pub models: Models,
    /// The values of the secrets that the call's authority may be filled in with, by name.
    pub secrets: SecretValues,
    /// The time that `clock` tells.
    pub clock: Arc<dyn Clock>,
    /// Seeds the random bytes that the guest draws: same seed, same bytes.
    pub seed: [u8; 32],
}

/// Content-addressed bytes of a run, as guests see them. Called from guest threads.
pub trait Artifacts: Send + Sync {
    /// Stores `contents`, whose digest is `digest`.
    ///
    /// # Errors
    /// If the store failed; the text goes to the guest.
    fn put(&self, digest: &Digest, contents: &[u8], media_type: &str) -> Result<(), ArtifactError>;

    /// The contents of `digest`, if the run has them and they are at most `max_bytes` long.
    ///
    /// # Errors
    /// If there are none, they are too large, or the store failed.
    fn get(&self, digest: &Digest, max_bytes: u64) -> Result<Vec<u8>, ArtifactError>;
}

/// Why an artifact could not be stored or fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// The run has no such artifact.
    #[error("no such artifact")]
    NotFound,
    /// It is larger than the call may take.
    #[error("the artifact is larger than the call may take")]
    TooLarge,
    /// The store failed.
    #[error("{0}")]
    Io(String),
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It returned. A top-level `result` is unwrapped: this is its ok payload.
    Returned(Option<Value>),
    /// It returned the error case of a top-level `result`.
    Failed(Option<Value>),
    /// It called an inert interface that has no way to answer with an error.
    Denied(Denied),
    /// It was stopped.
    Trapped(Trap),
    /// It came to a call that somebody has to approve before it is made.
    Held(Box<Held>),
    /// It did something else than its tape says; the text says where.
    Diverged(String),
}

/// A guest that was stopped at a call which has to be approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The call.
    pub call: HeldCall,
    /// What the guest was answered until then.
    pub tape: Tape,
}

/// What a call leaves behind.
#[derive(Debug, Clone)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// What the host could not do, where that ended the call: why there is no process to run it in.
    pub problem: Option<String>,
    /// What it used of its limits.
    pub usage: Usage,
    /// Its log, stdout and stderr, in order: where the limit ended the call, what fitted.
    pub log: Vec<LogLine>,
    /// Host calls that were refused for want of authority: the first 64 different ones.
    pub denied: Vec<Denied>,
    /// What it reached of what was permitted, as far as [`crate::REACHED_ENTRIES_MAX`] and
    /// [`crate::REACHED_BYTES_MAX`] go.
    pub reached: Reached,
    /// The writes that it staged; empty unless it returned.
    pub changes: ChangeSet,
    /// The new contents of `changes`, by digest.
    pub blobs: BTreeMap<Digest, Vec<u8>>,
}

impl Report {
    /// The report of a call that ended before the guest ran.
    pub(crate) fn early(trap: Trap) -> Self {
        Self {
            outcome: Outcome::Trapped(trap),
            problem: None,
            usage: Usage::default(),
            log: Vec::new(),
            denied: Vec::new(),
            reached: Reached::default(),
            changes: ChangeSet::default(),
            blobs: BTreeMap::new(),
        }
    }

    /// Why it was stopped, in words, if it was.
    #[must_use]
    pub fn stopped(&self) -> Option<String> {
        let Outcome::Trapped(trap) = self.outcome else { return None };
        let why = self.problem.as_deref().unwrap_or_else(|| trap.meaning());
        Some(format!("{trap}: {why}"))
    }
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogSource {
    /// `capstan:host/log` at level `debug`.
    Debug,
    /// Level `info`.
    Info,
    /// Level `warn`.
    Warn,
    /// Level `error`.
    Error,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl LogSource {
    /// The name used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// One thing that the guest said. Unescaped: it is escaped where it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where it came from.
    pub source: LogSource,
    /// What it said.
    pub text: String,
}

/// Ends calls early: the guest at its next tick, a waiting host call at once. Clones share it.
#[derive(Clone)]
pub struct CancelToken {
    /// Its own flag, after those of the tokens that it descends from.
    flags: Vec<Arc<AtomicBool>>,
    /// Where calls of the whole family wait.
    family: Arc<(Mutex<()>, Condvar)>,
}

impl Default for CancelToken {
    fn default() -> Self {
        Self { flags: vec![Arc::default()], family: Arc::default() }
    }
}

impl CancelToken {
    /// A token that is cancelled with this one, and can be cancelled alone.
    #[must_use]
    pub fn child(&self) -> Self {
        let own = std::iter::once(Arc::default());
        Self { flags: self.flags.iter().cloned().chain(own).collect(), family: Arc::clone(&self.family) }
    }

    /// Cancels every call that has this token or a child of it. There is no way back.
    pub fn cancel(&self) {
        if let Some(own) = self.flags.last() {
            own.store(true, Ordering::Release);
        }
        let (lock, wake) = &*self.family;
        let _waiting = lock.lock().unwrap_or_else(PoisonError::into_inner);
        wake.notify_all();
    }

    /// Whether it, or a token that it descends from, was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.flags.iter().any(|flag| flag.load(Ordering::Acquire))
    }

    /// Sleeps for `duration`, or until cancelled.
    pub(crate) fn sleep(&self, duration: Duration) {
        let (lock, wake) = &*self.family;
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let _woken = wake.wait_timeout_while(guard, duration, |()| !self.is_cancelled());
    }
}
