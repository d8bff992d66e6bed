//! Operations on folders: what a guest sees of them, what a person is shown, what is done, and what
//! is not.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::{Value, json};
use tests::{Env, Outcome};

use crate::guest::{call, install, result, with_writer};

/// Starts a call of `operation` that stages something, and gives what was said.
fn stage(env: &Env, operation: &str, arguments: &Value) -> Value {
    env.json(["op", "call", operation, &arguments.to_string(), "--no-prompt"]).exits(3).json()
}

/// Runs a script of the guest's with effect `destructive`: its answers, whatever was staged.
fn raze(env: &Env, lines: &[&str]) -> Vec<String> {
    let said = call(env, "test:writer/edit.raze", &json!({ "lines": lines }));
    // What is staged waits; the answers are the call's output all the same.
    let run = said["run_id"].as_str().expect("it left a run").to_owned();
    let lines = env.json(["run", "events", &run]).exits(0).lines();
    let staged = lines.iter().find(|line| line["event"] == "effects_staged").expect("it staged");
    let answers = staged["call"]["output"]["inline"].as_array().expect("a list");
    answers.iter().map(|answer| answer.as_str().unwrap().to_owned()).collect()
}

fn changes(staged: &Value) -> Vec<String> {
    let changes = staged["approvals"][0]["changes"].as_array().expect("changes");
    let shown = |change: &Value| format!("{} {}", change["kind"], change["path"]).replace('"', "");
    changes.iter().map(shown).collect()
}

/// A folder with two levels, one file of which is executable.
fn with_tree() -> Env {
    let env = with_writer();
    for path in ["build/out/a.o", "build/run.sh", "src/lib.rs"] {
        env.write(path, format!("of {path}"));
    }
    let script = env.work().join("build/run.sh");
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
    env
}

/// Each path of the workspace with its kind and mode, folders too.
fn tree(env: &Env) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![env.work()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                folders.push(path.clone());
            }
            let content = if meta.is_file() { fs::read_to_string(&path).unwrap() } else { String::new() };
            let name = path.strip_prefix(env.work()).unwrap().display().to_string();
            found.push(format!("{name} {:o} {content}", meta.permissions().mode()));
        }
    }
    found.sort();
    found
}

fn approve(env: &Env, confirm: &[&str]) -> Outcome {
    env.run([&["approve", "last"], confirm].concat())
}

#[test]
fn a_guest_sees_what_it_staged() {
    let env = with_tree();
    let answers = raze(
        &env,
        &[
            "mkdir new",
            "mkdir new",
            "write new/file text",
            "mkdir none/deep",
            "stat new",
            "list **",
            "mv build kept",
            "list **",
            "read kept/run.sh",
            "stat build",
            "read build/run.sh",
            "mv kept/run.sh src/run.sh",
            "mv src/lib.rs new/file",
            "rmtree kept",
            "list **",
            "stat kept",
            "write kept/again x",
            "rmtree src/lib.rs",
        ],
    );
    let error = |path: &str, why: &str| format!("!`workspace:{path}`: {why}");
    let expected = [
        "ok".to_owned(),
        error("new", "already exists"),
        "ok".to_owned(),
        error("none/deep", "not found"),
        "Kind::Directory 0".to_owned(),
        "build/out/a.o build/run.sh new/file src/lib.rs".to_owned(),
        "ok".to_owned(),
        "kept/out/a.o kept/run.sh new/file src/lib.rs".to_owned(),
        "of build/run.sh".to_owned(),
        error("build", "not found"),
        error("build/run.sh", "not found"),
        "ok".to_owned(),
        error("src/lib.rs", "already exists"),
        "ok".to_owned(),
        "new/file src/lib.rs src/run.sh".to_owned(),
        error("kept", "not found"),
        error("kept/again", "not found"),
        error("src/lib.rs", "the path or a parent is not a directory"),
    ];
    assert_eq!(answers, expected);
}

#[test]
fn a_folder_moves_after_approval_and_comes_back() {
    let env = with_tree();
    let before = tree(&env);
    let staged = stage(
        &env,
        "test:writer/raw.rename",
        &json!({ "root": "workspace", "source": "build", "target": "src/built" }),
    );
    assert_eq!(
        changes(&staged),
        [
            "remove-dir build",
            "remove-dir build/out",
            "delete build/out/a.o",
            "delete build/run.sh",
            "create-dir src/built",
            "create-dir src/built/out",
            "create src/built/out/a.o",
            "create src/built/run.sh",
        ]
    );
    let approval = &staged["approvals"][0];
    assert_eq!(approval["confirm"], Value::Null, "a move destroys nothing");
    let diff = approval["diff"].as_str().unwrap();
    assert!(diff.contains("moved from a/workspace/build/run.sh\nmoved to b/workspace/src/built/run.sh\n"));
    assert_eq!(tree(&env), before, "staged, not done");
    drop(approve(&env, &[]).exits(0));
    let after = tree(&env);
    assert!(after.contains(&"src/built/run.sh 100755 of build/run.sh".to_owned()), "{after:?}");
    assert!(!env.work().join("build").exists());
    drop(env.run(["run", "undo", "last"]).exits(0));
    assert_eq!(tree(&env), before);
}

