//! Language models: a scripted server on the loopback device is asked through the program, and says
//! what its last message tells it to. What is counted, checked, refused and kept is seen from both
//! sides.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tests::{Env, run_isolated};

use crate::scene::Scene;

/// The key of the model `default`.
const KEY: &str = "k3y/of+the\"model&";

/// A server that speaks as models do.
struct Server {
    port: u16,
    /// The head and the body of each request.
    seen: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let seen = Arc::new(Mutex::default());
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || answer(stream, port, &shared));
            }
        });
        Self { port, seen }
    }

    fn seen(&self) -> Vec<(String, Value)> {
        self.seen.lock().expect("nobody panicked").clone()
    }

    fn asked(&self) -> usize {
        self.seen().iter().filter(|(head, _)| head.contains("/v1/chat/completions")).count()
    }
}

fn take(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).unwrap_or(0);
        bytes.extend_from_slice(&buffer[..read]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
            if bytes.len() >= end + 4 + length {
                return Some((head, bytes[end + 4..].to_vec()));
            }
        }
        if read == 0 {
            return None;
        }
    }
}

/// Does what the last message says.
fn answer(mut stream: TcpStream, port: u16, seen: &Mutex<Vec<(String, Value)>>) {
    let Some((head, body)) = take(&mut stream) else { return };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    seen.lock().expect("nobody panicked").push((head.clone(), body.clone()));
    let last = body["messages"].as_array().and_then(|messages| messages.last()).cloned();
    let told = last.and_then(|last| last["content"].as_str().map(str::to_owned)).unwrap_or_default();
    let (what, rest) = told.split_once(' ').unwrap_or((&told, ""));
    let key = head.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap_or("no key");
    let say = |text: &str, reason: &str| {
        json!({
            "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": reason}],
            "usage": {"prompt_tokens": 40, "completion_tokens": 20},
        })
    };
    let mut silent = say(rest, "stop");
    silent.as_object_mut().expect("an object").remove("usage");
    let mut greedy = say(rest, "stop");
    greedy["usage"]["completion_tokens"] = json!(5_000_000);
    let (status, body) = match what {
        "say" => ("200 OK", say(rest, "stop").to_string()),
        "cut" => ("200 OK", say(rest, "length").to_string()),
        "silent" => ("200 OK", silent.to_string()),
        "greedy" => ("200 OK", greedy.to_string()),
        "leak" => ("200 OK", say(&format!("{key} {}", STANDARD.encode(key)), "stop").to_string()),
        "html" => ("200 OK", "<html>".to_owned()),
        "busy" => {
            ("503 Service Unavailable", json!({"error": {"message": format!("busy, {key}")}}).to_string())
        }
        "away" => ("302 Found", String::new()),
        // Until whoever asks is gone.
        "hang" => return drop(stream.read(&mut [0; 16])),
        _ => ("200 OK", String::new()),
    };
    let location = format!("location: http://127.0.0.1:{port}/elsewhere\r\n");
    let length = body.len();
    drop(write!(stream, "HTTP/1.1 {status}\r\n{location}content-length: {length}\r\n\r\n{body}"));
}

/// A scene where `default` is the server with a key, and `small` the same without, at other prices.
fn scene(server: &Server) -> Scene {
    let scene = Scene::new();
    let file = scene.env.home().join("config.toml");
    let config = fs::read_to_string(&file).expect("there are settings");
    let port = server.port;
    let models = format!(
        "{config}\n[model.default]\nurl = \"http://127.0.0.1:{port}/v1\"\nmodel = \"big-1\"\ninput-price = \"100\"\n\
         output-price = \"200.5\"\nkey = \"model-key\"\nnetwork = \"127.0.0.0/8\"\n\
         [model.small]\nurl = \"http://127.0.0.1:{port}/v1/\"\nmodel = \"small-1\"\ninput-price = \"0\"\n\
         output-price = \"0\"\nnetwork = \"127.0.0.0/8\"\njson = \"nothing\"\nlimit = \"max_completion_tokens\"\n"
    );
    fs::write(file, models).expect("they can be changed");
    scene
}

