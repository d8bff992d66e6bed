//! JSON text to JSON values, strictly: what two readers could understand differently is refused.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};

/// Deepest nesting of arrays and objects that is accepted.
pub const JSON_DEPTH_MAX: usize = 64;

/// Why a text is not JSON that this host accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseJsonErrorKind {
    /// Not JSON (RFC 8259), or more than one value.
    Syntax,
    /// An object has the same key twice.
    DuplicateKey,
    /// Arrays and objects nest deeper than [`JSON_DEPTH_MAX`].
    TooDeep,
}

/// A text that is not JSON that this host accepts, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}, at line {line} column {column}")]
pub struct ParseJsonError {
    /// The kind, for programs.
    pub kind: ParseJsonErrorKind,
    /// What is wrong.
    pub message: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in bytes, from 1; 0 where a line has just ended.
    pub column: usize,
}

/// Parses one JSON value. Besides what RFC 8259 forbids, it refuses duplicate keys (compared after
/// unescaping), nesting beyond [`JSON_DEPTH_MAX`], lone surrogates and numbers beyond a double's range.
/// The caller bounds the text's length.
///
/// # Errors
/// The first problem, with its position.
pub fn parse_json(text: &[u8]) -> Result<Json, ParseJsonError> {
    let kind = Cell::new(ParseJsonErrorKind::Syntax);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    Strict { depth: 0, kind: &kind }
        .deserialize(&mut deserializer)
        .and_then(|json| deserializer.end().map(|()| json))
        .map_err(|error| located(&error, kind.get()))
}

/// Takes the position out of the parser's message, so that it is told once.
fn located(error: &serde_json::Error, kind: ParseJsonErrorKind) -> ParseJsonError {
    let (line, column) = (error.line(), error.column());
    let full = error.to_string();
    let message = full.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&full);
    ParseJsonError { kind, message: message.to_owned(), line, column }
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    /// Set before an error of ours is raised: serde's errors carry text only.
    kind: &'a Cell<ParseJsonErrorKind>,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth < JSON_DEPTH_MAX {
            return Ok(Self { depth: self.depth + 1, kind: self.kind });
        }
        self.kind.set(ParseJsonErrorKind::TooDeep);
        Err(E::custom(format_args!("nested deeper than {JSON_DEPTH_MAX} levels")))
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if members.contains_key(&key) {
                self.kind.set(ParseJsonErrorKind::DuplicateKey);
                let shown: String = key.chars().take(80).collect();
                return Err(A::Error::custom(format_args!("key `{shown}` occurs twice")));
            }
            let value = access.next_value_seed(inner)?;
            members.insert(key, value);
        }
        Ok(Json::Object(members))
    }
}
