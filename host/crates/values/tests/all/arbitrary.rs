//! Random types, values of a type, supertypes of a type, and JSON.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use serde_json::Value as Json;
use values::{Case, Field, Type, Value};

const NAMES: [&str; 6] = ["path", "text", "line", "ok", "a/b~c", "max-depth"];

fn names() -> impl Strategy<Value = Vec<String>> {
    subsequence(NAMES.to_vec(), 1..=4)
        .prop_shuffle()
        .prop_map(|names| names.into_iter().map(String::from).collect())
}

fn is_option(ty: &Type) -> bool {
    matches!(ty, Type::Option(_))
}

pub(crate) fn types() -> impl Strategy<Value = Type> {
    use Type::{Bool, Char, Enum, F32, F64, Flags, S8, S16, S32, S64, String, U8, U16, U32, U64};
    let leaf = prop_oneof![
        6 => select(vec![Bool, S8, U8, S16, U16, S32, U32, S64, U64, F32, F64, Char, String]),
        1 => names().prop_map(Enum),
        1 => names().prop_map(Flags),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let payload = proptest::option::of(inner.clone());
        prop_oneof![
            inner.clone().prop_map(|ty| Type::List(Box::new(ty))),
            vec(inner.clone(), 1..4).prop_map(Type::Tuple),
            inner.clone().prop_map(|ty| if is_option(&ty) { ty } else { Type::Option(Box::new(ty)) }),
            (names(), vec(inner, 4)).prop_map(|(names, types)| {
                Type::Record(names.into_iter().zip(types).map(|(name, ty)| Field { name, ty }).collect())
            }),
            (names(), vec(payload.clone(), 4)).prop_map(|(names, payloads)| {
                let cases = names.into_iter().zip(payloads);
                Type::Variant(cases.map(|(name, payload)| Case { name, payload }).collect())
            }),
            (payload.clone(), payload)
                .prop_map(|(ok, err)| Type::Result { ok: ok.map(Box::new), err: err.map(Box::new) }),
        ]
    })
}

/// Floats of every kind; NaN only in its canonical form, as guests see it.
fn doubles() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(|bits| {
            let float = f64::from_bits(bits);
            if float.is_nan() { f64::NAN } else { float }
        }),
        select(vec![
            0.0,
            -0.0,
            0.1,
            1e300,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            f64::MIN_POSITIVE / 8.0
        ]),
    ]
}

fn singles() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(|bits| {
        let float = f32::from_bits(bits);
        if float.is_nan() { f32::NAN } else { float }
    })
}

fn boxed_payload(ty: Option<&Type>) -> BoxedStrategy<Option<Box<Value>>> {
    match ty {
        None => Just(None).boxed(),
        Some(ty) => values_of(ty).prop_map(|value| Some(Box::new(value))).boxed(),
    }
}

pub(crate) fn values_of(ty: &Type) -> BoxedStrategy<Value> {
    match ty {
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::S8 => any::<i8>().prop_map(Value::S8).boxed(),
        Type::U8 => any::<u8>().prop_map(Value::U8).boxed(),
        Type::S16 => any::<i16>().prop_map(Value::S16).boxed(),
        Type::U16 => any::<u16>().prop_map(Value::U16).boxed(),
        Type::S32 => any::<i32>().prop_map(Value::S32).boxed(),
        Type::U32 => any::<u32>().prop_map(Value::U32).boxed(),
        Type::S64 => {
            prop_oneof![any::<i64>(), -(1_i64 << 53) - 2..-(1_i64 << 53) + 3].prop_map(Value::S64).boxed()
        }
        Type::U64 => {
            prop_oneof![any::<u64>(), (1_u64 << 53) - 3..(1_u64 << 53) + 2].prop_map(Value::U64).boxed()
        }
        Type::F32 => singles().prop_map(Value::F32).boxed(),
        Type::F64 => doubles().prop_map(Value::F64).boxed(),
        Type::Char => any::<char>().prop_map(Value::Char).boxed(),
        Type::String => any::<String>().prop_map(Value::String).boxed(),
        Type::List(item) if **item == Type::U8 => vec(any::<u8>(), 0..40).prop_map(Value::Bytes).boxed(),
        Type::List(item) => vec(values_of(item), 0..4).prop_map(Value::List).boxed(),
        Type::Tuple(types) => types.iter().map(values_of).collect::<Vec<_>>().prop_map(Value::Tuple).boxed(),
        Type::Record(fields) => {
            let names: Vec<_> = fields.iter().map(|field| field.name.clone()).collect();
            let members = fields.iter().map(|field| values_of(&field.ty)).collect::<Vec<_>>();
            members
                .prop_map(move |members| Value::Record(names.iter().cloned().zip(members).collect()))
                .boxed()
        }
        Type::Variant(cases) => select(cases.clone())
            .prop_flat_map(|case| (Just(case.name), boxed_payload(case.payload.as_ref())))
            .prop_map(|(case, payload)| Value::Variant { case, payload })
            .boxed(),
        Type::Enum(names) => select(names.clone()).prop_map(Value::Enum).boxed(),
        Type::Flags(names) => subsequence(names.clone(), 0..=names.len()).prop_map(Value::Flags).boxed(),
        Type::Option(ty) => {
            prop_oneof![Just(Value::Option(None)), boxed_payload(Some(ty)).prop_map(Value::Option)].boxed()
        }
        Type::Result { ok, err } => prop_oneof![
            boxed_payload(ok.as_deref()).prop_map(|payload| Value::Result(Ok(payload))),
            boxed_payload(err.as_deref()).prop_map(|payload| Value::Result(Err(payload))),
        ]
        .boxed(),
    }
}

