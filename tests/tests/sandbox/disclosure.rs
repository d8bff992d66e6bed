//! A denial says how it can be undone, and that is true when typed.

use serde_json::json;
use tests::golden::shell;
use tests::{Env, Outcome};

use crate::guest::install;

/// Runs each `hint:` of what was said, as a shell would.
#[track_caller]
fn type_hints(env: &Env, denied: &Outcome) {
    let said = denied.said();
    let hints: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("hint: ")).collect();
    assert!(!hints.is_empty(), "no hint in:\n{said}");
    for hint in hints {
        assert!(hint.starts_with("capstan grant add "), "{hint}");
        drop(shell(env, hint).exits(0));
    }
}

#[test]
fn the_hint_of_a_denied_call_is_what_it_needs() {
    let env = Env::with_home();
    install(&env, "writer", &[]);
    for path in
        ["plain.txt", "it's here.txt", "$HOME `id`.txt", "a*b.txt", "{x,y}.txt", "-rf", "über/näh.txt"]
    {
        env.write(path, "here");
        let arguments = json!({ "root": "workspace", "path": path }).to_string();
        let call = ["op", "call", "test:writer/raw.read", &arguments];
        let denied = env.run(call).exits(4).says("E-CALL-DENIED");
        type_hints(&env, &denied);
        drop(env.run(call).exits(0).says("here"));
        for grant in env.json(["grant", "list", "test:writer"]).exits(0).json().as_array().unwrap() {
            drop(env.run(["grant", "remove", "test:writer", grant["grant"].as_str().unwrap()]).exits(0));
        }
    }
}

#[test]
fn the_hint_of_a_call_that_a_denial_ends_is_what_it_needs() {
    let env = Env::with_home();
    install(&env, "limits", &[]);
    for (operation, arguments) in [("host.now", "{}"), ("host.random", r#"{"bytes": 8, "piece": 8}"#)] {
        let operation = format!("test:limits/{operation}");
        let call = ["op", "call", &operation, arguments];
        let denied = env.run(call).exits(4).says("E-CALL-DENIED");
        type_hints(&env, &denied);
        drop(env.run(call).exits(0));
    }
}

/// Outside the scope that is granted, the hint widens it by exactly that path.
#[test]
fn the_hint_of_a_path_outside_the_scope_adds_it_and_no_more() {
    let env = Env::with_home();
    install(&env, "writer", &["files-read=workspace:docs/**"]);
    for path in ["docs/a.txt", "src/b.txt", "src/c.txt"] {
        env.write(path, "here");
    }
    let read = |path: &str| {
        let arguments = json!({ "root": "workspace", "path": path }).to_string();
        env.run(["op", "call", "test:writer/raw.read", &arguments])
    };
    drop(read("docs/a.txt").exits(0));
    type_hints(&env, &read("src/b.txt").exits(4));
    drop(read("src/b.txt").exits(0));
    drop(read("src/c.txt").exits(4).says("denied"));
}
