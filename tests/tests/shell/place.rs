//! Places that commands are typed in: a clone's packs beside some sources.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::{Env, repository};

/// The plan of the quickstart, as a clone has it.
pub const PLAN: &str = "packs/text/plans/codemap.plan.md";

/// Copies a folder with its modes, without what was compiled in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if entry.file_name() != "target" {
                copy(&entry.path(), &target);
            }
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A workspace without a home: the packs as `cargo xtask packs` leaves them, and two sources.
pub fn clone() -> Env {
    let env = Env::new();
    let packs = env.work().join("packs");
    for pack in ["exec", "files", "http", "text"] {
        let from = repository().join("packs").join(pack);
        copy(&from.join("dist"), &packs.join(pack).join("dist"));
    }
    for pack in ["http", "text"] {
        copy(&repository().join("packs").join(pack).join("plans"), &packs.join(pack).join("plans"));
    }
    fs::write(packs.join(".publisher"), Env::publisher()).unwrap();
    env.write("src/main.rs", "//! Starts the program. And more.\n\nfn main() {}\n");
    env.write("src/reader.rs", "//! Reads what it is given.\n");
    env
}

/// The same with a home in which both packs are installed, with every grant.
pub fn installed() -> Env {
    static FIRST: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    // Installing verifies and compiles; the result is the same each time, so it is copied.
    let home = FIRST.get_or_init(|| {
        let first = Env::with_packs();
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shell-home");
        drop(fs::remove_dir_all(&home));
        copy(&first.home(), &home);
        home
    });
    let env = clone();
    copy(home, &env.home());
    env
}

/// The same with a run that waits for an approval.
pub fn parked() -> Env {
    let env = installed();
    drop(env.run(["plan", "run", PLAN]).exits(3));
    env
}

/// The same with a run that was approved and wrote its file.
pub fn completed() -> Env {
    let env = parked();
    drop(env.run(["approve", "last"]).exits(0));
    env
}

/// A run whose process died after it was about to make an approved call, in step `publish`. Nothing
/// listens where it would go.
pub fn unknown_outcome() -> Env {
    let env = Env::with_home();
    let grants = [
        "http-send=http://127.0.0.1:9/** via 127.0.0.0/8",
        "files-read=workspace:**",
        "files-write=workspace:**",
    ];
    let words: Vec<&str> =
        grants.iter().chain(&["clock", "random"]).flat_map(|grant| ["--grant", grant]).collect();
    env.install("tests/guests/sender", &words);
    let plan = "schema: capstan.plan/v1\nname: publish\npacks: { p: test:sender ^0.1 }\nsteps:\n  \
                publish: { call: p/mail.once, with: { url: \"http://127.0.0.1:9/a\", text: hello } }\n";
    env.write("publish.plan.yaml", plan);
    let run = env.json(["plan", "run", "publish.plan.yaml", "--no-prompt"]).exits(3).json();
    let id = run["approvals"][0]["id"].as_str().expect("it asks").to_owned();
    let mut approve = env.command(["approve", &id]);
    let died = tests::env::finish(approve.env("CAPSTAN_KILL_AT", "run:before-send"));
    assert_eq!(died.signal, Some(9), "{}", died.said());
    // The next process to take the run over finds that nobody can know.
    drop(env.run(["run", "resume", "last"]).exits(3).says("E-CALL-UNKNOWN"));
    env
}

/// The sources of a pack that is no crate, `notes`, and its component beside them, `notes.wasm`.
pub fn notes(env: &Env) {
    let component = r#"(component
        (core module $M (func (export "count") (param i32 i32) (result i32) (i32.const 1))
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
        (core instance $m (instantiate $M))
        (func $count (param "text" string) (result u32) (canon lift (core func $m "count")
            (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
        (instance $ops (export "count" (func $count)))
        (export "acme:notes/notes@0.1.0" (instance $ops)))"#;
    env.write("notes.wasm", wat::parse_str(component).unwrap());
    let wit = "package acme:notes@0.1.0;\n\n/// Notes.\ninterface notes {\n    /// Counts them.\n    \
               count: func(text: string) -> u32;\n}\n\nworld pack {\n    export notes;\n}\n";
    env.write("notes/wit/world.wit", wit);
    let manifest = "[pack]\nid = \"acme:notes\"\nversion = \"0.1.0\"\nlicense = \"MIT\"\n\n\
                    [operations.\"notes.count\"]\neffect = \"pure\"\nidempotent = true\n";
    env.write("notes/pack.toml", manifest);
}

/// The digest of an artifact that the last run kept.
pub fn artifact(env: &Env) -> String {
    let run = env.json(["run", "show", "last"]).exits(0).json();
    run["artifacts"][0].as_str().expect("the run kept an artifact").to_owned()
}

/// Asserts that every key is snake_case, but below keys whose content is others' format.
pub fn assert_snake_case(value: &Value, at: &str) {
    const FOREIGN: [&str; 9] = [
        "arguments_schema",
        "result_schema",
        "files",
        "outputs",
        "result",
        "roots",
        "inputs",
        "limits",
        // By capability, whose names are those of manifests.
        "reached",
    ];
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                assert!(key.chars().all(good), "`{key}` in {at} is not snake_case");
                if !FOREIGN.contains(&key.as_str()) {
                    assert_snake_case(value, &format!("{at}.{key}"));
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| assert_snake_case(item, at)),
        _ => {}
    }
}
