//! Approvals: what is asked for, and the signed answer.

use std::num::NonZeroUsize;

use base::{ChangeSet, Code, Digest, Refusal, StepPath};
use journal::FindError;
use pack::{Envelope, Fingerprint, TrustStore};
use run::machine::{ApprovalAnswer, ApprovalState, StepState};
use run::{ApproverInfo, Approvers, State};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::runs::{created, reopen};
use crate::time::rfc3339;
use crate::view::{ApprovalView, HeldView, RunView};
use crate::{Error, diff, keys};

/// The type of an approval's payload; no other payload passes for one.
const PAYLOAD_TYPE: &str = "application/vnd.capstan.approval.v1+json";

/// What an approver signs: a format of its own.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    /// What is approved.
    approves: Digest,
    /// When, in milliseconds since the epoch.
    at: u64,
    /// Whether the key that signs has no passphrase.
    unattended: bool,
}

/// The approvers' keys, as a run asks for them.
pub(crate) struct Keys(pub(crate) TrustStore);

impl Approvers for Keys {
    fn verify(&self, statement: &[u8], digest: &Digest) -> Result<ApproverInfo, Refusal> {
        let (statement, signer) = open(&self.0, statement)?;
        if statement.approves != *digest {
            let message =
                format!("the statement approves {}, not {}", statement.approves.short(), digest.short());
            return Err(Refusal::new(Code::ApprovalForged, message));
        }
        Ok(ApproverInfo { approver: signer.to_string() })
    }
}

/// The statement of an envelope that an approver signed.
fn open(trust: &TrustStore, bytes: &[u8]) -> Result<(Statement, Fingerprint), Refusal> {
    let forged = |message: String| Refusal::new(Code::ApprovalForged, message);
    let envelope = Envelope::parse(bytes).map_err(|refusal| forged(refusal.message))?;
    let verified =
        envelope.verify(PAYLOAD_TYPE, &trust.approver_keys(), NonZeroUsize::MIN).map_err(|refusal| {
            forged(format!("the approval is not signed by an approver: {}", refusal.message))
        })?;
    let statement = serde_json::from_slice(verified.payload)
        .map_err(|error| forged(format!("the approval's statement does not parse: {error}")))?;
    let signer = verified.signers.first().map(pack::PublicKey::fingerprint);
    signer.map(|signer| (statement, signer)).ok_or_else(|| forged("the approval has no signer".to_owned()))
}

