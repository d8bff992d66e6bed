//! Packs that are signed by a trusted key, and whose parts do not tell one story.

use std::fs;
use std::path::{Path, PathBuf};

use tests::{Env, repository};

use crate::guest::{
    Kept, assert_installs, assert_refused, copy, install, manifest, result, sign, wat_pack, with_test_key,
};

const ID: &str = "test:tale";

/// A component with two operations and no import.
const HONEST: &str = r#"(component
    (core module $m (func (export "run") (result i32) (i32.const 7)))
    (core instance $i (instantiate $m))
    (func $run (result u32) (canon lift (core func $i "run")))
    (instance $ops (export "run" (func $run)) (export "walk" (func $run)))
    (export "test:tale/ops@0.1.0" (instance $ops)))"#;

/// The same with an import in front.
fn importing(import: &str) -> String {
    HONEST.replacen("(component", &format!("(component {import}"), 1)
}

fn honest_manifest() -> String {
    manifest(ID, "ops.run") + "\n[operations.\"ops.walk\"]\neffect = \"pure\"\nidempotent = true\n"
}

fn pack(env: &Env, folder: &str, component: &str, manifest: &str) -> PathBuf {
    wat_pack(env, folder, component, manifest)
}

/// Signs whatever the folder holds, by a statement that describes the pack in `says`.
fn sign_unchecked(env: &Env, folder: &Path, says: &Path) {
    let (folder, says) = (folder.to_str().unwrap(), says.to_str().unwrap());
    drop(env.run(["internal", "sign-unchecked", folder, "--says", says, "--key", "test"]).exits(0));
}

/// Asserts that the pack is refused before it is signed, by its author's own tools.
#[track_caller]
fn author_is_told(env: &Env, folder: &Path, exit: i32, code: &str) {
    let path = folder.to_str().unwrap();
    for words in [vec!["pack", "validate", path], vec!["pack", "sign", path, "--key", "test"]] {
        let outcome = env.json(words);
        assert_eq!(outcome.json()["error"]["code"], code, "{}", outcome.said());
        drop(outcome.exits(exit));
    }
}

#[test]
fn the_liar_is_refused() {
    let env = Env::with_home();
    let liar = repository().join("tests/guests/liar");
    let trust = ["--trust", &Env::publisher()];
    assert_refused(&env, &liar, &trust, 4, &["E-IMPORT-UNDECLARED"]);
    // A grant does not help: it is refused for what it says, not for what it may.
    let granted = [&trust[..], &["--grant", "files-read=workspace:**"]].concat();
    assert_refused(&env, &liar, &granted, 4, &["E-IMPORT-UNDECLARED"]);
    let validated = env.json(["pack", "validate", liar.to_str().unwrap()]).exits(4);
    assert_eq!(validated.json()["error"]["code"], "E-IMPORT-UNDECLARED");
    install(&env, "writer", &[]);
}

#[test]
fn a_manifest_that_contradicts_the_component_is_refused() {
    let env = with_test_key();
    let honest = honest_manifest();
    let files = "(import \"capstan:host/files-read@0.1.0\" (instance (export \"read\" (func))))";
    let unknown = "(import \"evil:host/everything@1.0.0\" (instance (export \"do\" (func))))";
    let later = "(import \"capstan:host/files-read@0.2.0\" (instance (export \"read\" (func))))";
    let http = "(import \"wasi:http/outgoing-handler@0.2.0\" (instance (export \"handle\" (func))))";
    let less = manifest(ID, "ops.run");
    let more = format!("{honest}\n[operations.\"ops.fly\"]\neffect = \"pure\"\nidempotent = true\n");
    let above = format!("{honest}\n[capabilities]\nfiles-write = [\"workspace:**\"]\n");
    let cases: [(&str, String, String, i32, &[&str]); 9] = [
        ("an import that is not requested", importing(files), honest.clone(), 4, &["E-IMPORT-UNDECLARED"]),
        ("an import from elsewhere", importing(unknown), honest.clone(), 4, &["E-IMPORT-UNKNOWN"]),
        (
            "an import of another version",
            importing(later),
            honest.clone(),
            4,
            &["E-IMPORT-UNKNOWN", "E-ABI-UNSUPPORTED"],
        ),
        ("an import beyond the inert baseline", importing(http), honest.clone(), 4, &["E-IMPORT-UNKNOWN"]),
        ("an export that is not listed", HONEST.into(), less, 4, &["E-EXPORT-UNDECLARED"]),
        ("an operation that is not exported", HONEST.into(), more, 4, &["E-EXPORT-MISSING"]),
        ("a capability above the effect", HONEST.into(), above, 4, &["E-IMPORT-ABOVE-EFFECT"]),
        ("another version", HONEST.into(), honest.replace("0.1.0", "0.2.0"), 4, &["E-VERSION-MISMATCH"]),
        ("another name", HONEST.into(), honest.replace(ID, "test:truth"), 4, &["E-MANIFEST-MISMATCH"]),
    ];
    for (index, (what, component, manifest, exit, codes)) in cases.iter().enumerate() {
        let folder = pack(&env, &format!("case{index}"), component, manifest);
        let told = env.json(["pack", "validate", folder.to_str().unwrap()]).exits(*exit).json();
        let code = told["error"]["code"].as_str().unwrap().to_owned();
        assert!(codes.contains(&code.as_str()), "{what}: {code}");
        author_is_told(&env, &folder, *exit, &code);
        if !code.ends_with("-UNKNOWN") && !code.ends_with("-UNSUPPORTED") {
            sign_unchecked(&env, &folder, &folder);
            assert_refused(&env, &folder, &[], *exit, &[&code]);
        }
        // The statement of an honest pack over these files.
        let honest = pack(&env, "says", HONEST, &honest_manifest());
        sign_unchecked(&env, &folder, &honest);
        assert_refused(&env, &folder, &[], *exit, &[&code]);
    }
    installs_when_honest(&env);
}

