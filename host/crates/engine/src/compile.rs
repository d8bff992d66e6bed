//! Compiling in a process of its own, which can be killed.
//!
//! Compiling is the one thing that this host does with a pack's bytes for which wasmtime promises no
//! bounds. So the bytes go to a child over a pipe and the native code comes back over another, while
//! the kernel bounds the child's memory and processor time and this side bounds its wall time and
//! output. The child is this very program, with an empty environment and nothing open but the
//! pipes.

#![expect(
    clippy::disallowed_methods,
    reason = "this module owns the compiling process, and the time that it may take"
)]

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use base::{show_bytes, show_duration_ms};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, setrlimit};

/// Largest component that is compiled, in bytes.
const COMPONENT_BYTES_MAX: u64 = 64 << 20;
/// Most native code that is taken from the child, in bytes.
const CODE_BYTES_MAX: u64 = 512 << 20;
/// Most of what the child says of a failure, in bytes.
const SAID_BYTES_MAX: u64 = 4 << 10;
/// What the child exits with if the component is to blame: this program's code for a refusal.
const REFUSED: i32 = 4;
/// How the standard library and Cranelift's threads say that there is no memory left.
const NO_MEMORY: [&str; 3] = ["memory allocation", "Cannot allocate memory", "out of memory"];
/// Threads that compile.
const THREADS_MAX: &str = "4";
/// The pipes are open already, and nothing else is needed but the processor's description.
const NO_MORE_FILES: u64 = 8;

/// What compiling one component may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Address space of the child, in bytes: its memory, and the program and stacks besides.
    pub memory_bytes: u64,
    /// Time on the processor, over all threads, in milliseconds; full seconds are what the kernel
    /// knows.
    pub cpu_ms: u64,
    /// Wall time, in milliseconds.
    pub wall_ms: u64,
}

impl CompileLimits {
    /// Enough for a language runtime of some ten megabytes, which takes up to a minute on the processor,
    /// on a machine that is slow or busy with other things.
    pub const DEFAULT: Self = Self { memory_bytes: 4 << 30, cpu_ms: 240_000, wall_ms: 600_000 };
}

/// How the compiling process is started.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// The program: this one.
    pub program: PathBuf,
    /// What makes it call [`compile_from_stdin`] with the two numbers that are appended.
    pub arguments: Vec<OsString>,
    /// What it may use.
    pub limits: CompileLimits,
}

/// A component was not compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// It is no component, or one that uses a feature that is off.
    #[error("the component does not compile: {0}")]
    Invalid(String),
    /// It needs more than compiling may use.
    #[error("compiling the component takes more than {0}")]
    Limit(String),
    /// The child could not be started or ended without an answer.
    #[error("the compiling process failed: {0}")]
    Process(String),
}

impl Compiler {
    /// The native code of `component`, as [`wasmtime::Engine::precompile_component`] gives it.
    pub(crate) fn compile(&self, component: &[u8]) -> Result<Vec<u8>, CompileError> {
        if component.len() as u64 > COMPONENT_BYTES_MAX {
            return Err(CompileError::Limit(format!("{} of WebAssembly", show_bytes(COMPONENT_BYTES_MAX))));
        }
        let failed = |error: std::io::Error| CompileError::Process(error.to_string());
        let mut child = self.start().map_err(failed)?;
        let group = Pid::from_child(&child);
        let code = child.stdout.take().map(|pipe| read_aside(pipe, CODE_BYTES_MAX));
        let said = child.stderr.take().map(|pipe| read_aside(pipe, SAID_BYTES_MAX));
        if let Some(mut stdin) = child.stdin.take() {
            let component = component.to_vec();
            // A child that ends early does not read it all, and says why.
            std::thread::spawn(move || stdin.write_all(&component));
        }
        let (ended, end) = mpsc::channel();
        std::thread::spawn(move || ended.send(child.wait()));
        let Ok(status) = end.recv_timeout(Duration::from_millis(self.limits.wall_ms)) else {
            let _gone_just_now = rustix::process::kill_process_group(group, Signal::KILL);
            return Err(CompileError::Limit(format!("{} of time", show_duration_ms(self.limits.wall_ms))));
        };
        // Its ends of the pipes went with it.
        let whole = |pipe: Option<mpsc::Receiver<Vec<u8>>>| pipe.and_then(|pipe| pipe.recv().ok());
        let said = whole(said).unwrap_or_default();
        self.judge(status.map_err(failed)?, whole(code).unwrap_or_default(), &said)
    }

