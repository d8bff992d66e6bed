//! What people decide about a run: approve, reject, cancel.

use base::{Code, Digest, Refusal, RunId, StepId, Timestamp};
use journal::{Append, AppendError, Event, Journal, Record, StaleCause, Staleness};

use crate::approval::describe;
use crate::host::Approvers;
use crate::machine::{ApprovalAnswer, ApprovalState, FoldError, Phase, State};

/// How often an answer is tried again when the run moves on at the same moment.
const TRIES_MAX: u32 = 16;

impl From<FoldError> for Refusal {
    fn from(error: FoldError) -> Self {
        Self::new(Code::JournalDamaged, error.to_string())
    }
}

/// The run's state as the journal has it.
///
/// # Errors
/// If there is no such run, or its rows are damaged.
pub fn load(journal: &Journal, run: &RunId) -> Result<State, Refusal> {
    let records = journal.events(run)?;
    Ok(State::fold(run.clone(), &records)?)
}

/// Records a person's yes, proven by the signed `statement`. The run goes on when it is driven.
///
/// # Errors
/// `E-APPROVAL-UNKNOWN`, `-CONSUMED`, `-STALE`, `-REJECTED`, `-EXPIRED`, `-FORGED`.
pub fn approve(
    journal: &Journal,
    approvers: &dyn Approvers,
    run: &RunId,
    digest: &Digest,
    statement: &[u8],
    at: Timestamp,
) -> Result<Vec<Record>, Refusal> {
    answer(journal, run, at, |state| {
        let approval = open_approval(state, digest)?;
        if approval.expires_at.is_some_and(|expires_at| at > expires_at) {
            let message = format!("approval {} came after its time", digest.short());
            return Err(Refusal::new(Code::ApprovalExpired, message)
                .hint(format!("capstan run resume {run}"))
                .hint("a resumed run stages the effects again and asks again"));
        }
        let approver = approvers.verify(statement, digest)?.approver;
        let granted = Event::ApprovalGranted { digest: *digest, statement: Digest::of(statement), approver };
        Ok((granted, vec![statement.to_vec()]))
    })
}

/// Records a person's no: the step fails.
///
/// # Errors
/// `E-APPROVAL-UNKNOWN`, `-CONSUMED`, `-STALE`, `-REJECTED`.
pub fn reject(
    journal: &Journal,
    run: &RunId,
    digest: &Digest,
    by: &str,
    reason: Option<&str>,
    at: Timestamp,
) -> Result<Vec<Record>, Refusal> {
    answer(journal, run, at, |state| {
        open_approval(state, digest)?;
        let reason = reason.map(str::to_owned);
        Ok((Event::ApprovalRejected { digest: *digest, by: by.to_owned(), reason }, Vec::new()))
    })
}

/// Ends a run that nobody works on.
///
/// # Errors
/// `E-RUN-BUSY` if a process works on it, `E-RUN-STATE` if it has ended or has begun effects that
/// must be finished first.
pub fn cancel(
    journal: &Journal,
    run: &RunId,
    by: &str,
    reason: Option<&str>,
    at: Timestamp,
) -> Result<Vec<Record>, Refusal> {
    let _lock = journal.lock(run)?;
    answer(journal, run, at, |state| {
        refuse_ended(state)?;
        if state.steps().iter().any(|step| step.phase == Phase::Intended) {
            let message = format!("run {run} has begun to apply effects, which has to be finished first");
            return Err(Refusal::new(Code::RunState, message).hint(format!("capstan run resume {run}")));
        }
        Ok((Event::RunCancelled { by: by.to_owned(), reason: reason.map(str::to_owned) }, Vec::new()))
    })
}

