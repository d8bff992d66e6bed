//! Secrets: a server on the loopback device gets the value and sends it back in every way it can; it is
//! then looked for, raw and encoded, in all that a run leaves behind.

mod keychain;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};
use tests::{Env, Outcome, finish};

use crate::scene::{Scene, copy};

/// With characters that a URL, JSON and base64 each write otherwise.
const VALUE: &str = "s3cr3t/+token\"for&test";

/// For a request that never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Every form of the value that is looked for.
fn forms() -> Vec<String> {
    let percent = |upper: bool| -> String {
        let one = |byte: u8| match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte if upper => format!("%{byte:02X}"),
            byte => format!("%{byte:02x}"),
        };
        VALUE.bytes().map(one).collect()
    };
    let hex: String = VALUE.bytes().map(|byte| format!("{byte:02x}")).collect();
    let json = serde_json::to_string(VALUE).expect("JSON").trim_matches('"').to_owned();
    vec![
        VALUE.to_owned(),
        percent(true),
        percent(false),
        STANDARD.encode(VALUE),
        URL_SAFE.encode(VALUE),
        hex,
        json,
    ]
}

fn holds(bytes: &[u8]) -> Option<String> {
    let found = |form: &String| bytes.windows(form.len()).any(|window| window == form.as_bytes());
    forms().into_iter().find(found)
}

#[derive(Default)]
struct Seen {
    heads: Mutex<Vec<String>>,
    /// Whether nobody is answered any more.
    silent: AtomicBool,
    news: Condvar,
}

/// Answers every request with what it was sent, as it is and encoded, in its headers and its body.
struct Echo {
    port: u16,
    seen: Arc<Seen>,
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| answer(stream, &shared)));
        Self { port, seen }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/x", self.port)
    }

    fn heads(&self) -> Vec<String> {
        self.seen.heads.lock().expect("nobody panicked").clone()
    }

    fn silence(&self) {
        self.seen.silent.store(true, Ordering::Release);
    }

    /// Waits until `count` requests came.
    fn wait_for(&self, count: usize) {
        let heads = self.seen.heads.lock().expect("nobody panicked");
        let waited = self.seen.news.wait_timeout_while(heads, PATIENCE, |heads| heads.len() < count);
        assert!(!waited.expect("nobody panicked").1.timed_out(), "no request came");
    }

    /// How many requests brought the value.
    fn got_value(&self) -> usize {
        let line = format!("authorization: Bearer {VALUE}");
        self.heads().iter().filter(|head| head.lines().any(|found| found == line)).count()
    }
}

