//! `plan check` names everything at once, with place, code and fix, and `plan run` says the same.

use serde_json::Value;
use tests::Env;

use crate::place;

/// One of each mistake. The second number of a row in `EXPECTED` is the line it is on.
const WRONG: &str = r#"schema: capstan.plan/v1
name: wrong
colour: red
packs:
  files: capstan:files ^0.1
  text: capstan:text ^0.1
steps:
  listing: { call: files/tree.lst, with: { glob: "**" } }
  missing: { call: files/tree.read, with: { root: workspace } }
  extra: { call: files/tree.read, with: { path: a.md, depth: 3 } }
  nested: { call: text/report.codemap, with: { heads: [{ path: a.rs, summary: 7 }] } }
  inner: { call: text/rust.head, with: { file: { path: a.rs } } }
  absent: { call: text/words.count, with: { text: $nowhere } }
  field: { call: text/words.count, with: { text: $inner.summery } }
  one: { call: text/diff.unified, with: { path: a, before: $two, after: "" } }
  two: { call: text/diff.unified, with: { path: a, before: $one, after: "" } }
"#;

const EXPECTED: [(&str, u64); 9] = [
    ("E-PLAN-UNKNOWN-KEY", 3),
    ("E-PLAN-OPERATION", 8),
    ("E-PLAN-ARGUMENT-MISSING", 9),
    ("E-PLAN-ARGUMENT-UNKNOWN", 10),
    ("E-PLAN-TYPE", 11),
    ("E-PLAN-ARGUMENT-MISSING", 12),
    ("E-PLAN-REFERENCE", 13),
    ("E-PLAN-REFERENCE", 14),
    ("E-PLAN-CYCLE", 15),
];

fn diagnostics(report: &Value) -> Vec<&Value> {
    report["diagnostics"].as_array().expect("a report has diagnostics").iter().collect()
}

fn runs(env: &Env) -> usize {
    env.json(["run", "list"]).exits(0).json().as_array().unwrap().len()
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let env = place::installed();
    env.write("wrong.plan.yaml", WRONG);
    let report = env.json(["plan", "check", "wrong.plan.yaml"]).exits(2).json();
    assert_eq!(report["status"], "ill-typed");
    let found = diagnostics(&report);
    for (code, line) in EXPECTED {
        let is_it = |found: &&&Value| found["code"] == code && found["line"] == line;
        let it = found.iter().find(is_it).unwrap_or_else(|| panic!("no {code} at line {line} in {report:#}"));
        for field in ["column", "end_line", "end_column"] {
            assert!(it[field].as_u64().is_some_and(|n| n > 0), "{code} has no {field}: {it:#}");
        }
        for field in ["message", "path", "fix"] {
            assert!(it[field].as_str().is_some_and(|text| !text.is_empty()), "{code} has no {field}: {it:#}");
        }
        assert_eq!(it["severity"], "error");
        assert!(it["related"].is_array());
    }
    let order: Vec<_> =
        found.iter().map(|found| (found["line"].as_u64(), found["column"].as_u64())).collect();
    assert!(order.is_sorted(), "not in the order of the text: {order:?}");
    let misspelt = found.iter().find(|found| found["code"] == "E-PLAN-OPERATION").unwrap();
    assert!(misspelt["fix"].as_str().unwrap().contains("tree.list"), "{misspelt:#}");

    // The text has the same findings, and a run is refused with the same report and not recorded.
    let text = env.run(["plan", "check", "wrong.plan.yaml"]).exits(2);
    for (code, line) in EXPECTED {
        assert!(text.said().contains(code) && text.said().contains(&format!("wrong.plan.yaml:{line}:")));
    }
    assert_eq!(env.json(["plan", "run", "wrong.plan.yaml"]).exits(2).json(), report);
    assert_eq!(env.run(["plan", "run", "wrong.plan.yaml"]).exits(2).stderr, text.stdout);
    assert_eq!(runs(&env), 0);
}

#[test]
fn the_same_key_twice_is_reported_where_it_is() {
    let env = place::installed();
    let plan = "schema: capstan.plan/v1\nname: twice\npacks: { text: capstan:text ^0.1 }\nsteps:\n  \
                a: { call: text/words.count, with: { text: x } }\n  a: { call: text/words.count, with: { text: y } }\n";
    env.write("twice.plan.yaml", plan);
    let report = env.json(["plan", "check", "twice.plan.yaml"]).exits(2).json();
    let found = diagnostics(&report);
    let it = found.iter().find(|found| found["code"] == "E-PLAN-DUPLICATE-KEY").unwrap();
    assert_eq!((it["line"].as_u64(), it["column"].as_u64()), (Some(6), Some(3)));
    assert!(it["fix"].is_string(), "{it:#}");
    env.write("twice.plan.yaml", plan.replacen("\n  a:", "\n  b:", 1));
    drop(env.run(["plan", "run", "twice.plan.yaml"]).exits(0));
}

#[test]
fn where_only_grants_are_missing_it_is_refused_and_says_which() {
    let env = place::installed();
    drop(env.run(["grant", "remove", "capstan:files", "files-write"]).exits(0));
    let report = env.json(["plan", "check", place::PLAN]).exits(4).json();
    assert_eq!(report["status"], "missing-grants");
    let found = diagnostics(&report);
    assert!(!found.is_empty() && found.iter().all(|found| found["code"] == "E-PLAN-GRANT"), "{report:#}");
    let fix = found[0]["fix"].as_str().unwrap();
    assert!(fix.contains("capstan grant add capstan:files 'files-write=workspace:**'"), "{fix}");
    assert_eq!(env.json(["plan", "run", place::PLAN]).exits(4).json(), report);
    assert_eq!(runs(&env), 0);
    drop(env.run(["grant", "add", "capstan:files", "files-write=workspace:**"]).exits(0));
    assert_eq!(env.json(["plan", "check", place::PLAN]).exits(0).json()["status"], "ok");
}
