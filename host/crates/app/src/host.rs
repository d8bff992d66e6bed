//! What a run is given of the other layers: calls by the engine, effects on files, approvers' keys.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use authority::Authority;
use base::{Change, ChangeSet, Clock, Code, Digest, Limits, OperationName, PackId, Probe, Refusal};
use engine::files::{self, FileProblem, Roots};
use engine::{
    ArtifactError, Artifacts, CancelToken, ExecRunner, GuestThreads, HeldWorld, HostContext, HttpClient,
    Invocation, Outcome, Program, Tape,
};
use journal::{DeniedCall, HowApplied, Journal, RootRecord};
use run::{
    ApplyError, CallFuture, CallOutcome, CallReport, CallRequest, Effects, HeldCall, Invoke, OnDisk,
    SendFuture, SendReport, SendRequest,
};

use crate::catalog::InstalledPacks;
use crate::models::ModelTable;
use crate::secrets::Secrets;
use crate::{Error, system};

/// The folders as a run records them.
pub(crate) fn root_records(roots: &Roots) -> Result<Vec<RootRecord>, Error> {
    let record = |(name, root): (&base::RootName, &files::Root)| {
        let path = root.path().to_str().ok_or_else(|| {
            Error::usage(format!("the folder of root `{name}` has a name that is not UTF-8"), &[])
        })?;
        Ok(RootRecord {
            name: name.clone(),
            path: path.to_owned(),
            inode: root.inode(),
            device: root.device(),
        })
    };
    roots.iter().map(record).collect()
}

/// Makes a run's calls on guest threads.
pub(crate) struct Calls {
    pub(crate) packs: InstalledPacks,
    pub(crate) programs: BTreeMap<PackId, Program>,
    pub(crate) threads: Arc<GuestThreads>,
    pub(crate) roots: Arc<Roots>,
    pub(crate) journal: Journal,
    pub(crate) http: HttpClient,
    pub(crate) exec: ExecRunner,
    pub(crate) models: ModelTable,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Invoke for Calls {
    fn invoke(&self, call: CallRequest) -> CallFuture {
        let operation = call.operation.clone();
        let kept = Arc::new(RunArtifacts { journal: self.journal.clone(), put: Mutex::default() });
        match self.prepare(call, Arc::clone(&kept)) {
            Ok((program, invocation)) => {
                let threads = Arc::clone(&self.threads);
                Box::pin(async move { report(&operation, threads.run(program, invocation).await, &kept) })
            }
            Err(refusal) => Box::pin(std::future::ready(refused(refusal))),
        }
    }

    fn send(&self, send: SendRequest) -> SendFuture {
        let prepared = self.approved(&send);
        Box::pin(async move {
            let (call, mut tape, authority, world) = prepared?;
            let sent = tokio::task::spawn_blocking(move || {
                // The client's own time bounds it, and nobody gives it up.
                let limits = Limits { wall_ms: Limits::CEILING.wall_ms, ..send.limits };
                let answer = call.perform(&authority, &world, limits, CancelToken::default());
                let summary = answer.summary.clone();
                tape.push(&call, answer);
                SendReport { tape: tape.to_bytes(), summary }
            });
            sent.await.map_err(|error| Refusal::new(Code::CallFailed, error.to_string()))
        })
    }
}

impl Calls {
    /// A held call with the tape before it, what its pack may reach now, and what it is made with.
    fn approved(
        &self,
        send: &SendRequest,
    ) -> Result<(engine::HeldCall, Tape, Authority, HeldWorld), Refusal> {
        let id = &send.operation.pack;
        let stale = |what: &str| Refusal::new(Code::RunStale, what.to_owned());
        let pack = self.packs.packs.get(id).filter(|pack| pack.statement_digest() == send.statement);
        pack.ok_or_else(|| stale("the pack is not the one that the plan was checked against"))?;
        let authority =
            self.packs.authority(id, send.effect).ok_or_else(|| stale("the pack is not installed"))?;
        let damaged = |what: &dyn std::fmt::Display| Refusal::new(Code::JournalDamaged, what.to_string());
        let call = engine::HeldCall::from_bytes(&send.call).map_err(|error| damaged(&error))?;
        let tape = Tape::from_bytes(&send.tape).map_err(|error| damaged(&error))?;
        let world = HeldWorld {
            http: self.http.clone(),
            exec: self.exec.clone(),
            secrets: self.secrets.values(&authority).map_err(as_refusal)?,
        };
        Ok((call, tape, authority, world))
    }

