//! The tape of a call: what it was answered from outside, so that it can run again to where it was.
//!
//! Only answers that the world gave are on it: files, servers, artifacts, the time, calls that were
//! sent. All else a guest does again the same way by itself, since its random bytes come from the
//! tape's seed. A guest that asks for something else than the tape has next is stopped.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::Trap;
use crate::guest::Guest;
use crate::held::{Answer, HeldCall};
use crate::trap::Stop;

/// What a stored tape begins with.
const MAGIC: &[u8] = b"capstan/tape/v1\0";
/// The name of an approved call on a tape.
const SENT: &str = "sent";

/// The recorded answers of one call of an operation, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tape {
    /// What the call's random bytes come from.
    pub(crate) seed: [u8; 32],
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// The host function, e.g. `files-read.read`.
    function: String,
    /// SHA-256 of its encoded arguments.
    arguments: [u8; 32],
    /// Bytes that it moved between guest and host.
    moved: u64,
    /// The encoded answer; none for a refusal, which is given anew, so that it is recorded anew.
    answer: Option<Vec<u8>>,
}

/// The bytes are no tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no tape of this version")]
pub struct ReadTapeError;

impl Tape {
    /// An empty one.
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, entries: Vec::new() }
    }

    /// The stored form that [`Tape::from_bytes`] reads back.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Strings, numbers and byte strings always have a form.
        postcard::to_extend(self, MAGIC.to_vec()).unwrap_or_default()
    }

    /// Reads a stored tape.
    ///
    /// # Errors
    /// If the bytes are anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReadTapeError> {
        let encoded = bytes.strip_prefix(MAGIC).ok_or(ReadTapeError)?;
        let (tape, rest) = postcard::take_from_bytes(encoded).map_err(|_| ReadTapeError)?;
        if rest.is_empty() { Ok(tape) } else { Err(ReadTapeError) }
    }

    /// Adds what became of the call that the tape ends before.
    pub fn push(&mut self, call: &HeldCall, answer: Answer) {
        let Answer { encoded, moved, .. } = answer;
        let arguments = *call.digest().as_bytes();
        self.entries.push(Entry { function: SENT.to_owned(), arguments, moved, answer: Some(encoded) });
    }

    /// How many approved calls are on it.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.entries.iter().filter(|entry| entry.function == SENT).count()
    }
}

/// A tape in a call: played to its end, then recorded on.
pub(crate) struct Deck {
    tape: Tape,
    position: usize,
    sent: u64,
}

impl Deck {
    pub(crate) fn new(tape: Tape) -> Self {
        Self { tape, position: 0, sent: 0 }
    }

    pub(crate) fn seed(&self) -> [u8; 32] {
        self.tape.seed
    }

    pub(crate) fn into_tape(self) -> Tape {
        self.tape
    }

    /// How many approved calls the guest has been answered so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// The entry at this place; none if the tape ends here.
    fn next(&mut self, function: &str, arguments: [u8; 32]) -> Result<Option<Entry>, Stop> {
        let Some(entry) = self.tape.entries.get(self.position) else { return Ok(None) };
        if entry.function != function || entry.arguments != arguments {
            let number = self.position + 1;
            let asked = if function == SENT { "a call that has to be approved" } else { function };
            return Err(Stop::Diverged(format!(
                "its host call {number} was `{}`, and is `{asked}` with other arguments or instead",
                entry.function
            )));
        }
        self.position += 1;
        Ok(Some(entry.clone()))
    }

    fn push(&mut self, entry: Entry) {
        self.tape.entries.push(entry);
        self.position += 1;
    }
}

/// An answer, and whether it came from the tape.
pub(crate) struct Played<T> {
    pub(crate) answer: T,
    pub(crate) from_tape: bool,
}