fn granted(server: &Server) -> Scene {
    let scene = scene(server);
    for model in ["model=default", "model=small"] {
        drop(scene.run(&["grant", "add", "test:thinker", model]).exits(0));
    }
    let send = "http-send=http://127.0.0.1:*/** via 127.0.0.0/8";
    drop(scene.run(&["grant", "add", "test:thinker", send]).exits(0));
    set_key(&scene.env);
    scene
}

fn set_key(env: &Env) {
    let mut command = env.command(["secret", "set", "model-key"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    writeln!(child.stdin.take().expect("a pipe"), "{KEY}").expect("it reads");
    assert!(child.wait().expect("it ends").success());
}

fn call(scene: &Scene, operation: &str, arguments: &Value) -> Value {
    let operation = format!("test:thinker/think.{operation}");
    scene.env.json(["op", "call", &operation, &arguments.to_string(), "--no-prompt"]).json()
}

fn question(model: &str, text: &str, schema: Option<&Value>) -> Value {
    let schema = schema.map(Value::to_string);
    json!({"question": {"model": model, "texts": [text], "schema": schema, "max-tokens": 100, "temperature": null}})
}

/// What the guest was told instead of an answer.
#[track_caller]
fn told(said: &Value) -> &str {
    assert_eq!(said["outcome"], "failed", "{said:#}");
    said["result"].as_str().expect("a text")
}

#[track_caller]
fn trapped(said: &Value) -> &str {
    assert_eq!(said["outcome"], "trapped", "{said:#}");
    said["reason"].as_str().expect("a reason")
}

#[test]
fn a_model_is_asked_as_the_operator_says_and_its_answer_is_counted() {
    let server = Server::start();
    let scene = granted(&server);
    let mut asked = question("default", "say hello", None);
    asked["question"]["texts"] = json!(["h\u{e9}", "say hello"]);
    asked["question"]["temperature"] = json!(70);
    let said = call(&scene, "ask", &asked);
    assert_eq!(said["outcome"], "returned", "{said:#}");
    // 40 tokens at 100 and 20 at 200.5 for a million, in millionths.
    let reply =
        json!({"text": "hello", "complete": true, "input-tokens": 40, "output-tokens": 20, "cost": 8_010});
    assert_eq!(said["result"], reply);
    assert_eq!((&said["usage"]["model_tokens"], &said["usage"]["model_cost"]), (&json!(60), &json!(8_010)));
    let (head, body) = server.seen().remove(0);
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("authorization: Bearer {KEY}")), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    let messages = json!([{"role": "user", "content": "h\u{e9}"}, {"role": "user", "content": "say hello"}]);
    let expected = json!({"model": "big-1", "messages": messages, "max_tokens": 100, "stream": false, "temperature": 0.7});
    assert_eq!(body, expected);
    // The other one has another name, no key, no price, and another word for its limit.
    let said = call(&scene, "ask", &question("small", "say hi", None));
    assert_eq!((&said["result"]["text"], &said["result"]["cost"]), (&json!("hi"), &json!(0)), "{said:#}");
    let (head, body) = server.seen().remove(1);
    assert!(!head.contains("authorization"), "{head}");
    assert_eq!(
        (&body["model"], &body["max_completion_tokens"], &body["max_tokens"]),
        (&json!("small-1"), &json!(100), &Value::Null)
    );
}

#[test]
fn only_a_granted_model_is_asked() {
    let server = Server::start();
    let scene = scene(&server);
    let refused = call(&scene, "ask", &question("default", "say hello", None));
    let text = told(&refused);
    assert!(text.contains("capstan grant add test:thinker model=default"), "{text}");
    let added = scene.run(&["grant", "add", "test:thinker", "model=small"]).exits(0);
    drop(added.says(&format!("may be told to `http://127.0.0.1:{}/v1/chat/completions`", server.port)));
    let said = call(&scene, "ask", &question("small", "say hello", None));
    assert_eq!(said["outcome"], "returned", "{said:#}");
    // A grant of one is none of another, of what was not requested, or of another effect.
    for (operation, model, says) in [
        ("ask", "default", "model=default"),
        ("ask", "large", "is not requested"),
        ("ask", "no model", "is not the name of a model"),
        ("plain", "small", "above the operation's declared effect"),
    ] {
        let said = call(&scene, operation, &question(model, "say hello", None));
        let text = told(&said);
        assert!(text.contains(says), "{operation} {model}: {text}");
    }
    assert_eq!(server.asked(), 1, "{:?}", server.seen());
    // The ceiling is above every grant.
    let file = scene.env.home().join("config.toml");
    let config = fs::read_to_string(&file).expect("there are settings");
    fs::write(&file, format!("{config}\n[ceiling]\nmodel = [\"default\"]\n")).expect("they can be changed");
    let said = call(&scene, "ask", &question("small", "say hello", None));
    assert!(told(&said).contains("ceiling"), "{said:#}");
    assert_eq!(server.asked(), 1);
}

#[test]
fn what_is_not_set_up_is_said() {
    let server = Server::start();
    let scene = scene(&server);
    drop(scene.run(&["grant", "add", "test:thinker", "model=default"]).exits(0));
    drop(
        scene.run(&["doctor"]).exits(0).says("its key `model-key` has no value").says("`small` is asked at"),
    );
    let keyless = call(&scene, "ask", &question("default", "say hello", None));
    assert!(told(&keyless).contains("capstan secret set model-key"), "{keyless:#}");
    set_key(&scene.env);
    drop(scene.run(&["doctor"]).exits(0).says("`default` is asked at"));
    let said = call(&scene, "ask", &question("default", "say hello", None));
    assert_eq!(said["outcome"], "returned", "{said:#}");
    let file = scene.env.home().join("config.toml");
    let config = fs::read_to_string(&file).expect("there are settings");
    fs::write(&file, config.replace("[model.default]", "[model.other]")).expect("they can be changed");
    let added = scene.run(&["grant", "add", "test:thinker", "model=default"]).exits(0);
    drop(added.says("names no model `default` yet"));
    let nameless = call(&scene, "ask", &question("default", "say hello", None));
    assert!(told(&nameless).contains("names no model `default`"), "{nameless:#}");
    // An address in no public network is reached only where the settings name its network.
    let fenced = config.replace("network = \"127.0.0.0/8\"", "network = \"10.0.0.0/8\"");
    fs::write(&file, fenced).expect("they can be changed");
    let special = call(&scene, "ask", &question("default", "say hello", None));
    assert!(told(&special).contains("127.0.0.0/8"), "{special:#}");
    assert_eq!(server.asked(), 1);
}

#[test]
fn an_answer_is_checked_against_its_schema() {
    let server = Server::start();
    let scene = granted(&server);
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false});
    let ask = |text: &str| call(&scene, "ask", &question("default", text, Some(&schema)));
    let good = ask("say {\"n\": 7}");
    assert_eq!(good["result"]["text"], "{\"n\": 7}", "{good:#}");
    let form = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}});
    assert_eq!(server.seen()[0].1["response_format"], form);
    for (text, says) in [
        ("say {\"n\": \"7\"}", "/n: expected integer"),
        ("say {\"n\": 7, \"m\": 1}", "/m: nothing is allowed here"),
        ("say {}", "`n` is missing"),
        ("say {\"n\": 7, \"n\": 8}", "no JSON"),
        ("say of course! {\"n\": 7}", "no JSON"),
        ("cut {\"n\":", "it was cut before its end"),
    ] {
        let said = ask(text);
        assert!(told(&said).contains(says), "{text}: {said:#}");
        // What did not fit was paid for.
        assert_eq!(said["usage"]["model_tokens"], 60, "{said:#}");
    }
    let asked = server.asked();
    for (schema, says) in [
        (json!({"pattern": "^a"}), "/pattern: a keyword that is not checked here"),
        (json!({"$ref": "http://127.0.0.1/"}), "/$ref: only `#` and `#/$defs/name` are looked up"),
    ] {
        let said = call(&scene, "ask", &question("default", "say 1", Some(&schema)));
        assert!(told(&said).contains(says), "{said:#}");
        assert_eq!(said["usage"]["model_tokens"], 0);
    }
    assert_eq!(server.asked(), asked, "a schema that is not checked is not sent");
}

