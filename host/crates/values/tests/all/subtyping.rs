//! Subtyping is a preorder, and coercion follows it.

use proptest::collection::vec;
use proptest::prelude::*;
use values::{Case, Field, Type, Value, coerce, is_subtype, type_check};

use crate::arbitrary::{typed_values, types, values_of, widened};

proptest! {
    #[test]
    fn every_type_is_its_own_subtype_and_coerces_to_itself((ty, value) in typed_values()) {
        prop_assert_eq!(is_subtype(&ty, &ty), Ok(()));
        prop_assert_eq!(coerce(value.clone(), &ty), Ok(value));
    }

    #[test]
    fn a_value_of_a_subtype_becomes_a_value_of_the_type(
        (ty, value) in typed_values(),
        turns in vec(any::<prop::sample::Index>(), 24),
        further in vec(any::<prop::sample::Index>(), 24),
    ) {
        let wide = widened(&ty, &turns);
        let wider = widened(&wide, &further);
        prop_assert_eq!(is_subtype(&ty, &wide), Ok(()));
        prop_assert_eq!(is_subtype(&wide, &wider), Ok(()));
        prop_assert_eq!(is_subtype(&ty, &wider), Ok(()), "{} {} {}", ty, wide, wider);
        let once = coerce(value.clone(), &wide).unwrap();
        prop_assert!(type_check(&once, &wide), "{once:?} {wide}");
        // One step or two: the same value.
        prop_assert_eq!(coerce(once, &wider), coerce(value, &wider));
    }

    #[test]
    fn coercion_gives_a_value_of_the_type_or_an_error((_, value) in typed_values(), ty in types()) {
        if let Ok(value) = coerce(value, &ty) {
            prop_assert!(type_check(&value, &ty));
        }
    }
}

fn option(ty: Type) -> Type {
    Type::Option(Box::new(ty))
}

fn list(ty: Type) -> Type {
    Type::List(Box::new(ty))
}

fn record(fields: &[(&str, Type)]) -> Type {
    let field = |(name, ty): &(&str, Type)| Field { name: (*name).to_owned(), ty: ty.clone() };
    Type::Record(fields.iter().map(field).collect())
}

fn variant(cases: &[(&str, Option<Type>)]) -> Type {
    let case =
        |(name, payload): &(&str, Option<Type>)| Case { name: (*name).to_owned(), payload: payload.clone() };
    Type::Variant(cases.iter().map(case).collect())
}

/// Types that are close to each other, so that many pairs are related.
fn universe() -> Vec<Type> {
    let scalars = [
        Type::Bool,
        Type::S8,
        Type::U8,
        Type::S16,
        Type::U16,
        Type::S32,
        Type::U32,
        Type::S64,
        Type::U64,
        Type::F32,
        Type::F64,
        Type::Char,
        Type::String,
    ];
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut types = scalars.to_vec();
    for ty in [Type::U8, Type::U16, Type::S16, Type::S64, Type::String] {
        types.extend([
            option(ty.clone()),
            list(ty.clone()),
            list(option(ty.clone())),
            option(list(ty.clone())),
            record(&[("a", ty.clone())]),
            record(&[("a", ty.clone()), ("b", Type::Bool)]),
            record(&[("b", Type::Bool), ("a", option(ty.clone()))]),
            variant(&[("x", Some(ty.clone()))]),
            variant(&[("y", None), ("x", Some(ty.clone()))]),
            Type::Tuple(vec![ty.clone()]),
            Type::Tuple(vec![ty.clone(), ty.clone()]),
            Type::Result { ok: Some(Box::new(ty.clone())), err: None },
            Type::Result { ok: Some(Box::new(ty.clone())), err: Some(Box::new(ty)) },
        ]);
    }
    types.extend([Type::Enum(names(&["a"])), Type::Enum(names(&["b", "a"]))]);
    types.extend([Type::Flags(names(&["a"])), Type::Flags(names(&["b", "a"]))]);
    types.push(Type::Result { ok: None, err: None });
    types
}

#[test]
fn subtyping_is_transitive_over_a_whole_universe() {
    let types = universe();
    let mut related = 0;
    for a in &types {
        for b in types.iter().filter(|b| is_subtype(a, b).is_ok()) {
            for c in types.iter().filter(|c| is_subtype(b, c).is_ok()) {
                related += 1;
                assert_eq!(is_subtype(a, c), Ok(()), "{a} <= {b} <= {c}");
            }
        }
    }
    assert!(related > 300, "only {related} chains: the universe tests nothing");
}

#[test]
fn related_types_coerce_and_unrelated_ones_have_a_value_that_shows_why() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let types = universe();
    for a in &types {
        let samples: Vec<Value> =
            (0..16).map(|_| values_of(a).new_tree(&mut runner).unwrap().current()).collect();
        for b in &types {
            let all = samples.iter().all(|value| coerce(value.clone(), b).is_ok_and(|v| type_check(&v, b)));
            if is_subtype(a, b).is_ok() {
                assert!(all, "{a} <= {b}, but a value does not convert");
            } else if !matches!(a, Type::Option(_) | Type::List(_) | Type::Flags(_)) {
                // An empty option, list or set may fit by chance.
                assert!(!all, "{a} is no subtype of {b}, but every value converts");
            }
        }
    }
}

