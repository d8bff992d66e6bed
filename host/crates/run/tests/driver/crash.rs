//! A process that dies at every point that has a name, and the next one that goes on.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base::{NoProbe, Probe, Timestamp};
use run::{Host, Report, RunStatus};
use tokio::sync::watch;

use crate::world::{Stage, World, for_each, host, input, item, of_step, pending, plan, step, text};

/// Panics the `after`-th time that `label` is reached, once.
struct Die {
    label: &'static str,
    after: u32,
    seen: AtomicU32,
}

impl Probe for Die {
    fn reach(&self, label: &'static str) {
        if label == self.label && self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.after {
            panic!("killed at {label}");
        }
    }
}

fn stage() -> Stage {
    let world = World::new();
    world.put("src/a", "A");
    world.put("src/b", "B");
    world.put("log", "");
    let steps = vec![
        step("sources", "tree.list", &[], vec![input("prefix")]),
        for_each(step("texts", "tree.read", &["sources"], vec![item()]), of_step("sources"), 2),
        step("page", "text.join", &["texts"], vec![of_step("texts")]),
        step("note", "tree.append", &["page"], vec![text("log"), of_step("page")]),
        for_each(
            step("mark", "tree.append", &["note", "sources"], vec![item(), text("!")]),
            of_step("sources"),
            2,
        ),
    ];
    Stage::of(world, plan(steps, &[("page", of_step("page"))]))
}

/// One process: drives the run until it ends, approving what it asks. None if it died.
fn process(stage: &Stage, probe: Arc<dyn Probe>) -> Option<Report> {
    let home = stage.home.path();
    let work = AssertUnwindSafe(|| {
        let host = host(&stage.world, home, probe);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            loop {
                let (_keep, stop) = watch::channel(false);
                let report = run::drive(&host, &stage.plan, &stage.run, stop).await.ok()?;
                let Some(digest) = pending(&report.state) else { return Some(report) };
                let statement = stage.world.statement(&digest);
                let approvers = host.approvers.as_ref();
                run::answer::approve(&host.journal, approvers, &stage.run, &digest, &statement, Timestamp(0))
                    .ok()?;
            }
        })
    });
    std::panic::catch_unwind(work).ok().flatten()
}

fn check(stage: &Stage, what: &str) {
    assert_eq!(run::view::status(&stage.state()), RunStatus::Completed, "{what}");
    assert_eq!(stage.world.text("log").as_deref(), Some("A+B"), "{what}");
    assert_eq!(stage.world.text("src/a").as_deref(), Some("A!"), "{what}");
    let mut applied = stage.world.applied.lock().unwrap().clone();
    applied.sort();
    assert_eq!(applied, ["replace log", "replace src/a", "replace src/b"], "{what}: each effect once");
}

#[test]
fn a_run_ends_the_same_wherever_a_process_dies() {
    let whole = stage();
    process(&whole, Arc::new(NoProbe)).unwrap();
    check(&whole, "the control");
    let labels = journal::LABELS.iter().chain(run::LABELS).filter(|label| !label.contains("artifact"));
    for label in labels.filter(|label| !label.contains("undo") && !label.contains("send")) {
        let mut deaths = 0;
        for after in 1.. {
            let stage = stage();
            let what = format!("{label} the {after}. time");
            let probe = Arc::new(Die { label, after, seen: AtomicU32::new(0) });
            let survived = process(&stage, probe).is_some();
            if !survived {
                deaths += 1;
                // Nothing is left to do for the next one if it died after the last commit.
                let was_ended = stage.state().end().is_some();
                assert!(was_ended || process(&stage, Arc::new(NoProbe)).is_some(), "{what}");
            }
            check(&stage, &what);
            if survived {
                break;
            }
        }
        assert!(deaths >= 3, "{label} was reached {deaths} times");
    }
}

#[test]
fn an_undo_is_finished_by_the_next_one_wherever_a_process_dies() {
    for label in journal::LABELS.iter().chain(run::LABELS).filter(|label| !label.contains("artifact")) {
        for after in 1.. {
            let stage = stage();
            process(&stage, Arc::new(NoProbe)).unwrap();
            stage.world.applied.lock().unwrap().clear();
            let host: Host = host(
                &stage.world,
                stage.home.path(),
                Arc::new(Die { label, after, seen: AtomicU32::new(0) }),
            );
            let undone = std::panic::catch_unwind(AssertUnwindSafe(|| run::undo(&host, &stage.run)));
            let survived = matches!(undone, Ok(Ok(_)));
            if !survived && let Err(error) = run::undo(&stage.host, &stage.run) {
                // It died after the last commit: nothing is left to finish.
                assert!(error.message.contains("already"), "{label} {after}: {error}");
            }
            assert_eq!(stage.world.text("log").as_deref(), Some(""));
            assert_eq!(stage.world.text("src/a").as_deref(), Some("A"));
            assert_eq!(stage.world.applied.lock().unwrap().len(), 3, "{label} {after}: each reversal once");
            if survived {
                break;
            }
        }
    }
}