#[test]
fn what_is_no_answer_is_a_failure_and_what_a_server_says_is_only_quoted() {
    let server = Server::start();
    let scene = granted(&server);
    let ask = |text: &str| call(&scene, "ask", &question("default", text, None));
    let most = |text: &str| u64::try_from(text.len()).expect("short") + 2 * 32 + 100;
    // Of a refusal nothing is counted; of what may have been an answer, all that it can have been.
    for (text, says, tokens) in [
        ("busy", "503: busy", 0),
        ("away", "302", 0),
        ("html", "no JSON", most("html")),
        ("odd", "no JSON", most("odd")),
    ] {
        let said = ask(text);
        assert!(told(&said).contains(says), "{text}: {said:#}");
        assert_eq!(said["usage"]["model_tokens"], tokens, "{text}: {said:#}");
    }
    assert!(!server.seen().iter().any(|(head, _)| head.contains("elsewhere")), "a redirect was followed");
    let mut silent = ask("silent hello");
    assert_eq!(silent["result"]["text"].take(), "hello", "{silent:#}");
    assert_eq!(silent["usage"]["model_tokens"], most("silent hello"));
    let late = call(&scene, "patient", &json!({"text": "hang"}));
    assert_eq!(trapped(&late), "deadline");
    assert_eq!(late["usage"]["model_tokens"], "hang".len() + 2 * 32 + 10, "{late:#}");
    for (change, says) in [
        (json!({"texts": []}), "from 1 to 256"),
        (json!({"texts": vec!["a"; 257]}), "from 1 to 256"),
        (json!({"max-tokens": 0}), "from 1 to 1000000"),
        (json!({"max-tokens": 1_000_001}), "from 1 to 1000000"),
        (json!({"temperature": 201}), "from 0 to 200"),
    ] {
        let mut asked = question("default", "say hello", None);
        let (key, value) = change.as_object().and_then(|change| change.iter().next()).expect("one");
        asked["question"][key] = value.clone();
        let said = call(&scene, "ask", &asked);
        assert!(told(&said).contains(says), "{said:#}");
    }
    for change in [json!({"texts": vec!["say a"; 256]}), json!({"temperature": 200})] {
        let mut asked = question("default", "say hello", None);
        let (key, value) = change.as_object().and_then(|change| change.iter().next()).expect("one");
        asked["question"][key] = value.clone();
        assert_eq!(call(&scene, "ask", &asked)["outcome"], "returned");
    }
}

