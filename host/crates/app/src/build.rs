//! From a pack's sources to its pack folder: WIT, component, and the files beside them.

#![expect(clippy::disallowed_methods, reason = "this module owns the pack folder that it writes")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use base::Code;
use pack::PackFiles;

use crate::home::read_file;
use crate::{Error, compile};

/// Where the pack folder is written, below the sources.
pub(crate) const DIST: &str = "dist";
/// The folder of planfiles, in the sources and in the pack.
const PLANS: &str = "plans";
/// Largest file that is copied or compiled into a pack, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Where a pack's WebAssembly comes from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// From the crate in the folder, compiled by cargo with these arguments.
    Crate {
        /// Arguments for cargo, beside its own.
        cargo_args: &'a [String],
    },
    /// From a component, or a module with WIT bindings, that other tools made.
    Component(&'a Path),
}

/// Writes `folder/dist`, replacing an earlier one and its envelope. Gives the pack folder's path.
pub(crate) fn build(folder: &Path, source: Source<'_>) -> Result<PathBuf, Error> {
    let files = files(folder, source)?;
    let dist = folder.join(DIST);
    write_folder(&dist, &files)?;
    Ok(dist)
}

/// The pack's files, of which none is written.
pub(crate) fn files(folder: &Path, source: Source<'_>) -> Result<PackFiles, Error> {
    require(folder, pack::MANIFEST, "capstan pack new --help")?;
    if let Source::Crate { .. } = source {
        require(folder, "Cargo.toml", "capstan pack build --help")?;
    }
    let wit = pack::encode_wit(&folder.join("wit"))?;
    let module = match source {
        Source::Crate { cargo_args } => compile::module(folder, cargo_args)?,
        Source::Component(component) => component.to_owned(),
    };
    let module = read_file(&module, FILE_BYTES_MAX)?;
    let mut files = BTreeMap::from([
        (pack::MANIFEST.to_owned(), read_file(&folder.join(pack::MANIFEST), FILE_BYTES_MAX)?),
        (pack::COMPONENT.to_owned(), pack::componentize(&module)?),
        (pack::WIT.to_owned(), wit),
    ]);
    let readme = folder.join(pack::README);
    if readme.is_file() {
        files.insert(pack::README.to_owned(), read_file(&readme, FILE_BYTES_MAX)?);
    }
    files.extend(plans(folder)?);
    Ok(PackFiles::from_map(files)?)
}

fn require(folder: &Path, name: &str, hint: &str) -> Result<(), Error> {
    if folder.join(name).is_file() {
        return Ok(());
    }
    let message = format!("`{}` has no `{name}`, so it is no pack's source folder", folder.display());
    Err(Error::usage(message, &[hint]))
}

/// The planfiles beside the sources, by their names in the pack.
fn plans(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let plans = folder.join(PLANS);
    let mut found = BTreeMap::new();
    if !plans.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(&plans).map_err(Error::io("list", &plans))? {
        let entry = entry.map_err(Error::io("list", &plans))?;
        let name = entry.file_name();
        let name =
            name.to_str().ok_or_else(|| Error::refused(Code::FileName, "a plan's file name is not UTF-8"))?;
        found.insert(format!("{PLANS}/{name}"), read_file(&entry.path(), FILE_BYTES_MAX)?);
    }
    Ok(found)
}

/// Writes the closed file set, replacing an earlier one.
fn write_folder(dist: &Path, files: &PackFiles) -> Result<(), Error> {
    if dist.exists() {
        fs::remove_dir_all(dist).map_err(Error::io("remove", dist))?;
    }
    fs::create_dir_all(dist).map_err(Error::io("create", dist))?;
    if files.iter().any(|(name, _)| name.starts_with(PLANS)) {
        fs::create_dir(dist.join(PLANS)).map_err(Error::io("create", dist))?;
    }
    for (name, bytes) in files.iter() {
        let path = dist.join(name);
        fs::write(&path, bytes).map_err(Error::io("write", &path))?;
    }
    Ok(())
}

/// Writes the envelope into a pack folder: the last thing that signing does.
pub(crate) fn write_envelope(folder: &Path, envelope: &[u8]) -> Result<(), Error> {
    let path = folder.join(pack::ENVELOPE);
    fs::write(&path, envelope).map_err(Error::io("write", &path))
}

/// Whether the user named a folder.
pub(crate) fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

/// Whether the folder is a pack folder, and not the sources of one.
pub(crate) fn is_pack_folder(folder: &Path) -> bool {
    folder.join(pack::COMPONENT).is_file()
}

/// The pack folder of what the user named: the folder itself, or the `dist/` that a build wrote.
pub(crate) fn pack_folder(folder: &Path) -> Result<PathBuf, Error> {
    if is_pack_folder(folder) {
        return Ok(folder.to_owned());
    }
    let dist = folder.join(DIST);
    if dist.is_dir() {
        return Ok(dist);
    }
    if folder.join(pack::MANIFEST).is_file() && folder.join("wit").is_dir() {
        let is_crate = folder.join("Cargo.toml").is_file();
        let folder = folder.display();
        let component = if is_crate { "" } else { " --component <file>" };
        let build = format!("capstan pack build {folder}{component}");
        return Err(Error::usage(
            format!("`{folder}` holds the sources of a pack that is not built"),
            &[&build],
        ));
    }
    Ok(folder.to_owned())
}
