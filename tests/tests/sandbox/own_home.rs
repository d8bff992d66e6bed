//! The home folder is no guest's to see, wherever it lies: who reads it has the keys, who writes it
//! is the operator.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tests::env::finish;
use tests::{Env, Outcome};

use crate::guest::with_writer;

/// In the home, by their paths below the folder that both lie in.
const OWN: [&str; 5] =
    ["home/grants.toml", "home/trust.toml", "home/keys/approver.key", "home/cache/secret", "home"];

/// Runs the program in `folder`, with `home` as its home.
fn run_in(env: &Env, folder: &Path, home: &Path, words: &[&str]) -> Outcome {
    finish(env.command(words).current_dir(folder).env("CAPSTAN_HOME", home))
}

/// Calls an operation with the folder of home and workspace as the workspace.
fn call_above(env: &Env, operation: &str, arguments: &Value) -> Value {
    let arguments = arguments.to_string();
    let words = ["op", "call", operation, &arguments, "--no-prompt", "--format", "json"];
    run_in(env, env.folder(), &env.home(), &words).json()
}

#[test]
fn a_home_in_the_workspace_is_not_seen() {
    let env = with_writer();
    env.write("a.txt", "inside");
    fs::write(env.folder().join("home.txt"), "beside").unwrap();
    let paths: Vec<&str> = OWN.into_iter().chain(["work/a.txt", "home.txt"]).collect();
    let said = call_above(&env, "test:writer/probe.look", &json!({ "root": "workspace", "paths": paths }));
    for (path, answer) in paths.iter().zip(said["result"].as_array().unwrap()) {
        let own = OWN.contains(path);
        for key in ["stat", "read"] {
            assert_eq!(answer[key].as_str().unwrap().contains("denied"), own, "{path} {key}: {answer}");
        }
        assert_eq!(answer["listed"].as_str().unwrap().is_empty(), own, "{path}: {answer}");
    }
    assert!(said["denied"].to_string().contains("host's own folder"), "{said:#}");
    assert_eq!(said["missing_grants"], json!([]), "no grant would help: {said:#}");
    for glob in ["**", "home/**", "{home,work}/*", "home/keys/*"] {
        let found = call_above(&env, "test:writer/raw.list", &json!({ "root": "workspace", "glob": glob }));
        let found = found["result"].to_string();
        assert!(!found.contains("home/"), "{glob}: {found}");
        assert_eq!(found.contains("work/a.txt"), !glob.starts_with("home"), "{glob}: {found}");
    }
}

#[test]
fn a_home_in_the_workspace_is_not_written() {
    let env = with_writer();
    env.write("a.txt", "inside");
    let before = fs::read(env.home().join("grants.toml")).unwrap();
    let paths: Vec<&str> = OWN.into_iter().chain(["home/new.toml", "home/keys/new.key"]).collect();
    let arguments = json!({ "root": "workspace", "paths": paths, "text": "mine" });
    let done = call_above(&env, "test:writer/probe.touch", &arguments);
    assert_eq!(done["status"], "completed", "nothing was staged, so nothing is asked: {done:#}");
    let arguments = json!({ "root": "workspace", "paths": ["work/a.txt"], "text": "mine" });
    let asked = call_above(&env, "test:writer/probe.touch", &arguments);
    assert_eq!(asked["status"], "requires_approval", "{asked:#}");
    drop(run_in(&env, env.folder(), &env.home(), &["approve", "last"]).exits(0));
    assert_eq!(env.read("a.txt").as_deref(), Some("mine"));
    assert_eq!(fs::read(env.home().join("grants.toml")).unwrap(), before);
}

/// What was staged while it was an ordinary folder is not applied once it is the home.
#[test]
fn an_approved_write_does_not_reach_a_home_that_was_moved_to_it() {
    for (home, code) in [("later", 1), ("home", 0)] {
        let env = with_writer();
        fs::create_dir(env.folder().join("later")).unwrap();
        let arguments = json!({ "path": "later/new.toml", "text": "mine" });
        let asked = call_above(&env, "test:writer/edit.write", &arguments);
        assert_eq!(asked["status"], "requires_approval", "{asked:#}");
        if home == "later" {
            fs::rename(env.home(), env.folder().join(home)).unwrap();
        }
        let home = env.folder().join(home);
        let approved = run_in(&env, env.folder(), &home, &["approve", "last"]);
        assert_eq!(approved.code == Some(0), code == 0, "{}", approved.said());
        assert_eq!(env.folder().join("later/new.toml").exists(), code == 0);
    }
}

#[test]
fn no_root_is_in_the_home() {
    let env = with_writer();
    let look = json!({ "root": "workspace", "paths": ["grants.toml"] }).to_string();
    let call = ["op", "call", "test:writer/probe.look", &look];
    for folder in [env.home(), env.home().join("keys")] {
        let refused = run_in(&env, &folder, &env.home(), &call).exits(2);
        drop(refused.says("error[E-USAGE]").says("in the home folder").says("--home"));
    }
    for (folder, code) in [("home/keys", 2), ("work", 0)] {
        let root = format!("more={}", env.folder().join(folder).display());
        let words = [&call[..], &["--root", &root]].concat();
        drop(run_in(&env, &env.work(), &env.home(), &words).exits(code));
    }
    // The same where a run of a plan is begun.
    let write = ["op", "call", "test:writer/edit.write", r#"{"path": "a", "text": "b"}"#, "--no-prompt"];
    drop(run_in(&env, &env.home(), &env.home(), &write).exits(2).says("in the home folder"));
    drop(run_in(&env, &env.work(), &env.home(), &write).exits(3));
}
