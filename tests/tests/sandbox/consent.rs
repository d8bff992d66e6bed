//! A grant counts for the signer that it was given to, until it ends, below the ceiling, and beside a
//! source without a question only where it says so. Each refusal says which of these it is, and what is
//! to be typed.

use std::fs;

use serde_json::{Value, json};
use tests::golden::shell;
use tests::{Env, Outcome, repository};

use crate::guest::{call, copy, install, key, sign, wat_pack};

const READ: &str = "files-read=workspace:**";

fn read(env: &Env, path: &str) -> Outcome {
    let arguments = json!({ "root": "workspace", "path": path }).to_string();
    env.run(["op", "call", "test:writer/raw.read", &arguments])
}

/// A home in which the writer may read, and a file to be read.
fn with_reader() -> Env {
    let env = Env::with_home();
    install(&env, "writer", &[READ]);
    env.write("a.txt", "here");
    drop(read(&env, "a.txt").exits(0));
    env
}

/// Edits a file of the home.
fn edit(env: &Env, name: &str, edit: impl Fn(&str) -> String) {
    let path = env.home().join(name);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, edit(&text)).unwrap();
}

/// Lets every grant have ended long ago.
fn expire(env: &Env) {
    edit(env, "grants.toml", |text| text.replace("signer =", "expires = 2001-01-01T00:00:00Z\nsigner ="));
}

fn ceiling(env: &Env, lines: &str) {
    edit(env, "config.toml", |text| {
        let before = text.split("\n[ceiling]").next().unwrap();
        format!("{before}\n[ceiling]\n{lines}\n")
    });
}

/// Types the first hint, as a shell would.
#[track_caller]
fn type_hint(env: &Env, said: &Outcome) {
    let text = said.said();
    let hint = text.lines().find_map(|line| line.trim().strip_prefix("hint: ")).expect("a hint");
    assert!(hint.starts_with("capstan grant add test:"), "{hint}");
    drop(shell(env, hint).exits(0));
}

#[track_caller]
fn state(env: &Env, pack: &str) -> Value {
    let listed = env.json(["grant", "list", pack]).exits(0).json();
    listed[0]["lapse"].clone()
}

#[test]
fn a_pack_that_another_key_signed_gets_nothing_from_the_old_grants() {
    let env = Env::with_home();
    let folder = env.folder().join("writer");
    copy(&repository().join("tests/guests/writer/dist"), &folder);
    let path = folder.to_str().unwrap();
    env.write("a.txt", "here");
    let sign_with = |name: &str| {
        let fingerprint = key(&env, name);
        fs::remove_file(folder.join("pack.dsse.json")).unwrap();
        sign(&env, &folder, name);
        fingerprint
    };
    let first = sign_with("first");
    drop(env.run(["pack", "install", path, "--trust", &first, "--grant", READ]).exits(0));
    drop(read(&env, "a.txt").exits(0));
    assert_eq!(state(&env, "test:writer"), Value::Null);

    let second = sign_with("second");
    drop(env.run(["trust", "remove", "test"]).exits(0));
    let installed = env.json(["pack", "install", path, "--trust", &second]).exits(0).json();
    assert_eq!(installed["granted"], json!([]));
    assert_eq!(installed["lapsed"], json!([READ]));
    let denied = read(&env, "a.txt").exits(4).says("E-CALL-DENIED");
    let denied = denied.says("is granted, but not to a pack signed by the key that signed this one");
    assert_eq!(state(&env, "test:writer"), "other_signer");
    let explained = env.json(["grant", "explain", "test:writer", "raw.read"]).exits(0).json();
    assert_eq!(explained["capabilities"][0]["cut_by"], "other_signer");
    assert_eq!(explained["capabilities"][0]["other_signer"], json!(["workspace:**"]));
    type_hint(&env, &denied);
    drop(read(&env, "a.txt").exits(0));
    // The old signer has nothing left, either: of one scope the last word counts.
    assert_eq!(env.json(["grant", "list"]).exits(0).json().as_array().unwrap().len(), 1);
}

