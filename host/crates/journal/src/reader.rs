//! Reading rows back, trusting none of them.

use std::path::Path;

use base::{Digest, RunId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::record::{EVENT_VERSION, Entry, chain_next, chain_start};
use crate::{ApprovalEntry, Event, FindError, ReadError, Record, RunEntry, StorageError};

/// Most candidates that an ambiguous prefix lists.
const CANDIDATES_MAX: usize = 4;

struct StoredRow {
    seq: i64,
    at: i64,
    version: i64,
    kind: String,
    approval: Option<String>,
    body: Vec<u8>,
    leaf: [u8; 32],
    chain: [u8; 32],
}

impl StoredRow {
    fn from_row(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            seq: row.get(0)?,
            at: row.get(1)?,
            version: row.get(2)?,
            kind: row.get(3)?,
            approval: row.get(4)?,
            body: row.get(5)?,
            leaf: row.get(6)?,
            chain: row.get(7)?,
        })
    }
}

/// The run's events from `from` on, each checked against its leaf, the chain and the run's head.
/// The chain before `from` is taken from the row before it: a reader that starts at 0 once and
/// goes on from where it was checks every row once.
pub(crate) fn events(
    connection: &mut Connection,
    path: &Path,
    run: &RunId,
    from: u64,
) -> Result<Vec<Record>, ReadError> {
    let fail = |error: rusqlite::Error| ReadError::Storage(StorageError::sqlite(path, &error));
    // Head and rows must be of one moment, or a commit in between would look like damage.
    let transaction = connection.transaction().map_err(fail)?;
    let (number, next, head) = transaction
        .prepare_cached("SELECT number, next_seq, chain FROM run WHERE id = ?1")
        .map_err(fail)?
        .query_row([run.as_str()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, [u8; 32]>(2)?))
        })
        .optional()
        .map_err(fail)?
        .ok_or_else(|| ReadError::Unknown(run.clone()))?;
    let first = i64::try_from(from).unwrap_or(i64::MAX);
    let mut chain = match first {
        0 => chain_start(run),
        first => transaction
            .query_row("SELECT chain FROM event WHERE run = ?1 AND seq = ?2", [number, first - 1], |row| {
                row.get(0)
            })
            .optional()
            .map_err(fail)?
            .map(Digest::from_bytes)
            .ok_or_else(|| damaged(run, from.saturating_sub(1), "the row is missing"))?,
    };
    let mut statement = transaction
        .prepare_cached(
            "SELECT seq, at, version, kind, approval, body, leaf, chain FROM event
             WHERE run = ?1 AND seq >= ?2 ORDER BY seq",
        )
        .map_err(fail)?;
    let rows = statement.query_map([number, first], StoredRow::from_row).map_err(fail)?;
    let mut records = Vec::new();
    let mut seq = from;
    for row in rows {
        let row = row.map_err(|error| damaged_or(error, run, seq, fail))?;
        let record = check(run, seq, &mut chain, &row)?;
        records.push(record);
        seq += 1;
    }
    if i64::try_from(seq) != Ok(next) || *chain.as_bytes() != head {
        return Err(damaged(run, seq, "rows after it are missing, or rows were added"));
    }
    Ok(records)
}

/// A cell of the wrong type is damage to that row; anything else is the storage's fault.
fn damaged_or(
    error: rusqlite::Error,
    run: &RunId,
    seq: u64,
    fail: impl Fn(rusqlite::Error) -> ReadError,
) -> ReadError {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => damaged(run, seq, "a column has another type"),
        error => fail(error),
    }
}

fn check(run: &RunId, seq: u64, chain: &mut Digest, row: &StoredRow) -> Result<Record, ReadError> {
    if i64::try_from(seq) != Ok(row.seq) {
        return Err(damaged(run, seq, "the row is missing"));
    }
    let version = u32::try_from(row.version).map_err(|_| damaged(run, seq, "its version is out of range"))?;
    if version > EVENT_VERSION {
        return Err(ReadError::Version { run: run.clone(), seq, found: version, known: EVENT_VERSION });
    }
    let at = Timestamp(u64::try_from(row.at).map_err(|_| damaged(run, seq, "its time is out of range"))?);
    let leaf = Entry { run, seq, at, version, body: &row.body }.leaf();
    if *leaf.as_bytes() != row.leaf {
        return Err(damaged(run, seq, "its contents do not hash to its leaf"));
    }
    *chain = chain_next(chain, &leaf);
    if *chain.as_bytes() != row.chain {
        return Err(damaged(run, seq, "it does not follow from the rows before it"));
    }
    let event: Event = serde_json::from_slice(&row.body)
        .map_err(|error| damaged(run, seq, &format!("it does not parse: {error}")))?;
    if event.kind() != row.kind || event.approval().map(|digest| digest.hex()) != row.approval {
        return Err(damaged(run, seq, "its index columns say something else than its body"));
    }
    Ok(Record { seq, at, event, leaf })
}

fn damaged(run: &RunId, seq: u64, what: &str) -> ReadError {
    ReadError::Damaged { run: run.clone(), seq, what: what.to_owned() }
}

/// Runs, newest first.
pub(crate) fn runs(connection: &Connection, path: &Path, limit: usize) -> Result<Vec<RunEntry>, ReadError> {
    let fail = |error: rusqlite::Error| ReadError::Storage(StorageError::sqlite(path, &error));
    let mut statement = connection
        .prepare_cached("SELECT id, next_seq FROM run ORDER BY number DESC LIMIT ?1")
        .map_err(fail)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement
        .query_map([limit], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))
        .map_err(fail)?;
    rows.map(|row| {
        let (id, next) = row.map_err(fail)?;
        Ok(RunEntry { run: parse_run(path, &id)?, events: u64::try_from(next).unwrap_or(0) })
    })
    .collect()
}

