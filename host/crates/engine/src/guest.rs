//! The data of one store: everything that host functions of one call may see.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use authority::{Authority, Denied};
use base::Capability;

use crate::budget::Budget;
use crate::files::Overlay;
use crate::random::SeededRandom;
use crate::wasi::Wasi;
use crate::{HostContext, LogLine, LogSource};

/// How many refused host calls a report lists.
const DENIED_MAX: usize = 64;
/// What a line costs of the stdio cap beside its text, so that empty lines run out too.
const LINE_COST: u64 = 1;

/// One call's state.
pub(crate) struct Guest {
    pub(crate) budget: Budget,
    pub(crate) authority: Authority,
    pub(crate) host: HostContext,
    pub(crate) overlay: Overlay,
    pub(crate) random: SeededRandom,
    pub(crate) captured: Arc<Mutex<Captured>>,
    pub(crate) wasi: Option<Box<Wasi>>,
    denied: Vec<Denied>,
}

impl Guest {
    pub(crate) fn new(budget: Budget, authority: Authority, host: HostContext, wants_wasi: bool) -> Self {
        let captured = Arc::new(Mutex::new(Captured::new(budget.limits.stdio_bytes)));
        let wasi = wants_wasi.then(|| Box::new(Wasi::new(&captured, budget.limits.resources)));
        Self {
            overlay: Overlay::new(Arc::clone(&host.roots), authority.live(Capability::FilesWrite)),
            random: SeededRandom::new(host.seed),
            budget,
            authority,
            host,
            captured,
            wasi,
            denied: Vec::new(),
        }
    }

    /// Records a refusal for the report.
    pub(crate) fn record(&mut self, denied: &Denied) {
        if self.denied.len() < DENIED_MAX && !self.denied.contains(denied) {
            self.denied.push(denied.clone());
        }
    }

    pub(crate) fn take_denied(&mut self) -> Vec<Denied> {
        std::mem::take(&mut self.denied)
    }

    pub(crate) fn captured(&self) -> MutexGuard<'_, Captured> {
        lock(&self.captured)
    }
}

pub(crate) fn lock(captured: &Mutex<Captured>) -> MutexGuard<'_, Captured> {
    captured.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the guest said, cut at the limit.
pub(crate) struct Captured {
    left: u64,
    dropped: u64,
    lines: Vec<LogLine>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Captured {
    fn new(limit: u64) -> Self {
        Self { left: limit, dropped: 0, lines: Vec::new(), stdout: Vec::new(), stderr: Vec::new() }
    }

    /// Adds a line of the log.
    pub(crate) fn line(&mut self, source: LogSource, mut text: String) {
        let cost = (text.len() as u64).saturating_add(LINE_COST);
        if cost > self.left {
            let room = usize::try_from(self.left.saturating_sub(LINE_COST)).unwrap_or(usize::MAX);
            let kept = text.floor_char_boundary(room);
            self.dropped = self.dropped.saturating_add((text.len() - kept) as u64);
            text.truncate(kept);
            if self.left <= LINE_COST {
                return;
            }
        }
        self.left = self.left.saturating_sub(cost);
        self.lines.push(LogLine { source, text });
    }

    /// Adds bytes of standard output or error.
    pub(crate) fn write(&mut self, source: LogSource, bytes: &[u8]) {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX);
        let (kept, cut) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.left = self.left.saturating_sub(kept.len() as u64);
        self.dropped = self.dropped.saturating_add(cut.len() as u64);
        match source {
            LogSource::Stderr => self.stderr.extend_from_slice(kept),
            _ => self.stdout.extend_from_slice(kept),
        }
    }

    /// Everything as lines, the log first, and how many bytes were cut.
    pub(crate) fn finish(&mut self) -> (Vec<LogLine>, u64) {
        let mut lines = std::mem::take(&mut self.lines);
        for (source, bytes) in [(LogSource::Stdout, &self.stdout), (LogSource::Stderr, &self.stderr)] {
            let text = String::from_utf8_lossy(bytes);
            lines.extend(text.lines().map(|line| LogLine { source, text: line.to_owned() }));
        }
        (lines, self.dropped)
    }
}
