//! The words that every layer shares: identifiers, digests, effects, limits.
//!
//! Invariant: vocabulary without behaviour. No I/O, no async, no clock of its own, no dependency
//! heavier than serde and sha2, and fewer than 1,000 lines. What decides, reads or writes lives
//! in the layer that owns it.

mod capability;
mod change;
mod clock;
mod code;
mod digest;
mod effect;
mod id;
mod limits;
mod name;
mod probe;
mod quantity;
mod reached;
mod refusal;
mod usage;

pub use capability::{Capability, ScopeKind};
pub use change::{Change, ChangeKind, ChangeSet};
pub use clock::{Clock, Timestamp};
pub use code::{Code, CodeClass};
pub use digest::{Digest, FramedHasher, ParseDigestError};
pub use effect::Effect;
pub use id::{Attempt, ParseIdError, RootName, RunId, StepId, StepPath};
pub use limits::Limits;
pub use name::{Label, OperationName, PackId, ParseNameError};
pub use probe::{NoProbe, Probe};
pub use quantity::{
    ParseQuantityError, parse_bytes, parse_cost, parse_count, parse_duration_ms, show_bytes, show_cost,
    show_count, show_duration_ms,
};
pub use reached::{Reached, Uses};
pub use refusal::Refusal;
pub use usage::Usage;
