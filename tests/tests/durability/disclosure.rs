//! An operation that reads files, artifacts or what programs print could put it into what it asks a
//! server for. Each such request waits for an approval of exactly it, unless a grant says that it may
//! disclose: a server on the loopback device counts what really arrives.

use serde_json::{Value, json};
use tests::Outcome;

use crate::held::{Got, RUN, Server, approve, approving, go_on, sweep_of, waiting};
use crate::scene::{Scene, count};

/// What the file says that is asked about.
const SECRET: &str = "what-the-file-says";

fn url(server: &Server) -> String {
    format!("http://127.0.0.1:{}/about", server.port)
}

fn http(server: &Server, capability: &str) -> String {
    format!("{capability}=http://127.0.0.1:{}/** via 127.0.0.0/8", server.port)
}

fn grant(scene: &Scene, words: &[&str]) {
    drop(scene.run(&[&["grant", "add", "test:asker"], words].concat()).exits(0));
}

/// A scene whose `test:asker` may read and write files, ask `server` and send to it.
fn scene(server: &Server, more: &[&str]) -> Scene {
    let scene = Scene::new();
    scene.env.write("note.txt", SECRET);
    for given in ["files-read=workspace:**", "files-write=workspace:**", &http(server, "http-send")] {
        grant(&scene, &[given]);
    }
    grant(&scene, &[&[http(server, "http-read").as_str()], more].concat());
    scene
}

fn plan(scene: &Scene, steps: &str) {
    let text =
        format!("schema: capstan.plan/v1\nname: ask\npacks: {{ p: test:asker ^0.1 }}\nsteps:\n{steps}");
    scene.env.write("held.plan.yaml", text);
}

/// A plan of one call; `with` are its arguments but for the URL.
fn one(scene: &Scene, server: &Server, operation: &str, with: &str) {
    let url = url(server);
    plan(
        scene,
        &format!(
            "  ask: {{ call: p/{operation}, with: {{ url: \"{url}\"{with} }} }}\noutputs: {{ answer: $ask }}\n"
        ),
    );
}

fn asking(server: &Server, more: &[&str]) -> Scene {
    let scene = scene(server, more);
    one(&scene, server, "ask.file", ", path: note.txt");
    scene
}

fn line(got: &Got) -> &str {
    got.head.lines().next().unwrap_or_default()
}

fn ask_line() -> String {
    format!("GET /about?{SECRET} HTTP/1.1")
}

fn run(scene: &Scene) -> Outcome {
    scene.run(RUN)
}

fn rules(approval: &Value) -> Vec<&str> {
    let reasons = approval["reasons"].as_array().expect("a list").iter();
    reasons.map(|reason| reason["rule"].as_str().expect("a rule")).collect()
}

