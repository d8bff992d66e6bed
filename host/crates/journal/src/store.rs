//! The journal as its users see it.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{Digest, Probe, RunId};
use rusqlite::Connection;

use crate::schema::{self, Paths};
use crate::writer::{Job, Reply, Writer};
use crate::{
    Append, AppendError, ArtifactError, FindError, OpenError, ReadError, Record, Stats, artifact, reader,
};

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEntry {
    /// The run.
    pub run: RunId,
    /// How many events it has.
    pub events: u64,
}

/// An approval that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalEntry {
    /// Its digest.
    pub digest: Digest,
    /// The run that asked.
    pub run: RunId,
}

/// An open journal. Clones share it.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    paths: Paths,
    probe: Arc<dyn Probe>,
    // Before the reader: the last connection to close folds the write-ahead log into the file,
    // which a connection that only reads cannot.
    reader: Mutex<Connection>,
    writer: Writer,
}

impl Journal {
    /// Opens the journal in the folder `home`, making it if there is none: `journal.sqlite`,
    /// `artifacts/` and `locks/`.
    ///
    /// # Errors
    /// If the folder cannot be written, or the file is of a newer version or not a journal.
    pub fn open(home: &Path, probe: Arc<dyn Probe>) -> Result<Self, OpenError> {
        let paths = Paths::new(home);
        let connection = schema::open_writer(&paths)?;
        let reader = Mutex::new(schema::open_reader(&paths)?);
        let writer = Writer::start(connection, paths.database.clone(), Arc::clone(&probe))?;
        Ok(Self { shared: Arc::new(Shared { paths, probe, reader, writer }) })
    }

    /// Appends, and returns when the events are durable.
    ///
    /// # Errors
    /// See [`AppendError`]: another writer was first, an approval was used before, or the storage
    /// failed.
    pub fn append(&self, append: Append) -> Result<Vec<Record>, AppendError> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        // A caller that stopped waiting has no use for the answer.
        self.submit(append, move |result| drop(sender.send(result)));
        receiver.recv().unwrap_or(Err(AppendError::Poisoned))
    }

    /// Appends without waiting; `reply` gets the answer on the writer's thread, so it must be quick.
    /// If the writer dies, `reply` is dropped without being called.
    pub fn submit(
        &self,
        append: Append,
        reply: impl FnOnce(Result<Vec<Record>, AppendError>) + Send + 'static,
    ) {
        let Append { run, expected, at, events, artifacts } = append;
        let reply: Reply = Box::new(reply);
        let prepared: Result<Vec<_>, _> = artifacts.into_iter().map(|bytes| self.prepare(bytes)).collect();
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return reply(Err(error)),
        };
        match Job::events(run, expected, at, events, prepared, reply) {
            Ok(job) => self.shared.writer.submit(job),
            Err((error, reply)) => reply(Err(error)),
        }
    }

    /// Stores `bytes` on their own, and returns their digest when they are durable.
    ///
    /// # Errors
    /// If they are too large or the storage failed.
    pub fn put_artifact(&self, bytes: Vec<u8>) -> Result<Digest, AppendError> {
        let prepared = self.prepare(bytes)?;
        let digest = prepared.digest;
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let reply: Reply = Box::new(move |result| drop(sender.send(result)));
        self.shared.writer.submit(Job::artifact(prepared, reply));
        receiver.recv().unwrap_or(Err(AppendError::Poisoned)).map(|_| digest)
    }

    /// The bytes of an artifact.
    ///
    /// # Errors
    /// If there is none, or its bytes do not have the digest.
    pub fn artifact(&self, digest: &Digest) -> Result<Vec<u8>, ArtifactError> {
        artifact::read(&self.reader(), &self.shared.paths.database, &self.shared.paths.artifacts, digest)
    }

    /// The artifacts whose digests start with these hex digits; at most two of them.
    ///
    /// # Errors
    /// If the storage failed.
    pub fn artifacts_with(&self, hex: &str) -> Result<Vec<Digest>, ReadError> {
        reader::artifacts_with(&self.reader(), &self.shared.paths.database, hex)
    }

    /// Every event of the run, each verified.
    ///
    /// # Errors
    /// If the run does not exist, a row is damaged, or a newer program wrote one.
    pub fn events(&self, run: &RunId) -> Result<Vec<Record>, ReadError> {
        self.events_from(run, 0)
    }

    /// The run's events from number `from` on, each verified.
    ///
    /// # Errors
    /// As [`Journal::events`].
    pub fn events_from(&self, run: &RunId, from: u64) -> Result<Vec<Record>, ReadError> {
        reader::events(&mut self.reader(), &self.shared.paths.database, run, from)
    }

    /// At most `limit` runs, newest first.
    ///
    /// # Errors
    /// If the storage failed.
    pub fn runs(&self, limit: usize) -> Result<Vec<RunEntry>, ReadError> {
        reader::runs(&self.reader(), &self.shared.paths.database, limit)
    }

    /// The run that `text` is a unique prefix of; `last` is the newest.
    ///
    /// # Errors
    /// If none or several start with it.
    pub fn find_run(&self, text: &str) -> Result<RunId, FindError> {
        reader::find_run(&self.reader(), &self.shared.paths.database, text)
    }

    /// The approval whose digest `text` is a unique prefix of, in any run and any state.
    ///
    /// # Errors
    /// If none or several start with it.
    pub fn find_approval(&self, text: &str) -> Result<ApprovalEntry, FindError> {
        reader::find_approval(&self.reader(), &self.shared.paths.database, text)
    }

    /// The approvals that were neither consumed nor rejected, newest first.
    ///
    /// # Errors
    /// If the storage failed.
    pub fn open_approvals(&self) -> Result<Vec<ApprovalEntry>, ReadError> {
        reader::open_approvals(&self.reader(), &self.shared.paths.database)
    }

    /// What was written since the journal was opened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.writer.stats()
    }

    pub(crate) fn locks(&self) -> &Path {
        &self.shared.paths.locks
    }

    fn prepare(&self, bytes: Vec<u8>) -> Result<artifact::Prepared, AppendError> {
        artifact::prepare(&self.shared.paths.artifacts, bytes, self.shared.probe.as_ref())
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        // A reader that panicked left no write behind; its connection is as good as before.
        self.shared.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
