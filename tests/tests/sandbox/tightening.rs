//! `grant tighten` leaves what a pack used and takes the rest.

use std::fs;

use serde_json::{Value, json};
use tests::Env;

use crate::guest::{call, with_writer};

/// A plan that lists, reads and writes.
fn plan(env: &Env) {
    let plan = json!({
        "schema": "capstan.plan/v1",
        "name": "some",
        "packs": { "w": "test:writer ^0.1" },
        "steps": {
            "all": { "call": "w/raw.list", "with": { "root": "workspace", "glob": "docs/*.md" } },
            "one": { "call": "w/raw.read", "with": { "root": "workspace", "path": "src/a.rs" } },
            "out": { "needs": ["all", "one"], "call": "w/edit.write",
                     "with": { "path": "made.txt", "text": "made" } },
        },
    });
    env.write("some.plan.yaml", format!("{plan:#}\n"));
}

fn run(env: &Env) {
    drop(env.run(["plan", "run", "some.plan.yaml", "--no-prompt"]).exits(3));
    drop(env.run(["approve", "last"]).exits(0));
    drop(env.run(["run", "undo", "last"]).exits(0));
}

fn grants(env: &Env) -> Vec<String> {
    let listed = env.json(["grant", "list"]).exits(0).json();
    let grants = listed.as_array().unwrap().iter();
    grants.map(|grant| grant["grant"].as_str().unwrap().to_owned()).collect()
}

fn reads(env: &Env, path: &str) -> Value {
    call(env, "test:writer/raw.read", &json!({ "root": "workspace", "path": path }))["outcome"].clone()
}

#[test]
fn the_same_plan_runs_on_the_grants_that_are_left() {
    let env = with_writer();
    for path in ["docs/x.md", "docs/y.md", "src/a.rs", "src/b.rs"] {
        env.write(path, "here");
    }
    plan(&env);
    drop(env.run(["grant", "tighten", "test:writer", "--apply"]).exits(0).says("Nothing is recorded"));
    assert_eq!(grants(&env), ["files-read=workspace:**", "files-write=workspace:**"]);
    run(&env);

    let before = fs::read(env.home().join("grants.toml")).unwrap();
    let shown = env.json(["grant", "tighten", "test:writer"]).exits(0).json();
    assert_eq!(fs::read(env.home().join("grants.toml")).unwrap(), before, "to look changes nothing");
    assert_eq!((&shown["calls"], &shown["runs"], &shown["applied"]), (&json!(3), &json!(1), &json!(false)));
    let applied = env.json(["grant", "tighten", "test:writer", "--apply"]).exits(0).json();
    assert_eq!((&applied["commands"], &applied["applied"]), (&shown["commands"], &json!(true)));
    let left = [
        "files-read=workspace:docs/x.md",
        "files-read=workspace:docs/y.md",
        "files-read=workspace:src/a.rs",
        "files-write=workspace:made.txt",
    ];
    assert_eq!(grants(&env), left);
    run(&env);
    assert_eq!((reads(&env, "src/a.rs"), reads(&env, "src/b.rs")), (json!("returned"), json!("failed")));
    let denied = call(&env, "test:writer/raw.read", &json!({ "root": "workspace", "path": "src/b.rs" }));
    assert_eq!(denied["error"]["code"], "E-CALL-DENIED");
    drop(
        env.run(["grant", "tighten", "test:writer", "--apply"]).exits(0).says("as small as the recorded use"),
    );

    // The commands that it names do the same.
    fs::write(env.home().join("grants.toml"), before).unwrap();
    for command in shown["commands"].as_array().unwrap() {
        drop(tests::golden::shell(&env, command.as_str().unwrap()).exits(0));
    }
    assert_eq!(grants(&env), left);
}

#[test]
fn what_is_not_used_is_taken_and_many_names_are_a_folder() {
    let env = with_writer();
    let plan = json!({
        "schema": "capstan.plan/v1", "name": "list", "packs": { "w": "test:writer ^0.1" },
        "steps": { "all": { "call": "w/raw.list", "with": { "root": "workspace", "glob": "many/*" } } },
    });
    env.write("list.plan.yaml", format!("{plan:#}\n"));
    for n in 0..17 {
        env.write(&format!("many/{n}.txt"), "here");
    }
    drop(env.run(["plan", "run", "list.plan.yaml"]).exits(0));
    drop(env.run(["grant", "tighten", "test:writer", "--apply"]).exits(0).says("not used"));
    assert_eq!(grants(&env), ["files-read=workspace:many/*"]);
    drop(env.run(["plan", "run", "list.plan.yaml"]).exits(0));
    let write =
        env.run(["op", "call", "test:writer/edit.write", r#"{"path": "a", "text": "b"}"#, "--no-prompt"]);
    drop(write.exits(4).says("is not granted"));
}

/// Past the record's bound nobody knows what else was reached.
#[test]
fn a_use_that_was_not_recorded_in_full_keeps_its_grant() {
    let env = with_writer();
    let plan = json!({
        "schema": "capstan.plan/v1", "name": "list", "packs": { "w": "test:writer ^0.1" },
        "steps": { "all": { "call": "w/raw.list", "with": { "root": "workspace", "glob": "many/*" } } },
    });
    env.write("list.plan.yaml", format!("{plan:#}\n"));
    for n in 0..511 {
        env.write(&format!("many/{n}"), "");
    }
    let tighten = || {
        drop(env.run(["plan", "run", "list.plan.yaml"]).exits(0));
        let shown = env.json(["grant", "tighten", "test:writer"]).exits(0).json();
        let row =
            shown["capabilities"].as_array().unwrap().iter().find(|row| row["capability"] == "files-read");
        row.unwrap().clone()
    };
    // 511 names and the listing itself are 512 entries, which is as many as there may be.
    assert_eq!(tighten()["after"], json!(["workspace:many/*"]));
    env.write("many/511", "");
    let row = tighten();
    assert_eq!((&row["kept"], &row["after"]), (&json!("more"), &json!(["workspace:**"])));
}
