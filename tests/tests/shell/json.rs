//! `--format json`: every command's output parses, has its promised fields, and agrees with the
//! text.

use serde_json::Value;
use tests::Env;
use tests::golden::shell;

use crate::place;

#[track_caller]
fn assert_fields(value: &Value, fields: &[&str]) {
    for field in fields {
        assert!(value.get(field).is_some(), "no `{field}` in {value:#}");
    }
}

/// A row of the first list, or the document itself.
fn row(value: &Value) -> &Value {
    value.get(0).unwrap_or(value)
}

/// Commands that change nothing, in a place with a completed run, and what they promise.
const READING: &[(&str, &[&str])] = &[
    ("key list", &["name", "role", "fingerprint", "public_key", "protected"]),
    ("trust list", &["publisher", "role", "fingerprint", "public_key", "added"]),
    ("pack list", &["pack", "version", "statement", "signer", "installed", "problem"]),
    ("pack inspect packs/files", &["pack", "version", "signature", "files", "operations", "capabilities"]),
    (
        "pack audit capstan:files",
        &[
            "pack",
            "version",
            "statement",
            "signer",
            "signature",
            "sequence",
            "files",
            "operations",
            "capabilities",
            "warnings",
        ],
    ),
    ("pack validate packs/text", &["pack", "version", "signature", "warnings"]),
    ("pack health capstan:text", &["subject", "healthy", "findings"]),
    ("grant list", &["pack", "grant"]),
    (
        "op list",
        &["name", "effect", "idempotent", "signature", "limits", "arguments_schema", "result_schema"],
    ),
    ("op show capstan:text/words.count", &["name", "effect", "arguments_schema", "result_schema", "docs"]),
    (
        "op call capstan:text/words.count {\"text\":\"a\"}",
        &["operation", "outcome", "result", "usage", "log"],
    ),
    ("plan check packs/text/plans/codemap.plan.md", &["status", "digest", "diagnostics", "effects", "gates"]),
    ("run list", &["run_id", "status", "plan", "started"]),
    (
        "run show last",
        &[
            "run_id",
            "status",
            "plan_digest",
            "steps",
            "approvals",
            "artifacts",
            "outputs",
            "next_actions",
            "mode",
        ],
    ),
    ("approval list", &[]),
    ("doctor", &["subject", "healthy", "findings"]),
    ("init", &["home", "created", "approver", "unattended", "mode"]),
    ("help concepts", &["topic", "text"]),
    ("help codes", &["code", "meaning"]),
];

#[test]
fn every_reading_command_has_its_fields() {
    let env = place::completed();
    for (line, fields) in READING {
        let words: Vec<&str> = line.split(' ').collect();
        let outcome = env.json(&words).exits(0);
        let json = outcome.json();
        place::assert_snake_case(&json, line);
        assert_fields(row(&json), fields);
        assert!(outcome.stderr.is_empty(), "`{line}` says on standard error: {}", outcome.stderr);
        // The same exit in text, which is not JSON.
        let text = env.run(&words).exits(0).stdout;
        assert!(serde_json::from_str::<Value>(&text).is_err() || line.starts_with("op call"), "{text}");
    }
}

#[test]
fn events_are_one_document_a_line() {
    let env = place::completed();
    let events = env.json(["run", "events", "last"]).exits(0).lines();
    assert_eq!(events[0]["event"], "run_created");
    assert_eq!(events.last().unwrap()["event"], "run_completed");
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], number);
        assert_fields(event, &["run_id", "at", "event"]);
        place::assert_snake_case(event, "run events");
    }
    let text = env.run(["run", "events", "last"]).exits(0);
    assert_eq!(text.stdout.lines().count(), events.len(), "{}", text.said());
    assert!(text.stderr.is_empty() && text.stdout.lines().next().unwrap().contains("run_created"));
}

#[test]
fn a_run_says_the_same_in_both_forms() {
    let env = place::installed();
    let parked = env.json(["plan", "run", place::PLAN]).exits(3).json();
    let shown = env.json(["run", "show", "last"]).exits(0).json();
    assert_eq!(parked, shown);
    place::assert_snake_case(&shown, "run show");
    for step in shown["steps"].as_array().unwrap() {
        assert_fields(step, &["id", "status", "attempts", "operation"]);
    }
    for action in shown["next_actions"].as_array().unwrap() {
        assert_fields(action, &["label", "command"]);
    }
    assert_eq!(shown["approvals"][0]["status"], "waiting");
    assert_fields(
        &shown["approvals"][0],
        &["id", "digest", "run_id", "step", "changes", "diff", "reasons", "expires"],
    );
    let listed = env.json(["approval", "list"]).exits(0).json();
    assert_eq!(listed[0], shown["approvals"][0]);
    assert_eq!(env.json(["approval", "show", "last"]).exits(0).json(), listed[0]);
    let agrees = |json: &Value, env: &Env| {
        let text = env.run(["run", "show", "last"]).exits(0).stdout;
        let status = json["status"].as_str().unwrap();
        assert!(text.starts_with(&format!("run {}  {status}  ", json["run_id"].as_str().unwrap())), "{text}");
        for step in json["steps"].as_array().unwrap() {
            let of_step = |line: &str| {
                let words: Vec<_> = line.split_whitespace().collect();
                words.starts_with(&[step["status"].as_str().unwrap(), step["id"].as_str().unwrap()])
            };
            assert!(text.lines().any(of_step), "{step} is not in:\n{text}");
        }
    };
    agrees(&shown, &env);
    let done = env.json(["approve", "last"]).exits(0).json();
    assert_eq!(done["status"], "completed");
    assert_eq!(done["outputs"]["path"], "CODEMAP.md");
    agrees(&done, &env);
    let digest = place::artifact(&env);
    assert_fields(&env.json(["artifact", "show", &digest]).exits(0).json(), &["digest", "bytes", "text"]);
    let undone = env.json(["run", "undo", "last"]).exits(0).json();
    assert_fields(&undone, &["run_id", "reverted"]);
}

