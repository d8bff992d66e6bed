//! Somebody edits the journal: what does not hash is found and named, and what was hashed again
//! still lacks an approver's signature.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::Connection;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tests::Outcome;

use crate::scene::{BASE, Scene, count};

type Hash = [u8; 32];

/// The journal's file, opened behind the program's back.
struct Rows(Connection);

/// A row as far as its hash goes.
struct Row {
    entry: i64,
    seq: u64,
    at: u64,
    version: u32,
    body: Vec<u8>,
}

impl Rows {
    fn open(scene: &Scene) -> Self {
        let connection = Connection::open(scene.env.home().join("journal.sqlite")).expect("it opens");
        let sql = "DROP TRIGGER IF EXISTS event_update; DROP TRIGGER IF EXISTS event_delete;";
        connection.execute_batch(sql).expect("the triggers go");
        Self(connection)
    }

    /// The newest run's number and id.
    fn run(&self) -> (i64, String) {
        let sql = "SELECT number, id FROM run ORDER BY number DESC LIMIT 1";
        self.0.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("a run")
    }

    /// The newest run's rows.
    fn rows(&self) -> Vec<Row> {
        let sql = "SELECT entry, seq, at, version, body FROM event WHERE run = ?1 ORDER BY seq";
        let mut statement = self.0.prepare(sql).expect("sound SQL");
        let rows = statement.query_map([self.run().0], |row| {
            Ok(Row {
                entry: row.get(0)?,
                seq: row.get::<_, i64>(1)?.try_into().expect("not negative"),
                at: row.get::<_, i64>(2)?.try_into().expect("not negative"),
                version: row.get(3)?,
                body: row.get(4)?,
            })
        });
        rows.expect("rows").map(|row| row.expect("a row")).collect()
    }

    /// As [`Self::edit_each`], and gives the first one's number.
    fn edit(&self, kind: &str, change: impl Fn(&mut Value)) -> u64 {
        let edited = self.edit_each(kind, change);
        assert!(!edited.is_empty(), "no event `{kind}`");
        edited[0]
    }

    /// Changes the text of the newest run's events of a kind, and gives their numbers.
    fn edit_each(&self, kind: &str, change: impl Fn(&mut Value)) -> Vec<u64> {
        let tag = format!("\"event\":\"{kind}\"");
        let mut edited = Vec::new();
        for row in self.rows() {
            let text = String::from_utf8(row.body).expect("UTF-8");
            if text.contains(&tag) {
                let mut json: Value = serde_json::from_str(&text).expect("JSON");
                change(&mut json);
                let body = json.to_string().into_bytes();
                assert_ne!(body, text.into_bytes(), "nothing was changed");
                let sql = "UPDATE event SET body = ?2 WHERE entry = ?1";
                self.0.execute(sql, (row.entry, body)).expect("the row changes");
                edited.push(row.seq);
            }
        }
        edited
    }

    /// Computes every hash of the newest run again, as the journal would.
    fn rehash(&self) {
        let (number, id) = self.run();
        let mut chain = framed(&[id.as_bytes()]);
        for row in self.rows() {
            let leaf = leaf(&id, &row);
            chain = framed(&[&chain, &leaf]);
            let sql = "UPDATE event SET leaf = ?2, chain = ?3 WHERE entry = ?1";
            self.0.execute(sql, (row.entry, &leaf[..], &chain[..])).expect("the row changes");
        }
        self.0
            .execute("UPDATE run SET chain = ?2 WHERE number = ?1", (number, &chain[..]))
            .expect("the head changes");
    }

    fn artifact(&self, digest: &Value) -> Vec<u8> {
        let sql = "SELECT body FROM artifact WHERE digest = ?1";
        self.0.query_row(sql, [bytes_of(digest)], |row| row.get(0)).expect("an artifact")
    }

