//! Plan to checked plan: every name resolved, every expression typed, every loop bounded.

mod elaborate;
mod graph;
mod inputs;
mod names;
mod packs;
mod steps;
mod summary;

use std::collections::{BTreeMap, BTreeSet};

use base::{Code, CodeClass, Digest, FramedHasher, StepId};
use serde_json::{Value as Json, json};
use values::Type;

use crate::bounds::TEXT_BYTES_MAX;
use crate::checked::{CheckedPack, CheckedPlan, CheckedStep, Gate, InputDeclaration, StepEffect};
use crate::finding::{Finding, Findings, quoted};
use crate::parse::{self, Plan};
use crate::span::Lines;
use crate::yaml::{Entry, Key};
use crate::{Catalog, Diagnostic, Expr, Span, fence, yaml};
use elaborate::{Elaborator, Place};
use names::{Item, Known, Names, ResultType, Use};
use packs::Packs;
use steps::StepCheck;

/// A planfile as text.
#[derive(Debug, Clone, Copy)]
pub struct PlanSource<'a> {
    /// Its name, for diagnostics. One that ends in `.md` is Markdown, every other one YAML.
    pub name: &'a str,
    /// Its content.
    pub text: &'a str,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The plan, if there is no diagnostic at all.
    pub plan: Option<CheckedPlan>,
    /// Every finding, in the order of the text; at most [`crate::bounds::DIAGNOSTICS_MAX`].
    pub diagnostics: Vec<Diagnostic>,
    /// What each step may do, in order, as far as the steps could be understood.
    pub effects: Vec<StepEffect>,
    /// Where the plan would stop for an approval, as far as the steps could be understood.
    pub gates: Vec<Gate>,
}

/// The verdict of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckStatus {
    /// The plan can run.
    Ok,
    /// The plan is well-formed and well-typed; only grants are missing.
    Refused,
    /// The plan is malformed or ill-typed.
    Malformed,
}

impl CheckStatus {
    /// The name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
        }
    }
}

impl Checked {
    /// The verdict: the worst of the diagnostics.
    #[must_use]
    pub fn status(&self) -> CheckStatus {
        if self.plan.is_some() {
            return CheckStatus::Ok;
        }
        let only_refused = self.diagnostics.iter().all(|found| found.code.class() == CodeClass::Refused);
        if only_refused { CheckStatus::Refused } else { CheckStatus::Malformed }
    }

    /// The form that `plan check --format json` prints.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({
            "status": self.status().as_str(),
            "digest": self.plan.as_ref().map(|plan| plan.digest.to_string()),
            "diagnostics": self.diagnostics.iter().map(Diagnostic::to_json).collect::<Vec<_>>(),
            "effects": self.effects.iter().map(StepEffect::to_json).collect::<Vec<_>>(),
            "gates": self.gates.iter().map(Gate::to_json).collect::<Vec<_>>(),
        })
    }
}

/// Checks a planfile against the installed packs. A run starts with this same function.
#[must_use]
pub fn check(source: &PlanSource<'_>, catalog: &dyn Catalog) -> Checked {
    let mut findings = Findings::default();
    let lines = Lines::of(source.text);
    let drafted =
        read(source, &mut findings).map(|plan| Draft::of(plan, source.text, &lines, catalog, &mut findings));
    let (effects, gates) = drafted.as_ref().map(|draft| summary::of(&draft.steps)).unwrap_or_default();
    let plan = drafted.filter(|_| findings.is_empty()).and_then(|draft| draft.finish(source, gates.clone()));
    let diagnostics = findings.into_diagnostics(source.name, &lines);
    Checked { plan, diagnostics, effects, gates }
}

fn read(source: &PlanSource<'_>, findings: &mut Findings) -> Option<Plan> {
    if source.text.len() > TEXT_BYTES_MAX {
        let message = format!("the planfile is larger than {TEXT_BYTES_MAX} bytes");
        findings.push(Finding::new(Code::PlanTooLarge, Span::default(), message).fix("write a smaller plan"));
        return None;
    }
    let is_markdown = source.name.to_ascii_lowercase().ends_with(".md");
    let whole = Span::new(0, source.text.len());
    let block = if is_markdown { fence::find_block(source.text, findings)? } else { whole };
    let tree = yaml::read(source.text, block, findings);
    if tree.is_none() && findings.is_empty() {
        let place = Span::new(block.start, block.start);
        let finding = Finding::new(Code::PlanMissingKey, place, "the planfile is empty");
        findings.push(finding.fix("start with `schema: capstan.plan/v1`"));
    }
    parse::parse(tree?, findings)
}