#[track_caller]
fn installs_when_honest(env: &Env) {
    let folder = pack(env, "honest", HONEST, &honest_manifest());
    sign(env, &folder, "test");
    assert!(!Kept::of(env).has_pack());
    assert_installs(env, &folder, &[]);
    assert_eq!(result(env, "test:tale/ops.walk", &serde_json::json!({})), 7);
}

/// The files agree with each other, and what was signed about them is something else.
#[test]
fn a_statement_that_omits_an_import_or_an_export_is_refused() {
    let env = with_test_key();
    let log = "(import \"capstan:host/types@0.1.0\" (instance))";
    let imports = pack(&env, "imports", &importing(log), &honest_manifest());
    let honest = pack(&env, "says", HONEST, &honest_manifest());
    let one = HONEST.replace("(export \"walk\" (func $run))", "");
    let less = pack(&env, "less", &one, &manifest(ID, "ops.run"));
    let second = HONEST
        .replace("(instance $ops)))", "(instance $ops)) (export \"test:tale/more@0.1.0\" (instance $ops)))");
    let more = honest_manifest() + &honest_manifest().split_once("\n\n").unwrap().1.replace("ops.", "more.");
    let more = pack(&env, "more", &second, &more);
    let impure = pack(&env, "impure", HONEST, &honest_manifest().replacen("pure", "read", 1));
    for (folder, says, code) in [
        (&imports, &honest, "E-IMPORT-UNDECLARED"),
        (&honest, &imports, "E-MANIFEST-MISMATCH"),
        (&more, &honest, "E-EXPORT-UNDECLARED"),
        (&honest, &more, "E-EXPORT-MISSING"),
        (&honest, &less, "E-MANIFEST-MISMATCH"),
        (&honest, &impure, "E-MANIFEST-MISMATCH"),
    ] {
        sign_unchecked(&env, folder, says);
        assert_refused(&env, folder, &[], 4, &[code]);
    }
    installs_when_honest(&env);
}

#[test]
fn a_manifest_with_an_unknown_or_a_second_key_is_malformed() {
    let env = with_test_key();
    let honest = honest_manifest();
    let says = pack(&env, "says", HONEST, &honest);
    for (changed, code) in [
        (honest.replacen("license", "licence", 1), "E-MANIFEST-UNKNOWN-KEY"),
        (honest.replacen("idempotent", "idempotence", 1), "E-MANIFEST-UNKNOWN-KEY"),
        (format!("{honest}\n[capabilities]\nfiles-reed = [\"workspace:**\"]\n"), "E-MANIFEST-UNKNOWN-KEY"),
        (honest.replacen("\"pure\"", "\"harmless\"", 1), "E-MANIFEST-UNKNOWN-KEY"),
        (format!("{honest}\n[more]\n"), "E-MANIFEST-UNKNOWN-KEY"),
        (honest.replacen("license", "id = \"test:tale\"\nlicense", 1), "E-MANIFEST-DUPLICATE-KEY"),
        (format!("{honest}\n[operations.\"ops.run\"]\neffect = \"pure\"\n"), "E-MANIFEST-DUPLICATE-KEY"),
        (format!("{honest}\n[["), "E-MANIFEST-MALFORMED"),
        (String::new(), "E-MANIFEST-MALFORMED"),
        (format!("{honest}\n[capabilities]\nfiles-read = [\"workspace\"]\n"), "E-SCOPE-MALFORMED"),
    ] {
        assert_ne!(changed, honest);
        let folder = pack(&env, "changed", HONEST, &changed);
        author_is_told(&env, &folder, 2, code);
        sign_unchecked(&env, &folder, &says);
        assert_refused(&env, &folder, &[], 2, &[code]);
        fs::remove_dir_all(folder).unwrap();
    }
    installs_when_honest(&env);
}