#[test]
fn a_mismatch_names_its_place() {
    let actual = record(&[("files", list(record(&[("path", Type::String), ("line", Type::S32)])))]);
    let expected = record(&[("files", list(record(&[("line", option(Type::U32))])))]);
    let miss = is_subtype(&actual, &expected).unwrap_err();
    assert_eq!((miss.path.as_str(), &*miss.expected, &*miss.actual), ("/files/*/line", "u32", "s32"));
    assert_eq!(miss.to_string(), "at `/files/*/line`: expected `u32`, found `s32`");

    let miss = is_subtype(&record(&[("a", Type::Bool)]), &record(&[("b", option(Type::Bool))])).unwrap_err();
    assert_eq!((miss.path.as_str(), &*miss.actual), ("/b", "no such field"));
    let miss = is_subtype(&Type::Bool, &Type::String).unwrap_err();
    assert_eq!(miss.to_string(), "expected `string`, found `bool`");
}

#[test]
fn widening_never_loses() {
    let pairs = [
        (Type::U32, Type::S32),
        (Type::U64, Type::S64),
        (Type::S8, Type::U64),
        (Type::U16, Type::U8),
        (Type::U32, Type::F64),
        (Type::F32, Type::F64),
        (Type::Char, Type::String),
        (option(Type::U8), Type::U8),
    ];
    for (from, to) in pairs {
        assert!(is_subtype(&from, &to).is_err(), "{from} <= {to}");
    }
    assert_eq!(coerce(Value::U8(255), &Type::S16), Ok(Value::S16(255)));
    assert_eq!(coerce(Value::S8(-128), &Type::S64), Ok(Value::S64(-128)));
    assert_eq!(coerce(Value::U32(u32::MAX), &option(Type::S64)), {
        Ok(Value::Option(Some(Box::new(Value::S64(4_294_967_295)))))
    });
    // The type decides, not the number: a small u64 does not become a u8.
    for (value, ty) in [
        (Value::U64(1), Type::U8),
        (Value::U32(1), Type::S32),
        (Value::S8(1), Type::U16),
        (Value::S32(1), Type::S16),
    ] {
        assert!(coerce(value.clone(), &ty).is_err(), "{value:?} became {ty}");
    }
    assert_eq!(
        coerce(Value::Bytes(vec![1, 2]), &list(Type::U16)),
        Ok(Value::List(vec![Value::U16(1), Value::U16(2)]))
    );
}

#[test]
fn extra_fields_are_dropped_and_order_is_the_expected_one() {
    let member = |name: &str, value| (name.to_owned(), value);
    let value = Value::Record(vec![
        member("b", Value::U8(1)),
        member("extra", Value::Bool(true)),
        member("a", Value::String("x".into())),
    ]);
    let expected = record(&[("a", Type::String), ("b", Type::U16)]);
    let wanted = Value::Record(vec![member("a", Value::String("x".into())), member("b", Value::U16(1))]);
    assert_eq!(coerce(value, &expected), Ok(wanted));
}

#[test]
fn a_value_that_is_only_nearly_of_a_type_is_not() {
    let flags = Type::Flags(vec!["a".into(), "b".into()]);
    let set = |names: &[&str]| Value::Flags(names.iter().map(|name| (*name).to_owned()).collect());
    assert!(type_check(&set(&["a", "b"]), &flags) && type_check(&set(&[]), &flags));
    let one = record(&[("a", Type::U8), ("b", Type::U8)]);
    let members =
        |names: &[&str]| Value::Record(names.iter().map(|name| ((*name).to_owned(), Value::U8(1))).collect());
    assert!(type_check(&members(&["a", "b"]), &one));
    let pick = variant(&[("x", Some(Type::U8)), ("y", None)]);
    let case = |name: &str, payload: Option<Value>| Value::Variant {
        case: name.into(),
        payload: payload.map(Box::new),
    };
    assert!(type_check(&case("x", Some(Value::U8(1))), &pick) && type_check(&case("y", None), &pick));
    assert!(type_check(&Value::Bytes(vec![1]), &list(Type::U8)));
    let wrong = [
        (set(&["b", "a"]), &flags),
        (set(&["a", "a"]), &flags),
        (set(&["c"]), &flags),
        (members(&["b", "a"]), &one),
        (members(&["a"]), &one),
        (members(&["a", "b", "c"]), &one),
        (case("x", None), &pick),
        (case("y", Some(Value::U8(1))), &pick),
        (case("x", Some(Value::U16(1))), &pick),
        (case("z", None), &pick),
        (Value::List(vec![Value::U8(1)]), &list(Type::U8)),
        (Value::Bytes(vec![1]), &list(Type::U16)),
        (Value::Tuple(vec![Value::U8(1)]), &list(Type::U16)),
        (Value::U8(1), &option(Type::U8)),
        (Value::Enum("x".into()), &pick),
        (Value::Result(Ok(None)), &Type::Result { ok: Some(Box::new(Type::U8)), err: None }),
    ];
    for (value, ty) in wrong {
        assert!(!type_check(&value, ty), "{value:?} passes as {ty}");
    }
}
