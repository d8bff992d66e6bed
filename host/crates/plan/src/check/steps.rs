//! One step: its operation, its fan-out, its arguments.

use std::collections::BTreeMap;

use base::{Code, PackId};
use values::Type;

use super::elaborate::{Elaborator, Place};
use super::names::{Item, Names, ResultType, Use, shown};
use super::packs::{Called, Packs};
use crate::bounds::ITEMS_MAX;
use crate::checked::{CheckedStep, FanOut};
use crate::finding::{Finding, Findings, did_you_mean, quoted};
use crate::parse::Step;
use crate::span::Lines;
use crate::yaml::{Kind, Node};
use crate::{Budget, Expr, MissingGrant, Span};

/// Calls of a fan-out at the same time, if the plan does not say.
const PARALLEL_DEFAULT: u32 = 4;

/// What is known while one step is checked: everything above it.
pub(super) struct StepCheck<'a> {
    pub(super) text: &'a str,
    pub(super) lines: &'a Lines<'a>,
    pub(super) names: &'a Names,
    pub(super) packs: &'a Packs<'a>,
    /// The step's place in the file, from 0.
    pub(super) index: usize,
    pub(super) budget: Budget,
}

pub(super) struct Outcome {
    pub(super) result: ResultType,
    /// None if something about the step was reported. What it depends on is not filled in yet.
    pub(super) step: Option<CheckedStep>,
}

impl StepCheck<'_> {
    pub(super) fn run(&self, step: &Step, uses: &mut Vec<Use>, findings: &mut Findings) -> Outcome {
        self.needs(step, uses, findings);
        let called = step.call.as_ref().and_then(|(text, span)| self.packs.operation(text, *span, findings));
        let fan_out = step.for_each.as_ref().map(|node| self.fan_out(step, node, uses, findings));
        let item = match &fan_out {
            None => Item::Outside,
            Some(None) => Item::Unknown,
            Some(Some(fan_out)) => Item::Type(&fan_out.item_type),
        };
        let arguments = self.arguments(step, called.as_ref(), item, uses, findings);
        let Some(called) = called else { return Outcome { result: ResultType::Unknown, step: None } };
        let result = match (called.operation.function.ok(), &fan_out) {
            (None, _) => ResultType::Nothing,
            (Some(ok), None) => ResultType::Type(ok.clone()),
            (Some(ok), Some(_)) => ResultType::Type(Type::List(Box::new(ok.clone()))),
        };
        let ty = if let ResultType::Type(ty) = &result { Some(ty.clone()) } else { None };
        let step = match (fan_out, arguments) {
            (Some(None), _) | (_, None) => None,
            (fan_out, Some(arguments)) => Some(self.checked(step, called, fan_out.flatten(), arguments, ty)),
        };
        Outcome { result, step }
    }

    fn checked(
        &self,
        step: &Step,
        called: Called,
        for_each: Option<FanOut>,
        arguments: Vec<(String, Expr)>,
        ty: Option<Type>,
    ) -> CheckedStep {
        let operation = called.operation;
        CheckedStep {
            id: step.id.clone(),
            operation: called.name,
            effect: operation.effect,
            idempotent: operation.idempotent,
            discloses: operation.discloses,
            capabilities: operation.request,
            function: operation.function,
            arguments,
            for_each,
            depends_on: Vec::new(),
            gate: operation.effect.has_side_effects() || operation.discloses || step.approval.is_some(),
            approval: step.approval,
            limits: operation.limits,
            statement: called.pack.statement,
            authority: operation.authority,
            ty,
            at: self.lines.locate(step.key.span),
        }
    }

    fn needs(&self, step: &Step, uses: &mut Vec<Use>, findings: &mut Findings) {
        for (id, span) in &step.needs {
            match self.names.steps.get(id) {
                Some(known) => uses.push(Use { from: self.index, to: known.index, span: *span }),
                None if findings.is_full() => return,
                None => {
                    let finding =
                        Finding::new(Code::PlanReference, *span, format!("there is no step {}", quoted(id)));
                    let known = self.names.steps.keys().map(String::as_str);
                    findings
                        .push(finding.expected("the id of a step above").maybe_fix(did_you_mean(id, known)));
                }
            }
        }
    }

    fn elaborator<'e>(
        &'e self,
        item: Item<'e>,
        noun: &'static str,
        findings: &'e mut Findings,
    ) -> Elaborator<'e> {
        let place = Place { noun, path: String::new() };
        let (text, names, step) = (self.text, self.names, Some(self.index));
        Elaborator { text, names, item, step, uses: Vec::new(), findings, place }
    }

    fn arguments(
        &self,
        step: &Step,
        called: Option<&Called>,
        item: Item<'_>,
        uses: &mut Vec<Use>,
        findings: &mut Findings,
    ) -> Option<Vec<(String, Expr)>> {
        let mut elaborator = self.elaborator(item, "argument", findings);
        let arguments = match called {
            Some(called) => {
                let missing_at = step.call.as_ref().map_or(step.key.span, |(_, span)| *span);
                elaborator.arguments(&step.with, &called.operation.function.params, missing_at)
            }
            None => {
                step.with.iter().for_each(|entry| elaborator.survey(&entry.value));
                None
            }
        };
        uses.append(&mut elaborator.uses);
        arguments
    }

    fn fan_out(
        &self,
        step: &Step,
        node: &Node,
        uses: &mut Vec<Use>,
        findings: &mut Findings,
    ) -> Option<FanOut> {
        let mut elaborator = self.elaborator(Item::Outside, "`for-each`", findings);
        let typed = match &node.kind {
            Kind::Text(text) => elaborator.infer_bare(node.span, text),
            _ => elaborator.infer(node),
        };
        uses.append(&mut elaborator.uses);
        let (items, ty) = typed?;
        let item_type = match ty {
            Type::List(item) => *item,
            other => {
                let finding =
                    Finding::new(Code::PlanType, node.span, format!("`for-each` is a {}", shown(&other)));
                findings.push(finding.expected("a list").maybe_fix(list_field(&items, &other)));
                return None;
            }
        };
        let items_max = match &node.kind {
            Kind::List(items) => u32::try_from(items.len()).unwrap_or(u32::MAX),
            _ => ITEMS_MAX.min(u32::try_from(self.budget.calls).unwrap_or(u32::MAX)),
        };
        if items_max > ITEMS_MAX {
            let message = format!("the list has more than {ITEMS_MAX} items");
            findings.push(Finding::new(Code::PlanTooLarge, node.span, message).fix("shorten the list"));
            return None;
        }
        let max_parallel = step.max_parallel.unwrap_or(PARALLEL_DEFAULT);
        Some(FanOut { items, item_type, max_parallel, items_max })
    }
}

