//! Outgoing calls: a server on the loopback device counts what really arrives. It sees exactly what
//! was approved, once, with its key, whatever happens to the process; where that cannot be known,
//! the run says so and waits.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use serde_json::Value;
use tests::Outcome;

use crate::scene::{Scene, count};

/// The points between the approval of a call and the end of the run.
pub const SEND: &[&str] =
    &["journal:before-commit", "journal:after-commit", "run:before-send", "run:after-send"];

/// What a server got, as it came.
#[derive(Clone, Debug)]
pub struct Got {
    pub head: String,
    pub body: String,
}

impl Got {
    pub fn header(&self, name: &str) -> Option<String> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    }

    fn key(&self) -> String {
        self.header("idempotency-key").expect("each request has a key")
    }
}

#[derive(Default)]
struct Seen {
    got: Mutex<Vec<Got>>,
    /// Whether answers wait.
    silent: Mutex<bool>,
    news: Condvar,
}

/// A server that keeps what it gets, and answers `ok <number>`, to HEAD in a header.
pub struct Server {
    pub port: u16,
    seen: Arc<Seen>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { port, seen }
    }

    /// With a query, which is part of what is approved.
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/issues?of=a&by=b", self.port)
    }

    fn grant(&self) -> String {
        format!("http-send=http://127.0.0.1:{}/** via 127.0.0.0/8", self.port)
    }

    pub fn got(&self) -> Vec<Got> {
        self.seen.got.lock().expect("nobody panicked").clone()
    }

    pub fn silence(&self, silent: bool) {
        *self.seen.silent.lock().expect("nobody panicked") = silent;
        self.seen.news.notify_all();
    }

    /// Waits until `count` requests came.
    pub fn wait_for(&self, count: usize) {
        let got = self.seen.got.lock().expect("nobody panicked");
        drop(self.seen.news.wait_while(got, |got| got.len() < count));
    }
}

fn serve(mut stream: TcpStream, seen: &Seen) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let got = loop {
        let read = stream.read(&mut buffer).unwrap_or(0);
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let got = Got { head: head.to_owned(), body: body.to_owned() };
            let length: usize =
                got.header("content-length").map_or(0, |length| length.parse().expect("a number"));
            if got.body.len() >= length {
                break got;
            }
        }
        if read == 0 {
            return;
        }
    };
    let is_head = got.head.starts_with("HEAD ");
    let number = {
        let mut all = seen.got.lock().expect("nobody panicked");
        all.push(got);
        all.len()
    };
    seen.news.notify_all();
    let silent = seen.silent.lock().expect("nobody panicked");
    drop(seen.news.wait_while(silent, |silent| *silent));
    let text = format!("ok {number}");
    let body = if is_head { "" } else { &text };
    let head = format!("HTTP/1.1 201 Created\r\nx-head: {text}\r\ncontent-length: {}\r\n\r\n", text.len());
    // Whoever asked may be dead by now.
    drop(write!(stream, "{head}{body}"));
}

/// A scene whose `test:sender` may send to `server`.
fn scene(server: &Server) -> Scene {
    let scene = Scene::new();
    drop(scene.run(&["grant", "add", "test:sender", &server.grant()]).exits(0));
    drop(scene.run(&["grant", "add", "test:sender", "files-read=workspace:**"]).exits(0));
    drop(scene.run(&["grant", "add", "test:sender", "files-write=workspace:**"]).exits(0));
    drop(scene.run(&["grant", "add", "test:sender", "clock"]).exits(0));
    drop(scene.run(&["grant", "add", "test:sender", "random"]).exits(0));
    scene
}

fn plan(scene: &Scene, steps: &str) {
    let text =
        format!("schema: capstan.plan/v1\nname: held\npacks: {{ p: test:sender ^0.1 }}\nsteps:\n{steps}");
    scene.env.write("held.plan.yaml", text);
}

fn one(scene: &Scene, server: &Server, operation: &str, text: &str) {
    plan(
        scene,
        &format!(
            "  send: {{ call: p/mail.{operation}, with: {{ url: \"{}\", text: \"{text}\" }} }}\noutputs: {{ answer: $send }}\n",
            server.url()
        ),
    );
}

