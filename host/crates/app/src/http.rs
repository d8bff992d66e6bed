//! The client for guests' requests, and the authorities that the operator names for it.

use std::path::{Path, PathBuf};

use engine::{HttpClient, HttpSettings, tls_roots};

use crate::app::App;
use crate::config::{self, malformed};
use crate::{Error, home};

/// Most files of certificates.
const FILES_MAX: usize = 16;
/// Largest one, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// One file of certificates, read and checked.
pub(crate) struct Roots {
    pub(crate) path: PathBuf,
    /// Its certificates (DER).
    pub(crate) certificates: Vec<Vec<u8>>,
}

impl App {
    /// The client for guests' requests, one for all calls of this process.
    ///
    /// # Errors
    /// If a file of certificates that the settings name cannot be used.
    pub(crate) fn http(&self) -> Result<HttpClient, Error> {
        if let Some(http) = self.http.get() {
            return Ok(http.clone());
        }
        let extra_roots = self.http_roots()?.into_iter().flat_map(|roots| roots.certificates).collect();
        let http = HttpClient::new(HttpSettings { extra_roots, ..HttpSettings::default() })
            .map_err(|error| Error::Bug(error.to_string()))?;
        Ok(self.http.get_or_init(|| http).clone())
    }

    /// The operator's authorities, file by file.
    ///
    /// # Errors
    /// If one is not a file of an authority's certificates that are valid now: to go on without it
    /// would be to fail later, at a request, with a reason that does not name it.
    pub(crate) fn http_roots(&self) -> Result<Vec<Roots>, Error> {
        let paths = config::load(&self.home)?.http_roots;
        if paths.len() > FILES_MAX {
            return Err(malformed(&format!("`[http] roots` names more than {FILES_MAX} files")));
        }
        paths.iter().map(|path| self.roots_of(path)).collect()
    }

    fn roots_of(&self, path: &Path) -> Result<Roots, Error> {
        let path = self.home.path().join(path);
        let wrong = |why: &dyn std::fmt::Display| {
            malformed(&format!("`[http] roots` names `{}`: {why}", path.display()))
        };
        let pem = home::read_file(&path, FILE_BYTES_MAX).map_err(|error| match error {
            Error::Io { source, .. } => wrong(&source),
            other => wrong(&other),
        })?;
        let certificates = tls_roots(&pem, self.clock.now()).map_err(|error| wrong(&error))?;
        Ok(Roots { path, certificates })
    }
}
