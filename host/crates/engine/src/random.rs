//! The random bytes that guests draw: a function of the seed, so that a replay draws the same.

use sha2::{Digest as _, Sha256};

use crate::budget::Budget;

/// Where a call's random bytes come from. Each draw is counted and bounded first.
pub(crate) trait Draws: Send {
    /// The next `length` bytes.
    fn draw(&mut self, budget: &mut Budget, length: u64) -> wasmtime::Result<Vec<u8>>;

    /// The next eight bytes as a number.
    fn draw_number(&mut self, budget: &mut Budget) -> wasmtime::Result<u64>;
}

impl Draws for SeededRandom {
    fn draw(&mut self, budget: &mut Budget, length: u64) -> wasmtime::Result<Vec<u8>> {
        budget.enter(0)?;
        budget.draw(length)?;
        let length = usize::try_from(length)?;
        budget.charge(length)?;
        Ok(self.bytes(length))
    }

    fn draw_number(&mut self, budget: &mut Budget) -> wasmtime::Result<u64> {
        budget.enter(0)?;
        budget.draw(8)?;
        Ok(self.number())
    }
}

/// SHA-256 in counter mode over a domain string, the seed and the block's number.
pub(crate) struct SeededRandom {
    seed: [u8; 32],
    block: u64,
    rest: Vec<u8>,
}

impl SeededRandom {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, block: 0, rest: Vec::new() }
    }

    /// The next `length` bytes of the stream. The caller has bounded `length`.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.rest);
        while out.len() < length {
            let block = Sha256::new()
                .chain_update(b"capstan/random/v1\0")
                .chain_update(self.seed)
                .chain_update(self.block.to_le_bytes())
                .finalize();
            self.block = self.block.wrapping_add(1);
            out.extend_from_slice(&block);
        }
        self.rest = out.split_off(length);
        out
    }

    /// The next eight bytes as a number.
    pub(crate) fn number(&mut self) -> u64 {
        self.bytes(8).into_iter().fold(0, |number, byte| (number << 8) | u64::from(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_depends_on_the_seed_and_not_on_how_it_is_cut() {
        let whole = SeededRandom::new([7; 32]).bytes(100);
        let mut cut = SeededRandom::new([7; 32]);
        let parts = [cut.bytes(1), cut.bytes(0), cut.bytes(63), cut.bytes(36)].concat();
        assert_eq!(whole, parts);
        assert_ne!(whole, SeededRandom::new([8; 32]).bytes(100));
    }
}