/// Has a step go on whose approved call may have been made, by making it again with another key and
/// after another approval.
///
/// # Errors
/// `E-RUN-BUSY` if a process works on the run, `E-RUN-STATE` if the run has ended, or the step has no
/// such call.
pub fn renew(
    journal: &Journal,
    run: &RunId,
    step: &StepId,
    by: &str,
    at: Timestamp,
) -> Result<Vec<Record>, Refusal> {
    take_over(journal, run, step, at)?;
    let _lock = journal.lock(run)?;
    answer(journal, run, at, |state| {
        refuse_ended(state)?;
        let show = format!("capstan run show {run}");
        let number = state.graph().number(step).ok_or_else(|| {
            Refusal::new(Code::RunState, format!("run {run} has no step `{step}`")).hint(show.clone())
        })?;
        let found = state.steps().get(number).filter(|found| found.phase == Phase::Unknown);
        let found = found.ok_or_else(|| {
            let message = format!("step `{step}` has no call whose outcome is unknown");
            Refusal::new(Code::RunState, message).hint(show)
        })?;
        let detail = format!("{by} had the call made again, with another key");
        let changed = vec![Staleness { cause: StaleCause::Renewed, detail }];
        Ok((Event::EffectsStale { step: step.clone(), attempt: found.attempt, changed }, Vec::new()))
    })
}

/// Takes a run over whose process was killed within the call of `step`. That nobody knows what came of
/// the call is only so once nobody can be making it any more.
fn take_over(journal: &Journal, run: &RunId, step: &StepId, at: Timestamp) -> Result<(), Refusal> {
    let state = load(journal, run)?;
    let found = state.graph().number(step).and_then(|number| state.steps().get(number));
    let is_within = found.is_some_and(|found| found.phase == Phase::Intended && found.held.is_some());
    if is_within && state.end().is_none() {
        drop(journal.claim(run, at)?);
    }
    Ok(())
}

/// Appends what `decide` makes of the present state. If the run moved on in between, it decides
/// again.
fn answer(
    journal: &Journal,
    run: &RunId,
    at: Timestamp,
    decide: impl Fn(&State) -> Result<(Event, Vec<Vec<u8>>), Refusal>,
) -> Result<Vec<Record>, Refusal> {
    let mut tries = 1;
    loop {
        let state = load(journal, run)?;
        let (event, artifacts) = decide(&state)?;
        let append =
            Append { run: run.clone(), expected: state.next_seq(), at, events: vec![event], artifacts };
        match journal.append(append) {
            Err(AppendError::Sequence { .. }) if tries < TRIES_MAX => tries += 1,
            result => return Ok(result?),
        }
    }
}

fn refuse_ended(state: &State) -> Result<(), Refusal> {
    match state.end() {
        None => Ok(()),
        Some(_) => Err(Refusal::new(Code::RunState, format!("run {} has ended", state.run()))
            .hint(format!("capstan run show {}", state.run()))),
    }
}

/// The approval, if it still waits for an answer.
///
/// # Errors
/// `E-APPROVAL-UNKNOWN`, `-CONSUMED`, `-STALE`, `-REJECTED`, or `E-RUN-STATE`.
pub fn open_approval<'a>(state: &'a State, digest: &Digest) -> Result<&'a ApprovalState, Refusal> {
    let id = digest.short();
    let approval = state.approval(digest).ok_or_else(|| {
        let message = format!("run {} did not ask for approval {id}", state.run());
        Refusal::new(Code::ApprovalUnknown, message).hint("capstan approval list")
    })?;
    let show = format!("capstan run show {}", state.run());
    match &approval.answer {
        ApprovalAnswer::Pending | ApprovalAnswer::Granted { .. } => {
            refuse_ended(state)?;
            Ok(approval)
        }
        ApprovalAnswer::Consumed { .. } => {
            Err(Refusal::new(Code::ApprovalConsumed, format!("approval {id} was used before")).hint(show))
        }
        ApprovalAnswer::Rejected { by, .. } => {
            Err(Refusal::new(Code::ApprovalRejected, format!("approval {id} was rejected by {by}"))
                .hint(show))
        }
        ApprovalAnswer::Stale => {
            refuse_ended(state)?;
            let stale = state.steps().get(approval.step).and_then(|step| {
                let mut tries = step.stale.iter();
                tries
                    .find(|(attempt, _)| *attempt == approval.binding.attempt)
                    .map(|(_, changed)| describe(changed))
            });
            let why = stale.unwrap_or_else(|| "the step moved on".to_owned());
            Err(Refusal::new(Code::ApprovalStale, format!("approval {id} is stale: {why}"))
                .hint("capstan approval list"))
        }
    }
}
