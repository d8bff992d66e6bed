//! What the codec refuses, with its places, all at once.

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use values::{
    BYTES_MAX, Case, ERRORS_MAX, Field, FunctionType, TYPE_DEPTH_MAX, Type, Value, ValueError,
    arguments_from_json, from_json, type_check,
};

use crate::arbitrary::{json, types};

proptest! {
    #[test]
    fn any_json_is_a_typed_value_or_a_list_of_places(ty in types(), json in json()) {
        match from_json(&json, &ty) {
            Ok(value) => prop_assert!(type_check(&value, &ty), "{json} {ty} {value:?}"),
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    let parent = error.path.rsplit_once('/').map_or("", |(parent, _)| parent);
                    prop_assert!(json.pointer(parent).is_some(), "{} is no place in {}", error.path, json);
                }
            }
        }
    }
}

fn refused(json: &Json, ty: &Type) -> Vec<ValueError> {
    from_json(json, ty).expect_err(&format!("{json} was accepted as {ty}"))
}

fn field(name: &str, ty: Type) -> Field {
    Field { name: name.to_owned(), ty }
}

fn list(ty: Type) -> Type {
    Type::List(Box::new(ty))
}

fn option(ty: Type) -> Type {
    Type::Option(Box::new(ty))
}

#[test]
fn integers_are_whole_and_in_range() {
    let bounds = [
        (Type::U8, 0, 255_i128),
        (Type::S8, -128, 127),
        (Type::U16, 0, 65_535),
        (Type::S16, -32_768, 32_767),
        (Type::U32, 0, 4_294_967_295),
        (Type::S32, -2_147_483_648, 2_147_483_647),
        (Type::U64, 0, 18_446_744_073_709_551_615),
        (Type::S64, i64::MIN.into(), i64::MAX.into()),
    ];
    for (ty, min, max) in bounds {
        let number = |n: i128| values::parse_json(n.to_string().as_bytes()).unwrap();
        for inside in [min, 0, 1, max] {
            assert!(from_json(&number(inside), &ty).is_ok(), "{inside} as {ty}");
        }
        for outside in [min - 1, max + 1] {
            assert_eq!(refused(&number(outside), &ty).len(), 1);
        }
        for bad in [json!(1.0), json!(1.5), json!(1e2), json!(-0.0), json!(true), json!(null), json!([1])] {
            refused(&bad, &ty);
        }
        let wide = matches!(ty, Type::U64 | Type::S64);
        assert_eq!(from_json(&json!("1"), &ty).is_ok(), wide, "\"1\" as {ty}");
        assert_eq!(from_json(&json!(max.to_string()), &ty).is_ok(), wide);
        for bad in ["", "-", "+1", "01", "-0", "1.0", "1e2", " 1", "1 ", "0x1", "١"] {
            refused(&json!(bad), &ty);
        }
        refused(&json!((max + 1).to_string()), &ty);
        refused(&json!((min - 1).to_string()), &ty);
        refused(&json!("9".repeat(100_000)), &ty);
    }
    let error = &refused(&json!(256), &Type::U8)[0];
    assert_eq!(error.to_string(), "the value: expected u8, an integer from 0 to 255, found 256");
}

#[test]
fn floats_have_three_names_and_f32_has_a_range() {
    assert_eq!(from_json(&json!("nan"), &Type::F32), Ok(Value::F32(f32::NAN)));
    assert_eq!(from_json(&json!(3), &Type::F64), Ok(Value::F64(3.0)));
    assert_eq!(from_json(&json!(f64::from(f32::MAX)), &Type::F32), Ok(Value::F32(f32::MAX)));
    assert_eq!(from_json(&json!(1e39), &Type::F64), Ok(Value::F64(1e39)));
    refused(&json!(1e39), &Type::F32);
    refused(&json!(-1e39), &Type::F32);
    for bad in [json!("NaN"), json!("infinity"), json!("1"), json!(null), json!("+inf")] {
        refused(&bad, &Type::F64);
    }
}

#[test]
fn a_char_is_one_scalar() {
    assert_eq!(from_json(&json!("😀"), &Type::Char), Ok(Value::Char('😀')));
    for bad in [json!(""), json!("ab"), json!("e\u{301}"), json!(97)] {
        refused(&bad, &Type::Char);
    }
}

#[test]
fn bytes_are_canonical_base64_of_bounded_length() {
    let ty = list(Type::U8);
    assert_eq!(from_json(&json!(""), &ty), Ok(Value::Bytes(vec![])));
    assert_eq!(from_json(&json!("AA=="), &ty), Ok(Value::Bytes(vec![0])));
    // Trailing bits, missing and extra padding, the URL alphabet, white space, and an array of numbers.
    for bad in ["AB==", "AA", "AA=", "AA===", "A", "_-==", "AA==\n", " AA==", "AA==AA=="] {
        refused(&json!(bad), &ty);
    }
    refused(&json!([0]), &ty);
    let largest = "A".repeat(BYTES_MAX.div_ceil(3) * 4 - 2) + "==";
    let Ok(Value::Bytes(bytes)) = from_json(&json!(largest), &ty) else { panic!("the largest was refused") };
    assert_eq!(bytes.len(), BYTES_MAX);
    let larger = "A".repeat(BYTES_MAX.div_ceil(3) * 4 - 1) + "=";
    assert!(refused(&json!(larger), &ty)[0].expected.contains("at most 262144 bytes"));
    refused(&json!("A".repeat(BYTES_MAX * 2)), &ty);
}

