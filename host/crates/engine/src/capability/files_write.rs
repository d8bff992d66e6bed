//! `files-write`: captures changes in the call's overlay. Nothing on disk changes.

use authority::{Authority, Denied};
use base::{Capability, Effect, RootName};

use super::Inert;
use super::files_read::Failure;
use crate::bindings::files_write::{self, FileError as Wit};
use crate::files::{FileError, Kind};
use crate::guest::Guest;

impl files_write::Host for Guest {
    fn write(&mut self, root: String, path: String, contents: Vec<u8>) -> wasmtime::Result<Result<(), Wit>> {
        self.budget.enter(root.len() + path.len() + contents.len())?;
        self.at_path(Capability::FilesWrite, &root, &path, |guest, root| {
            Ok(guest.overlay.write(root, &path, contents, &mut guest.budget)?)
        })
    }

    fn remove(&mut self, root: String, path: String) -> wasmtime::Result<Result<(), Wit>> {
        self.budget.enter(root.len() + path.len())?;
        self.at_path(Capability::FilesWrite, &root, &path, |guest, root| {
            Ok(guest.overlay.remove(root, &path, &mut guest.budget)?)
        })
    }

    fn create_dir(&mut self, root: String, path: String) -> wasmtime::Result<Result<(), Wit>> {
        self.budget.enter(root.len() + path.len())?;
        self.at_path(Capability::FilesWrite, &root, &path, |guest, root| {
            Ok(guest.overlay.create_dir(root, &path, &mut guest.budget)?)
        })
    }

    fn rename(&mut self, root: String, source: String, target: String) -> wasmtime::Result<Result<(), Wit>> {
        self.budget.enter(root.len() + source.len() + target.len())?;
        self.at_path(Capability::FilesWrite, &root, &source, |guest, root| {
            guest.admit(Capability::FilesWrite, root.as_str(), &target)?;
            let authority = &guest.authority;
            let may = |from: &str, to: &str, kind: Kind| may_move(authority, root, from, to, kind);
            Ok(guest.overlay.rename(root, &source, &target, &may, &mut guest.budget)?)
        })
    }

    fn remove_tree(&mut self, root: String, path: String) -> wasmtime::Result<Result<(), Wit>> {
        self.budget.enter(root.len() + path.len())?;
        self.at_path(Capability::FilesWrite, &root, &path, |guest, root| {
            if guest.authority.effect() < Effect::Destructive {
                let denied = Denied::above_effect(Capability::FilesWrite, "remove-tree", root, &path);
                return Err(Failure::Denied(denied));
            }
            let authority = &guest.authority;
            let may = |path: &str| permit(authority, Capability::FilesWrite, root, path);
            Ok(guest.overlay.remove_tree(root, &path, &may, &mut guest.budget)?)
        })
    }
}

fn permit(
    authority: &Authority,
    capability: Capability,
    root: &RootName,
    path: &str,
) -> Result<(), FileError> {
    authority.permits_path(capability, root, path).map_err(|denied| FileError::Denied(Box::new(denied)))
}

/// Whether a file or folder may be moved. Who could read the file at its new name could read it
/// where it was, so that a move opens nothing.
fn may_move(
    authority: &Authority,
    root: &RootName,
    from: &str,
    to: &str,
    kind: Kind,
) -> Result<(), FileError> {
    permit(authority, Capability::FilesWrite, root, from)?;
    permit(authority, Capability::FilesWrite, root, to)?;
    if kind == Kind::File && authority.permits_path(Capability::FilesRead, root, to).is_ok() {
        permit(authority, Capability::FilesRead, root, from)?;
    }
    Ok(())
}

impl files_write::Host for Inert<'_> {
    fn write(&mut self, root: String, path: String, contents: Vec<u8>) -> wasmtime::Result<Result<(), Wit>> {
        self.refuse_file(Capability::FilesWrite, root.len() + path.len() + contents.len())
    }

    fn remove(&mut self, root: String, path: String) -> wasmtime::Result<Result<(), Wit>> {
        self.refuse_file(Capability::FilesWrite, root.len() + path.len())
    }

    fn create_dir(&mut self, root: String, path: String) -> wasmtime::Result<Result<(), Wit>> {
        self.refuse_file(Capability::FilesWrite, root.len() + path.len())
    }

    fn rename(&mut self, root: String, source: String, target: String) -> wasmtime::Result<Result<(), Wit>> {
        self.refuse_file(Capability::FilesWrite, root.len() + source.len() + target.len())
    }

    fn remove_tree(&mut self, root: String, path: String) -> wasmtime::Result<Result<(), Wit>> {
        self.refuse_file(Capability::FilesWrite, root.len() + path.len())
    }
}