    /// The pack must be the very one that the plan was checked against.
    fn prepare(
        &self,
        call: CallRequest,
        artifacts: Arc<RunArtifacts>,
    ) -> Result<(Program, Invocation), Refusal> {
        let id = &call.operation.pack;
        let absent = || Refusal::new(Code::PackUnknown, format!("pack `{id}` is not installed"));
        let pack = self.packs.packs.get(id).ok_or_else(absent)?;
        if pack.statement_digest() != call.statement {
            let message = format!("pack `{id}` is not the one that the plan was checked against");
            return Err(Refusal::new(Code::RunStale, message));
        }
        let program = self.programs.get(id).ok_or_else(absent)?.clone();
        let authority = self.packs.authority(id, call.effect).ok_or_else(absent)?;
        let read = |tape: Vec<u8>| {
            Tape::from_bytes(&tape).map_err(|error| Refusal::new(Code::JournalDamaged, error.to_string()))
        };
        let tape = call.tape.map(read).transpose()?;
        let seed =
            system::random::<32>().map_err(|error| Refusal::new(Code::CallFailed, error.to_string()))?;
        let invocation = Invocation {
            interface: call.operation.interface.to_string(),
            function: call.operation.function.to_string(),
            signature: call.function,
            arguments: call.arguments,
            limits: authority.limits(call.limits),
            host: HostContext {
                models: self.models.of(&authority).map_err(as_refusal)?,
                secrets: self.secrets.values(&authority).map_err(as_refusal)?,
                roots: Arc::clone(&self.roots),
                artifacts,
                http: self.http.clone(),
                exec: self.exec.clone(),
                clock: Arc::clone(&self.clock),
                seed,
            },
            authority,
            call_id: format!("{}/{}/{}", call.run, call.path, call.attempt),
            tape,
            cancel: CancelToken::default(),
        };
        Ok((program, invocation))
    }
}

/// What keeps a call from being made.
fn as_refusal(error: Error) -> Refusal {
    match error {
        Error::Refused(refusal) => refusal,
        other => Refusal::new(Code::CallFailed, other.to_string()),
    }
}

/// The artifacts of one call: what it puts is kept with its result, what it gets is the journal's.
struct RunArtifacts {
    journal: Journal,
    put: Mutex<BTreeMap<Digest, Vec<u8>>>,
}

impl Artifacts for RunArtifacts {
    fn put(&self, digest: &Digest, contents: &[u8], _media_type: &str) -> Result<(), ArtifactError> {
        let mut put = self.put.lock().unwrap_or_else(PoisonError::into_inner);
        put.insert(*digest, contents.to_vec());
        Ok(())
    }