#[test]
fn a_folder_is_removed_whole_by_typing_it_and_comes_back() {
    let env = with_tree();
    let before = tree(&env);
    let arguments = json!({ "root": "workspace", "path": "build" });
    let staged = stage(&env, "test:writer/raw.remove-tree", &arguments);
    let expected =
        ["remove-dir build", "remove-dir build/out", "delete build/out/a.o", "delete build/run.sh"];
    assert_eq!(changes(&staged), expected);
    assert_eq!(staged["approvals"][0]["confirm"], "workspace:build");
    let refused = approve(&env, &[]).exits(4).says("E-APPROVAL-CONFIRM").says("--confirm 'workspace:build'");
    drop(refused.says("its target `workspace:build` has to be typed"));
    for wrong in ["build", "workspace:buil", "workspace:build/", "", "yes"] {
        drop(approve(&env, &["--confirm", wrong]).exits(4).says("E-APPROVAL-CONFIRM"));
    }
    assert_eq!(tree(&env), before);
    drop(approve(&env, &["--confirm", "workspace:build"]).exits(0));
    assert!(!env.work().join("build").exists());
    drop(env.run(["run", "undo", "last"]).exits(0));
    assert_eq!(tree(&env), before);
    // What is not destructive has nothing to confirm.
    stage(&env, "test:writer/raw.create-dir", &json!({ "root": "workspace", "path": "new" }));
    drop(approve(&env, &["--confirm", "workspace:new"]).exits(4).says("E-APPROVAL-CONFIRM"));
    drop(approve(&env, &[]).exits(0));
    assert!(env.work().join("new").is_dir());
}

#[test]
fn a_folder_is_removed_whole_only_by_a_destructive_operation() {
    let env = with_tree();
    let before = tree(&env);
    for (operation, arguments) in [
        ("remove-tree", json!({ "path": "build" })),
        ("create-dir", json!({ "path": "new" })),
        ("rename", json!({ "source": "build", "target": "new" })),
    ] {
        let (said, recorded) = refused(&env, &format!("test:writer/sneak.{operation}"), &arguments);
        assert!(said.contains("above the operation's declared effect"), "{said}");
        assert!(recorded.contains("files-write"), "{recorded}");
        assert!(operation != "remove-tree" || recorded.contains("remove-tree workspace:build"), "{recorded}");
    }
    assert_eq!(tree(&env), before);
    // The control: the same with the effect that permits it.
    stage(&env, "test:writer/raw.remove-tree", &json!({ "root": "workspace", "path": "build" }));
}

/// Nothing is removed that was not shown.
#[test]
fn a_file_that_appears_in_a_folder_keeps_it_whole() {
    let env = with_tree();
    let arguments = json!({ "root": "workspace", "path": "build" });
    stage(&env, "test:writer/raw.remove-tree", &arguments);
    env.write("build/out/new.o", "unseen");
    let before = tree(&env);
    let said = approve(&env, &["--confirm", "workspace:build"]).exits(3).says("workspace:build/out");
    assert_eq!(tree(&env), before, "{}", said.said());
    // Staged again, with the new file.
    let shown = env.json(["approval", "show", "last"]).exits(0).json();
    assert!(shown["changes"].to_string().contains("build/out/new.o"), "{shown:#}");
    drop(approve(&env, &["--confirm", "workspace:build"]).exits(0));
    assert!(!env.work().join("build").exists());
    drop(env.run(["run", "undo", "last"]).exits(0));
    assert_eq!(tree(&env), before);
}

/// Taking a new folder back does not take what somebody has put into it.
#[test]
fn a_folder_that_is_not_empty_any_more_is_not_taken_back() {
    let env = with_tree();
    stage(&env, "test:writer/raw.create-dir", &json!({ "root": "workspace", "path": "new" }));
    drop(approve(&env, &[]).exits(0));
    env.write("new/theirs", "kept");
    drop(env.run(["run", "undo", "last"]).exits(1).says("E-EFFECT-CONFLICT").says("workspace:new"));
    assert_eq!(env.read("new/theirs").as_deref(), Some("kept"));
    fs::remove_file(env.work().join("new/theirs")).unwrap();
    drop(env.run(["run", "undo", "last"]).exits(0));
    assert!(!env.work().join("new").exists());
}

/// A home in which the guest has these grants, and a tree that they cut through.
fn with_scopes(grants: &[&str]) -> Env {
    let env = Env::with_home();
    install(&env, "writer", grants);
    for path in ["open/a", "open/.hidden/b", "plain/c", "closed/d"] {
        env.write(path, format!("of {path}"));
    }
    env
}

