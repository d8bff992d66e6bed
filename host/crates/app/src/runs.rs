//! Runs: drive, resume, look at, cancel, undo.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use base::{Code, Refusal, RootName, RunId};
use engine::GuestThreads;
use engine::files::Roots;
use journal::{FindError, Payload, RunCreated};
use plan::CheckedPlan;
use run::machine::Undone;
use run::{NoObserver, State};
use serde_json::Value as Json;
use tokio::sync::watch;

use crate::app::App;
use crate::approvals;
use crate::catalog::InstalledPacks;
use crate::host::{self, Calls, FileEffects};
use crate::time::rfc3339;
use crate::view::{
    Items, NextAction, PlanView, Problem, RunSummary, RunView, SentView, StepView, UndoView, UsageTotal,
};
use crate::{Error, Home};

/// The most runs that `run list` gives.
const LIST_MAX: usize = 1_000;

/// What a run is driven with, checked now.
pub(crate) struct Drivable {
    pub(crate) plan: CheckedPlan,
    pub(crate) packs: InstalledPacks,
    pub(crate) roots: Arc<Roots>,
}

impl App {
    /// Drives a run until it ends, waits for a person, or is interrupted.
    pub(crate) fn drive(&self, id: &RunId, with: Drivable) -> Result<RunView, Error> {
        let Drivable { plan, packs, roots } = with;
        let io = |action: &str| {
            let action = action.to_owned();
            move |source| Error::Io { action, source }
        };
        let (mut programs, workers) = (BTreeMap::new(), self.workers()?);
        for (pack_id, pack) in &packs.packs {
            programs.insert(pack_id.clone(), self.program(pack)?.within(workers.clone()));
        }
        let calls = Calls {
            packs,
            programs,
            threads: Arc::new(GuestThreads::per_core().map_err(io("start the guest threads"))?),
            roots: Arc::clone(&roots),
            journal: self.journal()?.clone(),
            http: self.http()?,
            exec: self.exec()?,
            models: self.model_table()?,
            secrets: Arc::clone(&self.secrets),
            clock: Arc::clone(&self.clock),
        };
        let host = self.host(Arc::new(calls), &roots)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(io("start the runtime"))?;
        let plan = Arc::new(plan);
        runtime.block_on(async {
            let (stop, stopped) = watch::channel(false);
            let watcher = tokio::spawn(async move {
                if asked_to_stop().await.is_ok() {
                    // Calls under way are given up; what is recorded is what happened.
                    let _receiver_may_be_gone = stop.send(true);
                }
                // The sender lives as long as the run is driven: a closed channel is no signal.
                std::future::pending::<()>().await;
            });
            let result = run::drive(&host, &plan, id, stopped).await;
            watcher.abort();
            result
        })?;
        self.run_view(&run::load(self.journal()?, id)?)
    }