pub(crate) fn typed_values() -> impl Strategy<Value = (Type, Value)> {
    types().prop_flat_map(|ty| {
        let values = values_of(&ty);
        (Just(ty), values)
    })
}

/// A supertype of `ty`, steered by `turns`: fields dropped and turned round, cases added, integers
/// widened, options wrapped.
pub(crate) fn widened(ty: &Type, turns: &[Index]) -> Type {
    let mut turns = turns.iter().cycle();
    widen(ty, &mut |count| turns.next().map_or(0, |turn| turn.index(count)), true)
}

fn widen(ty: &Type, turn: &mut dyn FnMut(usize) -> usize, may_wrap: bool) -> Type {
    if may_wrap && !is_option(ty) && turn(4) == 0 {
        return Type::Option(Box::new(widen(ty, turn, false)));
    }
    let mut pick = |types: &[Type]| types[turn(types.len())].clone();
    match ty {
        Type::U8 => pick(&[Type::U8, Type::U16, Type::U32, Type::U64, Type::S16, Type::S32, Type::S64]),
        Type::U16 => pick(&[Type::U16, Type::U32, Type::U64, Type::S32, Type::S64]),
        Type::U32 => pick(&[Type::U32, Type::U64, Type::S64]),
        Type::S8 => pick(&[Type::S8, Type::S16, Type::S32, Type::S64]),
        Type::S16 => pick(&[Type::S16, Type::S32, Type::S64]),
        Type::S32 => pick(&[Type::S32, Type::S64]),
        Type::List(item) => Type::List(Box::new(widen(item, turn, true))),
        Type::Option(inner) => Type::Option(Box::new(widen(inner, turn, false))),
        Type::Tuple(items) => Type::Tuple(items.iter().map(|item| widen(item, turn, true)).collect()),
        Type::Record(fields) => {
            let kept = turn(fields.len()) + 1;
            let start = turn(fields.len());
            let turned = fields.iter().cycle().skip(start).take(kept);
            Type::Record(
                turned
                    .map(|field| Field { name: field.name.clone(), ty: widen(&field.ty, turn, true) })
                    .collect(),
            )
        }
        Type::Variant(cases) => {
            let mut wide = vec![Case { name: "added".to_owned(), payload: Some(Type::Bool) }];
            wide.retain(|_| turn(2) == 0 && cases.iter().all(|case| case.name != "added"));
            wide.extend(cases.iter().map(|case| Case {
                name: case.name.clone(),
                payload: case.payload.as_ref().map(|ty| widen(ty, turn, true)),
            }));
            Type::Variant(wide)
        }
        Type::Enum(names) => Type::Enum(more(names)),
        Type::Flags(names) => Type::Flags(more(names)),
        Type::Result { ok, err } => {
            let mut payload = |ty: &Option<Box<Type>>| ty.as_ref().map(|ty| Box::new(widen(ty, turn, true)));
            Type::Result { ok: payload(ok), err: payload(err) }
        }
        other => other.clone(),
    }
}

fn more(names: &[String]) -> Vec<String> {
    let mut more: Vec<_> = names.iter().rev().cloned().collect();
    if !more.iter().any(|name| name == "added") {
        more.insert(0, "added".to_owned());
    }
    more
}

pub(crate) fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        (-3..300_i64).prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        ".{0,3}".prop_map(Json::from),
        select(NAMES.to_vec()).prop_map(Json::from),
        select(vec!["nan", "0", "-0", "007", "18446744073709551616", "AA==", "AB=="]).prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = prop_oneof![3 => select(NAMES.to_vec()).prop_map(String::from), 1 => ".{0,3}"];
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Json::Array),
            vec((key, inner), 0..4).prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}
