//! `wasi:random`: all three interfaces draw from the call's seeded stream.

use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use crate::guest::Guest;

impl Guest {
    /// `length` bytes of the stream, counted and bounded first.
    pub(crate) fn draw(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.budget.enter(0)?;
        self.budget.draw(length)?;
        let length = usize::try_from(length)?;
        self.budget.charge(length)?;
        Ok(self.random.bytes(length))
    }

    fn draw_number(&mut self) -> wasmtime::Result<u64> {
        self.budget.enter(0)?;
        self.budget.draw(8)?;
        Ok(self.random.number())
    }
}

impl random::Host for Guest {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.draw(length)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.draw_number()
    }
}

impl insecure::Host for Guest {
    fn get_insecure_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.draw(length)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.draw_number()
    }
}

impl insecure_seed::Host for Guest {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.draw_number()?, self.draw_number()?))
    }
}
