//! Expressions to values.

use std::collections::BTreeMap;

use base::StepId;
use plan::{EvalError, Expr, Reference, Root, Scope, evaluate, evaluate_items};
use proptest::prelude::*;
use serde_json::json;
use values::{Type, Value, from_json, to_json, type_check};

use crate::plan_of;

#[derive(Default)]
struct Values {
    steps: BTreeMap<String, Value>,
    inputs: BTreeMap<String, Value>,
    item: Option<Value>,
}

impl Scope for Values {
    fn step(&self, id: &StepId) -> Option<&Value> {
        self.steps.get(id.as_str())
    }

    fn item(&self) -> Option<&Value> {
        self.item.as_ref()
    }

    fn input(&self, name: &str) -> Option<&Value> {
        self.inputs.get(name)
    }
}

fn file(path: &str) -> Value {
    let fields = [("path", path), ("text", "fn main() {}")];
    Value::Record(fields.map(|(name, text)| (name.to_owned(), Value::String(text.to_owned()))).to_vec())
}

#[test]
fn arguments_come_out_in_the_parameters_order_and_of_their_exact_types() {
    let plan = plan_of(
        "inputs: { factor: { type: u8, default: 2 } }
steps:
  found: { call: files/tree.search, with: { glob: '*', pattern: x } }
  read: { for-each: $found, call: files/tree.read, with: { path: $item.path } }
  page:
    call: text/report.codemap
    with:
      title: \"${ len($read) } files, $$${ $inputs.factor } each, ${ true }\"
      heads: [{ path: a }, { path: b, summary: second }]
  scaled: { call: s/canvas.scale, with: { wide: $inputs.factor, small: 1 } }
outputs: { first: $scaled, all: { pages: [$page], n: \"${ len($found) }\" } }
",
    );
    let mut scope = Values::default();
    scope.inputs.insert("factor".to_owned(), Value::U8(2));
    let found = Value::Record(vec![
        ("path".to_owned(), Value::String("a.rs".to_owned())),
        ("line".to_owned(), Value::U32(1)),
        ("text".to_owned(), Value::String("x".to_owned())),
    ]);
    scope.steps.insert("found".to_owned(), Value::List(vec![found.clone()]));
    let read = &plan.steps[1];
    let items = evaluate_items(&read.for_each.as_ref().unwrap().items, &scope).unwrap();
    assert_eq!(items, std::slice::from_ref(&found));
    scope.item = Some(found);
    assert_eq!(evaluate(&read.arguments[0].1, &scope), Ok(Value::Option(None)));
    assert_eq!(evaluate(&read.arguments[1].1, &scope), Ok(Value::String("a.rs".to_owned())));
    scope.steps.insert("read".to_owned(), read.gather(vec![file("a.rs"), file("b.rs")]));
    let page: Vec<_> = plan.steps[2]
        .arguments
        .iter()
        .map(|(name, expr)| (name.as_str(), to_json(&evaluate(expr, &scope).unwrap())))
        .collect();
    let heads = json!([{ "path": "a", "summary": null }, { "path": "b", "summary": "second" }]);
    assert_eq!(page, [("heads", heads), ("title", json!("2 files, $2 each, true"))]);
    assert_eq!(evaluate(&plan.steps[3].arguments[1].1, &scope), Ok(Value::U64(2)));
    scope.steps.insert("scaled".to_owned(), Value::U8(9));
    scope.steps.insert("page".to_owned(), Value::String("# Map".to_owned()));
    let outputs: BTreeMap<_, _> =
        plan.outputs.iter().map(|(name, expr)| (name.as_str(), evaluate(expr, &scope).unwrap())).collect();
    assert_eq!(to_json(&outputs["all"]), json!({ "pages": ["# Map"], "n": 1 }));
    for (name, value) in outputs {
        assert!(type_check(&value, &plan.output_types[name]), "{name}");
    }
}

#[test]
fn a_fan_out_over_bytes_gives_and_gathers_bytes() {
    let plan = plan_of(
        "inputs: { data: { type: list<u8>, default: aGk= } }
steps: { each: { for-each: $inputs.data, call: s/canvas.scale, with: { small: $item, wide: 1 } } }
",
    );
    let scope = Values { inputs: plan.inputs_from_json(&json!({})).unwrap(), ..Values::default() };
    let step = &plan.steps[0];
    let items = evaluate_items(&step.for_each.as_ref().unwrap().items, &scope).unwrap();
    assert_eq!(items, [Value::U8(b'h'), Value::U8(b'i')]);
    assert_eq!(step.gather(items), Value::Bytes(b"hi".to_vec()));
}

#[test]
fn scalars_and_lengths_have_a_text() {
    for (ty, default, text) in [
        ("string", "a", "a"),
        ("enum { a, b }", "b", "b"),
        ("char", "é", "é"),
        ("bool", "true", "true"),
        ("u8", "255", "255"),
        ("s8", "-128", "-128"),
        ("u16", "65535", "65535"),
        ("s16", "-32768", "-32768"),
        ("u32", "4294967295", "4294967295"),
        ("s32", "-2147483648", "-2147483648"),
        ("u64", "18446744073709551615", "18446744073709551615"),
        ("s64", "-9223372036854775808", "-9223372036854775808"),
        ("f32", "0.1", "0.1"),
        ("f64", "0.1", "0.1"),
        ("f64", "nan", "nan"),
        ("f64", "-inf", "-inf"),
    ] {
        let plan = plan_of(&format!(
            "inputs: {{ a: {{ type: '{ty}', default: {default} }}, data: {{ type: list<u8>, default: aGk= }} }}
steps: {{ a: {{ call: s/canvas.ping }} }}
outputs: {{ text: '${{ len($inputs.data) }}: ${{ $inputs.a }}' }}
"
        ));
        let scope = Values { inputs: plan.inputs_from_json(&json!({})).unwrap(), ..Values::default() };
        assert_eq!(evaluate(&plan.outputs["text"], &scope), Ok(Value::String(format!("2: {text}"))), "{ty}");
    }
}

#[test]
fn what_a_plan_spells_is_of_the_parameters_exact_type() {
    let plan = plan_of(
        "steps:
  scaled: { call: s/canvas.scale, with: { small: 1, wide: 2, real: 0.5 } }
  page: { call: text/report.codemap, with: { heads: [{ path: a, summary: b }], title: \"a ${ 1 }\" } }
  drawn:
    call: s/canvas.draw
    with:
      shapes: [{ circle: { radius: 2 } }, { line: [1, 2] }, empty]
      style: { colour: red, edges: [thick], label: x, data: aGk=, outcome: { err: \"a ${ 1 }\" } }
",
    );
    for step in &plan.steps {
        for ((name, expr), parameter) in step.arguments.iter().zip(&step.function.params) {
            let value = evaluate(expr, &Values::default()).unwrap();
            assert!(type_check(&value, &parameter.ty), "{name}: {value:?}");
        }
    }
}

#[test]
fn what_the_scope_does_not_hold_is_an_error() {
    let reference = |root, fields: &[&str]| {
        Expr::Reference(Reference { root, fields: fields.iter().map(|field| (*field).to_owned()).collect() })
    };
    let scope = Values { item: Some(file("a")), ..Values::default() };
    assert_eq!(evaluate(&reference(Root::Item, &["path"]), &scope), Ok(Value::String("a".to_owned())));
    let absent =
        |expr: &Expr, text: &str| assert_eq!(evaluate(expr, &scope), Err(EvalError::Absent(text.to_owned())));
    absent(&reference(Root::Item, &["txet"]), "$item.txet");
    absent(&reference(Root::Step("a".parse().unwrap()), &[]), "$a");
    absent(&reference(Root::Input("b".to_owned()), &[]), "$inputs.b");
    let wrong = Expr::Coerce(Box::new(reference(Root::Item, &["path"])), Type::U64);
    assert!(matches!(evaluate(&wrong, &scope), Err(EvalError::OtherType(_))));
    assert!(matches!(evaluate_items(&reference(Root::Item, &[]), &scope), Err(EvalError::OtherType(_))));
}

#[test]
fn a_small_expression_cannot_copy_a_large_value_without_end() {
    let large = Value::String("x".repeat(1 << 20));
    let scope = Values { item: Some(large), ..Values::default() };
    let copies =
        |count| Expr::List(vec![Expr::Reference(Reference { root: Root::Item, fields: Vec::new() }); count]);
    assert!(evaluate(&copies(60), &scope).is_ok());
    assert_eq!(evaluate(&copies(65), &scope), Err(EvalError::TooLarge));
}

proptest! {
    /// A literal in a plan means what the same JSON means.
    #[test]
    fn literals_mean_what_their_json_means(text in "[ -~]{0,40}", number in any::<u32>(), flag in any::<bool>()) {
        let ty = "record { text: string, number: u32, flag: bool, list: list<string>, maybe: option<string> }";
        let json = json!({ "text": text, "number": number, "flag": flag, "list": [text, "b"], "maybe": text });
        let spelt = json.to_string().replace('$', "$$");
        let plan = plan_of(&format!("inputs: {{ x: {{ type: \"{ty}\", default: {spelt} }} }}\nsteps: {{ a: {{ call: s/canvas.ping }} }}\n"));
        let input = &plan.inputs["x"];
        prop_assert_eq!(input.default.clone().unwrap(), from_json(&json, &input.ty).unwrap());
    }
}
