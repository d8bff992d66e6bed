//! Rows that were changed behind the journal's back.

use base::{Code, Refusal};
use journal::{ArtifactError, Journal, ReadError};

use crate::support::{append, created, note, open, requested, run, sql};

const NO_TRIGGERS: &str = "DROP TRIGGER event_update; DROP TRIGGER event_delete;";

/// A journal with one run of four events and a second run, after `meddling`.
fn meddled(meddling: &str) -> (tempfile::TempDir, Journal) {
    let home = tempfile::tempdir().unwrap();
    let journal = open(&home);
    let (request, _) = requested(1);
    journal.append(append(&run(1), 0, vec![created(), note("one"), note("two"), request])).unwrap();
    journal.append(append(&run(2), 0, vec![created(), note("one")])).unwrap();
    drop(journal);
    sql(&home, &format!("PRAGMA foreign_keys = OFF; {NO_TRIGGERS}{meddling}"));
    let journal = open(&home);
    (home, journal)
}

#[test]
fn every_kind_of_damage_is_found_and_the_row_named() {
    let first = "(SELECT number FROM run WHERE id LIKE '0101%')";
    let second = "(SELECT number FROM run WHERE id LIKE '0202%')";
    let row = |column: &str, value: &str| {
        format!("UPDATE event SET {column} = {value} WHERE run = {first} AND seq = 2")
    };
    let cases = [
        ("an edited body", row("body", "CAST(replace(CAST(body AS TEXT), 'two', 'six') AS BLOB)"), 2),
        ("an edited time", row("at", "at + 1"), 2),
        ("a negative time", row("at", "-1"), 2),
        ("an edited version", row("version", "0"), 2),
        ("a negative version", row("version", "-1"), 2),
        ("an edited kind", row("kind", "'run_completed'"), 2),
        ("an added approval", row("approval", "'00'"), 2),
        ("an edited leaf", row("leaf", "zeroblob(32)"), 2),
        ("a short leaf", row("leaf", "zeroblob(31)"), 2),
        ("an edited chain", row("chain", "zeroblob(32)"), 2),
        ("a removed row", format!("DELETE FROM event WHERE run = {first} AND seq = 2"), 2),
        ("a removed first row", format!("DELETE FROM event WHERE run = {first} AND seq = 0"), 0),
        ("a removed last row", format!("DELETE FROM event WHERE run = {first} AND seq = 3"), 3),
        (
            "two rows that changed places",
            format!(
                "UPDATE event SET seq = 99 WHERE run = {first} AND seq = 1;
                 UPDATE event SET seq = 1 WHERE run = {first} AND seq = 2;
                 UPDATE event SET seq = 2 WHERE run = {first} AND seq = 99;"
            ),
            1,
        ),
        (
            "a row of another run",
            format!(
                "DELETE FROM event WHERE run = {first} AND seq = 1;
                 UPDATE event SET run = {first} WHERE run = {second} AND seq = 1;"
            ),
            1,
        ),
        (
            "an added row",
            format!(
                "INSERT INTO event (run, seq, at, version, kind, body, leaf, chain)
                 SELECT run, 4, at, version, kind, body, leaf, chain FROM event WHERE run = {first} AND seq = 2"
            ),
            4,
        ),
        ("an edited head", format!("UPDATE run SET next_seq = 3 WHERE number = {first}"), 4),
        ("an approval hidden from the index", format!("UPDATE event SET approval = NULL WHERE run = {first} AND seq = 3"), 3),
    ];
    for (what, meddling, expected) in cases {
        let (_home, journal) = meddled(&meddling);
        let error = journal.events(&run(1)).expect_err(what);
        assert!(matches!(&error, ReadError::Damaged { seq, .. } if *seq == expected), "{what}: {error}");
        assert_eq!(Refusal::from(error).code, Code::JournalDamaged, "{what}");
    }
    let (_home, journal) = meddled("");
    assert_eq!(journal.events(&run(1)).unwrap().len(), 4, "the control is sound");
}

#[test]
fn damage_before_the_first_row_that_is_asked_for_is_found_too() {
    let (_home, journal) = meddled(
        "UPDATE event SET chain = zeroblob(32) WHERE run = (SELECT number FROM run WHERE id LIKE '0101%') AND seq = 1",
    );
    assert!(journal.events_from(&run(1), 2).is_err());
    let (_home, journal) = meddled("");
    assert_eq!(journal.events_from(&run(1), 2).unwrap().len(), 2);
}

#[test]
fn a_row_of_a_newer_program_is_refused_as_such() {
    let (_home, journal) = meddled("UPDATE event SET version = 2 WHERE seq = 1");
    let error = journal.events(&run(1)).unwrap_err();
    assert_eq!(error, ReadError::Version { run: run(1), seq: 1, found: 2, known: 1 });
    assert_eq!(Refusal::from(error).code, Code::JournalVersion);
}

#[test]
fn the_file_itself_refuses_to_change_or_remove_events() {
    let home = tempfile::tempdir().unwrap();
    open(&home).append(append(&run(1), 0, vec![created()])).unwrap();
    let connection = rusqlite::Connection::open(home.path().join("journal.sqlite")).unwrap();
    for statement in ["UPDATE event SET at = 0", "DELETE FROM event"] {
        let error = connection.execute_batch(statement).unwrap_err();
        assert!(error.to_string().contains("never"), "{error}");
    }
}

#[test]
fn damaged_artifacts_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let journal = open(&home);
    let row = journal.put_artifact(b"row".to_vec()).unwrap();
    let large = vec![7; journal::ARTIFACT_ROW_BYTES_MAX + 1];
    let file = journal.put_artifact(large.clone()).unwrap();
    sql(&home, "UPDATE artifact SET body = x'00' WHERE body IS NOT NULL");
    std::fs::write(home.path().join("artifacts").join(file.hex()), b"other").unwrap();
    assert_eq!(journal.artifact(&row), Err(ArtifactError::Damaged(row)));
    assert_eq!(journal.artifact(&file), Err(ArtifactError::Damaged(file)));
    journal.put_artifact(large.clone()).unwrap();
    assert_eq!(journal.artifact(&file), Ok(large), "putting the bytes again heals the file");
}
