//! `files-read`: list, stat and read below a root, through the call's overlay.

use authority::{Denied, PathScope};
use base::{Capability, RootName};

use super::Inert;
use crate::bindings::files_read::{self, FileError as Wit, Kind, Listing, Metadata};
use crate::files::{FileError, Kind as FileKind, Page, Reach};
use crate::guest::Guest;
use crate::trap::Stop;

/// A refusal or failure of a file call: told to the guest, unless it ends the call.
pub(super) enum Failure {
    Tell(FileError),
    Denied(Denied),
    Stop(Stop),
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::Tell(error)
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl Guest {
    /// Does `act` on a path that the capability reaches, and gives what bindgen wants.
    pub(super) fn at_path<T>(
        &mut self,
        capability: Capability,
        root: &str,
        path: &str,
        act: impl FnOnce(&mut Self, &RootName) -> Result<T, Failure>,
    ) -> wasmtime::Result<Result<T, Wit>> {
        let done = self.admit(capability, root, path).and_then(|root| {
            act(self, &root).map_err(|failure| match failure {
                // To the guest and in the report it is a refusal like any other.
                Failure::Tell(FileError::Reserved) => {
                    Failure::Denied(Denied::reserved(capability, &root, path))
                }
                Failure::Tell(FileError::Denied(denied)) => Failure::Denied(*denied),
                other => other,
            })
        });
        self.answer(done)
    }

    /// Parses the root and checks the path against the rules and the capability's scope.
    pub(super) fn admit(
        &mut self,
        capability: Capability,
        root: &str,
        path: &str,
    ) -> Result<RootName, Failure> {
        let root: RootName = root.parse().map_err(|_| FileError::UnknownRoot)?;
        authority::check_path(path).map_err(|error| FileError::InvalidPath(error.to_string()))?;
        self.authority.permits_path(capability, &root, path).map_err(Failure::Denied)?;
        self.reached.place(capability, format!("{root}:{path}"));
        Ok(root)
    }

    /// Turns an outcome into what bindgen wants, and records refusals.
    fn answer<T>(&mut self, result: Result<T, Failure>) -> wasmtime::Result<Result<T, Wit>> {
        match result {
            Ok(value) => Ok(Ok(value)),
            Err(Failure::Tell(FileError::Stopped(stop)) | Failure::Stop(stop)) => Err(stop.into()),
            Err(Failure::Tell(error)) => Ok(Err(wit(error))),
            Err(Failure::Denied(denied)) => {
                self.record(&denied);
                Ok(Err(Wit::Denied(self.denial_text(&denied))))
            }
        }
    }

    fn list_page(&mut self, root: &str, glob: &str, cursor: Option<&str>) -> Result<Page, Failure> {
        let root: RootName = root.parse().map_err(|_| FileError::UnknownRoot)?;
        self.authority.permits_root(Capability::FilesRead, &root).map_err(Failure::Denied)?;
        let pattern: PathScope = format!("{root}:{glob}").parse().map_err(|_| FileError::InvalidGlob)?;
        let reach = Reach { pattern: &pattern, authority: &self.authority, budget: &self.budget };
        let page = self.overlay.list(&root, &reach, cursor)?;
        self.reached.listing(Capability::FilesRead, pattern.to_string());
        for path in &page.paths {
            self.reached.place(Capability::FilesRead, format!("{root}:{path}"));
        }
        self.budget.charge(page.paths.iter().map(String::len).sum())?;
        Ok(page)
    }
}

/// What the guest is told.
fn wit(error: FileError) -> Wit {
    match error {
        FileError::NotFound => Wit::NotFound,
        FileError::Exists => Wit::Exists,
        FileError::NotAFile => Wit::NotAFile,
        FileError::NotADirectory => Wit::NotADirectory,
        FileError::TooLarge => Wit::TooLarge,
        FileError::InvalidPath(text) => Wit::InvalidPath(text),
        other @ (FileError::UnknownRoot
        | FileError::InvalidGlob
        | FileError::Symlink
        | FileError::OtherName) => Wit::InvalidPath(other.to_string()),
        other => Wit::Io(other.to_string()),
    }
}

impl files_read::Host for Guest {
    fn list(
        &mut self,
        root: String,
        glob: String,
        cursor: Option<String>,
    ) -> wasmtime::Result<Result<Listing, Wit>> {
        let bytes = root.len() + glob.len() + cursor.as_ref().map_or(0, String::len);
        self.budget.enter(bytes)?;
        let played = self.taped("files-read.list", &(&root, &glob, &cursor), |guest| {
            let page = guest.list_page(&root, &glob, cursor.as_deref());
            guest.answer(page.map(|page| Listing { paths: page.paths, next: page.next }))
        })?;
        if let (true, Ok(listing)) = (played.from_tape, &played.answer) {
            self.reached.listing(Capability::FilesRead, format!("{root}:{glob}"));
            for path in &listing.paths {
                self.reached.place(Capability::FilesRead, format!("{root}:{path}"));
            }
        }
        Ok(played.answer)
    }

    fn stat(&mut self, root: String, path: String) -> wasmtime::Result<Result<Metadata, Wit>> {
        self.budget.enter(root.len() + path.len())?;
        let played = self.taped("files-read.stat", &(&root, &path), |guest| {
            guest.at_path(Capability::FilesRead, &root, &path, |guest, root| {
                let (kind, size) = guest.overlay.stat(root, &path, &mut guest.budget)?;
                let kind = match kind {
                    FileKind::File => Kind::File,
                    FileKind::Directory => Kind::Directory,
                };
                Ok(Metadata { kind, size })
            })
        })?;
        if played.from_tape {
            self.reached.place(Capability::FilesRead, format!("{root}:{path}"));
        }
        Ok(played.answer)
    }

    fn read(&mut self, root: String, path: String) -> wasmtime::Result<Result<Vec<u8>, Wit>> {
        self.budget.enter(root.len() + path.len())?;
        let played = self.taped("files-read.read", &(&root, &path), |guest| {
            guest.at_path(Capability::FilesRead, &root, &path, |guest, root| {
                let contents = guest.overlay.read(root, &path, &mut guest.budget)?;
                guest.budget.charge(contents.len())?;
                Ok(contents)
            })
        })?;
        if played.from_tape {
            // A write is staged against what the guest saw, which is what the tape has.
            self.overlay.play_back(&root, &path, &played.answer);
            self.reached.place(Capability::FilesRead, format!("{root}:{path}"));
        }
        Ok(played.answer)
    }
}

impl Inert<'_> {
    /// The answer of every file call that is not live.
    pub(super) fn refuse_file<T>(
        &mut self,
        capability: Capability,
        bytes: usize,
    ) -> wasmtime::Result<Result<T, Wit>> {
        let denied = self.refuse(capability, bytes)?;
        Ok(Err(Wit::Denied(self.0.denial_text(&denied))))
    }
}

impl files_read::Host for Inert<'_> {
    fn list(
        &mut self,
        root: String,
        glob: String,
        _: Option<String>,
    ) -> wasmtime::Result<Result<Listing, Wit>> {
        self.refuse_file(Capability::FilesRead, root.len() + glob.len())
    }

    fn stat(&mut self, root: String, path: String) -> wasmtime::Result<Result<Metadata, Wit>> {
        self.refuse_file(Capability::FilesRead, root.len() + path.len())
    }

    fn read(&mut self, root: String, path: String) -> wasmtime::Result<Result<Vec<u8>, Wit>> {
        self.refuse_file(Capability::FilesRead, root.len() + path.len())
    }
}
