//! The limits that a manifest sets.

use base::Limits;
use serde::{Deserialize, Serialize};

/// The limits that a manifest sets for an operation; what is absent keeps its default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsRequest {
    /// See [`Limits::fuel`].
    pub fuel: Option<u64>,
    /// See [`Limits::wall_ms`].
    pub wall_ms: Option<u64>,
    /// See [`Limits::memory_bytes`].
    pub memory_bytes: Option<u64>,
    /// See [`Limits::output_bytes`].
    pub output_bytes: Option<u64>,
    /// See [`Limits::files`].
    pub files: Option<u64>,
    /// See [`Limits::file_bytes`].
    pub file_bytes: Option<u64>,
    /// See [`Limits::model_tokens`].
    pub model_tokens: Option<u64>,
    /// See [`Limits::model_cost`].
    pub model_cost: Option<u64>,
}

impl LimitsRequest {
    /// The limits of a call: the request over the defaults, cut by the ceiling.
    #[must_use]
    pub fn resolve(self) -> Limits {
        let asked = Limits {
            fuel: self.fuel.unwrap_or(Limits::DEFAULT.fuel),
            wall_ms: self.wall_ms.unwrap_or(Limits::DEFAULT.wall_ms),
            memory_bytes: self.memory_bytes.unwrap_or(Limits::DEFAULT.memory_bytes),
            output_bytes: self.output_bytes.unwrap_or(Limits::DEFAULT.output_bytes),
            files: self.files.unwrap_or(Limits::DEFAULT.files),
            file_bytes: self.file_bytes.unwrap_or(Limits::DEFAULT.file_bytes),
            model_tokens: self.model_tokens.unwrap_or(Limits::DEFAULT.model_tokens),
            model_cost: self.model_cost.unwrap_or(Limits::DEFAULT.model_cost),
            ..Limits::DEFAULT
        };
        asked.min(Limits::CEILING)
    }
}
