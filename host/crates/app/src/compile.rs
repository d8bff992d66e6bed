//! Compiling a pack's sources: calls cargo.
//!
//! The compiler runs the author's build scripts and macros with the author's own rights: this is
//! for one's own sources, never for a pack that came from elsewhere.

#![expect(clippy::disallowed_methods, reason = "this module owns the compiler's process")]

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use base::{Code, Digest};
use serde_json::Value as Json;

use crate::Error;

/// What guests are compiled for: no WASI, so the imports are what the code asks for.
const TARGET: &str = "wasm32-unknown-unknown";

/// Compiles the sources in `folder` and gives the path of the module that came of it.
pub(crate) fn module(folder: &Path, guest_cargo_args: &[String]) -> Result<PathBuf, Error> {
    if guest_cargo_args.is_empty() {
        require_target()?;
    }
    compile(folder, guest_cargo_args)
}

/// Runs cargo and gives the module that it names as its result.
fn compile(folder: &Path, guest_cargo_args: &[String]) -> Result<PathBuf, Error> {
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"]);
    keep_apart(&mut build, folder)?;
    let text = output(build.args(guest_cargo_args), folder)?;
    let manifest = fs::canonicalize(folder.join("Cargo.toml")).map_err(Error::io("open", folder))?;
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

/// Gives the workspace folders of its own to compile in, where it would share them with others.
///
/// A module's file name has no hash. Of two crates of one name in one folder, cargo would take the
/// module of whichever was compiled last for that of the other, and a pack would get a stranger's
/// code. The packs of one workspace still share what they depend on.
fn keep_apart(build: &mut Command, folder: &Path) -> Result<(), Error> {
    let mut metadata = Command::new("cargo");
    metadata.args(["metadata", "--no-deps", "--format-version", "1"]);
    let json: Json = serde_json::from_str(&output(&mut metadata, folder)?).unwrap_or_default();
    let path = |key: &str| json.get(key).and_then(Json::as_str).map(PathBuf::from);
    let (Some(root), Some(target)) = (path("workspace_root"), path("target_directory")) else {
        return Err(Error::Bug("cargo does not say where it would compile".to_owned()));
    };
    if let Some(own) = apart(&root, &target) {
        build.arg("--target-dir").arg(own);
    }
    // What is compiled on the way is elsewhere only if the author set it so.
    if let Some(own) =
        path("build_directory").filter(|path| *path != target).and_then(|path| apart(&root, &path))
    {
        build.env("CARGO_BUILD_BUILD_DIR", own);
    }
    Ok(())
}

/// The folder below `target` that is the workspace's alone; none if `target` is so already.
fn apart(root: &Path, target: &Path) -> Option<PathBuf> {
    // Through `..` a path that begins like the root may lead out of it.
    let leads_out = target.components().any(|part| part == Component::ParentDir);
    if target.starts_with(root) && !leads_out {
        return None;
    }
    let root = Digest::of(root.as_os_str().as_encoded_bytes());
    Some(target.join("capstan").join(root.hex()))
}

/// Runs cargo in `folder` and gives its standard output. What it has to say goes to the author.
fn output(cargo: &mut Command, folder: &Path) -> Result<String, Error> {
    let output = cargo
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(Error::io("run cargo in", folder))?;
    if !output.status.success() {
        let message = format!("the sources in `{}` do not compile", folder.display());
        return Err(Error::refused(Code::ComponentInvalid, message));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_has_a_target_folder_of_its_own() {
        let apart = |root: &str, target: &str| super::apart(Path::new(root), Path::new(target));
        assert_eq!(apart("/a/pack", "/a/pack/target"), None);
        assert_eq!(apart("/a/pack", "/a/pack/deep/target"), None);
        for shared in ["/a/target", "/a/pack-target", "/a/pack/../target"] {
            let (one, other) = (apart("/a/pack", shared).unwrap(), apart("/b/pack", shared).unwrap());
            assert!(one.starts_with(shared) && other.starts_with(shared), "{one:?}, {other:?}");
            assert_ne!(one, other);
            assert_eq!(apart("/a/pack", shared), Some(one));
        }
    }
}
