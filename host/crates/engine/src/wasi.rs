//! The inert WASI 0.2 baseline: what components of wasip2 toolchains import whether they use it
//! or not. No environment, arguments, preopened folders or sockets; stdin is closed, stdout and
//! stderr are captured; time is virtual and randomness seeded.
//!
//! `wasi:cli`, `wasi:filesystem` and `wasi:sockets` are wasmtime-wasi's with nothing configured.
//! `wasi:io`, `wasi:clocks` and `wasi:random` are ours, because they are where a guest can wait,
//! move bytes and draw randomness, and those are limited.

use std::sync::{Arc, Mutex};

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::guest::{Captured, Guest};

mod clock;
mod poll;
mod random;
mod stdio;
mod streams;

pub(crate) use clock::VirtualClock;

/// The WASI state of one call. Only components that import WASI have it.
pub(crate) struct Wasi {
    ctx: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) clock: Arc<VirtualClock>,
}

impl Wasi {
    pub(crate) fn new(captured: &Arc<Mutex<Captured>>, resources_max: u64) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(usize::try_from(resources_max).unwrap_or(usize::MAX));
        let ctx = WasiCtx::builder()
            .stdout(stdio::CapturedOutput::stdout(captured))
            .stderr(stdio::CapturedOutput::stderr(captured))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        Self { ctx, table, clock: Arc::default() }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi();
        WasiCtxView { ctx: &mut wasi.ctx, table: &mut wasi.table }
    }
}

impl Guest {
    /// The WASI state, made on first use should a linker have WASI that `Program` did not see.
    pub(crate) fn wasi(&mut self) -> &mut Wasi {
        let (captured, resources) = (&self.captured, self.budget.limits.resources);
        self.wasi.get_or_insert_with(|| Box::new(Wasi::new(captured, resources)))
    }
}
