//! Approvals for what would not happen any more, and targets that moved.

use std::sync::Arc;

use base::{Code, Digest, RunId};
use journal::{Append, ApprovalBinding, Event, StaleCause};
use run::RunStatus;
use run::machine::Phase;

use crate::world::{
    Stage, World, codemap, digest, expiring, for_each, input, item, of_step, pending, plan, step, text,
};

fn stage() -> Stage {
    let world = World::new();
    world.put("src/a", "A");
    Stage::of(world, codemap())
}

#[tokio::test]
async fn a_changed_target_makes_the_approval_stale_and_is_staged_again() {
    let stage = stage();
    stage.drive().await;
    let first = stage.pending();
    stage.world.put("MAP.md", "made behind its back");
    stage.approve(&first).unwrap();
    let report = stage.drive().await;
    assert_eq!(report.status, RunStatus::RequiresApproval);
    assert_eq!(stage.world.text("MAP.md").as_deref(), Some("made behind its back"), "nothing is overwritten");
    let save = &report.state.steps()[3];
    let (_, changed) = &save.stale[0];
    assert_eq!(changed[0].cause, StaleCause::Target);
    assert!(changed[0].detail.contains("workspace:MAP.md"), "{}", changed[0].detail);
    let refused = stage.approve(&first).unwrap_err();
    assert_eq!(refused.code, Code::ApprovalStale);
    assert!(refused.message.contains("MAP.md"), "{refused}");
    let second = pending(&report.state).unwrap();
    assert_ne!(first, second);
    stage.approve(&second).unwrap();
    assert_eq!(stage.drive().await.status, RunStatus::Completed);
    assert_eq!(stage.world.text("MAP.md").as_deref(), Some("A"));
    run::undo(&stage.host, &stage.run).unwrap();
    assert_eq!(stage.world.text("MAP.md").as_deref(), Some("made behind its back"));
}

#[tokio::test]
async fn a_waiting_approval_is_looked_at_again_when_the_run_is_resumed() {
    let stage = stage();
    stage.drive().await;
    let first = stage.pending();
    assert_eq!(pending(&stage.drive().await.state), Some(first), "an unchanged world changes nothing");
    stage.world.put("MAP.md", "made behind its back");
    let report = stage.drive().await;
    assert_ne!(pending(&report.state), Some(first));
    assert_eq!(report.status, RunStatus::RequiresApproval);
}

