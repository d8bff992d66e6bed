//! Policy: which effects need whom. The built-in rules, until there are policy files.
//!
//! Invariants: pure and total. [`decide`] answers every question, each answer names the rules that
//! made it, and no answer lets a side effect happen that nobody approved.

mod decision;

use base::{Capability, Digest, Effect, FramedHasher};

pub use decision::{Decision, Reason, Verdict};

/// What is about to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// What would happen, if anything: the operation's declared effect, or that of its held call.
    pub effect: Effect,
    /// Whether the plan adds a gate of its own (`approval:` on the step). It never waives one.
    pub plan_gate: bool,
    /// How many effects were seen that would happen: staged writes, or one held call.
    pub effects: usize,
    /// Whether what would happen could tell somebody outside what the operation has read.
    pub discloses: bool,
}

impl Question {
    /// The question about one held call of `capability`, of an operation of the declared effect. What
    /// leaves this machine is external, even where the operation is said to change nothing.
    #[must_use]
    pub fn of_held(effect: Effect, plan_gate: bool, capability: Capability) -> Self {
        let effect = effect.max(Effect::External);
        Self { effect, plan_gate, effects: 1, discloses: capability.discloses() }
    }

    /// The question about `effects` staged writes, which nobody outside hears of.
    #[must_use]
    pub const fn of_staged(effect: Effect, plan_gate: bool, effects: usize) -> Self {
        Self { effect, plan_gate, effects, discloses: false }
    }

    /// The question before the call, when nothing is staged yet: as if something will be, so that a
    /// plan shows every gate that its run can reach.
    #[must_use]
    pub const fn ahead(effect: Effect, plan_gate: bool) -> Self {
        let effects = if matches!(effect, Effect::Pure | Effect::Read) { 0 } else { 1 };
        Self::of_staged(effect, plan_gate, effects)
    }
}

/// A built-in rule: an answer to some questions, and why.
struct Rule {
    id: &'static str,
    decision: Decision,
    text: &'static str,
    applies: fn(&Question) -> bool,
}

/// The rules, most decisive first. At least one applies to every question: those with an effect
/// in their name divide the effects between them.
const RULES: [Rule; 8] = [
    Rule {
        id: "builtin:deny-undeclared-write",
        decision: Decision::Deny,
        text: "writes are staged by an operation whose declared effect has none",
        applies: |q| q.effect < Effect::Write && q.effects > 0,
    },
    Rule {
        id: "builtin:destructive-needs-approval",
        decision: Decision::NeedsApproval,
        text: "a destructive effect needs one approval",
        applies: |q| q.effect == Effect::Destructive && q.effects > 0,
    },
    Rule {
        id: "builtin:external-needs-approval",
        decision: Decision::NeedsApproval,
        text: "an external effect needs one approval",
        applies: |q| q.effect == Effect::External && q.effects > 0,
    },
    Rule {
        id: "builtin:write-needs-approval",
        decision: Decision::NeedsApproval,
        text: "staged writes need one approval",
        applies: |q| q.effect == Effect::Write && q.effects > 0,
    },
    Rule {
        id: "builtin:disclosure-needs-approval",
        decision: Decision::NeedsApproval,
        text: "the operation also reads files or artifacts, runs programs or has secrets filled in, so what \
               it asks for could hold what it learnt: each request needs one approval, unless its grant says `may-disclose`",
        applies: |q| q.discloses && q.effects > 0,
    },
    Rule {
        id: "builtin:plan-gate",
        decision: Decision::NeedsApproval,
        text: "the plan asks for an approval of what this step does",
        applies: |q| q.plan_gate && !stages_nothing(q),
    },
    Rule {
        id: "builtin:allow-no-effect",
        decision: Decision::Allow,
        text: "nothing is staged or held, so there is nothing to approve",
        applies: stages_nothing,
    },
    Rule {
        id: "builtin:allow-read",
        decision: Decision::Allow,
        text: "pure and read operations change nothing",
        applies: |q| q.effect < Effect::Write,
    },
];

/// The step could have an effect and has none. There is nothing that a person could look at, so no
/// plan can ask for a look.
fn stages_nothing(q: &Question) -> bool {
    q.effect.has_side_effects() && q.effects == 0
}

/// Answers `q`: the strictest decision of the rules that apply, with those of them that made it.
#[must_use]
pub fn decide(q: &Question) -> Verdict {
    let applying = || RULES.iter().filter(|rule| (rule.applies)(q));
    // Without any rule: no. The order of `Decision` is that of strictness.
    let decision = applying().map(|rule| rule.decision).max().unwrap_or(Decision::Deny);
    let reasons = applying()
        .filter(|rule| rule.decision == decision)
        .map(|rule| Reason { rule: rule.id.to_owned(), text: rule.text.to_owned() })
        .collect();
    Verdict { decision, reasons }
}

/// The digest of the rules, to which approvals are bound. It covers the rules' ids, decisions and texts, so
/// a rule whose condition changes gets another id or text.
#[must_use]
pub fn digest() -> Digest {
    RULES
        .iter()
        .fold(FramedHasher::new("capstan/policy/v1"), |hasher, rule| {
            hasher.field(rule.id).field(rule.decision.to_string()).field(rule.text)
        })
        .finish()
}

#[cfg(test)]
mod tests;
