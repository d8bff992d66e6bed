//! Runs driven over a real journal, in a world that is kept in memory.

// `cfg(test)` tells clippy that helpers without `#[test]` are tests too.
#[cfg(test)]
mod crash;
#[cfg(test)]
mod held;
#[cfg(test)]
mod stale;
#[cfg(test)]
mod world;

use std::sync::Arc;

use base::{Code, Digest, RunId};
use journal::{Append, Event, FailureClass, Payload};
use run::machine::{End, Phase};
use run::{RunStatus, StepStatus};
use tokio::sync::watch;
use world::{
    Stage, World, codemap, expiring, for_each, gated, input, item, of_step, pending, plan, step, text,
};

fn codemap_stage() -> Stage {
    let world = World::new();
    world.put("src/a", "A");
    world.put("src/b", "B");
    Stage::of(world, codemap())
}

#[tokio::test]
async fn a_run_stops_before_its_effect_and_applies_it_once_approved() {
    let stage = codemap_stage();
    assert_eq!(run::view::status(&stage.state()), RunStatus::Queued);
    let report = stage.drive().await;
    assert_eq!(report.status, RunStatus::RequiresApproval);
    assert_eq!(stage.world.text("MAP.md"), None, "nothing is applied before the approval");
    let view = run::view::view(&report.state, base::Timestamp(0)).unwrap();
    let statuses: Vec<_> = view.steps.iter().map(|step| step.status).collect();
    let done = StepStatus::Completed;
    assert_eq!(statuses, [done, done, done, StepStatus::RequiresApproval]);
    assert_eq!(view.steps[1].items, Some(2));
    let id = stage.pending().short();
    assert!(view.next_actions.iter().any(|action| action.command == format!("capstan approve {id}")));

    stage.approve(&stage.pending()).unwrap();
    let report = stage.drive().await;
    assert_eq!(report.status, RunStatus::Completed);
    assert_eq!(stage.world.text("MAP.md").as_deref(), Some("A+B"));
    assert_eq!(*stage.world.applied.lock().unwrap(), ["create MAP.md"]);
    let outputs = serde_json::json!({"path": "MAP.md", "page": "A+B"});
    assert_eq!(report.state.end(), Some(&End::Completed(Payload::Inline(outputs))));
    assert_eq!(stage.world.calls_of("tree.write"), 1, "the guest did not run again");
    let kinds = stage.kinds();
    let tail =
        ["approval_granted", "run_claimed", "approval_consumed", "effects_intended", "effects_applied"];
    assert_eq!(kinds[kinds.len() - 6..kinds.len() - 1], tail);
}

#[tokio::test]
async fn a_finished_run_is_not_driven_again() {
    let stage = Stage::new(plan(vec![], &[]));
    assert_eq!(stage.drive().await.status, RunStatus::Completed);
    let before = stage.kinds();
    assert_eq!(stage.try_drive(&stage.run).await.unwrap_err().code, Code::RunState);
    assert_eq!(stage.kinds(), before);
}

#[tokio::test]
async fn an_empty_effect_set_needs_no_approval_whatever_the_plan_asks() {
    let write = || step("save", "tree.write", &[], vec![text("a"), text("A")]);
    let world = World::new();
    world.put("a", "A");
    for write in [write(), gated(write())] {
        let stage = Stage::of(Arc::clone(&world), plan(vec![write], &[]));
        assert_eq!(stage.drive().await.status, RunStatus::Completed);
        assert!(stage.state().approvals().is_empty());
    }
}

#[tokio::test]
async fn a_plan_can_gate_a_call_without_effects() {
    let world = World::new();
    world.put("src/a", "A");
    let list = gated(step("sources", "tree.list", &[], vec![input("prefix")]));
    let stage = Stage::of(world, plan(vec![list], &[("found", of_step("sources"))]));
    assert_eq!(stage.drive().await.status, RunStatus::RequiresApproval);
    stage.approve(&stage.pending()).unwrap();
    let report = stage.drive().await;
    let outputs = serde_json::json!({"found": ["src/a"]});
    assert_eq!(report.state.end(), Some(&End::Completed(Payload::Inline(outputs))));
}