#[test]
fn what_is_asked_for_is_approved_once_and_exactly() {
    let server = Server::start();
    let scene = asking(&server, &[]);
    // It is told before anything runs.
    let checked = scene.json(&["plan", "check", "held.plan.yaml"]);
    assert_eq!(checked["status"], "ok", "{checked:#}");
    assert_eq!(checked["gates"], json!(["ask"]));
    assert_eq!(checked["effects"][0]["effect"], "read");
    assert_eq!(checked["effects"][0]["discloses"], true);
    drop(scene.run(&["plan", "check", "held.plan.yaml"]).exits(0).says("could hold what it reads"));
    let explained = scene.json(&["grant", "explain", "test:asker", "ask.file"]);
    let rows = explained["capabilities"].as_array().expect("a list");
    let row = rows.iter().find(|row| row["capability"] == "http-read").expect("a row");
    assert_eq!(
        (&row["live"], &row["held"], &row["cut_by"]),
        (&json!(true), &json!("disclosure"), &Value::Null)
    );
    drop(scene.run(&["grant", "explain", "test:asker", "ask.file"]).exits(0).says("held for an approval"));

    drop(run(&scene).exits(3).says(SECRET).says("may-disclose"));
    assert!(server.got().is_empty(), "asked before anybody agreed");
    let shown = waiting(&scene);
    assert_eq!(shown["call"]["capability"], "http-read");
    assert_eq!(shown["call"]["target"], format!("GET {}?{SECRET}", url(&server)));
    assert_eq!(shown["effect"], "external", "{shown:#}");
    assert_eq!(
        rules(&shown),
        ["builtin:external-needs-approval", "builtin:disclosure-needs-approval"],
        "{shown:#}"
    );
    let text = shown["call"]["text"].as_str().expect("a text").to_owned();
    drop(approve(&scene).exits(0));
    let got = server.got();
    assert_eq!(got.len(), 1, "{got:?}");
    assert_eq!((line(&got[0]), got[0].body.as_str()), (ask_line().as_str(), ""));
    // What was shown is what came, and nothing but what every request has: in particular no key.
    assert_eq!(text, format!("GET {}?{SECRET}\nx-own: mine\n\n", url(&server)));
    let own = ["host", "user-agent", "accept-encoding", "connection", "x-own"];
    for line in got[0].head.lines().skip(1) {
        let name = line.split_once(": ").expect("a header").0.to_ascii_lowercase();
        assert!(own.contains(&name.as_str()), "{name} was not shown");
    }
    let view = scene.show();
    assert_eq!(view["outputs"]["answer"], "201 ok 1", "{view:#}");
    assert_eq!(view["steps"][0]["sent"][0]["answer"], "201, 4 bytes", "{view:#}");
    let id = view["approvals"][0]["id"].as_str().expect("an id").to_owned();
    drop(scene.run(&["approve", &id]).exits(4).says("E-APPROVAL-CONSUMED"));
    assert_eq!(server.got().len(), 1);
}

#[test]
fn what_nobody_agreed_to_is_not_asked_for() {
    let server = Server::start();
    let scene = asking(&server, &[]);
    drop(run(&scene).exits(3));
    drop(scene.run(&["reject", &scene.asked()]).exits(0));
    assert_eq!(scene.status(), "failed");
    // An operation that asks nothing of anybody asks no person either.
    plan(&scene, "  ask: { call: p/ask.maybe, with: { url: \"\" } }\noutputs: { answer: $ask }\n");
    drop(run(&scene).exits(0));
    assert_eq!(scene.show()["outputs"]["answer"], "nothing to ask");
    assert!(server.got().is_empty());
}

#[test]
fn the_very_same_request_twice_is_two_approvals() {
    let server = Server::start();
    let scene = scene(&server, &[]);
    one(&scene, &server, "ask.twice", "");
    drop(run(&scene).exits(3));
    let first = waiting(&scene);
    drop(approve(&scene).exits(3));
    assert_eq!(server.got().len(), 1, "the second request is another approval's");
    let second = waiting(&scene);
    assert_eq!(first["call"]["text"], second["call"]["text"]);
    assert_ne!(first["id"], second["id"]);
    drop(approve(&scene).exits(0));
    assert_eq!(server.got().len(), 2);
    assert_eq!(scene.show()["outputs"]["answer"], "201 ok 1, 201 ok 2");
    assert_eq!(count(&scene.events("last"), "approval_consumed"), 2);
}

#[test]
fn the_items_of_a_fan_out_ask_one_by_one() {
    let server = Server::start();
    let scene = scene(&server, &[]);
    scene.env.write("other.txt", "another");
    plan(
        &scene,
        &format!(
            "  ask: {{ for-each: [note.txt, other.txt], call: p/ask.file, with: {{ url: \"{}\", path: $item }} }}\noutputs: {{ answers: $ask }}\n",
            url(&server)
        ),
    );
    drop(run(&scene).exits(3));
    for (number, item) in ["ask[0]", "ask[1]"].into_iter().enumerate() {
        assert_eq!(server.got().len(), number);
        assert_eq!(waiting(&scene)["step"], item);
        drop(approve(&scene).exits(if number == 1 { 0 } else { 3 }));
    }
    let lines: Vec<String> = server.got().iter().map(|got| line(got).to_owned()).collect();
    assert_eq!(lines, [ask_line(), "GET /about?another HTTP/1.1".to_owned()]);
    assert_eq!(scene.show()["outputs"]["answers"][1], "201 ok 2");
}