impl App {
    /// What waits for approval, newest first.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn approval_list(&self) -> Result<Vec<ApprovalView>, Error> {
        let view = |(state, digest): (State, Digest)| {
            let approval = state.approval(&digest).ok_or_else(|| unknown(&digest.short()))?;
            self.approval_view(&state, approval)
        };
        self.waiting()?.into_iter().map(view).collect()
    }

    /// The approvals that still want an answer, newest first, with their runs.
    fn waiting(&self) -> Result<Vec<(State, Digest)>, Error> {
        let journal = self.journal()?;
        let mut waiting = Vec::new();
        for entry in journal.open_approvals().map_err(Refusal::from)? {
            // A run whose rows are damaged is shown as such by `run list`; the others go on.
            let Ok(state) = run::load(journal, &entry.run) else { continue };
            let asked = state.approval(&entry.digest).is_some_and(|a| a.answer == ApprovalAnswer::Pending);
            if asked && state.end().is_none() {
                waiting.push((state, entry.digest));
            }
        }
        Ok(waiting)
    }

    /// One approval, in any state.
    ///
    /// # Errors
    /// If none or several are meant.
    pub fn approval_show(&self, approval: &str) -> Result<ApprovalView, Error> {
        let (state, digest) = self.find_approval(approval)?;
        let found = state.approval(&digest).ok_or_else(|| unknown(approval))?;
        self.approval_view(&state, found)
    }

    /// Signs an approval with the approver key and continues the run. `confirm` is what was typed
    /// as the target of a destructive effect.
    ///
    /// # Errors
    /// If it is not asked for, was used, rejected, has expired or is stale; the last with what
    /// changed. `E-APPROVAL-CONFIRM` if another target should have been typed.
    pub fn approve(
        &self,
        approval: &str,
        confirm: Option<&str>,
        passphrase: Option<&str>,
    ) -> Result<RunView, Error> {
        let (state, digest) = self.find_approval(approval)?;
        // Nothing is signed for a run that could not go on, and what is no longer open says why.
        run::answer::open_approval(&state, &digest)?;
        let asked = state.approval(&digest).ok_or_else(|| unknown(approval))?;
        check_confirmed(&state, asked, confirm)?;
        let next = self.reopen_run(&state)?;
        let record = self.approver()?;
        let key = keys::load(&self.home, &record, passphrase)?;
        let at = self.clock.now();
        let statement = Statement { approves: digest, at: at.0, unattended: !record.protected };
        let payload = serde_json::to_vec(&statement).map_err(|error| Error::Bug(error.to_string()))?;
        let envelope = Envelope::sign(PAYLOAD_TYPE, payload, &[&key])?.to_bytes();
        let approvers = Keys(crate::trust::load(&self.home)?);
        run::answer::approve(self.journal()?, &approvers, state.run(), &digest, &envelope, at)?;
        self.drive(state.run(), next)
    }

    /// Rejects an effect; its run fails.
    ///
    /// # Errors
    /// As [`App::approve`].
    pub fn reject(&self, approval: &str, reason: &str) -> Result<RunView, Error> {
        let (state, digest) = self.find_approval(approval)?;
        let by = self.approver()?.public.fingerprint().to_string();
        let reason = (!reason.is_empty()).then_some(reason);
        run::answer::reject(self.journal()?, state.run(), &digest, &by, reason, self.clock.now())?;
        match self.reopen_run(&state) {
            Ok(next) => self.drive(state.run(), next),
            // A no needs no plan: the run can only be ended now.
            Err(_) => self.run_cancel(state.run().as_str()),
        }
    }

    fn find_approval(&self, text: &str) -> Result<(State, Digest), Error> {
        if text == "last" {
            return self.waiting()?.into_iter().next().ok_or_else(|| unknown(text));
        }
        let journal = self.journal()?;
        let entry =
            journal.find_approval(text).map_err(|error: FindError| Error::Refused(Refusal::from(error)))?;
        Ok((run::load(journal, &entry.run)?, entry.digest))
    }

    pub(crate) fn approval_view(
        &self,
        state: &State,
        approval: &ApprovalState,
    ) -> Result<ApprovalView, Error> {
        let created = created(state)?;
        let step = state.graph().step(approval.step);
        let declared = step.map_or(base::Effect::Destructive, |step| step.effect);
        let changes = self.changes(state, approval)?;
        let (status, decided_by) = match &approval.answer {
            ApprovalAnswer::Pending if approval.has_expired(self.clock.now()) => ("expired", None),
            ApprovalAnswer::Pending => ("waiting", None),
            ApprovalAnswer::Granted { approver, .. } => ("granted", Some(approver.clone())),
            ApprovalAnswer::Consumed { approver, .. } => ("consumed", Some(approver.clone())),
            ApprovalAnswer::Rejected { by, .. } => ("rejected", Some(by.clone())),
            ApprovalAnswer::Stale => ("stale", None),
        };
        let signature = self.signature(approval)?;
        // The folder may be gone; then the kept contents are compared with nothing on disk.
        let roots = reopen(&self.home, created).ok();
        let blob = |digest: &Digest| self.journal().ok()?.artifact(digest).ok();
        let gate = step.is_some_and(|step| step.gate);
        let call = if changes.is_empty() { self.held(state, approval)? } else { None };
        let question = match &call {
            Some(call) => policy::Question::of_held(declared, gate, call.capability),
            None => policy::Question::of_staged(declared, gate, changes.changes().len()),
        };
        let effect = question.effect;
        let confirm = |changes: &ChangeSet| match &call {
            Some(call) => Some(call.target.clone()),
            None => run::target(changes),
        };
        let confirm = matches!(effect, base::Effect::Destructive).then(|| confirm(&changes)).flatten();
        Ok(ApprovalView {
            id: approval.digest.short(),
            digest: approval.digest,
            run_id: state.run().clone(),
            step: StepPath { step: approval.binding.path.step.clone(), item: approval.binding.path.item },
            status: status.to_owned(),
            operation: approval.binding.operation.to_string(),
            effect,
            confirm,
            diff: diff::unified(&changes, roots.as_ref(), blob),
            changes,
            call,
            reasons: policy::decide(&question).reasons,
            expires: approval.expires_at.map(rfc3339),
            decided_by,
            unattended: signature.as_ref().and_then(|(_, unattended)| *unattended),
            signature: signature.map(|(state, _)| state),
            binding: approval.binding.clone(),
        })
    }

    /// What the signature under a yes is worth now, and whether its key has no passphrase. Rows of
    /// the journal can say anything; this is looked up in the signed statement.
    fn signature(&self, approval: &ApprovalState) -> Result<Option<(&'static str, Option<bool>)>, Error> {
        let (ApprovalAnswer::Granted { statement, approver, .. }
        | ApprovalAnswer::Consumed { statement, approver, .. }) = &approval.answer
        else {
            return Ok(None);
        };
        let Ok(bytes) = self.journal()?.artifact(statement) else { return Ok(Some(("missing", None))) };
        let opened = open(&crate::trust::load(&self.home)?, &bytes);
        Ok(Some(match opened {
            Ok((statement, signer))
                if statement.approves == approval.digest && signer.to_string() == *approver =>
            {
                ("valid", Some(statement.unattended))
            }
            Ok(_) => ("of another approval", None),
            Err(_) => ("not of an approver that is trusted now", None),
        }))
    }

    /// The call that the approval is for, if it is for one.
    fn held(&self, state: &State, approval: &ApprovalState) -> Result<Option<HeldView>, Error> {
        let journal = self.journal()?;
        for record in journal.events(state.run()).map_err(Refusal::from)? {
            if let journal::Event::CallHeld { held, .. } = record.event
                && held.digest() == approval.binding.effects
            {
                let call =
                    engine::HeldCall::from_bytes(&journal.artifact(&held.request).map_err(Refusal::from)?);
                let call = call.map_err(|error| Error::refused(Code::JournalDamaged, error.to_string()))?;
                return Ok(Some(HeldView::of(&call)));
            }
        }
        Ok(None)
    }

    /// What the approval is for: the present attempt's effect set, the one that was applied, or
    /// that of an earlier attempt, of which the state keeps no more than the digest.
    fn changes(&self, state: &State, approval: &ApprovalState) -> Result<ChangeSet, Error> {
        let binding = &approval.binding;
        if let Some(changes) = known_changes(state, approval) {
            return Ok(changes);
        }
        let mut staged = Vec::new();
        for record in self.journal()?.events(state.run()).map_err(Refusal::from)? {
            if let journal::Event::EffectsStaged { path, attempt, changes, .. } = record.event
                && path.step == binding.path.step
                && attempt == binding.attempt
            {
                staged.extend(changes.changes().iter().cloned());
            }
        }
        Ok(ChangeSet::new(staged))
    }
}

