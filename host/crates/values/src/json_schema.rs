//! JSON checked against a JSON Schema (draft 2020-12), where both may be hostile.
//!
//! A schema is read once, into rules: a keyword that is not known here is refused by name, so that no
//! constraint is skipped in silence. Checking takes a bounded number of steps, since a few lines of
//! `$ref` and `anyOf` can ask for more comparisons than anybody has time for; a general validator
//! cannot be stopped.
//!
//! Source: JSON Schema Core and Validation, draft 2020-12. `format` and the `content` keywords are
//! annotations, as they are there. Not supported, and therefore refused: `pattern` and
//! `patternProperties`, `$id`, `$anchor`, `$dynamicRef`, references to anything but the root and its
//! `$defs`, `unevaluated*`, `dependent*`, `if`, `contains`.

mod check;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Number, Value as Json};

/// Longest text of a schema, in bytes.
pub const SCHEMA_BYTES_MAX: usize = 64 << 10;
/// Most steps of one check: a subschema that is applied, a member or item that is looked at, or 64
/// bytes that are compared.
pub const SCHEMA_STEPS_MAX: u64 = 2_000_000;
/// Deepest nesting of subschemas that are applied at the same time.
pub const SCHEMA_DEPTH_MAX: usize = 128;

/// The text is not a schema that this host checks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", if at.is_empty() { "the schema" } else { at })]
pub struct SchemaError {
    /// Where, as a JSON pointer (RFC 6901) into the schema; empty for all of it.
    pub at: String,
    /// What is wrong.
    pub message: String,
}

/// A value does not satisfy a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", if at.is_empty() { "the value" } else { at })]
pub struct SchemaMismatch {
    /// Where, as a JSON pointer (RFC 6901) into the value; empty for all of it.
    pub at: String,
    /// What was expected.
    pub message: String,
}

/// A schema that was read.
#[derive(Debug, Clone)]
pub struct JsonSchema {
    nodes: Vec<Node>,
}

/// A subschema, by its place in [`JsonSchema::nodes`]. The root is the first.
type Id = usize;

/// What a value must be for one subschema.
#[derive(Debug, Clone)]
enum Node {
    /// Anything, or nothing.
    Constant(bool),
    /// All of these.
    All(Vec<Rule>),
}

/// One constraint. Those of a kind of value say nothing of other kinds.
#[derive(Debug, Clone)]
enum Rule {
    Types(Vec<TypeName>),
    OneOfValues(Vec<Json>),
    AllOf(Vec<Id>),
    AnyOf(Vec<Id>),
    OneOf(Vec<Id>),
    Not(Id),
    Is(Id),
    Numbers { limit: Limit, bound: Number },
    MultipleOf(u64),
    Length { most: bool, bound: u64 },
    Count { of: Counted, most: bool, bound: u64 },
    Unique,
    Prefix(Vec<Id>),
    Items { from: usize, each: Id },
    Members { named: BTreeMap<String, Id>, others: Option<Id> },
    Required(BTreeSet<String>),
    Names(Id),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    AtLeast,
    AtMost,
    Above,
    Below,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Items,
    Members,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TypeName {
    Null,
    Boolean,
    Object,
    Array,
    Number,
    String,
    Integer,
}

impl TypeName {
    const ALL: [(&'static str, Self); 7] = [
        ("null", Self::Null),
        ("boolean", Self::Boolean),
        ("object", Self::Object),
        ("array", Self::Array),
        ("number", Self::Number),
        ("string", Self::String),
        ("integer", Self::Integer),
    ];

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, name)| *name == self).map_or("", |(text, _)| text)
    }
}

/// Adds a segment to a JSON pointer.
fn pointer(at: &str, segment: &str) -> String {
    format!("{at}/{}", segment.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests;