#[test]
fn a_grant_without_a_signer_is_nobodys() {
    let env = with_reader();
    edit(&env, "grants.toml", |text| {
        text.lines().filter(|line| !line.starts_with("signer")).map(|line| format!("{line}\n")).collect()
    });
    let denied = read(&env, "a.txt").exits(4).says("not to a pack signed by the key that signed this one");
    type_hint(&env, &denied);
    drop(read(&env, "a.txt").exits(0));
}

#[test]
fn a_grant_that_has_ended_denies_and_is_given_anew() {
    let env = with_reader();
    expire(&env);
    let denied = read(&env, "a.txt").exits(4).says("was granted, and the grant has expired");
    assert_eq!(state(&env, "test:writer"), "expired");
    drop(env.run(["doctor"]).says("1 grant(s) are not in force"));
    // A plan says so before anything runs.
    let plan = json!({
        "schema": "capstan.plan/v1", "name": "one", "packs": { "w": "test:writer ^0.1" },
        "steps": { "one": { "call": "w/raw.read", "with": { "root": "workspace", "path": "a.txt" } } },
    });
    env.write("one.plan.yaml", format!("{plan:#}\n"));
    let checked = env.run(["plan", "check", "one.plan.yaml"]).exits(4).says("E-PLAN-GRANT");
    let checked = checked.says("the grant has expired");
    drop(checked.says("capstan grant add test:writer 'files-read=workspace:**' --expires 1d"));
    type_hint(&env, &denied);
    drop(read(&env, "a.txt").exits(0));
    drop(env.run(["plan", "check", "one.plan.yaml"]).exits(0));
    let listed = env.json(["grant", "list"]).exits(0).json();
    assert!(listed[0]["expires"].is_string(), "{listed:#}");
}

#[test]
fn an_end_is_a_duration_or_a_time_ahead() {
    let env = with_reader();
    let add = |when: &str| env.run(["grant", "add", "test:writer", READ, "--expires", when]);
    for good in ["1h", "30d", "2900-01-31T12:00:00Z", "2900-01-31T12:00:00+02:00"] {
        drop(add(good).exits(0).says("until "));
        drop(read(&env, "a.txt").exits(0));
    }
    for bad in ["", "soon", "1y", "0s", "2001-01-01T00:00:00Z", "2900-01-31", "200000000000d", "-1h"] {
        let said = env.run(["grant", "add", "test:writer", READ, &format!("--expires={bad}")]);
        drop(said.exits(2).says("E-USAGE"));
    }
    let listed = env.json(["grant", "list"]).exits(0).json();
    assert_eq!(listed[0]["expires"], "2900-01-31T10:00:00Z");
}

#[test]
fn no_grant_passes_the_ceiling() {
    let env = with_reader();
    env.write("docs/b.txt", "here");
    let all = &["files-read=workspace:**", "files-write=workspace:**"];
    ceiling(&env, "files-read = [\"workspace:docs/**\"]");
    drop(read(&env, "docs/b.txt").exits(0));
    let denied = read(&env, "a.txt").exits(4).says("E-CALL-DENIED");
    let denied = denied.says("is forbidden by the ceiling in `config.toml`, which no grant passes");
    assert!(!denied.said().contains("hint:"), "{}", denied.said());
    for grant in ["files-read=workspace:a.txt", all[1]] {
        drop(env.run(["grant", "add", "test:writer", grant]).exits(4).says("E-GRANT-ABOVE-CEILING"));
    }
    let folder = repository().join("tests/guests/writer");
    let install = ["pack", "install", folder.to_str().unwrap(), "--grant", all[1]];
    drop(env.run(install).exits(4).says("E-GRANT-ABOVE-CEILING"));
    // What it leaves some of can be granted, and that is said.
    drop(env.run(["grant", "add", "test:writer", all[0]]).exits(0).says("may leave less of it"));
    assert_eq!(state(&env, "test:writer"), Value::Null);
    // Without a line the capability is forbidden, with `true` it is not cut.
    ceiling(&env, "files-write = true");
    drop(read(&env, "docs/b.txt").exits(4).says("is forbidden by the ceiling"));
    assert_eq!(state(&env, "test:writer"), "ceiling");
    ceiling(&env, "files-read = true\nfiles-write = true");
    drop(read(&env, "a.txt").exits(0));
    drop(env.run(["grant", "add", "test:writer", all[1]]).exits(0));
}

