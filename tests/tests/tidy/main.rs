//! The rules of the tree, each a test: what a reviewer would otherwise have to remember.
//!
//! A rule is a function from a [`tree::Tree`] to findings. Each has two tests: one runs it over
//! this clone, the other over a small tree in memory that breaks it, so that a rule which finds
//! nothing is known to be able to.

mod code;
mod coverage;
mod layers;
mod layout;
mod source;
mod text;
mod tree;
