//! Who may import whom.

use toml::{Table, Value};

use crate::source::Source;
use crate::tree::{Finding, Tree, assert_found_at, assert_none};

/// Each layer and the layers that it may import, lowest first. Packages that are not in the table
/// (the SDK, packs, guests, tests, xtask) may import no layer at all.
const MATRIX: [(&str, &[&str]); 11] = [
    ("base", &[]),
    ("values", &["base"]),
    ("authority", &["base"]),
    ("pack", &["base", "values", "authority"]),
    ("plan", &["base", "values", "authority"]),
    ("policy", &["base", "authority"]),
    ("journal", &["base"]),
    ("engine", &["base", "values", "authority", "policy"]),
    ("run", &["base", "values", "plan", "policy", "journal"]),
    ("app", &["base", "values", "authority", "pack", "plan", "policy", "journal", "engine", "run"]),
    (PROGRAM, &["app"]),
];

/// The last layer. It has no library: nothing can import it, and in guests' bindings its name is
/// that of the WIT packages.
const PROGRAM: &str = "capstan";

/// The folder of the only package that may name the engine.
const ENGINE: &str = "host/crates/engine/";

/// Dependencies in each `Cargo.toml` against the matrix.
fn dependencies(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| is_manifest(path)) {
        let manifest = match text.parse::<Table>() {
            Ok(manifest) => manifest,
            Err(error) => {
                findings.push(Finding::new(path, 0, error.to_string()));
                continue;
            }
        };
        let package = package_name(&manifest);
        for dependency in dependency_names(&manifest) {
            if is_layer(&dependency) && !may_import(package, &dependency) {
                findings.push(Finding::new(
                    path,
                    0,
                    format!("`{package}` must not depend on `{dependency}`"),
                ));
            }
            if is_engine(&dependency) && !path.starts_with(ENGINE) {
                findings.push(Finding::new(path, 0, format!("only `engine` may depend on `{dependency}`")));
            }
        }
    }
    findings
}

/// `use` lines against the matrix: catches a dependency that was renamed on its way in.
fn uses(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        let Some((folder, package)) = package_of(tree, source) else { continue };
        let in_package = |other: &&Source| package_of(tree, other).is_some_and(|(of, _)| of == folder);
        for import in &source.imports {
            let name = import.name.as_str();
            let is_own_module = || {
                tree.sources.iter().filter(in_package).any(|s| s.modules.iter().any(|module| module == name))
            };
            if is_layer(name) && name != PROGRAM && !may_import(&package, name) && !is_own_module() {
                let what = format!("`{package}` must not import `{name}`");
                findings.push(Finding::new(&source.path, import.line, what));
            }
        }
    }
    findings
}

/// Code that names the engine outside of its crate, in whatever position.
fn engine_names(tree: &Tree) -> Vec<Finding> {
    let sources = tree.sources.iter().filter(|source| !source.path.starts_with(ENGINE));
    sources
        .flat_map(|source| {
            let names = source.tokens.iter().filter(|token| is_engine(&token.text));
            names.map(|token| {
                Finding::new(&source.path, token.line, format!("only `engine` may name `{}`", token.text))
            })
        })
        .collect()
}

fn is_manifest(path: &str) -> bool {
    path == "Cargo.toml" || path.ends_with("/Cargo.toml")
}

fn is_layer(name: &str) -> bool {
    MATRIX.iter().any(|(layer, _)| *layer == name)
}

fn is_engine(name: &str) -> bool {
    name.starts_with("wasmtime")
}

fn may_import(package: &str, layer: &str) -> bool {
    package == layer || MATRIX.iter().any(|(name, below)| *name == package && below.contains(&layer))
}

fn package_name(manifest: &Table) -> &str {
    let package = manifest.get("package").and_then(|package| package.get("name"));
    package.and_then(Value::as_str).unwrap_or("the workspace")
}

