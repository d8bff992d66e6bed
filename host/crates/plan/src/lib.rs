//! Planfile text in, checked plan out.
//!
//! *Invariants.* Pure: no I/O, no clock, no randomness; the same text and the same [`Catalog`] give
//! the same diagnostics and the same digest. Everything known about the installed packs enters
//! through [`Catalog`]. Only a [`CheckedPlan`] can be run, and only [`check`] makes one. A key or an
//! expression that this version does not run is refused by name, never ignored. Text is hostile:
//! nothing panics, everything is bounded (the constants of [`bounds`]), and every finding comes back
//! at once, in the order of the text, as a [`Diagnostic`].

pub mod bounds;
mod catalog;
mod check;
mod checked;
mod diagnostic;
mod evaluate;
mod expression;
mod fence;
mod finding;
mod input;
mod parse;
mod render;
mod span;
mod syntax;
mod type_syntax;
mod yaml;

pub use catalog::{Catalog, CatalogOperation, CatalogPack, MissingGrant};
pub use check::{CheckStatus, Checked, PlanSource, check};
pub use checked::{
    Approval, Budget, CheckedPack, CheckedPlan, CheckedStep, FanOut, Gate, GateReason, InputDeclaration,
    StepEffect,
};
pub use diagnostic::{Diagnostic, Related, Severity};
pub use evaluate::{EvalError, Scope, evaluate, evaluate_items};
pub use expression::{Expr, Reference, Root, TextPart};
pub use render::render_text;
pub use span::{Location, Span};
