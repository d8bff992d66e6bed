//! What a pack that may fetch from every host can reach: no private or reserved address, however it
//! is spelt and whatever name leads there.
//!
//! The tests make a network namespace of their own, in which *every* address is this machine: the
//! loopback device takes all packets, so that a request which gets past the host's checks arrives,
//! wherever it meant to go, and is counted. No packet leaves the namespace.

mod names;
mod spellings;
mod world;

use std::io::Write as _;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use serde_json::{Value, json};
use tests::Env;

use crate::guest::call;
use spellings::Case;
use world::{PUBLIC_V4, World};

const INSIDE: &str = "CAPSTAN_TEST_NAMESPACE";

/// Runs one test of this binary again in a namespace. Where there can be none, says so past the
/// test runner, which shows only what failing tests print. Gives whether this is the inside.
fn in_namespace(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let enter = |program: &str, arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "--mount", "--", program]).args(arguments);
        command.env(INSIDE, "1").output()
    };
    let can = enter("ip", &["route", "add", "local", "0.0.0.0/0", "dev", "lo"]);
    if !can.as_ref().is_ok_and(|can| can.status.success()) {
        let line = format!("SKIPPED {test}: no network namespace can be made here: {can:?}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return false;
    }
    let this = std::env::current_exe().unwrap();
    let done = enter(this.to_str().unwrap(), &["--exact", test, "--nocapture"]).unwrap();
    let (said, why) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && said.contains("1 passed"), "{said}{why}");
    false
}

/// A home whose `capstan:http` may fetch from every host, of no special network.
fn with_http(more: &[&str]) -> Env {
    let env = Env::with_home();
    let mut words = vec!["--grant", "http-read=http://*:*/**", "--grant", "http-read=https://*:*/**"];
    words.extend(more.iter().flat_map(|grant| ["--grant", grant]));
    env.install("packs/http", &words);
    env
}

fn get(env: &Env, url: &str) -> Value {
    call(env, "capstan:http/fetch.get", &json!({ "url": url }))
}

/// The word for what became of a call: `returned`, or the case of the failure.
fn outcome(said: &Value) -> String {
    if said["outcome"] == "returned" {
        return "returned".to_owned();
    }
    let reason = &said["result"]["reason"];
    match reason {
        Value::Object(case) => case.keys().next().cloned().unwrap_or_default(),
        Value::String(case) => case.clone(),
        _ => format!("{said}"),
    }
}

/// Calls for each case on two threads, and gives what was not as expected.
fn surprises(env: &Env, cases: &[Case]) -> Vec<String> {
    let (next, found) = (Mutex::new(cases.iter()), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let Some(case) = next.lock().unwrap().next() else { return };
            let said = get(env, &case.url);
            let became = outcome(&said);
            let hidden = said["result"].to_string().contains(world::CANARY);
            let recorded = case.expected != "refused-address"
                || said["denied"].as_array().is_some_and(|denied| denied.len() == 1);
            if became != case.expected || hidden || !recorded {
                found.lock().unwrap().push(format!("{} {}: {said}", case.url, case.expected));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(work);
        }
    });
    found.into_inner().unwrap()
}

#[test]
fn no_spelling_reaches_a_special_address() {
    if !in_namespace("http::no_spelling_reaches_a_special_address") {
        return;
    }
    let world = World::new();
    let env = with_http(&["http-read=http://127.0.0.9:*/** via 127.0.0.0/8"]);
    // What counts connections counts them: this one is granted, and arrives there.
    let canary = get(&env, "http://127.0.0.9/");
    assert_eq!(canary["result"]["text"], world::CANARY, "{canary:#}");
    assert_eq!(world.canaries().len(), 1);

    let cases = spellings::all();
    assert!(cases.len() >= 200, "{}", cases.len());
    assert_eq!(surprises(&env, &cases), Vec::<String>::new());
    assert_eq!(world.canaries().len(), 1, "{:?}", world.canaries());
    let granted = cases.iter().filter(|case| case.expected == "returned").count();
    assert_eq!(world.requests().len(), granted);
}