pub const RUN: &[&str] = &["plan", "run", "held.plan.yaml", "--no-prompt"];

pub fn approve(scene: &Scene) -> Outcome {
    scene.run(&["approve", &scene.asked()])
}

pub fn waiting(scene: &Scene) -> Value {
    let view = scene.show();
    let mut approvals = view["approvals"].as_array().expect("a list").iter();
    approvals.find(|approval| approval["status"] == "waiting").cloned().unwrap_or_else(|| panic!("{view:#}"))
}

#[test]
fn what_was_approved_is_sent_once_and_exactly() {
    let server = Server::start();
    let scene = scene(&server);
    one(&scene, &server, "once", "hello \\u2713");
    drop(scene.run(RUN).exits(3).says("hello"));
    assert!(server.got().is_empty(), "sent before anybody agreed");
    let shown = waiting(&scene);
    assert_eq!(shown["call"]["capability"], "http-send");
    assert_eq!(shown["call"]["target"], format!("POST {}", server.url()));
    let text = shown["call"]["text"].as_str().expect("a text").to_owned();
    drop(approve(&scene).exits(0));
    let got = server.got();
    assert_eq!(got.len(), 1, "{got:?}");
    // What was shown is what came: target, headers and body.
    let (shown_head, shown_body) = text.split_once("\n\n").expect("a head and a body");
    assert_eq!(got[0].body, shown_body);
    assert!(got[0].head.starts_with("POST /issues?of=a&by=b HTTP/1.1\r\n"), "{}", got[0].head);
    for line in shown_head.lines().skip(1) {
        let (name, value) = line.split_once(": ").expect("a header");
        assert_eq!(got[0].header(name).as_deref(), Some(value), "{name}");
    }
    assert!(got[0].key().starts_with('"'), "the draft has a string in quotes");
    // And nothing but what every request has.
    let own = ["host", "user-agent", "accept-encoding", "connection", "content-length"];
    for line in got[0].head.lines().skip(1) {
        let name = line.split_once(": ").expect("a header").0.to_ascii_lowercase();
        assert!(
            own.contains(&name.as_str()) || shown_head.contains(&format!("{name}: ")),
            "{name} was not shown"
        );
    }
    let view = scene.show();
    assert_eq!(view["outputs"]["answer"], "201 ok 1", "{view:#}");
    assert_eq!(view["steps"][0]["sent"][0]["answer"], "201, 4 bytes", "{view:#}");
    // The exact call is an artifact of the run.
    let request = view["steps"][0]["sent"][0]["request"].as_str().expect("a digest").to_owned();
    drop(scene.run(&["artifact", "show", &request]).exits(0).says("hello"));
    // A second answer to the same approval sends nothing.
    let id = view["approvals"][0]["id"].as_str().expect("an id").to_owned();
    drop(scene.run(&["approve", &id]).exits(4).says("E-APPROVAL-CONSUMED"));
    assert_eq!(server.got().len(), 1);
}

#[test]
fn a_call_that_nobody_agreed_to_is_not_sent() {
    let server = Server::start();
    let scene = scene(&server);
    one(&scene, &server, "once", "no");
    drop(scene.run(RUN).exits(3));
    drop(scene.run(&["reject", &scene.asked()]).exits(0));
    assert_eq!(scene.status(), "failed");
    // An operation that has nothing to send asks nobody.
    one(&scene, &server, "maybe", "");
    drop(scene.run(RUN).exits(0));
    assert_eq!(scene.show()["outputs"]["answer"], "nothing to send");
    assert!(server.got().is_empty());
}

