//! A value's JSON reads back to the same value, and is as long as was said.

use proptest::prelude::*;
use values::{Type, Value, from_json, json_fits, json_size, parse_json, schema, to_json, type_check};

use crate::arbitrary::typed_values;
use crate::schemas::accepts;

proptest! {
    #[test]
    fn json_reads_back_to_the_same_value((ty, value) in typed_values()) {
        prop_assert!(type_check(&value, &ty));
        let json = to_json(&value);
        prop_assert_eq!(from_json(&json, &ty), Ok(value.clone()), "{}", json);
        let text = serde_json::to_vec(&json).unwrap();
        let size = text.len() as u64;
        prop_assert_eq!(json_size(&value), size, "{}", json);
        let twice = [value.clone(), value.clone()];
        prop_assert!(json_fits(&twice, size * 2) && !json_fits(&twice, size * 2 - 1), "{}", json);
        prop_assert_eq!(from_json(&parse_json(&text).unwrap(), &ty), Ok(value));
        prop_assert!(accepts(&schema(&ty), &json), "{} refuses {}", schema(&ty), json);
    }
}

#[test]
fn the_forms_are_those_of_the_design() {
    let some = |value| Some(Box::new(value));
    let forms = [
        (Value::Option(None), "null"),
        (Value::Option(some(Value::U8(1))), "1"),
        (Value::Result(Ok(some(Value::Bool(true)))), r#"{"ok":true}"#),
        (Value::Result(Err(None)), r#"{"err":null}"#),
        (Value::Variant { case: "not-found".into(), payload: None }, r#""not-found""#),
        (Value::Variant { case: "io".into(), payload: some(Value::String("x".into())) }, r#"{"io":"x"}"#),
        (Value::Flags(vec!["read".into(), "write".into()]), r#"["read","write"]"#),
        (Value::Tuple(vec![Value::Char('é'), Value::S8(-1)]), r#"["é",-1]"#),
        (Value::Bytes(vec![0, 255]), r#""AP8=""#),
        (Value::U64((1 << 53) - 1), "9007199254740991"),
        (Value::U64(1 << 53), r#""9007199254740992""#),
        (Value::S64(-(1 << 53) + 1), "-9007199254740991"),
        (Value::S64(-(1 << 53)), r#""-9007199254740992""#),
        (Value::S64(i64::MIN), r#""-9223372036854775808""#),
        (Value::F64(f64::NAN), r#""nan""#),
        (Value::F32(f32::INFINITY), r#""inf""#),
        (Value::F64(f64::NEG_INFINITY), r#""-inf""#),
        (Value::F64(-0.0), "-0.0"),
        (Value::String("\u{1}\"\\\n\u{7f}".into()), "\"\\u0001\\\"\\\\\\n\u{7f}\""),
    ];
    for (value, text) in forms {
        assert_eq!(to_json(&value).to_string(), text);
        assert_eq!(json_size(&value), text.len() as u64, "{text}");
    }
}

#[test]
fn the_size_of_a_text_counts_each_byte_wherever_it_is() {
    let text_of = |text: String| {
        let value = Value::String(text);
        let size = to_json(&value).to_string().len() as u64;
        assert_eq!(json_size(&value), size, "{value:?}");
        let just = std::slice::from_ref(&value);
        assert!(json_fits(just, size) && !json_fits(just, size - 1), "{value:?}");
    };
    for byte in 0..=0x7f_u8 {
        for before in [0, 1, 15, 16, 30, 31, 32, 33, 63, 64] {
            let around = |n: usize| "x".repeat(n);
            text_of(format!("{}{}{}", around(before), char::from(byte), around(40)));
        }
        for many in [31, 32, 33, 64, 100] {
            text_of(char::from(byte).to_string().repeat(many));
        }
    }
    text_of("é\u{2028}\u{10ffff}".repeat(20));
    assert!(json_fits(&[], 0));
}

#[test]
fn a_brief_type_is_whole_or_short() {
    let pair = Type::Tuple(vec![Type::Char, Type::List(Box::new(Type::Bool))]);
    assert_eq!(pair.brief(), "tuple<char, list<bool>>");
    let huge = Type::Enum((0..1_000_000).map(|n| format!("case-{n}")).collect());
    assert!(huge.brief().starts_with("enum { case-0, case-1, ") && huge.brief().ends_with("..."));
    assert!(huge.brief().len() <= 123);
}

#[test]
fn a_type_knows_its_depth() {
    let nested = (0..9).fold(Type::U8, |ty, _| Type::List(Box::new(ty)));
    assert_eq!(nested.depth(), 10);
    assert_eq!(Type::Result { ok: Some(Box::new(nested)), err: None }.depth(), 11);
    assert_eq!(Type::Tuple(vec![Type::Bool, Type::Option(Box::new(Type::Bool))]).depth(), 3);
}
