//! What a plan may do, for the people who decide whether it runs.

use crate::checked::{CheckedStep, Gate, GateReason, StepEffect};

/// The effects and the gates of the steps, in order.
pub(super) fn of(steps: &[CheckedStep]) -> (Vec<StepEffect>, Vec<Gate>) {
    let effect = |step: &CheckedStep| StepEffect {
        step: step.id.clone(),
        operation: step.operation.clone(),
        effect: step.effect,
        capabilities: step.capabilities.clone(),
        items_max: step.for_each.as_ref().map(|fan_out| fan_out.items_max),
    };
    let gate = |step: &CheckedStep| Gate {
        step: step.id.clone(),
        effect: step.effect,
        reason: if step.approval.is_some() { GateReason::Plan } else { GateReason::Effect },
        expires_ms: step.approval.and_then(|approval| approval.expires_ms),
    };
    (steps.iter().map(effect).collect(), steps.iter().filter(|step| step.gate).map(gate).collect())
}
