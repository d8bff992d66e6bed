//! The one thread that writes, and its group commit.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use base::{Digest, Probe, RunId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Savepoint, TransactionBehavior};

use crate::record::{EVENT_VERSION, Entry, chain_next, chain_start};
use crate::{AppendError, Event, Record, StorageError, artifact};

pub(crate) const BEFORE_COMMIT: &str = "journal:before-commit";
pub(crate) const AFTER_COMMIT: &str = "journal:after-commit";

/// Most appends in one commit. More wait for the next one, so that a flood cannot grow a
/// transaction without bound.
const BATCH_MAX: usize = 256;
/// Longest event, as JSON. Everything large in an event travels as an artifact.
const EVENT_BYTES_MAX: usize = 16 << 20;

/// Events that go in together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Append {
    /// The run.
    pub run: RunId,
    /// The number of the first of `events`; 0 makes the run.
    pub expected: u64,
    /// The time that the events are recorded with.
    pub at: Timestamp,
    /// What happened.
    pub events: Vec<Event>,
    /// The bytes that `events` name by digest and that are not in the journal yet. Putting the
    /// same bytes again does nothing.
    pub artifacts: Vec<Vec<u8>>,
}

/// What the writer has done since the journal was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions committed: each costs one fsync of the write-ahead log.
    pub commits: u64,
    /// Appends in them.
    pub appends: u64,
    /// Events in them.
    pub events: u64,
}

#[derive(Default)]
struct Counters {
    commits: AtomicU64,
    appends: AtomicU64,
    events: AtomicU64,
}

pub(crate) type Reply = Box<dyn FnOnce(Result<Vec<Record>, AppendError>) + Send>;

/// An append whose bytes are ready: encoding is done by the thread that asks, not by the writer.
pub(crate) struct Job {
    target: Option<Target>,
    rows: Vec<Row>,
    artifacts: Vec<artifact::Prepared>,
    reply: Reply,
}

struct Target {
    run: RunId,
    expected: u64,
    at: Timestamp,
}

struct Row {
    event: Event,
    body: Vec<u8>,
}

impl Job {
    pub(crate) fn events(
        run: RunId,
        expected: u64,
        at: Timestamp,
        events: Vec<Event>,
        artifacts: Vec<artifact::Prepared>,
        reply: Reply,
    ) -> Result<Self, (AppendError, Reply)> {
        let mut rows = Vec::with_capacity(events.len());
        for event in events {
            match encode(&event) {
                Ok(body) => rows.push(Row { event, body }),
                Err(error) => return Err((error, reply)),
            }
        }
        Ok(Self { target: Some(Target { run, expected, at }), rows, artifacts, reply })
    }

    pub(crate) fn artifact(prepared: artifact::Prepared, reply: Reply) -> Self {
        Self { target: None, rows: Vec::new(), artifacts: vec![prepared], reply }
    }
}

fn encode(event: &Event) -> Result<Vec<u8>, AppendError> {
    let body = serde_json::to_vec(event).map_err(|error| {
        AppendError::Storage(StorageError::Other { path: PathBuf::from("event"), reason: error.to_string() })
    })?;
    if body.len() > EVENT_BYTES_MAX {
        let bytes = body.len() as u64;
        return Err(AppendError::TooLarge { what: "an event", bytes, max: EVENT_BYTES_MAX as u64 });
    }
    Ok(body)
}

/// The handle to the thread. Dropping it waits until what is queued is written.
pub(crate) struct Writer {
    sender: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
}

impl Writer {
    pub(crate) fn start(
        connection: Connection,
        database: PathBuf,
        probe: Arc<dyn Probe>,
    ) -> Result<Self, StorageError> {
        let (sender, receiver) = channel();
        let counters = Arc::new(Counters::default());
        let path = database.clone();
        let state = Thread { connection, database, probe, counters: Arc::clone(&counters), poisoned: false };
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || state.run(&receiver))
            .map_err(|error| StorageError::io(&path, &error))?;
        Ok(Self { sender: Some(sender), thread: Some(thread), counters })
    }

    /// Queues the job. If the thread is gone, the reply comes at once.
    pub(crate) fn submit(&self, job: Job) {
        let unsent = match &self.sender {
            Some(sender) => sender.send(job).err().map(|error| error.0),
            None => Some(job),
        };
        if let Some(job) = unsent {
            (job.reply)(Err(AppendError::Poisoned));
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            commits: self.counters.commits.load(Ordering::Relaxed),
            appends: self.counters.appends.load(Ordering::Relaxed),
            events: self.counters.events.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.sender.take());
        // The last handle may be dropped by a reply, that is by the writer itself.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // A writer that panicked has answered nobody; each of them learnt it from that.
            drop(thread.join());
        }
    }
}

struct Thread {
    connection: Connection,
    database: PathBuf,
    probe: Arc<dyn Probe>,
    counters: Arc<Counters>,
    poisoned: bool,
}

/// Why one append of a batch is not in it: its own fault, or the storage's, which ends the batch.
enum WriteError {
    Own(AppendError),
    Storage(rusqlite::Error),
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Storage(error)
    }
}

type Answer = (Reply, Result<Vec<Record>, AppendError>);

impl Thread {
    fn run(mut self, receiver: &Receiver<Job>) {
        while let Ok(first) = receiver.recv() {
            let batch: Vec<Job> =
                std::iter::once(first).chain(receiver.try_iter().take(BATCH_MAX - 1)).collect();
            for (reply, result) in self.commit(batch) {
                reply(result);
            }
        }
    }