#[test]
fn a_ceiling_that_means_nothing_is_refused() {
    let env = with_reader();
    for (lines, says) in [
        ("files-raed = true", "neither a capability"),
        ("files-read = false", "leave it out"),
        ("files-read = []", "needs at least one scope"),
        ("files-read = [\"nonsense\"]", "is not a scope"),
        ("clock = [\"workspace:**\"]", "it has no scopes"),
        ("log = true", "needs no request and no grant"),
        ("files-read = { fuel = \"1\" }", "expected `true` or a list"),
        ("limits = { fual = \"1\" }", "unknown limit `fual`"),
        ("limits = { stack = \"1KiB\" }", "unknown limit `stack`"),
        ("limits = { fuel = \"0\" }", "at least 1"),
        ("limits = true", "neither a capability"),
    ] {
        ceiling(&env, lines);
        drop(read(&env, "a.txt").exits(2).says("E-CONFIG-MALFORMED").says(says));
    }
    ceiling(&env, "files-read = true\nlimits = { fuel = \"1G\" }");
    drop(read(&env, "a.txt").exits(0));
}

/// The least of operation, grant and ceiling ends a call, whichever it is.
#[test]
fn each_side_lowers_the_limits_of_a_call() {
    let env = with_reader();
    let traps = || call(&env, "test:writer/raw.read", &json!({ "root": "workspace", "path": "a.txt" }));
    assert_eq!(traps()["outcome"], "returned");
    drop(
        env.run(["grant", "add", "test:writer", READ, "--limit", "fuel=100"])
            .exits(0)
            .says("limits fuel 100"),
    );
    assert_eq!((&traps()["outcome"], &traps()["reason"]), (&json!("trapped"), &json!("fuel")));
    let decided = |by: &str| {
        let explained = env.json(["grant", "explain", "test:writer", "raw.read"]).exits(0).json();
        assert_eq!(explained["limits"][0]["limit"], "fuel");
        assert_eq!(explained["limits"][0]["decided_by"], by);
        drop(env.run(["pack", "health", "test:writer"]).exits(0).says(&format!("lowered: fuel by the {by}")));
    };
    decided("grant");
    ceiling(&env, "files-read = true\nlimits = { fuel = \"50\" }");
    assert_eq!(traps()["reason"], "fuel");
    decided("ceiling");
    drop(env.run(["grant", "add", "test:writer", READ]).exits(0));
    assert_eq!(traps()["reason"], "fuel");
    ceiling(&env, "files-read = true\nlimits = { fuel = \"1G\" }");
    assert_eq!(traps()["outcome"], "returned");
    for bad in ["fuel", "fuel=", "fual=1", "fuel=0", "wall=1"] {
        let said = env.run(["grant", "add", "test:writer", READ, "--limit", bad]);
        drop(said.exits(2).says("E-USAGE").says("--limit fuel=1G"));
    }
}

