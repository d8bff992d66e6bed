//! What `values` promises: round trips, subtyping, strict JSON, schemas that agree with the codec.

// `cfg(test)` tells clippy that helpers without `#[test]` are tests too.
#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod decoding;
#[cfg(test)]
mod parsing;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod schemas;
#[cfg(test)]
mod subtyping;
