//! The forms that programs read, and what a digest covers.

use base::{Code, Digest, FramedHasher};
use plan::{CheckStatus, PlanSource, check};
use serde_json::json;

use crate::catalog::FakeCatalog;
use crate::{HEAD, check as check_text, plan_of};

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
fn each_side_effect_waits_for_the_one_before() {
    let write = "call: files/tree.write, with: { path: a, text: b }";
    let plan = plan_of(&format!("steps: {{ a: {{ {write} }}, b: {{ {write} }}, c: {{ {write} }} }}\n"));
    let after = plan.steps.iter().flat_map(|step| step.depends_on.iter().map(base::StepId::as_str));
    assert_eq!(after.collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn steps_with_mistakes_have_no_effects_yet() {
    let checked = check_text(&format!(
        "{HEAD}steps:
  extra: {{ call: files/tree.list, with: {{ glob: a, globs: b }} }}
  each: {{ for-each: $nope, call: files/tree.list, with: {{ glob: a }} }}
  fine: {{ call: files/tree.list, with: {{ glob: a }} }}
"
    ));
    assert_eq!(checked.effects.iter().map(|effect| effect.step.as_str()).collect::<Vec<_>>(), ["fine"]);
}

#[test]
fn columns_are_characters() {
    let checked = check_text(&format!("{HEAD}steps: {{ a: {{ call: \"é/é\", wiht: 1 }} }}\n"));
    let found = checked.diagnostics.iter().find(|found| found.code == Code::PlanUnknownKey).unwrap();
    assert_eq!((found.at.line, found.at.column, found.at.end_column), (4, 28, 32));
}

#[test]
fn what_is_missing_at_the_end_has_no_width() {
    let checked = check_text(&format!("{HEAD}inputs: {{ a: {{ type: list<u8 }} }}\nsteps: {{}}\n"));
    let at = checked.diagnostics[0].at;
    assert_eq!((at.line, at.column, at.end_column), (4, 29, 29));
}

#[test]
fn a_name_ends_in_md_in_any_case() {
    let text = format!("```yaml planfile\n{HEAD}{SAVE}```\n");
    let checked = check(&PlanSource { name: "PLAN.MD", text: &text }, &FakeCatalog { write_granted: true });
    assert_eq!(checked.status(), CheckStatus::Ok);
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