/// Each question can take 1,000 tokens, and takes 60 of them.
#[test]
fn a_question_is_asked_only_if_all_that_it_can_take_is_left() {
    let server = Server::start();
    let scene = granted(&server);
    // 10,000 tokens: after 150 questions 1,000 are left, after 151 they are not.
    let fits = call(&scene, "many", &json!({"text": "say hello", "times": 151}));
    assert_eq!((&fits["outcome"], &fits["result"]), (&json!("returned"), &json!(151)), "{fits:#}");
    assert_eq!(fits["usage"]["model_tokens"], 151 * 60);
    let asked = server.asked();
    let beyond = call(&scene, "many", &json!({"text": "say hello", "times": 152}));
    assert_eq!(trapped(&beyond), "model_tokens");
    assert_eq!(server.asked(), asked + 151, "what there is not enough for is not asked");
    assert_eq!(beyond["usage"]["model_tokens"], 151 * 60);
    // 100,000 millionths, and a question can cost 193,164.
    let none = call(&scene, "costly", &json!({"text": "say hello", "times": 1}));
    assert_eq!(trapped(&none), "model_cost");
    assert_eq!(server.asked(), asked + 151);
    // What a server takes beyond what it was asked to is counted, and ends the call.
    let greedy = call(&scene, "many", &json!({"text": "greedy hello", "times": 1}));
    assert_eq!(trapped(&greedy), "model_tokens");
    assert_eq!(greedy["usage"]["model_tokens"], 5_000_040);
    // A grant and the ceiling lower the limits of calls.
    drop(scene.run(&["grant", "remove", "test:thinker", "model=default"]).exits(0));
    let lower = ["grant", "add", "test:thinker", "model=default", "--limit", "model-tokens=1k"];
    drop(scene.run(&lower).exits(0));
    let one = call(&scene, "many", &json!({"text": "say hello", "times": 1}));
    assert_eq!(one["result"], 1, "{one:#}");
    assert_eq!(trapped(&call(&scene, "many", &json!({"text": "say hello", "times": 2}))), "model_tokens");
}

