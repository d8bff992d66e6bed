//! The append that is under way.

use base::Refusal;
use journal::{Append, AppendError, Record};
use tokio::sync::oneshot;
use values::Value;

use super::work::Work;
use crate::host::Host;
use crate::machine::{Command, State};

/// An append, and what it records.
pub(super) struct Commit {
    receiver: oneshot::Receiver<Result<Vec<Record>, AppendError>>,
    pub(super) done: Vec<(Command, Option<Value>)>,
    /// What must not be lost if the append fails because another came first.
    pub(super) answers: Vec<Work>,
}

/// Hands the results to the journal's writer.
pub(super) fn submit(host: &Host, state: &State, outbox: Vec<Work>) -> Commit {
    let mut append = Append {
        run: state.run().clone(),
        expected: state.next_seq(),
        at: host.clock.now(),
        events: Vec::new(),
        artifacts: Vec::new(),
    };
    let mut done = Vec::with_capacity(outbox.len());
    let mut answers = Vec::new();
    for work in outbox {
        if matches!(work.command, Command::Send { .. }) {
            answers.push(work.clone());
        }
        append.events.extend(work.events);
        append.artifacts.extend(work.artifacts);
        done.push((work.command, work.value));
    }
    let (sender, receiver) = oneshot::channel();
    if append.events.is_empty() {
        // Nothing came of it, which is also an answer.
        drop(sender.send(Ok(Vec::new())));
    } else {
        // The session may be gone when the answer comes; then nobody needs it.
        host.journal.submit(append, move |result| drop(sender.send(result)));
    }
    Commit { receiver, done, answers }
}

/// Waits for the append; for ever if there is none.
pub(super) async fn committed(commit: &mut Option<Commit>) -> (Commit, Result<Vec<Record>, AppendError>) {
    let result = match commit.as_mut() {
        Some(commit) => (&mut commit.receiver).await.unwrap_or(Err(AppendError::Poisoned)),
        None => std::future::pending().await,
    };
    match commit.take() {
        Some(commit) => (commit, result),
        None => std::future::pending().await,
    }
}

/// Reads an artifact as JSON.
pub(super) fn artifact_json(host: &Host, digest: &base::Digest) -> Result<serde_json::Value, Refusal> {
    let bytes = host.journal.artifact(digest)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Refusal::new(base::Code::JournalDamaged, format!("artifact {digest} does not parse: {error}"))
    })
}
