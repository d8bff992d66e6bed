//! The data of one store: everything that host functions of one call may see.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use authority::{Authority, Denied};
use base::Capability;
use wasmtime_wasi::{WasiCtxView, WasiView};

use crate::baseline::{Baseline, StoreData};
use crate::budget::Budget;
use crate::files::Overlay;
use crate::random::SeededRandom;
use crate::reached::Recorder;
use crate::tape::{Deck, Tape};
use crate::trap::Stop;
use crate::wasi::Wasi;
use crate::{HostContext, LogLine, LogSource, Trap};

/// How many refused host calls a report lists.
const DENIED_MAX: usize = 64;
/// What a line costs of the limit beside its text, so that empty lines run out too.
const LINE_COST: u64 = 1;

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.baseline().into_wasi().view()
    }
}

impl StoreData for Guest {
    fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    fn baseline(&mut self) -> Baseline<'_> {
        let Self { budget, captured, wasi, random, .. } = self;
        let captured = Arc::clone(captured);
        Baseline { budget, captured, wasi, random }
    }
}

/// One call's state.
pub(crate) struct Guest {
    pub(crate) budget: Budget,
    pub(crate) authority: Authority,
    pub(crate) host: HostContext,
    pub(crate) overlay: Overlay,
    pub(crate) random: SeededRandom,
    pub(crate) captured: Arc<Mutex<Captured>>,
    pub(crate) wasi: Option<Box<Wasi>>,
    /// Where the call may have to be repeated up to a held call.
    pub(crate) deck: Option<Deck>,
    /// The call among all calls: what idempotency keys come from.
    pub(crate) call_id: String,
    pub(crate) reached: Recorder,
    denied: Vec<Denied>,
    refusals: u64,
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
            deck: None,
            call_id: String::new(),
            reached: Recorder::default(),
            denied: Vec::new(),
            refusals: 0,
        }
    }

    /// Plays `tape`, if there is one, and records what comes after it, if a call of this guest may be
    /// held: then it has to run again to where it was.
    pub(crate) fn with_tape(mut self, call_id: String, tape: Option<Tape>) -> Self {
        let may_hold = self.authority.may_hold();
        self.call_id = call_id;
        self.deck = tape.or_else(|| may_hold.then(|| Tape::new(self.host.seed))).map(Deck::new);
        if let Some(deck) = &self.deck {
            self.random = SeededRandom::new(deck.seed());
        }
        self
    }

    /// Records a refusal for the report.
    pub(crate) fn record(&mut self, denied: &Denied) {
        self.refusals = self.refusals.saturating_add(1);
        if self.denied.len() < DENIED_MAX && !self.denied.contains(denied) {
            self.denied.push(denied.clone());
        }
    }

    /// How many refusals there were, equal ones counted.
    pub(crate) fn refusals(&self) -> u64 {
        self.refusals
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

/// What the guest said, up to the limit.
pub(crate) struct Captured {
    limit: u64,
    used: u64,
    lines: Vec<LogLine>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Captured {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, used: 0, lines: Vec::new(), stdout: Vec::new(), stderr: Vec::new() }
    }

    /// Adds a line of the log: as much of it as fits, so that whoever asks why the call was ended
    /// sees what it was saying.
    pub(crate) fn line(&mut self, source: LogSource, mut text: String) -> Result<(), Stop> {
        let cost = (text.len() as u64).saturating_add(LINE_COST);
        let room = self.take(cost);
        let cut = room < cost;
        if cut {
            let kept = usize::try_from(room.saturating_sub(LINE_COST)).unwrap_or(usize::MAX);
            text.truncate(text.floor_char_boundary(kept));
        }
        if room > LINE_COST || !cut {
            self.lines.push(LogLine { source, text });
        }
        if cut { Err(Trap::Stdio.into()) } else { Ok(()) }
    }

    /// Adds bytes of standard output or error, likewise.
    pub(crate) fn write(&mut self, source: LogSource, bytes: &[u8]) -> Result<(), Stop> {
        let room = usize::try_from(self.take(bytes.len() as u64)).unwrap_or(usize::MAX);
        let (kept, cut) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        match source {
            LogSource::Stderr => self.stderr.extend_from_slice(kept),
            _ => self.stdout.extend_from_slice(kept),
        }
        if cut.is_empty() { Ok(()) } else { Err(Trap::Stdio.into()) }
    }

    /// How many bytes were counted.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// Counts what was counted elsewhere: never less than here, and never more than there may be.
    pub(crate) fn catch_up(&mut self, used: u64) {
        self.used = self.used.max(used.min(self.limit));
    }

    /// Standard output and error, which are taken away.
    pub(crate) fn take_output(&mut self) -> [Vec<u8>; 2] {
        [std::mem::take(&mut self.stdout), std::mem::take(&mut self.stderr)]
    }

    /// Takes over output that was counted elsewhere, as much as there may be.
    pub(crate) fn adopt_output(&mut self, output: [Vec<u8>; 2]) {
        let mut room = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let [stdout, stderr] = output.map(|mut bytes| {
            bytes.truncate(room);
            room -= bytes.len();
            bytes
        });
        (self.stdout, self.stderr) = (stdout, stderr);
    }

    /// Counts `wanted` bytes, or those of them that are left, and says how many.
    fn take(&mut self, wanted: u64) -> u64 {
        let room = wanted.min(self.limit.saturating_sub(self.used));
        self.used = self.used.saturating_add(room);
        room
    }

    /// Everything as lines, the log first, and how many bytes were counted.
    pub(crate) fn finish(&mut self) -> (Vec<LogLine>, u64) {
        let mut lines = std::mem::take(&mut self.lines);
        for (source, bytes) in [(LogSource::Stdout, &self.stdout), (LogSource::Stderr, &self.stderr)] {
            let text = String::from_utf8_lossy(bytes);
            lines.extend(text.lines().map(|line| LogLine { source, text: line.to_owned() }));
        }
        (lines, self.used)
    }
}