    fn get(&self, digest: &Digest, max_bytes: u64) -> Result<Vec<u8>, ArtifactError> {
        let own = self.put.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned();
        let bytes = match own {
            Some(bytes) => bytes,
            None => self.journal.artifact(digest).map_err(|error| match error {
                journal::ArtifactError::Unknown(_) => ArtifactError::NotFound,
                other => ArtifactError::Io(other.to_string()),
            })?,
        };
        if bytes.len() as u64 > max_bytes { Err(ArtifactError::TooLarge) } else { Ok(bytes) }
    }
}

pub(crate) fn refused(refusal: Refusal) -> CallReport {
    CallReport {
        outcome: CallOutcome::Refused(refusal),
        usage: base::Usage::default(),
        log: String::new(),
        denied: Vec::new(),
        reached: base::Reached::default(),
        changes: ChangeSet::default(),
        blobs: BTreeMap::new(),
    }
}

/// A refusal to a guest as it is recorded, with the command that would allow it.
pub(crate) fn denied_call(pack: &base::PackId, denied: &authority::Denied) -> DeniedCall {
    DeniedCall {
        capability: denied.capability,
        what: denied.what.clone(),
        reason: denied.to_string(),
        grant: denied.hint(pack),
    }
}

fn report(operation: &OperationName, report: engine::Report, kept: &RunArtifacts) -> CallReport {
    let denied = |denied: &authority::Denied| denied_call(&operation.pack, denied);
    let stopped = report.stopped().unwrap_or_default();
    let outcome = match report.outcome {
        Outcome::Returned(value) => CallOutcome::Returned(value),
        Outcome::Failed(value) => CallOutcome::Failed(value),
        Outcome::Denied(refusal) => CallOutcome::Denied(denied(&refusal)),
        Outcome::Trapped(trap) => CallOutcome::Trapped {
            trap: trap.as_str().to_owned(),
            message: format!("`{operation}` was stopped: {stopped}"),
        },
        Outcome::Held(held) => CallOutcome::Held(HeldCall {
            capability: held.call.capability(),
            target: held.call.target(),
            call: held.call.to_bytes(),
            tape: held.tape.to_bytes(),
        }),
        Outcome::Diverged(text) => CallOutcome::Diverged(text),
    };
    let lines = report.log.iter().map(|line| format!("{}: {}\n", line.source.as_str(), line.text));
    let mut blobs = report.blobs;
    blobs.append(&mut kept.put.lock().unwrap_or_else(PoisonError::into_inner));
    CallReport {
        outcome,
        usage: report.usage,
        log: lines.collect(),
        denied: report.denied.iter().map(denied).collect(),
        reached: report.reached,
        changes: report.changes,
        blobs,
    }
}

/// Applies a run's effects to the folders behind its roots.
pub(crate) struct FileEffects {
    pub(crate) roots: Arc<Roots>,
    pub(crate) probe: Arc<dyn Probe>,
}

impl Effects for FileEffects {
    fn state(&self, change: &Change, set: &ChangeSet) -> Result<OnDisk, ApplyError> {
        Ok(match files::state(&self.roots, change, set).map_err(apply_error)? {
            files::OnDisk::Pre => OnDisk::Pre,
            files::OnDisk::Post => OnDisk::Post,
            files::OnDisk::Other(found) => OnDisk::Other(found),
        })
    }

    fn pre_image(&self, change: &Change) -> Result<Vec<u8>, ApplyError> {
        let gone = || ApplyError::Io(format!("`{}` cannot be read any more", change.path));
        match files::content(&self.roots, &change.root, &change.path) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) | Err(FileProblem::NotAFile) => Err(gone()),
            Err(FileProblem::Apply(error)) => Err(apply_error(error)),
        }
    }

    fn apply(&self, change: &Change, contents: Option<&[u8]>, key: &str) -> Result<HowApplied, ApplyError> {
        let applied =
            files::apply(&self.roots, change, contents, key, self.probe.as_ref()).map_err(apply_error)?;
        Ok(match applied.how {
            files::AppliedHow::Created => HowApplied::Created,
            files::AppliedHow::Exchanged => HowApplied::Exchanged,
            files::AppliedHow::Removed => HowApplied::Removed,
            files::AppliedHow::Already => HowApplied::Already,
            files::AppliedHow::RenamedFallback => HowApplied::Replaced,
        })
    }
}

fn apply_error(error: files::ApplyError) -> ApplyError {
    match error {
        files::ApplyError::Conflict { found, .. } => {
            ApplyError::Conflict { found, message: error.to_string() }
        }
        other => ApplyError::Io(other.to_string()),
    }
}
