//! The limits of one call. There is no way to say "unlimited".

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::quantity::{show_bytes, show_cost, show_count, show_duration_ms};

/// One line a limit: its name, what an operation gets that asks for nothing, and the most that an
/// operator or a manifest may ask for.
macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $default:expr, at most $most:expr;)*) => {
        /// What one guest call may use. Each number has a guest in `tests/guests` that hits it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Limits {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Limits {
            /// The defaults, which are also what an operation gets that asks for nothing.
            pub const DEFAULT: Self = Self { $($name: $default,)* };

            /// The most that an operator or a manifest may ask for.
            pub const CEILING: Self = Self { $($name: $most,)* };

            /// The smaller of each number.
            #[must_use]
            pub fn min(self, other: Self) -> Self {
                Self { $($name: self.$name.min(other.$name),)* }
            }
        }
    };
}

limits! {
    /// Wasm instructions, in the engine's fuel units. Not comparable between engine versions.
    fuel: 2_000_000_000, at most 1_000_000_000_000;
    /// Wall time from start to result, in milliseconds, host calls included.
    wall_ms: 10_000, at most 600_000;
    /// Linear memory of all memories of the call together.
    memory_bytes: 64 << 20, at most 1 << 30;
    /// Elements of all tables together.
    table_elements: 10_000, at most 1_000_000;
    /// Core and component instances.
    instances: 16, at most 64;
    /// Component-model handles the guest may hold.
    handles: 1_000, at most 100_000;
    /// Host resources (streams, pollables, ...) the guest may hold.
    resources: 4_096, at most 65_536;
    /// Wasm stack.
    stack_bytes: 512 << 10, at most 512 << 10;
    /// Bytes that cross from guest to host and back in host calls, added up over the call.
    host_call_bytes: 16 << 20, at most 256 << 20;
    /// The result, as encoded JSON.
    output_bytes: 4 << 20, at most 16 << 20;
    /// Captured stdout, stderr and log together. Each line of the log costs one byte more than its
    /// text.
    stdio_bytes: 64 << 10, at most 1 << 20;
    /// Random bytes drawn.
    random_bytes: 1 << 20, at most 16 << 20;
    /// Files and folders that host calls look at, read or stage: each time, and each of those in a
    /// folder that is moved or removed whole. Those that a listing only names do not count.
    files: 10_000, at most 100_000;
    /// Bytes of files that host calls read, also where only a digest of them is needed, and that
    /// they stage.
    file_bytes: 64 << 20, at most 1 << 30;
    /// Tokens that language models read and write, as they count them.
    model_tokens: 100_000, at most 10_000_000;
    /// What they cost, in millionths of the unit in which the operator wrote their prices.
    model_cost: 1_000_000, at most 1_000_000_000;
}

/// In the units of a manifest, those first that a manifest can set.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "fuel {}, wall {}, memory {}, output {}, files {}, file bytes {}, model tokens {}, \
             model cost {}, host calls {}, log {}, random {}, stack {}, {} handles, {} resources, {} instances, {} table elements",
            show_count(self.fuel),
            show_duration_ms(self.wall_ms),
            show_bytes(self.memory_bytes),
            show_bytes(self.output_bytes),
            show_count(self.files),
            show_bytes(self.file_bytes),
            show_count(self.model_tokens),
            show_cost(self.model_cost),
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
