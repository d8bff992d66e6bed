//! Values that each keyword takes and refuses, and schemas that are not read.

use serde_json::{Value as Json, json};

use super::*;

fn check(schema: &Json, value: &Json) -> Result<(), String> {
    let schema = JsonSchema::parse(&schema.to_string()).unwrap();
    schema.check(value).map_err(|mismatch| mismatch.to_string())
}

/// Values that a schema takes, values that it does not, and what it says of the first of these.
fn both(schema: &Json, good: &[Json], bad: &[Json], says: &str) {
    for value in good {
        assert_eq!(check(schema, value), Ok(()), "{schema} and {value}");
    }
    for value in bad {
        assert!(check(schema, value).is_err(), "{schema} and {value}");
    }
    let said = bad.first().map(|value| check(schema, value).unwrap_err());
    assert_eq!(said.unwrap_or_default(), says, "{schema}");
}

#[test]
fn each_keyword_takes_some_values_and_refuses_others() {
    both(
        &json!({"type": "integer"}),
        &[json!(1), json!(-0), json!(2.0)],
        &[json!(1.5), json!("1")],
        "the value: expected integer",
    );
    both(
        &json!({"type": ["null", "string"]}),
        &[json!(null), json!("")],
        &[json!(1), json!([])],
        "the value: expected null or string",
    );
    both(&json!({"type": "boolean"}), &[json!(true)], &[json!(0)], "the value: expected boolean");
    both(&json!({"type": "number"}), &[json!(0.5), json!(7)], &[json!("7")], "the value: expected number");
    both(
        &json!({"enum": ["a", 1, [1]]}),
        &[json!("a"), json!(1.0), json!([1])],
        &[json!("b"), json!([1, 1])],
        "the value: not one of the values that are allowed",
    );
    both(
        &json!({"const": {"a": [null]}}),
        &[json!({"a": [null]})],
        &[json!({"a": []}), json!({"b": [null]})],
        "the value: not one of the values that are allowed",
    );
    both(
        &json!({"minimum": 1, "maximum": 2.5}),
        &[json!(1), json!(2.5), json!("0")],
        &[json!(0.9), json!(3)],
        "the value: expected at least 1",
    );
    both(
        &json!({"exclusiveMinimum": 1, "exclusiveMaximum": 2}),
        &[json!(1.5)],
        &[json!(2), json!(1)],
        "the value: expected less than 2",
    );
    both(
        &json!({"maximum": 9007199254740993_u64}),
        &[json!(9007199254740993_u64)],
        &[json!(9007199254740994_u64)],
        "the value: expected at most 9007199254740993",
    );
    both(
        &json!({"multipleOf": 3}),
        &[json!(-9), json!(0), json!(6.0)],
        &[json!(7), json!(1.5)],
        "the value: expected a multiple of 3",
    );
    both(
        &json!({"minLength": 2, "maxLength": 3}),
        &[json!("\u{1f600}\u{1f600}"), json!(1)],
        &[json!("a"), json!("abcd")],
        "the value: expected at least 2 characters, not 1",
    );
    both(
        &json!({"minItems": 1, "maxItems": 2}),
        &[json!([1]), json!({})],
        &[json!([]), json!([1, 2, 3])],
        "the value: expected at least 1 items, not 0",
    );
    both(
        &json!({"minProperties": 1, "maxProperties": 1}),
        &[json!({"a": 1})],
        &[json!({}), json!({"a": 1, "b": 1})],
        "the value: expected at least 1 members, not 0",
    );
    both(
        &json!({"uniqueItems": true}),
        &[json!([1, "1", [1]])],
        &[json!([{"a": 1}, {"a": 1.0}])],
        "/1: an earlier item is equal",
    );
    both(&json!({"uniqueItems": false}), &[json!([1, 1])], &[], "");
}

#[test]
fn what_is_inside_is_checked_where_it_is() {
    both(
        &json!({"type": "object", "properties": {"a/b": {"type": "string"}}, "required": ["a/b"], "additionalProperties": false}),
        &[json!({"a/b": "x"})],
        &[json!({"a/b": 1}), json!({}), json!({"a/b": "x", "c": 1})],
        "/a~1b: expected string",
    );
    both(
        &json!({"required": ["x"]}),
        &[json!({"x": 1}), json!([])],
        &[json!({"y": 1})],
        "the value: `x` is missing",
    );
    both(
        &json!({"additionalProperties": {"type": "integer"}}),
        &[json!({"a": 1})],
        &[json!({"a": "1"})],
        "/a: expected integer",
    );
    both(
        &json!({"propertyNames": {"maxLength": 1}}),
        &[json!({"a": 1})],
        &[json!({"ab": 1})],
        "/ab: expected at most 1 characters, not 2",
    );
    both(
        &json!({"prefixItems": [{"type": "string"}], "items": {"type": "integer"}}),
        &[json!([]), json!(["a"]), json!(["a", 1])],
        &[json!(["a", "b"]), json!([1])],
        "/1: expected integer",
    );
    both(&json!({"items": false}), &[json!([])], &[json!([1])], "/0: nothing is allowed here");
    both(
        &json!({"allOf": [{"minimum": 1}, {"maximum": 2}]}),
        &[json!(1)],
        &[json!(3), json!(0)],
        "the value: expected at most 2",
    );
    both(
        &json!({"anyOf": [{"type": "string"}, {"minimum": 5}]}),
        &[json!("a"), json!(5)],
        &[json!(4)],
        "the value: none of the alternatives fits",
    );
    both(
        &json!({"oneOf": [{"type": "integer"}, {"minimum": 5}]}),
        &[json!(4), json!(5.5)],
        &[json!(5), json!(4.5)],
        "the value: 2 of the alternatives fit, not exactly one",
    );
    both(
        &json!({"not": {"type": "string"}}),
        &[json!(1)],
        &[json!("a")],
        "the value: what is not allowed fits",
    );
    both(&json!(true), &[json!(1)], &[], "");
    both(
        &json!({"$defs": {"tree": {"type": "object", "properties": {"kids": {"items": {"$ref": "#/$defs/tree"}}}}}, "$ref": "#/$defs/tree"}),
        &[json!({"kids": [{"kids": []}]})],
        &[json!({"kids": [{"kids": [1]}]})],
        "/kids/0/kids/0: expected object",
    );
    both(
        &json!({"properties": {"next": {"$ref": "#"}}, "type": "object"}),
        &[json!({"next": {}})],
        &[json!({"next": {"next": 1}})],
        "/next/next: expected object",
    );
}

