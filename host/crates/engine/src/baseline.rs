//! What every store has, whichever process it is in: the limits, the captured output and WASI, none
//! of which reaches anything outside of the call.

use std::sync::{Arc, Mutex};

use wasmtime_wasi::WasiView;

use crate::bindings::types;
use crate::budget::Budget;
use crate::guest::Captured;
use crate::random::Draws;
use crate::wasi::Wasi;

/// The data of a store of ours.
pub(crate) trait StoreData: WasiView + 'static {
    /// What the call may use.
    fn budget(&mut self) -> &mut Budget;

    /// What the baseline works on.
    fn baseline(&mut self) -> Baseline<'_>;
}

/// The parts of a store's data that the baseline works on.
pub(crate) struct Baseline<'a> {
    pub(crate) budget: &'a mut Budget,
    pub(crate) captured: Arc<Mutex<Captured>>,
    pub(crate) wasi: &'a mut Option<Box<Wasi>>,
    pub(crate) random: &'a mut dyn Draws,
}

impl<'a> Baseline<'a> {
    /// The WASI state, made on first use should a linker have WASI that `Program` did not see.
    pub(crate) fn into_wasi(self) -> &'a mut Wasi {
        let (captured, resources) = (&self.captured, self.budget.limits.resources);
        self.wasi.get_or_insert_with(|| Box::new(Wasi::new(captured, resources)))
    }

    /// The same, for a while.
    pub(crate) fn wasi(&mut self) -> &mut Wasi {
        let (captured, resources) = (&self.captured, self.budget.limits.resources);
        self.wasi.get_or_insert_with(|| Box::new(Wasi::new(captured, resources)))
    }
}

impl types::Host for Baseline<'_> {}