    /// Stores bytes under their digest, and gives it as the journal writes it.
    fn put(&self, bytes: &[u8]) -> Value {
        let digest: Hash = Sha256::digest(bytes).into();
        let sql = "INSERT OR IGNORE INTO artifact (digest, bytes, body) VALUES (?1, ?2, ?3)";
        self.0.execute(sql, (&digest[..], bytes.len() as i64, bytes)).expect("the artifact is stored");
        Value::from(digest.iter().fold("sha256:".to_owned(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("text");
            text
        }))
    }

    /// What the first event of a kind has under a key.
    fn get(&self, kind: &str, key: &str) -> Value {
        let rows =
            self.rows().into_iter().map(|row| serde_json::from_slice::<Value>(&row.body).expect("JSON"));
        rows.filter(|event| event["event"] == kind).map(|event| event[key].clone()).next().expect("the event")
    }
}

fn framed(fields: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(b"capstan/journal-chain/v1\0");
    for field in fields {
        hasher.update((field.len() as u64).to_le_bytes());
        hasher.update(field);
    }
    hasher.finalize().into()
}

fn leaf(run: &str, row: &Row) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update((run.len() as u64).to_le_bytes());
    hasher.update(run);
    hasher.update(row.seq.to_le_bytes());
    hasher.update(row.at.to_le_bytes());
    hasher.update(row.version.to_le_bytes());
    hasher.update(&row.body);
    hasher.finalize().into()
}

fn bytes_of(digest: &Value) -> Vec<u8> {
    let hex = digest.as_str().and_then(|text| text.strip_prefix("sha256:")).expect("a digest");
    let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
    bytes.map(|byte| byte.expect("hex")).collect()
}

/// Asserts that nothing was applied.
#[track_caller]
fn assert_untouched(scene: &Scene, outcome: &Outcome) {
    assert_ne!(outcome.code, Some(0), "{}", outcome.said());
    assert_eq!(scene.env.read("note.txt").as_deref(), Some(BASE), "{}", outcome.said());
}

#[test]
fn hashing_the_rows_again_changes_nothing() {
    let scene = Scene::new();
    let id = scene.stage(&[]);
    Rows::open(&scene).rehash();
    drop(scene.run(&["approve", &id]).exits(0));
    scene.assert_done_once(BASE);
}

#[test]
fn an_edited_row_is_found_and_named() {
    let scene = Scene::new();
    let id = scene.stage(&[]);
    drop(scene.run(&["doctor"]).exits(0).says("every row is as it was written"));
    let rows = Rows::open(&scene);
    let (_, run) = rows.run();
    let seq = rows.edit("effects_staged", |event| event["attempt"] = 2.into());
    drop(rows);
    let doctor = scene.run(&["doctor"]).exits(1).says(&format!("run {run}: E-JOURNAL-DAMAGED"));
    drop(doctor.says("from a copy; other runs are not affected"));
    for words in [&["approve", &id][..], &["run", "resume", "last"], &["run", "show", "last"]] {
        let outcome = scene.run(words).exits(1).says("E-JOURNAL-DAMAGED").says(&seq.to_string());
        assert_untouched(&scene, &outcome);
    }
}

#[test]
fn rows_cut_off_at_the_end_are_missed() {
    let scene = Scene::new();
    let id = scene.stage(&[]);
    let rows = Rows::open(&scene);
    let last = rows.rows().last().expect("a row").entry;
    rows.0.execute("DELETE FROM event WHERE entry = ?1", [last]).expect("the row goes");
    drop(rows);
    let outcome = scene.run(&["approve", &id]);
    assert_untouched(&scene, &outcome);
    drop(scene.run(&["run", "resume", "last"]).exits(1).says("E-JOURNAL-DAMAGED"));
}