/// Asks for a URL of no use, and gives the number of the error's case. It could read files, too.
const ASKS: &str = r#"(component
  (import "capstan:host/files-read@0.1.0" (instance
    (type $fe' (variant (case "denied" string) (case "not-found") (case "exists") (case "not-a-file")
      (case "not-a-directory") (case "invalid-path" string) (case "too-large") (case "io" string)))
    (export "file-error" (type $fe (eq $fe')))
    (export "read" (func (param "root" string) (param "path" string) (result (result (list u8) (error $fe)))))))
  (import "capstan:host/http-read@0.1.0" (instance $http
    (type $he' (variant (case "denied" string) (case "invalid-url" string) (case "invalid-header" string)
      (case "resolve" string) (case "refused-address" string) (case "connect" string) (case "tls" string)
      (case "timeout") (case "too-large") (case "protocol" string)
                (case "secret" string)))
    (export "http-error" (type $he (eq $he')))
    (type $m' (enum "get" "head"))
    (export "method" (type $m (eq $m')))
    (type $h' (record (field "name" string) (field "value" string)))
    (export "header" (type $h (eq $h')))
    (type $q' (record (field "method" $m) (field "url" string) (field "headers" (list $h))
                (field "secrets" (list string))))
    (export "request" (type $q (eq $q')))
    (type $r' (record (field "status" u16) (field "headers" (list $h)) (field "body" (list u8))))
    (export "response" (type $r (eq $r')))
    (export "fetch" (func (param "request" $q) (result (result $r (error $he)))))))
  (core module $Heap (memory (export "memory") 1) (data (i32.const 0) "http://127.0.0.1/a")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096)))
  (core instance $heap (instantiate $Heap))
  (alias core export $heap "memory" (core memory $memory))
  (alias core export $heap "realloc" (core func $realloc))
  (core func $fetch (canon lower (func $http "fetch") (memory $memory) (realloc $realloc)))
  (core instance $host (export "fetch" (func $fetch)))
  (core module $Main
    (import "heap" "memory" (memory 0))
    (import "host" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32)))
    (func (export "ask") (result i32)
      (call $fetch (i32.const 0) (i32.const 0) (i32.const 18) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 64))
      (i32.load8_u (i32.const 68))))
  (core instance $main (instantiate $Main (with "heap" (instance $heap)) (with "host" (instance $host))))
  (func $ask (result u32) (canon lift (core func $main "ask")))
  (instance $ops (export "ask" (func $ask)))
  (export "test:asks/ops@0.1.0" (instance $ops)))"#;

/// `denied` and `refused-address`, which is as far as a request without a network gets.
const DENIED: u64 = 0;
const REFUSED_ADDRESS: u64 = 4;

#[test]
fn beside_a_source_a_request_waits_unless_its_grant_may_disclose() {
    let env = crate::guest::with_test_key();
    let manifest = "[pack]\nid = \"test:asks\"\nversion = \"0.1.0\"\nlicense = \"MIT\"\n\n\
        [operations.\"ops.ask\"]\neffect = \"read\"\nidempotent = true\n\n\
        [capabilities]\nfiles-read = [\"workspace:**\"]\nhttp-read = [\"http://*/**\"]\n";
    let folder = wat_pack(&env, "asks", ASKS, manifest);
    sign(&env, &folder, "test");
    drop(env.run(["pack", "install", folder.to_str().unwrap()]).exits(0));
    let asks = || call(&env, "test:asks/ops.ask", &json!({}))["result"].as_u64().unwrap();
    let grant = |more: &[&str]| drop(env.run([&["grant", "add", "test:asks"], more].concat()).exits(0));
    grant(&["http-read=http://127.0.0.1/**"]);
    assert_eq!(asks(), REFUSED_ADDRESS, "without a source");
    grant(&[READ]);
    let asked = env.json(["op", "call", "test:asks/ops.ask"]).exits(3).json();
    let (approval, row) = (&asked["approvals"][0], |view: &Value| view["capabilities"][1].clone());
    assert_eq!(approval["call"]["target"], "GET http://127.0.0.1/a", "{asked:#}");
    assert_eq!(approval["effect"], "external");
    let explain = || row(&env.json(["grant", "explain", "test:asks", "ops.ask"]).exits(0).json());
    assert_eq!((&explain()["held"], &explain()["live"]), (&json!("disclosure"), &json!(true)));
    // What is approved is asked for, as far as that gets without a network.
    let done = env.json(["approve", approval["id"].as_str().unwrap()]).exits(0).json();
    assert_eq!(done["outputs"]["result"], REFUSED_ADDRESS, "{done:#}");
    drop(env.run(["grant", "remove", "test:asks", "http-read=http://127.0.0.1/**"]).exits(0));
    assert_eq!(asks(), DENIED, "not granted, so not even asked about");
    grant(&["http-read=http://127.0.0.1/**", "--may-disclose"]);
    assert_eq!(asks(), REFUSED_ADDRESS);
    assert_eq!(
        (&explain()["held"], &explain()["may_disclose"][0]),
        (&Value::Null, &json!("http://127.0.0.1/**"))
    );
    // Only where a pack asks anything of anybody.
    let wrong = env.run(["grant", "add", "test:asks", READ, "--may-disclose"]);
    drop(wrong.exits(2).says("E-GRANT-MALFORMED").says("sends nothing"));
}
