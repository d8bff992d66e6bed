//! Virtual time: it starts at zero, and passes only when the guest looks at it or waits.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::baseline::Baseline;

/// How far a look at the clock moves it, in nanoseconds, so that a loop on the time ends.
const LOOK_NS: u64 = 1_000;
const NS_PER_SECOND: u64 = 1_000_000_000;

/// The time of one call, in nanoseconds, and the earliest time that an unready timer waits for.
#[derive(Default)]
pub(crate) struct VirtualClock {
    now: AtomicU64,
    next: AtomicU64,
}

impl VirtualClock {
    fn look(&self) -> u64 {
        self.now.fetch_add(LOOK_NS, Ordering::Relaxed)
    }

    pub(super) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Moves to `time`, never back.
    pub(super) fn advance_to(&self, time: u64) {
        self.now.fetch_max(time, Ordering::Relaxed);
    }

    /// Forgets the timers that were seen waiting.
    pub(super) fn forget_timers(&self) {
        self.next.store(u64::MAX, Ordering::Relaxed);
    }

    /// The earliest timer seen waiting since [`Self::forget_timers`].
    pub(super) fn next_timer(&self) -> Option<u64> {
        let next = self.next.load(Ordering::Relaxed);
        (next != u64::MAX).then_some(next)
    }
}

/// A pollable that is ready from `at` on.
struct Timer {
    clock: Arc<VirtualClock>,
    at: u64,
}

impl Pollable for Timer {
    fn ready<'life0, 'async_trait>(
        &'life0 mut self,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(std::future::poll_fn(|_| {
            if self.clock.now() >= self.at {
                return std::task::Poll::Ready(());
            }
            self.clock.next.fetch_min(self.at, Ordering::Relaxed);
            std::task::Poll::Pending
        }))
    }
}

impl Baseline<'_> {
    fn timer(&mut self, at: impl FnOnce(u64) -> u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.budget.enter(0)?;
        let wasi = self.wasi();
        let timer = Timer { clock: Arc::clone(&wasi.clock), at: at(wasi.clock.now()) };
        let timer = wasi.table.push(timer)?;
        subscribe(&mut wasi.table, timer)
    }
}

impl monotonic_clock::Host for Baseline<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.budget.enter(0)?;
        Ok(self.wasi().clock.look())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(LOOK_NS)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.timer(|_| when)
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.timer(|now| now.saturating_add(duration))
    }
}

impl wall_clock::Host for Baseline<'_> {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.budget.enter(0)?;
        Ok(datetime(self.wasi().clock.look()))
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(datetime(LOOK_NS))
    }
}

fn datetime(ns: u64) -> wall_clock::Datetime {
    let nanoseconds = u32::try_from(ns % NS_PER_SECOND).unwrap_or(0);
    wall_clock::Datetime { seconds: ns / NS_PER_SECOND, nanoseconds }
}