#[test]
fn edited_effects_that_were_hashed_again_are_not_what_was_approved() {
    let scene = Scene::new();
    scene.env.write("other.txt", BASE);
    scene.stop_after("approval_granted");
    let rows = Rows::open(&scene);
    rows.edit("effects_staged", |event| event["changes"][0]["path"] = "other.txt".into());
    rows.rehash();
    drop(rows);
    // Not even the fold believes it: the effect set that was asked about has another digest.
    let outcome = scene.run(&["run", "resume", "last"]).exits(1).says("E-JOURNAL-DAMAGED");
    let outcome = outcome.says("`approval_requested`").says("the approval is not for what the step staged");
    assert_untouched(&scene, &outcome);
    assert_eq!(scene.env.read("other.txt").as_deref(), Some(BASE), "{}", outcome.said());
}

#[test]
fn an_edited_binding_is_not_the_one_of_its_digest() {
    let scene = Scene::new();
    scene.stop_after("approval_granted");
    let rows = Rows::open(&scene);
    rows.edit("approval_requested", |event| {
        event["binding"]["effects"] = format!("sha256:{}", "0".repeat(64)).into();
    });
    rows.rehash();
    drop(rows);
    let outcome = scene.run(&["run", "resume", "last"]).exits(1).says("E-JOURNAL-DAMAGED");
    assert_untouched(&scene, &outcome);
}

#[test]
fn edited_inputs_that_were_hashed_again_are_named() {
    let scene = Scene::new();
    scene.stop_after("approval_granted");
    let rows = Rows::open(&scene);
    rows.edit("run_created", |event| event["inputs"]["inline"]["text"] = "another\n".into());
    rows.rehash();
    drop(rows);
    let outcome = scene.run(&["run", "resume", "last"]).exits(3).says("E-APPROVAL-STALE").says("arguments");
    assert_untouched(&scene, &outcome);
}

#[test]
fn an_edited_planfile_is_damage_and_an_exchanged_one_is_stale() {
    let scene = Scene::new();
    scene.stop_after("approval_granted");
    let rows = Rows::open(&scene);
    let planfile = rows.get("run_created", "planfile");
    let text = rows.artifact(&planfile);
    let edited = String::from_utf8(text.clone()).expect("UTF-8").replace("effect", "defect").into_bytes();
    let write = |bytes: &[u8]| {
        let sql = "UPDATE artifact SET body = ?2 WHERE digest = ?1";
        rows.0.execute(sql, (bytes_of(&planfile), bytes)).expect("the artifact changes");
    };
    write(&edited);
    let outcome = scene.run(&["run", "resume", "last"]).exits(1).says("E-JOURNAL-DAMAGED");
    assert_untouched(&scene, &outcome);
    write(&text);
    let other = rows.put(&edited);
    rows.edit("run_created", |event| event["planfile"] = other.clone());
    rows.rehash();
    drop(rows);
    let outcome = scene.run(&["run", "resume", "last"]).exits(3).says("E-APPROVAL-STALE").says("plan");
    assert_untouched(&scene, &outcome);
}

#[test]
fn a_signature_over_something_else_approves_nothing() {
    let scene = Scene::new();
    // A real statement, of another approval.
    scene.stop_after("approval_granted");
    let genuine = Rows::open(&scene).get("approval_granted", "statement");
    drop(scene.run(&["run", "resume", "last"]).exits(0));
    scene.env.write("note.txt", BASE);
    scene.stop_after("approval_granted");
    let rows = Rows::open(&scene);
    rows.edit("approval_granted", |event| event["statement"] = genuine.clone());
    rows.rehash();
    drop(rows);
    let outcome = scene.run(&["run", "resume", "last"]).exits(3).says("E-APPROVAL-FORGED");
    assert_untouched(&scene, &outcome);
    assert_eq!(count(&scene.events("last"), "approval_consumed"), 0);
}

