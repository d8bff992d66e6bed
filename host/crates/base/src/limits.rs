//! The limits of one call. There is no way to say "unlimited".

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::quantity::{show_bytes, show_count, show_duration_ms};

/// What one guest call may use. Each number has a guest in `tests/guests` that hits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Wasm instructions, in the engine's fuel units. Not comparable between engine versions.
    pub fuel: u64,
    /// Wall time from start to result, in milliseconds, host calls included.
    pub wall_ms: u64,
    /// Linear memory of all memories of the call together.
    pub memory_bytes: u64,
    /// Elements of all tables together.
    pub table_elements: u64,
    /// Core and component instances.
    pub instances: u64,
    /// Component-model handles the guest may hold.
    pub handles: u64,
    /// Host resources (streams, pollables, ...) the guest may hold.
    pub resources: u64,
    /// Wasm stack.
    pub stack_bytes: u64,
    /// Bytes that cross from guest to host and back in host calls, added up over the call.
    pub host_call_bytes: u64,
    /// The result, as encoded JSON.
    pub output_bytes: u64,
    /// Captured stdout, stderr and log together. Each line of the log costs one byte more than its
    /// text.
    pub stdio_bytes: u64,
    /// Random bytes drawn.
    pub random_bytes: u64,
    /// Files and folders that host calls look at, read or stage: each time, and each of those in a
    /// folder that is moved or removed whole. Those that a listing only names do not count.
    pub files: u64,
    /// Bytes of files that host calls read, also where only a digest of them is needed, and that
    /// they stage.
    pub file_bytes: u64,
}

impl Limits {
    /// The defaults, which are also what an operation gets that asks for nothing.
    pub const DEFAULT: Self = Self {
        fuel: 2_000_000_000,
        wall_ms: 10_000,
        memory_bytes: 64 << 20,
        table_elements: 10_000,
        instances: 16,
        handles: 1_000,
        resources: 4_096,
        stack_bytes: 512 << 10,
        host_call_bytes: 16 << 20,
        output_bytes: 4 << 20,
        stdio_bytes: 64 << 10,
        random_bytes: 1 << 20,
        files: 10_000,
        file_bytes: 64 << 20,
    };

    /// The most that an operator or a manifest may ask for.
    pub const CEILING: Self = Self {
        fuel: 1_000_000_000_000,
        wall_ms: 600_000,
        memory_bytes: 1 << 30,
        table_elements: 1_000_000,
        instances: 64,
        handles: 100_000,
        resources: 65_536,
        stack_bytes: 512 << 10,
        host_call_bytes: 256 << 20,
        output_bytes: 16 << 20,
        stdio_bytes: 1 << 20,
        random_bytes: 16 << 20,
        files: 100_000,
        file_bytes: 1 << 30,
    };

    /// The smaller of each number.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self {
            fuel: self.fuel.min(other.fuel),
            wall_ms: self.wall_ms.min(other.wall_ms),
            memory_bytes: self.memory_bytes.min(other.memory_bytes),
            table_elements: self.table_elements.min(other.table_elements),
            instances: self.instances.min(other.instances),
            handles: self.handles.min(other.handles),
            resources: self.resources.min(other.resources),
            stack_bytes: self.stack_bytes.min(other.stack_bytes),
            host_call_bytes: self.host_call_bytes.min(other.host_call_bytes),
            output_bytes: self.output_bytes.min(other.output_bytes),
            stdio_bytes: self.stdio_bytes.min(other.stdio_bytes),
            random_bytes: self.random_bytes.min(other.random_bytes),
            files: self.files.min(other.files),
            file_bytes: self.file_bytes.min(other.file_bytes),
        }
    }
}

/// In the units of a manifest, those first that a manifest can set.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "fuel {}, wall {}, memory {}, output {}, files {}, file bytes {}, host calls {}, log {}, \
             random {}, stack {}, {} handles, {} resources, {} instances, {} table elements",
            show_count(self.fuel),
            show_duration_ms(self.wall_ms),
            show_bytes(self.memory_bytes),
            show_bytes(self.output_bytes),
            show_count(self.files),
            show_bytes(self.file_bytes),
            show_bytes(self.host_call_bytes),
            show_bytes(self.stdio_bytes),
            show_bytes(self.random_bytes),
            show_bytes(self.stack_bytes),
            self.handles,
            self.resources,
            self.instances,
            self.table_elements,
        )
    }
}
