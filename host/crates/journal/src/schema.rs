//! The database file: how it is opened, what is in it, which version it has.

#![expect(clippy::disallowed_methods, reason = "this module owns the database file and its folder")]

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::{OpenError, StorageError};

/// `Caps` in ASCII: tells a journal from any other SQLite file.
const APPLICATION_ID: i64 = 0x4361_7073;
/// The version of the tables.
pub(crate) const SCHEMA_VERSION: i64 = 1;
/// How long to wait for another process's commit. Commits take milliseconds; this is for a disk
/// that stalls, not for a queue.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// `run.next_seq` and `run.chain` are the head of each run: without them, rows cut off at the end
/// would not be missed. `event.approval` repeats what the body says, so that it can be indexed;
/// readers compare the two.
const TABLES: &str = "
CREATE TABLE run (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL UNIQUE,
    next_seq INTEGER NOT NULL,
    chain    BLOB NOT NULL
) STRICT;
CREATE TABLE event (
    entry    INTEGER PRIMARY KEY AUTOINCREMENT,
    run      INTEGER NOT NULL REFERENCES run(number),
    seq      INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    version  INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    approval TEXT,
    body     BLOB NOT NULL,
    leaf     BLOB NOT NULL,
    chain    BLOB NOT NULL,
    UNIQUE (run, seq)
) STRICT;
CREATE UNIQUE INDEX approval_consumed ON event (approval) WHERE kind = 'approval_consumed';
CREATE INDEX approval_event ON event (approval, kind) WHERE approval IS NOT NULL;
CREATE TABLE artifact (
    digest BLOB PRIMARY KEY,
    bytes  INTEGER NOT NULL,
    body   BLOB
) STRICT, WITHOUT ROWID;
CREATE TRIGGER event_update BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER event_delete BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'events are never removed'); END;
";

/// Where things are below the home folder.
pub(crate) struct Paths {
    pub(crate) database: PathBuf,
    pub(crate) artifacts: PathBuf,
    pub(crate) locks: PathBuf,
}

impl Paths {
    pub(crate) fn new(home: &Path) -> Self {
        Self {
            database: home.join("journal.sqlite"),
            artifacts: home.join("artifacts"),
            locks: home.join("locks"),
        }
    }
}

/// Opens the writer's connection; makes the folders and tables that are missing.
pub(crate) fn open_writer(paths: &Paths) -> Result<Connection, OpenError> {
    for folder in [&paths.artifacts, &paths.locks] {
        // What runs keep is for the owner's eyes also where the home is open to others.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| StorageError::io(folder, &error))?;
    }
    let _setup = lock_setup(&paths.locks.join("journal"))?;
    // SQLite would make it readable by everybody; its side files copy the mode of this one.
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&paths.database)
        .map_err(|error| StorageError::io(&paths.database, &error))?;
    let fail = |error: rusqlite::Error| StorageError::sqlite(&paths.database, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&paths.database, flags).map_err(fail)?;
    configure(&connection).map_err(fail)?;
    create_or_check(&mut connection, &paths.database)?;
    Ok(connection)
}

/// Opens a connection that cannot write.
pub(crate) fn open_reader(paths: &Paths) -> Result<Connection, OpenError> {
    let fail = |error: rusqlite::Error| StorageError::sqlite(&paths.database, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&paths.database, flags).map_err(fail)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false).map_err(fail)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cell_size_check = ON;").map_err(fail)?;
    Ok(connection)
}

/// Two processes that make the file at once would meet in the change to WAL, where SQLite does
/// not wait. This lock makes them wait for each other; it is let go when the file is dropped.
fn lock_setup(path: &Path) -> Result<File, StorageError> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| StorageError::io(path, &error))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|error| StorageError::io(path, &error.into()))?;
    Ok(file)
}

fn configure(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;
         PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON;",
    )
}

fn create_or_check(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let fail = |error: rusqlite::Error| StorageError::sqlite(path, &error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    let number = |sql: &str| transaction.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(fail);
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    if application == 0 && version == 0 && tables == 0 {
        transaction.execute_batch(TABLES).map_err(fail)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(fail)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION).map_err(fail)?;
        return Ok(transaction.commit().map_err(fail)?);
    }
    if application != APPLICATION_ID {
        return Err(OpenError::Foreign(path.to_path_buf()));
    }
    if version != SCHEMA_VERSION {
        return Err(OpenError::Version { path: path.to_path_buf(), found: version, known: SCHEMA_VERSION });
    }
    Ok(())
}
