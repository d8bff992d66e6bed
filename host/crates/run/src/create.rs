//! Making a run.

use std::collections::BTreeMap;

use base::{Refusal, RunId, Timestamp};
use journal::{
    Append, BudgetRecord, Event, Journal, Mode, PackRecord, Payload, Record, RootRecord, RunCreated,
    StepRecord,
};
use plan::{CheckedPlan, GateReason};
use values::Value;

/// What a run is made of, besides its plan.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its id, drawn at random.
    pub run: RunId,
    /// The planfile's bytes.
    pub planfile: Vec<u8>,
    /// The inputs, defaults filled in.
    pub inputs: BTreeMap<String, Value>,
    /// The folders that it may reach.
    pub roots: Vec<RootRecord>,
    /// Who can approve.
    pub mode: Mode,
    /// Who starts it.
    pub started_by: String,
}

/// Records that the run exists. It does nothing until it is driven.
///
/// # Errors
/// If the journal cannot be written, or has a run of that id.
pub fn create(
    journal: &Journal,
    plan: &CheckedPlan,
    new: NewRun,
    at: Timestamp,
) -> Result<Vec<Record>, Refusal> {
    let inputs = new.inputs.iter().map(|(name, value)| (name.clone(), values::to_json(value))).collect();
    let (inputs, inputs_artifact) = Payload::new(serde_json::Value::Object(inputs));
    let created = RunCreated {
        plan: plan.name.clone(),
        plan_digest: plan.digest,
        planfile: base::Digest::of(&new.planfile),
        planfile_name: plan.path.clone(),
        inputs,
        roots: new.roots,
        packs: packs(plan),
        steps: steps(plan),
        budget: BudgetRecord {
            calls: plan.budget.calls,
            fuel: plan.budget.fuel,
            wall_ms: plan.budget.wall_ms,
            files: plan.budget.files,
            file_bytes: plan.budget.file_bytes,
            model_tokens: plan.budget.model_tokens,
            model_cost: plan.budget.model_cost,
        },
        policy: policy::digest(),
        mode: new.mode,
        started_by: new.started_by,
    };
    let append = Append {
        run: new.run,
        expected: 0,
        at,
        events: vec![Event::RunCreated(Box::new(created))],
        artifacts: std::iter::once(new.planfile).chain(inputs_artifact).collect(),
    };
    Ok(journal.append(append)?)
}

fn packs(plan: &CheckedPlan) -> Vec<PackRecord> {
    let records = plan.packs.values().map(|pack| {
        let record =
            PackRecord { id: pack.id.clone(), version: pack.version.to_string(), statement: pack.statement };
        (pack.id.clone(), record)
    });
    // Two aliases may stand for one pack.
    records.collect::<BTreeMap<_, _>>().into_values().collect()
}

fn steps(plan: &CheckedPlan) -> Vec<StepRecord> {
    let step = |step: &plan::CheckedStep| StepRecord {
        idempotent: step.idempotent,
        discloses: step.discloses,
        id: step.id.clone(),
        operation: step.operation.clone(),
        effect: step.effect,
        depends_on: step.depends_on.clone(),
        fan_out: step.for_each.as_ref().map(|fan_out| fan_out.max_parallel),
        gate: plan.gates.iter().any(|gate| gate.step == step.id && gate.reason == GateReason::Plan),
        expires_ms: step.approval.and_then(|approval| approval.expires_ms),
    };
    plan.steps.iter().map(step).collect()
}
