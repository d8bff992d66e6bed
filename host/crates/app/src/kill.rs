//! Killing the process at a named point, for crash tests.
//!
//! Whoever can set the environment of the program can kill it anyway; the point is only that the
//! kill lands between two exact instructions.

use std::sync::atomic::{AtomicU32, Ordering};

use base::Probe;
use rustix::process::{Signal, getpid, kill_process};

/// A point and which time it is reached: `label` or `label#3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KillAt {
    label: String,
    visit: u32,
}

impl KillAt {
    /// Parses `label` or `label#n`, `n` from 1.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (label, visit) = text.split_once('#').unwrap_or((text, "1"));
        Self { label: label.to_owned(), visit: visit.parse().unwrap_or(1) }
    }
}

/// Sends SIGKILL to this very process when the point is reached.
#[derive(Debug)]
pub(crate) struct KillProbe {
    at: KillAt,
    visits: AtomicU32,
}

impl KillProbe {
    pub(crate) fn new(at: KillAt) -> Self {
        Self { at, visits: AtomicU32::new(0) }
    }
}

impl Probe for KillProbe {
    fn reach(&self, label: &'static str) {
        if label != self.at.label {
            return;
        }
        if self.visits.fetch_add(1, Ordering::SeqCst) + 1 == self.at.visit {
            let _never_returns = kill_process(getpid(), Signal::KILL);
            // The signal is delivered before the call returns to user code; nothing runs after it.
            loop {
                std::thread::park();
            }
        }
    }
}
