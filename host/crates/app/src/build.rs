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

/// Compiles `folder` and writes `folder/dist`, replacing an earlier one and its envelope. Gives the
/// pack folder's path.
pub(crate) fn build(folder: &Path, guest_cargo_args: &[String]) -> Result<PathBuf, Error> {
    let files = compiled(folder, guest_cargo_args)?;
    let dist = folder.join(DIST);
    write_folder(&dist, &files)?;
    Ok(dist)
}

/// Compiles `folder` and gives the pack's files without writing any of them.
pub(crate) fn compiled(folder: &Path, guest_cargo_args: &[String]) -> Result<PackFiles, Error> {
    for name in [pack::MANIFEST, "Cargo.toml"] {
        if !folder.join(name).is_file() {
            let message = format!("`{}` has no `{name}`, so it is no pack's source folder", folder.display());
            return Err(Error::usage(message, &["capstan pack new --help"]));
        }
    }
    let wit = pack::encode_wit(&folder.join("wit"))?;
    let module = read_file(&compile::module(folder, guest_cargo_args)?, FILE_BYTES_MAX)?;
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
    if folder.join(pack::MANIFEST).is_file() && folder.join("Cargo.toml").is_file() {
        let folder = folder.display();
        let build = format!("capstan pack build {folder}");
        return Err(Error::usage(
            format!("`{folder}` holds the sources of a pack that is not built"),
            &[&build],
        ));
    }
    Ok(folder.to_owned())
}