#[test]
fn head_is_asked_for_likewise() {
    let server = Server::start();
    let scene = scene(&server, &[]);
    one(&scene, &server, "ask.head", ", path: note.txt");
    drop(run(&scene).exits(3));
    assert!(server.got().is_empty());
    assert_eq!(waiting(&scene)["call"]["target"], format!("HEAD {}?{SECRET}", url(&server)));
    drop(approve(&scene).exits(0));
    let lines: Vec<String> = server.got().iter().map(|got| line(got).to_owned()).collect();
    assert_eq!(lines, [format!("HEAD /about?{SECRET} HTTP/1.1")]);
    assert_eq!(scene.show()["outputs"]["answer"], "201 ok 1 0");
}

#[test]
fn what_may_disclose_is_asked_for_at_once() {
    let server = Server::start();
    let scene = asking(&server, &["--may-disclose"]);
    let checked = scene.json(&["plan", "check", "held.plan.yaml"]);
    assert_eq!((&checked["gates"], &checked["effects"][0]["discloses"]), (&json!([]), &json!(false)));
    drop(run(&scene).exits(0));
    assert_eq!(scene.show()["outputs"]["answer"], "201 ok 1");
    assert_eq!(count(&scene.events("last"), "approval_requested"), 0);
    // A call by itself is no run then.
    let arguments = json!({ "url": url(&server), "path": "note.txt" }).to_string();
    let call = ["op", "call", "test:asker/ask.file", &arguments];
    assert_eq!(scene.json(&call)["result"], "201 ok 2");
    assert_eq!(server.got().len(), 2);
    // What was granted for one place lends its word to no other.
    grant(&scene, &[&http(&server, "http-read")]);
    grant(
        &scene,
        &[&format!("http-read=http://127.0.0.1:{}/other via 127.0.0.0/8", server.port), "--may-disclose"],
    );
    drop(scene.run(&call).exits(3).says(SECRET));
    assert_eq!(server.got().len(), 2);
    drop(approve(&scene).exits(0));
    assert_eq!(server.got().len(), 3);
}

#[test]
fn a_grant_that_changed_makes_the_approval_stale() {
    let server = Server::start();
    let scene = asking(&server, &[]);
    drop(run(&scene).exits(3));
    let id = scene.asked();
    grant(&scene, &[&http(&server, "http-read"), "--may-disclose"]);
    drop(scene.run(&["approve", &id]).exits(3).says("E-APPROVAL-STALE"));
    assert!(server.got().is_empty());
    // Under the grants of now there is nothing to ask a person for.
    drop(scene.run(&["run", "resume", "last"]).exits(0));
    assert_eq!(server.got().len(), 1);
}

/// A run knows when it begins where it may stop. One that did not see this stop does not pass it.
#[test]
fn a_grant_that_changed_meanwhile_discloses_nothing() {
    let server = Server::start();
    let scene = scene(&server, &["--may-disclose"]);
    let url = url(&server);
    let text = format!(
        "schema: capstan.plan/v1\nname: ask\npacks: {{ p: test:asker ^0.1, files: capstan:files ^0.1 }}\nsteps:\n  \
         save: {{ call: files/tree.append, with: {{ path: log.txt, text: a }} }}\n  \
         ask: {{ needs: [save], call: p/ask.file, with: {{ url: \"{url}\", path: note.txt }} }}\n"
    );
    scene.env.write("held.plan.yaml", text);
    drop(run(&scene).exits(3));
    let asked_before = scene.asked();
    grant(&scene, &[&http(&server, "http-read")]);
    drop(scene.run(&["approve", &asked_before]).exits(1).says("E-RUN-STALE").says("start it again"));
    assert!(server.got().is_empty());
    // Positive control: started now, it waits where it has to.
    drop(run(&scene).exits(3));
    drop(approve(&scene).exits(3));
    assert_eq!(waiting(&scene)["step"], "ask");
}

