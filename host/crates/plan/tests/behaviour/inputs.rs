//! The inputs of a run.

use base::Code;
use plan::{CheckedPlan, Diagnostic};
use serde_json::json;
use values::Value;

use crate::plan_of;

fn plan() -> CheckedPlan {
    plan_of(
        "inputs:
  glob: { type: string }
  count: { type: u8, default: 3 }
  note: { type: option<string> }
  kind: { type: \"enum { fast, slow }\", default: fast }
  paths: { type: list<string>, default: [] }
steps: { a: { call: s/canvas.ping } }
",
    )
}

fn told(errors: &[Diagnostic]) -> Vec<String> {
    assert!(errors.iter().all(|error| error.code == Code::PlanInput), "{errors:?}");
    errors.iter().map(|error| format!("{}: {}", error.at.line, error.message)).collect()
}

#[test]
fn given_inputs_are_typed_and_absent_ones_filled_in() {
    let inputs = plan().inputs_from_json(&json!({ "glob": "*", "count": 255, "kind": "slow" })).unwrap();
    assert_eq!(inputs["glob"], Value::String("*".to_owned()));
    assert_eq!(inputs["count"], Value::U8(255));
    assert_eq!(inputs["note"], Value::Option(None));
    assert_eq!(inputs["kind"], Value::Enum("slow".to_owned()));
    assert_eq!(inputs["paths"], Value::List(Vec::new()));
}

#[test]
fn every_wrong_input_is_told_at_once_at_its_declaration() {
    let errors = plan().inputs_from_json(&json!({ "count": 256, "kind": "fsat", "golb": "*" })).unwrap_err();
    let told = told(&errors);
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(told[0], "1: the plan has no input `golb`");
    assert_eq!(errors[0].fix.as_deref(), Some("did you mean `glob`?"));
    assert!(told[1].starts_with("6: the input `count` is 256"), "{told:?}");
    assert_eq!(told[2], "5: the input `glob` is missing");
    assert_eq!(errors[2].fix.as_deref(), Some("give it with `--input glob=..`"));
    assert!(told[3].starts_with("8: the input `kind` is"), "{told:?}");
    assert_eq!(errors[3].fix.as_deref(), Some("did you mean `fast`?"));
    assert_eq!(told_one(&json!([])), "1: the inputs are no JSON object");
}

#[test]
fn an_unknown_input_is_told_with_those_there_are() {
    let errors = plan().inputs_from_json(&json!({ "glob": "*", "x": 1 })).unwrap_err();
    assert_eq!(errors[0].expected.as_deref(), Some("`count`, `glob`, `kind`, `note`, `paths`"));
    let none = plan_of("steps: { a: { call: s/canvas.ping } }\n");
    let errors = none.inputs_from_json(&json!({ "x": 1 })).unwrap_err();
    assert_eq!(errors[0].expected.as_deref(), Some("no input"));
}

fn told_one(json: &serde_json::Value) -> String {
    told(&plan().inputs_from_json(json).unwrap_err()).remove(0)
}

#[test]
fn a_wrong_input_is_told_with_its_place_and_null_is_none_of_a_string() {
    assert!(told_one(&json!({ "glob": null })).starts_with("5: the input `glob` is "));
    let errors = plan().inputs_from_json(&json!({ "glob": "*", "paths": ["a", 5] })).unwrap_err();
    assert!(errors[0].message.starts_with("the input `paths` at `/1` is "), "{errors:?}");
}

#[test]
fn an_assigned_character_is_the_text_itself() {
    let plan = plan_of("inputs: { c: { type: char } }\nsteps: { a: { call: s/canvas.ping } }\n");
    assert_eq!(plan.inputs_from_assignments(&["c=x"]).unwrap()["c"], Value::Char('x'));
}

#[test]
fn assignments_take_text_as_it_is_and_the_rest_as_json() {
    let assignments = ["glob=a=\"b\"", "count=7", "note=null", "kind=slow", "paths=[\"x\"]"];
    let inputs = plan().inputs_from_assignments(&assignments).unwrap();
    assert_eq!(inputs["glob"], Value::String("a=\"b\"".to_owned()));
    assert_eq!(inputs["count"], Value::U8(7));
    assert_eq!(inputs["note"], Value::Option(None));
    assert_eq!(inputs["paths"], Value::List(vec![Value::String("x".to_owned())]));
    let noted = plan().inputs_from_assignments(&["glob=", "note=hm"]).unwrap();
    assert_eq!(noted["note"], Value::Option(Some(Box::new(Value::String("hm".to_owned())))));
}

#[test]
fn wrong_assignments_are_told_once_each() {
    let errors =
        plan().inputs_from_assignments(&["glob", "count=x", "kind=slow", "kind=fast", "glob=a"]).unwrap_err();
    let told = told(&errors);
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], "1: `glob` is no input");
    assert!(told[1].starts_with("6: the value of the input `count` is no JSON: "), "{told:?}");
    assert_eq!(told[2], "8: the input `kind` is given twice");
}
