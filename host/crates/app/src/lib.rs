//! The facade that every shell calls: wires the layers, owns the operator's files, speaks plain
//! structs.
//!
//! Invariants: prints nothing and asks nothing; takes no decision that a lower layer owns. The
//! clock, randomness and the home folder enter the program here and are handed down.

mod app;
mod approvals;
mod artifacts;
mod build;
mod catalog;
mod compile;
mod config;
mod consent;
mod deceptive;
mod diff;
mod doctor;
mod error;
mod grants;
mod health;
mod home;
mod host;
mod http;
mod init;
mod inspect;
mod keys;
mod kill;
mod models;
mod operations;
mod packs;
mod plans;
mod runs;
mod secrets;
mod sources;
mod system;
mod template;
mod tighten;
mod time;
mod trust;
mod view;

pub use app::{App, Settings};
pub use base::{Change, ChangeKind, ChangeSet, Code, CodeClass};
pub use deceptive::is_deceptive;
pub use engine::{CompileError, compile_from_stdin, confine_program, work};
pub use error::Error;
pub use grants::GrantOptions;
pub use home::Home;
pub use journal::{HowApplied, Receipt};
pub use keys::KeyRole;
pub use kill::KillAt;
pub use operations::{CallOptions, CallResult};
pub use packs::{InstallOptions, ListedPack};
pub use plans::RunOptions;
pub use secrets::secret_variables;
pub use system::keep_memory_private;
pub use template::NewPackView;
pub use view::{
    ApprovalView, ArtifactView, BuildView, CallError, CallView, CapabilityView, ExplainView, Finding,
    GrantView, HealthView, HeldView, InitView, InputView, InspectView, InstallView, Items, KeyView,
    LimitView, NextAction, OperationView, PackView, PlanPack, PlanView, Problem, ReachView, RunSummary,
    RunView, SecretView, SentView, SignView, StepEffect, StepView, TightenView, TightenedView, TrustView,
    UndoView, UsageTotal,
};

/// Whether the user named a folder, rather than an installed pack.
#[must_use]
pub fn is_folder(path: &std::path::Path) -> bool {
    build::is_folder(path)
}

/// A problem of the journal as the shells see it.
fn journal_error(error: impl Into<base::Refusal>) -> Error {
    Error::Refused(error.into())
}