#[tokio::test]
async fn a_fan_out_of_writes_is_one_approval_and_shows_every_change() {
    let world = World::new();
    world.put("src/a", "");
    world.put("src/b", "");
    let steps = vec![
        step("sources", "tree.list", &[], vec![input("prefix")]),
        for_each(step("mark", "tree.append", &["sources"], vec![item(), text("x")]), of_step("sources"), 4),
    ];
    let stage = Stage::of(world, plan(steps, &[]));
    let report = stage.drive().await;
    assert_eq!(report.state.approvals().len(), 1);
    assert_eq!(report.state.steps()[1].changes().changes().len(), 2);
    stage.approve(&stage.pending()).unwrap();
    assert_eq!(stage.drive().await.status, RunStatus::Completed);
    assert_eq!(*stage.world.applied.lock().unwrap(), ["replace src/a", "replace src/b"]);
}

#[tokio::test]
async fn two_items_that_write_one_file_fail_the_step() {
    let world = World::new();
    world.put("src/a", "A");
    world.put("src/b", "B");
    let steps = |target| {
        vec![
            step("sources", "tree.list", &[], vec![input("prefix")]),
            for_each(step("copy", "tree.write", &["sources"], vec![target, item()]), of_step("sources"), 4),
        ]
    };
    let stage = Stage::of(Arc::clone(&world), plan(steps(text("same")), &[]));
    let report = stage.drive().await;
    assert_eq!(report.status, RunStatus::Failed);
    let (failed_item, failure) = report.state.steps()[1].failure.clone().unwrap();
    assert_eq!((failed_item, failure.class), (Some(1), FailureClass::Plan));
    assert!(failure.message.contains("workspace:same"), "{}", failure.message);
    let control = Stage::of(world, plan(steps(item()), &[]));
    assert_eq!(control.drive().await.status, RunStatus::RequiresApproval);
}

#[tokio::test]
async fn a_read_that_stages_a_write_is_denied() {
    let stage = Stage::new(plan(vec![step("s", "tree.sneak", &[], vec![text("a"), text("A")])], &[]));
    let report = stage.drive().await;
    assert_eq!(report.status, RunStatus::Failed);
    assert_eq!(report.state.steps()[0].failure.clone().unwrap().1.code, "E-CALL-DENIED");
    assert_eq!(stage.world.text("a"), None);
}

#[tokio::test]
async fn a_failure_skips_what_depends_on_it_and_nothing_else() {
    let world = World::new();
    world.put("src/a", "A");
    let steps = vec![
        step("bad", "fail.now", &[], vec![]),
        step("after", "fail.now", &["bad"], vec![]),
        step("last", "fail.now", &["after"], vec![]),
        step("other", "tree.list", &[], vec![input("prefix")]),
        step("trap", "trap.now", &["other"], vec![]),
    ];
    let stage = Stage::of(world, plan(steps, &[]));
    let report = stage.drive().await;
    let phases: Vec<_> = report.state.steps().iter().map(|step| step.phase).collect();
    assert_eq!(phases, [Phase::Failed, Phase::Skipped, Phase::Skipped, Phase::Completed, Phase::Failed]);
    let failures: Vec<_> = report.state.steps().iter().filter_map(|step| step.failure.clone()).collect();
    assert_eq!(
        (failures[0].1.class, failures[0].1.message.as_str()),
        (FailureClass::Guest, "\"it would not\"")
    );
    assert_eq!((failures[1].1.class, failures[1].1.trap.as_deref()), (FailureClass::Trapped, Some("fuel")));
    let Some(End::Failed { code, message }) = report.state.end() else { panic!() };
    assert_eq!(code, "E-CALL-FAILED");
    assert!(message.contains("`bad`"), "{message}");
}

