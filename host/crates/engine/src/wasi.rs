//! The inert WASI 0.2 baseline: what components of wasip2 toolchains import whether they use it
//! or not. No environment, arguments, preopened folders or sockets; stdin is closed, stdout and
//! stderr are captured; time is virtual and randomness seeded.
//!
//! `wasi:cli`, `wasi:filesystem` and `wasi:sockets` are wasmtime-wasi's with nothing configured.
//! `wasi:io`, `wasi:clocks` and `wasi:random` are ours, because they are where a guest can wait,
//! move bytes and draw randomness, and those are limited.

use std::sync::{Arc, Mutex};

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView};

use crate::guest::Captured;

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

impl Wasi {
    /// As wasmtime-wasi wants it.
    pub(crate) fn view(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
    }
}
