//! What the two sides of a worker's socket say to each other: a length of four bytes, then postcard.
//!
//! The worker speaks first, [`Said::Confined`]; it is sent the compiled code as a frame of bare
//! bytes, and says [`Said::Loaded`]. Then for each [`Told::Call`] it asks as often as the guest does,
//! each time waiting for the answer, and says [`Said::Done`].

use base::Limits;
use postcard::de_flavors::{Flavor, Slice};
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use values::FunctionType;

use super::ask::HostCall;
use crate::budget::Meter;
use crate::confine::Holds;

/// Bytes of a frame's length.
pub(super) const HEAD_BYTES: usize = 4;
/// Most bytes of a frame beside what the call's limits allow to be in it.
pub(super) const SLACK_BYTES: u64 = 1 << 20;
/// Most strings in one frame of a worker: each costs more memory than it has bytes.
pub(super) const STRINGS_MAX: usize = 128 << 10;

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Said {
    /// It is confined, and tried this.
    Confined(Vec<Holds>),
    /// It could not be confined, or could not load the code.
    Failed(String),
    /// The code is loaded and nothing else can be.
    Loaded,
    /// The guest calls the host.
    Ask(Meter, HostCall),
    /// The call is over.
    Done(Box<Done>),
}

/// How a call ended in the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) end: End,
    pub(super) fuel: u64,
    pub(super) memory_bytes: u64,
    pub(super) meter: Meter,
    pub(super) stdout: Bytes,
    pub(super) stderr: Bytes,
}

/// The end of a call.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum End {
    /// What the function returned, as JSON.
    Returned(Option<String>),
    /// The name of the [`crate::Trap`] that it ended by.
    Trapped(String),
}

/// What a worker is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    /// Make this call.
    Call(Box<Order>),
    /// The host call's answer, encoded as it is on a tape, and the counters as they are now.
    Answer(Meter, Bytes),
    /// The host call ended the call.
    Stop,
}

/// One call.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) interface: String,
    pub(super) function: String,
    pub(super) signature: FunctionType,
    /// One JSON form for each parameter.
    pub(super) arguments: Vec<String>,
    pub(super) limits: Limits,
}

/// Bytes, copied at once and not one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_byte_buf(Whole)
    }
}

/// The other side does not keep to the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no message of this protocol")]
pub(super) struct Malformed;

/// A message with its length before it.
pub(super) fn frame(message: &impl Serialize) -> Result<Vec<u8>, Malformed> {
    let mut frame = postcard::to_extend(message, vec![0; HEAD_BYTES]).map_err(|_| Malformed)?;
    let length = u32::try_from(frame.len() - HEAD_BYTES).map_err(|_| Malformed)?;
    if let Some(head) = frame.first_chunk_mut() {
        *head = length.to_be_bytes();
    }
    Ok(frame)
}

/// The length that is before a message.
pub(super) fn length(head: [u8; HEAD_BYTES]) -> usize {
    usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX)
}

/// Reads a message, in memory that is in proportion to its bytes, whoever wrote it.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    let frugal = Frugal { bytes: Slice::new(bytes), strings: STRINGS_MAX };
    let mut deserializer = postcard::Deserializer::from_flavor(frugal);
    let message = T::deserialize(&mut deserializer).map_err(|_| Malformed)?;
    let rest = deserializer.finalize().map_err(|_| Malformed)?;
    if rest.is_empty() { Ok(message) } else { Err(Malformed) }
}

/// Postcard over a slice that gives out so many strings. No message has another kind of list whose
/// members are larger in memory than in the frame.
struct Frugal<'de> {
    bytes: Slice<'de>,
    strings: usize,
}

impl<'de> Flavor<'de> for Frugal<'de> {
    type Remainder = &'de [u8];
    type Source = &'de [u8];

    fn pop(&mut self) -> postcard::Result<u8> {
        self.bytes.pop()
    }

    fn size_hint(&self) -> Option<usize> {
        self.bytes.size_hint()
    }

    fn try_take_n(&mut self, count: usize) -> postcard::Result<&'de [u8]> {
        let left = self.strings.checked_sub(1).ok_or(postcard::Error::SerdeDeCustom)?;
        self.strings = left;
        self.bytes.try_take_n(count)
    }

    fn finalize(self) -> postcard::Result<&'de [u8]> {
        self.bytes.finalize()
    }
}

#[cfg(test)]
mod tests;
