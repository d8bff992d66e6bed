//! Where things are: the clone, the target folder, the packs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;

/// The cargo workspaces of the clone, each with a lock file of its own.
pub(crate) const WORKSPACES: [&str; 4] = [".", "sdk", "packs", "tests/guests"];

/// The paths that the tasks work on.
pub(crate) struct Tree {
    root: PathBuf,
    target: PathBuf,
}

impl Tree {
    /// The clone that this program was built from, with `CARGO_TARGET_DIR` or `target`.
    pub(crate) fn of_this_clone() -> Result<Self, Failure> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .ok_or_else(|| Failure::new("`host/xtask` is not two folders below the root of the clone"))?;
        // A relative target folder is relative to where cargo was started; children are started
        // in the root, so it is made absolute once, here.
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => {
                std::path::absolute(folder).map_err(Failure::cannot("resolve `CARGO_TARGET_DIR`"))?
            }
            None => root.join("target"),
        };
        Ok(Self { root: root.to_path_buf(), target })
    }

    /// The folder that holds everything built.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Where guests are compiled: apart from the host's output, whose lock a running `cargo` holds.
    pub(crate) fn guest_target(&self) -> PathBuf {
        self.target.join("guests")
    }

    /// What `xtask` itself keeps: a home with the publisher's key. Never tracked.
    pub(crate) fn kept(&self) -> Result<PathBuf, Failure> {
        let folder = self.target.join("xtask");
        fs::create_dir_all(&folder).map_err(Failure::cannot(format!("create `{}`", folder.display())))?;
        Ok(folder)
    }

    /// A path inside the clone.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The folders of the reference packs, sorted: those that hold a `pack.toml`.
    pub(crate) fn packs(&self) -> Result<Vec<PathBuf>, Failure> {
        let folder = self.path("packs");
        let mut packs = Vec::new();
        for entry in fs::read_dir(&folder).map_err(Failure::cannot("list `packs`"))? {
            let path = entry.map_err(Failure::cannot("list `packs`"))?.path();
            if path.join("pack.toml").is_file() {
                packs.push(path);
            }
        }
        packs.sort();
        if packs.is_empty() {
            return Err(Failure::new("`packs` holds no folder with a `pack.toml`"));
        }
        Ok(packs)
    }

    /// A command that runs in the root of the clone.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        // What `cargo run` says of this tool is not said of what it builds: a build script that reads
        // it would run anew, and much with it, whenever cargo is called with and without this tool.
        for (name, _) in std::env::vars_os() {
            let is_ours =
                |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|our| name.starts_with(our));
            if name.to_str().is_some_and(is_ours) {
                command.env_remove(name);
            }
        }
        command
    }

    /// `cargo <subcommand>` for the workspace at `workspace`, relative to the root.
    pub(crate) fn cargo(&self, subcommand: &str, workspace: &str) -> Command {
        let mut command = self.command("cargo");
        command.arg(subcommand);
        if workspace != "." {
            command.arg("--manifest-path").arg(self.path(workspace).join("Cargo.toml"));
        }
        command
    }
}
