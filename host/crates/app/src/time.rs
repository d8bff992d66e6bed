//! Times as people and programs read them.

use base::Timestamp;

use crate::Error;

/// RFC 3339 in UTC, to the second.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    let seconds = i64::try_from(time.0 / 1000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "out of range".to_owned(), |time| time.to_string())
}

/// When something ends: a duration from now, such as `30d`, or a time as RFC 3339. To the second,
/// rounded down.
pub(crate) fn parse_expiry(text: &str, now: Timestamp) -> Result<Timestamp, Error> {
    let hints = ["write a duration such as `12h` or `30d`, or a time such as 2030-01-31T12:00:00Z"];
    let fail = |why: &str| {
        let shown: String = text.chars().take(80).collect();
        Error::usage(format!("`{shown}` {why}"), &hints)
    };
    let ends = match base::parse_duration_ms(text) {
        Ok(ms) => now.plus_ms(ms).0,
        Err(_) => {
            let time: jiff::Timestamp = text.parse().map_err(|_| fail("is no duration and no time"))?;
            u64::try_from(time.as_millisecond()).unwrap_or(0)
        }
    };
    let ends = Timestamp(ends / 1000 * 1000);
    if ends <= now {
        return Err(fail("is past already"));
    }
    // What cannot be written as a time cannot be kept.
    let writable = i64::try_from(ends.0).is_ok_and(|ms| jiff::Timestamp::from_millisecond(ms).is_ok());
    if writable { Ok(ends) } else { Err(fail("is later than the year 9999")) }
}
