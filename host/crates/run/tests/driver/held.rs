//! Outgoing calls: approved one by one, sent once, and never other than approved.

use std::sync::Arc;

use base::{Code, Limits, NoProbe};
use journal::{Append, Event, Journal, StaleCause};
use run::machine::{End, Phase};
use run::{RunStatus, StepStatus};

use crate::world::{Stage, digest, of_step, pending, plan, step, text};

fn stage() -> Stage {
    stage_of("mail.send")
}

fn stage_of(operation: &str) -> Stage {
    let send = step("send", operation, &[], vec![text("hello")]);
    Stage::new(plan(vec![send], &[("answer", of_step("send"))]))
}

/// A stage whose approved call was about to be sent when the process died.
async fn intended(idempotent: bool) -> Stage {
    let mut send = step("send", "mail.send", &[], vec![text("hello")]);
    send.idempotent = idempotent;
    let stage = Stage::new(plan(vec![send], &[("answer", of_step("send"))]));
    stage.drive().await;
    let digest = stage.pending();
    stage.approve(&digest).unwrap();
    stage.intend("send", digest);
    stage
}

fn sent(stage: &Stage) -> Vec<String> {
    stage.world.sent.lock().unwrap().clone()
}

fn mood(stage: &Stage, mood: &str) {
    *stage.world.mood.lock().unwrap() = mood.to_owned();
}

#[tokio::test]
async fn a_call_is_sent_once_after_its_approval_and_the_guest_goes_on_with_the_answer() {
    let stage = stage();
    assert_eq!(stage.drive().await.status, RunStatus::RequiresApproval);
    assert!(sent(&stage).is_empty());
    stage.approve(&stage.pending()).unwrap();
    assert_eq!(stage.drive().await.status, RunStatus::Completed);
    assert_eq!(sent(&stage), ["hello"]);
    // To the call, once more to see that it is still the same, and on from the answer.
    assert_eq!(stage.world.calls_of("mail.send"), 3);
    let view = run::view::view(&stage.state(), base::Timestamp(0)).unwrap();
    assert_eq!((view.steps[0].status, view.steps[0].sent.len()), (StepStatus::Completed, 1));
}

/// Whoever looks again, before the approval is used, at what the guest would do burns its fuel.
#[tokio::test]
async fn a_rehearsal_is_paid_by_the_budget() {
    let run_with = |fuel| async move {
        let mut plan = plan(vec![step("send", "mail.send", &[], vec![text("hello")])], &[]);
        plan.budget.fuel = fuel;
        let stage = Stage::new(plan);
        stage.drive().await;
        stage.approve(&stage.pending()).unwrap();
        (stage.drive().await, stage)
    };
    // To the call, once more to see that it is still the same, and on from the answer: ten each.
    let (report, stage) = run_with(30).await;
    assert_eq!((report.status, report.state.spent().fuel), (RunStatus::Completed, 30));
    let given: Vec<u64> = stage.world.limits.lock().unwrap().iter().map(|limits| limits.fuel).collect();
    assert_eq!(given, [30, 20, 10]);
    assert_eq!(report.state.spent().calls, 2, "a rehearsal is no call of its own");
    let (report, _) = run_with(20).await;
    let Some(End::Failed { code, message }) = report.state.end() else { panic!("{:?}", report.status) };
    assert_eq!(code, "E-RUN-BUDGET");
    assert!(message.contains("fuel"), "{message}");
}

#[tokio::test]
async fn a_guest_that_makes_another_call_the_second_time_goes_stale() {
    goes_stale("mail.send").await;
}

/// An operation that only asks does no more without a question: its effect is `read`.
#[tokio::test]
async fn a_guest_that_asks_for_something_else_the_second_time_goes_stale() {
    goes_stale("web.ask").await;
}

async fn goes_stale(operation: &str) {
    let stage = stage_of(operation);
    stage.drive().await;
    let first = stage.pending();
    stage.approve(&first).unwrap();
    mood(&stage, ", or not");
    let report = stage.drive().await;
    assert_eq!(report.status, RunStatus::Yielded, "who approved is told");
    assert!(sent(&stage).is_empty(), "nothing is sent");
    let (_, changed) = &report.state.steps()[0].stale[0];
    assert_eq!(changed[0].cause, StaleCause::Call);
    assert!(changed[0].detail.contains("POST hello, or not"), "{}", changed[0].detail);
    assert_eq!(stage.approve(&first).unwrap_err().code, Code::ApprovalStale);
    // The next one asks for what the guest would do now.
    let report = stage.drive().await;
    let second = pending(&report.state).unwrap();
    assert_ne!(first, second);
    stage.approve(&second).unwrap();
    assert_eq!(stage.drive().await.status, RunStatus::Completed);
    assert_eq!(sent(&stage), ["hello, or not"]);
}

#[tokio::test]
async fn a_guest_that_does_not_get_back_to_its_answer_fails_and_nothing_is_sent_again() {
    let stage = stage();
    stage.drive().await;
    stage.approve(&stage.pending()).unwrap();
    // The rehearsal has an empty tape, and holds; what comes after the answer diverges.
    mood(&stage, "");
    let events = stage.kinds().len();
    assert!(events > 0);
    mood(&stage, "lost");
    let report = stage.drive().await;
    // With this mood the rehearsed call is another one already: stale, and nothing was sent.
    assert_eq!((report.status, sent(&stage).len()), (RunStatus::Yielded, 0));
    let report = stage.drive().await;
    stage.approve(&pending(&report.state).unwrap()).unwrap();
    let report = stage.drive().await;
    assert_eq!(report.status, RunStatus::Failed);
    assert_eq!(sent(&stage), ["hellolost"]);
    let (_, failure) = report.state.steps()[0].failure.clone().unwrap();
    assert_eq!(failure.code, Code::CallDiverged.to_string());
}

