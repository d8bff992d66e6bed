//! Checked expressions: what [`crate::evaluate`] takes.

use std::fmt;

use base::StepId;
use values::{Type, Value};

/// An expression whose references exist and whose type was checked.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A value that the planfile spells.
    Literal(Value),
    /// A value that exists once the run is there.
    Reference(Reference),
    /// The value of a subtype, made a value of exactly this type.
    Coerce(Box<Self>, Type),
    /// Items of one type.
    List(Vec<Self>),
    /// Items of several types.
    Tuple(Vec<Self>),
    /// Every field, in the type's order.
    Record(Vec<(String, Self)>),
    /// A variant's case.
    Variant {
        /// The case's name.
        case: String,
        /// Its payload, if it has one.
        payload: Option<Box<Self>>,
    },
    /// `some` of an option. A `none` is a literal.
    Some(Box<Self>),
    /// A `result`, either way, with its payload if it has one.
    Result(Result<Option<Box<Self>>, Option<Box<Self>>>),
    /// Text with interpolated values.
    Text(Vec<TextPart>),
    /// The number of items of a list, as `u64`.
    Length(Reference),
}

/// A piece of an interpolated text.
#[derive(Debug, Clone, PartialEq)]
pub enum TextPart {
    /// As it stands.
    Literal(String),
    /// The text of a string, character, number, boolean or enum case.
    Value(Expr),
}

/// `$step.field`, `$item.field`, `$inputs.name.field`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// What it starts from.
    pub root: Root,
    /// The record fields to follow from there.
    pub fields: Vec<String>,
}

/// What a reference starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// A step's ok value; for a fan-out, the list of them in the order of the items.
    Step(StepId),
    /// An input of the run.
    Input(String),
    /// The item that the call is for.
    Item,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.root {
            Root::Step(id) => write!(f, "${id}"),
            Root::Input(name) => write!(f, "$inputs.{name}"),
            Root::Item => f.write_str("$item"),
        }?;
        self.fields.iter().try_for_each(|field| write!(f, ".{field}"))
    }
}

/// Whether a value of `ty` can stand inside a text.
pub(crate) const fn has_text(ty: &Type) -> bool {
    !matches!(
        ty,
        Type::List(_)
            | Type::Tuple(_)
            | Type::Record(_)
            | Type::Variant(_)
            | Type::Flags(_)
            | Type::Option(_)
            | Type::Result { .. }
    )
}
