//! What a plan may do, for the people who decide whether it runs.

use crate::checked::{CheckedStep, Gate, GateReason, StepEffect};

/// The effects and the gates of the steps, in order.
pub(super) fn of(steps: &[CheckedStep]) -> (Vec<StepEffect>, Vec<Gate>) {
    let effect = |step: &CheckedStep| StepEffect {
        step: step.id.clone(),
        operation: step.operation.clone(),
        effect: step.effect,
        capabilities: step.capabilities.clone(),
        discloses: step.discloses,
        items_max: step.for_each.as_ref().map(|fan_out| fan_out.items_max),
    };
    let gate = |step: &CheckedStep| Gate {
        step: step.id.clone(),
        effect: step.gated_as(),
        reason: match (step.approval, step.effect.has_side_effects()) {
            (Some(_), _) => GateReason::Plan,
            (None, true) => GateReason::Effect,
            (None, false) => GateReason::Disclosure,
        },
        expires_ms: step.approval.and_then(|approval| approval.expires_ms),
    };
    (steps.iter().map(effect).collect(), steps.iter().filter(|step| step.gate).map(gate).collect())
}