impl HeldView {
    pub(crate) fn of(call: &engine::HeldCall) -> Self {
        Self {
            capability: call.capability(),
            target: call.target(),
            request: call.digest(),
            text: call.text(),
        }
    }
}

/// What cannot be taken back is not approved by a word that is always the same.
fn check_confirmed(state: &State, approval: &ApprovalState, typed: Option<&str>) -> Result<(), Error> {
    let target = run::view::confirmation(state, approval);
    let message = match (&target, typed) {
        (Some(target), Some(typed)) if typed == target => return Ok(()),
        (Some(target), Some(typed)) => format!("`{typed}` is not the target `{target}`"),
        (Some(target), None) => format!("the effect is destructive: its target `{target}` has to be typed"),
        (None, None) => return Ok(()),
        (None, Some(_)) => "the effect is not destructive, so there is no target to confirm".to_owned(),
    };
    let hint = run::view::approve_command(state, approval);
    Err(Error::Refused(Refusal::new(Code::ApprovalConfirm, message).hint(hint)))
}

fn known_changes(state: &State, approval: &ApprovalState) -> Option<ChangeSet> {
    let binding = &approval.binding;
    let present = state
        .steps()
        .get(approval.step)
        .filter(|step| step.attempt == binding.attempt)
        .map(StepState::changes);
    let applied =
        state.applied().iter().find(|a| a.step == binding.path.step && a.attempt == binding.attempt);
    let applied = applied.map(|applied| applied.changes.clone());
    [present, applied].into_iter().flatten().find(|set| set.digest() == binding.effects)
}

fn unknown(text: &str) -> Error {
    let message = match text {
        "last" => "nothing waits for approval".to_owned(),
        text => format!("no approval that waits is `{text}`"),
    };
    Error::Refused(Refusal::new(Code::ApprovalUnknown, message).hint("capstan approval list"))
}
