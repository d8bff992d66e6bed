//! The second wall: guests in worker processes that can do nothing but talk to this one.
//!
//! A worker is this very program, started as `capstan internal worker` with a socket and nothing
//! else. It confines itself ([`crate::confine::resident`]), says what it then tried in vain, takes
//! the compiled code of one component, and makes one call after the other. WASI's baseline, fuel,
//! memory and all other limits of wasmtime are the worker's. Everything else stays here: each call
//! that the guest makes of `capstan:host`, whether live or inert, comes over the socket as a
//! [`ask::HostCall`], and the same code answers it that answers a guest of this process, with the
//! call's authority, overlay, tape and budget. So whoever gets out of the WebAssembly in a worker
//! can ask for what the guest could have asked for, and for nothing else.
//!
//! What comes from a worker is believed as little as what comes from a guest: frames are bounded,
//! results are read by the signature's types, counters only ever rise, and a worker that breaks the
//! protocol, dies or is late is killed, which ends its call.

mod ask;
mod inside;
mod pool;
mod process;
mod resident;
mod talk;
mod wire;

pub use inside::{WorkerError, work};
pub use pool::{IsolationError, WorkerSettings, Workers};
pub(crate) use talk::call;
