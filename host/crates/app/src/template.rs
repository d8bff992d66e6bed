//! `pack new`: the sources of a pack that builds, with the SDK beside them.
//!
//! The SDK travels inside the program, so that what an author builds against is what this host
//! links, and nothing of Capstan has to be fetched.

#![expect(clippy::disallowed_methods, reason = "this module writes the new project's files")]

use std::fs;
use std::path::Path;

use base::PackId;
use serde::Serialize;

use crate::Error;
use crate::app::App;

/// A made project.
#[derive(Debug, Serialize)]
pub struct NewPackView {
    /// The pack.
    pub pack: PackId,
    /// Its folder.
    pub folder: String,
    /// The files that were written.
    pub files: Vec<String>,
    /// An operation to call first.
    pub operation: String,
}

macro_rules! embed {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../sdk/", $path))),)*]
    };
}

/// The project's own files: names are replaced in them.
const TEMPLATE: &[(&str, &str)] = embed![
    "template/.gitignore",
    "template/Cargo.toml",
    "template/README.md",
    "template/pack.toml",
    "template/src/lib.rs",
    "template/wit/world.wit",
    "template/wit/deps/capstan-host/artifacts.wit",
    "template/wit/deps/capstan-host/clock.wit",
    "template/wit/deps/capstan-host/exec.wit",
    "template/wit/deps/capstan-host/files-read.wit",
    "template/wit/deps/capstan-host/files-write.wit",
    "template/wit/deps/capstan-host/http-read.wit",
    "template/wit/deps/capstan-host/http-send.wit",
    "template/wit/deps/capstan-host/log.wit",
    "template/wit/deps/capstan-host/model.wit",
    "template/wit/deps/capstan-host/random.wit",
    "template/wit/deps/capstan-host/types.wit",
    "template/wit/deps/capstan-host/world.wit",
    "template/wit/deps/capstan-pack/health.wit",
];

/// The SDK, copied as it is into `sdk/`.
const SDK: &[(&str, &str)] = embed![
    "Cargo.toml",
    "README.md",
    "src/artifacts.rs",
    "src/clock.rs",
    "src/exec.rs",
    "src/files.rs",
    "src/http.rs",
    "src/lib.rs",
    "src/log.rs",
    "src/model.rs",
    "src/random.rs",
    "src/rt.rs",
    "wit/host/artifacts.wit",
    "wit/host/clock.wit",
    "wit/host/exec.wit",
    "wit/host/files-read.wit",
    "wit/host/files-write.wit",
    "wit/host/http-read.wit",
    "wit/host/http-send.wit",
    "wit/host/log.wit",
    "wit/host/model.wit",
    "wit/host/random.wit",
    "wit/host/types.wit",
    "wit/host/world.wit",
    "wit/pack/health.wit",
];

/// Words that WIT, Rust or cargo keep for themselves, so that a pack of that name would not build.
const RESERVED: [&str; 40] = [
    "as",
    "async",
    "await",
    "bool",
    "borrow",
    "break",
    "char",
    "const",
    "constructor",
    "crate",
    "enum",
    "export",
    "f32",
    "f64",
    "flags",
    "fn",
    "for",
    "func",
    "future",
    "if",
    "impl",
    "import",
    "include",
    "interface",
    "list",
    "option",
    "own",
    "package",
    "record",
    "resource",
    "result",
    "self",
    "static",
    "stream",
    "string",
    "test",
    "tuple",
    "type",
    "use",
    "world",
];

impl App {
    /// Makes a new pack in Rust, in a folder that is not there yet.
    ///
    /// # Errors
    /// If the name is none, or reserved, or the folder exists.
    pub fn pack_new(&self, pack: &str, folder: Option<&Path>, current: &Path) -> Result<NewPackView, Error> {
        let id: PackId = pack.parse().map_err(|_| {
            Error::usage(format!("`{pack}` is no pack name"), &["capstan pack new acme:notes"])
        })?;
        let name = id.name.as_str();
        let is_lower = pack.bytes().all(|b| !b.is_ascii_uppercase());
        if RESERVED.contains(&name) || RESERVED.contains(&id.publisher.as_str()) || !is_lower {
            let message =
                format!("`{pack}` cannot be the name of a Rust crate and a WIT package: choose another");
            return Err(Error::usage(message, &["capstan pack new acme:notes"]));
        }
        let shown = folder.unwrap_or_else(|| Path::new(name));
        let folder = current.join(shown);
        if folder.exists() {
            return Err(Error::usage(
                format!("`{}` is there already", shown.display()),
                &["name another with `--folder`"],
            ));
        }
        let mut files = Vec::new();
        for (path, text) in TEMPLATE {
            let path = path.strip_prefix("template/").unwrap_or(path);
            write(&folder, path, &fill(text, &id))?;
            files.push(path.to_owned());
        }
        for (path, text) in SDK {
            let path = format!("sdk/{path}");
            write(&folder, &path, text)?;
            files.push(path);
        }
        Ok(NewPackView {
            folder: shown.display().to_string(),
            files,
            operation: format!("{name}.draft"),
            pack: id,
        })
    }
}

fn fill(text: &str, id: &PackId) -> String {
    let snake = |label: &base::Label| label.as_str().replace('-', "_");
    text.replace("{{publisher_snake}}", &snake(&id.publisher))
        .replace("{{name_snake}}", &snake(&id.name))
        .replace("{{publisher}}", id.publisher.as_str())
        .replace("{{name}}", id.name.as_str())
}

fn write(folder: &Path, path: &str, text: &str) -> Result<(), Error> {
    let path = folder.join(path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    }
    fs::write(&path, text).map_err(Error::io("write", &path))
}
