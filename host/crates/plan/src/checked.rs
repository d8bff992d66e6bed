//! The checked plan: typed, ordered, bounded, digested. Only this runs.

use std::collections::BTreeMap;

use base::{Capability, Digest, Effect, Limits, OperationName, PackId, StepId};
use serde_json::{Value as Json, json};
use values::{FunctionType, Type, Value};

use crate::{Expr, Location};

/// A plan that passed [`crate::check`] without a diagnostic.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedPlan {
    /// Over the planfile's bytes and the statements of its packs. A run is bound to it.
    pub digest: Digest,
    /// The plan's `name`.
    pub name: String,
    /// The planfile's name as given to the check, for diagnostics about inputs.
    pub path: String,
    /// The packs by alias.
    pub packs: BTreeMap<String, CheckedPack>,
    /// The declared inputs by name.
    pub inputs: BTreeMap<String, InputDeclaration>,
    /// The steps, each after all that it depends on: the file's order.
    pub steps: Vec<CheckedStep>,
    /// The outputs by name.
    pub outputs: BTreeMap<String, Expr>,
    /// The types of the outputs.
    pub output_types: BTreeMap<String, Type>,
    /// What the whole run may use.
    pub budget: Budget,
    /// The steps that stop for an approval, in order.
    pub gates: Vec<Gate>,
}

impl CheckedPlan {
    /// The step of that id.
    #[must_use]
    pub fn step(&self, id: &StepId) -> Option<&CheckedStep> {
        self.steps.iter().find(|step| &step.id == id)
    }
}

/// A pack that the plan was checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedPack {
    /// Its name.
    pub id: PackId,
    /// The installed version, which fits the plan's range.
    pub version: semver::Version,
    /// The digest of its signed statement.
    pub statement: Digest,
}

/// A declared input.
#[derive(Debug, Clone, PartialEq)]
pub struct InputDeclaration {
    /// Its type.
    pub ty: Type,
    /// Its value if none is given; an input without one must be given, unless it is an option.
    pub default: Option<Value>,
    /// What it is for, in the author's words.
    pub description: Option<String>,
    /// Where it is declared.
    pub at: Location,
}

/// One call, or one fan-out of calls.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedStep {
    /// Its key in the planfile.
    pub id: StepId,
    /// What it calls.
    pub operation: OperationName,
    /// The operation's effect.
    pub effect: Effect,
    /// Whether the operation may be repeated after an unknown outcome.
    pub idempotent: bool,
    /// Whether a call may have to stop before a request that only asks, since what it asks for could
    /// hold what it read.
    pub discloses: bool,
    /// The capabilities that the operation requests and its effect permits.
    pub capabilities: Vec<Capability>,
    /// The operation's signature.
    pub function: FunctionType,
    /// An expression for every parameter, in the signature's order, already of its exact type. A parameter that the
    /// planfile leaves out is here as `none`.
    pub arguments: Vec<(String, Expr)>,
    /// The fan-out, if the step has a `for-each`.
    pub for_each: Option<FanOut>,
    /// The steps that must be completed before: those it refers to, those it `needs`, and, if it has
    /// side effects or discloses, the last step before it that has or does. Sorted.
    pub depends_on: Vec<StepId>,
    /// Whether it stops for an approval: by its effect, for what it could disclose, or because it asks
    /// for one.
    pub gate: bool,
    /// The step's own `approval`, if it has one.
    pub approval: Option<Approval>,
    /// The limits of each call.
    pub limits: Limits,
    /// The digest of the pack's signed statement.
    pub statement: Digest,
    /// The digest of the authority that each call had when the plan was checked.
    pub authority: Digest,
    /// The type of a reference to this step: the operation's ok type, or a list of it for a fan-out.
    /// None if there is nothing to refer to.
    pub ty: Option<Type>,
    /// Where the step's id stands.
    pub at: Location,
}

impl CheckedStep {
    /// What its calls may do as those see it who decide: a request that could hold what the operation
    /// read goes outside, whatever its declared effect.
    #[must_use]
    pub fn gated_as(&self) -> Effect {
        if self.discloses { self.effect.max(Effect::External) } else { self.effect }
    }

    /// The value of a reference to a fan-out: its items' ok values, in the order of the items.
    #[must_use]
    pub fn gather(&self, items: Vec<Value>) -> Value {
        let byte = |value: &Value| if let Value::U8(byte) = value { Some(*byte) } else { None };
        match &self.ty {
            Some(Type::List(item)) if **item == Type::U8 => {
                Value::Bytes(items.iter().filter_map(byte).collect())
            }
            _ => Value::List(items),
        }
    }
}

/// The `for-each` of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct FanOut {
    /// Evaluates to a [`values::Value::List`] (or `Bytes`, for a `list<u8>`): one call for each item, [`crate::Scope::item`].
    pub items: Expr,
    /// The items' type.
    pub item_type: Type,
    /// How many calls may run at the same time.
    pub max_parallel: u32,
    /// The most items there may be: the list's own length if the plan spells it, else a bound.
    pub items_max: u32,
}

/// A step's own gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approval {
    /// How long after it is asked for an approval may come, in milliseconds.
    pub expires_ms: Option<u64>,
}

/// What a run may use in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Calls.
    pub calls: u64,
    /// Fuel, summed over the calls.
    pub fuel: u64,
    /// Time during which the run is not waiting for a person, in milliseconds.
    pub wall_ms: u64,
    /// Files and folders that calls look at, read or stage.
    pub files: u64,
    /// Bytes of files that calls read and stage.
    pub file_bytes: u64,
    /// Tokens that language models read and write.
    pub model_tokens: u64,
    /// What they cost, in millionths of the unit of their prices.
    pub model_cost: u64,
}

/// What one step may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepEffect {
    /// The step.
    pub step: StepId,
    /// What it calls.
    pub operation: OperationName,
    /// The operation's effect.
    pub effect: Effect,
    /// What it may reach.
    pub capabilities: Vec<Capability>,
    /// Whether it may have to stop before a request that only asks, since what it asks for could hold
    /// what it read.
    pub discloses: bool,
    /// The most calls it may make, if it is a fan-out.
    pub items_max: Option<u32>,
}

impl StepEffect {
    /// Its form in `plan check --format json`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({
            "step": self.step.as_str(),
            "operation": self.operation.to_string(),
            "effect": self.effect.as_str(),
            "capabilities": self.capabilities.iter().map(|capability| capability.as_str()).collect::<Vec<_>>(),
            "discloses": self.discloses,
            "items_max": self.items_max,
        })
    }
}

/// A step that stops for an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The step.
    pub step: StepId,
    /// What the approval is asked for as: [`CheckedStep::gated_as`].
    pub effect: Effect,
    /// Why it stops.
    pub reason: GateReason,
    /// How long the approval may take, in milliseconds.
    pub expires_ms: Option<u64>,
}

impl Gate {
    /// Its form in `plan check --format json`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({
            "step": self.step.as_str(),
            "effect": self.effect.as_str(),
            "reason": self.reason.as_str(),
            "expires_ms": self.expires_ms,
        })
    }
}

/// Why a step stops for an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateReason {
    /// The operation has side effects. With nothing staged there is nothing to approve.
    Effect,
    /// What the operation asks a server for could hold what it read, and no grant says that it may.
    /// With nothing asked there is nothing to approve.
    Disclosure,
    /// The plan asks for it, whatever the operation does.
    Plan,
}

impl GateReason {
    /// The name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Effect => "effect",
            Self::Disclosure => "disclosure",
            Self::Plan => "plan",
        }
    }
}