#[test]
fn variants_have_two_forms_by_their_payload() {
    let ty = Type::Variant(vec![
        Case { name: "not-found".into(), payload: None },
        Case { name: "denied".into(), payload: Some(option(Type::String)) },
    ]);
    assert!(from_json(&json!("not-found"), &ty).is_ok());
    assert!(from_json(&json!({"denied": "x"}), &ty).is_ok());
    assert!(from_json(&json!({"denied": null}), &ty).is_ok());
    for bad in [
        json!("denied"),
        json!({"not-found": null}),
        json!({}),
        json!({"denied": "x", "not-found": null}),
        json!(0),
    ] {
        refused(&bad, &ty);
    }
    let error = &refused(&json!("not_found"), &ty)[0];
    assert_eq!(error.suggestion.as_deref(), Some("not-found"));
    assert_eq!(error.expected, "one of `not-found`, `denied`");
    assert_eq!(refused(&json!({"denied": 1}), &ty)[0].path, "/denied");
}

#[test]
fn flags_are_known_and_set_once() {
    let ty = Type::Flags(vec!["read".into(), "write".into()]);
    assert_eq!(
        from_json(&json!(["write", "read"]), &ty),
        Ok(Value::Flags(vec!["read".into(), "write".into()]))
    );
    assert_eq!(refused(&json!(["read", "read"]), &ty)[0].path, "/1");
    assert_eq!(refused(&json!(["raed"]), &ty)[0].suggestion.as_deref(), Some("read"));
    refused(&json!({"read": true}), &ty);
}

#[test]
fn results_have_exactly_one_member() {
    let ty = Type::Result { ok: None, err: Some(Box::new(Type::U8)) };
    assert_eq!(from_json(&json!({"ok": null}), &ty), Ok(Value::Result(Ok(None))));
    assert!(from_json(&json!({"err": 1}), &ty).is_ok());
    for bad in [
        json!({}),
        json!({"ok": 1}),
        json!({"err": null}),
        json!({"ok": null, "err": 1}),
        json!("ok"),
        json!(null),
    ] {
        refused(&bad, &ty);
    }
}

#[test]
fn every_problem_of_a_record_comes_at_once() {
    let ty = list(Type::Record(vec![
        field("path", Type::String),
        field("line", Type::U32),
        field("owner", option(Type::String)),
        field("at", Type::Tuple(vec![Type::U8, Type::U8])),
    ]));
    let good = json!([{"path": "a", "line": 1, "at": [1, 2]}]);
    assert!(from_json(&good, &ty).is_ok());
    let bad = json!([{"pth": "a", "line": "1", "owner": 2, "at": [1, 300]}, {"path": "b", "line": 1, "at": [1]}, 7]);
    let errors = refused(&bad, &ty);
    let places: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(places, ["/0/pth", "/0/path", "/0/line", "/0/owner", "/0/at/1", "/1/at", "/2"]);
    assert_eq!(errors[0].suggestion.as_deref(), Some("path"));
    assert_eq!(errors[1].to_string(), "/0/path: expected string, found nothing");
}

#[test]
fn a_place_is_a_json_pointer_whatever_the_key() {
    let ty = Type::Record(vec![field("a", list(Type::Record(vec![field("b", Type::U8)])))]);
    let json = json!({"a": [{"b": 1, "x/y~z": 2}]});
    let error = &refused(&json, &ty)[0];
    assert_eq!(error.path, "/a/0/x~1y~0z");
    assert_eq!(json.pointer(&error.path), Some(&json!(2)));
}

#[test]
fn arguments_go_by_name_and_options_may_be_absent() {
    let f = FunctionType {
        params: vec![field("root", option(Type::String)), field("glob", Type::String)],
        result: None,
    };
    let glob = Value::String("**".into());
    assert_eq!(arguments_from_json(&json!({"glob": "**"}), &f), Ok(vec![Value::Option(None), glob]));
    let errors = arguments_from_json(&json!({"golb": 1}), &f).unwrap_err();
    let shown: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "/golb: expected a known parameter: `root`, `glob`, found parameter `golb`",
            "/glob: expected string, found nothing",
        ]
    );
    assert_eq!(errors[0].suggestion.as_deref(), Some("glob"));
    assert!(arguments_from_json(&json!(["**"]), &f).is_err());
    assert_eq!(arguments_from_json(&json!({}), &FunctionType { params: vec![], result: None }), Ok(vec![]));
}

#[test]
fn hostile_sizes_are_bounded() {
    let many = Json::Array(vec![json!("x"); 1_000_000]);
    assert_eq!(refused(&many, &list(Type::U16)).len(), ERRORS_MAX);
    let fields: Vec<_> = (0..ERRORS_MAX + 1).map(|n| field(&format!("f{n}"), Type::U8)).collect();
    assert_eq!(refused(&json!({}), &Type::Record(fields)).len(), ERRORS_MAX);
    let keys: serde_json::Map<_, _> = (0..1_000_000).map(|n| (n.to_string(), Json::Null)).collect();
    assert_eq!(refused(&Json::Object(keys), &Type::Record(vec![field("a", Type::U8)])).len(), ERRORS_MAX);
    let long = "x".repeat(1_000_000);
    let error =
        refused(&json!({ long.as_str(): long }), &Type::Record(vec![field("a", option(Type::U8))])).remove(0);
    assert!(error.found.len() < 200 && error.suggestion.is_none());

    let nest = |depth| (0..depth).fold((Type::Bool, json!(true)), |(ty, json), _| (list(ty), json!([json])));
    let (ty, deepest) = nest(TYPE_DEPTH_MAX - 1);
    assert!(from_json(&deepest, &ty).is_ok());
    let (ty, deeper) = nest(TYPE_DEPTH_MAX);
    assert!(refused(&deeper, &ty)[0].expected.contains("at most 48 levels"));
}
