//! The forms that programs read, and what a digest covers.

use base::{Code, Digest, FramedHasher};
use plan::{CheckStatus, PlanSource, check};
use serde_json::json;

use crate::catalog::FakeCatalog;
use crate::{HEAD, plan_of};

const SAVE: &str = "steps:
  late: { call: files/tree.write, with: { path: a, text: b } }
  early: { call: files/tree.list, with: { glob: a } }
  last: { call: files/tree.append, with: { path: a, text: b }, approval: { expires: 90s } }
";

#[test]
fn missing_grants_alone_are_a_refusal_with_the_command_that_grants() {
    let text = format!("{HEAD}{SAVE}");
    let source = PlanSource { name: "dir/save.plan.yaml", text: &text };
    let refused = check(&source, &FakeCatalog { write_granted: false });
    assert_eq!(refused.status(), CheckStatus::Refused);
    let json = refused.to_json();
    assert_eq!(json["status"], "refused");
    assert_eq!(json["digest"], serde_json::Value::Null);
    let found = json!([{
        "code": "E-PLAN-GRANT",
        "severity": "error",
        "message": "the step `late` needs `files-write`, which is not granted to `capstan:files`",
        "path": "dir/save.plan.yaml",
        "line": 5, "column": 17, "end_line": 5, "end_column": 33,
        "expected": null,
        "related": [{ "message": "`last` needs it too", "line": 7, "column": 17, "end_line": 7, "end_column": 34 }],
        "fix": "capstan grant add capstan:files 'files-write=workspace:**'",
    }]);
    assert_eq!(json["diagnostics"], found);
    let granted = check(&source, &FakeCatalog { write_granted: true });
    assert_eq!(granted.status(), CheckStatus::Ok);
    let granted = granted.to_json();
    assert_eq!(granted["diagnostics"], json!([]));
    assert_eq!(granted["effects"], json["effects"]);
    assert_eq!(
        granted["gates"],
        json!([
            { "step": "late", "effect": "write", "reason": "effect", "expires_ms": null },
            { "step": "last", "effect": "write", "reason": "plan", "expires_ms": 90_000 },
        ])
    );
    assert_eq!(granted["effects"][0]["capabilities"], json!(["files-read", "files-write"]));
}

#[test]
fn a_mistake_beside_a_missing_grant_is_not_a_mere_refusal() {
    let text = format!("{HEAD}{SAVE}  wrong: {{ call: files/tree.lits }}\n");
    let checked = check(&PlanSource { name: "a.yaml", text: &text }, &FakeCatalog { write_granted: false });
    assert_eq!(checked.status(), CheckStatus::Malformed);
    let codes: Vec<_> = checked.diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!(codes, [Code::PlanGrant, Code::PlanOperation]);
}

#[test]
fn side_effects_keep_the_files_order_and_nothing_else_is_held_back() {
    let plan = plan_of(SAVE);
    let after: Vec<(&str, Vec<&str>)> = plan
        .steps
        .iter()
        .map(|step| (step.id.as_str(), step.depends_on.iter().map(base::StepId::as_str).collect()))
        .collect();
    assert_eq!(after, [("late", vec![]), ("early", vec![]), ("last", vec!["late"])]);
    assert!(plan.step(&"late".parse().unwrap()).unwrap().gate);
    assert!(!plan.step(&"early".parse().unwrap()).unwrap().gate);
}

#[test]
fn the_digest_covers_the_bytes_and_the_packs() {
    let plan = plan_of(SAVE);
    let text = format!("{HEAD}{SAVE}");
    let mut expected = FramedHasher::new("capstan/plan/v1").field(&text).number(3);
    for (alias, id) in [("files", "capstan:files"), ("s", "acme:shapes"), ("text", "capstan:text")] {
        expected = expected.field(alias).field(id).digest(&Digest::of(id.as_bytes()));
    }
    assert_eq!(plan.digest, expected.finish());
    assert_ne!(plan.digest, plan_of(&format!("{SAVE}# a comment\n")).digest);
    let other = HEAD.replace(", s: acme:shapes ^0.1", "");
    let without = check(
        &PlanSource { name: "a.yaml", text: &format!("{other}{SAVE}") },
        &FakeCatalog { write_granted: true },
    );
    assert_ne!(plan.digest, without.plan.unwrap().digest);
}