#[tokio::test]
async fn a_rejected_step_fails_the_run_and_changes_nothing() {
    let stage = codemap_stage();
    stage.drive().await;
    let digest = stage.pending();
    let journal = &stage.host.journal;
    let reject =
        || run::answer::reject(journal, &stage.run, &digest, "somebody", Some("no"), base::Timestamp(9));
    reject().unwrap();
    assert_eq!(reject().unwrap_err().code, Code::ApprovalRejected);
    let report = stage.drive().await;
    assert_eq!(report.status, RunStatus::Failed);
    assert!(matches!(report.state.end(), Some(End::Failed { code, .. }) if code == "E-APPROVAL-REJECTED"));
    assert_eq!(stage.approve(&digest).unwrap_err().code, Code::ApprovalRejected);
    assert!(stage.world.applied.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_run_is_cancelled_once_and_not_while_somebody_works_on_it() {
    let stage = codemap_stage();
    stage.drive().await;
    let digest = stage.pending();
    let cancel =
        || run::answer::cancel(&stage.host.journal, &stage.run, "somebody", None, base::Timestamp(9));
    let claim = stage.host.journal.lock(&stage.run).unwrap();
    assert_eq!(cancel().unwrap_err().code, Code::RunBusy);
    drop(claim);
    cancel().unwrap();
    assert_eq!(run::view::status(&stage.state()), RunStatus::Cancelled);
    assert_eq!(cancel().unwrap_err().code, Code::RunState);
    assert_eq!(stage.approve(&digest).unwrap_err().code, Code::RunState);
    assert_eq!(stage.try_drive(&stage.run).await.unwrap_err().code, Code::RunState);
}

#[tokio::test]
async fn every_number_of_the_budget_ends_the_run_at_its_bound() {
    let run_with = |calls, fuel| async move {
        let world = World::new();
        world.put("src/a", "A");
        world.put("src/b", "B");
        let mut plan = codemap();
        plan.steps.pop();
        plan.outputs.clear();
        (plan.budget.calls, plan.budget.fuel) = (calls, fuel);
        Stage::of(world, plan).drive().await
    };
    // Four calls of ten units of fuel each.
    assert_eq!(run_with(4, 40).await.status, RunStatus::Completed);
    assert_eq!(run_with(4, 31).await.status, RunStatus::Completed, "the last call starts with what is left");
    for (calls, fuel, part) in [(3, 40, "calls"), (4, 30, "fuel"), (0, 40, "calls")] {
        let report = run_with(calls, fuel).await;
        let Some(End::Failed { code, message }) = report.state.end() else { panic!("{:?}", report.status) };
        assert_eq!(code, "E-RUN-BUDGET");
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn waiting_for_a_person_is_not_in_the_budget_of_time() {
    let world = World::new();
    world.put("src/a", "A");
    let mut plan = codemap();
    plan.budget.wall_ms = 1_000;
    let stage = Stage::of(Arc::clone(&world), plan.clone());
    stage.drive().await;
    world.now.fetch_add(1_000_000, std::sync::atomic::Ordering::SeqCst);
    stage.approve(&stage.pending()).unwrap();
    assert_eq!(stage.drive().await.status, RunStatus::Completed);
    plan.budget.wall_ms = 1;
    let report = Stage::of(world, plan).drive().await;
    assert!(matches!(report.state.end(), Some(End::Failed { code, .. }) if code == "E-RUN-BUDGET"));
}

#[tokio::test]
async fn calls_run_side_by_side_up_to_the_bound() {
    for (max_parallel, expected) in [(1, 1), (3, 3), (64, 8)] {
        let world = World::new();
        for number in 0..40 {
            world.put(&format!("src/{number}"), "x");
        }
        let steps = vec![
            step("sources", "tree.list", &[], vec![input("prefix")]),
            for_each(
                step("texts", "tree.read", &["sources"], vec![item()]),
                of_step("sources"),
                max_parallel,
            ),
        ];
        let stage = Stage::of(world, plan(steps, &[]));
        assert_eq!(stage.drive().await.status, RunStatus::Completed);
        assert_eq!(stage.world.most_at_once.load(std::sync::atomic::Ordering::SeqCst), expected);
    }
}

#[tokio::test]
async fn a_large_fan_out_shares_commits_and_keeps_its_order() {
    let world = World::new();
    for number in 0..3_000 {
        world.put(&format!("src/{number:04}"), &format!("{number:04}"));
    }
    let mut plan = codemap();
    plan.steps.pop();
    plan.outputs.clear();
    plan.outputs.insert("page".to_owned(), of_step("page"));
    let stage = Stage::of(world, plan);
    let report = stage.drive().await;
    assert_eq!(report.status, RunStatus::Completed);
    let stats = stage.host.journal.stats();
    assert!(stats.commits < stats.events / 2, "{stats:?}");
    let payload = &report.state.steps()[2].items[0].as_ref().unwrap().call.output;
    let Some(Payload::Inline(serde_json::Value::String(page))) = payload else { panic!("{payload:?}") };
    let expected: Vec<_> = (0..3_000).map(|number| format!("{number:04}")).collect();
    assert_eq!(*page, expected.join("+"));
}

#[tokio::test]
async fn values_over_the_bound_travel_as_artifacts() {
    let world = World::new();
    world.put("src/a", &"a".repeat(20_000));
    let stage = Stage::of(world, codemap());
    let report = stage.drive().await;
    let payload = report.state.steps()[1].items[0].as_ref().unwrap().call.output.clone().unwrap();
    assert!(payload.artifact().is_some());
    stage.approve(&stage.pending()).unwrap();
    let report = stage.drive().await;
    assert_eq!(stage.world.text("MAP.md").unwrap().len(), 20_000);
    let Some(End::Completed(outputs)) = report.state.end() else { panic!() };
    let bytes = stage.host.journal.artifact(&outputs.artifact().unwrap()).unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()["page"].is_string());
}

#[tokio::test]
async fn a_stopped_run_goes_on_where_it_was() {
    let world = World::new();
    world.put("src/a", "A");
    let steps = |operation| {
        vec![
            step("sources", "tree.list", &[], vec![input("prefix")]),
            step(
                "slow",
                operation,
                &["sources"],
                if operation == "hang.on" { vec![] } else { vec![text("src/a")] },
            ),
        ]
    };
    let mut stage = Stage::of(world, plan(steps("hang.on"), &[]));
    let (sender, stop) = watch::channel(false);
    let world = Arc::clone(&stage.world);
    let stopper = tokio::spawn(async move {
        while world.calls_of("hang.on") == 0 {
            tokio::task::yield_now().await;
        }
        sender.send(true).unwrap();
    });
    let report = run::drive(&stage.host, &stage.plan, &stage.run, stop).await.unwrap();
    stopper.await.unwrap();
    assert_eq!((report.status, report.interrupted), (RunStatus::Running, true));
    stage.plan = Arc::new(plan(steps("tree.read"), &[]));
    let report = stage.drive().await;
    assert_eq!((report.status, report.interrupted), (RunStatus::Completed, false));
    assert_eq!(stage.world.calls_of("tree.list"), 1, "what was recorded is not done again");
}

#[tokio::test]
async fn an_answer_that_comes_while_the_run_works_is_taken_in() {
    let world = World::new();
    world.put("src/a", "A");
    let steps = vec![
        step("save", "tree.write", &[], vec![text("MAP.md"), text("x")]),
        step("slow", "hang.on", &[], vec![]),
        step("later", "tree.read", &["save"], vec![text("src/a")]),
    ];
    let stage = Stage::of(world, plan(steps, &[]));
    let (sender, stop) = watch::channel(false);
    let answering = async {
        while stage.state().approvals().is_empty() || stage.world.calls_of("hang.on") == 0 {
            tokio::task::yield_now().await;
        }
        stage.approve(&stage.pending()).unwrap();
        sender.send(true).unwrap();
    };
    let (report, ()) = tokio::join!(run::drive(&stage.host, &stage.plan, &stage.run, stop), answering);
    assert!(report.unwrap().interrupted);
    let (sender, stop) = watch::channel(false);
    let finishing = async {
        while stage.world.calls_of("tree.read") == 0 {
            tokio::task::yield_now().await;
        }
        sender.send(true).unwrap();
    };
    let (report, ()) = tokio::join!(run::drive(&stage.host, &stage.plan, &stage.run, stop), finishing);
    assert!(report.unwrap().interrupted);
    assert_eq!(stage.world.text("MAP.md").as_deref(), Some("x"));
}

#[tokio::test]
async fn a_process_that_lost_the_run_writes_nothing_more() {
    let stage = Stage::new(plan(vec![step("slow", "wait.go", &[], vec![])], &[]));
    let taking_over = async {
        while stage.world.calls_of("wait.go") == 0 {
            tokio::task::yield_now().await;
        }
        // As a process would that the lock does not reach.
        let event = Event::RunClaimed { epoch: 2, pid: 1 };
        let expected = stage.state().next_seq();
        let at = base::Timestamp(1);
        let append =
            Append { run: stage.run.clone(), expected, at, events: vec![event], artifacts: Vec::new() };
        stage.host.journal.append(append).unwrap();
        stage.world.put("go", "");
    };
    let (result, ()) = tokio::join!(stage.try_drive(&stage.run), taking_over);
    assert_eq!(result.unwrap_err().code, Code::RunBusy);
    assert_eq!(stage.kinds(), ["run_created", "run_claimed", "run_claimed"]);
    assert_eq!(stage.drive().await.status, RunStatus::Completed);
}

#[tokio::test]
async fn undo_takes_back_everything_in_reverse_and_only_once() {
    let world = World::new();
    world.put("log", "0");
    let steps = vec![
        step("one", "tree.append", &[], vec![text("log"), text("1")]),
        step("two", "tree.append", &["one"], vec![text("log"), text("2")]),
        step("new", "tree.write", &["two"], vec![text("new"), text("n")]),
    ];
    let stage = Stage::of(world, plan(steps, &[]));
    for _ in 0..3 {
        assert_eq!(stage.drive().await.status, RunStatus::RequiresApproval);
        assert_eq!(run::undo(&stage.host, &stage.run).unwrap_err().code, Code::RunState, "it has not ended");
        stage.approve(&stage.pending()).unwrap();
    }
    assert_eq!(stage.drive().await.status, RunStatus::Completed);
    assert_eq!(stage.world.text("log").as_deref(), Some("012"));

    stage.world.put("log", "changed since");
    let refused = run::undo(&stage.host, &stage.run).unwrap_err();
    assert_eq!(refused.code, Code::EffectConflict);
    assert!(refused.message.contains("workspace:log"), "{refused}");
    assert_eq!(stage.world.text("new").as_deref(), Some("n"), "a conflict anywhere leaves everything alone");
    stage.world.put("log", "012");

    let undone = run::undo(&stage.host, &stage.run).unwrap();
    assert_eq!(undone.receipts.len(), 3);
    assert_eq!((stage.world.text("log").as_deref(), stage.world.text("new")), (Some("0"), None));
    assert_eq!(run::undo(&stage.host, &stage.run).unwrap_err().code, Code::RunState);
    assert_eq!(run::view::view(&stage.state(), base::Timestamp(0)).unwrap().undone, 3);
}

#[tokio::test]
async fn a_run_without_effects_has_nothing_to_undo() {
    let stage = Stage::new(plan(vec![], &[]));
    stage.drive().await;
    assert_eq!(run::undo(&stage.host, &stage.run).unwrap_err().code, Code::RunState);
}

#[tokio::test]
async fn unknown_runs_and_approvals_are_named() {
    let stage = codemap_stage();
    let absent = RunId::from_random([9; 12]);
    assert_eq!(stage.try_drive(&absent).await.unwrap_err().code, Code::RunUnknown);
    assert_eq!(stage.approve(&Digest::of(b"?")).unwrap_err().code, Code::ApprovalUnknown);
}

#[tokio::test]
async fn an_answer_after_its_time_is_refused_and_asked_for_again() {
    let save = expiring(step("save", "tree.write", &[], vec![text("a"), text("A")]), 1_000);
    let stage = Stage::new(plan(vec![save], &[]));
    stage.drive().await;
    let first = stage.pending();
    stage.world.now.fetch_add(2_000, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(stage.approve(&first).unwrap_err().code, Code::ApprovalExpired);
    let report = stage.drive().await;
    assert_eq!(report.status, RunStatus::RequiresApproval);
    let second = pending(&report.state).unwrap();
    assert_ne!(first, second);
    assert_eq!(stage.approve(&first).unwrap_err().code, Code::ApprovalStale);
    stage.approve(&second).unwrap();
    // Granted in time is good, however late it is used.
    stage.world.now.fetch_add(2_000, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(stage.drive().await.status, RunStatus::Completed);
}

#[tokio::test]
async fn a_call_may_use_what_the_budget_has_left() {
    let steps = vec![
        step("one", "wait.go", &[], vec![]),
        step("two", "wait.go", &["one"], vec![]),
        step("three", "wait.go", &["two"], vec![]),
    ];
    let mut plan = plan(steps, &[]);
    plan.budget = plan::Budget {
        fuel: 25,
        wall_ms: 5_000,
        files: 5,
        file_bytes: 7,
        model_tokens: 12,
        model_cost: 4,
        ..plan.budget
    };
    let stage = Stage::new(plan);
    stage.world.put("go", "");
    assert_eq!(stage.drive().await.status, RunStatus::Completed);
    let limits = stage.world.limits.lock().unwrap().clone();
    let each = |of: fn(&base::Limits) -> u64| limits.iter().map(of).collect::<Vec<_>>();
    assert_eq!(each(|limits| limits.fuel), [25, 15, 5]);
    assert_eq!(each(|limits| limits.files), [5, 3, 1]);
    assert_eq!(each(|limits| limits.file_bytes), [7, 4, 1]);
    assert_eq!(each(|limits| limits.model_tokens), [12, 7, 2]);
    assert_eq!(each(|limits| limits.model_cost), [4, 0, 0]);
    let wall = each(|limits| limits.wall_ms);
    assert!(wall[0] < 5_000 && wall[1] < wall[0] && wall[2] < wall[1], "{wall:?}");
}
