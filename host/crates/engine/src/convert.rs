//! Values of the plan's world to wasmtime's dynamic values and back, guided by the signature.

use values::{BYTES_MAX, Case, Field, Type, Value};
use wasmtime::component::Val;

/// A value cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConvertError {
    /// It is not of the type it should be. Callers were checked against the signature, so this
    /// means that the signature is not the component's.
    Type,
    /// It holds a `list<u8>` of more than [`BYTES_MAX`] bytes.
    Size,
}

/// `list<u8>` has its own representation on our side.
fn is_byte(ty: &Type) -> bool {
    matches!(ty, Type::U8)
}

/// Bytes of host memory that a value takes as wasmtime's, beside its texts, which it keeps.
pub(crate) fn weight(value: &Value) -> u64 {
    let one = size_of::<Val>() as u64;
    let payload = |value: &Option<Box<Value>>| value.as_deref().map_or(0, weight);
    let all = |items: &[Value]| items.iter().map(weight).fold(0, u64::saturating_add);
    let inner = match value {
        Value::Bytes(bytes) => one.saturating_mul(bytes.len() as u64),
        Value::List(items) | Value::Tuple(items) => all(items),
        Value::Record(members) => {
            let named = |(_, value): &(String, Value)| size_of::<String>() as u64 + weight(value);
            members.iter().map(named).fold(0, u64::saturating_add)
        }
        Value::Flags(names) => (names.len() * size_of::<String>()) as u64,
        Value::Variant { payload: inner, .. } | Value::Option(inner) => payload(inner),
        Value::Result(Ok(inner) | Err(inner)) => payload(inner),
        _ => 0,
    };
    one.saturating_add(inner)
}

/// To wasmtime.
pub(crate) fn lower(value: Value, ty: &Type) -> Result<Val, ConvertError> {
    Ok(match (value, ty) {
        (Value::Bool(v), Type::Bool) => Val::Bool(v),
        (Value::S8(v), Type::S8) => Val::S8(v),
        (Value::U8(v), Type::U8) => Val::U8(v),
        (Value::S16(v), Type::S16) => Val::S16(v),
        (Value::U16(v), Type::U16) => Val::U16(v),
        (Value::S32(v), Type::S32) => Val::S32(v),
        (Value::U32(v), Type::U32) => Val::U32(v),
        (Value::S64(v), Type::S64) => Val::S64(v),
        (Value::U64(v), Type::U64) => Val::U64(v),
        (Value::F32(v), Type::F32) => Val::Float32(v),
        (Value::F64(v), Type::F64) => Val::Float64(v),
        (Value::Char(v), Type::Char) => Val::Char(v),
        (Value::String(v), Type::String) => Val::String(v),
        (Value::Bytes(v), Type::List(item)) if is_byte(item) && v.len() > BYTES_MAX => {
            return Err(ConvertError::Size);
        }
        (Value::Bytes(v), Type::List(item)) if is_byte(item) => {
            Val::List(v.into_iter().map(Val::U8).collect())
        }
        (Value::List(items), Type::List(item)) if !is_byte(item) => {
            Val::List(items.into_iter().map(|value| lower(value, item)).collect::<Result<_, _>>()?)
        }
        (Value::Tuple(items), Type::Tuple(types)) if items.len() == types.len() => Val::Tuple(
            items.into_iter().zip(types).map(|(value, ty)| lower(value, ty)).collect::<Result<_, _>>()?,
        ),
        (Value::Record(items), Type::Record(fields)) if items.len() == fields.len() => {
            let field = |((name, value), field): ((String, Value), &Field)| {
                if name == field.name {
                    Ok((name, lower(value, &field.ty)?))
                } else {
                    Err(ConvertError::Type)
                }
            };
            Val::Record(items.into_iter().zip(fields).map(field).collect::<Result<_, _>>()?)
        }
        (Value::Variant { case, payload }, Type::Variant(cases)) => {
            let ty = payload_type(cases, &case)?;
            Val::Variant(case, lower_payload(payload, ty)?)
        }
        (Value::Enum(name), Type::Enum(names)) if names.contains(&name) => Val::Enum(name),
        (Value::Flags(set), Type::Flags(names)) if set.iter().all(|name| names.contains(name)) => {
            Val::Flags(set)
        }
        (Value::Option(v), Type::Option(item)) => Val::Option(match v {
            Some(value) => Some(Box::new(lower(*value, item)?)),
            None => None,
        }),
        (Value::Result(Ok(v)), Type::Result { ok, .. }) => Val::Result(Ok(lower_payload(v, ok.as_deref())?)),
        (Value::Result(Err(v)), Type::Result { err, .. }) => {
            Val::Result(Err(lower_payload(v, err.as_deref())?))
        }
        _ => return Err(ConvertError::Type),
    })
}