/// A plan on its way to be checked: what is wrong is absent.
struct Draft {
    name: Option<String>,
    packs: Option<BTreeMap<String, CheckedPack>>,
    inputs: BTreeMap<String, InputDeclaration>,
    steps: Vec<CheckedStep>,
    outputs: BTreeMap<String, (Expr, Type)>,
    budget: crate::Budget,
}

impl Draft {
    fn of(plan: Plan, text: &str, lines: &Lines<'_>, catalog: &dyn Catalog, findings: &mut Findings) -> Self {
        let packs = Packs::resolve(&plan.packs, catalog, findings);
        let mut names = Names { inputs: BTreeMap::new(), steps: later_steps(&plan) };
        names.inputs = plan.inputs.iter().map(|input| (input.name.text.clone(), input.ty.clone())).collect();
        let inputs = inputs::declare(plan.inputs, text, lines, findings);

        let keys: Vec<&Key> = plan.steps.iter().map(|step| &step.key).collect();
        let mut uses: Vec<Use> = Vec::new();
        let mut drafts = Vec::new();
        for (index, step) in plan.steps.iter().enumerate() {
            let check = StepCheck { text, lines, names: &names, packs: &packs, index, budget: plan.budget };
            let outcome = check.run(step, &mut uses, findings);
            if let Some(known) = names.steps.get_mut(&step.key.text) {
                known.result = outcome.result;
            }
            drafts.push(outcome.step);
        }
        let needs = graph::order(&keys, &uses, findings);
        let steps = connect(drafts, &needs, &plan.steps);
        steps::report_missing_grants(&plan.steps, &packs, findings);
        let outputs = outputs(&plan.outputs, text, &names, findings);
        Self { name: plan.name, packs: packs.into_checked(), inputs, steps, outputs, budget: plan.budget }
    }

    fn finish(self, source: &PlanSource<'_>, gates: Vec<Gate>) -> Option<CheckedPlan> {
        let packs = self.packs?;
        let (exprs, types) =
            self.outputs.into_iter().map(|(name, (expr, ty))| ((name.clone(), expr), (name, ty))).unzip();
        Some(CheckedPlan {
            digest: digest(source.text, &packs),
            name: self.name?,
            path: source.name.to_owned(),
            packs,
            inputs: self.inputs,
            steps: self.steps,
            outputs: exprs,
            output_types: types,
            budget: self.budget,
            gates,
        })
    }
}

/// Over the planfile as it was stored and what it was checked against.
fn digest(text: &str, packs: &BTreeMap<String, CheckedPack>) -> Digest {
    let start = FramedHasher::new("capstan/plan/v1").field(text).number(packs.len() as u64);
    let pack = |hasher: FramedHasher, (alias, pack): (&String, &CheckedPack)| {
        hasher.field(alias).field(pack.id.to_string()).digest(&pack.statement)
    };
    packs.iter().fold(start, pack).finish()
}

/// Every step by its id, none typed yet.
fn later_steps(plan: &Plan) -> BTreeMap<String, Known> {
    let known = |(index, step): (usize, &parse::Step)| {
        (step.key.text.clone(), Known { id: step.id.clone(), index, result: ResultType::Later })
    };
    plan.steps.iter().enumerate().map(known).collect()
}

/// Gives each step what it depends on: what it uses, and the side effects above it.
fn connect(
    drafts: Vec<Option<CheckedStep>>,
    needs: &[BTreeSet<usize>],
    written: &[parse::Step],
) -> Vec<CheckedStep> {
    let mut last_effect: Option<StepId> = None;
    let mut steps = Vec::new();
    for (step, needs) in drafts.into_iter().zip(needs) {
        let Some(mut step) = step else { continue };
        let mut depends_on: BTreeSet<StepId> =
            needs.iter().filter_map(|index| written.get(*index)).map(|step| step.id.clone()).collect();
        if step.gated_as().has_side_effects() {
            depends_on.extend(last_effect.replace(step.id.clone()));
        }
        step.depends_on = depends_on.into_iter().collect();
        steps.push(step);
    }
    steps
}

fn outputs(
    entries: &[Entry],
    text: &str,
    names: &Names,
    findings: &mut Findings,
) -> BTreeMap<String, (Expr, Type)> {
    let place = Place { noun: "output", path: String::new() };
    let mut elaborator =
        Elaborator { text, names, item: Item::Outside, step: None, uses: Vec::new(), findings, place };
    let mut outputs = BTreeMap::new();
    for Entry { key, value } in entries {
        elaborator.place.path = quoted(&key.text).trim_matches('`').to_owned();
        outputs.extend(elaborator.infer(value).map(|typed| (key.text.clone(), typed)));
    }
    outputs
}
