//! `wasi:io/poll`: waiting takes real time, up to the call's deadline, and then moves virtual time.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use wasmtime::component::Resource;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::sync::io::poll;

use crate::baseline::Baseline;

/// What a guest pays for each pollable that it hands over, in host-call bytes.
const POLLABLE_BYTES: usize = 4;

impl poll::Host for Baseline<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        self.budget.enter(pollables.len().saturating_mul(POLLABLE_BYTES))?;
        if pollables.is_empty() {
            return Err(wasmtime::format_err!("an empty list cannot be polled"));
        }
        loop {
            let ready = self.ready_of(&pollables)?;
            if !ready.is_empty() {
                return Ok(ready);
            }
            self.wait_for_timer()?;
        }
    }
}

impl poll::HostPollable for Baseline<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        self.budget.enter(POLLABLE_BYTES)?;
        Ok(!self.ready_of(&[pollable])?.is_empty())
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::Host::poll(self, vec![pollable]).map(drop)
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        wasmtime_wasi::p2::bindings::io::poll::HostPollable::drop(&mut self.wasi().table, pollable)
    }
}

impl Baseline<'_> {
    /// The indexes of those that are ready now, without waiting.
    fn ready_of(&mut self, pollables: &[Resource<DynPollable>]) -> wasmtime::Result<Vec<u32>> {
        use wasmtime_wasi::p2::bindings::io::poll::HostPollable as _;

        let wasi = self.wasi();
        wasi.clock.forget_timers();
        let mut ready = Vec::new();
        for (index, pollable) in (0..).zip(pollables) {
            let mut asking = std::pin::pin!(wasi.table.ready(Resource::new_borrow(pollable.rep())));
            match asking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(is_ready) => {
                    if is_ready? {
                        ready.push(index);
                    }
                }
                Poll::Pending => {}
            }
        }
        Ok(ready)
    }

    /// Waits for the earliest timer in real time. If nothing will ever be ready, that is until the
    /// call's deadline, which ends it.
    fn wait_for_timer(&mut self) -> wasmtime::Result<()> {
        let clock = &self.wasi().clock;
        let (next, now) = (clock.next_timer(), clock.now());
        self.budget.wait(next.map(|next| Duration::from_nanos(next.saturating_sub(now))))?;
        if let Some(next) = next {
            self.wasi().clock.advance_to(next);
        }
        Ok(())
    }
}