#[test]
fn a_schema_that_is_not_understood_is_refused_by_name() {
    for (schema, says) in [
        (json!(1), "the schema: expected an object, `true` or `false`"),
        (json!({"pattern": "^a$"}), "/pattern: a keyword that is not checked here"),
        (
            json!({"properties": {"a": {"minimun": 1}}}),
            "/properties/a/minimun: a keyword that is not checked here",
        ),
        (json!({"$ref": "https://example.com/a"}), "/$ref: only `#` and `#/$defs/name` are looked up"),
        (json!({"$ref": "#/$defs/none"}), "/$ref: nothing is at `#/$defs/none`"),
        (json!({"$ref": "#/properties/a"}), "/$ref: only `#` and `#/$defs/name` are looked up"),
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#"}),
            "/$schema: expected `https://json-schema.org/draft/2020-12/schema`",
        ),
        (json!({"type": "text"}), "/type: no such type"),
        (json!({"type": []}), "/type: expected a string"),
        (json!({"anyOf": []}), "/anyOf: expected at least one schema"),
        (json!({"minLength": -1}), "/minLength: expected a whole number from 0 on"),
        (json!({"minimum": "1"}), "/minimum: expected a number"),
        (json!({"multipleOf": 0}), "/multipleOf: only whole numbers from 1 on are checked here"),
        (json!({"required": [1]}), "/required: expected a string"),
        (json!({"properties": []}), "/properties: expected an object"),
        (json!({"enum": 1}), "/enum: expected an array"),
        (json!({"uniqueItems": 1}), "/uniqueItems: expected `true` or `false`"),
    ] {
        assert_eq!(JsonSchema::parse(&schema.to_string()).unwrap_err().to_string(), says);
    }
    let annotated =
        json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "t", "format": "date"});
    assert_eq!(check(&annotated, &json!(1)), Ok(()));
    let padded = |length: usize| format!("{{\"title\": \"{}\"}}", "a".repeat(length - 13));
    assert!(JsonSchema::parse(&padded(SCHEMA_BYTES_MAX)).is_ok());
    let long = JsonSchema::parse(&padded(SCHEMA_BYTES_MAX + 1)).unwrap_err().to_string();
    assert_eq!(long, "the schema: more than 65536 bytes");
    assert!(JsonSchema::parse("{").is_err() && JsonSchema::parse("{\"a\":1,\"a\":1}").is_err());
}

#[test]
fn no_schema_takes_forever() {
    // Each definition asks for the next one twice: 2 to the 40th applications.
    let twice =
        |n: usize| json!({"anyOf": [{"$ref": format!("#/$defs/d{n}")}, {"$ref": format!("#/$defs/d{n}")}]});
    let mut defs: serde_json::Map<String, Json> = (0..40).map(|n| (format!("d{n}"), twice(n + 1))).collect();
    defs.insert("d40".to_owned(), json!({"type": "string"}));
    let doubling = json!({"$defs": defs, "$ref": "#/$defs/d0"});
    assert_eq!(check(&doubling, &json!(1)), Err("the value: checking it takes too many steps".to_owned()));
    assert_eq!(check(&doubling, &json!("a")), Ok(()));
    // It refers to itself without going anywhere.
    let endless = Err("the value: checking it nests too deeply".to_owned());
    assert_eq!(check(&json!({"$ref": "#"}), &json!(1)), endless);
    assert_eq!(check(&json!({"not": {"$ref": "#"}}), &json!(1)), endless);
    // Comparing each item with each other one.
    let many: Vec<Json> = (0..3_000).map(|n| json!(n)).collect();
    let unique = json!({"uniqueItems": true});
    assert_eq!(check(&unique, &json!(many)), Err("the value: checking it takes too many steps".to_owned()));
    assert_eq!(check(&unique, &json!(many[..1_000])), Ok(()));
}

#[test]
fn numbers_beyond_integers_are_compared_as_they_are() {
    let large = json!({"type": "integer", "minimum": 2e300});
    assert_eq!(check(&large, &json!(3e300)), Ok(()));
    assert_eq!(check(&large, &json!(1e300)), Err("the value: expected at least 2e+300".to_owned()));
}
