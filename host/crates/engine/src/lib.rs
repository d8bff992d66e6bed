//! Runs operations of packs: compiles components, links what a call's authority makes live,
//! enforces the call's limits, and stages or applies its effects on files.
//!
//! Invariants:
//! - This is the only crate that imports wasmtime. Everything else sees [`Program`],
//!   [`Invocation`] and [`Report`].
//! - A host interface is linked to its live implementation only if the call's
//!   [`authority::Authority`] says so. The other declared imports answer with a typed refusal;
//!   an import that this crate does not know refuses the load.
//! - Every call has a fresh store, dropped after it, and no call runs without fuel, deadline,
//!   memory, handle, host-call, output, stdio and randomness limits.
//! - A guest's request goes only to an address that was vetted, and only to a URL that the call's
//!   authority permits; nothing else here opens a socket.
//! - A guest never performs an effect. Writes are captured by an overlay; [`files::apply`] is
//!   called by the host, later, with the bytes that were approved.
//! - A worker process has no authority: what its guest asks of the host is answered here, by the
//!   code that answers guests on threads. Nothing that it says is believed further than a guest.
//! - Nothing that a guest or a file does makes this crate panic.
//! - The one `unsafe` is in `cache.rs`.

mod baseline;
mod bindings;
mod budget;
mod cache;
mod call;
mod capability;
mod compile;
mod confine;
mod convert;
mod engine;
mod exec;
pub mod files;
mod guest;
mod held;
mod http;
mod invocation;
mod link;
mod model;
mod program;
mod random;
mod reached;
mod secret;
mod tape;
mod threads;
mod trap;
mod wasi;
mod worker;

pub use compile::{CompileError, CompileLimits, Compiler, compile_from_stdin};
pub use confine::{ConfineError, Holds, confine_program};
pub use engine::{CacheSettings, Engine, EngineError, EngineSettings};
pub use exec::{
    Ending, ExecAnswer, ExecError, ExecFolder, ExecLimits, ExecProgram, ExecRequest, ExecRunner, ExecSettings,
};
pub use held::{Answer, Body, HeldCall, HeldWorld, HttpCall, ReadHeldError};
pub use http::{HttpClient, HttpSettings, HttpSettingsError, TLS_ROOTS_MAX, TlsRootsError, tls_roots};
pub use invocation::{
    ArtifactError, Artifacts, CancelToken, Held, HostContext, Invocation, LogLine, LogSource, Outcome, Report,
};
pub use model::{AskFor, Model, ModelEndpoint, Models};
pub use program::{LoadError, Program};
pub use reached::{REACHED_BYTES_MAX, REACHED_ENTRIES_MAX};
pub use secret::{
    SECRET_BYTES_MAX, SECRET_BYTES_MIN, SecretHeader, SecretValue, SecretValueError, SecretValues,
};
pub use tape::{ReadTapeError, Tape};
pub use threads::GuestThreads;
pub use trap::Trap;
pub use worker::{IsolationError, WorkerError, WorkerSettings, Workers, work};