#[tokio::test]
async fn of_two_runs_that_stage_one_file_the_second_goes_stale() {
    let stage = stage();
    let other = RunId::from_random([2; 12]);
    stage.create(&other);
    stage.drive().await;
    stage.try_drive(&other).await.unwrap();
    stage.approve(&stage.pending()).unwrap();
    assert_eq!(stage.drive().await.status, RunStatus::Completed);
    let state = run::load(&stage.host.journal, &other).unwrap();
    let digest = pending(&state).unwrap();
    let statement = stage.world.statement(&digest);
    let approvers = stage.host.approvers.as_ref();
    run::answer::approve(&stage.host.journal, approvers, &other, &digest, &statement, base::Timestamp(1))
        .unwrap();
    let report = stage.try_drive(&other).await.unwrap();
    assert_eq!(report.state.steps()[3].stale.len(), 1);
    // Staged again, it finds the file as it wants it: nothing is left to approve.
    assert_eq!(report.status, RunStatus::Completed);
    assert_eq!(stage.world.applied.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_changed_plan_pack_grant_or_folder_stops_the_run_and_is_named() {
    type Change = fn(&mut Stage);
    let cases: [(Change, &str); 4] = [
        (|stage| Arc::make_mut(&mut stage.plan).digest = digest("another plan"), "checked plan"),
        (
            |stage| {
                let plan = Arc::make_mut(&mut stage.plan);
                plan.packs.get_mut("tools").unwrap().statement = digest("another statement");
                plan.digest = digest("another plan");
            },
            "pack `acme:tools`",
        ),
        (|stage| Arc::make_mut(&mut stage.plan).steps[3].authority = digest("another grant"), "authority"),
        (|stage| stage.host.roots[0].inode = 2, "root `workspace`"),
    ];
    for (change, expected) in cases {
        let mut stage = stage();
        stage.drive().await;
        stage.approve(&stage.pending()).unwrap();
        let before = Arc::clone(&stage.plan);
        let roots = stage.host.roots.clone();
        change(&mut stage);
        let report = stage.drive().await;
        assert_eq!(report.status, RunStatus::Yielded, "{expected}");
        let yielded = report.state.yielded().unwrap();
        assert_eq!(yielded.code, "E-APPROVAL-STALE");
        assert!(yielded.message.contains(expected), "{}", yielded.message);
        assert_eq!(stage.world.text("MAP.md"), None);
        (stage.plan, stage.host.roots) = (before, roots);
        let report = stage.drive().await;
        // The approval of a changed authority is void for good; the others were never used up.
        let expected_status =
            if expected == "authority" { RunStatus::RequiresApproval } else { RunStatus::Completed };
        assert_eq!(report.status, expected_status, "{expected}");
    }
}

#[tokio::test]
async fn a_run_without_an_approval_is_stale_by_its_own_name() {
    let mut stage = stage();
    Arc::make_mut(&mut stage.plan).digest = digest("another plan");
    let report = stage.drive().await;
    assert_eq!(report.state.yielded().unwrap().code, "E-RUN-STALE");
    assert_eq!(stage.world.calls_of("tree"), 0, "nothing of another plan is run");
}

#[tokio::test]
async fn an_approval_is_used_once() {
    let stage = stage();
    stage.drive().await;
    let digest = stage.pending();
    stage.approve(&digest).unwrap();
    stage.approve(&digest).unwrap();
    stage.drive().await;
    assert_eq!(stage.approve(&digest).unwrap_err().code, Code::ApprovalConsumed);
}

#[tokio::test]
async fn another_runs_approval_is_unknown_here() {
    let stage = stage();
    let other = RunId::from_random([2; 12]);
    stage.create(&other);
    stage.drive().await;
    stage.try_drive(&other).await.unwrap();
    let theirs = pending(&run::load(&stage.host.journal, &other).unwrap()).unwrap();
    assert_ne!(theirs, stage.pending(), "the same effect of another run has another digest");
    assert_eq!(stage.approve(&theirs).unwrap_err().code, Code::ApprovalUnknown);
}

#[tokio::test]
async fn only_an_approvers_word_counts_when_it_is_given_and_when_it_is_used() {
    let stage = stage();
    stage.drive().await;
    let digest = stage.pending();
    for forged in [&b"no"[..], &stage.world.statement(&Digest::of(b"something else"))] {
        assert_eq!(stage.approve_with(&digest, forged).unwrap_err().code, Code::ApprovalForged);
    }
    // A grant that somebody wrote into the journal himself is found out before it is used.
    let statement = b"yes, believe me".to_vec();
    let event =
        Event::ApprovalGranted { digest, statement: Digest::of(&statement), approver: "me".to_owned() };
    let expected = stage.state().next_seq();
    let append = Append {
        run: stage.run.clone(),
        expected,
        at: base::Timestamp(1),
        events: vec![event],
        artifacts: vec![statement],
    };
    stage.host.journal.append(append).unwrap();
    let report = stage.drive().await;
    assert_eq!(report.status, RunStatus::Yielded);
    assert_eq!(report.state.yielded().unwrap().code, "E-APPROVAL-FORGED");
    assert_eq!(stage.world.text("MAP.md"), None);
    stage.approve(&digest).unwrap();
    assert_eq!(stage.drive().await.status, RunStatus::Completed, "a genuine one is still welcome");
}

/// Whatever else would have noticed it earlier: each part of what is bound is compared.
#[tokio::test]
async fn an_approval_differs_by_each_part_that_it_is_bound_to() {
    type Change = fn(&mut ApprovalBinding);
    let stage = stage();
    stage.drive().await;
    let was = stage.state().approvals()[0].binding.clone();
    assert_eq!(run::approval::differences(&was, &was), []);
    let changes: [(StaleCause, Change); 7] = [
        (StaleCause::Plan, |now| now.plan = digest("another")),
        (StaleCause::Pack, |now| now.statement = digest("another")),
        (StaleCause::Input, |now| now.input = digest("another")),
        (StaleCause::Authority, |now| now.authority = digest("another")),
        (StaleCause::Target, |now| now.effects = digest("another")),
        (StaleCause::Policy, |now| now.policy = digest("another")),
        (StaleCause::Plan, |now| now.operation = "acme:tools/tree.append".parse().unwrap()),
    ];
    for (cause, change) in changes {
        let mut now = was.clone();
        change(&mut now);
        let found = run::approval::differences(&was, &now);
        assert_eq!(found.iter().map(|found| found.cause).collect::<Vec<_>>(), [cause], "{found:?}");
    }
}

#[tokio::test]
async fn a_late_yes_that_was_written_into_the_journal_counts_for_nothing() {
    let save = step("save", "tree.write", &[], vec![text("note"), text("x")]);
    let stage = Stage::new(plan(vec![expiring(save, 1_000)], &[]));
    stage.drive().await;
    let digest = stage.pending();
    let statement = stage.world.statement(&digest);
    let granted =
        Event::ApprovalGranted { digest, statement: Digest::of(&statement), approver: "somebody".to_owned() };
    let (run, expected, at) = (stage.run.clone(), stage.state().next_seq(), base::Timestamp(1_000_000));
    let append = Append { run, expected, at, events: vec![granted], artifacts: vec![statement] };
    stage.host.journal.append(append).unwrap();
    let report = stage.drive().await;
    assert_eq!(report.state.yielded().unwrap().code, "E-APPROVAL-EXPIRED");
    assert_eq!(stage.world.text("note"), None);
}

#[tokio::test]
async fn what_was_used_is_not_granted_again() {
    let stage = stage();
    stage.drive().await;
    let digest = stage.pending();
    stage.approve(&digest).unwrap();
    let statement = Digest::of(&stage.world.statement(&digest));
    stage.intend("save", digest);
    assert!(run::load(&stage.host.journal, &stage.run).is_ok());
    stage.append(vec![Event::ApprovalGranted { digest, statement, approver: "somebody".to_owned() }]);
    let refused = run::load(&stage.host.journal, &stage.run).unwrap_err();
    assert_eq!(refused.code, Code::JournalDamaged);
    assert!(refused.to_string().contains("does not wait for an answer"), "{refused}");
}

#[tokio::test]
async fn only_a_call_whose_outcome_is_unknown_is_made_again_by_hand() {
    let stage = stage();
    stage.drive().await;
    let events = stage.kinds().len();
    let save = "save".parse().unwrap();
    let renewed = run::answer::renew(&stage.host.journal, &stage.run, &save, "me", base::Timestamp(1));
    assert_eq!(renewed.unwrap_err().code, Code::RunState);
    assert_eq!(stage.kinds().len(), events);
}

#[tokio::test]
async fn what_would_be_kept_for_an_undo_is_what_was_approved_to_go() {
    let stage = stage();
    stage.world.put("MAP.md", "old");
    stage.drive().await;
    stage.approve(&stage.pending()).unwrap();
    *stage.world.pre_image.lock().unwrap() = Some(b"there for a moment".to_vec());
    let report = stage.drive().await;
    assert_eq!(report.status, RunStatus::RequiresApproval, "staged again");
    assert_eq!(stage.world.text("MAP.md").as_deref(), Some("old"));
    stage.approve(&pending(&report.state).unwrap()).unwrap();
    assert_eq!(stage.drive().await.status, RunStatus::Completed, "positive control");
}

#[tokio::test]
async fn a_withdrawn_key_voids_what_it_signed() {
    let stage = stage();
    stage.drive().await;
    stage.approve(&stage.pending()).unwrap();
    *stage.world.word.lock().unwrap() = "another word".to_owned();
    let report = stage.drive().await;
    assert_eq!(report.state.yielded().unwrap().code, "E-APPROVAL-FORGED");
    assert_eq!(stage.world.text("MAP.md"), None);
}

#[tokio::test]
async fn a_key_that_is_withdrawn_after_the_intent_applies_nothing() {
    let stage = stage();
    stage.drive().await;
    let digest = stage.pending();
    stage.approve(&digest).unwrap();
    stage.intend("save", digest);
    *stage.world.word.lock().unwrap() = "another word".to_owned();
    let report = stage.drive().await;
    assert_eq!(report.state.yielded().unwrap().code, "E-APPROVAL-FORGED");
    assert_eq!(stage.world.text("MAP.md"), None);
    *stage.world.word.lock().unwrap() = "yes".to_owned();
    assert_eq!(stage.drive().await.status, RunStatus::Completed, "positive control");
    assert_eq!(stage.world.text("MAP.md").as_deref(), Some("A"));
}

#[tokio::test]
async fn one_target_in_the_way_leaves_the_others_alone_too() {
    let world = World::new();
    world.put("src/a", "A");
    world.put("src/b", "B");
    let steps = vec![
        step("sources", "tree.list", &[], vec![input("prefix")]),
        for_each(step("mark", "tree.append", &["sources"], vec![item(), text("!")]), of_step("sources"), 1),
    ];
    let stage = Stage::of(world, plan(steps, &[]));
    stage.drive().await;
    let digest = stage.pending();
    stage.approve(&digest).unwrap();
    stage.intend("mark", digest);
    stage.world.put("src/b", "in the way");
    let report = stage.drive().await;
    assert_eq!(report.state.steps()[1].conflicts.len(), 1);
    assert_eq!(stage.world.text("src/a").as_deref(), Some("A"), "half an effect set is worse than none");
    stage.world.put("src/b", "B");
    assert_eq!(stage.drive().await.status, RunStatus::Completed);
    assert_eq!(*stage.world.applied.lock().unwrap(), ["replace src/a", "replace src/b"]);
}

#[tokio::test]
async fn a_target_that_is_neither_before_nor_after_is_a_conflict() {
    let stage = stage();
    stage.drive().await;
    let digest = stage.pending();
    stage.approve(&digest).unwrap();
    stage.intend("save", digest);
    let busy =
        run::answer::cancel(&stage.host.journal, &stage.run, "me", None, base::Timestamp(1)).unwrap_err();
    assert_eq!(busy.code, Code::RunState, "begun effects are finished first");
    stage.world.put("MAP.md", "in the way");
    for _ in 0..2 {
        let report = stage.drive().await;
        assert_eq!(report.status, RunStatus::Yielded);
        assert_eq!(report.state.yielded().unwrap().code, "E-EFFECT-CONFLICT");
        assert_eq!(report.state.steps()[3].phase, Phase::Conflict);
        assert_eq!(stage.world.text("MAP.md").as_deref(), Some("in the way"));
    }
    stage.world.remove("MAP.md");
    assert_eq!(stage.drive().await.status, RunStatus::Completed);
    assert_eq!(stage.world.text("MAP.md").as_deref(), Some("A"));
}
