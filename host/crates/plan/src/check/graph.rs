//! Which step needs which. The file's order is the order of the run, so every need must point
//! upwards; those that do not are either part of a circle or misplaced.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use base::Code;

use super::names::Use;
use crate::Span;
use crate::finding::{Finding, Findings};
use crate::yaml::Key;

/// For each step, the steps it needs, by index. `keys` are the steps' ids, in file order.
pub(super) fn order(keys: &[&Key], uses: &[Use], findings: &mut Findings) -> Vec<BTreeSet<usize>> {
    let mut first_use: BTreeMap<(usize, usize), Span> = BTreeMap::new();
    for usage in uses {
        first_use.entry((usage.from, usage.to)).or_insert(usage.span);
    }
    let mut needs = vec![BTreeSet::new(); keys.len()];
    for (from, to) in first_use.keys() {
        if let Some(needs) = needs.get_mut(*from) {
            needs.insert(*to);
        }
    }
    let graph = Graph { keys, needs, first_use };
    graph.report(findings);
    graph.needs
}

struct Graph<'a> {
    keys: &'a [&'a Key],
    needs: Vec<BTreeSet<usize>>,
    first_use: BTreeMap<(usize, usize), Span>,
}

impl Graph<'_> {
    fn report(&self, findings: &mut Findings) {
        let mut reported: Vec<BTreeSet<usize>> = Vec::new();
        for (&(from, to), &span) in self.first_use.iter().filter(|((from, to), _)| to >= from) {
            if findings.is_full() {
                return;
            }
            if reported.iter().any(|circle| circle.contains(&from) && circle.contains(&to)) {
                continue;
            }
            match self.path(to, from) {
                Some(path) => {
                    findings.push(self.circle(&path));
                    reported.push(path.into_iter().collect());
                }
                None => findings.push(self.later(from, to, span)),
            }
        }
    }

    /// A shortest path along needs, both ends included.
    fn path(&self, start: usize, end: usize) -> Option<Vec<usize>> {
        let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(step) = queue.pop_front() {
            if step == end {
                let mut path = vec![end];
                let mut at = end;
                while at != start {
                    at = *came_from.get(&at)?;
                    path.push(at);
                }
                path.reverse();
                return Some(path);
            }
            for &next in self.needs.get(step)? {
                if next != start && !came_from.contains_key(&next) {
                    came_from.insert(next, step);
                    queue.push_back(next);
                }
            }
        }
        None
    }

    /// `path` starts with the later step that its last one needs.
    fn circle(&self, path: &[usize]) -> Finding {
        let first = path.iter().enumerate().min_by_key(|(_, step)| **step).map_or(0, |(at, _)| at);
        let circle: Vec<usize> = path.iter().cycle().skip(first).take(path.len() + 1).copied().collect();
        let names: Vec<String> = circle.iter().map(|step| format!("`{}`", self.name(*step))).collect();
        let mut uses = circle.windows(2).filter_map(|pair| match pair {
            [from, to] => Some((*from, *to, *self.first_use.get(&(*from, *to))?)),
            _ => None,
        });
        let place = uses.next().map_or_else(Span::default, |(_, _, span)| span);
        let message = match path.len() {
            1 => format!("the step {} needs itself", names.first().map_or("", String::as_str)),
            _ => format!("steps need each other in a circle: {}", names.join(" -> ")),
        };
        let finding =
            Finding::new(Code::PlanCycle, place, message).fix("remove one of these needs or references");
        uses.fold(finding, |finding, (from, to, span)| {
            finding.related(span, format!("`{}` needs `{}`", self.name(from), self.name(to)))
        })
    }

    fn later(&self, from: usize, to: usize, span: Span) -> Finding {
        let (name, before) = (self.name(to), self.name(from));
        let place = self.keys.get(to).map_or_else(Span::default, |key| key.span);
        Finding::new(Code::PlanReference, span, format!("the step `{name}` comes after `{before}`"))
            .expected("a step above this one")
            .related(place, format!("`{name}` is here"))
            .fix(format!("move `{name}` above `{before}`"))
    }

    fn name(&self, step: usize) -> &str {
        self.keys.get(step).map_or("", |key| key.text.as_str())
    }
}
