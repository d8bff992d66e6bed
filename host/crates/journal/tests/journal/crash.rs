//! Processes that die at labelled points, and disks that fill up. The test binary runs itself
//! again as the process that dies.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base::{Code, NoProbe, Probe, Refusal};
use journal::{ARTIFACT_ROW_BYTES_MAX, AppendError, Journal, LABELS};

use crate::support::{append, created, note, open, run};

const APPENDS: u64 = 4;

/// Kills the process the `after`-th time that `label` is reached.
struct Kill {
    label: String,
    after: u32,
    seen: AtomicU32,
}

impl Probe for Kill {
    fn reach(&self, label: &'static str) {
        if label == self.label && self.seen.fetch_add(1, Ordering::Relaxed) + 1 == self.after {
            // No destructor runs, no buffer is flushed: as a power cut, as far as a process can.
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        }
    }
}

fn again(test: &str, home: &Path, settings: &[(&str, &str)]) -> Output {
    let exe = std::env::current_exe().unwrap();
    let mut command = Command::new(exe);
    command.args([test, "--exact", "--nocapture"]).env("JOURNAL_HOME", home);
    command.envs(settings.iter().copied()).output().unwrap()
}

/// The child of the test below, which runs it in a process of its own; by itself it does nothing.
#[test]
fn child_appends_until_it_dies() {
    let Some(home) = std::env::var_os("JOURNAL_HOME").map(std::path::PathBuf::from) else { return };
    let label = std::env::var("JOURNAL_LABEL").unwrap();
    let after = std::env::var("JOURNAL_AFTER").unwrap().parse().unwrap();
    let journal = Journal::open(&home, Arc::new(Kill { label, after, seen: AtomicU32::new(0) })).unwrap();
    let from = journal.events(&run(1)).map_or(0, |records| records.len() as u64);
    for seq in from..APPENDS {
        let event = if seq == 0 { created() } else { note(&format!("event {seq}")) };
        let mut append = append(&run(1), seq, vec![event]);
        append.artifacts = vec![format!("artifact {seq}").into_bytes(), large(seq)];
        journal.append(append).unwrap();
        println!("durable {seq}");
    }
}

fn large(seq: u64) -> Vec<u8> {
    vec![u8::try_from(seq).unwrap(); ARTIFACT_ROW_BYTES_MAX + 1]
}

#[test]
fn what_was_answered_survives_a_kill_at_every_label() {
    for label in LABELS {
        for after in 1..=APPENDS {
            let home = tempfile::tempdir().unwrap();
            let settings = [("JOURNAL_LABEL", *label), ("JOURNAL_AFTER", &after.to_string())];
            let output = again("crash::child_appends_until_it_dies", home.path(), &settings);
            assert_eq!(output.status.signal(), Some(9), "{label} was not reached {after} times");
            let said = String::from_utf8(output.stdout).unwrap();
            let answered = said.lines().filter(|line| line.contains("durable")).count() as u64;
            assert_eq!(answered, after - 1);
            check(home.path(), answered, *label == "journal:after-commit");
            let rest = again(
                "crash::child_appends_until_it_dies",
                home.path(),
                &[("JOURNAL_LABEL", ""), ("JOURNAL_AFTER", "0")],
            );
            assert!(rest.status.success(), "{}", String::from_utf8_lossy(&rest.stderr));
            check(home.path(), APPENDS, false);
        }
    }
}

/// After a commit the events are there whether or not the answer came.
fn check(home: &Path, answered: u64, was_committed: bool) {
    let journal = Journal::open(home, Arc::new(NoProbe)).unwrap();
    let found = journal.events(&run(1)).map_or(0, |records| records.len() as u64);
    assert_eq!(found, answered + u64::from(was_committed));
    for seq in 0..found {
        let small = format!("artifact {seq}").into_bytes();
        assert_eq!(journal.artifact(&base::Digest::of(&small)).unwrap(), small);
        assert_eq!(journal.artifact(&base::Digest::of(&large(seq))).unwrap(), large(seq));
    }
}

/// The child of the test below, which runs it in a process of its own; by itself it does nothing.
#[test]
fn child_fills_the_disk() {
    let Some(home) = std::env::var_os("JOURNAL_HOME").map(std::path::PathBuf::from) else { return };
    let journal = Journal::open(&home, Arc::new(NoProbe)).unwrap();
    let mut seq = journal.events(&run(1)).map_or(0, |records| records.len() as u64);
    let error = loop {
        let event = if seq == 0 { created() } else { note(&"x".repeat(50_000)) };
        match journal.append(append(&run(1), seq, vec![event])) {
            Ok(_) => seq += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, AppendError::Uncertain(_)), "{error:?}");
    assert_eq!(Refusal::from(error).code, Code::JournalUnavailable);
    let after = journal.append(append(&run(2), 0, vec![created()]));
    assert_eq!(after, Err(AppendError::Poisoned), "a writer that failed writes nothing more");
    println!("durable {seq}");
}

/// A bound on the size of files stands for the full disk: the write fails in the same place.
#[test]
fn a_full_disk_is_a_clear_error_and_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    drop(open(&home));
    let exe = std::env::current_exe().unwrap();
    let script = "trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(exe)
        .args(["crash::child_fills_the_disk", "--exact", "--nocapture"])
        .env("JOURNAL_HOME", home.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let line = said.lines().find(|line| line.contains("durable")).unwrap();
    let answered: usize = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(answered > 1);
    let journal = open(&home);
    let found = journal.events(&run(1)).unwrap().len();
    assert_eq!(found, answered, "everything that was answered is there");
    journal.append(append(&run(1), found as u64, vec![note("on")])).unwrap();
}
