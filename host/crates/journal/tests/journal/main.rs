//! The journal on real SQLite files: order, durability, damage, races, crashes.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests meddle with the journal as files, and run themselves as processes that die"
)]

// `cfg(test)` tells clippy that helpers without `#[test]` are tests too.
#[cfg(test)]
mod crash;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod format;
#[cfg(test)]
mod support;

use std::sync::{Arc, Barrier};

use base::{Code, Digest, NoProbe, Refusal, Timestamp};
use journal::{
    ARTIFACT_ROW_BYTES_MAX, AppendError, ArtifactError, ClaimError, Event, FindError, INLINE_BYTES_MAX,
    Journal, OpenError, Payload, ReadError,
};
use support::{append, cancelled, consumed, created, digest, note, open, requested, run};

#[test]
fn events_come_back_as_they_were_appended() {
    let home = tempfile::tempdir().unwrap();
    let journal = open(&home);
    let written = journal.append(append(&run(1), 0, vec![created(), note("a")])).unwrap();
    let more = journal.append(append(&run(1), 2, vec![note("b")])).unwrap();
    let read = journal.events(&run(1)).unwrap();
    assert_eq!(read, [written, more].concat());
    assert_eq!(read.iter().map(|record| record.seq).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(journal.events_from(&run(1), 2).unwrap(), read[2..]);
    assert_eq!(journal.events_from(&run(1), 3).unwrap(), []);
    drop(journal);
    assert_eq!(open(&home).events(&run(1)).unwrap(), read, "a second process reads the same");
}

#[test]
fn an_append_that_expects_another_number_writes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let journal = open(&home);
    journal.append(append(&run(1), 0, vec![created()])).unwrap();
    for wrong in [0, 2, u64::MAX] {
        let result = journal.append(append(&run(1), wrong, vec![note("x")]));
        assert_eq!(result, Err(AppendError::Sequence { run: run(1), expected: wrong, actual: 1 }));
        assert_eq!(Refusal::from(result.unwrap_err()).code, Code::RunBusy);
    }
    let absent = journal.append(append(&run(2), 1, vec![note("x")]));
    assert_eq!(absent, Err(AppendError::Sequence { run: run(2), expected: 1, actual: 0 }));
    assert_eq!(journal.events(&run(2)), Err(ReadError::Unknown(run(2))));
    journal.append(append(&run(1), 1, vec![note("y")])).unwrap();
    assert_eq!(journal.events(&run(1)).unwrap().len(), 2);
}

