//! A value against the rules of a schema.

use std::cell::Cell;
use std::cmp::Ordering;

use serde_json::{Number, Value as Json};

use super::{
    Counted, Id, JsonSchema, Limit, Node, Rule, SCHEMA_DEPTH_MAX, SCHEMA_STEPS_MAX, SchemaMismatch, TypeName,
    pointer,
};

/// Bytes that are compared in one step.
const STEP_BYTES: usize = 64;

/// Why a check ended: what does not fit, or that it cannot be told.
enum Stop {
    Mismatch(SchemaMismatch),
    TooMuch,
    TooDeep,
}

type Checked = Result<(), Stop>;

impl JsonSchema {
    /// Checks that `value` satisfies the schema.
    ///
    /// # Errors
    /// The first thing that does not, or that telling takes more than [`SCHEMA_STEPS_MAX`] steps or
    /// nests deeper than [`SCHEMA_DEPTH_MAX`].
    pub fn check(&self, value: &Json) -> Result<(), SchemaMismatch> {
        let checker = Checker { schema: self, steps: Cell::new(0) };
        let whole = |message: &str| SchemaMismatch { at: String::new(), message: message.to_owned() };
        checker.node(0, value, "", 0).map_err(|stop| match stop {
            Stop::Mismatch(mismatch) => mismatch,
            Stop::TooMuch => whole("checking it takes too many steps"),
            Stop::TooDeep => whole("checking it nests too deeply"),
        })
    }
}

struct Checker<'a> {
    schema: &'a JsonSchema,
    steps: Cell<u64>,
}

