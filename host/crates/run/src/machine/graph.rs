//! The steps of a run and what waits for what.

use std::collections::BTreeMap;

use base::StepId;
use journal::StepRecord;

/// Most items of a fan-out that a journal row is believed; plans are bounded lower.
pub(super) const ITEMS_MAX: u32 = 1_000_000;

/// The steps in the plan's order, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    steps: Vec<StepRecord>,
    numbers: BTreeMap<StepId, usize>,
    needed_by: Vec<Vec<usize>>,
}

impl Graph {
    /// Takes the steps as `RunCreated` records them; none if an id is there twice or a step
    /// depends on one that is not before it.
    pub(super) fn new(steps: Vec<StepRecord>) -> Option<Self> {
        let mut numbers: BTreeMap<StepId, usize> = BTreeMap::new();
        let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
        for (number, step) in steps.iter().enumerate() {
            for need in &step.depends_on {
                let dependents = needed_by.get_mut(*numbers.get(need)?)?;
                if dependents.last() == Some(&number) {
                    return None;
                }
                dependents.push(number);
            }
            if numbers.insert(step.id.clone(), number).is_some() {
                return None;
            }
        }
        Some(Self { steps, numbers, needed_by })
    }

    /// The steps.
    #[must_use]
    pub fn steps(&self) -> &[StepRecord] {
        &self.steps
    }

    /// The step of that number.
    #[must_use]
    pub fn step(&self, number: usize) -> Option<&StepRecord> {
        self.steps.get(number)
    }

    /// The number of the step.
    #[must_use]
    pub fn number(&self, id: &StepId) -> Option<usize> {
        self.numbers.get(id).copied()
    }

    pub(super) fn needed_by(&self, number: usize) -> &[usize] {
        self.needed_by.get(number).map_or(&[], Vec::as_slice)
    }

    /// Whether the step's results are held until a gate is passed, and it never overlaps another
    /// such step.
    #[must_use]
    pub fn is_staged(&self, number: usize) -> bool {
        self.step(number).is_some_and(|step| step.effect.has_side_effects() || step.discloses || step.gate)
    }

    /// Whether a call of the step that nobody knows the outcome of may be made again.
    pub(super) fn is_idempotent(&self, number: usize) -> bool {
        self.step(number).is_some_and(|step| step.idempotent)
    }

    /// Whether the step has a `for-each`.
    #[must_use]
    pub fn is_fan_out(&self, number: usize) -> bool {
        self.step(number).is_some_and(|step| step.fan_out.is_some())
    }

    /// How many calls of the step may run at the same time. Held ones go one after the other, so
    /// that the second item that wants a file is known before it is called.
    pub(super) fn parallel(&self, number: usize) -> usize {
        if self.is_staged(number) {
            return 1;
        }
        let width = self.step(number).and_then(|step| step.fan_out).unwrap_or(1);
        usize::try_from(width.max(1)).unwrap_or(1)
    }
}