#[test]
fn an_edited_statement_has_no_signature() {
    let scene = Scene::new();
    scene.stop_after("approval_granted");
    let rows = Rows::open(&scene);
    let bytes = rows.artifact(&rows.get("approval_granted", "statement"));
    let mut envelope: Value = serde_json::from_slice(&bytes).expect("JSON");
    let payload = STANDARD.decode(envelope["payload"].as_str().expect("base64")).expect("base64");
    let payload =
        String::from_utf8(payload).expect("UTF-8").replace("\"unattended\":true", "\"unattended\":false");
    envelope["payload"] = STANDARD.encode(payload).into();
    let forged = rows.put(envelope.to_string().as_bytes());
    rows.edit("approval_granted", |event| event["statement"] = forged.clone());
    rows.rehash();
    drop(rows);
    let outcome = scene.run(&["run", "resume", "last"]).exits(3).says("E-APPROVAL-FORGED");
    assert_untouched(&scene, &outcome);
}

/// A statement that nobody signed: there are no such bytes.
fn forge_statement(scene: &Scene) {
    let rows = Rows::open(scene);
    let nothing = Value::from(format!("sha256:{}", "0".repeat(64)));
    let edited = rows.edit_each("approval_granted", |event| event["statement"] = nothing.clone());
    assert!(!edited.is_empty());
    rows.rehash();
}

#[test]
fn an_intent_that_nobody_signed_is_not_applied() {
    let scene = Scene::new();
    scene.stop_after("effects_intended");
    forge_statement(&scene);
    let outcome = scene.run(&["run", "resume", "last"]).exits(3).says("E-APPROVAL-FORGED");
    assert_untouched(&scene, &outcome);
    drop(scene.run(&["run", "show", "last"]).exits(0).says("UNPROVEN: the signature is missing"));
    // The same rows with their signature are applied.
    let scene = Scene::new();
    scene.stop_after("effects_intended");
    drop(scene.run(&["run", "resume", "last"]).exits(0));
    scene.assert_done_once(BASE);
}

#[test]
fn an_undo_writes_back_nothing_that_nobody_signed() {
    let scene = Scene::new();
    let id = scene.stage(&[]);
    drop(scene.run(&["approve", &id]).exits(0));
    let after = scene.env.read("note.txt");
    let genuine = Rows::open(&scene).get("approval_granted", "statement");
    forge_statement(&scene);
    drop(scene.run(&["run", "undo", "last"]).exits(4).says("E-APPROVAL-FORGED"));
    assert_eq!(scene.env.read("note.txt"), after);
    let rows = Rows::open(&scene);
    rows.edit("approval_granted", |event| event["statement"] = genuine.clone());
    rows.rehash();
    drop(rows);
    drop(scene.run(&["run", "undo", "last"]).exits(0));
    assert_eq!(scene.env.read("note.txt").as_deref(), Some(BASE));
    assert_eq!(scene.show()["undone"], true);
}

#[test]
fn who_approved_is_what_the_signature_says() {
    let scene = Scene::new();
    let id = scene.stage(&[]);
    drop(scene.run(&["approve", &id]).exits(0));
    drop(scene.run(&["approval", "show", &id]).exits(0).says("(unattended)"));
    let rows = Rows::open(&scene);
    rows.edit("approval_granted", |event| event["approver"] = "aaaa-aaaa".into());
    rows.rehash();
    drop(rows);
    let shown = scene.json(&["approval", "show", &id]);
    assert_eq!((&shown["signature"], &shown["unattended"]), (&"of another approval".into(), &Value::Null));
    drop(scene.run(&["run", "show", "last"]).exits(0).says("UNPROVEN"));
}

#[test]
fn one_damaged_run_hides_no_other() {
    let scene = Scene::new();
    drop(scene.stage(&[]));
    let whole = scene.asked();
    scene.env.write("other.txt", BASE);
    drop(scene.stage(&["--input", "path=other.txt"]));
    Rows::open(&scene).edit("effects_staged", |event| event["attempt"] = 2.into());
    let list = scene.json(&["run", "list"]);
    let states: Vec<_> = list.as_array().expect("a list").iter().map(|run| run["status"].clone()).collect();
    assert_eq!(states, ["damaged", "requires_approval"]);
    drop(scene.run(&["approval", "list"]).exits(0).says(&whole));
}
