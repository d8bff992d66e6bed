//! Each bound from both sides.

use base::Code;
use plan::bounds::{
    DEPTH_MAX, DIAGNOSTICS_MAX, ITEMS_MAX, KEY_BYTES_MAX, NAMES_MAX, NODES_MAX, PACKS_MAX, SCALAR_BYTES_MAX,
    STEPS_MAX, TEXT_BYTES_MAX, TYPE_BYTES_MAX,
};

use crate::{HEAD, check, codes, plan_of};

/// Codes of `HEAD`, one step and `rest`.
fn with(rest: &str) -> Vec<Code> {
    codes(&format!("{HEAD}steps: {{ a: {{ call: s/canvas.ping }} }}\n{rest}"))
}

#[track_caller]
fn assert_bound(text: impl Fn(usize) -> String, max: usize) {
    let within = with(&text(max));
    assert!(!within.contains(&Code::PlanTooLarge), "{max} is refused: {within:?}");
    assert_eq!(with(&text(max + 1)), [Code::PlanTooLarge]);
}

#[test]
fn a_text_may_be_256_kib_long() {
    let text = |length: usize| {
        let plan = format!("{HEAD}steps: {{ a: {{ call: s/canvas.ping }} }}\n#");
        format!("{plan}{}", "x".repeat(length - plan.len()))
    };
    assert_eq!(codes(&text(TEXT_BYTES_MAX)), []);
    assert_eq!(codes(&text(TEXT_BYTES_MAX + 1)), [Code::PlanTooLarge]);
}

#[test]
fn sizes_are_bounded() {
    let output = |value: String| format!("outputs: {{ a: {value} }}\n");
    assert_bound(|length| output(format!("'{}'", "x".repeat(length))), SCALAR_BYTES_MAX);
    assert_bound(|length| output(format!("{{ ok: 1, {}: 1 }}", "x".repeat(length))), KEY_BYTES_MAX);
    // The root, its entry and the map of outputs are three levels; the item is one more.
    assert_bound(|depth| output(format!("{}1{}", "[".repeat(depth), "]".repeat(depth))), DEPTH_MAX - 2);
    let head_nodes = with_nodes();
    assert_bound(|nodes| output(format!("[{}]", "1,".repeat(nodes - head_nodes))), NODES_MAX);
}

/// The nodes of `HEAD`, the step and the output's own list.
fn with_nodes() -> usize {
    let schema_and_name = 4;
    let packs = 2 + 6;
    let steps = 2 + 2 + 2;
    let outputs = 2 + 2;
    1 + schema_and_name + packs + steps + outputs
}

#[test]
fn counts_are_bounded() {
    let inputs = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("i{n}: {{ type: u8 }}")).collect();
        format!("inputs: {{ {} }}\n", names.join(", "))
    };
    assert_bound(inputs, NAMES_MAX);
    let outputs = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("o{n}: 1")).collect();
        format!("outputs: {{ {} }}\n", names.join(", "))
    };
    assert_bound(outputs, NAMES_MAX);
    let steps = |count: usize| {
        let steps: String = (0..count).map(|n| format!("  s{n}: {{ call: s/canvas.ping }}\n")).collect();
        codes(&format!("{HEAD}steps:\n{steps}"))
    };
    assert_eq!(steps(STEPS_MAX), []);
    assert_eq!(steps(STEPS_MAX + 1), [Code::PlanTooLarge]);
    let packs = |count: usize| {
        let packs: String = (0..count).map(|n| format!("  p{n}: acme:shapes ^0.1\n")).collect();
        codes(&format!(
            "schema: capstan.plan/v1\nname: a\npacks:\n{packs}steps: {{ a: {{ call: acme:shapes/canvas.ping }} }}\n"
        ))
    };
    assert_eq!(packs(PACKS_MAX), []);
    assert!(packs(PACKS_MAX + 1).contains(&Code::PlanTooLarge));
}

