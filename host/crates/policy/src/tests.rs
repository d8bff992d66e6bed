//! Every question has an answer, and the answers are those of the built-in rules.

use proptest::prelude::*;

use super::*;

fn answer(effect: Effect, plan_gate: bool, effects: usize) -> (Decision, Vec<String>) {
    let verdict = decide(&Question::of_staged(effect, plan_gate, effects));
    (verdict.decision, verdict.reasons.into_iter().map(|reason| reason.rule).collect())
}

#[test]
fn the_built_in_rules_decide() {
    use Decision::{Allow, Deny, NeedsApproval};
    let table: &[(Effect, bool, usize, Decision, &[&str])] = &[
        (Effect::Pure, false, 0, Allow, &["builtin:allow-read"]),
        (Effect::Read, false, 0, Allow, &["builtin:allow-read"]),
        (Effect::Read, true, 0, NeedsApproval, &["builtin:plan-gate"]),
        (Effect::Read, false, 1, Deny, &["builtin:deny-undeclared-write"]),
        (Effect::Pure, true, 9, Deny, &["builtin:deny-undeclared-write"]),
        (Effect::Write, false, 0, Allow, &["builtin:allow-no-effect"]),
        (Effect::Write, true, 0, Allow, &["builtin:allow-no-effect"]),
        (Effect::Write, false, 1, NeedsApproval, &["builtin:write-needs-approval"]),
        (Effect::Write, true, 2, NeedsApproval, &["builtin:write-needs-approval", "builtin:plan-gate"]),
        (Effect::External, false, 0, Allow, &["builtin:allow-no-effect"]),
        (Effect::External, true, 0, Allow, &["builtin:allow-no-effect"]),
        (Effect::External, false, 1, NeedsApproval, &["builtin:external-needs-approval"]),
        (Effect::External, false, 5, NeedsApproval, &["builtin:external-needs-approval"]),
        (Effect::Destructive, false, 0, Allow, &["builtin:allow-no-effect"]),
        (Effect::Destructive, false, 1, NeedsApproval, &["builtin:destructive-needs-approval"]),
        (
            Effect::Destructive,
            true,
            1,
            NeedsApproval,
            &["builtin:destructive-needs-approval", "builtin:plan-gate"],
        ),
    ];
    for (effect, plan_gate, effects, decision, rules) in table {
        let (got, reasons) = answer(*effect, *plan_gate, *effects);
        assert_eq!(got, *decision, "{effect} {plan_gate} {effects}");
        assert_eq!(reasons, *rules, "{effect} {plan_gate} {effects}");
    }
}

/// A held call is external at least, and one that only asks says what it could give away.
#[test]
fn a_held_call_needs_an_approval_whatever_the_operation_is_said_to_do() {
    for effect in Effect::ALL {
        for plan_gate in [false, true] {
            let of = |capability| decide(&Question::of_held(effect, plan_gate, capability));
            for capability in [Capability::HttpRead, Capability::HttpSend, Capability::Exec] {
                let verdict = of(capability);
                assert_eq!(verdict.decision, Decision::NeedsApproval, "{effect} {capability}");
                let has = |rule: &str| verdict.reasons.iter().any(|reason| reason.rule == rule);
                assert_eq!(has("builtin:disclosure-needs-approval"), capability == Capability::HttpRead);
                assert_eq!(has("builtin:external-needs-approval"), effect < Effect::Destructive);
                assert_eq!(has("builtin:destructive-needs-approval"), effect == Effect::Destructive);
            }
        }
    }
}

#[test]
fn ahead_of_the_call_every_gate_shows() {
    for effect in Effect::ALL {
        let verdict = decide(&Question::ahead(effect, false));
        let gated = verdict.decision == Decision::NeedsApproval;
        assert_eq!(gated, effect.has_side_effects(), "{effect}");
        assert_eq!(decide(&Question::ahead(effect, true)).decision, Decision::NeedsApproval);
    }
}

#[test]
fn rule_ids_are_unique_and_the_digest_is_pinned() {
    let ids: std::collections::BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), RULES.len());
    // A changed rule makes open approvals stale: change this line knowingly.
    assert_eq!(digest().short(), "7464efde18a8");
}

proptest! {
    #[test]
    fn every_question_is_answered_with_reasons_and_no_effect_goes_unapproved(
        effect in prop::sample::select(Effect::ALL.to_vec()),
        plan_gate: bool,
        effects: usize,
        discloses: bool,
    ) {
        let question = Question { effect, plan_gate, effects, discloses };
        let verdict = decide(&question);
        prop_assert!(!verdict.reasons.is_empty());
        if verdict.decision == Decision::Allow {
            prop_assert!(effects == 0);
            prop_assert!(!plan_gate || effect.has_side_effects());
        }
        // A gate of the plan never relaxes anything, and gates whatever there is to see.
        let gated = decide(&Question { plan_gate: true, ..question }).decision;
        prop_assert!(gated >= verdict.decision);
        prop_assert!(gated >= Decision::NeedsApproval || (effect.has_side_effects() && effects == 0));
    }
}