    fn host(&self, invoke: Arc<dyn run::Invoke>, roots: &Arc<Roots>) -> Result<run::Host, Error> {
        Ok(run::Host {
            journal: self.journal()?.clone(),
            invoke,
            effects: Arc::new(FileEffects { roots: Arc::clone(roots), probe: Arc::clone(&self.probe) }),
            approvers: Arc::new(approvals::Keys(crate::trust::load(&self.home)?)),
            clock: Arc::clone(&self.clock),
            probe: Arc::clone(&self.probe),
            observer: Arc::new(NoObserver),
            roots: host::root_records(roots)?,
            calls_max: std::thread::available_parallelism().map_or(1, usize::from),
        })
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn run_list(&self) -> Result<Vec<RunSummary>, Error> {
        let journal = self.journal()?;
        let entries = journal.runs(LIST_MAX).map_err(Refusal::from)?;
        let summary = |entry: &journal::RunEntry| match run::load(journal, &entry.run) {
            Ok(state) => RunSummary {
                run_id: entry.run.clone(),
                status: run::view::status(&state).as_str().to_owned(),
                live: journal.is_locked(&entry.run),
                undone: is_undone(&state),
                plan: state.created().map(|created| created.plan.clone()).unwrap_or_default(),
                started: rfc3339(state.created_at()),
            },
            // One damaged run hides no other.
            Err(refusal) => RunSummary {
                run_id: entry.run.clone(),
                status: "damaged".to_owned(),
                live: false,
                undone: false,
                plan: refusal.message,
                started: String::new(),
            },
        };
        Ok(entries.iter().map(summary).collect())
    }

    /// A run.
    ///
    /// # Errors
    /// If none or several are meant, or its rows are damaged.
    pub fn run_show(&self, run: &str) -> Result<RunView, Error> {
        let id = self.find_run(run)?;
        self.run_view(&run::load(self.journal()?, &id)?)
    }

    /// The events of a run, in order, as they are in the journal: all, or those after the one
    /// numbered `after`.
    ///
    /// # Errors
    /// As [`App::run_show`].
    pub fn run_events(&self, run: &str, after: Option<u64>) -> Result<Vec<Json>, Error> {
        let id = self.find_run(run)?;
        let from = after.map_or(0, |seq| seq.saturating_add(1));
        let records = self.journal()?.events_from(&id, from).map_err(Refusal::from)?;
        let line = |record: journal::Record| {
            let mut json = serde_json::json!({ "run_id": id, "seq": record.seq, "at": rfc3339(record.at) });
            if let (Json::Object(line), Ok(Json::Object(event))) =
                (&mut json, serde_json::to_value(&record.event))
            {
                line.extend(event);
            }
            json
        };
        Ok(records.into_iter().map(line).collect())
    }

    /// Continues a run that was interrupted, killed, or stopped for something.
    ///
    /// # Errors
    /// If it has ended, another process works on it, or what it was started with has changed.
    pub fn run_resume(&self, run: &str) -> Result<RunView, Error> {
        let id = self.find_run(run)?;
        let state = run::load(self.journal()?, &id)?;
        if state.end().is_some() {
            let refusal = Refusal::new(Code::RunState, format!("run {id} has ended"));
            return Err(refusal.hint(format!("capstan run show {id}")).into());
        }
        self.drive(&id, self.reopen_run(&state)?)
    }

    /// What a run needs to go on: its planfile, checked against the packs and grants of now, and its
    /// folders.
    pub(crate) fn reopen_run(&self, state: &State) -> Result<Drivable, Error> {
        let created = created(state)?;
        let (plan, packs) = self.plan_of(created).map_err(|error| match error {
            Error::Plan(report) => no_longer_checks(state.run(), &report),
            other => other,
        })?;
        Ok(Drivable { plan, packs, roots: Arc::new(reopen(&self.home, created)?) })
    }

    /// Ends a run that nobody works on.
    ///
    /// # Errors
    /// If it has ended, or has begun to apply effects.
    pub fn run_cancel(&self, run: &str) -> Result<RunView, Error> {
        let id = self.find_run(run)?;
        let by = crate::system::user_name();
        run::answer::cancel(self.journal()?, &id, &by, None, self.clock.now())?;
        self.run_view(&run::load(self.journal()?, &id)?)
    }

    /// Has a step go on whose approved call may or may not have been made: the call is held again,
    /// with another key, and wants another approval.
    ///
    /// # Errors
    /// If the step has no such call, or another process works on the run.
    pub fn run_retry(&self, run: &str, step: &str) -> Result<RunView, Error> {
        let id = self.find_run(run)?;
        let state = run::load(self.journal()?, &id)?;
        let step = step.parse().map_err(|error: base::ParseIdError| Error::usage(error.to_string(), &[]))?;
        let next = self.reopen_run(&state)?;
        run::answer::renew(self.journal()?, &id, &step, &crate::system::user_name(), self.clock.now())?;
        self.drive(&id, next)
    }

    /// Takes back what a run applied.
    ///
    /// # Errors
    /// If it has not ended, applied nothing, or a file was changed since.
    pub fn run_undo(&self, run: &str) -> Result<UndoView, Error> {
        let id = self.find_run(run)?;
        let state = run::load(self.journal()?, &id)?;
        let roots = Arc::new(reopen(&self.home, created(&state)?)?);
        let host = self.host(Arc::new(NoCalls), &roots)?;
        let report = run::undo(&host, &id)?;
        Ok(UndoView { run_id: id, reverted: report.receipts })
    }

    pub(crate) fn find_run(&self, text: &str) -> Result<RunId, Error> {
        let found = self.journal()?.find_run(text);
        found.map_err(|error: FindError| match error {
            FindError::None { .. } if text == "last" => {
                Refusal::new(Code::RunUnknown, "there is no run yet").hint("capstan run list").into()
            }
            other => Error::Refused(Refusal::from(other)),
        })
    }

    pub(crate) fn run_view(&self, state: &State) -> Result<RunView, Error> {
        let live = self.journal()?.is_locked(state.run());
        let view = run::view::view(state, self.clock.now())?;
        let created = created(state)?;
        let approvals = state
            .approvals()
            .iter()
            .map(|approval| self.approval_view(state, approval))
            .collect::<Result<_, Error>>()?;
        let outputs = match &view.outputs {
            Some(payload) => self.payload(payload)?,
            None => Json::Null,
        };
        let action = |action: &run::view::NextAction| NextAction {
            label: action.label.clone(),
            command: action.command.clone(),
        };
        Ok(RunView {
            run_id: view.run,
            status: view.status.as_str().to_owned(),
            live,
            undone: is_undone(state),
            plan: view.plan,
            plan_digest: view.plan_digest,
            started: rfc3339(view.created_at),
            mode: mode(created.mode).to_owned(),
            roots: created.roots.iter().map(|root| (root.name.to_string(), root.path.clone())).collect(),
            steps: view.steps.iter().map(step).collect(),
            approvals,
            artifacts: view.artifacts.iter().map(|(digest, _)| *digest).collect(),
            outputs,
            reason: view.problem.map(|(code, message)| Problem { code, message }),
            next_actions: self
                .denied_grants(state)?
                .into_iter()
                // Nobody else can resume or end what a process works on.
                .chain(view.next_actions.iter().filter(|_| !live).map(action))
                .collect(),
            usage: self.usage(state)?,
        })
    }

    /// A payload's value, wherever it is kept.
    pub(crate) fn payload(&self, payload: &Payload) -> Result<Json, Error> {
        match payload {
            Payload::Inline(value) => Ok(value.clone()),
            Payload::Artifact { digest, .. } => {
                let bytes = self.journal()?.artifact(digest).map_err(crate::journal_error)?;
                serde_json::from_slice(&bytes).map_err(|error| {
                    Error::refused(Code::JournalDamaged, format!("artifact {digest} is not JSON: {error}"))
                })
            }
        }
    }

    /// The grants that its failed calls would have needed.
    fn denied_grants(&self, state: &State) -> Result<Vec<NextAction>, Error> {
        let mut commands = std::collections::BTreeSet::new();
        for record in self.journal()?.events(state.run()).map_err(Refusal::from)? {
            if let journal::Event::StepFailed { denied, .. } = &record.event {
                commands.extend(denied.iter().filter_map(|denied| denied.grant.clone()));
            }
        }
        let action = |command| NextAction {
            label: "grant what the run was denied, then run it again".to_owned(),
            command,
        };
        Ok(commands.into_iter().map(action).collect())
    }

    fn usage(&self, state: &State) -> Result<UsageTotal, Error> {
        let mut total = UsageTotal::default();
        for record in self.journal()?.events(state.run()).map_err(Refusal::from)? {
            let (calls, usage) = match &record.event {
                journal::Event::StepCompleted { call, .. } | journal::Event::EffectsStaged { call, .. } => {
                    (1, call.usage)
                }
                journal::Event::StepFailed { usage, .. } | journal::Event::CallHeld { usage, .. } => {
                    (1, *usage)
                }
                // It only looks again at a call that is counted.
                journal::Event::CallRehearsed { usage, .. } => (0, *usage),
                _ => continue,
            };
            total.calls += calls;
            total.fuel = total.fuel.saturating_add(usage.fuel);
            total.memory_bytes_max = total.memory_bytes_max.max(usage.memory_bytes);
            total.files = total.files.saturating_add(usage.files);
            total.file_bytes = total.file_bytes.saturating_add(usage.file_bytes);
            total.model_tokens = total.model_tokens.saturating_add(usage.model_tokens);
            total.model_cost = total.model_cost.saturating_add(usage.model_cost);
            total.wall_us = total.wall_us.saturating_add(usage.wall_us);
        }
        Ok(total)
    }
}

/// Undoing calls no guest.
struct NoCalls;

impl run::Invoke for NoCalls {
    fn invoke(&self, call: run::CallRequest) -> run::CallFuture {
        let refusal = Refusal::new(Code::RunState, format!("`{}` is not called by an undo", call.operation));
        Box::pin(std::future::ready(host::refused(refusal)))
    }

