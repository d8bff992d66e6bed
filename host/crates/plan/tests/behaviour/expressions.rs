//! What the language of expressions has not, or not yet.

use base::Code;

use crate::{HEAD, check, codes};

/// `HEAD`, an input and a step, and the expression as an output.
fn output(expression: &str) -> String {
    let inputs = "inputs: { l: { type: list<string> } }";
    let steps = "steps: { a: { call: s/canvas.ping } }";
    format!("{HEAD}{inputs}\n{steps}\noutputs: {{ a: '${{ {expression} }}' }}\n")
}

#[test]
fn every_operator_is_refused_by_its_name() {
    for name in [
        "==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "!", "and", "or", "not",
        "contains", "default",
    ] {
        let found = check(&output(&format!("1 {name} 2"))).diagnostics;
        assert_eq!((found.len(), found[0].code), (1, Code::PlanUnsupported), "{name}");
        assert_eq!(found[0].message, format!("`{name}` is not supported yet"));
    }
}

#[test]
fn a_length_is_of_a_reference_in_brackets() {
    assert_eq!(codes(&output("len($inputs.l)")), []);
    for wrong in ["len $inputs.l)", "len(inputs.l)", "len(5)"] {
        assert_eq!(codes(&output(wrong)), [Code::PlanExpression], "{wrong}");
    }
}

#[test]
fn a_number_is_finite() {
    assert_eq!(codes(&output(&"9".repeat(300))), []);
    assert_eq!(codes(&output(&"9".repeat(400))), [Code::PlanExpression]);
}
