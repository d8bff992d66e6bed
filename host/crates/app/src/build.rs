//! Compiling a pack's sources: calls cargo, then makes a component and the pack folder.
//!
//! The compiler runs the author's build scripts and macros with the author's own rights: this is
//! for one's own sources, never for a pack that came from elsewhere.

#![expect(
    clippy::disallowed_methods,
    reason = "this module owns the compiler's process and the pack folder it writes"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base::Code;
use serde_json::Value as Json;

use crate::Error;
use crate::home::read_file;

/// What guests are compiled for: no WASI, so the imports are what the code asks for.
const TARGET: &str = "wasm32-unknown-unknown";
/// Where the pack folder is written, below the sources.
pub(crate) const DIST: &str = "dist";
/// Largest file that is copied or compiled into a pack, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Compiles `folder` and writes `folder/dist`. Gives the pack folder's path.
pub(crate) fn build(folder: &Path, guest_cargo_args: &[String]) -> Result<PathBuf, Error> {
    for name in [pack::MANIFEST, "Cargo.toml"] {
        if !folder.join(name).is_file() {
            let message = format!("`{}` has no `{name}`, so it is no pack's source folder", folder.display());
            return Err(Error::usage(message, &["capstan pack new --help"]));
        }
    }
    if guest_cargo_args.is_empty() {
        require_target()?;
    }
    let module = read_file(&compile(folder, guest_cargo_args)?, FILE_BYTES_MAX)?;
    let component = pack::componentize(&module)?;
    let wit = pack::encode_wit(&folder.join("wit"))?;
    write_folder(folder, &component, &wit)
}

/// Runs cargo and gives the module that it names as its result.
fn compile(folder: &Path, guest_cargo_args: &[String]) -> Result<PathBuf, Error> {
    let output = Command::new("cargo")
        .args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"])
        .args(guest_cargo_args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(Error::io("run cargo in", folder))?;
    if !output.status.success() {
        return Err(Error::refused(
            Code::ComponentInvalid,
            format!("the sources in `{}` do not compile", folder.display()),
        ));
    }
    let manifest = fs::canonicalize(folder.join("Cargo.toml")).map_err(Error::io("open", folder))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .filter_map(|line| serde_json::from_str::<Json>(line).ok())
        .filter(|message| message.get("reason").and_then(Json::as_str) == Some("compiler-artifact"))
        .filter(|message| {
            message.get("manifest_path").and_then(Json::as_str).map(Path::new) == Some(&manifest)
        })
        .filter_map(|message| {
            let files = message.get("filenames")?.as_array()?.clone();
            files
                .iter()
                .filter_map(Json::as_str)
                .map(PathBuf::from)
                .find(|path| path.extension().is_some_and(|ext| ext == "wasm"))
        })
        .next_back()
        .ok_or_else(|| {
            Error::usage(
                "cargo made no wasm module",
                &["set `crate-type = [\"cdylib\"]` under `[lib]` in Cargo.toml"],
            )
        })
}

/// The target's standard library must be there; rustup can fetch it.
fn require_target() -> Result<(), Error> {
    if has_target() {
        return Ok(());
    }
    let added = Command::new("rustup").args(["target", "add", TARGET]).stdin(Stdio::null()).output();
    if added.is_ok_and(|output| output.status.success()) && has_target() {
        return Ok(());
    }
    Err(Error::usage(
        format!("the Rust toolchain in use cannot compile for {TARGET}"),
        &["rustup target add wasm32-unknown-unknown"],
    ))
}

fn has_target() -> bool {
    let output = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    output.is_ok_and(|output| {
        output.status.success() && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
    })
}

/// Writes the closed file set, replacing an earlier one.
fn write_folder(folder: &Path, component: &[u8], wit: &[u8]) -> Result<PathBuf, Error> {
    let dist = folder.join(DIST);
    if dist.exists() {
        fs::remove_dir_all(&dist).map_err(Error::io("remove", &dist))?;
    }
    fs::create_dir_all(&dist).map_err(Error::io("create", &dist))?;
    let put = |name: &str, bytes: &[u8]| {
        let path = dist.join(name);
        fs::write(&path, bytes).map_err(Error::io("write", &path))
    };
    put(pack::MANIFEST, &read_file(&folder.join(pack::MANIFEST), FILE_BYTES_MAX)?)?;
    put(pack::COMPONENT, component)?;
    put(pack::WIT, wit)?;
    if folder.join(pack::README).is_file() {
        put(pack::README, &read_file(&folder.join(pack::README), FILE_BYTES_MAX)?)?;
    }
    let plans = folder.join("plans");
    if plans.is_dir() {
        fs::create_dir_all(dist.join("plans")).map_err(Error::io("create", &dist))?;
        for entry in fs::read_dir(&plans).map_err(Error::io("list", &plans))? {
            let entry = entry.map_err(Error::io("list", &plans))?;
            let name = entry.file_name();
            let name = name
                .to_str()
                .ok_or_else(|| Error::refused(Code::FileName, "a plan's file name is not UTF-8"))?;
            put(&format!("plans/{name}"), &read_file(&entry.path(), FILE_BYTES_MAX)?)?;
        }
    }
    Ok(dist)
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
pub(crate) fn pack_folder(folder: &Path) -> PathBuf {
    let dist = folder.join(DIST);
    if !folder.join(pack::COMPONENT).exists() && dist.is_dir() { dist } else { folder.to_owned() }
}
