//! Schemas say what the codec accepts. Checked by a small validator of the keywords that are used.

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use values::{Case, Field, FunctionType, Type, from_json, parameters_schema, schema, to_json};

use crate::arbitrary::{json, typed_values, types};

/// Whether `json` is valid for `schema`. An unknown keyword fails the test.
pub(crate) fn accepts(schema: &Json, json: &Json) -> bool {
    let Json::Object(keywords) = schema else { return schema.as_bool().unwrap() };
    keywords.iter().all(|(keyword, argument)| keyword_accepts(keyword, argument, keywords, json))
}

fn keyword_accepts(keyword: &str, argument: &Json, all: &serde_json::Map<String, Json>, json: &Json) -> bool {
    let schemas = || argument.as_array().unwrap().iter();
    let length = |json: &Json| json.as_str().map(|text| text.chars().count() as u64);
    match keyword {
        "$schema" | "contentEncoding" => true,
        "type" => match argument.as_str().unwrap() {
            "null" => json.is_null(),
            "boolean" => json.is_boolean(),
            "integer" => json.is_u64() || json.is_i64() || json.as_f64().is_some_and(|n| n.fract() == 0.0),
            "number" => json.is_number(),
            "string" => json.is_string(),
            "array" => json.is_array(),
            "object" => json.is_object(),
            other => panic!("type {other}"),
        },
        "const" => json == argument,
        "enum" => argument.as_array().unwrap().contains(json),
        "anyOf" => schemas().any(|schema| accepts(schema, json)),
        "oneOf" => schemas().filter(|schema| accepts(schema, json)).count() == 1,
        "minimum" => exact(json).is_none_or(|n| n >= exact(argument).unwrap()),
        "maximum" => exact(json).is_none_or(|n| n <= exact(argument).unwrap()),
        "minLength" => length(json).is_none_or(|n| n >= argument.as_u64().unwrap()),
        "maxLength" => length(json).is_none_or(|n| n <= argument.as_u64().unwrap()),
        "pattern" => json.as_str().is_none_or(|text| {
            let digits = text.strip_prefix('-').unwrap_or(text);
            text == "0"
                || (argument.as_str().unwrap().contains('-') && argument.as_str().unwrap().contains('?')
                    || !text.starts_with('-'))
                    && digits.starts_with(|c: char| ('1'..='9').contains(&c))
                    && digits.bytes().all(|b| b.is_ascii_digit())
                    && digits.len() <= 20
        }),
        "prefixItems" => {
            json.as_array().is_none_or(|items| items.iter().zip(schemas()).all(|(i, s)| accepts(s, i)))
        }
        "items" => json.as_array().is_none_or(|items| {
            let skipped = all.get("prefixItems").map_or(0, |prefix| prefix.as_array().unwrap().len());
            items.iter().skip(skipped).all(|item| accepts(argument, item))
        }),
        "minItems" => json.as_array().is_none_or(|items| items.len() as u64 >= argument.as_u64().unwrap()),
        "uniqueItems" => {
            json.as_array().is_none_or(|items| (1..items.len()).all(|n| !items[..n].contains(&items[n])))
        }
        "properties" => json.as_object().is_none_or(|members| {
            members.iter().all(|(key, json)| argument.get(key).is_none_or(|schema| accepts(schema, json)))
        }),
        "required" => json
            .as_object()
            .is_none_or(|members| schemas().all(|key| members.contains_key(key.as_str().unwrap()))),
        "additionalProperties" => json.as_object().is_none_or(|members| {
            members.keys().all(|key| all["properties"].get(key).is_some() || accepts(argument, &members[key]))
        }),
        other => panic!("keyword {other}"),
    }
}

/// Comparable without loss where both are integers or both are not.
fn exact(json: &Json) -> Option<(bool, i128, f64)> {
    let integer = json.as_i64().map(i128::from).or_else(|| json.as_u64().map(i128::from));
    match integer {
        Some(n) => Some((false, n, 0.0)),
        None => json.as_f64().map(|n| (false, n as i128, n)),
    }
}

proptest! {
    #[test]
    fn what_the_codec_accepts_the_schema_accepts(ty in types(), json in json()) {
        if from_json(&json, &ty).is_ok() {
            prop_assert!(accepts(&schema(&ty), &json), "{} refuses {}", schema(&ty), json);
        }
    }

    #[test]
    fn a_value_of_another_type_is_judged_alike((_, value) in typed_values(), ty in types()) {
        let json = to_json(&value);
        if !accepts(&schema(&ty), &json) {
            prop_assert!(from_json(&json, &ty).is_err(), "{ty} {json}");
        }
    }
}

#[test]
fn a_record_and_its_parameters_read_as_expected() {
    let cases = vec![
        Case { name: "none".into(), payload: None },
        Case { name: "some".into(), payload: Some(Type::U8) },
    ];
    let fields = vec![
        Field { name: "depth".into(), ty: Type::Option(Box::new(Type::U64)) },
        Field { name: "pick".into(), ty: Type::Variant(cases) },
    ];
    let expected = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "depth": {"anyOf": [
                {"anyOf": [
                    {"type": "integer", "minimum": 0, "maximum": 18_446_744_073_709_551_615_u64},
                    {"type": "string", "pattern": "^(0|[1-9][0-9]{0,19})$"},
                ]},
                {"type": "null"},
            ]},
            "pick": {"oneOf": [
                {"type": "string", "const": "none"},
                {"type": "object", "properties": {"some": {"type": "integer", "minimum": 0, "maximum": 255}},
                 "required": ["some"], "additionalProperties": false},
            ]},
        },
        "required": ["pick"],
        "additionalProperties": false,
    });
    assert_eq!(schema(&Type::Record(fields.clone())), expected);
    assert_eq!(parameters_schema(&FunctionType { params: fields, result: None }), expected);
}