#[test]
fn each_call_of_an_operation_has_an_approval_and_a_key_of_its_own() {
    let server = Server::start();
    let scene = scene(&server);
    plan(
        &scene,
        &format!(
            "  send: {{ call: p/mail.twice, with: {{ url: \"{}\", first: a, second: b }} }}\noutputs: {{ answer: $send }}\n",
            server.url()
        ),
    );
    drop(scene.run(RUN).exits(3));
    drop(approve(&scene).exits(3));
    assert_eq!(server.got().len(), 1, "the second call is another approval's");
    assert!(waiting(&scene)["call"]["text"].as_str().is_some_and(|text| text.ends_with("b after 201 ok 1")));
    drop(approve(&scene).exits(0));
    let got = server.got();
    assert_eq!(got.iter().map(|got| got.body.as_str()).collect::<Vec<_>>(), ["a", "b after 201 ok 1"]);
    assert_ne!(got[0].key(), got[1].key());
    assert_eq!(scene.show()["outputs"]["answer"], "201 ok 1, 201 ok 2");
    // Three runs of the guest: to the first call, to the second, to the end. Rehearsals are none.
    assert_eq!(count(&scene.events("last"), "call_held"), 2);
    assert_eq!(count(&scene.events("last"), "call_answered"), 2);
}

#[test]
fn the_items_of_a_fan_out_are_sent_one_by_one() {
    let server = Server::start();
    let scene = scene(&server);
    plan(
        &scene,
        &format!(
            "  send: {{ for-each: [a, b, c], call: p/mail.once, with: {{ url: \"{}\", text: $item }} }}\noutputs: {{ answers: $send }}\n",
            server.url()
        ),
    );
    drop(scene.run(RUN).exits(3));
    for (number, item) in ["send[0]", "send[1]", "send[2]"].into_iter().enumerate() {
        assert_eq!(server.got().len(), number);
        assert_eq!(waiting(&scene)["step"], item);
        drop(approve(&scene).exits(if number == 2 { 0 } else { 3 }));
    }
    let bodies: Vec<String> = server.got().into_iter().map(|got| got.body).collect();
    assert_eq!(bodies, ["a", "b", "c"]);
    assert_eq!(scene.show()["outputs"]["answers"][2], "201 ok 3");
}

#[test]
fn a_guest_goes_on_from_its_tape_and_its_writes_wait_for_their_own_approval() {
    let server = Server::start();
    let scene = scene(&server);
    plan(
        &scene,
        &format!(
            "  send: {{ call: p/mail.with-file, with: {{ url: \"{}\", path: note.txt }} }}\noutputs: {{ answer: $send }}\n",
            server.url()
        ),
    );
    drop(scene.run(RUN).exits(3));
    let body = |text: &str| text.split_once("\n\n").expect("a body").1.to_owned();
    let shown = body(waiting(&scene)["call"]["text"].as_str().expect("a text"));
    // The time goes on and the file changes: the guest is answered what it was answered before.
    scene.env.write("note.txt", "something else");
    drop(approve(&scene).exits(3));
    assert_eq!(server.got().len(), 1);
    assert_eq!(server.got()[0].body, shown);
    let writes = waiting(&scene);
    assert_eq!(writes["call"], Value::Null);
    assert_eq!(writes["changes"][0]["path"], "note.txt.answer", "{writes:#}");
    assert_eq!(scene.env.read("note.txt.answer"), None);
    drop(approve(&scene).exits(0));
    assert_eq!(scene.env.read("note.txt.answer").as_deref(), Some("201 ok 1"));
    // What was written can be taken back; what was sent stays named.
    drop(scene.run(&["run", "undo", "last"]).exits(0));
    assert_eq!(scene.env.read("note.txt.answer"), None);
    assert_eq!(scene.show()["steps"][0]["sent"].as_array().map(Vec::len), Some(1));
    assert_eq!(server.got().len(), 1);
}

#[test]
fn an_effect_that_may_not_send_does_not() {
    let server = Server::start();
    let scene = scene(&server);
    let url = server.url();
    let call = |operation: &str, with: &str| {
        plan(
            &scene,
            &format!(
                "  send: {{ call: p/{operation}, with: {{ url: \"{url}\"{with} }} }}\noutputs: {{ answer: $send }}\n"
            ),
        );
        scene.run(RUN)
    };
    drop(call("sneak.once", ", text: a").exits(1).says("is above the operation's declared effect"));
    drop(call("sneak.write", ", text: a").exits(1).says("is above the operation's declared effect"));
    drop(call("mail.delete", "").exits(1).says("is above the operation's declared effect"));
    drop(call("mail.own-key", "").exits(1).says("not a guest's to set"));
    assert!(server.got().is_empty());
    // Positive control: an effect that may, does, once somebody agreed.
    drop(call("mail.remove", "").exits(3).says("DELETE"));
    // What destroys is approved by typing its target.
    drop(approve(&scene).exits(4).says("E-APPROVAL-CONFIRM"));
    assert!(server.got().is_empty());
    drop(scene.run(&["approve", &scene.asked(), "--confirm", &format!("DELETE {url}")]).exits(0));
    assert!(server.got()[0].head.starts_with("DELETE /issues?of=a&by=b HTTP/1.1"));
}

