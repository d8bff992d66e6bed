//! `cargo xtask codemap`: makes the committed map of the sources with the plan of the quickstart.

use std::fs;
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::guest_compiler::Choice;
use crate::tree::Tree;
use crate::{packs, phase};

/// The map, which the tests hold against the sources.
const MAP: &str = "host/CODEMAP.md";
/// The plan that makes it.
const PLAN: &str = "packs/text/plans/codemap.plan.md";
/// The sources: what is built lies elsewhere.
const GLOB: &str = "glob={host,packs,sdk,tests}/**/*.rs";

/// Runs the plan on this clone and approves what it stages.
pub(crate) fn run(tree: &Tree) -> Result<(), Failure> {
    let built = packs::build(tree, Choice::FirstFound)?;
    let home = tree.kept()?.join("codemap-home");
    if home.exists() {
        fs::remove_dir_all(&home).map_err(Failure::cannot("clear the last home"))?;
    }
    let capstan = |words: &[&str]| {
        let mut command: Command = tree.command(built.capstan.program());
        command.arg("--home").arg(&home).args(words).stdin(Stdio::null()).stdout(Stdio::null());
        command
    };
    let path = |name: &str| {
        built.pack(name)?.to_str().map(str::to_owned).ok_or_else(|| Failure::new("a path is not UTF-8"))
    };
    let (files, text) = (path("files")?, path("text")?);
    let grant = format!("files-write=workspace:{MAP}");
    let trust = ["--trust", built.fingerprint.as_str()];
    phase::run("make a home", &mut capstan(&["init"]))?;
    let install =
        ["pack", "install", files.as_str(), "--grant", "files-read=workspace:**", "--grant", &grant];
    phase::run("install `files`", &mut capstan(&[&install[..], &trust[..]].concat()))?;
    phase::run(
        "install `text`",
        &mut capstan(&[&["pack", "install", text.as_str()][..], &trust[..]].concat()),
    )?;
    let target = format!("target={MAP}");
    let mut plan = capstan(&["plan", "run", PLAN, "--input", GLOB, "--input", &target]);
    match plan.status().map_err(Failure::cannot("start capstan"))?.code() {
        Some(0) => phase::say(&format!("xtask: `{MAP}` was up to date")),
        Some(3) => phase::run(&format!("write `{MAP}`"), &mut capstan(&["approve", "last"]))?,
        other => return Err(Failure::new(format!("the plan ended with {other:?}"))),
    }
    Ok(())
}
