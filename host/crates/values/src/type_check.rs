//! Whether a value is exactly of a type.

use crate::{Type, Value};

/// Whether `value` is a value of `ty` as it stands: every field and case present under its name,
/// records and flags in the type's order, `list<u8>` as [`Value::Bytes`].
#[must_use]
pub fn type_check(value: &Value, ty: &Type) -> bool {
    match (value, ty) {
        (Value::Bool(_), Type::Bool)
        | (Value::S8(_), Type::S8)
        | (Value::U8(_), Type::U8)
        | (Value::S16(_), Type::S16)
        | (Value::U16(_), Type::U16)
        | (Value::S32(_), Type::S32)
        | (Value::U32(_), Type::U32)
        | (Value::S64(_), Type::S64)
        | (Value::U64(_), Type::U64)
        | (Value::F32(_), Type::F32)
        | (Value::F64(_), Type::F64)
        | (Value::Char(_), Type::Char)
        | (Value::String(_), Type::String) => true,
        (Value::Bytes(_), Type::List(item)) => **item == Type::U8,
        (Value::List(items), Type::List(ty)) => {
            **ty != Type::U8 && items.iter().all(|item| type_check(item, ty))
        }
        (Value::Tuple(items), Type::Tuple(types)) => {
            items.len() == types.len() && items.iter().zip(types).all(|(item, ty)| type_check(item, ty))
        }
        (Value::Record(members), Type::Record(fields)) => {
            members.len() == fields.len()
                && members
                    .iter()
                    .zip(fields)
                    .all(|((name, value), field)| *name == field.name && type_check(value, &field.ty))
        }
        (Value::Variant { case, payload }, Type::Variant(cases)) => cases
            .iter()
            .find(|known| known.name == *case)
            .is_some_and(|known| payload_checks(payload.as_deref(), known.payload.as_ref())),
        (Value::Enum(name), Type::Enum(names)) => names.contains(name),
        (Value::Flags(set), Type::Flags(names)) => {
            // A subsequence of the names: each at most once, and in order.
            let mut rest = names.iter();
            set.iter().all(|flag| rest.any(|name| name == flag))
        }
        (Value::Option(inner), Type::Option(ty)) => {
            inner.as_deref().is_none_or(|inner| type_check(inner, ty))
        }
        (Value::Result(Ok(payload)), Type::Result { ok, .. }) => {
            payload_checks(payload.as_deref(), ok.as_deref())
        }
        (Value::Result(Err(payload)), Type::Result { err, .. }) => {
            payload_checks(payload.as_deref(), err.as_deref())
        }
        _ => false,
    }
}

fn payload_checks(payload: Option<&Value>, ty: Option<&Type>) -> bool {
    match (payload, ty) {
        (None, None) => true,
        (Some(value), Some(ty)) => type_check(value, ty),
        _ => false,
    }
}
