//! JSON to values, directed by a type. All problems are reported, each with its place.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};

use crate::{Case, Field, FunctionType, TYPE_DEPTH_MAX, Type, Value, closest};

/// Largest `list<u8>` in an argument or a result, in bytes; more travels as an artifact.
pub const BYTES_MAX: usize = 256 << 10;

/// Most problems that one call reports: a hostile list of a million wrong items is one mistake.
pub const ERRORS_MAX: usize = 100;

/// Longest quotation of what was found, in characters.
const FOUND_CHARS_MAX: usize = 60;

/// One place where a JSON value does not have the expected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: expected {expected}, found {found}", if path.is_empty() { "the value" } else { path })]
pub struct ValueError {
    /// Where, as a JSON pointer (RFC 6901) into the value that was given; empty for the whole.
    pub path: String,
    /// What is allowed there.
    pub expected: String,
    /// What is there, cut to a readable length.
    pub found: String,
    /// The known name that was probably meant.
    pub suggestion: Option<String>,
}

/// Reads `json` as a value of `ty`, in the form that [`crate::to_json`] writes. Also accepted: a
/// 64-bit integer as a decimal string of any size, and an absent member where an option is expected.
/// Numbers with a fraction or an exponent are no integers, not even `1.0`.
///
/// # Errors
/// Every problem (at most [`ERRORS_MAX`]), in the order of the value.
pub fn from_json(json: &Json, ty: &Type) -> Result<Value, Vec<ValueError>> {
    let mut decoder = Decoder::default();
    let value = decoder.value(json, ty);
    decoder.finish(value)
}

/// Reads an object of arguments by parameter name. Parameters that are options may be absent.
///
/// # Errors
/// Every problem (at most [`ERRORS_MAX`]), in the order of the parameters, unknown names first.
pub fn arguments_from_json(json: &Json, f: &FunctionType) -> Result<Vec<Value>, Vec<ValueError>> {
    let mut decoder = Decoder::default();
    let values = match json {
        Json::Object(members) => decoder.members(members, &f.params, "parameter"),
        other => decoder.fail("an object of arguments", found(other)),
    };
    let values = values.map(|members| members.into_iter().map(|(_, value)| value).collect());
    decoder.finish(values)
}

#[derive(Default)]
struct Decoder {
    path: String,
    depth: usize,
    errors: Vec<ValueError>,
}

impl Decoder {
    fn finish<T>(self, value: Option<T>) -> Result<T, Vec<ValueError>> {
        value.filter(|_| self.errors.is_empty()).ok_or(self.errors)
    }

    fn fail<T>(&mut self, expected: impl Into<String>, found: impl Into<String>) -> Option<T> {
        self.fail_suggesting(expected, found, None)
    }

    fn fail_suggesting<T>(
        &mut self,
        expected: impl Into<String>,
        found: impl Into<String>,
        suggestion: Option<&str>,
    ) -> Option<T> {
        if !self.is_full() {
            self.errors.push(ValueError {
                path: self.path.clone(),
                expected: expected.into(),
                found: found.into(),
                suggestion: suggestion.map(str::to_owned),
            });
        }
        None
    }

    fn is_full(&self) -> bool {
        self.errors.len() >= ERRORS_MAX
    }

