//! Runs: what is to be done next, and the doing of it.
//!
//! Invariants:
//! - [`machine`] is pure: a run's state is a fold of its events, and what comes next follows from
//!   the state, from what is being done, and from a time that is given.
//! - The result of a call is in the journal before anything that depends on it starts.
//! - No effect is applied unless its approval was consumed and its intent recorded, in one
//!   transaction that was durable before the first change. The fold refuses a journal that says
//!   otherwise.
//! - An approval is consumed only if everything that it is bound to is the same now: plan, pack,
//!   arguments, authority, effects, policy, and the targets on disk.
//! - Nothing here knows wasm or files: calls, effects, signatures and the time are behind the
//!   traits of [`host`].

pub mod answer;
pub mod approval;
mod changes;
mod create;
mod driver;
pub mod host;
pub mod machine;
mod undo;
pub mod view;

pub use answer::load;
pub use changes::target;
pub use create::{NewRun, create};
pub use driver::{Report, drive};
pub use host::{
    ApplyError, ApproverInfo, Approvers, CallFuture, CallOutcome, CallReport, CallRequest, Effects, HeldCall,
    Host, Invoke, NoObserver, Observer, OnDisk, SendFuture, SendReport, SendRequest,
};
pub use machine::State;
pub use undo::{UndoReport, undo};
pub use view::{RunStatus, RunView, StepStatus};

/// Every point at which a run tells its [`base::Probe`] where it is, besides those of the journal.
pub const LABELS: &[&str] = &[
    driver::BEFORE_APPLY,
    driver::AFTER_APPLY,
    driver::BEFORE_SEND,
    driver::AFTER_SEND,
    undo::BEFORE_UNDO,
    undo::AFTER_UNDO,
];
