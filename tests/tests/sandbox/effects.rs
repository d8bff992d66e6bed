//! What an operation declares is what it can do, whatever else its pack was granted.

use serde_json::json;
use tests::Env;

use crate::guest::{call, run_plan_with, with_writer};

#[test]
fn an_operation_that_reads_cannot_write() {
    let env = with_writer();
    env.write("kept.txt", "as it was");
    let before = Env::tree(&env.work());
    let text = |path: &str| json!({ "path": path, "text": "written" });
    for (operation, arguments) in [
        ("sneak.write", text("kept.txt")),
        ("sneak.write", text("new.txt")),
        ("sneak.remove", json!({ "path": "kept.txt" })),
    ] {
        let said = call(&env, &format!("test:writer/{operation}"), &arguments);
        assert_eq!(said["outcome"], "failed", "{said:#}");
        let answer = said["result"]["denied"].as_str().expect("the guest is told that it is denied");
        assert!(answer.contains("effect"), "{answer}");
        let recorded = said["denied"].as_array().unwrap();
        assert!(recorded.iter().any(|denied| denied["capability"] == "files-write"), "{said:#}");
        assert_eq!(said["missing_grants"], json!([]), "no grant would help");
        assert_eq!(said["staged"], json!([]));
        assert_eq!(Env::tree(&env.work()), before);
    }
    // The same pack, the same grants, an operation that says what it does.
    let parked =
        env.json(["op", "call", "test:writer/edit.write", &text("new.txt").to_string(), "--no-prompt"]);
    let parked = parked.exits(3).json();
    assert_eq!(parked["approvals"][0]["changes"][0]["path"], "new.txt", "{parked:#}");
    assert_eq!(Env::tree(&env.work()), before, "staged is not written");
    drop(env.run(["approve", "last"]).exits(0));
    assert_eq!(env.read("new.txt").as_deref(), Some("written"));
}

/// In a run the refusal goes to the journal.
#[test]
fn a_refused_write_of_a_run_is_on_record() {
    let env = with_writer();
    let arguments = json!({ "path": "new.txt", "text": "written" });
    let failed = run_plan_with(&env, "test:writer", "sneak.write", &arguments, &json!({}));
    let failed = failed.exits(1).says("E-CALL-FAILED").json();
    assert_eq!(failed["status"], "failed");
    let events = env.json(["run", "events", "last"]).exits(0);
    assert!(events.stdout.contains("files-write"), "{}", events.stdout);
    assert_eq!(env.read("new.txt"), None);
}

/// A write that traps or fails stages nothing.
#[test]
fn a_write_that_does_not_return_is_not_staged() {
    let env = with_writer();
    let before = Env::tree(&env.work());
    for operation in ["edit.write-and-trap", "edit.write-and-fail"] {
        let arguments = json!({ "path": "new.txt", "text": "written" });
        let failed = env.json([
            "op",
            "call",
            &format!("test:writer/{operation}"),
            &arguments.to_string(),
            "--no-prompt",
        ]);
        assert_eq!(failed.exits(1).json()["status"], "failed");
        assert_eq!(Env::tree(&env.work()), before);
    }
}

/// Arguments that do not fit are told to the caller, all at once, and no guest sees them.
#[test]
fn ill_typed_arguments_reach_no_guest() {
    let env = with_writer();
    let operation = "test:writer/raw.read";
    for arguments in [
        "{",
        "[]",
        r#"{"root": "workspace"}"#,
        r#"{"root": "workspace", "path": 7}"#,
        r#"{"root": "workspace", "path": "a", "path": "b"}"#,
        r#"{"root": "workspace", "path": "a", "more": 1}"#,
    ] {
        let refused = env.json(["op", "call", operation, arguments]).exits(2);
        assert_eq!(refused.json()["error"]["code"], "E-CALL-ARGUMENTS", "{arguments}");
    }
    env.write("a", "here");
    drop(env.run(["op", "call", operation, r#"{"root": "workspace", "path": "a"}"#]).exits(0));
}