/// The field of a record that is a list, where one was expected and it is the only one.
fn list_field(items: &Expr, ty: &Type) -> Option<String> {
    let (Expr::Reference(reference), Type::Record(fields)) = (items, ty) else { return None };
    let mut lists = fields.iter().filter(|field| matches!(field.ty, Type::List(_)));
    let only = lists.next().filter(|_| lists.next().is_none())?;
    Some(format!("write `{reference}.{}`", only.name))
}

/// Reports each grant that some step needs and the operator did not give, once, at the first such step.
pub(super) fn report_missing_grants(steps: &[Step], packs: &Packs<'_>, findings: &mut Findings) {
    let mut missing: BTreeMap<(PackId, MissingGrant), Vec<(&str, Span)>> = BTreeMap::new();
    for step in steps {
        let Some((text, span)) = &step.call else { continue };
        let Some(called) = packs.operation(text, *span, &mut Findings::default()) else { continue };
        for grant in called.operation.missing {
            missing
                .entry((called.name.pack.clone(), grant))
                .or_default()
                .push((step.key.text.as_str(), *span));
        }
    }
    for ((pack, grant), needed_by) in missing {
        let Some((first, others)) = needed_by.split_first() else { continue };
        let why = grant.lapsed.map_or_else(
            || format!("is not granted to `{pack}`"),
            |lapsed| format!("{lapsed} (pack `{pack}`)"),
        );
        let message = format!("the step `{}` needs `{}`, which {why}", first.0, grant.capability);
        let fix = format!("capstan grant add {pack} {}{}", shell_quoted(&grant.grant), grant.flags);
        let finding = Finding::new(Code::PlanGrant, first.1, message).fix(fix);
        let related = |finding: Finding, (step, span): &(&str, Span)| {
            finding.related(*span, format!("`{step}` needs it too"))
        };
        findings.push(others.iter().fold(finding, related));
    }
}

/// A word that a POSIX shell reads back as `text`.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
