//! YAML to [`Plan`]: the shape of the language, before any name is looked up. What is wrong is
//! reported and left out, so that the rest can still be checked.

mod members;
mod steps;

use base::{Code, PackId, StepId};
use semver::VersionReq;
use values::Type;

use crate::bounds::{BUDGET_DEFAULT, BUDGET_MAX, NAMES_MAX, PACKS_MAX};
use crate::finding::{Finding, Findings, did_you_mean, quoted};
use crate::yaml::{Entry, Key, Kind, Node};
use crate::{Approval, Budget, Span, type_syntax};
use members::{Keys, Members};

const SCHEMA: &str = "capstan.plan/v1";

const TOP: Keys = Keys {
    of: "a plan",
    supported: &["schema", "name", "packs", "inputs", "budget", "steps", "outputs"],
    unsupported: &[],
};
const INPUT: Keys = Keys { of: "an input", supported: &["type", "default", "description"], unsupported: &[] };
const BUDGET: Keys = Keys {
    of: "a budget",
    supported: &["calls", "fuel", "wall", "files", "file-bytes", "model-tokens", "model-cost"],
    unsupported: &[],
};

/// A planfile as it is written.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) name: Option<String>,
    pub(crate) packs: Vec<PackEntry>,
    pub(crate) inputs: Vec<InputEntry>,
    pub(crate) budget: Budget,
    pub(crate) steps: Vec<Step>,
    pub(crate) outputs: Vec<Entry>,
}

#[derive(Debug)]
pub(crate) struct PackEntry {
    pub(crate) alias: Key,
    pub(crate) span: Span,
    /// None if the text is no pack and range.
    pub(crate) wanted: Option<(PackId, VersionReq)>,
}

#[derive(Debug)]
pub(crate) struct InputEntry {
    pub(crate) name: Key,
    pub(crate) ty: Option<Type>,
    pub(crate) default: Option<Node>,
    pub(crate) description: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) id: StepId,
    pub(crate) key: Key,
    /// The operation as it is spelt.
    pub(crate) call: Option<(String, Span)>,
    pub(crate) with: Vec<Entry>,
    pub(crate) needs: Vec<(String, Span)>,
    pub(crate) for_each: Option<Node>,
    pub(crate) max_parallel: Option<u32>,
    pub(crate) approval: Option<Approval>,
}

/// Reads the plan out of the tree. None if it is no map.
pub(crate) fn parse(root: Node, findings: &mut Findings) -> Option<Plan> {
    let span = root.span;
    let mut top = Members::of(root, &TOP, findings)?;
    for key in ["schema", "name", "steps"] {
        top.require(key, Span::new(span.start, span.start), findings);
    }
    if let Some((_, node)) = top.take("schema") {
        schema(node, findings);
    }
    let plan = Plan {
        name: top.take("name").and_then(|(_, node)| name(node, findings)),
        packs: top.take("packs").map(|(_, node)| packs(node, findings)).unwrap_or_default(),
        inputs: top.take("inputs").map(|(_, node)| inputs(node, findings)).unwrap_or_default(),
        budget: top.take("budget").map_or(BUDGET_DEFAULT, |(_, node)| budget(node, findings)),
        steps: top.take("steps").map(|(key, node)| steps::steps(&key, node, findings)).unwrap_or_default(),
        outputs: top.take("outputs").map(|(_, node)| outputs(node, findings)).unwrap_or_default(),
    };
    Some(plan)
}

fn schema(node: Node, findings: &mut Findings) {
    if let Some((schema, span)) = text(node, "`schema`", findings)
        && schema != SCHEMA
    {
        let message = format!("the schema {} is not known", quoted(&schema));
        findings.push(
            type_finding(span, message, &format!("`{SCHEMA}`")).fix(format!("write `schema: {SCHEMA}`")),
        );
    }
}

fn name(node: Node, findings: &mut Findings) -> Option<String> {
    let (name, span) = text(node, "`name`", findings)?;
    match name.parse::<base::Label>() {
        Ok(name) => Some(name.to_string()),
        Err(error) => {
            findings.push(type_finding(span, error.to_string(), error.expected));
            None
        }
    }
}

fn packs(node: Node, findings: &mut Findings) -> Vec<PackEntry> {
    let entries = entries(node, "`packs`", PACKS_MAX, findings);
    let pack = |Entry { key: alias, value }: Entry| {
        let span = value.span;
        check_label(&alias, "an alias such as `files`", findings);
        let wanted = text(value, "a pack", findings).and_then(|(text, _)| pack_range(&text, span, findings));
        PackEntry { alias, span, wanted }
    };
    entries.into_iter().map(pack).collect()
}

fn pack_range(text: &str, span: Span, findings: &mut Findings) -> Option<(PackId, VersionReq)> {
    let (id, range) = text.split_once(' ').unwrap_or((text, ""));
    let expected = "a pack and its versions, such as `capstan:files ^0.1`";
    match (id.parse::<PackId>(), VersionReq::parse(range.trim())) {
        (Ok(id), Ok(range)) if !range.comparators.is_empty() => Some((id, range)),
        (Ok(id), Ok(_) | Err(_)) if range.trim().is_empty() => {
            findings.push(type_finding(span, format!("the versions of `{id}` are missing"), expected));
            None
        }
        (Ok(_), Ok(_)) => {
            findings.push(type_finding(span, "`*` is no bound on the versions", expected));
            None
        }
        (Ok(_), Err(error)) => {
            let message = format!("{} is no range of versions: {error}", quoted(range.trim()));
            findings.push(type_finding(span, message, expected));
            None
        }
        (Err(_), _) => {
            findings.push(type_finding(span, format!("{} is no pack", quoted(text)), expected));
            None
        }
    }
}