/// From wasmtime.
pub(crate) fn lift(val: Val, ty: &Type) -> Result<Value, ConvertError> {
    Ok(match (val, ty) {
        (Val::Bool(v), Type::Bool) => Value::Bool(v),
        (Val::S8(v), Type::S8) => Value::S8(v),
        (Val::U8(v), Type::U8) => Value::U8(v),
        (Val::S16(v), Type::S16) => Value::S16(v),
        (Val::U16(v), Type::U16) => Value::U16(v),
        (Val::S32(v), Type::S32) => Value::S32(v),
        (Val::U32(v), Type::U32) => Value::U32(v),
        (Val::S64(v), Type::S64) => Value::S64(v),
        (Val::U64(v), Type::U64) => Value::U64(v),
        (Val::Float32(v), Type::F32) => Value::F32(v),
        (Val::Float64(v), Type::F64) => Value::F64(v),
        (Val::Char(v), Type::Char) => Value::Char(v),
        (Val::String(v), Type::String) => Value::String(v),
        (Val::List(items), Type::List(item)) if is_byte(item) && items.len() > BYTES_MAX => {
            return Err(ConvertError::Size);
        }
        (Val::List(items), Type::List(item)) if is_byte(item) => {
            let byte = |val| if let Val::U8(byte) = val { Ok(byte) } else { Err(ConvertError::Type) };
            Value::Bytes(items.into_iter().map(byte).collect::<Result<_, _>>()?)
        }
        (Val::List(items), Type::List(item)) => {
            Value::List(items.into_iter().map(|val| lift(val, item)).collect::<Result<_, _>>()?)
        }
        (Val::Tuple(items), Type::Tuple(types)) if items.len() == types.len() => Value::Tuple(
            items.into_iter().zip(types).map(|(val, ty)| lift(val, ty)).collect::<Result<_, _>>()?,
        ),
        (Val::Record(items), Type::Record(fields)) if items.len() == fields.len() => {
            let field = |((name, val), field): ((String, Val), &Field)| {
                if name == field.name { Ok((name, lift(val, &field.ty)?)) } else { Err(ConvertError::Type) }
            };
            Value::Record(items.into_iter().zip(fields).map(field).collect::<Result<_, _>>()?)
        }
        (Val::Variant(case, payload), Type::Variant(cases)) => {
            let ty = payload_type(cases, &case)?;
            Value::Variant { case, payload: lift_payload(payload, ty)? }
        }
        (Val::Enum(name), Type::Enum(names)) if names.contains(&name) => Value::Enum(name),
        (Val::Flags(set), Type::Flags(names)) if set.iter().all(|name| names.contains(name)) => {
            Value::Flags(set)
        }
        (Val::Option(v), Type::Option(item)) => Value::Option(match v {
            Some(val) => Some(Box::new(lift(*val, item)?)),
            None => None,
        }),
        (Val::Result(Ok(v)), Type::Result { ok, .. }) => Value::Result(Ok(lift_payload(v, ok.as_deref())?)),
        (Val::Result(Err(v)), Type::Result { err, .. }) => {
            Value::Result(Err(lift_payload(v, err.as_deref())?))
        }
        _ => return Err(ConvertError::Type),
    })
}

fn payload_type<'t>(cases: &'t [Case], name: &str) -> Result<Option<&'t Type>, ConvertError> {
    cases.iter().find(|case| case.name == name).map(|case| case.payload.as_ref()).ok_or(ConvertError::Type)
}

fn lower_payload(payload: Option<Box<Value>>, ty: Option<&Type>) -> Result<Option<Box<Val>>, ConvertError> {
    match (payload, ty) {
        (Some(value), Some(ty)) => Ok(Some(Box::new(lower(*value, ty)?))),
        (None, None) => Ok(None),
        _ => Err(ConvertError::Type),
    }
}

fn lift_payload(payload: Option<Box<Val>>, ty: Option<&Type>) -> Result<Option<Box<Value>>, ConvertError> {
    match (payload, ty) {
        (Some(val), Some(ty)) => Ok(Some(Box::new(lift(*val, ty)?))),
        (None, None) => Ok(None),
        _ => Err(ConvertError::Type),
    }
}