/// The run that `text` is the start of, or the newest one for `last`.
pub(crate) fn find_run(connection: &Connection, path: &Path, text: &str) -> Result<RunId, FindError> {
    if text == "last" {
        let newest = runs(connection, path, 1)?;
        return newest.into_iter().next().map(|entry| entry.run).ok_or_else(|| none("run", text));
    }
    let sql = "SELECT id FROM run WHERE id >= ?1 AND id < ?1 || 'g' LIMIT ?2";
    let found = starting_with(connection, path, sql, "run", text)?;
    Ok(parse_run(path, &found)?)
}

/// The approval whose digest `text` is the start of, whatever became of it.
pub(crate) fn find_approval(
    connection: &Connection,
    path: &Path,
    text: &str,
) -> Result<ApprovalEntry, FindError> {
    let fail = |error: rusqlite::Error| ReadError::Storage(StorageError::sqlite(path, &error));
    let prefix = text.strip_prefix("sha256:").unwrap_or(text);
    let sql = "SELECT approval FROM event
               WHERE kind = 'approval_requested' AND approval >= ?1 AND approval < ?1 || 'g' LIMIT ?2";
    let found = starting_with(connection, path, sql, "approval", prefix)?;
    let id: String = connection
        .prepare_cached(
            "SELECT run.id FROM event JOIN run ON run.number = event.run
             WHERE event.approval = ?1 AND event.kind = 'approval_requested' LIMIT 1",
        )
        .map_err(fail)?
        .query_row([&found], |row| row.get(0))
        .map_err(fail)?;
    Ok(approval_entry(path, &found, &id)?)
}

/// Approvals that were asked for and neither consumed nor rejected, newest first. Some of them may
/// be granted, stale, or of a run that ended: that is for the fold of the run to say.
pub(crate) fn open_approvals(connection: &Connection, path: &Path) -> Result<Vec<ApprovalEntry>, ReadError> {
    let fail = |error: rusqlite::Error| ReadError::Storage(StorageError::sqlite(path, &error));
    let mut statement = connection
        .prepare_cached(
            "SELECT asked.approval, run.id FROM event AS asked JOIN run ON run.number = asked.run
             WHERE asked.approval IS NOT NULL AND asked.kind = 'approval_requested' AND NOT EXISTS (
                 SELECT 1 FROM event AS answer WHERE answer.approval = asked.approval
                 AND answer.kind IN ('approval_consumed', 'approval_rejected'))
             ORDER BY asked.entry DESC",
        )
        .map_err(fail)?;
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
        .map_err(fail)?;
    rows.map(|row| {
        let (digest, run) = row.map_err(fail)?;
        approval_entry(path, &digest, &run)
    })
    .collect()
}

fn starting_with(
    connection: &Connection,
    path: &Path,
    sql: &str,
    what: &'static str,
    prefix: &str,
) -> Result<String, FindError> {
    let fail = |error: rusqlite::Error| ReadError::Storage(StorageError::sqlite(path, &error));
    // The upper bound of the range, prefix and `g`, is right for lower-case hex digits only.
    if prefix.is_empty()
        || prefix.len() > 64
        || !prefix.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Err(none(what, prefix));
    }
    let mut statement = connection.prepare_cached(sql).map_err(fail)?;
    let limit = i64::try_from(CANDIDATES_MAX).unwrap_or(i64::MAX);
    let rows = statement.query_map((prefix, limit), |row| row.get::<_, String>(0)).map_err(fail)?;
    let mut found = rows.collect::<Result<Vec<_>, _>>().map_err(fail)?;
    match (found.pop(), found.is_empty()) {
        (None, _) => Err(none(what, prefix)),
        (Some(only), true) => Ok(only),
        (Some(another), false) => {
            found.push(another);
            Err(FindError::Ambiguous { what, prefix: prefix.to_owned(), candidates: found })
        }
    }
}

fn none(what: &'static str, prefix: &str) -> FindError {
    FindError::None { what, prefix: prefix.chars().take(80).collect() }
}

fn parse_run(path: &Path, id: &str) -> Result<RunId, ReadError> {
    let fail = |reason: String| StorageError::Malformed { path: path.to_path_buf(), reason };
    Ok(id.parse::<RunId>().map_err(|error| fail(error.to_string()))?)
}

fn approval_entry(path: &Path, digest: &str, run: &str) -> Result<ApprovalEntry, ReadError> {
    let fail = |reason: String| StorageError::Malformed { path: path.to_path_buf(), reason };
    let digest = format!("sha256:{digest}").parse::<Digest>().map_err(|error| fail(error.to_string()))?;
    Ok(ApprovalEntry { digest, run: parse_run(path, run)? })
}

/// At most two of the artifacts whose digests start with these hex digits: enough to say whether
/// one is meant.
pub(crate) fn artifacts_with(
    connection: &Connection,
    path: &Path,
    hex: &str,
) -> Result<Vec<Digest>, ReadError> {
    let fail = |error: rusqlite::Error| ReadError::Storage(StorageError::sqlite(path, &error));
    let mut statement = connection
        .prepare_cached("SELECT digest FROM artifact WHERE instr(lower(hex(digest)), ?1) = 1 LIMIT 2")
        .map_err(fail)?;
    let rows = statement.query_map([hex], |row| row.get::<_, [u8; 32]>(0)).map_err(fail)?;
    rows.map(|row| row.map(Digest::from_bytes).map_err(fail)).collect()
}
