//! The polyglot guest: one WIT world, implemented in several languages by their own tools.
//!
//! Each implementation becomes a signed pack below the target folder, where the tests look for it.
//! Its tools are installed there too. Where they cannot be, a file says why instead, and the tests
//! of that language are counted as skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::capstan::Capstan;
use crate::failure::Failure;
use crate::phase;
use crate::tree::Tree;

/// The guest's sources: the manifest, the WIT, and a folder for each language.
const GUEST: &str = "tests/guests/polyglot";
const WORLD: &str = "polyglot";
/// In a language's folder, instead of a pack: why there is none.
const MISSING: &str = "missing.txt";

const WASIP2: &str = "wasm32-wasip2";
const COMPONENTIZE_PY: &str = "componentize-py==0.25.1";
const COMPONENTIZE_JS: &str = "@bytecodealliance/componentize-js@0.23.0";
/// What its components can do that Capstan's baseline has not: ask for URLs, and serve them.
const JS_DISABLED: [&str; 2] = ["http", "fetch-event"];

/// Builds the guest of each language whose tools are here, or can be installed.
///
/// # Errors
/// If a guest does not build with its tools, or does not become a pack.
pub(crate) fn build(tree: &Tree, capstan: &Capstan) -> Result<(), Failure> {
    let languages = tree.target().join("languages");
    let make: [(&str, Make); 3] = [("rust", rust), ("python", python), ("javascript", javascript)];
    for (language, make) in make {
        let project = languages.join(language);
        stage(tree, &project)?;
        match make(tree, &languages.join("tools").join(language), &project) {
            Ok(component) => {
                capstan.build_component_pack(&project, &component)?;
                capstan.sign_pack(&project)?;
            }
            Err(Missing::Tools(why)) => {
                phase::say(&format!("xtask: SKIPPED: the guest in {language} is not built: {why}"));
                write(&project.join(MISSING), &format!("{why}\n"))?;
            }
            Err(Missing::Component(failure)) => return Err(failure),
        }
    }
    Ok(())
}

/// Makes the component of the staged project with tools that are kept in a folder, and gives its
/// path.
type Make = fn(&Tree, tools: &Path, project: &Path) -> Result<PathBuf, Missing>;

/// Why there is no component.
enum Missing {
    /// This machine has no tools for it, and gets none.
    Tools(Failure),
    /// The tools failed.
    Component(Failure),
}

impl From<Failure> for Missing {
    fn from(failure: Failure) -> Self {
        Self::Component(failure)
    }
}

/// Writes what is the same in all languages: the manifest, and the WIT with what it depends on.
fn stage(tree: &Tree, project: &Path) -> Result<(), Failure> {
    if project.exists() {
        fs::remove_dir_all(project).map_err(Failure::cannot(format!("remove `{}`", project.display())))?;
    }
    let guest = tree.path(GUEST);
    copy(&guest.join("pack.toml"), &project.join("pack.toml"))?;
    copy_all(&guest.join("wit"), &project.join("wit"))?;
    copy_all(&tree.path("wit/host"), &project.join("wit/deps/capstan-host"))
}

/// A `wasm32-wasip2` library: its compiler makes a component of it by itself.
fn rust(tree: &Tree, _: &Path, _: &Path) -> Result<PathBuf, Missing> {
    if !has_wasip2() {
        let add = phase::run("rustup target add", Command::new("rustup").args(["target", "add", WASIP2]));
        add.map_err(Missing::Tools)?;
    }
    let target = tree.guest_target();
    let mut build = tree.cargo("build", &format!("{GUEST}/rust"));
    build.args(["--release", "--locked", "--target", WASIP2, "--target-dir"]).arg(&target);
    phase::run("build the guest in rust", &mut build)?;
    Ok(target.join(WASIP2).join("release/guest_polyglot.wasm"))
}

fn has_wasip2() -> bool {
    let folder = phase::output(Command::new("rustc").args(["--print", "target-libdir", "--target", WASIP2]));
    folder.is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

/// The interpreter and the sources in one component, which imports all of WASI.
fn python(tree: &Tree, tools: &Path, project: &Path) -> Result<PathBuf, Missing> {
    let bin = tools.join("bin");
    if !is_installed(tools, COMPONENTIZE_PY) {
        let install = || {
            phase::run("make a Python environment", Command::new("python3").args(["-m", "venv"]).arg(tools))?;
            let mut pip = Command::new(bin.join("python"));
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", COMPONENTIZE_PY]);
            phase::run(&format!("install {COMPONENTIZE_PY}"), &mut pip)?;
            installed(tools, COMPONENTIZE_PY)
        };
        install().map_err(Missing::Tools)?;
    }
    let component = project.join("python.wasm");
    let mut make = tree.command(bin.join("componentize-py"));
    make.arg("-d").arg(project.join("wit")).args(["-w", WORLD, "componentize", "app", "-p"]);
    make.arg(tree.path(GUEST).join("python")).arg("-o").arg(&component);
    phase::run("build the guest in python", &mut make)?;
    Ok(component)
}

/// The engine and the sources in one component, which imports most of WASI.
fn javascript(tree: &Tree, tools: &Path, project: &Path) -> Result<PathBuf, Missing> {
    if !is_installed(tools, COMPONENTIZE_JS) {
        let install = || {
            write(&tools.join("package.json"), "{ \"private\": true }\n")?;
            let mut npm = Command::new("npm");
            npm.args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"]);
            phase::run(&format!("install {COMPONENTIZE_JS}"), npm.arg(tools).arg(COMPONENTIZE_JS))?;
            installed(tools, COMPONENTIZE_JS)
        };
        install().map_err(Missing::Tools)?;
    }
    // A module finds the packages that are installed where it lies.
    let (guest, script) = (tree.path(GUEST).join("javascript"), tools.join("componentize.mjs"));
    copy(&guest.join("componentize.mjs"), &script)?;
    let component = project.join("javascript.wasm");
    let mut make = tree.command("node");
    make.arg(&script).arg(guest.join("app.js")).arg(project.join("wit")).arg(WORLD).arg(&component);
    phase::run("build the guest in javascript", make.args(JS_DISABLED))?;
    Ok(component)
}

/// Whether these tools were installed to their end.
fn is_installed(tools: &Path, what: &str) -> bool {
    fs::read_to_string(tools.join("installed.txt")).is_ok_and(|text| text == what)
}

fn installed(tools: &Path, what: &str) -> Result<(), Failure> {
    write(&tools.join("installed.txt"), what)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let cannot = || format!("write `{}`", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Failure::cannot(cannot()))?;
    }
    fs::write(path, text).map_err(Failure::cannot(cannot()))
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let text = fs::read_to_string(from).map_err(Failure::cannot(format!("read `{}`", from.display())))?;
    write(to, &text)
}

/// Copies the files of a folder, without folders in it.
fn copy_all(from: &Path, to: &Path) -> Result<(), Failure> {
    let cannot = || Failure::cannot(format!("list `{}`", from.display()));
    for entry in fs::read_dir(from).map_err(cannot())? {
        let path = entry.map_err(cannot())?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            copy(&path, &to.join(name))?;
        }
    }
    Ok(())
}