#[test]
fn a_grant_that_was_taken_back_makes_the_approval_stale() {
    let server = Server::start();
    let scene = scene(&server);
    one(&scene, &server, "once", "late");
    drop(scene.run(RUN).exits(3));
    let id = scene.asked();
    drop(scene.run(&["grant", "remove", "test:sender", &server.grant()]).exits(0));
    drop(scene.run(&["approve", &id]).exits(4));
    assert!(server.got().is_empty());
    drop(scene.run(&["grant", "add", "test:sender", &server.grant()]).exits(0));
    drop(scene.run(&["approve", &id]).exits(0));
    assert_eq!(server.got().len(), 1, "positive control: with its grant the call is sent");
}

#[test]
fn a_request_that_was_edited_in_the_journal_is_not_sent() {
    let server = Server::start();
    let scene = scene(&server);
    one(&scene, &server, "once", "exactly this");
    drop(scene.run(RUN).exits(3));
    let id = scene.asked();
    let journal = rusqlite::Connection::open(scene.env.home().join("journal.sqlite")).expect("it opens");
    let edited = journal.execute(
        "UPDATE artifact SET body = CAST(replace(CAST(body AS TEXT), 'exactly this', 'another one!') AS BLOB) \
         WHERE CAST(body AS TEXT) LIKE '%exactly this%'",
        [],
    );
    assert!(edited.is_ok_and(|rows| rows > 0), "the call is in the journal");
    drop(journal);
    let said = scene.run(&["approve", &id]);
    assert_ne!(said.code, Some(0), "{}", said.said());
    assert!(said.said().contains("E-JOURNAL-DAMAGED"), "{}", said.said());
    assert!(server.got().is_empty());
}

/// Kills the program at every point between the approval of a call and its end, and gives what
/// `settle` is to bring to its end.
fn sweep(operation: &str, settle: impl Fn(&Scene, &Server)) {
    let start = |server: &Server| {
        let scene = scene(server);
        one(&scene, server, operation, "hello");
        scene
    };
    sweep_of(start, settle);
}

/// The same with the plan that `start` writes.
pub fn sweep_of(start: impl Fn(&Server) -> Scene, settle: impl Fn(&Scene, &Server)) {
    for label in SEND {
        let mut visits = 0;
        loop {
            let server = Server::start();
            let scene = start(&server);
            drop(scene.run(RUN).exits(3));
            let id = scene.asked();
            let outcome = scene.run_until(&["approve", &id], &format!("{label}#{}", visits + 1));
            if outcome.signal != Some(9) {
                drop(outcome.exits(0));
                assert_eq!(server.got().len(), 1);
                break;
            }
            eprintln!("killed at {label}#{}", visits + 1);
            settle(&scene, &server);
            visits += 1;
            assert!(visits < 20, "`{label}` is passed without end");
        }
        assert!(visits > 0, "`{label}` was not reached");
    }
}

/// Goes on until the run ends or stops for a person who has to decide.
pub fn go_on(scene: &Scene) -> String {
    let view = scene.show();
    let asks =
        view["approvals"].as_array().expect("a list").iter().any(|approval| approval["status"] == "waiting");
    match view["status"].as_str().expect("a status") {
        "completed" => {}
        "requires_approval" if asks => drop(approve(scene)),
        _ => drop(scene.run(&["run", "resume", "last"])),
    }
    scene.status()
}