impl Guest {
    /// Makes a host call whose answer comes from outside, or takes the answer from the tape.
    pub(crate) fn taped<T: Serialize + DeserializeOwned>(
        &mut self,
        function: &'static str,
        arguments: &impl Serialize,
        call: impl FnOnce(&mut Self) -> wasmtime::Result<T>,
    ) -> wasmtime::Result<Played<T>> {
        let Some(deck) = &mut self.deck else {
            return Ok(Played { answer: call(self)?, from_tape: false });
        };
        let digest = digest(arguments)?;
        let recorded = deck.next(function, digest)?;
        if let Some(Entry { answer: Some(answer), moved, .. }) = &recorded {
            self.budget.replay(*moved)?;
            return Ok(Played { answer: decode(answer)?, from_tape: true });
        }
        let (moved, refusals) = (self.budget.bytes_left(), self.refusals());
        let answer = call(self)?;
        if recorded.is_none() {
            let moved = moved.saturating_sub(self.budget.bytes_left());
            let kept = if self.refusals() == refusals { Some(encode(&answer)?) } else { None };
            let entry = Entry { function: function.to_owned(), arguments: digest, moved, answer: kept };
            if let Some(deck) = &mut self.deck {
                deck.push(entry);
            }
        }
        Ok(Played { answer, from_tape: false })
    }

    /// What became of an approved call.
    ///
    /// # Errors
    /// [`Stop::Held`] where the tape ends: the call is to be approved.
    pub(crate) fn sent<T: DeserializeOwned>(&mut self, call: HeldCall) -> wasmtime::Result<T> {
        let Some(deck) = &mut self.deck else { return Err(Stop::Held(Box::new(call)).into()) };
        match deck.next(SENT, *call.digest().as_bytes())? {
            Some(Entry { answer: Some(answer), moved, .. }) => {
                deck.sent = deck.sent.saturating_add(1);
                self.budget.replay(moved)?;
                decode(&answer)
            }
            _ => Err(Stop::Held(Box::new(call)).into()),
        }
    }
}

/// The stored form of an answer.
pub(crate) fn encode(answer: &impl Serialize) -> wasmtime::Result<Vec<u8>> {
    postcard::to_extend(answer, Vec::new()).map_err(|_| Stop::from(Trap::Host).into())
}

fn decode<T: DeserializeOwned>(answer: &[u8]) -> wasmtime::Result<T> {
    postcard::from_bytes(answer).map_err(|_| Stop::from(Trap::Host).into())
}

/// The digest of arguments, without a copy of them.
fn digest(arguments: &impl Serialize) -> wasmtime::Result<[u8; 32]> {
    struct Hasher(sha2::Sha256);
    impl Extend<u8> for Hasher {
        fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
            let bytes: Vec<u8> = bytes.into_iter().collect();
            self.0.update(&bytes);
        }
    }
    let hashed = postcard::to_extend(arguments, Hasher(sha2::Sha256::new()));
    let hashed = hashed.map_err(|_| Stop::from(Trap::Host))?;
    Ok(hashed.0.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tape() -> Tape {
        let entry = |function: &str, answer| Entry {
            function: function.to_owned(),
            arguments: [1; 32],
            moved: 3,
            answer,
        };
        Tape {
            seed: [7; 32],
            entries: vec![entry("clock.now", Some(vec![1])), entry("files-read.read", None)],
        }
    }

    #[test]
    fn a_tape_reads_back_and_nothing_else_does() {
        let bytes = tape().to_bytes();
        assert_eq!(Tape::from_bytes(&bytes), Ok(tape()));
        for cut in 0..bytes.len() {
            assert_eq!(Tape::from_bytes(&bytes[..cut]), Err(ReadTapeError), "cut at {cut}");
        }
        assert_eq!(Tape::from_bytes(&[bytes, vec![0]].concat()), Err(ReadTapeError));
        assert_eq!(Tape::from_bytes(b"capstan/tape/v2\0"), Err(ReadTapeError));
        // A length that no memory could hold.
        let endless = [MAGIC, &[7; 32], &[0xff; 9], &[1]].concat();
        assert_eq!(Tape::from_bytes(&endless), Err(ReadTapeError));
    }

    #[test]
    fn a_deck_gives_what_is_next_and_only_to_who_asks_for_it() {
        let mut deck = Deck::new(tape());
        assert!(matches!(deck.next("clock.now", [2; 32]), Err(Stop::Diverged(_))), "other arguments");
        assert!(matches!(deck.next("files-read.read", [1; 32]), Err(Stop::Diverged(_))), "another call");
        assert_eq!(deck.next("clock.now", [1; 32]).unwrap().unwrap().answer, Some(vec![1]));
        assert_eq!(deck.next("files-read.read", [1; 32]).unwrap().unwrap().answer, None);
        assert_eq!(deck.next("anything", [9; 32]).unwrap(), None);
    }
}
