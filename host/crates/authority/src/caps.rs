//! Upper bounds that operators put on the limits of calls.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base::{
    Limits, ParseQuantityError, parse_bytes, parse_count, parse_duration_ms, show_bytes, show_count,
    show_duration_ms,
};

/// A limit of a call that can be lowered. The stack is not among them: it is the engine's, the same
/// for every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitKind {
    /// [`Limits::fuel`].
    Fuel,
    /// [`Limits::wall_ms`].
    Wall,
    /// [`Limits::memory_bytes`].
    Memory,
    /// [`Limits::output_bytes`].
    Output,
    /// [`Limits::host_call_bytes`].
    HostCalls,
    /// [`Limits::stdio_bytes`].
    Log,
    /// [`Limits::random_bytes`].
    Random,
    /// [`Limits::handles`].
    Handles,
    /// [`Limits::resources`].
    Resources,
    /// [`Limits::instances`].
    Instances,
    /// [`Limits::table_elements`].
    TableElements,
}

impl LimitKind {
    /// Every kind, in the order in which limits are printed.
    pub const ALL: [Self; 11] = [
        Self::Fuel,
        Self::Wall,
        Self::Memory,
        Self::Output,
        Self::HostCalls,
        Self::Log,
        Self::Random,
        Self::Handles,
        Self::Resources,
        Self::Instances,
        Self::TableElements,
    ];

    /// The key in `config.toml` and `grants.toml`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fuel => "fuel",
            Self::Wall => "wall",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::HostCalls => "host-calls",
            Self::Log => "log",
            Self::Random => "random",
            Self::Handles => "handles",
            Self::Resources => "resources",
            Self::Instances => "instances",
            Self::TableElements => "table-elements",
        }
    }

    /// Parses an amount in the kind's unit: a count, a size or a duration, at least 1.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse_amount(self, text: &str) -> Result<u64, ParseQuantityError> {
        let amount = match self.unit() {
            Unit::Count => parse_count(text),
            Unit::Bytes => parse_bytes(text),
            Unit::Duration => parse_duration_ms(text),
        }?;
        let none = || ParseQuantityError { text: text.to_owned(), expected: "a limit of at least 1" };
        if amount == 0 { Err(none()) } else { Ok(amount) }
    }

    /// An amount as [`LimitKind::parse_amount`] reads it.
    #[must_use]
    pub fn show(self, amount: u64) -> String {
        match self.unit() {
            Unit::Count => show_count(amount),
            Unit::Bytes => show_bytes(amount),
            Unit::Duration => show_duration_ms(amount),
        }
    }

    /// Its amount in `limits`.
    #[must_use]
    pub const fn of(self, limits: &Limits) -> u64 {
        match self {
            Self::Fuel => limits.fuel,
            Self::Wall => limits.wall_ms,
            Self::Memory => limits.memory_bytes,
            Self::Output => limits.output_bytes,
            Self::HostCalls => limits.host_call_bytes,
            Self::Log => limits.stdio_bytes,
            Self::Random => limits.random_bytes,
            Self::Handles => limits.handles,
            Self::Resources => limits.resources,
            Self::Instances => limits.instances,
            Self::TableElements => limits.table_elements,
        }
    }

    const fn of_mut(self, limits: &mut Limits) -> &mut u64 {
        match self {
            Self::Fuel => &mut limits.fuel,
            Self::Wall => &mut limits.wall_ms,
            Self::Memory => &mut limits.memory_bytes,
            Self::Output => &mut limits.output_bytes,
            Self::HostCalls => &mut limits.host_call_bytes,
            Self::Log => &mut limits.stdio_bytes,
            Self::Random => &mut limits.random_bytes,
            Self::Handles => &mut limits.handles,
            Self::Resources => &mut limits.resources,
            Self::Instances => &mut limits.instances,
            Self::TableElements => &mut limits.table_elements,
        }
    }

    const fn unit(self) -> Unit {
        match self {
            Self::Fuel | Self::Handles | Self::Resources | Self::Instances | Self::TableElements => {
                Unit::Count
            }
            Self::Memory | Self::Output | Self::HostCalls | Self::Log | Self::Random => Unit::Bytes,
            Self::Wall => Unit::Duration,
        }
    }
}

enum Unit {
    Count,
    Bytes,
    Duration,
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for LimitKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || {
            let known: Vec<_> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
            let shown: String = text.chars().take(80).collect();
            format!("unknown limit `{shown}`: expected one of {}", known.join(", "))
        };
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(unknown)
    }
}

/// Upper bounds on some limits. They only lower: what is not bounded stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LimitCaps(BTreeMap<LimitKind, u64>);

impl LimitCaps {
    /// Bounds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bounds `kind` by `amount`, or by what bounded it already if that is less.
    pub fn lower(&mut self, kind: LimitKind, amount: u64) {
        let bound = self.0.entry(kind).or_insert(amount);
        *bound = amount.min(*bound);
    }

    /// Bounds everything that `other` bounds.
    pub fn lower_all(&mut self, other: &Self) {
        other.iter().for_each(|(kind, amount)| self.lower(kind, amount));
    }

    /// The bound on `kind`.
    #[must_use]
    pub fn get(&self, kind: LimitKind) -> Option<u64> {
        self.0.get(&kind).copied()
    }

    /// Each bound, in the order of [`LimitKind::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (LimitKind, u64)> {
        self.0.iter().map(|(kind, amount)| (*kind, *amount))
    }

    /// Whether it bounds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `limits`, each lowered to its bound.
    #[must_use]
    pub fn cut(&self, mut limits: Limits) -> Limits {
        for (kind, bound) in self.iter() {
            let amount = kind.of_mut(&mut limits);
            *amount = bound.min(*amount);
        }
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_lowers_its_own_limit_and_no_other() {
        for kind in LimitKind::ALL {
            let mut caps = LimitCaps::new();
            let before = kind.of(&Limits::DEFAULT);
            caps.lower(kind, before + 1);
            assert_eq!(caps.cut(Limits::DEFAULT), Limits::DEFAULT, "{kind}");
            caps.lower(kind, 7);
            caps.lower(kind, 9);
            assert_eq!(caps.get(kind), Some(7));
            let after = caps.cut(Limits::DEFAULT);
            for other in LimitKind::ALL {
                let expected = if other == kind { 7 } else { other.of(&Limits::DEFAULT) };
                assert_eq!(other.of(&after), expected, "{kind} and {other}");
            }
            assert_eq!(after.stack_bytes, Limits::DEFAULT.stack_bytes);
        }
    }

    #[test]
    fn each_kind_reads_its_own_unit() {
        for kind in LimitKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            let amount = kind.of(&Limits::DEFAULT);
            assert_eq!(kind.parse_amount(&kind.show(amount)), Ok(amount), "{kind}");
            for bad in ["", "0", "0s", "-1", "2g", "1.5G"] {
                assert!(kind.parse_amount(bad).is_err(), "{kind} {bad}");
            }
        }
        assert!("stack".parse::<LimitKind>().is_err());
        assert!(LimitKind::Wall.parse_amount("10").is_err(), "a duration needs its unit");
    }
}
