//! The SDK's README: its commands, its types, its manifest and its limits are those that it says.

use std::fs;
use std::path::Path;

use tests::{Env, repository};

use crate::sources::Sources;

/// The README's block that opens with this line.
fn block(opening: &str) -> String {
    let readme = fs::read_to_string(repository().join("sdk/README.md")).unwrap();
    let block = readme.split(&format!("```{opening}\n")).nth(1).expect("the README has the block");
    block.split("```").next().unwrap().to_owned()
}

#[test]
fn the_commands_of_the_sdk_make_install_and_call_a_pack() {
    let block = block("sh");
    assert!(block.lines().count() >= 8 && block.starts_with("capstan init\n"), "{block}");
    let (env, sources) = (Env::new(), Sources::new());
    let mut command = tests::golden::shell_command(&env, &format!("set -e\n{block}"));
    sources.host(&mut command);
    let outcome = tests::env::finish(&mut command).exits(0);
    let said = outcome
        .says("Made `acme:notes` in `notes`")
        .says("Built `acme:notes` 0.1.0")
        .says("Signed `acme:notes` 0.1.0 as statement 1")
        .says("Installed `acme:notes` 0.1.0")
        .says("\"line\": 1")
        .said();
    // Called from the folder and called from the store.
    assert_eq!(said.matches("# Plan\n\n- sign\n- install\n").count(), 2, "{said}");
    let op = env.json(["op", "list"]).exits(0).json();
    assert_eq!(op[0]["name"], "acme:notes/notes.draft");
}

#[test]
fn types_have_the_json_and_manifests_the_keys_that_are_shown() {
    let (env, sources) = (Env::with_home(), Sources::new());
    drop(sources.run(&env, &["pack", "new", "acme:notes"]).exits(0));
    let call = |operation: &str, arguments: &str| {
        sources.run(&env, &["op", "call", "notes", operation, arguments]).exits(0).stdout
    };
    // The manifest as it is shown: both operations answer, and the requests are what it says.
    fs::write(sources.folder().join("notes/pack.toml"), block("toml manifest")).unwrap();
    assert_eq!(call("notes.draft", r#"{"title": "T", "points": []}"#), "# T\n\n\n");
    drop(sources.run(&env, &["pack", "build", "notes"]).exits(0));
    let pack =
        env.json([Path::new("pack"), Path::new("inspect"), &sources.folder().join("notes")]).exits(0).json();
    let requested = |name: &str| {
        let rows = pack["capabilities"].as_array().unwrap();
        rows.iter().find(|row| row["capability"] == name).expect("it is requested")["requested"].clone()
    };
    assert_eq!(requested("files-read"), serde_json::json!(["workspace:**/*.md", "workspace:docs/**"]));
    assert_eq!(requested("clock"), serde_json::json!(["*"]));
    assert_eq!(pack["operations"][1]["idempotent"], true);
    limits_are_those_of_the_table(&env, &sources);

    // The types: what goes in comes out, spelt the same.
    let inside = block("wit types");
    let world = "package acme:notes@0.1.0;\ninterface notes {\n";
    let end = "}\nworld notes-pack { include capstan:host/imports@0.1.0; export notes; }\n";
    fs::write(sources.folder().join("notes/wit/world.wit"), format!("{world}{inside}{end}")).unwrap();
    let code = "capstan_sdk::pack!(Pack);\nuse exports::acme::notes::notes::{Guest, Sample};\n\
                impl Guest for Pack { fn echo(sample: Sample) -> Sample { sample } }\n";
    fs::write(sources.folder().join("notes/src/lib.rs"), code).unwrap();
    let manifest =
        "[pack]\nid = \"acme:notes\"\nversion = \"0.1.0\"\n[operations.\"notes.echo\"]\neffect = \"pure\"\n";
    fs::write(sources.folder().join("notes/pack.toml"), manifest).unwrap();
    let shown = block("json types");
    let said: serde_json::Value = serde_json::from_str(&call("notes.echo", &shown)).unwrap();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(said, shown["sample"]);
    // It calls nothing of the host, and imports what its panics need.
    let built = sources.run(&env, &["pack", "build", "notes", "--format", "json"]).exits(0).json();
    assert_eq!(built["imports"], serde_json::json!(["capstan:host/log@0.1.0"]));
    drop(sources.run(&env, &["pack", "audit", "notes"]).exits(0).says("none: it can only compute and log"));
}

/// Holds the README's table of limits against the pack in `notes/dist`.
fn limits_are_those_of_the_table(env: &Env, sources: &Sources) {
    let manifest = sources.folder().join("notes/dist/pack.toml");
    let with = |limits: &str| {
        let shown = block("toml manifest");
        let line = shown.lines().find(|line| line.starts_with("limits = ")).unwrap();
        fs::write(&manifest, shown.replace(line, &format!("limits = {{ {limits} }}"))).unwrap();
        sources.run(env, &["pack", "inspect", "notes"])
    };
    let readme = fs::read_to_string(repository().join("sdk/README.md")).unwrap();
    let table = readme.split("| limit ").nth(1).expect("the README has the table");
    let mut rows = 0;
    for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let (name, default, most) = (cells[1], cells[2], cells[3]);
        let shown = name.replace('-', " ");
        drop(with("").exits(0).says(&format!("{shown} {default},")));
        drop(with(&format!("{name} = \"{most}\"")).exits(0).says(&format!("{shown} {most},")));
        let digits = most.trim_end_matches(char::is_alphabetic);
        let more = format!("{}{}", digits.parse::<u64>().unwrap() + 1, &most[digits.len()..]);
        drop(with(&format!("{name} = \"{more}\"")).exits(2).says("E-MANIFEST-MALFORMED"));
        rows += 1;
    }
    assert_eq!(rows, 8, "{table}");
}