#[test]
fn what_is_no_component_is_refused() {
    let env = with_test_key();
    let says = pack(&env, "says", HONEST, &honest_manifest());
    let genuine = fs::read(says.join("component.wasm")).unwrap();
    let core = wat::parse_str("(module)").unwrap();
    let threads = importing("(core module $shared (memory 1 1 shared))");
    let long = importing("(core module $long (memory i64 1))");
    for bytes in [
        Vec::new(),
        b"#!/bin/sh\n".to_vec(),
        core,
        genuine[..genuine.len() - 1].to_vec(),
        wat::parse_str(threads).unwrap(),
        wat::parse_str(long).unwrap(),
    ] {
        let folder = env.folder().join("broken");
        copy(&says, &folder);
        fs::write(folder.join("component.wasm"), bytes).unwrap();
        author_is_told(&env, &folder, 2, "E-COMPONENT-INVALID");
        sign_unchecked(&env, &folder, &says);
        assert_refused(&env, &folder, &[], 2, &["E-COMPONENT-INVALID"]);
        fs::remove_dir_all(folder).unwrap();
    }
    installs_when_honest(&env);
}

#[test]
fn an_operation_cannot_take_a_resource() {
    let env = with_test_key();
    let component = r#"(component
        (type $thing' (resource (rep i32)))
        (core module $m (func (export "run") (param i32)))
        (core instance $i (instantiate $m))
        (component $c
          (import "import-thing" (type $thing (sub resource)))
          (import "import-run" (func $run (param "x" (own $thing))))
          (export $exported "thing" (type $thing))
          (export "run" (func $run) (func (param "x" (own $exported)))))
        (func $run (param "x" (own $thing')) (canon lift (core func $i "run")))
        (instance $ops (instantiate $c (with "import-thing" (type $thing')) (with "import-run" (func $run))))
        (export "test:tale/ops@0.1.0" (instance $ops)))"#;
    let folder = pack(&env, "resource", component, &manifest(ID, "ops.run"));
    author_is_told(&env, &folder, 2, "E-EXPORT-UNSUPPORTED");
    installs_when_honest(&env);
}

#[test]
fn a_grant_beyond_the_request_is_refused() {
    let env = Env::with_home();
    let writer = repository().join("tests/guests/writer");
    let publisher = Env::publisher();
    let with = |grant| ["--trust", publisher.as_str(), "--grant", grant];
    for (grant, exit, code) in [
        ("clock", 4, "E-GRANT-EXCEEDS-REQUEST"),
        ("files-read=elsewhere:**", 4, "E-GRANT-EXCEEDS-REQUEST"),
        ("files-read=workspace", 2, "E-SCOPE-MALFORMED"),
        ("files-read=workspace:../**", 2, "E-SCOPE-MALFORMED"),
        ("files-read=workspace:/etc/**", 2, "E-SCOPE-MALFORMED"),
        ("everything", 2, "E-GRANT-MALFORMED"),
    ] {
        assert_refused(&env, &writer, &with(grant), exit, &[code]);
    }
    assert_installs(&env, &writer, &with("files-read=workspace:docs/**"));
    let grants = env.home().join("grants.toml");
    let genuine = fs::read_to_string(&grants).unwrap();
    fs::write(&grants, format!("{genuine}\nmore = 1\n")).unwrap();
    let outcome = env.json(["op", "call", "test:writer/raw.list", r#"{"root": "workspace", "glob": "**"}"#]);
    assert_eq!(outcome.json()["error"]["code"], "E-GRANT-MALFORMED");
    drop(outcome.exits(2));
}
