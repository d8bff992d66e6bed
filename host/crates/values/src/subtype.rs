//! When a value of one type may stand where another is expected, and the conversion that does it.

use crate::{Type, Value};

/// The first place where a type does not fit the expected one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}expected `{expected}`, found `{actual}`", if path.is_empty() { String::new() } else { format!("at `{path}`: ") })]
pub struct Mismatch {
    /// Where, as a pointer into the type: `/field`, `/*` for the items of a list, `/0` for a
    /// tuple's, `/case` for a variant's payload, `/ok`, `/err`; empty for the whole.
    pub path: String,
    /// The expected type there, cut to a readable length.
    pub expected: String,
    /// The actual type there.
    pub actual: String,
}

/// A value that is of no subtype of the expected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a value does not convert to `{expected}`")]
pub struct CoerceError {
    /// The innermost expected type that it does not fit.
    pub expected: String,
}

/// Whether each value of `actual` has one meaning as a value of `expected`: the same structure,
/// where a record may have more fields (matched by name), `T` may stand for `option<T>`, an
/// integer may widen without loss, and an enum, a variant or flags may have fewer cases. Reflexive and
/// transitive; [`coerce`] then cannot fail.
///
/// # Errors
/// The first place that does not fit.
pub fn is_subtype(actual: &Type, expected: &Type) -> Result<(), Mismatch> {
    subtype_at(actual, expected).map_err(|miss| Mismatch {
        path: miss.path.iter().rev().flat_map(|key| ["/", key]).collect(),
        expected: miss.expected,
        actual: miss.actual,
    })
}

/// A mismatch on its way out, its path innermost first.
struct Miss {
    path: Vec<String>,
    expected: String,
    actual: String,
}

impl Miss {
    fn new(actual: &Type, expected: &Type) -> Self {
        Self { path: Vec::new(), expected: expected.brief(), actual: actual.brief() }
    }

    fn under(mut self, key: impl Into<String>) -> Self {
        self.path.push(key.into());
        self
    }
}

fn subtype_at(actual: &Type, expected: &Type) -> Result<(), Miss> {
    let miss = || Miss::new(actual, expected);
    match (actual, expected) {
        (Type::List(a), Type::List(e)) => subtype_at(a, e).map_err(|miss| miss.under("*")),
        (Type::Option(a), Type::Option(e)) => subtype_at(a, e),
        (a, Type::Option(e)) => subtype_at(a, e),
        (Type::Tuple(a), Type::Tuple(e)) if a.len() == e.len() => {
            a.iter().zip(e).enumerate().try_for_each(|(index, (a, e))| {
                subtype_at(a, e).map_err(|miss| miss.under(index.to_string()))
            })
        }
        (Type::Record(a), Type::Record(e)) => e.iter().try_for_each(|field| {
            let given = a.iter().find(|given| given.name == field.name);
            let given = given.ok_or_else(|| Miss {
                path: vec![field.name.clone()],
                expected: field.ty.brief(),
                actual: "no such field".to_owned(),
            })?;
            subtype_at(&given.ty, &field.ty).map_err(|miss| miss.under(&field.name))
        }),
        (Type::Variant(a), Type::Variant(e)) => a.iter().try_for_each(|case| {
            let known = e.iter().find(|known| known.name == case.name).ok_or_else(miss)?;
            payload_subtype(case.payload.as_ref(), known.payload.as_ref(), &miss)
                .map_err(|miss| miss.under(&case.name))
        }),
        (Type::Enum(a), Type::Enum(e)) | (Type::Flags(a), Type::Flags(e)) => {
            if a.iter().all(|name| e.contains(name)) { Ok(()) } else { Err(miss()) }
        }
        (Type::Result { ok: a, err: x }, Type::Result { ok: e, err: y }) => {
            payload_subtype(a.as_deref(), e.as_deref(), &miss).map_err(|miss| miss.under("ok"))?;
            payload_subtype(x.as_deref(), y.as_deref(), &miss).map_err(|miss| miss.under("err"))
        }
        (a, e) if a == e || widens(a, e) => Ok(()),
        _ => Err(miss()),
    }
}

fn payload_subtype(
    actual: Option<&Type>,
    expected: Option<&Type>,
    miss: &impl Fn() -> Miss,
) -> Result<(), Miss> {
    match (actual, expected) {
        (None, None) => Ok(()),
        (Some(actual), Some(expected)) => subtype_at(actual, expected),
        _ => Err(miss()),
    }
}

/// An integer type: whether it has a sign, and its width in bits.
fn integer(ty: &Type) -> Option<(bool, u32)> {
    Some(match ty {
        Type::U8 => (false, 8),
        Type::U16 => (false, 16),
        Type::U32 => (false, 32),
        Type::U64 => (false, 64),
        Type::S8 => (true, 8),
        Type::S16 => (true, 16),
        Type::S32 => (true, 32),
        Type::S64 => (true, 64),
        _ => return None,
    })
}

/// Whether every integer of `actual` is one of `expected`.
fn widens(actual: &Type, expected: &Type) -> bool {
    match (integer(actual), integer(expected)) {
        (Some((false, from)), Some((true, to))) => from < to,
        (Some((a, from)), Some((e, to))) => a == e && from <= to,
        _ => false,
    }
}

