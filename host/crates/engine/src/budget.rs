//! The counters that a call is stopped by, and wasmtime's view of them.

#![expect(clippy::disallowed_methods, reason = "this module measures the time of calls")]

use std::time::{Duration, Instant};

use base::{Limits, Usage};
use serde::{Deserialize, Serialize};
use wasmtime::ResourceLimiter;

use crate::trap::Stop;
use crate::{CancelToken, Trap};

/// Host memory that wasmtime spends on a table element.
const TABLE_ELEMENT_BYTES: u64 = 8;
/// A dynamic value takes many times its JSON; this is how many times the output limit the lifted
/// result may take before it is converted and measured.
const LIFT_FACTOR: u64 = 4;
/// How often a waiting host function looks whether its call is over.
const LOOK: Duration = Duration::from_millis(5);
/// Memories of all instances of a call, and tables likewise, as multiples of the instances.
const PER_INSTANCE: usize = 2;

/// The counters of a call that two processes move on in turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meter {
    host_call_bytes: u64,
    host_calls: u64,
    random_bytes: u64,
    pub(crate) stdio_bytes: u64,
}

/// What a call may use, and what it has used.
pub(crate) struct Budget {
    pub(crate) limits: Limits,
    cancel: CancelToken,
    started: Instant,
    deadline: Instant,
    memory: u64,
    table_elements: u64,
    host_call_bytes: u64,
    host_calls: u64,
    random_bytes: u64,
    files: u64,
    file_bytes: u64,
    model_tokens: u64,
    model_cost: u64,
}

impl Budget {
    pub(crate) fn new(limits: Limits, cancel: CancelToken) -> Self {
        let started = Instant::now();
        Self {
            limits,
            cancel,
            started,
            deadline: started + Duration::from_millis(limits.wall_ms.min(Limits::CEILING.wall_ms)),
            memory: 0,
            table_elements: 0,
            host_call_bytes: 0,
            host_calls: 0,
            random_bytes: 0,
            files: 0,
            file_bytes: 0,
            model_tokens: 0,
            model_cost: 0,
        }
    }

    /// Ends the call if it was cancelled or its time is over.
    pub(crate) fn check_time(&self) -> Result<(), Stop> {
        if self.cancel.is_cancelled() {
            return Err(Trap::Cancelled.into());
        }
        if Instant::now() >= self.deadline {
            return Err(Trap::Deadline.into());
        }
        Ok(())
    }

    /// Counts a host call that brought `bytes` from the guest.
    pub(crate) fn enter(&mut self, bytes: usize) -> Result<(), Stop> {
        self.check_time()?;
        self.host_calls = self.host_calls.saturating_add(1);
        self.charge(bytes)
    }