#[test]
fn a_killed_call_that_may_not_be_repeated_is_not() {
    sweep("once", |scene, server| {
        let before = server.got().len();
        assert!(before <= 1);
        let intended = count(&scene.events("last"), "effects_intended") > 0;
        let answered = count(&scene.events("last"), "call_answered") > 0;
        let status = go_on(scene);
        if !intended || answered {
            assert_eq!(status, "completed");
            assert_eq!(server.got().len(), 1, "sent once");
            return;
        }
        // Nobody can know. The run says so, again each time, and sends nothing.
        assert_eq!(status, "yielded");
        drop(scene.run(&["run", "resume", "last"]).exits(3).says("E-CALL-UNKNOWN"));
        assert_eq!(scene.show()["steps"][0]["status"], "unknown_outcome");
        assert_eq!(server.got().len(), before);
        // A person may have it made again: as another call, with another approval.
        drop(scene.run(&["run", "retry", "last", "send", "--mode", "force-new-idempotency-key"]).exits(3));
        assert_eq!(server.got().len(), before);
        drop(approve(scene).exits(0));
        let got = server.got();
        assert_eq!(got.len(), before + 1);
        if before == 1 {
            assert_ne!(got[0].key(), got[1].key(), "another key");
        }
        drop(
            scene
                .run(&["run", "retry", "last", "send", "--mode", "force-new-idempotency-key"])
                .exits(1)
                .says("E-RUN-STATE"),
        );
    });
}

/// Whoever knows better need not have the run say first that it does not know.
#[test]
fn a_killed_call_is_retried_at_once() {
    for label in ["run:before-send", "run:after-send"] {
        let server = Server::start();
        let scene = scene(&server);
        one(&scene, &server, "once", "hello");
        drop(scene.run(RUN).exits(3));
        let id = scene.asked();
        assert_eq!(scene.run_until(&["approve", &id], &format!("{label}#1")).signal, Some(9));
        let before = server.got().len();
        let retry = ["run", "retry", "last", "send", "--mode", "force-new-idempotency-key"];
        drop(scene.run(&retry).exits(3));
        assert_eq!((scene.status().as_str(), server.got().len()), ("requires_approval", before), "{label}");
        drop(approve(&scene).exits(0));
        assert_eq!(server.got().len(), before + 1, "{label}");
        // Of what may be repeated a resume makes the same call, and a retry makes none.
        let server = Server::start();
        let scene = self::scene(&server);
        one(&scene, &server, "again", "hello");
        drop(scene.run(RUN).exits(3));
        let id = scene.asked();
        assert_eq!(scene.run_until(&["approve", &id], &format!("{label}#1")).signal, Some(9));
        drop(scene.run(&retry).exits(1).says("E-RUN-STATE").says("no call whose outcome is unknown"));
        drop(scene.run(&["run", "resume", "last"]).exits(0));
    }
}

#[test]
fn a_killed_call_that_may_be_repeated_is_with_the_same_key() {
    sweep("again", |scene, server| {
        assert_eq!(go_on(scene), "completed");
        let got = server.got();
        assert!((1..=2).contains(&got.len()), "{got:?}");
        assert!(got.iter().all(|one| one.key() == got[0].key() && one.body == "hello"), "{got:?}");
        assert_eq!(count(&scene.events("last"), "approval_consumed"), 1);
    });
}

/// Approves in the background.
pub fn approving(scene: &Scene) -> Child {
    let id = scene.asked();
    let mut command = scene.env.command(["approve", &id]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the program starts")
}

#[test]
fn a_process_that_dies_while_the_server_thinks_does_not_know() {
    for (operation, status) in [("once", "yielded"), ("again", "completed")] {
        let server = Server::start();
        let scene = scene(&server);
        one(&scene, &server, operation, "hello");
        drop(scene.run(RUN).exits(3));
        server.silence(true);
        let mut child = approving(&scene);
        server.wait_for(1);
        child.kill().expect("it runs");
        drop(child.wait());
        server.silence(false);
        assert_eq!(go_on(&scene), status, "{operation}");
        let got = server.got();
        assert_eq!(got.len(), if status == "completed" { 2 } else { 1 });
        assert!(got.iter().all(|one| one.key() == got[0].key()));
        if status == "yielded" {
            drop(scene.run(&["run", "cancel", "last"]).exits(0));
            assert_eq!(scene.show()["steps"][0]["status"], "unknown_outcome", "the end hides nothing");
        }
    }
}