fn answer(mut stream: TcpStream, seen: &Seen) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let head = loop {
        let read = stream.read(&mut buffer).unwrap_or(0);
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().expect("a number")) {
                break head.to_owned();
            }
        }
        if read == 0 {
            return;
        }
    };
    seen.heads.lock().expect("nobody panicked").push(head);
    seen.news.notify_all();
    if seen.silent.load(Ordering::Acquire) {
        // Until whoever asks is gone.
        drop(stream.read(&mut buffer));
        return;
    }
    let body =
        format!("said: {}, and in a text: {}", forms().join(" "), STANDARD.encode(format!("u:{VALUE}")));
    let location = &forms()[1];
    drop(write!(
        stream,
        "HTTP/1.1 200 OK\r\nx-echo: {VALUE}\r\nlocation: https://a.b/?t={location}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ));
}

/// A scene whose `test:keeper` asks for the secret `test-token`, for `server` alone.
fn scene(server: &Echo) -> Scene {
    let scene = Scene::new();
    install(&scene.env, server);
    scene
}

fn install(env: &Env, server: &Echo) {
    let folder = env.folder().join("keeper");
    copy(&tests::repository().join("tests/guests/keeper/dist"), &folder);
    fs::remove_file(folder.join("pack.dsse.json")).expect("the pack was signed");
    let manifest = fs::read_to_string(folder.join("pack.toml")).expect("it has a manifest");
    let asks = format!(
        "secrets = [{{ name = \"test-token\", as = \"header:authorization\", host = \"http://127.0.0.1:{}\", \
         prefix = \"Bearer \" }}]\n",
        server.port
    );
    fs::write(folder.join("pack.toml"), manifest + &asks).expect("it can be changed");
    let folder = folder.to_str().expect("UTF-8");
    drop(env.run(["pack", "sign", folder, "--key", "limits"]).exits(0));
    drop(env.run(["pack", "install", folder]).exits(0));
    let scope = |capability: &str| format!("{capability}=http://127.0.0.1:*/** via 127.0.0.0/8");
    drop(env.run(["grant", "add", "test:keeper", &scope("http-read"), "--may-disclose"]).exits(0));
    drop(env.run(["grant", "add", "test:keeper", &scope("http-send")]).exits(0));
}

fn grant(scene: &Scene, server: &Echo) {
    drop(scene.run(&["grant", "add", "test:keeper", &secret_grant(server)]).exits(0));
    drop(scene.run(&["grant", "add", "test:keeper", "artifacts"]).exits(0));
}

fn secret_grant(server: &Echo) -> String {
    format!("secrets=test-token@http://127.0.0.1:{}:header:authorization", server.port)
}

fn set(scene: &Scene) {
    drop(set_with(scene, &["secret", "set", "test-token"]).exits(0));
}

/// The same by another command, which may not read the value.
fn set_with(scene: &Scene, words: &[&str]) -> Outcome {
    let file = scene.env.folder().join("value");
    fs::write(&file, format!("{VALUE}\n")).expect("a file can be written");
    let input = fs::File::open(&file).expect("it is there");
    finish(scene.env.command(words).stdin(input))
}

/// Calls the operation `fetch` by itself.
fn ask(scene: &Scene, url: &str, secrets: &[&str]) -> Value {
    let input = json!({ "url": url, "secrets": secrets }).to_string();
    scene.env.json(["op", "call", "test:keeper/vault.fetch", &input]).json()
}

/// What the guest was told instead of an answer.
#[track_caller]
fn told(said: &Value) -> &str {
    assert_eq!(said["outcome"], "failed", "{said:#}");
    said["result"].as_str().expect("a text")
}

/// A run of `operation`, until it stops for a person.
fn start(scene: &Scene, url: &str, operation: &str, more: &str) {
    scene.env.write(
        "keep.plan.yaml",
        format!(
            "schema: capstan.plan/v1\nname: keep\npacks: {{ p: test:keeper ^0.1 }}\nsteps:\n  \
             one: {{ call: p/vault.{operation}, with: {{ url: \"{url}\", secrets: [test-token]{more} }} }}\n\
             outputs: {{ answer: $one }}\n"
        ),
    );
    drop(scene.run(&["plan", "run", "keep.plan.yaml"]).exits(3));
}

#[test]
fn the_value_reaches_its_host_and_nothing_that_a_run_leaves_behind() {
    let server = Echo::start();
    let scene = scene(&server);
    grant(&scene, &server);
    set(&scene);
    leaves_nothing_behind(&scene, &server);
}

/// A run that sends the value, and what it, its approval and every other command leave.
fn leaves_nothing_behind(scene: &Scene, server: &Echo) {
    start(scene, &server.url(), "relay", "");
    let asked = scene.asked();
    let mut said = vec![
        scene.run(&["approval", "show", &asked]).exits(0).said(),
        scene.env.json(["approval", "show", &asked]).exits(0).said(),
    ];
    // Who approves reads which secret goes where.
    assert!(said[0].contains("authorization: Bearer (the secret `test-token`)"), "{}", said[0]);
    said.push(scene.run(&["approve", &asked]).exits(0).said());
    assert_eq!(server.got_value(), 2, "{:?}", server.heads());
    for words in [
        vec!["run", "show", "last"],
        vec!["run", "show", "last", "--format", "json"],
        vec!["run", "events", "last", "--format", "json"],
        vec!["run", "list", "--format", "json"],
        vec!["secret", "list", "--format", "json"],
        vec!["doctor", "--format", "json"],
        vec!["grant", "explain", "test:keeper", "vault.relay", "--format", "json"],
        vec!["grant", "tighten", "test:keeper", "--format", "json"],
    ] {
        said.push(scene.run(&words).said());
    }
    for text in &said {
        assert_eq!(holds(text.as_bytes()), None, "{text}");
    }
    // The journal with its artifacts, tapes, logs and held calls; the cache; keys and settings.
    let home = Env::tree(&scene.env.home());
    assert!(home.keys().any(|path| path.ends_with("journal.sqlite")));
    for (path, bytes) in home.iter().chain(&Env::tree(&scene.env.work())) {
        assert_eq!(holds(bytes), None, "in {}", path.display());
    }
    // Positive control: what came back is there, without the value, and what is looked for is found.
    let answer = scene.show()["outputs"]["answer"].as_str().expect("a text").to_owned();
    assert!(answer.contains("said: ****") && answer.contains("x-echo: ****"), "{answer}");
    assert!(answer.contains("location: https://a.b/?t=****"), "{answer}");
    assert_eq!(holds(format!("-{VALUE}-").as_bytes()).as_deref(), Some(VALUE));
}

#[test]
fn a_secret_is_filled_in_for_its_own_host_where_it_is_granted_and_set() {
    let (server, other) = (Echo::start(), Echo::start());
    let scene = scene(&server);
    let url = server.url();
    // Without a name nothing is filled in; the response is as it came.
    assert!(ask(&scene, &url, &[])["result"].as_str().expect("a text").contains(VALUE));
    let denied = ask(&scene, &url, &["test-token"]);
    assert!(told(&denied).contains("is not granted"), "{denied:#}");
    let hint = denied["denied"][0]["grant"].as_str().expect("a command").to_owned();
    assert!(hint.starts_with(&format!("capstan grant add test:keeper '{}", secret_grant(&server))), "{hint}");
    drop(scene.run(&["grant", "add", "test:keeper", &secret_grant(&server)]).exits(0));
    let unset = ask(&scene, &url, &["test-token"]);
    assert!(told(&unset).contains("`test-token` has no value: `capstan secret set test-token`"), "{unset:#}");
    set(&scene);
    assert_eq!(server.got_value(), 0);
    let masked = ask(&scene, &url, &["test-token"]);
    assert_eq!(masked["outcome"], "returned", "{masked:#}");
    assert_eq!(server.got_value(), 1);
    // Another port of the same address is another host's.
    assert!(told(&ask(&scene, &other.url(), &["test-token"])).contains("is not requested"));
    assert!(told(&ask(&scene, &url, &["other-token"])).contains("is not requested"));
    assert!(told(&ask(&scene, &url, &["Test Token"])).contains("is not the name of a secret"));
    assert!(told(&ask(&scene, &url, &["test-token"; 2])).contains("`authorization` is set already"));
    assert!(told(&ask(&scene, &url, &["test-token"; 9])).contains("more than 8 secrets"));
    // What another host says of the value is masked too, as long as the call has it.
    assert!(!ask(&scene, &other.url(), &[])["result"].as_str().expect("a text").contains(VALUE));
    assert_eq!((server.got_value(), other.got_value()), (1, 0));
    // A guest does not set the header that a secret goes in.
    let input = json!({ "url": url, "secrets": ["test-token"], "name": "Authorization", "value": "mine" });
    let said = scene.env.json(["op", "call", "test:keeper/vault.fetch-with", &input.to_string()]).json();
    assert!(told(&said).contains("`authorization` is set already"), "{said:#}");
    // Taken back, it is gone.
    drop(scene.run(&["secret", "delete", "test-token"]).exits(0));
    assert!(told(&ask(&scene, &url, &["test-token"])).contains("has no value"));
    assert_eq!(server.got_value(), 1);
}

#[test]
fn a_secret_of_the_environment_is_used_where_the_settings_say_so() {
    let server = Echo::start();
    let scene = scene(&server);
    grant(&scene, &server);
    let config = scene.env.home().join("config.toml");
    let text = fs::read_to_string(&config).expect("it is there");
    fs::write(&config, text + "\n[secrets]\ntest-token = \"env:TEST_TOKEN\"\n").expect("it can be written");
    assert!(told(&ask(&scene, &server.url(), &["test-token"])).contains("has no value"));
    let input = json!({ "url": server.url(), "secrets": ["test-token"] }).to_string();
    let mut command =
        scene.env.command(["op", "call", "test:keeper/vault.fetch", &input, "--format", "json"]);
    let said = finish(command.env("TEST_TOKEN", VALUE)).exits(0);
    assert_eq!(server.got_value(), 1);
    assert_eq!(holds(said.said().as_bytes()), None);
}

#[test]
fn a_held_call_is_sent_with_what_was_approved_or_not_at_all() {
    let server = Echo::start();
    let scene = scene(&server);
    grant(&scene, &server);
    set(&scene);
    start(&scene, &server.url(), "send", ", text: hello");
    drop(scene.run(&["secret", "delete", "test-token"]).exits(0));
    drop(scene.run(&["approve", &scene.asked()]).exits(3).says("E-APPROVAL-STALE"));
    assert!(server.heads().is_empty());
    drop(scene.run(&["run", "cancel", "last"]).exits(0));
    // Without a value nobody is asked.
    drop(scene.run(&["plan", "run", "keep.plan.yaml"]).exits(1).says("has no value"));
    // Without its grant the approval is for something else.
    set(&scene);
    start(&scene, &server.url(), "send", ", text: hello");
    drop(scene.run(&["grant", "remove", "test:keeper", &secret_grant(&server)]).exits(0));
    drop(scene.run(&["approve", &scene.asked()]).exits(4).says("E-RUN-STALE"));
    assert!(server.heads().is_empty());
    drop(scene.run(&["grant", "add", "test:keeper", &secret_grant(&server)]).exits(0));
    start(&scene, &server.url(), "send", ", text: hello");
    drop(scene.run(&["approve", &scene.asked()]).exits(0));
    assert_eq!(server.got_value(), 1);
}

/// Kills a command with SIGABRT, which dumps core where the process lets it, once `ready` returns. No
/// shell has its commands ignore that, as some do SIGQUIT.
fn quit(command: &mut Command, ready: impl FnOnce()) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    ready();
    let id = child.id().to_string();
    drop(finish(Command::new("kill").args(["-ABRT", &id])).exits(0));
    let status = child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(6), "{status:?}");
    status.core_dumped()
}

/// A command that may leave a core of any size, through the shell's `ulimit`.
fn dumping(command: &Command, folder: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh"]).arg(command.get_program());
    shell.args(command.get_args()).current_dir(folder).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).process_group(0);
    shell
}

#[test]
fn no_core_is_dumped_of_a_process_that_has_a_value() {
    let server = Echo::start();
    let scene = scene(&server);
    grant(&scene, &server);
    set(&scene);
    let folder = scene.env.folder().join("cores");
    fs::create_dir(&folder).expect("a folder can be made");
    let mut control = dumping(Command::new("cat").arg("/dev/zero"), &folder);
    if !quit(&mut control, || ()) {
        eprintln!("skipped: this machine dumps no core of any process");
        return;
    }
    start(&scene, &server.url(), "send", ", text: hello");
    server.silence();
    let command = scene.env.command(["approve", &scene.asked()]);
    assert!(!quit(&mut dumping(&command, &folder), || server.wait_for(1)), "a core was dumped");
    for (path, bytes) in Env::tree(&folder) {
        assert_eq!(holds(&bytes), None, "in {}", path.display());
    }
}
