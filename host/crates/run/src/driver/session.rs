//! One process's work on one run.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use base::{Attempt, Digest, Refusal, StepId, StepPath, Timestamp};
use journal::{Append, Event};
use plan::{CheckedPlan, CheckedStep};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use super::commit::{Commit, committed, submit};
use super::effects;
use super::work::{self, Work};
use crate::host::Host;
use crate::machine::{Command, Flight, HeldState, State};

/// Most results that wait for the append under way. Beyond it nothing new is begun, so a slow disk
/// slows the calls instead of filling the memory.
const OUTBOX_MAX: usize = 256;

/// What a task ends with.
pub(super) type Worked = Result<Work, Refusal>;

pub(super) struct Session<'a> {
    pub(super) host: &'a Host,
    pub(super) plan: &'a Arc<CheckedPlan>,
    pub(super) state: State,
    pub(super) values: work::Values,
    flight: Flight,
    outbox: Vec<Work>,
    tasks: JoinSet<Worked>,
    running: HashMap<Id, Command>,
    /// Only calls are given up when the run is stopped; effects are seen through.
    calls: BTreeMap<Command, AbortHandle>,
    commit: Option<Commit>,
    stopping: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(host: &'a Host, plan: &'a Arc<CheckedPlan>, state: State) -> Self {
        Self {
            host,
            plan,
            state,
            values: work::Values::default(),
            flight: Flight::default(),
            outbox: Vec::new(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            calls: BTreeMap::new(),
            commit: None,
            stopping: false,
        }
    }

    pub(super) const fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn into_state(self) -> State {
        self.state
    }

    /// Appends at once, before the loop.
    pub(super) fn record(&mut self, events: Vec<Event>) -> Result<(), Refusal> {
        let append = Append {
            run: self.state.run().clone(),
            expected: self.state.next_seq(),
            at: self.host.clock.now(),
            events,
            artifacts: Vec::new(),
        };
        for record in self.host.journal.append(append)? {
            self.state.apply(&record)?;
            self.host.observer.recorded(self.state.run(), &record);
        }
        Ok(())
    }

    /// Runs to a standstill. Whether that was because of `stop`.
    pub(super) async fn run(&mut self, mut stop: watch::Receiver<bool>) -> Result<bool, Refusal> {
        let mut may_stop = true;
        loop {
            if may_stop && *stop.borrow() {
                self.stop();
            }
            self.begin_next()?;
            if self.commit.is_none() && !self.outbox.is_empty() {
                self.commit = Some(submit(self.host, &self.state, std::mem::take(&mut self.outbox)));
            }
            if self.flight.is_empty() {
                return Ok(self.stopping);
            }
            tokio::select! {
                Some(joined) = self.tasks.join_next_with_id() => self.joined(joined)?,
                result = committed(&mut self.commit) => self.recorded(result)?,
                changed = stop.changed(), if may_stop && !self.stopping => may_stop = changed.is_ok(),
            }
            while let Some(joined) = self.tasks.try_join_next_with_id() {
                self.joined(joined)?;
            }
        }
    }

    fn stop(&mut self) {
        if !std::mem::replace(&mut self.stopping, true) {
            for call in self.calls.values() {
                call.abort();
            }
        }
    }

    fn begin_next(&mut self) -> Result<(), Refusal> {
        if self.stopping || self.outbox.len() >= OUTBOX_MAX {
            return Ok(());
        }
        let now = self.host.clock.now();
        for command in self.state.next(&self.flight, self.host.calls_max, now) {
            self.flight.begin(&command);
            self.begin(command, now)?;
        }
        Ok(())
    }

    fn begin(&mut self, command: Command, now: base::Timestamp) -> Result<(), Refusal> {
        match command {
            Command::Expand { step } => {
                let work = work::expand(self, step, command)?;
                self.outbox.push(work);
            }
            Command::Call { step, item, attempt } => self.begin_call(command, step, item, attempt, now)?,
            Command::Gate { step, .. } => {
                let check = effects::Check::new(self, step, now)?;
                self.spawn_blocking(command, move || effects::gate(command, &check));
            }
            Command::Review { step, approval, .. } => {
                let check = effects::Check::new(self, step, now)?;
                self.spawn_blocking(command, move || effects::review(command, &check, &approval));
            }
            Command::Consume { step, approval, attempt } => {
                let check = effects::Check::new(self, step, now)?;
                let held = self.state.steps().get(step).and_then(|step| step.held.clone());
                match held {
                    // Under other rules than the approver's the guest is not even tried: it might do at once
                    // what was held before.
                    Some(held) if check.is_as_asked() => {
                        self.rehearse(command, check, &held, attempt, approval, now)?;
                    }
                    _ => self.spawn_blocking(command, move || {
                        effects::consume(command, &check, &approval, Ok(()))
                    }),
                }
            }
            Command::Send { step, .. } => {
                let check = effects::Check::new(self, step, now)?;
                let request = work::approved_call(self, step)?;
                // Never given up: what was sent is seen through to its answer.
                let handle = self.tasks.spawn(effects::send(command, check, request));
                self.running.insert(handle.id(), command);
            }
            Command::Apply { step, .. } => {
                let check = effects::Check::new(self, step, now)?;
                self.spawn_blocking(command, move || effects::apply(command, &check));
            }
            Command::Complete => {
                let work = work::complete(self, command)?;
                self.outbox.push(work);
            }
            Command::Fail(failure) => self.outbox.push(work::fail(&self.state, failure, command)),
        }
        Ok(())
    }

    fn begin_call(
        &mut self,
        command: Command,
        step: usize,
        item: Option<u32>,
        attempt: Attempt,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let tapes = self.state.steps().get(step).map(|step| &step.tapes);
        let tape = tapes.and_then(|tapes| tapes.get(&item.unwrap_or(0)).copied());
        match work::prepare(self, step, item, attempt, tape, now)? {
            Ok(call) => {
                let future = self.host.invoke.invoke(call.request.clone());
                let abort =
                    self.tasks.spawn(async move { Ok(work::recorded_call(command, &call, future.await)) });
                self.running.insert(abort.id(), command);
                self.calls.insert(command, abort);
            }
            Err(event) => {
                self.flight.returned(&command);
                self.outbox.push(Work::new(command, vec![event]));
            }
        }
        Ok(())
    }

    /// Runs the guest again on the tape of its held call, before the approval is used: an operation
    /// that would do something else now is not what was approved.
    fn rehearse(
        &mut self,
        command: Command,
        check: effects::Check,
        held: &HeldState,
        attempt: Attempt,
        approval: Digest,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Command::Consume { step, .. } = command else { return Ok(()) };
        match work::prepare(self, step, held.path.item, attempt, Some(held.call.tape), now)? {
            Ok(call) => {
                let path = call.request.path.clone();
                let future = self.host.invoke.invoke(call.request);
                let abort = self.tasks.spawn(async move {
                    let report = future.await;
                    let rehearsed = effects::rehearsed(&check, &report);
                    let burnt = Event::CallRehearsed { path, attempt, usage: report.usage };
                    let consumed = tokio::task::spawn_blocking(move || {
                        let mut work = effects::consume(command, &check, &approval, rehearsed)?;
                        work.events.insert(0, burnt);
                        Ok(work)
                    });
                    match consumed.await {
                        Ok(worked) => worked,
                        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                        Err(_given_up) => Ok(Work::new(command, Vec::new())),
                    }
                });
                self.running.insert(abort.id(), command);
                self.calls.insert(command, abort);
            }
            Err(_no_arguments) => {
                // Arguments that cannot be computed are not those that were approved.
                self.spawn_blocking(command, move || effects::consume(command, &check, &approval, Ok(())));
            }
        }
        Ok(())
    }

    fn spawn_blocking(&mut self, command: Command, job: impl FnOnce() -> Worked + Send + 'static) {
        let handle = self.tasks.spawn_blocking(job);
        self.running.insert(handle.id(), command);
    }

    fn joined(&mut self, joined: Result<(Id, Worked), JoinError>) -> Result<(), Refusal> {
        let id = match &joined {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some(command) = self.running.remove(&id) else { return Ok(()) };
        self.calls.remove(&command);
        self.flight.returned(&command);
        match joined {
            Ok((_, worked)) => self.outbox.push(work::refuse_overlap(&self.state, worked?)),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_given_up) => self.flight.end(&command),
        }
        Ok(())
    }

    /// Moves on by what an append came to.
    fn recorded(
        &mut self,
        result: (Commit, Result<Vec<journal::Record>, journal::AppendError>),
    ) -> Result<(), Refusal> {
        let (commit, result) = result;
        match result {
            Ok(records) => {
                for record in &records {
                    self.state.apply(record)?;
                    self.host.observer.recorded(self.state.run(), record);
                }
                for (command, value) in commit.done {
                    self.flight.end(&command);
                    if let (Command::Call { step, item, .. }, Some(value)) = (command, value) {
                        self.values.keep(step, item, value);
                    }
                }
                Ok(())
            }
            Err(journal::AppendError::Sequence { .. }) => self.catch_up(commit),
            Err(error) => Err(error.into()),
        }
    }

    /// Somebody else appended first: an answer to an approval, unless the run has another owner
    /// now. What was to be appended is given up and done again from the new state: nothing of it
    /// happened outside the run, or it is found on disk as it should be. Only the answer to a call
    /// that was sent is kept.
    fn catch_up(&mut self, commit: Commit) -> Result<(), Refusal> {
        for record in self.host.journal.events_from(self.state.run(), self.state.next_seq())? {
            if matches!(record.event, Event::RunClaimed { .. }) {
                return Err(journal::ClaimError::Busy(self.state.run().clone()).into());
            }
            self.state.apply(&record)?;
            self.host.observer.recorded(self.state.run(), &record);
        }
        for (command, _) in commit.done {
            // An answer cannot be had again: it is recorded after what came before it.
            if !commit.answers.iter().any(|answer| answer.command == command) {
                self.flight.end(&command);
            }
        }
        self.outbox.extend(commit.answers);
        Ok(())
    }

    pub(super) fn step(&self, number: usize) -> Result<&'a CheckedStep, Refusal> {
        let id = self.state.graph().step(number).map(|step| &step.id);
        id.and_then(|id| self.plan.step(id)).ok_or_else(|| {
            Refusal::new(
                base::Code::RunStale,
                "the plan does not have the steps that the run was started with",
            )
        })
    }

    pub(super) fn path(step: &StepId, item: Option<u32>) -> StepPath {
        StepPath { step: step.clone(), item }
    }
}