fn plan(scene: &Scene, budget: &str, text: &str) {
    scene.env.write(
        "think.plan.yaml",
        format!(
            "schema: capstan.plan/v1\nname: think\npacks: {{ t: test:thinker ^0.1 }}\nbudget: {{ {budget} }}\nsteps:\n  \
             one: {{ call: t/think.many, with: {{ text: \"{text}\", times: 2 }} }}\n  \
             two: {{ needs: [one], call: t/think.many, with: {{ text: \"{text}\", times: 1 }} }}\noutputs: {{ one: $one }}\n"
        ),
    );
}

#[test]
fn a_run_takes_no_more_than_its_budget() {
    let server = Server::start();
    let scene = granted(&server);
    // The first step takes 120, and the second can take 1,000.
    for (budget, code, reason) in [
        ("model-tokens: 1120", 0, ""),
        ("model-tokens: 1119", 1, "model_tokens"),
        // 16,020 millionths for the first; the second can cost 193,164: 73 tokens read, 927 written.
        ("model-cost: \"0.209184\"", 0, ""),
        ("model-cost: \"0.209183\"", 1, "model_cost"),
    ] {
        plan(&scene, budget, "say hello");
        let before = server.asked();
        let ran = scene.env.json(["plan", "run", "think.plan.yaml"]).exits(code);
        let view = ran.json();
        if reason.is_empty() {
            assert_eq!(server.asked(), before + 3, "{budget}");
            let usage = &scene.json(&["run", "show", "last"])["usage"];
            assert_eq!(
                (&usage["model_tokens"], &usage["model_cost"]),
                (&json!(180), &json!(24_030)),
                "{usage:#}"
            );
        } else {
            assert!(ran.said().contains(reason), "{budget}: {view:#}");
        }
    }
}