    /// Runs `read` one level down, at `key`.
    fn at<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let length = self.path.len();
        self.path.push('/');
        self.path.push_str(&key.replace('~', "~0").replace('/', "~1"));
        let value = read(self);
        self.path.truncate(length);
        value
    }

    fn value(&mut self, json: &Json, ty: &Type) -> Option<Value> {
        if self.depth >= TYPE_DEPTH_MAX {
            return self.fail(format!("a value of at most {TYPE_DEPTH_MAX} levels"), "a deeper one");
        }
        self.depth += 1;
        let value = self.value_within(json, ty);
        self.depth -= 1;
        value
    }

    fn value_within(&mut self, json: &Json, ty: &Type) -> Option<Value> {
        match ty {
            Type::Bool => match json {
                Json::Bool(value) => Some(Value::Bool(*value)),
                other => self.fail("bool", found(other)),
            },
            Type::S8 => self.integer(json, "s8", i8::MIN, i8::MAX).map(Value::S8),
            Type::U8 => self.integer(json, "u8", u8::MIN, u8::MAX).map(Value::U8),
            Type::S16 => self.integer(json, "s16", i16::MIN, i16::MAX).map(Value::S16),
            Type::U16 => self.integer(json, "u16", u16::MIN, u16::MAX).map(Value::U16),
            Type::S32 => self.integer(json, "s32", i32::MIN, i32::MAX).map(Value::S32),
            Type::U32 => self.integer(json, "u32", u32::MIN, u32::MAX).map(Value::U32),
            Type::S64 => self.wide_integer(json, "s64", i64::MIN, i64::MAX).map(Value::S64),
            Type::U64 => self.wide_integer(json, "u64", u64::MIN, u64::MAX).map(Value::U64),
            Type::F32 => self.float32(json).map(Value::F32),
            Type::F64 => self.float64(json, "f64").map(Value::F64),
            Type::Char => self.character(json).map(Value::Char),
            Type::String => self.string(json, "string").map(|text| Value::String(text.to_owned())),
            Type::List(item) if **item == Type::U8 => self.bytes(json).map(Value::Bytes),
            Type::List(item) => self.list(json, item).map(Value::List),
            Type::Tuple(items) => self.tuple(json, items).map(Value::Tuple),
            Type::Record(fields) => match json {
                Json::Object(members) => self.members(members, fields, "field").map(Value::Record),
                other => self.fail("an object", found(other)),
            },
            Type::Variant(cases) => self.variant(json, cases),
            Type::Enum(names) => {
                let text = self.string(json, "a case's name")?;
                self.known(text, names.iter().map(String::as_str)).map(Value::Enum)
            }
            Type::Flags(names) => self.flags(json, names).map(Value::Flags),
            Type::Option(inner) => match json {
                Json::Null => Some(Value::Option(None)),
                json => self.value(json, inner).map(|value| Value::Option(Some(Box::new(value)))),
            },
            Type::Result { ok, err } => self.result(json, ok.as_deref(), err.as_deref()),
        }
    }

    fn integer<T>(&mut self, json: &Json, name: &str, min: T, max: T) -> Option<T>
    where
        T: TryFrom<i128> + std::fmt::Display + Copy,
    {
        let number = json.as_i64().map(i128::from).or_else(|| json.as_u64().map(i128::from));
        match number.and_then(|number| T::try_from(number).ok()) {
            Some(number) => Some(number),
            None => self.fail(format!("{name}, an integer from {min} to {max}"), found(json)),
        }
    }

    fn wide_integer<T>(&mut self, json: &Json, name: &str, min: T, max: T) -> Option<T>
    where
        T: TryFrom<i128> + std::fmt::Display + Copy,
    {
        let Json::String(text) = json else { return self.integer(json, name, min, max) };
        match decimal(text).and_then(|number| T::try_from(number).ok()) {
            Some(number) => Some(number),
            None => self.fail(
                format!("{name}, an integer from {min} to {max} or the same as a decimal string"),
                found(json),
            ),
        }
    }

    fn float64(&mut self, json: &Json, name: &str) -> Option<f64> {
        match json {
            Json::String(text) if text == "nan" => Some(f64::NAN),
            Json::String(text) if text == "inf" => Some(f64::INFINITY),
            Json::String(text) if text == "-inf" => Some(f64::NEG_INFINITY),
            json => match json.as_f64().filter(|number| number.is_finite()) {
                Some(number) => Some(number),
                None => self.fail(format!(r#"{name}, a number, "nan", "inf" or "-inf""#), found(json)),
            },
        }
    }

    fn float32(&mut self, json: &Json) -> Option<f32> {
        let wide = self.float64(json, "f32")?;
        #[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest f32 is what is meant")]
        let narrow = wide as f32;
        if wide.is_finite() && wide.abs() > f64::from(f32::MAX) {
            return self.fail(format!("f32, a number from {} to {}", f32::MIN, f32::MAX), found(json));
        }
        // A narrowed NaN may keep payload bits; ours is the canonical one.
        Some(if wide.is_nan() { f32::NAN } else { narrow })
    }

    fn character(&mut self, json: &Json) -> Option<char> {
        let mut chars = json.as_str().unwrap_or_default().chars();
        match (chars.next(), chars.next()) {
            (Some(scalar), None) => Some(scalar),
            _ => self.fail("char, a string of exactly one Unicode scalar value", found(json)),
        }
    }

    fn string<'j>(&mut self, json: &'j Json, expected: &str) -> Option<&'j str> {
        match json {
            Json::String(text) => Some(text),
            other => self.fail(expected, found(other)),
        }
    }

    fn bytes(&mut self, json: &Json) -> Option<Vec<u8>> {
        let text = self.string(json, "list<u8> as a base64 string")?;
        // Four characters carry three bytes, so the text's length tells before anything is decoded.
        if text.len() > BYTES_MAX.div_ceil(3) * 4 {
            return self.fail(format!("at most {BYTES_MAX} bytes as base64"), "a longer string");
        }
        match STANDARD.decode(text) {
            Ok(bytes) if bytes.len() <= BYTES_MAX => Some(bytes),
            Ok(bytes) => {
                self.fail(format!("at most {BYTES_MAX} bytes as base64"), format!("{} bytes", bytes.len()))
            }
            Err(_) => self.fail("list<u8> as canonical base64 with padding", found(json)),
        }
    }

    fn list(&mut self, json: &Json, item: &Type) -> Option<Vec<Value>> {
        let Json::Array(items) = json else { return self.fail("an array", found(json)) };
        self.items(items.iter().map(|json| (json, item)))
    }

    fn tuple(&mut self, json: &Json, types: &[Type]) -> Option<Vec<Value>> {
        match json {
            Json::Array(items) if items.len() == types.len() => self.items(items.iter().zip(types)),
            other => self.fail(format!("an array of {} items", types.len()), found(other)),
        }
    }

    /// Reads every item, also after a bad one; none if any was bad.
    fn items<'a>(
        &mut self,
        items: impl ExactSizeIterator<Item = (&'a Json, &'a Type)>,
    ) -> Option<Vec<Value>> {
        let total = items.len();
        let mut values = Vec::new();
        for (index, (json, ty)) in items.enumerate() {
            values.extend(self.at(&index.to_string(), |decoder| decoder.value(json, ty)));
            if self.is_full() {
                return None;
            }
        }
        (values.len() == total).then_some(values)
    }

    /// Reads an object's members in the order of `fields`; `noun` is what a field is called.
    fn members(
        &mut self,
        members: &Map<String, Json>,
        fields: &[Field],
        noun: &str,
    ) -> Option<Vec<(String, Value)>> {
        let known = fields.iter().filter(|field| members.contains_key(&field.name)).count();
        let unknown = known < members.len();
        let strangers = members.keys().filter(|key| fields.iter().all(|field| field.name != **key));
        for key in strangers.take(if unknown { ERRORS_MAX } else { 0 }) {
            let suggestion = closest(key, fields.iter().map(|field| field.name.as_str()));
            let expected = format!("a known {noun}: {}", name_list(fields.iter().map(|field| &*field.name)));
            self.at(key, |decoder| {
                decoder.fail_suggesting::<()>(expected, format!("{noun} {}", quoted(key)), suggestion)
            });
            if self.is_full() {
                return None;
            }
        }
        let mut values = Vec::new();
        for field in fields {
            let value = match (members.get(&field.name), &field.ty) {
                (Some(json), ty) => self.at(&field.name, |decoder| decoder.value(json, ty)),
                (None, Type::Option(_)) => Some(Value::Option(None)),
                (None, ty) => self.at(&field.name, |decoder| decoder.fail(ty.brief(), "nothing")),
            };
            values.extend(value.map(|value| (field.name.clone(), value)));
        }
        (!unknown && values.len() == fields.len()).then_some(values)
    }

    fn variant(&mut self, json: &Json, cases: &[Case]) -> Option<Value> {
        let (name, given) = match json {
            Json::String(name) => (name, None),
            Json::Object(members) if members.len() == 1 => match members.iter().next() {
                Some((name, payload)) => (name, Some(payload)),
                None => return None,
            },
            other => return self.fail("a case, as `\"case\"` or `{\"case\": value}`", found(other)),
        };
        let name = self.known(name, cases.iter().map(|case| case.name.as_str()))?;
        let ty = cases.iter().find(|case| case.name == name).and_then(|case| case.payload.as_ref());
        let payload = match (given, ty) {
            (None, None) => None,
            (Some(json), Some(ty)) => Some(Box::new(self.at(&name, |decoder| decoder.value(json, ty))?)),
            (None, Some(_)) => return self.fail(format!("`{{\"{name}\": value}}`"), found(json)),
            (Some(_), None) => {
                return self.fail(format!("`\"{name}\"`, a case without a value"), found(json));
            }
        };
        Some(Value::Variant { case: name, payload })
    }

    fn flags(&mut self, json: &Json, names: &[String]) -> Option<Vec<String>> {
        let Json::Array(items) = json else { return self.fail("an array of flags", found(json)) };
        let mut set = std::collections::BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            self.at(&index.to_string(), |decoder| {
                let text = decoder.string(item, "a flag's name")?;
                let name = decoder.known(text, names.iter().map(String::as_str))?;
                if set.contains(&name) {
                    return decoder.fail("each flag once", format!("{} again", quoted(&name)));
                }
                set.insert(name);
                Some(())
            });
            if self.is_full() {
                return None;
            }
        }
        (set.len() == items.len()).then(|| names.iter().filter(|name| set.contains(*name)).cloned().collect())
    }

    fn result(&mut self, json: &Json, ok: Option<&Type>, err: Option<&Type>) -> Option<Value> {
        let member =
            json.as_object().filter(|members| members.len() == 1).and_then(|members| members.iter().next());
        match member {
            Some((key, json)) if key == "ok" => {
                self.payload(key, json, ok).map(|payload| Value::Result(Ok(payload)))
            }
            Some((key, json)) if key == "err" => {
                self.payload(key, json, err).map(|payload| Value::Result(Err(payload)))
            }
            _ => self.fail(r#"`{"ok": value}` or `{"err": value}`"#, found(json)),
        }
    }

    #[expect(clippy::option_option, reason = "outer: was it readable; inner: is there a payload")]
    fn payload(&mut self, key: &str, json: &Json, ty: Option<&Type>) -> Option<Option<Box<Value>>> {
        self.at(key, |decoder| match (json, ty) {
            (Json::Null, None) => Some(None),
            (json, Some(ty)) => decoder.value(json, ty).map(|value| Some(Box::new(value))),
            (json, None) => decoder.fail("null, since there is no payload", found(json)),
        })
    }

    fn known<'a>(&mut self, name: &str, names: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
        if names.clone().any(|known| known == name) {
            return Some(name.to_owned());
        }
        self.fail_suggesting(
            format!("one of {}", name_list(names.clone())),
            quoted(name),
            closest(name, names),
        )
    }
}

/// A canonical decimal integer: no plus, no leading zero, no `-0`.
fn decimal(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !digits.starts_with('0'));
    // No 64-bit integer has more than 20 digits; what is longer need not be parsed.
    if canonical && digits.len() <= 20 { text.parse().ok() } else { None }
}

/// Names for an error message; a long list is cut.
fn name_list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let mut text = String::new();
    for (index, name) in names.enumerate() {
        if index == SHOWN {
            text.push_str(", ...");
            break;
        }
        let comma = if index == 0 { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}`{name}`");
    }
    text
}

fn found(json: &Json) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Number(number) => cut(&number.to_string(), FOUND_CHARS_MAX),
        Json::String(text) => format!("the string {}", quoted(text)),
        Json::Array(items) => format!("an array of {} items", items.len()),
        Json::Object(members) if members.len() == 1 => "an object with one member".to_owned(),
        Json::Object(members) => format!("an object with {} members", members.len()),
    }
}

fn quoted(text: &str) -> String {
    format!("`{}`", cut(text, FOUND_CHARS_MAX))
}

fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
