//! Upper bounds that operators put on the limits of calls.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base::{
    Limits, ParseQuantityError, parse_bytes, parse_cost, parse_count, parse_duration_ms, show_bytes,
    show_cost, show_count, show_duration_ms,
};

/// One line a kind: its name, the key in `config.toml` and `grants.toml`, the limit, and its unit.
macro_rules! kinds {
    ($($kind:ident = $key:literal, $limit:ident in $unit:ident;)*) => {
        /// A limit of a call that can be lowered. The stack is not among them: it is the engine's, the
        /// same for every call.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum LimitKind {
            $(#[doc = concat!("[`Limits::", stringify!($limit), "`].")] $kind,)*
        }

        impl LimitKind {
            /// Every kind, in the order in which limits are printed.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The key in `config.toml` and `grants.toml`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $key,)* }
            }

            /// Its amount in `limits`.
            #[must_use]
            pub const fn of(self, limits: &Limits) -> u64 {
                match self { $(Self::$kind => limits.$limit,)* }
            }

            const fn of_mut(self, limits: &mut Limits) -> &mut u64 {
                match self { $(Self::$kind => &mut limits.$limit,)* }
            }

            const fn unit(self) -> Unit {
                match self { $(Self::$kind => Unit::$unit,)* }
            }
        }
    };
}

kinds! {
    Fuel = "fuel", fuel in Count;
    Wall = "wall", wall_ms in Duration;
    Memory = "memory", memory_bytes in Bytes;
    Output = "output", output_bytes in Bytes;
    Files = "files", files in Count;
    FileBytes = "file-bytes", file_bytes in Bytes;
    ModelTokens = "model-tokens", model_tokens in Count;
    ModelCost = "model-cost", model_cost in Cost;
    HostCalls = "host-calls", host_call_bytes in Bytes;
    Log = "log", stdio_bytes in Bytes;
    Random = "random", random_bytes in Bytes;
    Handles = "handles", handles in Count;
    Resources = "resources", resources in Count;
    Instances = "instances", instances in Count;
    TableElements = "table-elements", table_elements in Count;
}

enum Unit {
    Count,
    Bytes,
    Duration,
    Cost,
}

impl LimitKind {
    /// Parses an amount in the kind's unit: a count, a size, a duration or a cost, more than 0.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse_amount(self, text: &str) -> Result<u64, ParseQuantityError> {
        let amount = match self.unit() {
            Unit::Count => parse_count(text),
            Unit::Bytes => parse_bytes(text),
            Unit::Duration => parse_duration_ms(text),
            Unit::Cost => parse_cost(text),
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
            Unit::Cost => show_cost(amount),
        }
    }
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
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text).ok_or_else(unknown)
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
        for kind in LimitKind::ALL.iter().copied() {
            let mut caps = LimitCaps::new();
            let before = kind.of(&Limits::DEFAULT);
            caps.lower(kind, before + 1);
            assert_eq!(caps.cut(Limits::DEFAULT), Limits::DEFAULT, "{kind}");
            caps.lower(kind, 7);
            caps.lower(kind, 9);
            assert_eq!(caps.get(kind), Some(7));
            let after = caps.cut(Limits::DEFAULT);
            for other in LimitKind::ALL.iter().copied() {
                let expected = if other == kind { 7 } else { other.of(&Limits::DEFAULT) };
                assert_eq!(other.of(&after), expected, "{kind} and {other}");
            }
            assert_eq!(after.stack_bytes, Limits::DEFAULT.stack_bytes);
        }
    }

    #[test]
    fn each_kind_reads_its_own_unit() {
        for kind in LimitKind::ALL.iter().copied() {
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
