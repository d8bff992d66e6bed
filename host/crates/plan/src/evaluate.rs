//! Expressions to values. Pure: the run's state enters through [`Scope`].

use base::StepId;
use values::Value;

use crate::bounds::EVALUATED_BYTES_MAX;
use crate::{Expr, Reference, Root, TextPart};

/// The values that an expression can refer to.
pub trait Scope {
    /// The ok value of a completed step; for a fan-out, the list of its items' ok values.
    fn step(&self, id: &StepId) -> Option<&Value>;
    /// The item that the call is for; none outside a fan-out.
    fn item(&self) -> Option<&Value>;
    /// An input of the run, its default filled in.
    fn input(&self, name: &str) -> Option<&Value>;
}

/// Why an expression of a checked plan has no value. All but `TooLarge` mean that the scope does not
/// hold what the plan was checked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The scope has no such step, input, item or field; the reference as the planfile spells it.
    #[error("`{0}` has no value")]
    Absent(String),
    /// A value is not of the type that the check saw, with what was found instead.
    #[error("a value does not have the type that the plan was checked for: {0}")]
    OtherType(String),
    /// The encoded size is over [`crate::bounds::EVALUATED_BYTES_MAX`].
    #[error("the value of an expression is larger than {EVALUATED_BYTES_MAX} bytes")]
    TooLarge,
}

/// The value of `expr`, of exactly the type that it was checked for.
///
/// # Errors
/// If the scope does not hold what `expr` refers to, or the value grows too large.
pub fn evaluate(expr: &Expr, scope: &dyn Scope) -> Result<Value, EvalError> {
    Evaluation { scope, bytes_left: EVALUATED_BYTES_MAX }.value(expr)
}

/// The items of a fan-out, in order: [`crate::FanOut::items`] evaluated and taken apart.
///
/// # Errors
/// As [`evaluate`], and if the value is no list.
pub fn evaluate_items(items: &Expr, scope: &dyn Scope) -> Result<Vec<Value>, EvalError> {
    match evaluate(items, scope)? {
        Value::List(items) => Ok(items),
        Value::Bytes(bytes) => Ok(bytes.into_iter().map(Value::U8).collect()),
        _ => Err(EvalError::OtherType("not a list".to_owned())),
    }
}

/// One evaluation. A reference may occur many times in a small expression, so what is copied out of
/// the scope is counted.
struct Evaluation<'a> {
    scope: &'a dyn Scope,
    bytes_left: u64,
}

impl Evaluation<'_> {
    fn value(&mut self, expr: &Expr) -> Result<Value, EvalError> {
        Ok(match expr {
            Expr::Literal(value) => value.clone(),
            Expr::Reference(reference) => {
                let value = self.find(reference)?;
                self.bytes_left =
                    self.bytes_left.checked_sub(values::json_size(value)).ok_or(EvalError::TooLarge)?;
                value.clone()
            }
            Expr::Coerce(inner, ty) => values::coerce(self.value(inner)?, ty)
                .map_err(|error| EvalError::OtherType(error.to_string()))?,
            Expr::List(items) => Value::List(self.values(items)?),
            Expr::Tuple(items) => Value::Tuple(self.values(items)?),
            Expr::Record(fields) => {
                let field = |(name, expr): &(String, Expr)| Ok((name.clone(), self.value(expr)?));
                Value::Record(fields.iter().map(field).collect::<Result<_, EvalError>>()?)
            }
            Expr::Variant { case, payload } => {
                Value::Variant { case: case.clone(), payload: self.payload(payload.as_deref())? }
            }
            Expr::Some(inner) => Value::Option(Some(Box::new(self.value(inner)?))),
            Expr::Result(Ok(payload)) => Value::Result(Ok(self.payload(payload.as_deref())?)),
            Expr::Result(Err(payload)) => Value::Result(Err(self.payload(payload.as_deref())?)),
            Expr::Text(parts) => Value::String(self.text(parts)?),
            Expr::Length(reference) => match self.find(reference)? {
                Value::List(items) => Value::U64(items.len() as u64),
                Value::Bytes(bytes) => Value::U64(bytes.len() as u64),
                _ => return Err(EvalError::OtherType(format!("`{reference}` is no list"))),
            },
        })
    }

    fn values(&mut self, exprs: &[Expr]) -> Result<Vec<Value>, EvalError> {
        exprs.iter().map(|expr| self.value(expr)).collect()
    }

    fn payload(&mut self, expr: Option<&Expr>) -> Result<Option<Box<Value>>, EvalError> {
        expr.map(|expr| self.value(expr).map(Box::new)).transpose()
    }

    fn text(&mut self, parts: &[TextPart]) -> Result<String, EvalError> {
        let mut text = String::new();
        for part in parts {
            match part {
                TextPart::Literal(literal) => text.push_str(literal),
                TextPart::Value(expr) => text.push_str(&interpolated(&self.value(expr)?)?),
            }
        }
        Ok(text)
    }
}

impl<'a> Evaluation<'a> {
    fn find(&self, reference: &Reference) -> Result<&'a Value, EvalError> {
        let root = match &reference.root {
            Root::Step(id) => self.scope.step(id),
            Root::Input(name) => self.scope.input(name),
            Root::Item => self.scope.item(),
        };
        let value = reference.fields.iter().fold(root, |value, name| field_of(value?, name));
        value.ok_or_else(|| EvalError::Absent(reference.to_string()))
    }
}

fn field_of<'a>(value: &'a Value, name: &String) -> Option<&'a Value> {
    match value {
        Value::Record(fields) => fields.iter().find(|(field, _)| field == name).map(|(_, value)| value),
        _ => None,
    }
}

/// The text of a value inside an interpolated string, for the types of
/// [`crate::expression::has_text`].
fn interpolated(value: &Value) -> Result<String, EvalError> {
    Ok(match value {
        Value::String(text) | Value::Enum(text) => text.clone(),
        Value::Char(char) => char.to_string(),
        Value::Bool(bool) => bool.to_string(),
        Value::S8(number) => number.to_string(),
        Value::U8(number) => number.to_string(),
        Value::S16(number) => number.to_string(),
        Value::U16(number) => number.to_string(),
        Value::S32(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::S64(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::F32(number) => float(f64::from(*number), number),
        Value::F64(number) => float(*number, number),
        _ => return Err(EvalError::OtherType("it has no form in text".to_owned())),
    })
}

/// As in JSON: the numbers that JSON does not have are lower-case words.
fn float(number: f64, spelt: &dyn std::fmt::Display) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    spelt.to_string()
}
