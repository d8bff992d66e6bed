//! The one wasmtime engine: its configuration, its clock, its programs.

#![expect(
    clippy::disallowed_methods,
    reason = "this module owns the clock thread, which sleeps between ticks"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use base::{Digest, Limits};
use wasmtime::component::Component;
use wasmtime::{Config, WasmBacktraceDetails, WasmFeatures};

use crate::cache::{Cache, CacheError};
use crate::program::Loaded;
use crate::{CompileError, Compiler, LoadError, Program};

/// How often stores look at their deadline and at their cancel token.
const TICK: Duration = Duration::from_millis(2);

/// How an [`Engine`] is set up.
#[derive(Default)]
pub struct EngineSettings {
    /// Where compiled code is kept between processes; none compiles each time.
    pub cache: Option<CacheSettings>,
    /// The process that compiles; none compiles in this one, without bounds.
    pub compiler: Option<Compiler>,
}

/// Where compiled code is kept.
pub struct CacheSettings {
    /// A folder of ours: made with mode 0700 if absent, refused if others may enter it.
    pub folder: PathBuf,
    /// Authenticates the entries. Whoever knows it can run native code as this user.
    pub secret: [u8; 32],
}

/// The engine could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refused the configuration, as on a processor that it does not know.
    #[error("the WebAssembly engine does not start: {0}")]
    Wasmtime(String),
    /// The folder for compiled code cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// No thread for the engine's clock.
    #[error("the engine's clock thread does not start: {0}")]
    Thread(std::io::Error),
}

/// Compiles and holds programs. One per process; clones share it.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    wasmtime: wasmtime::Engine,
    cache: Option<Cache>,
    compiler: Option<Compiler>,
    programs: Mutex<BTreeMap<Digest, Weak<Loaded>>>,
}

impl Engine {
    /// Sets up the engine and starts its clock, which ends with it.
    ///
    /// # Errors
    /// If wasmtime, the cache folder or the clock's thread fails.
    pub fn new(settings: EngineSettings) -> Result<Self, EngineError> {
        let wasmtime = bare()?;
        let cache = settings.cache.map(|settings| Cache::open(settings, &wasmtime)).transpose()?;
        start_clock(&wasmtime)?;
        let compiler = settings.compiler;
        Ok(Self(Arc::new(Shared { wasmtime, cache, compiler, programs: Mutex::default() })))
    }

    /// Compiles a component, or takes it from memory or from the cache. No guest code runs.
    ///
    /// # Errors
    /// If `component` is not the bytes of `digest`, does not compile, or imports what this host does
    /// not have.
    pub fn load(&self, component: &[u8], digest: &Digest) -> Result<Program, LoadError> {
        if Digest::of(component) != *digest {
            return Err(LoadError::Digest { expected: *digest });
        }
        if let Some(loaded) = self.programs().get(digest).and_then(Weak::upgrade) {
            return Ok(Program::new(loaded));
        }
        let loaded = Arc::new(Loaded::new(self.compiled(component, digest)?, *digest)?);
        let mut programs = self.programs();
        programs.retain(|_, program| program.strong_count() > 0);
        programs.insert(*digest, Arc::downgrade(&loaded));
        Ok(Program::new(loaded))
    }

    /// The compiled component: from the cache, else compiled and put there.
    fn compiled(&self, component: &[u8], digest: &Digest) -> Result<Component, CompileError> {
        let Shared { wasmtime, cache, compiler, .. } = &*self.0;
        if let Some(found) = cache.as_ref().and_then(|cache| cache.read(wasmtime, digest)) {
            return Ok(found);
        }
        let invalid = |error: wasmtime::Error| CompileError::Invalid(format!("{error:#}"));
        let code = match compiler {
            Some(compiler) => compiler.compile(component)?,
            None => wasmtime.precompile_component(component).map_err(invalid)?,
        };
        if let Some(cache) = cache {
            // A cache that cannot be written to costs the next process time, nothing else.
            let _not_stored = cache.write(digest, &code);
        }
        let unfit = || CompileError::Process("its code is not for this processor and program".to_owned());
        crate::cache::deserialize(wasmtime, &code).ok_or_else(unfit)
    }

    fn programs(&self) -> std::sync::MutexGuard<'_, BTreeMap<Digest, Weak<Loaded>>> {
        self.0.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// wasmtime's engine, configured; nothing runs yet.
pub(crate) fn bare() -> Result<wasmtime::Engine, EngineError> {
    wasmtime::Engine::new(&config()).map_err(|error| EngineError::Wasmtime(format!("{error:#}")))
}

/// What guests may be made of, and how they run. Each feature that is off is one that packs do not
/// need; each switch that is on makes a call repeatable or bounded.
fn config() -> Config {
    let mut config = Config::new();
    let off = [
        WasmFeatures::GC,
        WasmFeatures::GC_TYPES,
        WasmFeatures::EXCEPTIONS,
        WasmFeatures::LEGACY_EXCEPTIONS,
        WasmFeatures::FUNCTION_REFERENCES,
        WasmFeatures::THREADS,
        WasmFeatures::SHARED_EVERYTHING_THREADS,
        WasmFeatures::STACK_SWITCHING,
        WasmFeatures::MEMORY64,
        WasmFeatures::CUSTOM_PAGE_SIZES,
        WasmFeatures::WIDE_ARITHMETIC,
        WasmFeatures::CM_ASYNC,
        WasmFeatures::CM_ASYNC_STACKFUL,
        WasmFeatures::CM_MORE_ASYNC_BUILTINS,
        WasmFeatures::CM_THREADING,
        WasmFeatures::CM_ERROR_CONTEXT,
        WasmFeatures::CM_GC,
        WasmFeatures::CM_MAP,
        WasmFeatures::CM64,
        WasmFeatures::CM_FIXED_LENGTH_LISTS,
        WasmFeatures::CM_IMPLEMENTS,
    ];
    for feature in off {
        config.wasm_features(feature, false);
    }
    config
        .concurrency_support(false)
        .shared_memory(false)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(usize::try_from(Limits::CEILING.stack_bytes).unwrap_or(512 << 10))
        // `classify` needs to see that there is a backtrace, nobody needs to read it.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .generate_address_map(false)
        .native_unwind_info(false);
    config
}

/// Moves the epoch on from a thread of the operating system, so that no async runtime, however
/// busy, can stop the clock.
pub(crate) fn start_clock(engine: &wasmtime::Engine) -> Result<(), EngineError> {
    let engine = engine.weak();
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    };
    std::thread::Builder::new()
        .name("guest-clock".to_owned())
        .spawn(tick)
        .map(drop)
        .map_err(EngineError::Thread)
}
