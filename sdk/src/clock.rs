//! The time of the call: capability `clock`.

use std::time::Duration;

/// Time since 1970-01-01T00:00:00Z, to the millisecond.
///
/// Source: `capstan:host/clock.now`.
#[must_use]
pub fn now() -> Duration {
    Duration::from_millis(crate::host::clock::now())
}
