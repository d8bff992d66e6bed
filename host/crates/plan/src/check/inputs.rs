//! The declared inputs and their defaults.

use std::collections::BTreeMap;

use base::{Code, StepId};
use values::Value;

use super::elaborate::{Elaborator, Place};
use super::names::{Item, Names};
use crate::checked::InputDeclaration;
use crate::finding::{Finding, Findings};
use crate::parse::InputEntry;
use crate::span::Lines;
use crate::syntax::{self, Origin, Template};
use crate::yaml::{Kind, Node};
use crate::{Scope, evaluate};

pub(super) fn declare(
    entries: Vec<InputEntry>,
    text: &str,
    lines: &Lines<'_>,
    findings: &mut Findings,
) -> BTreeMap<String, InputDeclaration> {
    let names = Names::default();
    let mut declared = BTreeMap::new();
    for InputEntry { name, ty, default, description } in entries {
        let Some(ty) = ty else { continue };
        let value = match &default {
            None => None,
            Some(node) if refers(node, text, findings) => continue,
            Some(node) => {
                let place = Place { noun: "the default of", path: name.text.clone() };
                let item = Item::Outside;
                let mut elaborator =
                    Elaborator { text, names: &names, item, step: None, uses: Vec::new(), findings, place };
                let Some(expr) = elaborator.value(node, &ty) else { continue };
                evaluate(&expr, &Nothing).ok()
            }
        };
        declared.insert(
            name.text,
            InputDeclaration { ty, default: value, description, at: lines.locate(name.span) },
        );
    }
    declared
}

/// Reports expressions in a default: when it is filled in there is nothing to refer to.
fn refers(node: &Node, text: &str, findings: &mut Findings) -> bool {
    match &node.kind {
        Kind::List(items) => items.iter().filter(|item| refers(item, text, findings)).count() > 0,
        Kind::Map(entries) => entries.iter().filter(|entry| refers(&entry.value, text, findings)).count() > 0,
        Kind::Text(scalar) => {
            let origin = Origin::new(text, node.span, scalar.exact);
            let refers = matches!(
                syntax::template(&scalar.value, &origin),
                Ok(Template::Reference(_) | Template::Parts(_))
            );
            if refers {
                let finding = Finding::new(
                    Code::PlanExpression,
                    node.span,
                    "a default is a literal, without expressions",
                );
                findings.push(finding.fix("write `$$` for a dollar"));
            }
            refers
        }
        _ => false,
    }
}

/// The scope of a default.
struct Nothing;

impl Scope for Nothing {
    fn step(&self, _id: &StepId) -> Option<&Value> {
        None
    }

    fn item(&self) -> Option<&Value> {
        None
    }

    fn input(&self, _name: &str) -> Option<&Value> {
        None
    }
}
