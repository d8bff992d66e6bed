//! Numbers with units, as people write them in manifests and plans: `2G`, `64MiB`, `10s`.

/// A text that should have been a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct ParseQuantityError {
    /// What was given, cut to 80 characters.
    pub text: String,
    /// What was expected, with an example.
    pub expected: &'static str,
}

/// Parses a count: an integer with an optional decimal suffix `k`, `M`, `G` or `T`.
///
/// # Errors
/// If the text is anything else, or the value does not fit 64 bits.
pub fn parse_count(text: &str) -> Result<u64, ParseQuantityError> {
    let units = [("", 1), ("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000)];
    parse(text, &units, "a count such as `500k` or `2G`")
}

/// Parses a size in bytes: an integer with `B`, `KiB`, `MiB` or `GiB`, or without a unit.
///
/// # Errors
/// If the text is anything else, or the value does not fit 64 bits.
pub fn parse_bytes(text: &str) -> Result<u64, ParseQuantityError> {
    let units = [("", 1), ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    parse(text, &units, "a size such as `64KiB` or `16MiB`")
}

/// Parses a duration to milliseconds: an integer with `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// If the text is anything else, or the value does not fit 64 bits.
pub fn parse_duration_ms(text: &str) -> Result<u64, ParseQuantityError> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    parse(text, &units, "a duration such as `500ms`, `10s` or `2m`")
}

fn parse(text: &str, units: &[(&str, u64)], expected: &'static str) -> Result<u64, ParseQuantityError> {
    let fail = || ParseQuantityError { text: text.chars().take(80).collect(), expected };
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(split).ok_or_else(fail)?;
    let number: u64 = digits.parse().map_err(|_| fail())?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit).ok_or_else(fail)?;
    number.checked_mul(*factor).ok_or_else(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_multiply_and_overflow_is_refused() {
        assert_eq!(parse_count("2G"), Ok(2_000_000_000));
        assert_eq!(parse_bytes("64MiB"), Ok(64 << 20));
        assert_eq!(parse_duration_ms("2m"), Ok(120_000));
        for bad in ["", "G", "2 G", "-1", "1.5G", "2g", "99999999999999999999", "99999999999T"] {
            assert!(parse_count(bad).is_err(), "{bad} was accepted");
        }
        assert!(parse_duration_ms("10").is_err(), "a duration needs its unit");
    }
}
