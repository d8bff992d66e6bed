//! The home folder: where it is, what is in it, and how its files are written.
//!
//! Whoever can write the home is the operator: trust, grants and keys are files in it. They are
//! readable text, replaced as a whole (temporary file, fsync, rename), under one lock.

#![expect(clippy::disallowed_methods, reason = "this module owns the home folder's files")]

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::Error;

/// Largest operator file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The file with the secret that vouches for compiled code.
pub(crate) const CACHE_SECRET: &str = "cache/secret";

/// Who may reach a file or folder.
pub(crate) struct Access {
    /// Whether it belongs to the user that runs the program.
    pub(crate) is_own: bool,
    /// The permission bits.
    pub(crate) mode: u32,
}

impl Access {
    /// Whether neither group nor others have any permission.
    pub(crate) const fn is_private(&self) -> bool {
        self.mode.trailing_zeros() >= 6
    }
}

/// Looks at who may reach `path`; a link is followed.
pub(crate) fn access(path: &Path) -> io::Result<Access> {
    let meta = fs::metadata(path)?;
    let is_own = meta.uid() == rustix::process::geteuid().as_raw();
    Ok(Access { is_own, mode: meta.mode() & 0o777 })
}

/// An opened home folder.
#[derive(Debug, Clone)]
pub struct Home {
    path: PathBuf,
}

impl Home {
    /// Names the home; nothing is created.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The platform's data folder for this program, used where neither `--home` nor
    /// `CAPSTAN_HOME` names another.
    #[must_use]
    pub fn default_path() -> Option<PathBuf> {
        directories::ProjectDirs::from("", "", "capstan").map(|dirs| dirs.data_dir().to_owned())
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether `capstan init` has been here.
    #[must_use]
    pub fn is_initialised(&self) -> bool {
        self.file(crate::config::FILE).is_file()
    }

    /// A path in the home.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a folder that is there already the user's alone, as a new one would be.
    ///
    /// # Errors
    /// If it belongs to somebody else, who could change it under our hands.
    pub(crate) fn close(&self) -> Result<(), Error> {
        let access = match access(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            found => found.map_err(Error::io("look at", &self.path))?,
        };
        if !access.is_own {
            let message = format!("`{}` belongs to another user", self.path.display());
            return Err(Error::usage(message, &["choose a folder of your own, with `--home`"]));
        }
        if access.is_private() {
            return Ok(());
        }
        fs::set_permissions(&self.path, Permissions::from_mode(0o700))
            .map_err(Error::io("change the mode of", &self.path))
    }

    /// The files that nobody else may read: the keys, the secrets, and what vouches for compiled code.
    pub(crate) fn secrets(&self) -> Vec<PathBuf> {
        let keys = fs::read_dir(self.file("keys")).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = keys.map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "key" || end == "identity"));
        let values = fs::read_dir(self.file("secrets")).into_iter().flatten().flatten();
        paths.extend(values.map(|entry| entry.path()));
        paths.sort();
        paths.push(self.file(CACHE_SECRET));
        paths
    }

    /// Makes the folder and those below it that the layers expect, readable by their owner only.
    pub(crate) fn create(&self) -> Result<(), Error> {
        for name in ["", "keys", "store", "packs", "cache", "locks", "policy", "secrets"] {
            let path = self.path.join(name);
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(Error::io("create", &path))?;
        }
        Ok(())
    }

    /// Reads an operator file as text; an absent one is empty.
    pub(crate) fn read_text(&self, name: &str) -> Result<String, Error> {
        let path = self.file(name);
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            Ok(meta) if meta.len() > FILE_BYTES_MAX => {
                return Err(Error::Io {
                    action: format!("read `{}`", path.display()),
                    source: io::Error::new(io::ErrorKind::FileTooLarge, "larger than 4 MiB"),
                });
            }
            Ok(_) | Err(_) => {}
        }
        fs::read_to_string(&path).map_err(Error::io("read", &path))
    }

    /// Replaces a file as a whole, so that a crash leaves the old one or the new one.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.file(name);
        let folder = path.parent().unwrap_or(&self.path);
        let suffix = crate::system::random::<6>()?.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let temporary = path.with_extension(format!("tmp-{suffix}"));
        let result = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(folder)?.sync_all()
        })();
        if result.is_err() {
            drop(fs::remove_file(&temporary));
        }
        result.map_err(Error::io("write", &path))
    }

    /// Removes a file.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.file(name);
        fs::remove_file(&path).map_err(Error::io("remove", &path))
    }

    /// Holds the home's lock while operator files are read, changed and written back.
    pub(crate) fn lock(&self) -> Result<File, Error> {
        let path = self.file("locks/home");
        let open = || OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.create()?;
                open()
            }
            other => other,
        }
        .map_err(Error::io("open", &path))?;
        flock(&file, FlockOperation::LockExclusive)
            .map_err(|errno| Error::io("lock", &path)(io::Error::from(errno)))?;
        Ok(file)
    }
}

/// Reads a file that the user named, up to `bytes_max`.
pub(crate) fn read_file(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Error> {
    let action = Error::io("read", path);
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) => return Err(action(error)),
    };
    if !meta.is_file() {
        return Err(action(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    if meta.len() > bytes_max {
        let text = format!("larger than {bytes_max} bytes");
        return Err(action(io::Error::new(io::ErrorKind::FileTooLarge, text)));
    }
    fs::read(path).map_err(action)
}