#[test]
fn a_run_that_was_held_is_answered_from_its_tape_and_the_key_is_nowhere() {
    let server = Server::start();
    let scene = granted(&server);
    scene.env.write(
        "tell.plan.yaml",
        format!(
            "schema: capstan.plan/v1\nname: tell\npacks: {{ t: test:thinker ^0.1 }}\nsteps:\n  \
             one: {{ call: t/think.tell, with: {{ text: leak, url: \"http://127.0.0.1:{}/told\" }} }}\n\
             outputs: {{ status: $one }}\n",
            server.port
        ),
    );
    drop(scene.run(&["plan", "run", "tell.plan.yaml"]).exits(3));
    assert_eq!(server.asked(), 1);
    let asked = scene.asked();
    let mut said = vec![scene.run(&["approval", "show", &asked]).exits(0).said()];
    said.push(scene.run(&["approve", &asked]).exits(0).said());
    said.push(scene.env.json(["run", "show", "last"]).exits(0).said());
    said.push(scene.run(&["run", "events", "last"]).exits(0).said());
    said.push(scene.env.json(["secret", "list"]).exits(0).said());
    assert_eq!(scene.status(), "completed");
    assert_eq!(server.asked(), 1, "the guest was answered from its tape");
    let usage = &scene.json(&["run", "show", "last"])["usage"];
    assert_eq!(usage["model_tokens"], 60, "and nothing was counted twice: {usage:#}");
    let heads = server.seen();
    assert!(heads[0].0.contains(KEY), "the model's server got the key");
    assert_eq!(heads.iter().filter(|(head, _)| head.contains(KEY)).count(), 1);
    let encoded = STANDARD.encode(KEY);
    let holds = |bytes: &[u8]| {
        [KEY, encoded.as_str()]
            .iter()
            .any(|form| bytes.windows(form.len()).any(|window| window == form.as_bytes()))
    };
    assert!(holds(KEY.as_bytes()), "the search finds what is there");
    for text in &said {
        assert!(!holds(text.as_bytes()), "{text}");
    }
    for folder in [scene.env.home(), scene.env.work()] {
        for (path, _) in Env::tree(&folder) {
            let bytes = fs::read(folder.join(&path)).unwrap_or_default();
            assert!(!holds(&bytes), "in {}", path.display());
        }
    }
}

/// The first place may be in the comments of a new file.
fn with_last(text: &str, old: &str, new: &str) -> String {
    let at = text.rfind(old).expect("it is there");
    [&text[..at], new, &text[at + old.len()..]].concat()
}

#[test]
fn settings_that_make_no_model_are_refused_by_name() {
    let server = Server::start();
    let scene = scene(&server);
    let file = scene.env.home().join("config.toml");
    let good = fs::read_to_string(&file).expect("there are settings");
    drop(scene.run(&["doctor"]).exits(0));
    for (old, new, says) in [
        ("[model.small]", "[model.Small]", "`Small` is not the name of a model"),
        ("json = \"nothing\"", "json = \"maybe\"", "maybe"),
        ("json = \"nothing\"", "jason = \"nothing\"", "jason"),
        ("limit = \"max_completion_tokens\"", "limit = \"tokens\"", "tokens"),
        ("input-price = \"100\"", "input-price = \"a lot\"", "`input-price`"),
        ("output-price = \"0\"\n", "", "output-price"),
        ("key = \"model-key\"", "key = \"Model Key\"", "is not the name of a secret"),
        ("model = \"small-1\"", "model = \"\"", "`model` has from 1 to 256 bytes"),
        ("/v1/\"", "/v1/?a=b\"", "has a query"),
        ("url = \"http://127.0.0.1", "url = \"ftp://127.0.0.1", "`url`"),
    ] {
        fs::write(&file, with_last(&good, old, new)).expect("they can be changed");
        let said = call(&scene, "ask", &question("small", "say hello", None));
        assert!(said.to_string().contains(says), "{new}: {said:#}");
        assert!(said.to_string().contains("E-CONFIG-MALFORMED"), "{new}: {said:#}");
    }
    let bare = good.replace("network = \"127.0.0.0/8\"\n", "");
    fs::write(&file, bare).expect("they can be changed");
    let said = call(&scene, "ask", &question("small", "say hello", None)).to_string();
    assert!(said.contains("is not encrypted"), "{said}");
    fs::write(&file, with_last(&good, "127.0.0.0/8", "localnet")).expect("they can be changed");
    let said = call(&scene, "ask", &question("small", "say hello", None)).to_string();
    assert!(said.contains("`localnet` is no network"), "{said}");
}

#[test]
fn models_are_asked_for_guests_in_processes_too() {
    run_isolated("process", &["models::"]);
}
