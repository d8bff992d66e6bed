//! The `steps` of a plan.

use base::{Code, StepId};

use super::members::{Keys, Members};
use super::{Step, entries, quantity, text, type_finding};
use crate::bounds::{APPROVAL_MS_MAX, PARALLEL_MAX, STEPS_MAX};
use crate::finding::{Finding, Findings};
use crate::yaml::{Entry, Key, Kind, Node};
use crate::{Approval, Span};

const STEP: Keys = Keys {
    of: "a step",
    supported: &["call", "with", "needs", "for-each", "max-parallel", "approval"],
    unsupported: &["ask", "plan", "when", "join", "repeat", "until", "retry", "verify", "limits"],
};
const APPROVAL: Keys = Keys { of: "an approval", supported: &["expires"], unsupported: &[] };

/// What a reference can start with besides a step.
const RESERVED: [&str; 2] = ["inputs", "item"];

pub(super) fn steps(key: &Key, node: Node, findings: &mut Findings) -> Vec<Step> {
    if let Kind::List(_) = node.kind {
        let finding = type_finding(key.span, "`steps` is a list", "a map from each step's id to the step");
        findings.push(finding.fix("write `id: { call: .. }` instead of `- { call: .. }`"));
        return Vec::new();
    }
    let is_empty =
        matches!(&node.kind, Kind::Null) || matches!(&node.kind, Kind::Map(entries) if entries.is_empty());
    if is_empty {
        let finding = Finding::new(Code::PlanMissingKey, key.span, "a plan needs at least one step");
        findings.push(finding.fix("add a step such as `name: { call: alias/interface.function }`"));
        return Vec::new();
    }
    let entries = entries(node, "`steps`", STEPS_MAX, findings);
    entries.into_iter().filter_map(|entry| step(entry, findings)).collect()
}

fn step(Entry { key, value }: Entry, findings: &mut Findings) -> Option<Step> {
    // Where the id is wrong another stands in, so that the rest of the step is still checked.
    let id = step_id(&key, findings).or_else(|| "step".parse().ok())?;
    let Some(mut members) = Members::of(value, &STEP, findings) else {
        // Known by its id at least, so that references to it are not findings of their own.
        return Some(Step {
            id,
            key,
            call: None,
            with: Vec::new(),
            needs: Vec::new(),
            for_each: None,
            max_parallel: None,
            approval: None,
        });
    };
    let call = members.take("call");
    if call.is_none() && !members.had_unsupported() {
        let finding =
            Finding::new(Code::PlanMissingKey, key.span, format!("the step `{}` has no `call`", key.text));
        findings.push(finding.fix("add `call: alias/interface.function`"));
    }
    let call = call.and_then(|(_, node)| text(node, "`call`", findings));
    let with = members.take("with").map(|(_, node)| entries(node, "`with`", usize::MAX, findings));
    let needs = members.take("needs").map(|(_, node)| needs(node, findings));
    let for_each = members.take("for-each").map(|(_, node)| node);
    let max_parallel = members.take("max-parallel").and_then(|(key, node)| {
        if for_each.is_none() {
            let finding =
                Finding::new(Code::PlanMissingKey, key.span, "`max-parallel` is for steps with `for-each`");
            findings.push(finding.fix("add `for-each`, or remove `max-parallel`"));
        }
        max_parallel(&node, findings)
    });
    let approval = members.take("approval").and_then(|(_, node)| approval(node, findings));
    Some(Step {
        id,
        key,
        call,
        with: with.unwrap_or_default(),
        needs: needs.unwrap_or_default(),
        for_each,
        max_parallel,
        approval,
    })
}

fn step_id(key: &Key, findings: &mut Findings) -> Option<StepId> {
    if RESERVED.contains(&key.text.as_str()) {
        let message = format!("a step cannot be called `{0}`: `${0}` is something else", key.text);
        findings.push(type_finding(key.span, message, "another id"));
        return None;
    }
    match key.text.parse::<StepId>() {
        Ok(id) => Some(id),
        Err(error) => {
            findings.push(type_finding(key.span, error.to_string(), error.expected));
            None
        }
    }
}

/// A list of ids, or one.
fn needs(node: Node, findings: &mut Findings) -> Vec<(String, Span)> {
    let nodes = match node.kind {
        Kind::List(items) => items,
        _ => vec![node],
    };
    let mut ids = Vec::new();
    for node in nodes {
        let Some((id, span)) = text(node, "an item of `needs`", findings) else { continue };
        match id.strip_prefix('$') {
            None => ids.push((id, span)),
            Some(bare) => {
                let finding = type_finding(span, "`needs` takes ids, not references", "a step's id");
                findings.push(finding.fix(format!("write `{}`", bare.split('.').next().unwrap_or(bare))));
            }
        }
    }
    ids
}

fn max_parallel(node: &Node, findings: &mut Findings) -> Option<u32> {
    let number = match node.kind {
        Kind::Integer(number) => u32::try_from(number).ok(),
        Kind::Refused => return None,
        _ => None,
    };
    let number = number.filter(|number| (1..=PARALLEL_MAX).contains(number));
    if number.is_none() {
        let expected = format!("an integer from 1 to {PARALLEL_MAX}");
        findings.push(type_finding(
            node.span,
            format!("`max-parallel` is {}", node.kind.describe()),
            &expected,
        ));
    }
    number
}

fn approval(node: Node, findings: &mut Findings) -> Option<Approval> {
    if let Kind::Bool(_) = node.kind {
        let finding = type_finding(node.span, "`approval` is a boolean", "a map, which may be empty");
        findings.push(finding.fix("write `approval: {}` to ask for one: a gate can be added, never waived"));
        return None;
    }
    let mut members = Members::of(node, &APPROVAL, findings)?;
    let expires = members.take("expires");
    let parse = base::parse_duration_ms;
    let expires_ms =
        expires.and_then(|(_, node)| quantity(node, "expires", parse, APPROVAL_MS_MAX, findings));
    Some(Approval { expires_ms })
}