    fn commit(&mut self, batch: Vec<Job>) -> Vec<Answer> {
        if self.poisoned {
            return batch.into_iter().map(|job| (job.reply, Err(AppendError::Poisoned))).collect();
        }
        let (replies, jobs): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|job| (job.reply, (job.target, job.rows, job.artifacts))).unzip();
        match self.transact(jobs) {
            Ok(results) => replies.into_iter().zip(results).collect(),
            Err(error) => {
                let error = match StorageError::sqlite(&self.database, &error) {
                    // Raised by BEGIN only: nothing was attempted, so nothing is in doubt.
                    StorageError::Locked(_) => AppendError::Locked,
                    error => {
                        self.poisoned = true;
                        AppendError::Uncertain(error)
                    }
                };
                replies.into_iter().map(|reply| (reply, Err(error.clone()))).collect()
            }
        }
    }

    /// Writes the batch in one transaction. An append that fails by its own fault is rolled back
    /// to its savepoint and leaves the others alone.
    fn transact(
        &mut self,
        jobs: Vec<(Option<Target>, Vec<Row>, Vec<artifact::Prepared>)>,
    ) -> Result<Vec<Result<Vec<Record>, AppendError>>, rusqlite::Error> {
        let mut transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut results = Vec::with_capacity(jobs.len());
        for (target, rows, artifacts) in jobs {
            let savepoint = transaction.savepoint()?;
            match write(&savepoint, target, rows, &artifacts) {
                Ok(records) => {
                    savepoint.commit()?;
                    results.push(Ok(records));
                }
                Err(WriteError::Own(error)) => {
                    savepoint.finish()?;
                    results.push(Err(error));
                }
                Err(WriteError::Storage(error)) => return Err(error),
            }
        }
        let written = results.iter().flatten();
        let (appends, events) =
            written.fold((0, 0), |(appends, events), records| (appends + 1, events + records.len() as u64));
        if appends == 0 {
            return transaction.rollback().map(|()| results);
        }
        self.probe.reach(BEFORE_COMMIT);
        transaction.commit()?;
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        self.counters.appends.fetch_add(appends, Ordering::Relaxed);
        self.counters.events.fetch_add(events, Ordering::Relaxed);
        self.probe.reach(AFTER_COMMIT);
        Ok(results)
    }
}

fn write(
    savepoint: &Savepoint<'_>,
    target: Option<Target>,
    rows: Vec<Row>,
    artifacts: &[artifact::Prepared],
) -> Result<Vec<Record>, WriteError> {
    for prepared in artifacts {
        artifact::insert(savepoint, prepared)?;
    }
    let Some(Target { run, expected, at }) = target else { return Ok(Vec::new()) };
    let (number, mut chain) = head(savepoint, &run, expected)?;
    let mut records = Vec::with_capacity(rows.len());
    let mut seq = expected;
    for row in rows {
        let leaf = Entry { run: &run, seq, at, version: EVENT_VERSION, body: &row.body }.leaf();
        chain = chain_next(&chain, &leaf);
        insert(savepoint, number, seq, at, &row, &leaf, &chain)?;
        records.push(Record { seq, at, event: row.event, leaf });
        seq += 1;
    }
    savepoint.prepare_cached("UPDATE run SET next_seq = ?2, chain = ?3 WHERE number = ?1")?.execute((
        number,
        stored(seq),
        chain.as_bytes(),
    ))?;
    Ok(records)
}

/// The run's row number and chain, if `expected` is what comes next; makes the run at 0.
fn head(savepoint: &Savepoint<'_>, run: &RunId, expected: u64) -> Result<(i64, Digest), WriteError> {
    let found: Option<(i64, i64, [u8; 32])> = savepoint
        .prepare_cached("SELECT number, next_seq, chain FROM run WHERE id = ?1")?
        .query_row([run.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    match found {
        Some((number, next, chain)) if next == stored(expected) => Ok((number, Digest::from_bytes(chain))),
        None if expected == 0 => {
            let chain = chain_start(run);
            savepoint
                .prepare_cached("INSERT INTO run (id, next_seq, chain) VALUES (?1, 0, ?2)")?
                .execute((run.as_str(), chain.as_bytes()))?;
            Ok((savepoint.last_insert_rowid(), chain))
        }
        found => {
            let actual = found.map_or(0, |(_, next, _)| u64::try_from(next).unwrap_or(0));
            Err(WriteError::Own(AppendError::Sequence { run: run.clone(), expected, actual }))
        }
    }
}

fn insert(
    savepoint: &Savepoint<'_>,
    run: i64,
    seq: u64,
    at: Timestamp,
    row: &Row,
    leaf: &Digest,
    chain: &Digest,
) -> Result<(), WriteError> {
    let approval = row.event.approval();
    let inserted = savepoint
        .prepare_cached(
            "INSERT INTO event (run, seq, at, version, kind, approval, body, leaf, chain)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute((
            run,
            stored(seq),
            stored(at.0),
            EVENT_VERSION,
            row.event.kind(),
            approval.map(|digest| digest.hex()),
            &row.body,
            leaf.as_bytes(),
            chain.as_bytes(),
        ));
    match (inserted, &row.event) {
        (Ok(_), _) => Ok(()),
        (Err(error), Event::ApprovalConsumed { digest }) if is_constraint(&error) => {
            Err(WriteError::Own(AppendError::ApprovalConsumed(*digest)))
        }
        (Err(error), _) => Err(WriteError::Storage(error)),
    }
}

fn is_constraint(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}

/// SQLite's integers are signed. Sequence numbers and milliseconds never come near the bound.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