#[test]
fn two_processes_append_to_one_file_without_losing_or_reordering() {
    let home = tempfile::tempdir().unwrap();
    let first = open(&home);
    first.append(append(&run(0), 0, vec![created()])).unwrap();
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let journal = open(&home);
            std::thread::spawn(move || {
                let mut written = 0;
                while written < 100 {
                    let next = journal.events(&run(0)).unwrap().len() as u64;
                    match journal.append(append(&run(0), next, vec![note("n")])) {
                        Ok(_) => written += 1,
                        Err(AppendError::Sequence { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(first.events(&run(0)).unwrap().len(), 201);
}

#[test]
fn one_of_many_consumers_of_an_approval_wins() {
    let home = tempfile::tempdir().unwrap();
    let journals = [open(&home), open(&home)];
    for number in 0..8 {
        journals[0].append(append(&run(number), 0, vec![created()])).unwrap();
    }
    let barrier = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let (journal, barrier) = (journals[number % 2].clone(), Arc::clone(&barrier));
            std::thread::spawn(move || {
                barrier.wait();
                journal.append(append(&run(number as u8), 1, vec![consumed(7)]))
            })
        })
        .collect();
    let results: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for lost in results.into_iter().filter_map(Result::err) {
        assert_eq!(lost, AppendError::ApprovalConsumed(digest(7)));
        assert_eq!(Refusal::from(lost).code, Code::ApprovalConsumed);
    }
    journals[1].append(append(&run(9), 0, vec![created(), consumed(8)])).unwrap();
}

#[test]
fn a_refused_append_leaves_the_rest_of_its_batch_alone() {
    let home = tempfile::tempdir().unwrap();
    let probe = Arc::new(support::Pause::default());
    let journal = Journal::open(home.path(), probe.clone()).unwrap();
    journal.append(append(&run(0), 0, vec![created()])).unwrap();
    let before = journal.stats();
    probe.hold();
    let (sender, receiver) = std::sync::mpsc::channel();
    let submit = |number: u8, events: Vec<Event>| {
        let sender = sender.clone();
        journal.submit(append(&run(number), 0, events), move |result| sender.send((number, result)).unwrap());
    };
    submit(1, vec![created()]);
    probe.wait_until_held();
    // All of these queue up behind the held commit, and go into the next one.
    for number in 2..60 {
        submit(number, vec![created(), note("n")]);
    }
    submit(0, vec![note("too early")]);
    submit(60, vec![created(), consumed(1), consumed(1)]);
    probe.release();
    let results: Vec<_> = receiver.iter().take(61).collect();
    for (number, result) in &results {
        assert_eq!(result.is_err(), matches!(number, 0 | 60), "run {number}: {result:?}");
    }
    assert_eq!(journal.stats().commits - before.commits, 2, "fifty-eight appends share one commit");
    assert_eq!(journal.stats().appends - before.appends, 59);
    assert_eq!(journal.stats().events - before.events, 1 + 58 * 2);
    assert_eq!(journal.events(&run(60)), Err(ReadError::Unknown(run(60))), "half an append is none");
}

#[test]
fn artifacts_are_rows_up_to_the_bound_and_files_beyond() {
    let home = tempfile::tempdir().unwrap();
    let journal = open(&home);
    let files = || std::fs::read_dir(home.path().join("artifacts")).unwrap().count();
    for (size, expected_files) in [(0, 0), (ARTIFACT_ROW_BYTES_MAX, 0), (ARTIFACT_ROW_BYTES_MAX + 1, 1)] {
        let bytes = vec![b'x'; size];
        let digest = journal.put_artifact(bytes.clone()).unwrap();
        assert_eq!(digest, Digest::of(&bytes));
        assert_eq!(journal.put_artifact(bytes.clone()), Ok(digest), "putting twice is putting once");
        assert_eq!(journal.artifact(&digest), Ok(bytes));
        assert_eq!(files(), expected_files, "{size} bytes");
    }
    assert_eq!(journal.artifact(&digest(1)), Err(ArtifactError::Unknown(digest(1))));
}

#[test]
fn an_artifact_is_there_when_its_event_is() {
    let home = tempfile::tempdir().unwrap();
    let journal = open(&home);
    let mut good = append(&run(1), 0, vec![created()]);
    good.artifacts = vec![b"one".to_vec(), vec![1; ARTIFACT_ROW_BYTES_MAX + 1]];
    journal.append(good).unwrap();
    assert_eq!(journal.artifact(&Digest::of(b"one")), Ok(b"one".to_vec()));
    let mut refused = append(&run(1), 0, vec![created()]);
    refused.artifacts = vec![b"two".to_vec()];
    journal.append(refused).unwrap_err();
    assert_eq!(journal.artifact(&Digest::of(b"two")), Err(ArtifactError::Unknown(Digest::of(b"two"))));
}

#[test]
fn payloads_move_to_artifacts_at_the_bound() {
    let text = |length: usize| serde_json::Value::String("x".repeat(length));
    let (inline, none) = Payload::new(text(INLINE_BYTES_MAX - 2));
    assert_eq!((inline.artifact(), none), (None, None));
    let (by_digest, bytes) = Payload::new(text(INLINE_BYTES_MAX - 1));
    assert_eq!(by_digest.artifact(), Some(Digest::of(&bytes.unwrap())));
}

#[test]
fn floats_come_back_bit_for_bit() {
    let home = tempfile::tempdir().unwrap();
    let journal = open(&home);
    // Bit patterns from all over the range: a reader that rounds twice gets some of them wrong.
    let bits = (1..1_000_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let numbers: Vec<f64> = bits.map(f64::from_bits).filter(|number| number.is_finite()).collect();
    let outputs = Payload::Inline(serde_json::json!(numbers));
    journal
        .append(append(&run(1), 0, vec![created(), Event::RunCompleted { outputs: outputs.clone() }]))
        .unwrap();
    assert_eq!(journal.events(&run(1)).unwrap()[1].event, Event::RunCompleted { outputs });
}

#[test]
fn runs_are_found_by_prefix_and_listed_newest_first() {
    let home = tempfile::tempdir().unwrap();
    let journal = open(&home);
    assert!(matches!(journal.find_run("last"), Err(FindError::None { .. })));
    for number in [0x11, 0x12, 0xf3] {
        journal.append(append(&run(number), 0, vec![created()])).unwrap();
    }
    let listed: Vec<_> = journal.runs(2).unwrap().into_iter().map(|entry| entry.run).collect();
    assert_eq!(listed, [run(0xf3), run(0x12)]);
    assert_eq!(journal.find_run("last"), Ok(run(0xf3)));
    assert_eq!(journal.find_run("11"), Ok(run(0x11)));
    assert_eq!(journal.find_run("f"), Ok(run(0xf3)));
    assert_eq!(journal.find_run(run(0x12).as_str()), Ok(run(0x12)));
    let ambiguous = journal.find_run("1").unwrap_err();
    assert!(matches!(&ambiguous, FindError::Ambiguous { candidates, .. } if candidates.len() == 2));
    assert_eq!(Refusal::from(ambiguous).code, Code::RunUnknown);
    for absent in ["", "0", "F", "1%", "zz", "11'--"] {
        assert!(matches!(journal.find_run(absent), Err(FindError::None { .. })), "{absent}");
    }
}

#[test]
fn approvals_are_found_across_runs_until_they_are_answered() {
    let home = tempfile::tempdir().unwrap();
    let journal = open(&home);
    let (first, first_digest) = requested(1);
    let (second, second_digest) = requested(2);
    journal.append(append(&run(1), 0, vec![created(), first])).unwrap();
    journal.append(append(&run(2), 0, vec![created(), second])).unwrap();
    let open_digests =
        || journal.open_approvals().unwrap().into_iter().map(|entry| entry.digest).collect::<Vec<_>>();
    assert_eq!(open_digests(), [second_digest, first_digest]);
    let found = journal.find_approval(&first_digest.short()).unwrap();
    assert_eq!((found.run, found.digest), (run(1), first_digest));
    assert_eq!(journal.find_approval(&second_digest.to_string()).unwrap().run, run(2));
    let consumed = Event::ApprovalConsumed { digest: first_digest };
    journal.append(append(&run(1), 2, vec![consumed])).unwrap();
    assert_eq!(open_digests(), [second_digest]);
    assert_eq!(
        journal.find_approval(&first_digest.hex()).unwrap().run,
        run(1),
        "answered ones are found too"
    );
    let none = Refusal::from(journal.find_approval("00000000").unwrap_err());
    assert_eq!(none.code, Code::ApprovalUnknown);
}

#[test]
fn a_run_has_one_owner_at_a_time_and_each_claim_an_epoch() {
    let home = tempfile::tempdir().unwrap();
    let (here, there) = (open(&home), open(&home));
    here.append(append(&run(1), 0, vec![created()])).unwrap();
    let claim = here.claim(&run(1), Timestamp(5)).unwrap();
    assert_eq!((claim.epoch, claim.records.len()), (1, 2));
    let busy = there.claim(&run(1), Timestamp(6)).unwrap_err();
    assert_eq!(busy, ClaimError::Busy(run(1)));
    assert_eq!(Refusal::from(busy).code, Code::RunBusy);
    assert!(matches!(there.lock(&run(1)), Err(ClaimError::Busy(_))));
    drop(claim);
    let next = there.claim(&run(1), Timestamp(7)).unwrap();
    assert_eq!((next.epoch, next.records.len()), (2, 3));
    assert!(matches!(here.claim(&run(2), Timestamp(8)), Err(ClaimError::Read(ReadError::Unknown(_)))));
}

#[test]
fn a_lost_owner_cannot_append_any_more() {
    let home = tempfile::tempdir().unwrap();
    let (here, there) = (open(&home), open(&home));
    here.append(append(&run(1), 0, vec![created()])).unwrap();
    let stale_next = here.claim(&run(1), Timestamp(5)).unwrap().records.len() as u64;
    let owner = there.claim(&run(1), Timestamp(6)).unwrap();
    assert!(matches!(
        here.append(append(&run(1), stale_next, vec![note("x")])),
        Err(AppendError::Sequence { .. })
    ));
    there.append(append(&run(1), owner.records.len() as u64, vec![note("y")])).unwrap();
}

#[test]
fn an_oversized_event_is_refused_and_an_allowed_one_is_not() {
    let home = tempfile::tempdir().unwrap();
    let journal = open(&home);
    journal.append(append(&run(1), 0, vec![created()])).unwrap();
    let over = journal.append(append(&run(1), 1, vec![note(&"x".repeat(16 << 20))]));
    assert!(matches!(over, Err(AppendError::TooLarge { what: "an event", .. })), "{over:?}");
    journal.append(append(&run(1), 1, vec![note(&"x".repeat(1 << 20))])).unwrap();
}

#[test]
fn a_newer_or_foreign_file_is_refused_untouched() {
    let home = tempfile::tempdir().unwrap();
    drop(open(&home));
    let path = home.path().join("journal.sqlite");
    support::sql(&home, "PRAGMA user_version = 2");
    let newer = Journal::open(home.path(), Arc::new(NoProbe)).err().unwrap();
    assert_eq!(newer, OpenError::Version { path: path.clone(), found: 2, known: 1 });
    assert_eq!(Refusal::from(newer).code, Code::JournalVersion);
    support::sql(&home, "PRAGMA user_version = 1");
    drop(open(&home));
    support::sql(&home, "PRAGMA application_id = 1");
    assert_eq!(Journal::open(home.path(), Arc::new(NoProbe)).err(), Some(OpenError::Foreign(path.clone())));
    for side in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(home.path().join(format!("journal.sqlite{side}"))));
    }
    std::fs::write(&path, b"these bytes are no database at all, whatever their name says").unwrap();
    let garbage = Journal::open(home.path(), Arc::new(NoProbe)).err().unwrap();
    assert_eq!(Refusal::from(garbage).code, Code::JournalDamaged);
}

#[test]
fn a_home_that_cannot_be_written_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let refusal = Refusal::from(Journal::open(&file, Arc::new(NoProbe)).err().unwrap());
    assert_eq!(refusal.code, Code::JournalUnavailable);
    assert!(refusal.message.contains("file"), "{refusal}");
}

#[test]
fn what_it_makes_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let journal = open(&home);
    journal.append(append(&run(1), 0, vec![created(), cancelled()])).unwrap();
    let _lock = journal.lock(&run(1)).unwrap();
    let run_lock = format!("locks/{}", run(1));
    let files = ["journal.sqlite", "journal.sqlite-wal", "locks/journal", &run_lock];
    let folders = ["artifacts", "locks"];
    for (name, wanted) in files.map(|name| (name, 0o600)).into_iter().chain(folders.map(|name| (name, 0o700)))
    {
        let mode = std::fs::metadata(home.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, wanted, "{name}");
    }
}