impl Checker<'_> {
    fn node(&self, id: Id, value: &Json, at: &str, depth: usize) -> Checked {
        self.step(1)?;
        if depth > SCHEMA_DEPTH_MAX {
            return Err(Stop::TooDeep);
        }
        match self.schema.nodes.get(id) {
            Some(Node::All(rules)) => rules.iter().try_for_each(|rule| self.rule(rule, value, at, depth + 1)),
            Some(Node::Constant(true)) => Ok(()),
            Some(Node::Constant(false)) | None => Err(mismatch(at, "nothing is allowed here")),
        }
    }

    /// Whether it fits, where the answer may be no.
    fn fits(&self, id: Id, value: &Json, at: &str, depth: usize) -> Result<bool, Stop> {
        match self.node(id, value, at, depth) {
            Ok(()) => Ok(true),
            Err(Stop::Mismatch(_)) => Ok(false),
            Err(stop) => Err(stop),
        }
    }

    fn how_many(&self, ids: &[Id], value: &Json, at: &str, depth: usize) -> Result<usize, Stop> {
        ids.iter().try_fold(0, |fit, id| Ok(fit + usize::from(self.fits(*id, value, at, depth)?)))
    }

    fn rule(&self, rule: &Rule, value: &Json, at: &str, depth: usize) -> Checked {
        let expect = |good: bool, message: &dyn Fn() -> String| {
            if good { Ok(()) } else { Err(mismatch(at, message())) }
        };
        match (rule, value) {
            (Rule::Types(types), _) => {
                let names = || types.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" or ");
                expect(types.iter().any(|name| is_of(*name, value)), &|| format!("expected {}", names()))
            }
            (Rule::OneOfValues(values), _) => {
                for allowed in values {
                    if self.equal(allowed, value)? {
                        return Ok(());
                    }
                }
                Err(mismatch(at, "not one of the values that are allowed"))
            }
            (Rule::AllOf(ids), _) => ids.iter().try_for_each(|id| self.node(*id, value, at, depth)),
            (Rule::AnyOf(ids), _) => {
                for id in ids {
                    if self.fits(*id, value, at, depth)? {
                        return Ok(());
                    }
                }
                Err(mismatch(at, "none of the alternatives fits"))
            }
            (Rule::OneOf(ids), _) => {
                let fit = self.how_many(ids, value, at, depth)?;
                expect(fit == 1, &|| format!("{fit} of the alternatives fit, not exactly one"))
            }
            (Rule::Not(id), _) => {
                let fits = self.fits(*id, value, at, depth)?;
                expect(!fits, &|| "what is not allowed fits".to_owned())
            }
            (Rule::Is(id), _) => self.node(*id, value, at, depth),
            (Rule::Numbers { limit, bound }, Json::Number(number)) => {
                let (good, words) = match (limit, order(number, bound)) {
                    (Limit::AtLeast, order) => (order != Some(Ordering::Less), "at least"),
                    (Limit::AtMost, order) => (order != Some(Ordering::Greater), "at most"),
                    (Limit::Above, order) => (order == Some(Ordering::Greater), "more than"),
                    (Limit::Below, order) => (order == Some(Ordering::Less), "less than"),
                };
                expect(good, &|| format!("expected {words} {bound}"))
            }
            (Rule::MultipleOf(divisor), Json::Number(number)) => {
                let good = whole(number).is_some_and(|number| number % i128::from(*divisor) == 0);
                expect(good, &|| format!("expected a multiple of {divisor}"))
            }
            (Rule::Length { most, bound }, Json::String(text)) => {
                self.bytes(text.len())?;
                self.counted(*most, *bound, text.chars().count(), "characters", at)
            }
            (Rule::Names(id), Json::Object(members)) => members.keys().try_for_each(|name| {
                self.bytes(name.len())?;
                self.node(*id, &Json::String(name.clone()), &pointer(at, name), depth)
            }),
            _ => self.inside(rule, value, at, depth),
        }
    }

    /// The rules of arrays and objects.
    fn inside(&self, rule: &Rule, value: &Json, at: &str, depth: usize) -> Checked {
        match (rule, value) {
            (Rule::Count { of: Counted::Items, most, bound }, Json::Array(items)) => {
                self.counted(*most, *bound, items.len(), "items", at)
            }
            (Rule::Count { of: Counted::Members, most, bound }, Json::Object(members)) => {
                self.counted(*most, *bound, members.len(), "members", at)
            }
            (Rule::Unique, Json::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    for earlier in items.iter().take(index) {
                        if self.equal(earlier, item)? {
                            return Err(mismatch(
                                &pointer(at, &index.to_string()),
                                "an earlier item is equal",
                            ));
                        }
                    }
                }
                Ok(())
            }
            (Rule::Prefix(ids), Json::Array(items)) => {
                let pairs = ids.iter().zip(items).enumerate();
                pairs.into_iter().try_for_each(|(index, (id, item))| {
                    self.node(*id, item, &pointer(at, &index.to_string()), depth)
                })
            }
            (Rule::Items { from, each }, Json::Array(items)) => {
                let rest = items.iter().enumerate().skip(*from);
                rest.into_iter().try_for_each(|(index, item)| {
                    self.node(*each, item, &pointer(at, &index.to_string()), depth)
                })
            }
            (Rule::Members { named, others }, Json::Object(members)) => {
                members.iter().try_for_each(|(name, value)| {
                    self.bytes(name.len())?;
                    match named.get(name).or(others.as_ref()) {
                        Some(id) => self.node(*id, value, &pointer(at, name), depth),
                        None => Ok(()),
                    }
                })
            }
            (Rule::Required(names), Json::Object(members)) => {
                self.step(names.len() as u64)?;
                match names.iter().find(|name| !members.contains_key(*name)) {
                    Some(name) => Err(mismatch(at, format!("`{name}` is missing"))),
                    None => Ok(()),
                }
            }
            // It speaks of another kind of value.
            _ => Ok(()),
        }
    }

    fn counted(&self, most: bool, bound: u64, count: usize, what: &str, at: &str) -> Checked {
        let count = count as u64;
        let (good, words) = if most { (count <= bound, "at most") } else { (count >= bound, "at least") };
        if good { Ok(()) } else { Err(mismatch(at, format!("expected {words} {bound} {what}, not {count}"))) }
    }

    /// Whether both are the same value: numbers by what they are, not by how they are written.
    fn equal(&self, one: &Json, other: &Json) -> Result<bool, Stop> {
        self.step(1)?;
        Ok(match (one, other) {
            (Json::Number(one), Json::Number(other)) => order(one, other) == Some(Ordering::Equal),
            (Json::String(one), Json::String(other)) => {
                self.bytes(one.len().min(other.len()))?;
                one == other
            }
            (Json::Array(one), Json::Array(other)) if one.len() == other.len() => {
                let mut pairs = one.iter().zip(other);
                pairs.try_fold(true, |same, (one, other)| Ok(same && self.equal(one, other)?))?
            }
            (Json::Object(one), Json::Object(other)) if one.len() == other.len() => {
                one.iter().try_fold(true, |same, (name, one)| match other.get(name) {
                    Some(other) => Ok(same && self.equal(one, other)?),
                    None => Ok(false),
                })?
            }
            (one, other) => one == other,
        })
    }

    fn bytes(&self, bytes: usize) -> Checked {
        self.step((bytes / STEP_BYTES) as u64)
    }

    fn step(&self, steps: u64) -> Checked {
        let taken = self.steps.get().saturating_add(steps);
        self.steps.set(taken);
        if taken > SCHEMA_STEPS_MAX { Err(Stop::TooMuch) } else { Ok(()) }
    }
}

fn mismatch(at: &str, message: impl Into<String>) -> Stop {
    Stop::Mismatch(SchemaMismatch { at: at.to_owned(), message: message.into() })
}

fn is_of(name: TypeName, value: &Json) -> bool {
    match (name, value) {
        (TypeName::Null, Json::Null)
        | (TypeName::Boolean, Json::Bool(_))
        | (TypeName::Object, Json::Object(_))
        | (TypeName::Array, Json::Array(_))
        | (TypeName::Number, Json::Number(_))
        | (TypeName::String, Json::String(_)) => true,
        (TypeName::Integer, Json::Number(number)) => {
            number.as_f64().is_some_and(|float| float.fract() == 0.0) || whole(number).is_some()
        }
        _ => false,
    }
}

/// Doubles up to here are compared and divided as integers; those beyond have no digits to spare.
const WHOLE_MAX: f64 = 1e30;

/// A number without a fraction, however it is written, unless it is beyond [`WHOLE_MAX`].
fn whole(number: &Number) -> Option<i128> {
    let integer = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    let float = || number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= WHOLE_MAX);
    integer.or_else(|| float().map(|float| float as i128))
}

/// Exact: an integer is never rounded to be compared with another one.
fn order(one: &Number, other: &Number) -> Option<Ordering> {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}
