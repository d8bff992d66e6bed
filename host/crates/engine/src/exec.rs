//! Programs of this machine for guests: resolved once, confined, and gone when the call is over.
//!
//! A guest's words become an [`ExecRequest`], in which everything is decided: the program's file and
//! its digest, every argument and variable, the folder, the limits. [`ExecRunner::perform`] does
//! exactly that. It starts this very program as `capstan internal confine`, which makes namespaces,
//! and starts itself in them once more; that one confines itself and then runs the program. See
//! [`crate::confine`] for what holds the program, and why nothing of it outlives the call.

mod authorise;
mod program;
mod request;
mod start;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

pub(crate) use authorise::{Refusal, Wanted};
pub(crate) use program::hash;
pub use request::{Ending, ExecAnswer, ExecError, ExecFolder, ExecLimits, ExecProgram, ExecRequest};
pub(crate) use request::{SCRATCH, Said};

use crate::confine::{Holds, Trial};

/// How programs are found and confined.
#[derive(Debug, Clone)]
pub struct ExecSettings {
    /// This program, which confines itself.
    pub helper: PathBuf,
    /// What makes it call [`crate::confine_program`]; `--inside` is appended for the second stage.
    pub arguments: Vec<OsString>,
    /// Folders in which programs are looked for, in order. Never a guest's to say.
    pub search: Vec<PathBuf>,
    /// What one program may use.
    pub limits: ExecLimits,
}

impl ExecSettings {
    /// Where programs are looked for unless the operator says otherwise.
    pub const SEARCH: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];
}

/// Runs programs. Clones share what was found out about the machine.
#[derive(Debug, Clone)]
pub struct ExecRunner(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: ExecSettings,
    trial: OnceLock<Result<Trial, ExecError>>,
}

impl ExecRunner {
    /// A runner with these settings. Nothing is started.
    #[must_use]
    pub fn new(settings: ExecSettings) -> Self {
        Self(Arc::new(Shared { settings, trial: OnceLock::new() }))
    }

    /// What this machine was seen to enforce, tried out once in a confined child.
    ///
    /// # Errors
    /// If the child could not be confined at all.
    pub fn trial(&self) -> Result<&[Holds], ExecError> {
        let trial = self.0.trial.get_or_init(|| self.try_out());
        trial.as_ref().map(|trial| trial.holds.as_slice()).map_err(Clone::clone)
    }

    /// Refuses where something that should hold a program was seen not to.
    fn require_confinement(&self) -> Result<(), ExecError> {
        let failed = |holds: &&Holds| holds.reached.is_some();
        match self.trial()?.iter().find(failed) {
            None => Ok(()),
            Some(Holds { what, .. }) => {
                Err(ExecError::Unsupported(format!("on this machine a confined program can {what}")))
            }
        }
    }

    fn settings(&self) -> &ExecSettings {
        &self.0.settings
    }
}
