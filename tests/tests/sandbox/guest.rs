//! Guests as packs, and calls of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::{Env, Outcome, repository};

/// A WIT package without doc comments.
const NO_DOCS: &str = "(component)";

/// Whether the large counts run.
pub(crate) fn is_long() -> bool {
    std::env::var_os("CAPSTAN_TEST_LONG").is_some()
}

/// Installs a guest of `tests/guests`.
pub(crate) fn install(env: &Env, guest: &str, grants: &[&str]) {
    let words: Vec<&str> = grants.iter().flat_map(|grant| ["--grant", grant]).collect();
    env.install(&format!("tests/guests/{guest}"), &words);
}

/// A home in which `test:writer` may read and write everything in the workspace.
pub(crate) fn with_writer() -> Env {
    let env = Env::with_home();
    install(&env, "writer", &["files-read=workspace:**", "files-write=workspace:**"]);
    env
}

/// Calls an operation and gives what `op call` says as JSON, whatever came of it.
pub(crate) fn call(env: &Env, operation: &str, arguments: &Value) -> Value {
    let outcome = env.json(["op", "call", operation, &arguments.to_string(), "--no-prompt"]);
    assert!(matches!(outcome.code, Some(0..=4)), "it did not end as a call does:\n{}", outcome.said());
    outcome.json()
}

/// Calls an operation that returns, and gives its result.
#[track_caller]
pub(crate) fn result(env: &Env, operation: &str, arguments: &Value) -> Value {
    let said = call(env, operation, arguments);
    assert_eq!(said["outcome"], "returned", "{said:#}");
    said["result"].clone()
}

/// A character in a JSON string of a planfile.
fn escaped(c: char) -> String {
    match u32::from(c) {
        0x7f..=0xffff => format!("\\u{:04x}", u32::from(c)),
        _ => c.to_string(),
    }
}

/// Runs a plan of one call and gives what was said. What the call returns is the plan's output
/// `found`.
pub(crate) fn run_plan(env: &Env, pack: &str, operation: &str, arguments: &Value) -> Outcome {
    run_plan_with(env, pack, operation, arguments, &json!({ "found": "$one" }))
}

/// The same with other outputs.
pub(crate) fn run_plan_with(
    env: &Env,
    pack: &str,
    operation: &str,
    arguments: &Value,
    outputs: &Value,
) -> Outcome {
    let plan = json!({
        "schema": "capstan.plan/v1",
        "name": "one",
        "packs": { "p": format!("{pack} ^0.1") },
        "budget": { "fuel": "1T" },
        "steps": { "one": { "call": format!("p/{operation}"), "with": arguments } },
        "outputs": outputs,
    });
    let path = env.folder().join("one.plan.yaml");
    // Beyond ASCII all is escaped: a planfile may not hold every character as it is.
    let text: String = format!("{plan:#}\n").chars().map(escaped).collect();
    fs::write(&path, text).unwrap();
    env.json(["plan", "run", path.to_str().unwrap(), "--no-prompt"])
}

/// The text of a guest in `tests/guests/wat`.
pub(crate) fn wat(name: &str) -> String {
    fs::read_to_string(repository().join("tests/guests/wat").join(name)).unwrap()
}

/// The manifest of a pack with one operation of effect `pure`.
pub(crate) fn manifest(id: &str, operation: &str) -> String {
    format!(
        "[pack]\nid = \"{id}\"\nversion = \"0.1.0\"\nlicense = \"MIT\"\n\n\
         [operations.\"{operation}\"]\neffect = \"pure\"\nidempotent = true\n"
    )
}

/// Writes an unsigned pack folder of a component in text form.
pub(crate) fn wat_pack(env: &Env, folder: &str, component: &str, manifest: &str) -> PathBuf {
    let path = env.folder().join(folder);
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("component.wasm"), wat::parse_str(component).unwrap()).unwrap();
    fs::write(path.join("wit.wasm"), wat::parse_str(NO_DOCS).unwrap()).unwrap();
    fs::write(path.join("pack.toml"), manifest).unwrap();
    path
}

/// Makes a key of this home and gives its fingerprint.
pub(crate) fn key(env: &Env, name: &str) -> String {
    let made = env.json(["key", "new", name]).exits(0).json();
    made["fingerprint"].as_str().unwrap().to_owned()
}

/// Signs a pack folder as `pack sign` does.
pub(crate) fn sign(env: &Env, folder: &Path, key: &str) {
    drop(env.run(["pack", "sign", folder.to_str().unwrap(), "--key", key]).exits(0));
}

/// Signs and installs a component in text form, with the key `test` of this home.
pub(crate) fn install_wat(env: &Env, id: &str, operation: &str, component: &str) {
    let folder = wat_pack(env, &id.replace(':', "-"), component, &manifest(id, operation));
    sign(env, &folder, "test");
    drop(env.run(["pack", "install", folder.to_str().unwrap()]).exits(0));
}

/// A home that has a key `test` and trusts it for the publisher `test`.
pub(crate) fn with_test_key() -> Env {
    let env = Env::with_home();
    key(&env, "test");
    let public = env.home().join("keys/test.pub");
    drop(env.run(["trust", "add", "test", public.to_str().unwrap()]).exits(0));
    env
}

/// Copies a folder with what is below it.
pub(crate) fn copy(from: &Path, to: &Path) {
    for (path, bytes) in Env::tree(from) {
        let path = to.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// What a home holds that a refused pack must not change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kept(BTreeMap<PathBuf, Vec<u8>>);

impl Kept {
    /// Of a home as it is now. Locks are empty files that come and stay.
    pub(crate) fn of(env: &Env) -> Self {
        let mut tree = Env::tree(&env.home());
        tree.retain(|path, _| !path.starts_with("locks") && path.extension().is_none_or(|ext| ext != "lock"));
        Self(tree)
    }

    /// Whether the store has any pack.
    pub(crate) fn has_pack(&self) -> bool {
        self.0.keys().any(|path| path.starts_with("store") || path.starts_with("packs"))
    }
}

/// Asserts that installing `folder` is refused with this exit code and one of `codes`, and that
/// nothing of it stays.
#[track_caller]
pub(crate) fn assert_refused(env: &Env, folder: &Path, words: &[&str], exit: i32, codes: &[&str]) {
    let before = Kept::of(env);
    let mut command = vec!["pack", "install", folder.to_str().unwrap()];
    command.extend(words);
    let outcome = env.json(command);
    let code = outcome.json()["error"]["code"].as_str().map(ToOwned::to_owned);
    let known = code.as_deref().is_some_and(|code| codes.contains(&code));
    assert!(known, "expected one of {codes:?}:\n{}", outcome.said());
    drop(outcome.exits(exit));
    assert_eq!(before, Kept::of(env), "a refused pack left something behind");
}

/// Asserts that installing `folder` succeeds.
#[track_caller]
pub(crate) fn assert_installs(env: &Env, folder: &Path, words: &[&str]) {
    let mut command = vec!["pack", "install", folder.to_str().unwrap()];
    command.extend(words);
    drop(env.run(command).exits(0));
    assert!(Kept::of(env).has_pack());
}
