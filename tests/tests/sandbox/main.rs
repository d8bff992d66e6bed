//! What hostile packs, guests and paths can do: nothing, and the refusal says why.
//!
//! Everything goes through the program and real WebAssembly. Beside each refusal stands the same
//! thing without the offence, which is accepted. `CAPSTAN_TEST_LONG` runs the large counts.

mod authority_keys;
mod compiling;
mod consent;
mod disclosure;
mod effects;
mod exec;
mod folders;
mod guest;
mod hostile_paths;
mod hostile_strings;
mod http;
mod large_trees;
mod lies;
mod limits;
mod mutants;
mod odd_names;
mod outside;
mod own_home;
mod races;
mod spinning_start;
mod tampering;
mod tightening;
mod tls_roots;
mod workers;