/// The real names of the dependencies of a package, of every kind and for every platform. What a
/// workspace lists for its members to pick from is no dependency.
fn dependency_names(manifest: &Table) -> Vec<String> {
    let mut names = Vec::new();
    let mut tables = vec![manifest];
    let platforms = manifest.get("target").and_then(Value::as_table);
    tables.extend(platforms.into_iter().flat_map(|table| table.values().filter_map(Value::as_table)));
    for table in tables {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (key, value) in table.get(kind).and_then(Value::as_table).into_iter().flatten() {
                names.push(value.get("package").and_then(Value::as_str).unwrap_or(key).to_owned());
            }
        }
    }
    names
}

/// The folder of the package that `source` belongs to, and the package's name.
fn package_of(tree: &Tree, source: &Source) -> Option<(String, String)> {
    let mut folder = source.path.as_str();
    while let Some((parent, _)) = folder.rsplit_once('/') {
        if let Some(manifest) =
            tree.text(&format!("{parent}/Cargo.toml")).and_then(|text| text.parse::<Table>().ok())
        {
            return Some((parent.to_owned(), package_name(&manifest).to_owned()));
        }
        folder = parent;
    }
    None
}

const RUN_MANIFEST: (&str, &str) = ("host/crates/run/Cargo.toml", "[package]\nname = \"run\"\n");

#[test]
fn packages_depend_only_on_layers_below() {
    assert_none(&dependencies(Tree::of_this_clone()));
}

#[test]
fn a_dependency_on_a_layer_above_is_found() {
    let good = "[package]\nname = \"run\"\n[dependencies]\nplan.workspace = true\nserde = \"1\"\n";
    assert_none(&dependencies(&Tree::of(&[(RUN_MANIFEST.0, good)])));
    for bad in [
        "[dependencies]\nengine.workspace = true",
        "[dev-dependencies]\napp.workspace = true",
        "[dependencies]\nmotor = { package = \"engine\", path = \"../engine\" }",
        "[target.'cfg(unix)'.build-dependencies]\npack.workspace = true",
        "[dependencies]\nwasmtime = \"48\"",
        "[dependencies]\nw = { package = \"wasmtime-wasi\", version = \"48\" }",
    ] {
        let text = format!("{}{bad}", RUN_MANIFEST.1);
        assert_found_at(
            &dependencies(&Tree::of(&[(RUN_MANIFEST.0, &text)])),
            &["host/crates/run/Cargo.toml:0"],
        );
    }
    let guest =
        ("packs/x/Cargo.toml", "[package]\nname = \"x\"\n[dependencies]\nbase = { path = \"../../host\" }");
    assert_found_at(&dependencies(&Tree::of(&[guest])), &["packs/x/Cargo.toml:0"]);
}

#[test]
fn sources_import_only_layers_below() {
    assert_none(&uses(Tree::of_this_clone()));
}

#[test]
fn an_import_of_a_layer_above_is_found() {
    let path = "host/crates/run/src/driver.rs";
    let text =
        "use plan::CheckedPlan;\nuse crate::pack;\nuse {engine::Engine, std::fmt};\nuse app::Host as H;\n";
    let findings = uses(&Tree::of(&[RUN_MANIFEST, (path, text)]));
    assert_found_at(&findings, &["host/crates/run/src/driver.rs:3", "host/crates/run/src/driver.rs:4"]);
    // A module of the package's own may have a layer's name.
    let module = ("host/crates/run/src/lib.rs", "mod engine;\nuse engine::Engine;\n");
    assert_none(&uses(&Tree::of(&[RUN_MANIFEST, module])));
}

#[test]
fn only_the_engine_names_wasmtime() {
    assert_none(&engine_names(Tree::of_this_clone()));
}

#[test]
fn naming_wasmtime_elsewhere_is_found() {
    let text = "/// Not wasmtime.\nfn a() { vec![wasmtime_wasi::p2()]; }";
    assert_none(&engine_names(&Tree::of(&[("host/crates/engine/src/link.rs", text)])));
    assert_found_at(
        &engine_names(&Tree::of(&[("host/crates/app/src/a.rs", text)])),
        &["host/crates/app/src/a.rs:2"],
    );
}