#[test]
fn a_types_text_is_bounded() {
    let input = |length: usize| format!("inputs: {{ a: {{ type: 'u8{}' }} }}\n", " ".repeat(length - 2));
    assert_eq!(with(&input(TYPE_BYTES_MAX)), []);
    assert_eq!(with(&input(TYPE_BYTES_MAX + 1)), [Code::PlanType]);
    for (open, close) in [
        ("list<", ">"),
        ("tuple<", ">"),
        ("result<", ">"),
        ("result<_, ", ">"),
        ("record { a: ", " }"),
        ("variant { a(", ") }"),
    ] {
        let nested = |depth: usize| {
            format!("inputs: {{ a: {{ type: '{}u8{}' }} }}\n", open.repeat(depth), close.repeat(depth))
        };
        assert_eq!(with(&nested(16)), [], "{open}");
        assert_eq!(with(&nested(17)), [Code::PlanType], "{open}");
    }
}

#[test]
fn a_fan_out_is_bounded_by_the_budget_its_list_and_the_language() {
    let items_max = |plan: &str| plan_of(plan).steps[0].for_each.as_ref().unwrap().items_max;
    let step = "call: s/canvas.ping } }\ninputs: { l: { type: list<string> } }\n";
    assert_eq!(items_max(&format!("steps: {{ a: {{ for-each: $inputs.l, {step}budget: {{ calls: 7 }}\n")), 7);
    assert_eq!(
        items_max(&format!("steps: {{ a: {{ for-each: $inputs.l, {step}budget: {{ calls: 1M }}\n")),
        ITEMS_MAX
    );
    assert_eq!(items_max(&format!("steps: {{ a: {{ for-each: [a, b], {step}")), 2);
    let literal = |count: usize| {
        format!("{HEAD}steps: {{ a: {{ for-each: [{}], call: s/canvas.ping }} }}\n", "1,".repeat(count))
    };
    assert_eq!(codes(&literal(ITEMS_MAX as usize)), []);
    assert_eq!(codes(&literal(ITEMS_MAX as usize + 1)), [Code::PlanTooLarge]);
}

#[test]
fn quantities_are_bounded() {
    for (good, bad) in [
        ("budget: { calls: 1M }", "budget: { calls: 1000001 }"),
        ("budget: { fuel: 1000T }", "budget: { fuel: 1001T }"),
        ("budget: { wall: 24h }", "budget: { wall: 25h }"),
    ] {
        assert_eq!(with(good), [], "{good}");
        assert_eq!(with(bad), [Code::PlanTooLarge], "{bad}");
    }
    let parallel = |n: u32| {
        codes(&format!("{HEAD}steps: {{ a: {{ for-each: [a], max-parallel: {n}, call: s/canvas.ping }} }}\n"))
    };
    assert_eq!((parallel(1), parallel(64)), (vec![], vec![]));
    assert_eq!((parallel(0), parallel(65)), (vec![Code::PlanType], vec![Code::PlanType]));
    let approval = |expires: &str| {
        codes(&format!(
            "{HEAD}steps: {{ a: {{ call: s/canvas.ping, approval: {{ expires: {expires} }} }} }}\n"
        ))
    };
    assert_eq!((approval("1ms"), approval("30d")), (vec![], vec![]));
    assert_eq!((approval("0s"), approval("31d")), (vec![Code::PlanType], vec![Code::PlanTooLarge]));
}

#[test]
fn a_thousand_mistakes_give_a_bounded_report() {
    let mistakes: String =
        (0..1_000).map(|n| format!("  s{n}: {{ call: s/canvas.pong, with: {{ a: $nope }} }}\n")).collect();
    let checked = check(&format!("{HEAD}steps:\n{mistakes}"));
    assert_eq!(checked.diagnostics.len(), DIAGNOSTICS_MAX);
    assert!(checked.plan.is_none());

    // Suggestions cost; beyond the bound none is looked for.
    let names: String = (0..999)
        .map(|n| format!("  a-step-with-a-rather-long-name-{n}: {{ call: s/canvas.ping }}\n"))
        .collect();
    let references = "$a-step-with-a-rather-long-nam, ".repeat(6_000);
    let checked = check(&format!(
        "{HEAD}steps:\n{names}  last: {{ call: s/canvas.draw, with: {{ shapes: [{references}] }} }}\n"
    ));
    assert_eq!(checked.diagnostics.len(), DIAGNOSTICS_MAX);
}
