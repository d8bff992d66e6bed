//! Events to write and ways to meddle.

use std::sync::{Arc, Condvar, Mutex};

use base::{Attempt, Digest, NoProbe, Probe, RunId, Timestamp};
use journal::{Append, ApprovalBinding, BudgetRecord, Event, Journal, Mode, Payload, RunCreated};

pub(crate) fn open(home: &tempfile::TempDir) -> Journal {
    Journal::open(home.path(), Arc::new(NoProbe)).unwrap()
}

pub(crate) fn run(number: u8) -> RunId {
    RunId::from_random([number; 12])
}

pub(crate) fn digest(number: u8) -> Digest {
    Digest::of(&[number])
}

pub(crate) fn append(run: &RunId, expected: u64, events: Vec<Event>) -> Append {
    Append { run: run.clone(), expected, at: Timestamp(1_000), events, artifacts: Vec::new() }
}

pub(crate) fn created() -> Event {
    Event::RunCreated(Box::new(RunCreated {
        plan: "p".into(),
        plan_digest: digest(0),
        planfile: digest(0),
        planfile_name: "p.plan.md".into(),
        inputs: Payload::Inline(serde_json::json!({})),
        roots: Vec::new(),
        packs: Vec::new(),
        steps: Vec::new(),
        budget: BudgetRecord {
            calls: 1,
            fuel: 1,
            wall_ms: 1,
            files: 1,
            file_bytes: 1,
            model_tokens: 1,
            model_cost: 1,
        },
        policy: digest(0),
        mode: Mode::Solo,
        started_by: "somebody".into(),
    }))
}

/// Any event that says `text`. The journal does not judge what follows what.
pub(crate) fn note(text: &str) -> Event {
    Event::RunYielded { code: "E-X".into(), message: text.into(), step: None }
}

pub(crate) fn cancelled() -> Event {
    Event::RunCancelled { by: "somebody".into(), reason: None }
}

pub(crate) fn consumed(number: u8) -> Event {
    Event::ApprovalConsumed { digest: digest(number) }
}

pub(crate) fn requested(number: u8) -> (Event, Digest) {
    let binding = ApprovalBinding {
        run: run(number),
        plan: digest(0),
        path: "save".parse().unwrap(),
        attempt: Attempt::FIRST,
        statement: digest(0),
        operation: "acme:notes/notes.draft".parse().unwrap(),
        input: digest(0),
        authority: digest(0),
        effects: digest(0),
        policy: digest(0),
    };
    let digest = binding.digest();
    (Event::ApprovalRequested { digest, binding, expires_at: None }, digest)
}

/// What somebody with the file and the `sqlite3` program can do.
pub(crate) fn sql(home: &tempfile::TempDir, text: &str) {
    let connection = rusqlite::Connection::open(home.path().join("journal.sqlite")).unwrap();
    connection.execute_batch(text).unwrap();
}

/// Holds the writer before its commit.
#[derive(Default)]
pub(crate) struct Pause {
    state: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Pause {
    pub(crate) fn hold(&self) {
        self.state.lock().unwrap().0 = true;
    }

    pub(crate) fn wait_until_held(&self) {
        drop(self.changed.wait_while(self.state.lock().unwrap(), |state| !state.1).unwrap());
    }

    pub(crate) fn release(&self) {
        self.state.lock().unwrap().0 = false;
        self.changed.notify_all();
    }
}

impl Probe for Pause {
    fn reach(&self, label: &'static str) {
        if label == "journal:before-commit" {
            let mut state = self.state.lock().unwrap();
            state.1 = state.0;
            self.changed.notify_all();
            drop(self.changed.wait_while(state, |state| state.0).unwrap());
        }
    }
}
