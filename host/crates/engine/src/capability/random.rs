//! `random`: bytes of the call's seeded stream.

use base::Capability;

use super::Inert;
use crate::bindings::random;
use crate::guest::Guest;
use crate::random::Draws as _;

impl random::Host for Guest {
    fn bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        self.reached.used(Capability::Random);
        self.random.draw(&mut self.budget, u64::from(length))
    }
}

impl random::Host for Inert<'_> {
    fn bytes(&mut self, _length: u32) -> wasmtime::Result<Vec<u8>> {
        Err(self.stop(Capability::Random).into())
    }
}
