//! Seeded random bytes: capability `random`. The same attempt draws the same bytes.

/// `length` bytes. A request over the call's limit ends the call.
///
/// Source: `capstan:host/random.bytes`.
#[must_use]
pub fn bytes(length: u32) -> Vec<u8> {
    crate::host::random::bytes(length)
}
