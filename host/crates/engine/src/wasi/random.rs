//! `wasi:random`: all three interfaces draw from the call's seeded stream.

use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use crate::baseline::Baseline;

impl random::Host for Baseline<'_> {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.random.draw(self.budget, length)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.random.draw_number(self.budget)
    }
}

impl insecure::Host for Baseline<'_> {
    fn get_insecure_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.random.draw(self.budget, length)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.random.draw_number(self.budget)
    }
}

impl insecure_seed::Host for Baseline<'_> {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.random.draw_number(self.budget)?, self.random.draw_number(self.budget)?))
    }
}