#[tokio::test]
async fn a_forged_yes_sends_nothing() {
    let stage = stage();
    stage.drive().await;
    let digest = stage.pending();
    assert_eq!(stage.approve_with(&digest, b"yes, surely").unwrap_err().code, Code::ApprovalForged);
    stage.approve(&digest).unwrap();
    // The approver's key is another one by the time the call would be sent.
    *stage.world.word.lock().unwrap() = "oui".to_owned();
    let report = stage.drive().await;
    assert_eq!(report.status, RunStatus::Yielded);
    assert_eq!(report.state.yielded().unwrap().code, Code::ApprovalForged.to_string());
    assert!(sent(&stage).is_empty());
    assert_eq!(report.state.steps()[0].phase, Phase::Granted);
    *stage.world.word.lock().unwrap() = "yes".to_owned();
    assert_eq!(stage.drive().await.status, RunStatus::Completed, "positive control");
    assert_eq!(sent(&stage), ["hello"]);
}

#[tokio::test]
async fn a_guest_that_goes_astray_before_its_call_goes_stale() {
    let stage = stage();
    stage.drive().await;
    stage.approve(&stage.pending()).unwrap();
    mood(&stage, "astray");
    let report = stage.drive().await;
    assert_eq!((report.status, sent(&stage).len()), (RunStatus::Yielded, 0));
    let (_, changed) = &report.state.steps()[0].stale[0];
    assert_eq!(changed[0].cause, StaleCause::Call);
    assert!(changed[0].detail.contains("it reads another file"), "{}", changed[0].detail);
}

#[tokio::test]
async fn what_may_have_been_sent_is_sent_again_only_where_that_is_safe() {
    let safe = intended(true).await;
    assert_eq!(safe.drive().await.status, RunStatus::Completed);
    assert_eq!(sent(&safe), ["hello"]);
    let unsafe_to_repeat = intended(false).await;
    for _ in 0..2 {
        let report = unsafe_to_repeat.drive().await;
        assert_eq!((report.status, report.state.steps()[0].phase), (RunStatus::Yielded, Phase::Unknown));
        assert_eq!(report.state.yielded().unwrap().code, Code::CallUnknown.to_string());
        assert!(sent(&unsafe_to_repeat).is_empty());
    }
}

#[tokio::test]
async fn a_key_that_is_withdrawn_after_the_intent_sends_nothing() {
    let stage = intended(true).await;
    *stage.world.word.lock().unwrap() = "oui".to_owned();
    let report = stage.drive().await;
    assert_eq!(report.state.yielded().unwrap().code, Code::ApprovalForged.to_string());
    assert!(sent(&stage).is_empty());
    *stage.world.word.lock().unwrap() = "yes".to_owned();
    assert_eq!(stage.drive().await.status, RunStatus::Completed, "positive control");
    assert_eq!(sent(&stage), ["hello"]);
}

#[tokio::test]
async fn a_grant_that_changes_after_the_intent_sends_nothing() {
    let mut stage = intended(true).await;
    let before = Arc::clone(&stage.plan);
    Arc::make_mut(&mut stage.plan).steps[0].authority = digest("another grant");
    let report = stage.drive().await;
    assert_eq!(report.state.yielded().unwrap().code, Code::ApprovalStale.to_string());
    assert!(sent(&stage).is_empty());
    stage.plan = before;
    assert_eq!(stage.drive().await.status, RunStatus::Completed, "positive control");
    assert_eq!(sent(&stage), ["hello"]);
}

/// Somebody else's append comes between the sending of a call and the record of its answer.
#[tokio::test]
async fn an_answer_is_kept_though_somebody_else_wrote_first() {
    let stage = stage();
    stage.drive().await;
    stage.approve(&stage.pending()).unwrap();
    let (home, run) = (stage.home.path().to_owned(), stage.run.clone());
    *stage.world.meanwhile.lock().unwrap() = Some(Box::new(move || {
        let journal = Journal::open(&home, Arc::new(NoProbe)).unwrap();
        let expected = run::load(&journal, &run).unwrap().next_seq();
        let yielded = Event::RunYielded { code: "E-TEST".to_owned(), message: "wait".to_owned(), step: None };
        let (at, events) = (base::Timestamp(1), vec![yielded]);
        journal.append(Append { run, expected, at, events, artifacts: Vec::new() }).unwrap();
    }));
    stage.drive().await;
    assert!(stage.kinds().contains(&"call_answered"), "{:?}", stage.kinds());
    assert_eq!(stage.drive().await.status, RunStatus::Completed);
    assert_eq!(sent(&stage), ["hello"]);
}

#[tokio::test]
async fn an_answer_may_move_what_the_guest_left() {
    let stage = stage();
    stage.drive().await;
    stage.approve(&stage.pending()).unwrap();
    stage.drive().await;
    let limits = stage.world.send_limits.lock().unwrap().clone();
    let left = Limits::DEFAULT.host_call_bytes - 7;
    assert_eq!(limits.iter().map(|limits| limits.host_call_bytes).collect::<Vec<_>>(), [left]);
}
