//! Every bound on a planfile, in one place. Beyond one of them the code is `E-PLAN-TOO-LARGE`.

use crate::Budget;

/// Size of a planfile, prose included, in bytes.
pub const TEXT_BYTES_MAX: usize = 256 << 10;
/// Nesting of lists and maps in the YAML.
pub const DEPTH_MAX: usize = 64;
/// Keys, values, lists and maps in the YAML.
pub const NODES_MAX: usize = 20_000;
/// Size of one scalar, in bytes.
pub const SCALAR_BYTES_MAX: usize = 64 << 10;
/// Size of one map key, in bytes.
pub const KEY_BYTES_MAX: usize = 256;
/// Steps of a plan.
pub const STEPS_MAX: usize = 1_000;
/// Aliases in `packs`.
pub const PACKS_MAX: usize = 100;
/// Declared inputs, and declared outputs.
pub const NAMES_MAX: usize = 256;
/// Size of a type's text in `inputs`, in bytes.
pub const TYPE_BYTES_MAX: usize = 1_024;
/// Nesting of a type's text in `inputs`, and of an expression.
pub const SYNTAX_DEPTH_MAX: usize = 16;
/// Calls of one fan-out that run at the same time.
pub const PARALLEL_MAX: u32 = 64;
/// Items of one fan-out. The budget's calls bound it too.
pub const ITEMS_MAX: u32 = 10_000;
/// Lifetime of an approval, in milliseconds: 30 days.
pub const APPROVAL_MS_MAX: u64 = 30 * 86_400_000;
/// Diagnostics of one check. Those beyond, in order of discovery, are dropped.
pub const DIAGNOSTICS_MAX: usize = 200;
/// Encoded size of what one expression evaluates to, in bytes.
pub const EVALUATED_BYTES_MAX: u64 = 64 << 20;

/// What a plan may use that has no `budget`.
pub const BUDGET_DEFAULT: Budget = Budget {
    calls: 1_000,
    fuel: 100_000_000_000,
    wall_ms: 600_000,
    files: 1_000_000,
    file_bytes: 16 << 30,
    model_tokens: 1_000_000,
    model_cost: 5_000_000,
};
/// The most that a `budget` may ask for.
pub const BUDGET_MAX: Budget = Budget {
    calls: 1_000_000,
    fuel: 1_000_000_000_000_000,
    wall_ms: 86_400_000,
    files: 100_000_000,
    file_bytes: 16 << 40,
    model_tokens: 1_000_000_000,
    model_cost: 100_000_000_000,
};