fn inputs(node: Node, findings: &mut Findings) -> Vec<InputEntry> {
    let entries = entries(node, "`inputs`", NAMES_MAX, findings);
    let input = |Entry { key: name, value }: Entry| {
        check_label(&name, "an input's name such as `glob`", findings);
        let Some(mut members) = Members::of(value, &INPUT, findings) else {
            return InputEntry { name, ty: None, default: None, description: None };
        };
        members.require("type", name.span, findings);
        let ty = members.take("type").and_then(|(_, node)| input_type(node, findings));
        let description =
            members.take("description").and_then(|(_, node)| text(node, "`description`", findings));
        let default = members.take("default").map(|(_, node)| node);
        InputEntry { name, ty, default, description: description.map(|(text, _)| text) }
    };
    entries.into_iter().map(input).collect()
}

fn input_type(node: Node, findings: &mut Findings) -> Option<Type> {
    let exact = if let Kind::Text(text) = &node.kind { text.exact } else { None };
    let (text, span) = text(node, "`type`", findings)?;
    match type_syntax::parse(&text) {
        Ok(ty) => Some(ty),
        Err(error) => {
            let length = error.word.len().max(1).min(text.len().saturating_sub(error.at));
            let here = exact.map_or(span, |start| Span::new(start + error.at, start + error.at + length));
            let message = format!("{} is no type", quoted(&text));
            let known = type_syntax::WORDS.contains(&error.word.as_str());
            let fix = if known { None } else { did_you_mean(&error.word, type_syntax::WORDS) };
            findings.push(type_finding(here, message, error.expected).maybe_fix(fix));
            None
        }
    }
}

fn budget(node: Node, findings: &mut Findings) -> Budget {
    let Some(mut members) = Members::of(node, &BUDGET, findings) else { return BUDGET_DEFAULT };
    let mut quantity = |key: &'static str, parse: Parse, of: fn(&Budget) -> u64| {
        let max = of(&BUDGET_MAX);
        let given = members.take(key).and_then(|(_, node)| quantity(node, key, parse, max, findings));
        given.unwrap_or_else(|| of(&BUDGET_DEFAULT))
    };
    Budget {
        calls: quantity("calls", base::parse_count, |budget| budget.calls),
        fuel: quantity("fuel", base::parse_count, |budget| budget.fuel),
        wall_ms: quantity("wall", base::parse_duration_ms, |budget| budget.wall_ms),
        files: quantity("files", base::parse_count, |budget| budget.files),
        file_bytes: quantity("file-bytes", base::parse_bytes, |budget| budget.file_bytes),
        model_tokens: quantity("model-tokens", base::parse_count, |budget| budget.model_tokens),
        model_cost: quantity("model-cost", base::parse_cost, |budget| budget.model_cost),
    }
}

type Parse = fn(&str) -> Result<u64, base::ParseQuantityError>;

/// A number with a unit, at least 1 and at most `max`.
fn quantity(node: Node, key: &str, parse: Parse, max: u64, findings: &mut Findings) -> Option<u64> {
    let span = node.span;
    let spelt = match &node.kind {
        Kind::Integer(number) => number.to_string(),
        _ => text(node, &format!("`{key}`"), findings)?.0,
    };
    match parse(&spelt) {
        Ok(0) => {
            findings.push(type_finding(span, format!("`{key}` is zero"), "at least 1"));
            None
        }
        Ok(number) if number > max => {
            let message = format!("`{key}` is larger than a plan may ask for");
            findings.push(Finding::new(Code::PlanTooLarge, span, message).expected(format!("at most {max}")));
            None
        }
        Ok(number) => Some(number),
        Err(error) => {
            findings.push(type_finding(span, error.to_string(), error.expected));
            None
        }
    }
}

fn outputs(node: Node, findings: &mut Findings) -> Vec<Entry> {
    let entries = entries(node, "`outputs`", NAMES_MAX, findings);
    for entry in &entries {
        check_label(&entry.key, "an output's name such as `path`", findings);
    }
    entries
}

/// The entries of a map whose keys are names.
fn entries(node: Node, what: &str, max: usize, findings: &mut Findings) -> Vec<Entry> {
    let span = node.span;
    match node.kind {
        Kind::Map(entries) if entries.len() > max => {
            let message = format!("{what} has more than {max} entries");
            findings.push(Finding::new(Code::PlanTooLarge, span, message).fix("write a smaller plan"));
            Vec::new()
        }
        Kind::Map(entries) => entries,
        Kind::Refused => Vec::new(),
        _ => {
            findings.push(type_finding(span, format!("{what} is {}", node.kind.describe()), "a map"));
            Vec::new()
        }
    }
}

/// A string, or a finding that `what` is something else.
fn text(node: Node, what: &str, findings: &mut Findings) -> Option<(String, Span)> {
    let span = node.span;
    match node.kind {
        Kind::Text(text) => Some((text.value, span)),
        Kind::Refused => None,
        _ => {
            findings.push(type_finding(span, format!("{what} is {}", node.kind.describe()), "text"));
            None
        }
    }
}

fn check_label(key: &Key, expected: &'static str, findings: &mut Findings) {
    if key.text.parse::<base::Label>().is_err() {
        let message = format!("{} is no kebab-case name", quoted(&key.text));
        findings.push(type_finding(key.span, message, expected));
    }
}

fn type_finding(span: Span, message: impl Into<String>, expected: &str) -> Finding {
    Finding::new(Code::PlanType, span, message).expected(expected)
}
