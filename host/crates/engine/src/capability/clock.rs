//! `clock`: the time of the host's clock, which a run may have fixed.

use base::Capability;

use super::Inert;
use crate::bindings::clock;
use crate::guest::Guest;

impl clock::Host for Guest {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.budget.enter(0)?;
        self.reached.used(Capability::Clock);
        Ok(self.taped("clock.now", &(), |guest| Ok(guest.host.clock.now().0))?.answer)
    }
}

impl clock::Host for Inert<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Err(self.stop(Capability::Clock).into())
    }
}