    /// Counts `bytes` moved between guest and host.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), Stop> {
        self.host_call_bytes = self.host_call_bytes.saturating_add(bytes as u64);
        if self.host_call_bytes > self.limits.host_call_bytes {
            return Err(Trap::HostCallBytes.into());
        }
        Ok(())
    }

    /// Counts a host call that is answered from the tape, as it was counted when it was made.
    pub(crate) fn replay(&mut self, moved: u64) -> Result<(), Stop> {
        self.check_time()?;
        self.charge(usize::try_from(moved).unwrap_or(usize::MAX))
    }

    /// The counters as they are now.
    pub(crate) fn meter(&self, stdio_bytes: u64) -> Meter {
        let Self { host_call_bytes, host_calls, random_bytes, .. } = *self;
        Meter { host_call_bytes, host_calls, random_bytes, stdio_bytes }
    }

    /// Counts what was counted elsewhere: never less than here, and never more than there may be. A
    /// guest pays at least one unit of fuel for a host call.
    pub(crate) fn catch_up(&mut self, meter: &Meter) {
        let Limits { host_call_bytes, fuel, random_bytes, .. } = self.limits;
        self.host_call_bytes = self.host_call_bytes.max(meter.host_call_bytes.min(host_call_bytes));
        self.host_calls = self.host_calls.max(meter.host_calls.min(fuel));
        self.random_bytes = self.random_bytes.max(meter.random_bytes.min(random_bytes));
    }

    /// Counts memory that was counted elsewhere.
    pub(crate) fn catch_up_memory(&mut self, bytes: u64) {
        self.memory = self.memory.max(bytes.min(self.limits.memory_bytes));
    }

    /// Memory of the guest, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.memory
    }

    /// Counts a file or folder that is looked at, read or staged.
    pub(crate) fn touch(&mut self) -> Result<(), Stop> {
        self.files = self.files.saturating_add(1);
        if self.files > self.limits.files {
            return Err(Trap::Files.into());
        }
        self.check_time()
    }

    /// Counts `bytes` of a file, read or staged.
    pub(crate) fn charge_file(&mut self, bytes: u64) -> Result<(), Stop> {
        self.file_bytes = self.file_bytes.saturating_add(bytes);
        if self.file_bytes > self.limits.file_bytes {
            return Err(Trap::FileBytes.into());
        }
        self.check_time()
    }

    /// Makes sure that `tokens` at `cost` are left, without counting them.
    pub(crate) fn has_for_model(&self, tokens: u64, cost: u64) -> Result<(), Stop> {
        if tokens > self.limits.model_tokens.saturating_sub(self.model_tokens) {
            return Err(Trap::ModelTokens.into());
        }
        if cost > self.limits.model_cost.saturating_sub(self.model_cost) {
            return Err(Trap::ModelCost.into());
        }
        Ok(())
    }

    /// Counts what a model took. A server may take more than it was asked to.
    pub(crate) fn charge_model(&mut self, tokens: u64, cost: u64) -> Result<(), Stop> {
        let enough = self.has_for_model(tokens, cost);
        self.model_tokens = self.model_tokens.saturating_add(tokens);
        self.model_cost = self.model_cost.saturating_add(cost);
        enough
    }

    /// Files and folders that may still be looked at, read or staged.
    pub(crate) fn files_left(&self) -> u64 {
        self.limits.files.saturating_sub(self.files)
    }

    /// Bytes that may still be moved between guest and host.
    pub(crate) fn bytes_left(&self) -> u64 {
        self.limits.host_call_bytes.saturating_sub(self.host_call_bytes)
    }

    /// Counts `bytes` drawn from the random generator.
    pub(crate) fn draw(&mut self, bytes: u64) -> Result<(), Stop> {
        self.random_bytes = self.random_bytes.saturating_add(bytes);
        if self.random_bytes > self.limits.random_bytes {
            return Err(Trap::Random.into());
        }
        Ok(())
    }

    /// Waits for `wanted`, or for as long as the call may still take; the latter ends it.
    pub(crate) fn wait(&self, wanted: Option<Duration>) -> Result<(), Stop> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.cancel.sleep(wanted.map_or(left, |wanted| wanted.min(left)));
        self.check_time()
    }

    /// Resolves when the call is over, for host functions that wait on something else meanwhile.
    pub(crate) async fn over(&self) -> Stop {
        loop {
            if let Err(stop) = self.check_time() {
                return stop;
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }

    /// Bytes that wasmtime may copy to the host for one host call or for the result.
    pub(crate) fn lift_bytes(&self) -> usize {
        let result = self.limits.output_bytes.saturating_mul(LIFT_FACTOR);
        usize::try_from(self.limits.host_call_bytes.max(result)).unwrap_or(usize::MAX)
    }

    /// What was used, without the fuel, which the store counts.
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            fuel: 0,
            wall_us: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            memory_bytes: self.memory,
            host_call_bytes: self.host_call_bytes,
            host_calls: self.host_calls,
            stdio_bytes: 0,
            files: self.files,
            file_bytes: self.file_bytes,
            model_tokens: self.model_tokens,
            model_cost: self.model_cost,
        }
    }

    /// Counts memory of the guest, of all its memories and tables together.
    fn grow(&mut self, bytes: u64) -> Result<(), Stop> {
        let memory = self.memory.saturating_add(bytes);
        if memory > self.limits.memory_bytes {
            return Err(Trap::Memory.into());
        }
        self.memory = memory;
        Ok(())
    }
}

/// A refused growth ends the call, so that the outcome names its cause. One that the module's own
/// declared maximum forbids fails inside the guest, as the WebAssembly specification says.
impl ResourceLimiter for Budget {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.grow(desired.saturating_sub(current) as u64)?;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(Stop::from(Trap::Memory).into())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let elements = desired.saturating_sub(current) as u64;
        self.table_elements = self.table_elements.saturating_add(elements);
        if self.table_elements > self.limits.table_elements {
            return Err(Stop::from(Trap::Table).into());
        }
        self.grow(elements.saturating_mul(TABLE_ELEMENT_BYTES))?;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(Stop::from(Trap::Table).into())
    }

    fn instances(&self) -> usize {
        usize::try_from(self.limits.instances).unwrap_or(usize::MAX)
    }

    fn tables(&self) -> usize {
        self.instances().saturating_mul(PER_INSTANCE)
    }

    fn memories(&self) -> usize {
        self.instances().saturating_mul(PER_INSTANCE)
    }
}