    fn start(&self) -> std::io::Result<std::process::Child> {
        Command::new(&self.program)
            .args(&self.arguments)
            .arg(self.limits.memory_bytes.to_string())
            .arg(self.limits.cpu_ms.div_ceil(1_000).to_string())
            .env_clear()
            // A thread reserves much address space for its stack and heap, and that is what the
            // kernel counts: on a machine with many processors it would be all there is.
            .env("RAYON_NUM_THREADS", THREADS_MAX)
            .env("MALLOC_ARENA_MAX", "2")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
    }

    fn judge(&self, status: ExitStatus, code: Vec<u8>, said: &[u8]) -> Result<Vec<u8>, CompileError> {
        let said = String::from_utf8_lossy(said);
        let limit = |what: String| Err(CompileError::Limit(what));
        if code.len() as u64 > CODE_BYTES_MAX {
            return limit(format!("{} of native code", show_bytes(CODE_BYTES_MAX)));
        }
        match (status.code(), status.signal()) {
            (Some(0), _) if !code.is_empty() => Ok(code),
            (Some(REFUSED), _) => Err(CompileError::Invalid(reason(&said))),
            (_, Some(signal)) if signal == Signal::XCPU.as_raw() => {
                limit(format!("{} on the processor", show_duration_ms(self.limits.cpu_ms)))
            }
            _ if NO_MEMORY.iter().any(|text| said.contains(text)) => {
                limit(format!("{} of memory", show_bytes(self.limits.memory_bytes)))
            }
            _ => Err(CompileError::Process(format!("{status}: {}", said.trim()))),
        }
    }
}

/// What the child said of a component that does not compile, without the words that this side says.
fn reason(said: &str) -> String {
    let invalid = CompileError::Invalid(String::new()).to_string();
    said.strip_prefix(&invalid).unwrap_or(said).trim().to_owned()
}

/// Reads a pipe to its end on a thread, and one byte more than `bytes_max` at most.
fn read_aside(pipe: impl Read + Send + 'static, bytes_max: u64) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _cut_off = pipe.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes);
        sender.send(bytes)
    });
    receiver
}

/// The child's side: bounds itself, compiles what standard input holds, writes the native code to
/// standard output.
///
/// # Errors
/// [`CompileError::Invalid`] if the component does not compile, [`CompileError::Process`] if the
/// pipes or the bounds fail. Beyond its bounds the process ends without an answer.
pub fn compile_from_stdin(memory_bytes: u64, cpu_seconds: u64) -> Result<(), CompileError> {
    let failed = |error: std::io::Error| CompileError::Process(error.to_string());
    bound_this_process(memory_bytes, cpu_seconds).map_err(failed)?;
    let mut component = Vec::new();
    std::io::stdin().lock().take(COMPONENT_BYTES_MAX).read_to_end(&mut component).map_err(failed)?;
    let engine = crate::engine::bare().map_err(|error| CompileError::Process(error.to_string()))?;
    let code = engine
        .precompile_component(&component)
        .map_err(|error| CompileError::Invalid(format!("{error:#}")))?;
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&code).and_then(|()| stdout.flush()).map_err(failed)
}

/// There is no way back: the limits are those of the hard kind.
fn bound_this_process(memory_bytes: u64, cpu_seconds: u64) -> std::io::Result<()> {
    // Not even the parent's end is survived.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let bounds = [
        (Resource::As, memory_bytes),
        (Resource::Cpu, cpu_seconds),
        // No files, neither written nor opened, and no core dump of what a pack may hold.
        (Resource::Fsize, 0),
        (Resource::Nofile, NO_MORE_FILES),
        (Resource::Core, 0),
    ];
    for (resource, most) in bounds {
        // A soft limit below the hard one by a second lets the kernel say SIGXCPU before SIGKILL.
        let hard = if resource == Resource::Cpu { most.saturating_add(1) } else { most };
        // Where the whole program is bounded lower, it stays so: nobody may raise that.
        let given = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        setrlimit(resource, Rlimit { current: Some(most.min(given)), maximum: Some(hard.min(given)) })?;
    }
    Ok(())
}
