//! The loop that carries out what the machine says is next, and records what came of it.
//!
//! One append is under way at a time and takes in everything that returned meanwhile, so a fan-out
//! costs one commit for many items. The state moves only by what is durable.

mod commit;
mod effects;
mod session;
mod work;

use std::sync::Arc;

use base::{Code, Refusal, RunId};
use journal::Event;
use plan::CheckedPlan;
use tokio::sync::watch;

use crate::answer::load;
use crate::approval::describe;
use crate::host::Host;
use crate::machine::{ApprovalAnswer, State};
use crate::view::{RunStatus, status};
use session::Session;

pub(crate) use effects::{AFTER_APPLY, AFTER_SEND, BEFORE_APPLY, BEFORE_SEND};

/// How a run was left.
#[derive(Debug, Clone)]
pub struct Report {
    /// The run's state.
    pub state: State,
    /// Its status.
    pub status: RunStatus,
    /// Whether it was stopped from outside, and goes on when it is driven again.
    pub interrupted: bool,
}

/// Works on the run until it ends, waits for a person, or `stop` becomes true. What is not recorded
/// then is done again by the next one who drives it.
///
/// # Errors
/// `E-RUN-BUSY` if another process works on it, `E-RUN-STATE` if it has ended, and what the
/// journal says. The run can be driven again after each.
pub async fn drive(
    host: &Host,
    plan: &Arc<CheckedPlan>,
    run: &RunId,
    stop: watch::Receiver<bool>,
) -> Result<Report, Refusal> {
    if load(&host.journal, run)?.end().is_some() {
        return Err(Refusal::new(Code::RunState, format!("run {run} has ended"))
            .hint(format!("capstan run show {run}")));
    }
    let claim = host.journal.claim(run, host.clock.now())?;
    let state = State::fold(run.clone(), &claim.records)?;
    if let Some(record) = claim.records.last() {
        host.observer.recorded(run, record);
    }
    let mut session = Session::new(host, plan, state);
    let found = changed_since_start(host, plan, session.state()).or_else(|| unknown_call(session.state()));
    if let Some(event) = found {
        session.record(vec![event])?;
    }
    let interrupted = session.run(stop).await?;
    let state = session.into_state();
    drop(claim);
    Ok(Report { status: status(&state), interrupted: interrupted && state.end().is_none(), state })
}

/// The yield of a run whose plan, packs or folders are not those that it was started with.
fn changed_since_start(host: &Host, plan: &CheckedPlan, state: &State) -> Option<Event> {
    let created = state.created()?;
    let other_root = created.roots.iter().find(|root| !host.roots.contains(root)).map(|root| {
        format!("root `{}` is not the folder `{}` that the run was started with", root.name, root.path)
    });
    let other_pack = created.packs.iter().find_map(|was| {
        let is = plan.packs.values().find(|pack| pack.id == was.id && pack.statement == was.statement);
        is.is_none().then(|| {
            let now = plan.packs.values().find(|pack| pack.id == was.id);
            let is = now.map_or_else(
                || "the plan does not use it now".to_owned(),
                |pack| format!("{} with statement {} is installed now", pack.version, pack.statement.short()),
            );
            let started = format!("{} with statement {}", was.version, was.statement.short());
            format!("the run was started with pack `{}` {started}; {is}", was.id)
        })
    });
    let other_plan = (plan.digest != created.plan_digest).then(|| {
        format!("the checked plan was {}, it is {}", created.plan_digest.short(), plan.digest.short())
    });
    let message = other_root.or(other_pack).or(other_plan)?;
    let waiting = state
        .approvals()
        .iter()
        .find(|approval| matches!(approval.answer, ApprovalAnswer::Pending | ApprovalAnswer::Granted { .. }));
    let code = if waiting.is_some() { Code::ApprovalStale } else { Code::RunStale };
    let step = waiting.map(|approval| approval.binding.path.step.clone());
    Some(Event::RunYielded { code: code.to_string(), message, step })
}

/// The yield of a run that was stopped between the intent of a call and its answer.
fn unknown_call(state: &State) -> Option<Event> {
    let is_unknown = |step: &&crate::machine::StepState| step.phase == crate::machine::Phase::Unknown;
    let held = state.steps().iter().find(is_unknown)?.held.as_ref()?;
    let message = format!(
        "step `{}` was about to make the approved call `{}` and recorded no answer: it may have arrived, \
         and `{}` is not said to be safe to repeat",
        held.path, held.call.target, held.call.operation
    );
    let step = Some(held.path.step.clone());
    Some(Event::RunYielded { code: Code::CallUnknown.to_string(), message, step })
}

/// The yield that goes with effects that are stale for another reason than a changed target.
fn yield_stale(step: &base::StepId, changed: &[journal::Staleness]) -> Event {
    let message = format!("the approval of step `{step}` is stale: {}", describe(changed));
    Event::RunYielded { code: Code::ApprovalStale.to_string(), message, step: Some(step.clone()) }
}
