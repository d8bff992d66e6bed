//! WIT types and values, with their JSON form, their JSON Schema and their subtyping.
//!
//! Invariants: knows no engine. A [`Type`] is what an operation's signature may contain, so
//! resources, streams and futures have no representation here. Pure: no I/O, no clock. Every
//! function is total: recursion follows a type, whose depth the reader of components bounds with
//! [`TYPE_DEPTH_MAX`], or JSON text, whose depth [`parse_json`] bounds; neither panics on hostile
//! input. Text from outside the process becomes JSON through [`parse_json`] and nothing else.

mod decode;
mod encode;
mod json_schema;
mod json_text;
mod schema;
mod subtype;
mod suggest;
mod ty;
mod type_check;
mod value;

pub use decode::{BYTES_MAX, ERRORS_MAX, ValueError, arguments_from_json, from_json};
pub use encode::{json_fits, json_size, to_json};
pub use json_schema::{
    JsonSchema, SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX, SCHEMA_STEPS_MAX, SchemaError, SchemaMismatch,
};
pub use json_text::{JSON_DEPTH_MAX, ParseJsonError, ParseJsonErrorKind, parse_json};
pub use schema::{parameters_schema, schema};
pub use subtype::{CoerceError, Mismatch, coerce, is_subtype};
pub use suggest::closest;
pub use ty::{Case, Field, FunctionType, TYPE_DEPTH_MAX, Type};
pub use type_check::type_check;
pub use value::Value;
