//! `files-write`: captures writes and removals in the call's overlay. Nothing on disk changes.

use base::Capability;

use super::Inert;
use crate::bindings::files_write::{self, FileError as Wit};
use crate::guest::Guest;

impl files_write::Host for Guest {
    fn write(&mut self, root: String, path: String, contents: Vec<u8>) -> wasmtime::Result<Result<(), Wit>> {
        self.budget.enter(root.len() + path.len() + contents.len())?;
        self.at_path(Capability::FilesWrite, &root, &path, |guest, root| {
            Ok(guest.overlay.write(root.clone(), path.clone(), contents, &guest.budget)?)
        })
    }

    fn remove(&mut self, root: String, path: String) -> wasmtime::Result<Result<(), Wit>> {
        self.budget.enter(root.len() + path.len())?;
        self.at_path(Capability::FilesWrite, &root, &path, |guest, root| {
            Ok(guest.overlay.remove(root.clone(), path.clone(), &guest.budget)?)
        })
    }
}

impl files_write::Host for Inert<'_> {
    fn write(&mut self, root: String, path: String, contents: Vec<u8>) -> wasmtime::Result<Result<(), Wit>> {
        self.refuse_file(Capability::FilesWrite, root.len() + path.len() + contents.len())
    }

    fn remove(&mut self, root: String, path: String) -> wasmtime::Result<Result<(), Wit>> {
        self.refuse_file(Capability::FilesWrite, root.len() + path.len())
    }
}
