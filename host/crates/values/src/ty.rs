//! The types that an operation's signature may contain.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Deepest type that a signature may contain, in levels (`u8` is 1, `list<u8>` is 2). Below the
/// depth of [`crate::JSON_DEPTH_MAX`], so that every value of every operation has a JSON form that
/// can be read back, also inside an envelope.
pub const TYPE_DEPTH_MAX: usize = 48;

/// A WIT value type, named types resolved to their structure (so that equal structures of two
/// packs are the same type).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Type {
    /// `bool`
    Bool,
    /// `s8`
    S8,
    /// `u8`
    U8,
    /// `s16`
    S16,
    /// `u16`
    U16,
    /// `s32`
    S32,
    /// `u32`
    U32,
    /// `s64`
    S64,
    /// `u64`
    U64,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `char`, one Unicode scalar value
    Char,
    /// `string`
    String,
    /// `list<T>`
    List(Box<Self>),
    /// `tuple<..>`
    Tuple(Vec<Self>),
    /// `record`, in declaration order
    Record(Vec<Field>),
    /// `variant`, in declaration order
    Variant(Vec<Case>),
    /// `enum`
    Enum(Vec<String>),
    /// `flags`
    Flags(Vec<String>),
    /// `option<T>`; `T` is never an option itself
    Option(Box<Self>),
    /// `result<ok, err>`
    Result {
        /// The payload of `ok`, if it has one.
        ok: Option<Box<Self>>,
        /// The payload of `err`, if it has one.
        err: Option<Box<Self>>,
    },
}

impl Type {
    /// How deeply the type nests; a type without members is 1.
    #[must_use]
    pub fn depth(&self) -> usize {
        let inner = match self {
            Self::List(item) | Self::Option(item) => item.depth(),
            Self::Tuple(items) => items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Record(fields) => fields.iter().map(|field| field.ty.depth()).max().unwrap_or(0),
            Self::Variant(cases) => {
                cases.iter().filter_map(|case| case.payload.as_ref()).map(Self::depth).max().unwrap_or(0)
            }
            Self::Result { ok, err } => {
                [ok, err].into_iter().flatten().map(|ty| ty.depth()).max().unwrap_or(0)
            }
            _ => 0,
        };
        inner + 1
    }
}

impl Type {
    /// The type for a message: as it displays, cut after 120 bytes. A type from a hostile component
    /// may display as megabytes.
    #[must_use]
    pub fn brief(&self) -> String {
        let mut text = Brief(String::new());
        match fmt::write(&mut text, format_args!("{self}")) {
            Ok(()) => text.0,
            Err(fmt::Error) => text.0 + "...",
        }
    }
}

/// Takes text up to a length, then fails.
struct Brief(String);

impl fmt::Write for Brief {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > 120 {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// A named member of a record, or a named parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its kebab-case name.
    pub name: String,
    /// Its type.
    pub ty: Type,
}

/// A case of a variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Its kebab-case name.
    pub name: String,
    /// Its payload, if it has one.
    pub payload: Option<Type>,
}

/// The signature of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionType {
    /// The parameters, in order.
    pub params: Vec<Field>,
    /// The result, if there is one; a top-level `result<ok, err>` is kept here as it is.
    pub result: Option<Type>,
}

impl FunctionType {
    /// The type of a successful call: the result, or the `ok` payload of a top-level `result`.
    #[must_use]
    pub fn ok(&self) -> Option<&Type> {
        match &self.result {
            Some(Type::Result { ok, .. }) => ok.as_deref(),
            other => other.as_ref(),
        }
    }

    /// The type of the operation's own error, if its result is a top-level `result` with one.
    #[must_use]
    pub fn err(&self) -> Option<&Type> {
        match &self.result {
            Some(Type::Result { err, .. }) => err.as_deref(),
            _ => None,
        }
    }
}

/// Prints the type as WIT would, records and variants written out in place.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn joined<T>(
            f: &mut fmt::Formatter<'_>,
            items: &[T],
            mut each: impl FnMut(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
        ) -> fmt::Result {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    f.write_str(", ")?;
                }
                each(f, item)?;
            }
            Ok(())
        }
        match self {
            Self::Bool => f.write_str("bool"),
            Self::S8 => f.write_str("s8"),
            Self::U8 => f.write_str("u8"),
            Self::S16 => f.write_str("s16"),
            Self::U16 => f.write_str("u16"),
            Self::S32 => f.write_str("s32"),
            Self::U32 => f.write_str("u32"),
            Self::S64 => f.write_str("s64"),
            Self::U64 => f.write_str("u64"),
            Self::F32 => f.write_str("f32"),
            Self::F64 => f.write_str("f64"),
            Self::Char => f.write_str("char"),
            Self::String => f.write_str("string"),
            Self::List(item) => write!(f, "list<{item}>"),
            Self::Option(item) => write!(f, "option<{item}>"),
            Self::Tuple(items) => {
                f.write_str("tuple<")?;
                joined(f, items, |f, item| write!(f, "{item}"))?;
                f.write_str(">")
            }
            Self::Record(fields) => {
                f.write_str("record { ")?;
                joined(f, fields, |f, field| write!(f, "{}: {}", field.name, field.ty))?;
                f.write_str(" }")
            }
            Self::Variant(cases) => {
                f.write_str("variant { ")?;
                joined(f, cases, |f, case| match &case.payload {
                    Some(payload) => write!(f, "{}({payload})", case.name),
                    None => f.write_str(&case.name),
                })?;
                f.write_str(" }")
            }
            Self::Enum(names) => {
                f.write_str("enum { ")?;
                joined(f, names, |f, name| f.write_str(name))?;
                f.write_str(" }")
            }
            Self::Flags(names) => {
                f.write_str("flags { ")?;
                joined(f, names, |f, name| f.write_str(name))?;
                f.write_str(" }")
            }
            Self::Result { ok, err } => match (ok, err) {
                (None, None) => f.write_str("result"),
                (Some(ok), None) => write!(f, "result<{ok}>"),
                (None, Some(err)) => write!(f, "result<_, {err}>"),
                (Some(ok), Some(err)) => write!(f, "result<{ok}, {err}>"),
            },
        }
    }
}