/// Makes `value`, of any subtype of `expected`, a value of `expected` exactly: extra fields
/// dropped, fields and flags in order, options wrapped, integers widened.
///
/// # Errors
/// If the value is of no subtype of `expected`.
pub fn coerce(value: Value, expected: &Type) -> Result<Value, CoerceError> {
    match (value, expected) {
        (Value::Option(None), Type::Option(_)) => Ok(Value::Option(None)),
        (Value::Option(Some(inner)), Type::Option(ty)) => {
            coerce_boxed(*inner, ty).map(|v| Value::Option(Some(v)))
        }
        (value, Type::Option(ty)) => coerce_boxed(value, ty).map(|v| Value::Option(Some(v))),
        (Value::Bytes(bytes), Type::List(item)) if **item == Type::U8 => Ok(Value::Bytes(bytes)),
        (Value::Bytes(bytes), Type::List(item)) => bytes
            .into_iter()
            .map(|byte| coerce(Value::U8(byte), item))
            .collect::<Result<_, _>>()
            .map(Value::List),
        (Value::List(items), Type::List(item)) if **item != Type::U8 => {
            items.into_iter().map(|value| coerce(value, item)).collect::<Result<_, _>>().map(Value::List)
        }
        (Value::Tuple(items), Type::Tuple(types)) if items.len() == types.len() => items
            .into_iter()
            .zip(types)
            .map(|(value, ty)| coerce(value, ty))
            .collect::<Result<_, _>>()
            .map(Value::Tuple),
        (Value::Record(members), Type::Record(_)) => coerce_record(members, expected),
        (Value::Variant { case, payload }, Type::Variant(cases)) => {
            let known = cases.iter().find(|known| known.name == case).ok_or_else(|| refused(expected))?;
            let payload = coerce_payload(payload, known.payload.as_ref(), expected)?;
            Ok(Value::Variant { case, payload })
        }
        (Value::Flags(set), Type::Flags(names)) if set.iter().all(|flag| names.contains(flag)) => {
            Ok(Value::Flags(names.iter().filter(|name| set.contains(name)).cloned().collect()))
        }
        (Value::Result(Ok(payload)), Type::Result { ok, .. }) => {
            coerce_payload(payload, ok.as_deref(), expected).map(|payload| Value::Result(Ok(payload)))
        }
        (Value::Result(Err(payload)), Type::Result { err, .. }) => {
            coerce_payload(payload, err.as_deref(), expected).map(|payload| Value::Result(Err(payload)))
        }
        (value, expected) => coerce_scalar(value, expected),
    }
}

fn refused(expected: &Type) -> CoerceError {
    CoerceError { expected: expected.brief() }
}

fn coerce_boxed(value: Value, ty: &Type) -> Result<Box<Value>, CoerceError> {
    coerce(value, ty).map(Box::new)
}

fn coerce_payload(
    payload: Option<Box<Value>>,
    ty: Option<&Type>,
    expected: &Type,
) -> Result<Option<Box<Value>>, CoerceError> {
    match (payload, ty) {
        (None, None) => Ok(None),
        (Some(value), Some(ty)) => coerce_boxed(*value, ty).map(Some),
        _ => Err(refused(expected)),
    }
}

fn coerce_record(members: Vec<(String, Value)>, expected: &Type) -> Result<Value, CoerceError> {
    let Type::Record(fields) = expected else { return Err(refused(expected)) };
    let mut by_name: std::collections::BTreeMap<String, Value> = members.into_iter().collect();
    fields
        .iter()
        .map(|field| {
            let value = by_name.remove(&field.name).ok_or_else(|| refused(expected))?;
            Ok((field.name.clone(), coerce(value, &field.ty)?))
        })
        .collect::<Result<_, _>>()
        .map(Value::Record)
}

fn coerce_scalar(value: Value, expected: &Type) -> Result<Value, CoerceError> {
    if crate::type_check(&value, expected) {
        return Ok(value);
    }
    let (ty, number) = match value {
        Value::U8(number) => (Type::U8, i128::from(number)),
        Value::U16(number) => (Type::U16, i128::from(number)),
        Value::U32(number) => (Type::U32, i128::from(number)),
        Value::S8(number) => (Type::S8, i128::from(number)),
        Value::S16(number) => (Type::S16, i128::from(number)),
        Value::S32(number) => (Type::S32, i128::from(number)),
        _ => return Err(refused(expected)),
    };
    if !widens(&ty, expected) {
        return Err(refused(expected));
    }
    let wide = match expected {
        Type::U16 => u16::try_from(number).map(Value::U16),
        Type::U32 => u32::try_from(number).map(Value::U32),
        Type::U64 => u64::try_from(number).map(Value::U64),
        Type::S16 => i16::try_from(number).map(Value::S16),
        Type::S32 => i32::try_from(number).map(Value::S32),
        Type::S64 => i64::try_from(number).map(Value::S64),
        _ => return Err(refused(expected)),
    };
    wide.map_err(|_| refused(expected))
}