fn error(env: &Env, operation: &str, arguments: &Value) -> String {
    refused(env, &format!("test:writer/raw.{operation}"), arguments).0
}

/// What the guest was told, and the refusals that were recorded.
fn refused(env: &Env, operation: &str, arguments: &Value) -> (String, String) {
    let said = call(env, operation, arguments);
    if said["outcome"] == "failed" {
        return (said["error"]["message"].as_str().unwrap().to_owned(), said["denied"].to_string());
    }
    assert_eq!(said["status"], "failed", "{said:#}");
    let events = env.json(["run", "events", "last"]).exits(0).lines();
    let failed = events.iter().find(|event| event["event"] == "step_failed").expect("a step failed");
    (said["steps"][0]["reason"]["message"].as_str().unwrap().to_owned(), failed["denied"].to_string())
}

#[test]
fn a_folder_that_holds_what_is_out_of_scope_stays_whole() {
    let env = with_scopes(&[
        "files-read=workspace:**",
        "files-write=workspace:{open,plain}",
        "files-write=workspace:{open,plain}/**",
    ]);
    let tree = |path: &str| json!({ "root": "workspace", "path": path });
    let rename =
        |source: &str, target: &str| json!({ "root": "workspace", "source": source, "target": target });
    // A segment with a dot in front is matched only where the pattern spells the dot.
    for said in
        [error(&env, "remove-tree", &tree("open")), error(&env, "rename", &rename("open", "plain/open"))]
    {
        assert!(said.contains("denied") && said.contains("open/.hidden"), "{said}");
    }
    for said in [
        error(&env, "remove-tree", &tree("closed")),
        error(&env, "rename", &rename("plain/c", "closed/c")),
        error(&env, "rename", &rename("closed/d", "plain/d")),
        error(&env, "create-dir", &tree("closed/new")),
    ] {
        assert!(said.contains("denied") && said.contains("workspace:closed"), "{said}");
    }
    stage(&env, "test:writer/raw.rename", &rename("plain", "open/plain"));
    stage(&env, "test:writer/raw.remove-tree", &tree("plain"));
}

/// A guest that may write more than it may read does not get to read by moving.
#[test]
fn a_move_opens_nothing() {
    let env = with_scopes(&[
        "files-read=workspace:{open,plain}",
        "files-read=workspace:{open,plain}/**",
        "files-write=workspace:**",
    ]);
    let rename =
        |source: &str, target: &str| json!({ "root": "workspace", "source": source, "target": target });
    for (source, target) in [("closed/d", "plain/d"), ("closed", "plain/closed")] {
        let said = error(&env, "rename", &rename(source, target));
        assert!(said.contains("files-read") && said.contains("workspace:closed/d"), "{said}");
    }
    // To a place that it may not read either, and the other way around.
    stage(&env, "test:writer/raw.rename", &rename("closed/d", "closed/e"));
    stage(&env, "test:writer/raw.rename", &rename("plain/c", "closed/c"));
    let answers =
        raze(&env, &["mv closed/d closed/e", "mv closed/e plain/e", "read plain/e", "mv plain/c plain/k"]);
    assert_eq!((answers[0].as_str(), answers[3].as_str()), ("ok", "ok"), "{answers:?}");
    assert!(answers[1].contains("files-read") && answers[2].contains("not found"), "{answers:?}");
}

#[test]
fn a_folder_with_anything_but_files_and_folders_stays_whole() {
    let env = with_tree();
    symlink("/etc", env.work().join("build/out/link")).unwrap();
    for said in [
        error(&env, "remove-tree", &json!({ "root": "workspace", "path": "build" })),
        error(&env, "rename", &json!({ "root": "workspace", "source": "build", "target": "b" })),
    ] {
        assert!(said.contains("`build/out/link` is neither a regular file nor a folder"), "{said}");
    }
    fs::remove_file(env.work().join("build/out/link")).unwrap();
    stage(&env, "test:writer/raw.remove-tree", &json!({ "root": "workspace", "path": "build" }));
}

/// A folder with nothing in it is listed nowhere, and is there.
#[test]
fn an_empty_folder_is_made_seen_moved_and_removed() {
    let env = with_writer();
    fs::create_dir(env.work().join("empty")).unwrap();
    assert_eq!(result(&env, "test:writer/raw.stat", &json!({ "root": "workspace", "path": "empty" })), 0);
    let said = stage(
        &env,
        "test:writer/raw.rename",
        &json!({ "root": "workspace", "source": "empty", "target": "e" }),
    );
    assert_eq!(changes(&said), ["create-dir e", "remove-dir empty"]);
    drop(approve(&env, &[]).exits(0));
    stage(&env, "test:writer/raw.remove-tree", &json!({ "root": "workspace", "path": "e" }));
    drop(approve(&env, &["--confirm", "workspace:e"]).exits(0));
    assert_eq!(fs::read_dir(env.work()).unwrap().count(), 0);
}
