//! Why a call ended without a result, and the one place where wasmtime's errors become that.

use std::fmt;

use authority::Denied;
use wasmtime::component::ResourceTableError;
use wasmtime_wasi::I32Exit;

use crate::held::HeldCall;

macro_rules! traps {
    ($($variant:ident = $name:literal, $meaning:literal;)*) => {
        /// What stopped a call. Each limit has its own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Trap {
            $(#[doc = $meaning] $variant,)*
        }

        impl Trap {
            /// Every trap, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name, as outcomes and the journal spell it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What happened, in a few words for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

traps! {
    Fuel = "fuel", "the call used up its fuel";
    Deadline = "deadline", "the call took longer than its wall time";
    Cancelled = "cancelled", "the call was cancelled";
    Memory = "memory", "the guest's memories together would be over the limit";
    Table = "table", "the guest's tables together would be over the limit";
    Instances = "instances", "the component has more instances, memories or tables than a call may have";
    Stack = "stack", "the guest's stack is exhausted";
    Handles = "handles", "the guest holds too many component handles";
    Resources = "resources", "the guest holds too many host resources";
    HostCallBytes = "host_call_bytes", "host calls moved more bytes than the call may";
    Input = "input", "the arguments are larger than a call accepts";
    Output = "output", "the result is larger than the call may return";
    Stdio = "stdio", "the guest wrote more to its log, stdout and stderr than the call may";
    Random = "random", "the guest drew more random bytes than the call may";
    Files = "files", "the call looks at, reads or stages more files and folders than it may";
    FileBytes = "file_bytes", "the call reads or stages more bytes of files than it may";
    ModelTokens = "model_tokens", "the call could take, or took, more tokens of models than it may";
    ModelCost = "model_cost", "the call could cost, or cost, more for models than it may";
    Unreachable = "unreachable", "the guest panicked or reached an `unreachable` instruction";
    OutOfBounds = "out_of_bounds", "the guest accessed memory or a table out of bounds";
    Arithmetic = "arithmetic", "the guest divided by zero, or a number did not fit";
    BadCall = "bad_call", "the guest made an indirect call to nothing or to another type";
    Invalid = "invalid", "the guest broke a rule of the component model, e.g. returned a string that is not text";
    Exit = "exit", "the guest ended its process instead of returning";
    Signature = "signature", "the operation is absent, or its signature is not the one that was checked";
    Worker = "worker", "the process that ran the guest ended, was late, or did not keep to its protocol";
    Host = "host", "the host failed";
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error that host functions and callbacks of this crate end a call with.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Stop {
    /// A limit, a cancellation or a failure.
    #[error("{}", .0.meaning())]
    Trap(Trap),
    /// A call to an inert interface that has no way to answer with an error.
    #[error("denied: {}", .0.what)]
    Denied(Box<Denied>),
    /// The guest made a call that somebody has to approve first.
    #[error("held: {}", .0.target())]
    Held(Box<HeldCall>),
    /// The guest does not do again what its tape says it did; the text says where.
    #[error("{0}")]
    Diverged(String),
}

impl From<Trap> for Stop {
    fn from(trap: Trap) -> Self {
        Self::Trap(trap)
    }
}

/// Says why wasmtime ended the call.
pub(crate) fn classify(error: &wasmtime::Error) -> Stop {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return stop.clone();
    }
    if let Some(trap) = error.downcast_ref::<wasmtime::Trap>() {
        return of_wasm(*trap).into();
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref::<ResourceTableError>() {
        return Trap::Resources.into();
    }
    if error.downcast_ref::<I32Exit>().is_some() {
        return Trap::Exit.into();
    }
    // Wasmtime attaches a backtrace to what ends guest code. Without one the guest had returned,
    // and its result was being lifted.
    let returned = error.downcast_ref::<wasmtime::WasmBacktrace>().is_none();
    of_text(error, returned).into()
}

fn of_wasm(trap: wasmtime::Trap) -> Trap {
    use wasmtime::Trap as Wasm;
    match trap {
        Wasm::OutOfFuel => Trap::Fuel,
        Wasm::Interrupt => Trap::Deadline,
        Wasm::StackOverflow => Trap::Stack,
        Wasm::UnreachableCodeReached => Trap::Unreachable,
        Wasm::MemoryOutOfBounds | Wasm::TableOutOfBounds => Trap::OutOfBounds,
        Wasm::IntegerOverflow | Wasm::IntegerDivisionByZero | Wasm::BadConversionToInteger => {
            Trap::Arithmetic
        }
        Wasm::IndirectCallToNull | Wasm::BadSignature | Wasm::NullReference => Trap::BadCall,
        _ => Trap::Invalid,
    }
}

/// The texts of wasmtime 48.0.8 for limits that have no error type of their own. The tests in
/// `tests/engine/limits.rs` reach each of them, so a changed text fails there.
fn of_text(error: &wasmtime::Error, returned: bool) -> Trap {
    let text = error.root_cause().to_string();
    if text.contains("store handle limit exceeded") {
        Trap::Handles
    } else if text.starts_with("resource limit exceeded:") {
        Trap::Instances
    } else if text.contains("fuel allocated for hostcalls has been exhausted") {
        if returned { Trap::Output } else { Trap::HostCallBytes }
    } else {
        Trap::Invalid
    }
}