#[test]
fn deciding_commands_answer_in_json() {
    let env = place::clone();
    let publisher = Env::publisher();
    assert_fields(&env.json(["init"]).exits(0).json(), &["home", "created", "approver"]);
    let key = env.json(["key", "new", "acme"]).exits(0).json();
    assert_fields(&key, &["name", "role", "fingerprint", "public_key", "protected"]);
    let key = key["public_key"].as_str().unwrap();
    assert_fields(&env.json(["trust", "add", "acme", key]).exits(0).json(), &["publisher", "fingerprint"]);
    assert_fields(&env.json(["trust", "remove", "acme"]).exits(0).json(), &["publisher", "fingerprint"]);
    let install = env.json(["pack", "install", "packs/files", "--trust", &publisher]).exits(0).json();
    assert_fields(
        &install,
        &["pack", "version", "statement", "signer", "trusted_now", "granted", "not_granted"],
    );
    let grant = install["not_granted"][0].as_str().unwrap();
    assert_eq!(env.json(["grant", "add", "capstan:files", grant]).exits(0).json()[0]["grant"], grant);
    assert_eq!(env.json(["grant", "remove", "capstan:files", grant]).exits(0).json()[0]["grant"], grant);
    let signed = env.json(["pack", "sign", "packs/text"]).exits(0).json();
    assert_fields(&signed, &["pack", "version", "sequence", "statement", "fingerprint", "folder"]);
    assert_fields(
        &env.json(["pack", "new", "acme:notes"]).exits(0).json(),
        &["pack", "folder", "files", "operation"],
    );
    assert_eq!(env.json(["pack", "uninstall", "capstan:files"]).exits(0).json()["pack"], "capstan:files");
    let env = place::parked();
    assert_eq!(env.json(["run", "resume", "last"]).exits(3).json()["status"], "requires_approval");
    let cancelled = env.json(["run", "cancel", "last"]).exits(0).json();
    assert_eq!(
        (&cancelled["status"], &cancelled["reason"]["code"]),
        (&"cancelled".into(), &"E-RUN-CANCELLED".into())
    );
    let env = place::parked();
    assert_eq!(env.json(["reject", "last", "--reason", "no"]).exits(0).json()["status"], "failed");
    assert_eq!(env.run(["run", "show", "last"]).exits(0).says("E-APPROVAL-REJECTED").code, Some(0));
}

/// A document that got lost is no success; a reader who has enough is no failure.
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let env = place::installed();
    for format in ["text", "json"] {
        let line = format!("capstan op list --format {format}");
        drop(shell(&env, &format!("{line} > /dev/full")).exits(1).says("could not be written"));
        drop(shell(&env, &format!("{line} | head -c 1")).exits(0));
        drop(shell(&env, &line).exits(0));
    }
}

#[test]
fn events_go_on_after_the_last_one_seen() {
    let env = place::parked();
    let all = env.json(["run", "events", "last"]).exits(0).lines();
    let seen = all[3]["seq"].to_string();
    assert_eq!(env.json(["run", "events", "last", "--after", &seen]).exits(0).lines(), all[4..]);
    let last = all.last().unwrap()["seq"].to_string();
    assert_eq!(env.json(["run", "events", "last", "--after", &last]).exits(0).stdout, "");
}

#[test]
fn every_failure_has_one_form() {
    let env = place::installed();
    let failures: &[(&[&str], i32, &str)] = &[
        (&["plan", "run"], 2, "E-USAGE"),
        (&["paln"], 2, "E-USAGE"),
        (&[], 2, "E-USAGE"),
        (&["run", "show", "last", "--nope"], 2, "E-USAGE"),
        (&["key", "new", "Acme"], 2, "E-USAGE"),
        (&["plan", "check", "nosuch.plan.md"], 1, "E-FILE-IO"),
        (&["pack", "health", "acme:none"], 2, "E-PACK-UNKNOWN"),
        (&["op", "show", "capstan:text/words.cnt"], 2, "E-PLAN-OPERATION"),
        (&["op", "call", "capstan:text/words.count", "{}"], 2, "E-CALL-ARGUMENTS"),
        (&["grant", "add", "capstan:files", "clock"], 4, "E-GRANT-EXCEEDS-REQUEST"),
        (&["run", "show", "zzz"], 2, "E-RUN-UNKNOWN"),
        (&["approve", "last"], 2, "E-APPROVAL-UNKNOWN"),
        (&["artifact", "show", "sha256:0000"], 2, "E-ARTIFACT-UNKNOWN"),
    ];
    for (words, code, expected) in failures {
        let outcome = env.json(*words).exits(*code);
        let json = outcome.json();
        let error = &json["error"];
        assert_eq!(error["code"], *expected, "{words:?}: {json:#}");
        assert!(
            error["message"].as_str().is_some_and(|text| !text.is_empty() && !text.ends_with('.')),
            "{json:#}"
        );
        assert!(error["causes"].is_array() && error["hints"].is_array(), "{json:#}");
        assert_eq!(json.as_object().unwrap().len(), 1, "{json:#}");
        // The text has the same exit code, and says it on standard error.
        let text = env.run(*words).exits(*code);
        assert!(text.stdout.is_empty() && !text.stderr.is_empty(), "{words:?}: {}", text.said());
    }
    let json = env.json(["plan", "run"]).exits(2).json();
    assert!(json["error"]["message"].as_str().unwrap().contains("<PLANFILE>"), "{json:#}");
}