#[test]
fn what_is_written_after_an_answer_waits_for_its_own_approval() {
    let server = Server::start();
    let scene = scene(&server, &[]);
    one(&scene, &server, "keep.write", ", path: note.txt");
    drop(run(&scene).exits(3));
    let asks = waiting(&scene);
    assert_eq!((&asks["effect"], &asks["call"]["capability"]), (&json!("external"), &json!("http-read")));
    // The file changes: the guest is answered what it was answered before.
    scene.env.write("note.txt", "something else");
    drop(approve(&scene).exits(3));
    assert_eq!(line(&server.got()[0]), ask_line());
    let writes = waiting(&scene);
    assert_eq!((&writes["effect"], &writes["call"]), (&json!("write"), &Value::Null), "{writes:#}");
    assert_eq!(rules(&writes), ["builtin:write-needs-approval"]);
    drop(approve(&scene).exits(0));
    assert_eq!(scene.env.read("note.txt.answer").as_deref(), Some("201 ok 1"));
    assert_eq!(server.got().len(), 1);
}

#[test]
fn an_operation_that_also_sends_asks_for_both() {
    let server = Server::start();
    let scene = scene(&server, &[]);
    one(&scene, &server, "keep.send", "");
    drop(run(&scene).exits(3));
    assert_eq!(waiting(&scene)["call"]["capability"], "http-read");
    drop(approve(&scene).exits(3));
    let sends = waiting(&scene);
    assert_eq!(sends["call"]["capability"], "http-send");
    assert_eq!(rules(&sends), ["builtin:external-needs-approval"]);
    drop(approve(&scene).exits(0));
    let lines: Vec<String> = server.got().iter().map(|got| line(got).to_owned()).collect();
    assert_eq!(lines, ["GET /about HTTP/1.1", "POST /about HTTP/1.1"]);
}

/// A call by itself that may have to be approved is a run of one step, as a write is.
#[test]
fn a_call_by_itself_waits_too() {
    let server = Server::start();
    let scene = scene(&server, &[]);
    let arguments = json!({ "url": url(&server), "path": "note.txt" }).to_string();
    drop(scene.run(&["op", "call", "test:asker/ask.file", &arguments]).exits(3).says(SECRET));
    assert!(server.got().is_empty());
    drop(approve(&scene).exits(0));
    assert_eq!(scene.show()["outputs"]["result"], "201 ok 1");
    assert_eq!(server.got().len(), 1);
}

/// GET changes nothing, and tells the server nothing that it was not told: it goes again, though the
/// operation says of itself that it is not idempotent.
#[test]
fn what_was_asked_for_by_a_process_that_died_is_asked_for_again() {
    sweep_of(
        |server| asking(server, &[]),
        |scene, server| {
            assert!(server.got().len() <= 1);
            assert_eq!(go_on(scene), "completed");
            let got = server.got();
            assert!((1..=2).contains(&got.len()), "{got:?}");
            assert!(got.iter().all(|one| one.head == got[0].head && line(one) == ask_line()), "{got:?}");
            let events = scene.events("last");
            assert_eq!((count(&events, "approval_consumed"), count(&events, "call_answered")), (1, 1));
        },
    );
    // The same while the server thinks.
    let server = Server::start();
    let scene = asking(&server, &[]);
    drop(run(&scene).exits(3));
    server.silence(true);
    let mut child = approving(&scene);
    server.wait_for(1);
    child.kill().expect("it runs");
    drop(child.wait());
    server.silence(false);
    assert_eq!(go_on(&scene), "completed");
    assert_eq!(server.got().len(), 2);
}
