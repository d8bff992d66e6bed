//! Values to JSON. The form is the one of `decode`, which reads it back to an equal value.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value as Json};

use crate::Value;

/// Largest integer magnitude that every JSON reader keeps exact (RFC 8259, section 6).
pub(crate) const EXACT_MAX: u64 = (1 << 53) - 1;

/// The JSON form of `value`: records are objects, variants `"case"` or `{"case": v}`, enums
/// strings, flags arrays, options a value or null, results `{"ok": v}` or `{"err": v}` (null
/// without a payload), tuples arrays, `list<u8>` base64. 64-bit integers beyond 2^53-1 are decimal
/// strings, and floats without a number are `"nan"`, `"inf"`, `"-inf"`.
#[must_use]
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Bool(value) => Json::Bool(*value),
        Value::S8(value) => (*value).into(),
        Value::U8(value) => (*value).into(),
        Value::S16(value) => (*value).into(),
        Value::U16(value) => (*value).into(),
        Value::S32(value) => (*value).into(),
        Value::U32(value) => (*value).into(),
        Value::S64(value) if value.unsigned_abs() <= EXACT_MAX => (*value).into(),
        Value::S64(value) => Json::String(value.to_string()),
        Value::U64(value) if *value <= EXACT_MAX => (*value).into(),
        Value::U64(value) => Json::String(value.to_string()),
        Value::F32(value) => float(f64::from(*value)),
        Value::F64(value) => float(*value),
        Value::Char(value) => Json::String(value.to_string()),
        Value::String(text) | Value::Enum(text) => Json::String(text.clone()),
        Value::Bytes(bytes) => Json::String(STANDARD.encode(bytes)),
        Value::List(items) | Value::Tuple(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Record(members) => {
            Json::Object(members.iter().map(|(name, value)| (name.clone(), to_json(value))).collect())
        }
        Value::Variant { case, payload: None } => Json::String(case.clone()),
        Value::Variant { case, payload: Some(payload) } => single(case, to_json(payload)),
        Value::Flags(names) => Json::Array(names.iter().cloned().map(Json::String).collect()),
        Value::Option(inner) => optional(inner.as_deref()),
        Value::Result(Ok(payload)) => single("ok", optional(payload.as_deref())),
        Value::Result(Err(payload)) => single("err", optional(payload.as_deref())),
    }
}

fn single(key: &str, value: Json) -> Json {
    Json::Object(Map::from_iter([(key.to_owned(), value)]))
}

fn optional(value: Option<&Value>) -> Json {
    value.map_or(Json::Null, to_json)
}

fn float(value: f64) -> Json {
    Number::from_f64(value).map_or_else(|| Json::String(float_name(value).to_owned()), Json::Number)
}

fn float_name(value: f64) -> &'static str {
    if value.is_nan() {
        "nan"
    } else if value > 0.0 {
        "inf"
    } else {
        "-inf"
    }
}

/// The length in bytes of the compact JSON text of `value`, found without building it.
#[must_use]
pub fn json_size(value: &Value) -> u64 {
    size(value, escaped_size)
}

/// Whether the compact JSON texts of `values` have at most `most` bytes together. Where the lengths of
/// their texts already say so, no text is looked at.
#[must_use]
pub fn json_fits(values: &[Value], most: u64) -> bool {
    let at_most = |text: &str| (text.len() as u64).saturating_mul(ESCAPED_MAX);
    let fits = |size: &dyn Fn(&Value) -> u64| values.iter().map(size).fold(0, u64::saturating_add) <= most;
    fits(&|value| size(value, at_most)) || fits(&json_size)
}

/// The same, with `escaped` for how long a text is once it is escaped, without its quotes.
fn size(value: &Value, escaped: impl Fn(&str) -> u64 + Copy) -> u64 {
    let string = |text: &str| 2 + escaped(text);
    let optional = |value: Option<&Value>| value.map_or("null".len() as u64, |value| size(value, escaped));
    match value {
        Value::Bool(value) => 5 - u64::from(*value),
        Value::S8(value) => signed_size((*value).into()),
        Value::S16(value) => signed_size((*value).into()),
        Value::S32(value) => signed_size((*value).into()),
        Value::S64(value) => signed_size(*value) + quotes(value.unsigned_abs()),
        Value::U8(value) => digits((*value).into()),
        Value::U16(value) => digits((*value).into()),
        Value::U32(value) => digits((*value).into()),
        Value::U64(value) => digits(*value) + quotes(*value),
        Value::F32(value) => float_size(f64::from(*value)),
        Value::F64(value) => float_size(*value),
        Value::Char(value) => string(value.encode_utf8(&mut [0; 4])),
        Value::String(text) | Value::Enum(text) => string(text),
        Value::Bytes(bytes) => 2 + (bytes.len() as u64).div_ceil(3) * 4,
        Value::List(items) | Value::Tuple(items) => list_size(items.iter().map(|item| size(item, escaped))),
        Value::Record(members) => {
            list_size(members.iter().map(|(name, value)| string(name) + 1 + size(value, escaped)))
        }
        Value::Variant { case, payload: None } => string(case),
        Value::Variant { case, payload: Some(payload) } => string(case) + 3 + size(payload, escaped),
        Value::Flags(names) => list_size(names.iter().map(|name| string(name))),
        Value::Option(inner) => optional(inner.as_deref()),
        Value::Result(Ok(payload)) => r#"{"ok":}"#.len() as u64 + optional(payload.as_deref()),
        Value::Result(Err(payload)) => r#"{"err":}"#.len() as u64 + optional(payload.as_deref()),
    }
}

/// Brackets, members and the commas between them.
fn list_size(members: impl ExactSizeIterator<Item = u64>) -> u64 {
    let commas = (members.len() as u64).saturating_sub(1);
    members.fold(2 + commas, u64::saturating_add)
}

fn digits(value: u64) -> u64 {
    u64::from(value.checked_ilog10().unwrap_or(0)) + 1
}

fn signed_size(value: i64) -> u64 {
    u64::from(value < 0) + digits(value.unsigned_abs())
}

fn quotes(magnitude: u64) -> u64 {
    if magnitude > EXACT_MAX { 2 } else { 0 }
}

fn float_size(value: f64) -> u64 {
    match Number::from_f64(value) {
        Some(number) => number.to_string().len() as u64,
        None => 2 + float_name(value).len() as u64,
    }
}

/// The most bytes that one byte becomes: `\u001f`.
const ESCAPED_MAX: u64 = 6;
/// Bytes that are looked at together; what they grow by fits a byte.
const LANES: usize = 32;

/// Looks at every byte of every text that goes in or out of a call, so it is written for a compiler
/// that does many bytes at once: no branches, no counter wider than a byte, no overflow to check.
fn escaped_size(text: &str) -> u64 {
    let grown = |bytes: &[u8]| bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(growth(*byte)));
    let (chunks, rest) = text.as_bytes().as_chunks::<LANES>();
    let chunks = chunks.iter().map(|chunk| u64::from(grown(chunk)));
    chunks.fold(text.len() as u64 + u64::from(grown(rest)), u64::wrapping_add)
}

/// How many bytes longer a byte is when it is escaped: as `\n`, or as `\u001f`.
fn growth(byte: u8) -> u8 {
    let short = matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c);
    let long = (byte < 0x20) & !short;
    u8::from(short) | (u8::from(long) * 5)
}
