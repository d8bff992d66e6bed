//! The facade's state: a home, a clock, and what is opened on first use.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use base::{Clock, Code, Digest, NoProbe, PackId, Probe, Refusal};
use engine::{
    CacheSettings, CompileError, Compiler, Engine, EngineSettings, ExecRunner, ExecSettings, HttpClient,
    LoadError, Program, WorkerSettings, Workers,
};
use journal::Journal;
use pack::{Store, VerifiedPack};
use zeroize::Zeroizing;

use crate::config::Isolation;
use crate::home::CACHE_SECRET;
use crate::kill::{KillAt, KillProbe};
use crate::secrets::Secrets;
use crate::system::{self, SystemClock};
use crate::{Error, Home, config, trust};

/// What a shell decides before it calls anything.
#[derive(Clone)]
pub struct Settings {
    /// The home folder.
    pub home: Home,
    /// Where a crash test kills the process.
    pub kill_at: Option<KillAt>,
    /// Further arguments for the cargo that compiles guests; empty for the toolchain in use.
    pub guest_cargo_args: Vec<String>,
    /// The variables of the environment that [`crate::secret_variables`] names, with their values.
    pub environment: BTreeMap<String, Zeroizing<String>>,
}

/// The facade. Cheap to make; the engine and the journal open when they are first needed.
pub struct App {
    pub(crate) home: Home,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) probe: Arc<dyn Probe>,
    pub(crate) guest_cargo_args: Vec<String>,
    pub(crate) secrets: Arc<Secrets>,
    engine: OnceLock<Engine>,
    pub(crate) http: OnceLock<HttpClient>,
    exec: OnceLock<ExecRunner>,
    journal: OnceLock<Journal>,
}

impl App {
    /// A facade over this home and the system's clock.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let probe: Arc<dyn Probe> = match settings.kill_at {
            Some(at) => Arc::new(KillProbe::new(at)),
            None => Arc::new(NoProbe),
        };
        Self {
            secrets: Arc::new(Secrets::new(settings.home.clone(), settings.environment)),
            home: settings.home,
            clock: Arc::new(SystemClock),
            probe,
            guest_cargo_args: settings.guest_cargo_args,
            engine: OnceLock::new(),
            http: OnceLock::new(),
            exec: OnceLock::new(),
            journal: OnceLock::new(),
        }
    }

    /// The home folder.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// An installed pack, verified again from its stored bytes.
    pub(crate) fn load_pack(&self, id: &PackId) -> Result<VerifiedPack, Error> {
        Ok(self.store()?.load(id, &trust::load(&self.home)?)?)
    }

    /// Only `init` makes a home: looking into one that is not there, or is misspelt, makes none.
    pub(crate) fn require_home(&self) -> Result<(), Error> {
        if self.home.is_initialised() {
            return Ok(());
        }
        let message = format!("`{}` is not a home folder yet", self.home.path().display());
        Err(Error::usage(message, &["capstan init"]))
    }

    pub(crate) fn store(&self) -> Result<Store, Error> {
        self.require_home()?;
        Ok(Store::open(self.home.path(), Arc::clone(&self.probe))?)
    }

    /// The engine, with the home's cache of compiled code.
    pub(crate) fn engine(&self) -> Result<&Engine, Error> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        // A pack in a folder can be called before there is a home; then nothing is kept of it.
        let cache = if self.home.is_initialised() {
            Some(CacheSettings { folder: self.home.file("cache/code"), secret: self.cache_secret()? })
        } else {
            None
        };
        // This very program, also if its file was replaced meanwhile.
        let compiler = Some(Compiler {
            program: "/proc/self/exe".into(),
            arguments: ["internal", "compile"].map(Into::into).to_vec(),
            limits: config::load(&self.home)?.compile,
        });
        let engine = Engine::new(EngineSettings { cache, compiler }).map_err(|error| Error::Io {
            action: "start the engine".to_owned(),
            source: std::io::Error::other(error),
        })?;
        Ok(self.engine.get_or_init(|| engine))
    }

    /// A pack's component, compiled and ready to be called.
    pub(crate) fn program(&self, pack: &VerifiedPack) -> Result<Program, Error> {
        let component = pack.component();
        self.engine()?.load(component, &Digest::of(component)).map_err(|error| {
            let code = match &error {
                LoadError::Compile(CompileError::Limit(_)) => Code::CompileLimit,
                LoadError::Compile(CompileError::Process(_)) => Code::FileIo,
                _ => Code::ComponentInvalid,
            };
            let refusal = Refusal::new(code, format!("`{}`: {error}", pack.manifest().id));
            let hint = (code == Code::CompileLimit)
                .then(|| format!("raise `[compile]` in `{}`", self.home.file(config::FILE).display()));
            Error::Refused(hint.into_iter().fold(refusal, Refusal::hint))
        })
    }

    /// What runs programs for guests, one for all calls of this process.
    pub(crate) fn exec(&self) -> Result<ExecRunner, Error> {
        if let Some(exec) = self.exec.get() {
            return Ok(exec.clone());
        }
        let config = config::load(&self.home)?;
        let exec = ExecRunner::new(ExecSettings {
            helper: "/proc/self/exe".into(),
            // It has no use for a home, and for some users none is known.
            arguments: ["--home", "/", "internal", "confine"].map(Into::into).to_vec(),
            search: config.exec_path,
            limits: config.exec_limits,
        });
        Ok(self.exec.get_or_init(|| exec).clone())
    }

    /// Workers for the guests of one run or call, where the settings ask for them.
    pub(crate) fn workers(&self) -> Result<Option<Workers>, Error> {
        match config::load(&self.home)?.isolation {
            Isolation::Thread => Ok(None),
            Isolation::Process => self.open_workers().map(Some),
        }
    }

    pub(crate) fn open_workers(&self) -> Result<Workers, Error> {
        let settings = WorkerSettings {
            program: "/proc/self/exe".into(),
            arguments: ["--home", "/", "internal", "worker"].map(Into::into).to_vec(),
        };
        Workers::open(settings).map_err(|error| {
            let refusal = Refusal::new(Code::IsolationUnavailable, error.to_string());
            let file = self.home.file(config::FILE);
            let hint =
                format!("run guests on threads instead: `isolation = \"thread\"` in `{}`", file.display());
            Error::Refused(refusal.hint("capstan doctor").hint(hint))
        })
    }

    /// The secret is made on first use; a damaged one is replaced, which only empties the cache.
    fn cache_secret(&self) -> Result<[u8; 32], Error> {
        let _lock = self.home.lock()?;
        let path = self.home.file(CACHE_SECRET);
        if let Some(secret) = crate::home::read_file(&path, 64).ok().and_then(|bytes| bytes.try_into().ok()) {
            return Ok(secret);
        }
        let secret = system::random::<32>()?;
        self.home.write(CACHE_SECRET, &secret)?;
        Ok(secret)
    }

    /// The journal; made if it is not there.
    pub(crate) fn journal(&self) -> Result<&Journal, Error> {
        if let Some(journal) = self.journal.get() {
            return Ok(journal);
        }
        self.require_home()?;
        let journal =
            Journal::open(self.home.path(), Arc::clone(&self.probe)).map_err(crate::journal_error)?;
        Ok(self.journal.get_or_init(|| journal))
    }
}