/// An absolute URL where a path is expected, and whatever else looks like another host, stays where
/// it was: in the path.
#[test]
fn a_request_names_one_host_and_its_path() {
    if !in_namespace("http::a_request_names_one_host_and_its_path") {
        return;
    }
    let world = World::new();
    let env = with_http(&[]);
    for (path, target) in [
        ("/http://127.0.0.1/", "/http://127.0.0.1/"),
        ("//127.0.0.1/", "//127.0.0.1/"),
        ("/@127.0.0.1/", "/@127.0.0.1/"),
        ("/?url=http://127.0.0.1/", "/?url=http://127.0.0.1/"),
        ("/%0d%0ahost:%20127.0.0.1", "/%0d%0ahost:%20127.0.0.1"),
        ("?x=%20HTTP/1.1", "/?x=%20HTTP/1.1"),
        ("/a#@127.0.0.1/", "/a"),
    ] {
        assert_eq!(outcome(&get(&env, &format!("http://{PUBLIC_V4}{path}"))), "returned", "{path}");
        let request = world.requests().pop().unwrap();
        assert!(request.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{request}");
        assert_eq!(request.to_lowercase().matches("\nhost:").count(), 1, "{request}");
        assert!(request.contains(&format!("\r\nhost: {PUBLIC_V4}\r\n")), "{request}");
    }
    assert_eq!(world.canaries(), Vec::<String>::new());
}

/// Each hop of a redirect is a call of its own, decided like the first.
#[test]
fn no_redirect_is_followed_and_its_target_is_decided_anew() {
    if !in_namespace("http::no_redirect_is_followed_and_its_target_is_decided_anew") {
        return;
    }
    let world = World::new();
    let env = with_http(&[]);
    let targets = spellings::all().into_iter().filter(|case| case.expected == "refused-address");
    let targets: Vec<Case> = targets.step_by(7).take(20).collect();
    assert_eq!(targets.len(), 20);
    for target in &targets {
        // Two public hops, then the target.
        let last = format!("http://{PUBLIC_V4}/to/{}", target.url);
        let mut url = format!("http://{PUBLIC_V4}/to/{last}");
        for _ in 0..2 {
            let said = get(&env, &url);
            assert_eq!(said["result"]["status"], 302, "{said:#}");
            let headers = said["result"]["headers"].as_array().unwrap();
            let location = headers.iter().find(|header| header["name"] == "location").unwrap();
            url = location["value"].as_str().unwrap().to_owned();
        }
        assert_eq!(url, target.url);
        assert_eq!(outcome(&get(&env, &url)), "refused-address", "{url}");
    }
    assert_eq!(world.requests().len(), 2 * targets.len());
    assert_eq!(world.canaries(), Vec::<String>::new());
}

#[test]
fn no_name_reaches_a_special_address() {
    if !in_namespace("http::no_name_reaches_a_special_address") {
        return;
    }
    let world = World::new();
    let env = with_http(&[]);
    for (name, answers, expected) in names::fixed() {
        world.script(&name, vec![answers]);
        assert_eq!(outcome(&get(&env, &format!("http://{name}/"))), expected, "{name}");
    }
    assert_eq!(world.canaries(), Vec::<String>::new());
    // One bad answer among good ones is enough, wherever it stands.
    assert!(names::fixed().iter().any(|(_, answers, _)| answers.len() > 1));
}

/// A name that means something else at each lookup: whatever was vetted is dialled, since a call
/// looks a name up once.
#[test]
fn a_name_that_changes_its_mind_gains_nothing() {
    if !in_namespace("http::a_name_that_changes_its_mind_gains_nothing") {
        return;
    }
    let world = World::new();
    let env = with_http(&[]);
    let schedules = names::schedules();
    assert_eq!(schedules.len(), 20);
    for (name, steps) in schedules {
        world.script(&name, steps.iter().map(|(answers, _)| answers.clone()).collect());
        for (step, (_, expected)) in steps.iter().enumerate() {
            let said = get(&env, &format!("http://{name}/"));
            assert_eq!(outcome(&said), *expected, "{name} step {step}: {said}");
        }
        assert_eq!(world.lookups(&name), steps.len(), "{name} is looked up once a call");
    }
    assert_eq!(world.canaries(), Vec::<String>::new());
}

/// Needs no network: what is granted here is refused for its address.
#[test]
fn the_hint_of_a_denied_request_is_what_it_needs() {
    let env = Env::with_home();
    env.install("packs/http", &[]);
    let fetch =
        |url: &str| env.json(["op", "call", "capstan:http/fetch.get", &json!({ "url": url }).to_string()]);
    for url in [
        "http://127.0.0.1/plain",
        "https://127.0.0.1:8443/",
        "http://127.0.0.1/it's/$HOME/`id`/*?a=b c".replace(' ', "+").as_str(),
        "http://127.0.0.1/{x,y}/[z]/**/.well-known/",
        "http://127.0.0.1/über?näh",
        "http://[::1]:8080/a;b&c",
    ] {
        let denied = fetch(url).exits(4).json();
        assert_eq!(outcome(&denied), "denied", "{denied:#}");
        let [hint] = denied["missing_grants"].as_array().unwrap().as_slice() else { panic!("{denied:#}") };
        drop(tests::golden::shell(&env, hint.as_str().unwrap()).exits(0));
        assert_eq!(outcome(&fetch(url).exits(4).json()), "refused-address", "{hint}");
        for grant in env.json(["grant", "list", "capstan:http"]).exits(0).json().as_array().unwrap() {
            drop(env.run(["grant", "remove", "capstan:http", grant["grant"].as_str().unwrap()]).exits(0));
        }
    }
}

/// A pack that asks for both is told of: what an operation that reads asks for has to be approved.
#[test]
fn an_audit_warns_of_what_could_disclose() {
    let env = Env::with_home();
    let capabilities = |lines: &str| {
        let manifest = crate::guest::manifest("test:both", "ops.run").replace("\"pure\"", "\"read\"");
        let component = r#"(component (core module $M (func (export "run"))) (core instance $m (instantiate $M))
            (func $run (canon lift (core func $m "run"))) (instance $i (export "run" (func $run)))
            (export "test:both/ops@0.1.0" (instance $i)))"#;
        let manifest = format!("{manifest}\n[capabilities]\n{lines}");
        let folder = crate::guest::wat_pack(&env, "both", component, &manifest);
        let said = env.json(["pack", "audit", folder.to_str().unwrap()]).exits(0).json();
        let warnings = said["warnings"].as_array().unwrap().iter();
        warnings.filter(|warning| warning.as_str().unwrap().contains("could hold what was read")).count()
    };
    let http = "http-read = [\"https://*/**\"]\n";
    assert_eq!(capabilities(http), 0);
    assert_eq!(capabilities(&format!("{http}clock = true\n")), 0);
    assert_eq!(capabilities(&format!("{http}files-read = [\"workspace:**\"]\n")), 1);
    assert_eq!(capabilities(&format!("{http}artifacts = true\n")), 1);
    assert_eq!(capabilities("artifacts = true\n"), 0);
}
