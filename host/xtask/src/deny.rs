//! The rules of `.deny.toml`, checked by `cargo-deny`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::phase;
use crate::tree::{Tree, WORKSPACES};

/// Pinned: a new version may bring new findings, and those belong into a change of their own.
const VERSION: &str = "0.20.2";

/// Checks licences, bans and sources of every workspace, and known vulnerabilities where the
/// database can be reached.
pub(crate) fn check(tree: &Tree) -> Result<(), Failure> {
    let program = installed(tree)?;
    for workspace in WORKSPACES {
        let mut command = deny(tree, &program, workspace);
        command.args(["check", "bans", "licenses", "sources"]);
        phase::run(&format!("check dependencies of `{workspace}`"), &mut command)?;
    }
    let fetched =
        phase::run("fetch the advisory database", deny(tree, &program, ".").args(["fetch", "db"])).is_ok();
    if !fetched {
        phase::say(
            "xtask: WARNING: the advisory database cannot be reached: known vulnerabilities were NOT checked",
        );
        return Ok(());
    }
    for workspace in WORKSPACES {
        let mut command = deny(tree, &program, workspace);
        command.args(["check", "--disable-fetch", "advisories"]);
        phase::run(&format!("check advisories on `{workspace}`"), &mut command)?;
    }
    Ok(())
}

fn deny(tree: &Tree, program: &Path, workspace: &str) -> Command {
    let mut command = tree.command(program);
    command.arg("--manifest-path").arg(tree.path(workspace).join("Cargo.toml"));
    // The workspaces share one file: that an entry is not needed in one of them is no news.
    command.args(["--log-level", "error"]).arg("--config").arg(tree.path(".deny.toml"));
    command
}

/// The pinned version: of the person's own, if it is that one, else built once and kept.
fn installed(tree: &Tree) -> Result<PathBuf, Failure> {
    let tools = tree.target().join("tools");
    let kept = tools.join("bin").join("cargo-deny");
    for program in [PathBuf::from("cargo-deny"), kept.clone()] {
        if is_pinned_version(&program) {
            return Ok(program);
        }
    }
    let mut install = tree.command("cargo");
    install.args(["install", "--locked", "--version", VERSION, "--root"]).arg(&tools).arg("cargo-deny");
    // Apart from the project's own output, which it would fill with another lock file's versions.
    install.env("CARGO_TARGET_DIR", tools.join("build"));
    phase::run("install cargo-deny, once (minutes)", &mut install)?;
    Ok(kept)
}

fn is_pinned_version(program: &Path) -> bool {
    // Asking for the version of a program that is not there is not an error worth showing.
    phase::succeeds(Command::new(program).arg("--version"))
        && phase::output(Command::new(program).arg("--version"))
            .is_ok_and(|text| text.split_whitespace().any(|word| word == VERSION))
}