    fn send(&self, send: run::SendRequest) -> run::SendFuture {
        let refusal = Refusal::new(Code::RunState, format!("`{}` is not called by an undo", send.operation));
        Box::pin(std::future::ready(Err(refusal)))
    }
}

pub(crate) fn created(state: &State) -> Result<&RunCreated, Error> {
    state
        .created()
        .ok_or_else(|| Error::refused(Code::JournalDamaged, format!("run {} has no beginning", state.run())))
}

/// Opens the folders that the run was started with. That they are still the same ones is checked
/// where the run is driven.
pub(crate) fn reopen(home: &Home, created: &RunCreated) -> Result<Roots, Error> {
    let folders = created.roots.iter().map(|root| (root.name.clone(), PathBuf::from(&root.path)));
    let folders: Vec<(RootName, PathBuf)> = folders.collect();
    let opened = Roots::open(folders).and_then(|roots| roots.without(home.path()));
    opened.map_err(|error| Error::refused(Code::RunStale, error.to_string()))
}

/// Whether everything that the run applied was taken back.
fn is_undone(state: &State) -> bool {
    !state.applied().is_empty() && state.applied().iter().all(|effects| effects.undone == Undone::Yes)
}

/// Waits until the process is told to end: by the terminal, by a supervisor, or by the terminal's
/// going away.
async fn asked_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}

