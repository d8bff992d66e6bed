//! What a call used of its limits.

use serde::{Deserialize, Serialize};

/// Measured use of one call, in the units of [`crate::Limits`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Fuel burnt.
    pub fuel: u64,
    /// Wall time in microseconds.
    pub wall_us: u64,
    /// Peak linear memory of all memories together.
    pub memory_bytes: u64,
    /// Bytes moved in host calls.
    pub host_call_bytes: u64,
    /// Number of host calls.
    pub host_calls: u64,
    /// Bytes of stdout, stderr and log together.
    pub stdio_bytes: u64,
    /// Files and folders looked at, read or staged.
    #[serde(default)]
    pub files: u64,
    /// Bytes of files read and staged.
    #[serde(default)]
    pub file_bytes: u64,
    /// Tokens that language models read and wrote.
    #[serde(default)]
    pub model_tokens: u64,
    /// What they cost.
    #[serde(default)]
    pub model_cost: u64,
}
