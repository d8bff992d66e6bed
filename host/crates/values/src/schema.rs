//! JSON Schema (draft 2020-12) of the JSON form of a type.

use serde_json::{Value as Json, json};

use crate::{BYTES_MAX, Case, Field, FunctionType, Type};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of what [`crate::from_json`] accepts for `ty`.
#[must_use]
pub fn schema(ty: &Type) -> Json {
    with_dialect(fragment(ty))
}

/// The schema of the object that [`crate::arguments_from_json`] accepts for `f`.
#[must_use]
pub fn parameters_schema(f: &FunctionType) -> Json {
    with_dialect(object(&f.params))
}

fn with_dialect(mut schema: Json) -> Json {
    if let Json::Object(members) = &mut schema {
        members.insert("$schema".to_owned(), DIALECT.into());
    }
    schema
}

fn fragment(ty: &Type) -> Json {
    match ty {
        Type::Bool => json!({"type": "boolean"}),
        Type::S8 => integer(i8::MIN, i8::MAX),
        Type::U8 => integer(u8::MIN, u8::MAX),
        Type::S16 => integer(i16::MIN, i16::MAX),
        Type::U16 => integer(u16::MIN, u16::MAX),
        Type::S32 => integer(i32::MIN, i32::MAX),
        Type::U32 => integer(u32::MIN, u32::MAX),
        Type::S64 => wide_integer(&integer(i64::MIN, i64::MAX), "^(0|-?[1-9][0-9]{0,18})$"),
        Type::U64 => wide_integer(&integer(u64::MIN, u64::MAX), "^(0|[1-9][0-9]{0,19})$"),
        Type::F32 => float(&json!({"type": "number", "minimum": f32::MIN, "maximum": f32::MAX})),
        Type::F64 => float(&json!({"type": "number"})),
        Type::Char => json!({"type": "string", "minLength": 1, "maxLength": 1}),
        Type::String => json!({"type": "string"}),
        Type::List(item) if **item == Type::U8 => {
            json!({"type": "string", "contentEncoding": "base64", "maxLength": BYTES_MAX.div_ceil(3) * 4})
        }
        Type::List(item) => json!({"type": "array", "items": fragment(item)}),
        Type::Tuple(items) => json!({
            "type": "array",
            "prefixItems": items.iter().map(fragment).collect::<Vec<_>>(),
            "items": false,
            "minItems": items.len(),
        }),
        Type::Record(fields) => object(fields),
        Type::Variant(cases) => json!({"oneOf": cases.iter().map(case).collect::<Vec<_>>()}),
        Type::Enum(names) => json!({"type": "string", "enum": names}),
        Type::Flags(names) => {
            json!({"type": "array", "items": {"type": "string", "enum": names}, "uniqueItems": true})
        }
        Type::Option(inner) => json!({"anyOf": [fragment(inner), {"type": "null"}]}),
        Type::Result { ok, err } => {
            json!({"oneOf": [single("ok", &payload(ok.as_deref())), single("err", &payload(err.as_deref()))]})
        }
    }
}

fn integer<T: Into<Json>>(min: T, max: T) -> Json {
    json!({"type": "integer", "minimum": min.into(), "maximum": max.into()})
}

fn wide_integer(number: &Json, pattern: &str) -> Json {
    json!({"anyOf": [number, {"type": "string", "pattern": pattern}]})
}

fn float(number: &Json) -> Json {
    json!({"anyOf": [number, {"type": "string", "enum": ["nan", "inf", "-inf"]}]})
}

fn object(fields: &[Field]) -> Json {
    let properties: serde_json::Map<String, Json> =
        fields.iter().map(|field| (field.name.clone(), fragment(&field.ty))).collect();
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| !matches!(field.ty, Type::Option(_)))
        .map(|field| field.name.as_str())
        .collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn case(case: &Case) -> Json {
    match &case.payload {
        None => json!({"type": "string", "const": case.name}),
        Some(ty) => single(&case.name, &fragment(ty)),
    }
}

fn payload(ty: Option<&Type>) -> Json {
    ty.map_or_else(|| json!({"type": "null"}), fragment)
}

fn single(key: &str, schema: &Json) -> Json {
    json!({"type": "object", "properties": {key: schema}, "required": [key], "additionalProperties": false})
}