/// The refusal to go on with a run whose planfile does not pass its check any more: grants or packs
/// are not what they were.
fn no_longer_checks(run: &RunId, report: &PlanView) -> Error {
    let texts = |name: &'static str| {
        let texts = report.diagnostics.iter().filter_map(move |found| found.get(name)?.as_str());
        texts.map(str::to_owned)
    };
    let messages: Vec<String> =
        texts("code").zip(texts("message")).map(|(code, message)| format!("{code}: {message}")).collect();
    let message = format!("the plan of run {run} no longer passes its check: {}", messages.join("; "));
    let commands = texts("fix").filter(|fix| fix.starts_with("capstan "));
    let refusal = commands.fold(Refusal::new(Code::RunStale, message), Refusal::hint);
    Error::Refused(refusal.hint(format!("capstan run cancel {run}")))
}

fn mode(mode: journal::Mode) -> &'static str {
    match mode {
        journal::Mode::Solo => "solo",
        journal::Mode::Separate => "separate",
    }
}

fn sent(sent: &run::machine::SentState) -> SentView {
    SentView {
        step: sent.path.clone(),
        target: sent.target.clone(),
        request: sent.request,
        answer: sent.summary.clone(),
        at: rfc3339(sent.at),
    }
}

fn step(step: &run::view::StepView) -> StepView {
    let failure = step.failure.as_ref().map(|(item, failure)| Problem {
        code: failure.code.clone(),
        message: match item {
            Some(item) => format!("item {item}: {}", failure.message),
            None => failure.message.clone(),
        },
    });
    let conflict = (!step.conflicts.is_empty()).then(|| Problem {
        code: Code::EffectConflict.to_string(),
        message: step
            .conflicts
            .iter()
            .map(|c| format!("`{}`: {}", c.path, c.message))
            .collect::<Vec<_>>()
            .join("; "),
    });
    let stale = step.stale.last().map(|(attempt, changed)| Problem {
        code: Code::ApprovalStale.to_string(),
        message: format!("attempt {attempt} is void: {}", run::approval::describe(changed)),
    });
    StepView {
        id: step.id.to_string(),
        status: step.status.as_str().to_owned(),
        operation: step.operation.clone(),
        attempts: step.attempts.0,
        items: step.items.map(|total| Items { done: step.items_done, total }),
        reason: failure.or(conflict).or(stale),
        receipts: step.receipt.clone(),
        sent: step.sent.iter().map(sent).collect(),
    }
}
