//! Numbers with units, as people write them in manifests and plans: `2G`, `64MiB`, `10s`.

/// A unit's name and what it multiplies by, smallest first.
type Unit = (&'static str, u64);

const COUNTS: &[Unit] =
    &[("", 1), ("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000)];
const SIZES: &[Unit] = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
const DURATIONS: &[Unit] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

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
    parse(text, COUNTS, "a count such as `500k` or `2G`")
}

/// Parses a size in bytes: an integer with `B`, `KiB`, `MiB` or `GiB`, or without a unit.
///
/// # Errors
/// If the text is anything else, or the value does not fit 64 bits.
pub fn parse_bytes(text: &str) -> Result<u64, ParseQuantityError> {
    let bare = text.ends_with(|c: char| c.is_ascii_digit());
    parse(text, if bare { &[("", 1)] } else { SIZES }, "a size such as `64KiB` or `16MiB`")
}

/// Parses a duration to milliseconds: an integer with `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// If the text is anything else, or the value does not fit 64 bits.
pub fn parse_duration_ms(text: &str) -> Result<u64, ParseQuantityError> {
    parse(text, DURATIONS, "a duration such as `500ms`, `10s` or `2m`")
}

/// Decimals of a cost.
const COST_DECIMALS: usize = 6;

/// Parses a cost to millionths of a unit: a decimal number with at most six decimals.
///
/// # Errors
/// If the text is anything else, or the value does not fit 64 bits.
pub fn parse_cost(text: &str) -> Result<u64, ParseQuantityError> {
    let expected = "a cost such as `0.50` or `2`, with at most six decimals";
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let good = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_cost = good(whole) && good(decimals) && decimals.len() <= COST_DECIMALS;
    let digits = is_cost.then(|| format!("{whole}{decimals:0<COST_DECIMALS$}"));
    let cut = || ParseQuantityError { text: text.chars().take(80).collect(), expected };
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(cut)
}

/// Millionths of a unit as [`parse_cost`] reads them.
#[must_use]
pub fn show_cost(cost: u64) -> String {
    let text = format!("{:0>width$}", cost, width = COST_DECIMALS + 1);
    let (whole, decimals) = text.split_at(text.len() - COST_DECIMALS);
    match decimals.trim_end_matches('0') {
        "" => whole.to_owned(),
        decimals => format!("{whole}.{decimals:0<2}"),
    }
}

/// A count as [`parse_count`] reads it, in the largest unit that divides it.
#[must_use]
pub fn show_count(count: u64) -> String {
    show(count, COUNTS)
}

/// A size in bytes as [`parse_bytes`] reads it, likewise.
#[must_use]
pub fn show_bytes(bytes: u64) -> String {
    show(bytes, SIZES)
}

/// Milliseconds as [`parse_duration_ms`] reads them, likewise.
#[must_use]
pub fn show_duration_ms(ms: u64) -> String {
    show(ms, DURATIONS)
}

fn show(number: u64, units: &[Unit]) -> String {
    let divides = |(_, factor): &&Unit| number != 0 && number.is_multiple_of(*factor);
    let (unit, factor) = units.iter().rfind(divides).or(units.first()).unwrap_or(&("", 1));
    format!("{}{unit}", number / factor)
}

fn parse(text: &str, units: &[Unit], expected: &'static str) -> Result<u64, ParseQuantityError> {
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
        assert_eq!(parse_bytes("10"), Ok(10), "a size does not");
    }

    #[test]
    fn a_cost_has_six_decimals_at_most() {
        assert_eq!(
            ["0.5", "2", "0.000001", "07.10"].map(|text| parse_cost(text).unwrap()),
            [500_000, 2_000_000, 1, 7_100_000]
        );
        assert_eq!(
            [0, 1, 500_000, 2_000_000, 1_234_567].map(show_cost),
            ["0", "0.000001", "0.50", "2", "1.234567"]
        );
        for bad in ["", ".", "1.", ".5", "0.0000001", "-1", "+1", "1e3", "1,5", "\u{664}", "99999999999999"] {
            assert!(parse_cost(bad).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn what_is_shown_is_read_again() {
        let shown =
            [show_count(2_000_000_000), show_bytes(64 << 20), show_duration_ms(90_000), show_bytes(0)];
        assert_eq!(shown, ["2G", "64MiB", "90s", "0B"]);
        for number in [0, 1, 999, 1_000, 1_024, 1_025, 60_000, 3 << 30, 86_400_000, u64::MAX] {
            assert_eq!(parse_count(&show_count(number)), Ok(number));
            assert_eq!(parse_cost(&show_cost(number)), Ok(number));
            assert_eq!(parse_bytes(&show_bytes(number)), Ok(number));
            assert_eq!(parse_duration_ms(&show_duration_ms(number)), Ok(number));
        }
    }
}
