//! The same with a value in the system's keychain: a real one, on a bus of the test's own.

use std::fs::{self, DirBuilder};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tests::{Outcome, finish};

use super::{
    Echo, PATIENCE, VALUE, ask, grant, install, leaves_nothing_behind, scene, set_with, start, told,
};
use crate::scene::Scene;

/// The variable that names the session's bus.
const BUS: &str = "DBUS_SESSION_BUS_ADDRESS";
/// What all of this takes.
const TOOLS: [&str; 4] = ["dbus-daemon", "dbus-send", "gnome-keyring-daemon", "secret-tool"];
/// How long a keychain that does not answer may hold a command up, and then some.
const GIVEN_UP: Duration = Duration::from_secs(30);

/// A bus with a keychain.
struct Session {
    bus: Child,
    keychain: Child,
    address: String,
}

impl Session {
    /// None where this machine has not what it takes, which is said.
    fn start(scene: &Scene) -> Option<Self> {
        let is_there = |tool: &&str| Command::new(tool).arg("--help").output().is_ok();
        if let Some(tool) = TOOLS.iter().find(|tool| !is_there(tool)) {
            let line = format!("SKIPPED keychain: `{tool}` is not installed\n");
            std::io::stderr().write_all(line.as_bytes()).expect("somebody hears it");
            return None;
        }
        let folder = scene.env.folder().join("session");
        DirBuilder::new().mode(0o700).create(&folder).expect("a folder can be made");
        let (bus, address) = start_bus(&folder);
        let mut keychain = Command::new("gnome-keyring-daemon")
            .args(["--foreground", "--components=secrets", "--unlock"])
            .env(BUS, &address)
            .envs(["HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"].map(|name| (name, &folder)))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut password = keychain.stdin.take().expect("a pipe");
        password.write_all(b"password of the keychain").expect("it reads");
        drop(password);
        let session = Self { bus, keychain, address };
        let waiting = Instant::now();
        while !session.has_keychain() {
            assert!(waiting.elapsed() < PATIENCE, "the keychain did not come");
        }
        Some(session)
    }

    fn send(&self, to: &str, path: &str, words: &[&str]) -> Outcome {
        let to = format!("--dest={to}");
        let mut command = Command::new("dbus-send");
        finish(command.args(["--print-reply", &to, path]).args(words).env(BUS, &self.address))
    }

    fn has_keychain(&self) -> bool {
        let words = ["org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets"];
        self.send("org.freedesktop.DBus", "/", &words).exits(0).stdout.contains("true")
    }

    fn lock(&self) {
        let all = "array:objpath:/org/freedesktop/secrets/collection/login";
        let words = ["org.freedesktop.Secret.Service.Lock", all];
        drop(self.send("org.freedesktop.secrets", "/org/freedesktop/secrets", &words).exits(0));
    }

    /// What is kept under the name, by whatever home.
    fn kept(&self, name: &str) -> Option<String> {
        let mut command = Command::new("secret-tool");
        command.args(["lookup", "application", "capstan", "secret", name]).env(BUS, &self.address);
        let said = finish(&mut command);
        (said.code == Some(0)).then_some(said.stdout)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for child in [&mut self.keychain, &mut self.bus] {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn start_bus(folder: &Path) -> (Child, String) {
    let config = folder.join("bus.conf");
    let text = format!(
        "<busconfig><type>session</type><listen>unix:dir={}</listen><auth>EXTERNAL</auth>\
         <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
         <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
        folder.display()
    );
    fs::write(&config, text).expect("a file can be written");
    let mut bus = Command::new("dbus-daemon")
        .arg(format!("--config-file={}", config.display()))
        .args(["--nofork", "--nopidfile", "--print-address=1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut address = String::new();
    let output = bus.stdout.as_mut().expect("a pipe");
    BufReader::new(output).read_line(&mut address).expect("it says where it is");
    (bus, address.trim().to_owned())
}

fn set(scene: &Scene) -> Outcome {
    set_with(scene, &["secret", "set", "test-token", "--keychain"])
}

/// The file that stands for the value.
fn marker(scene: &Scene) -> PathBuf {
    scene.env.home().join("secrets/test-token.keychain")
}

#[test]
fn a_value_of_the_keychain_reaches_its_host_and_nothing_else() {
    let server = Echo::start();
    let mut scene = scene(&server);
    grant(&scene, &server);
    let Some(session) = Session::start(&scene) else { return };
    scene.env.set(BUS, &session.address);
    drop(scene.run(&["doctor"]).says("the system's keychain answers"));
    drop(set(&scene).exits(0).says("is set, in the keychain"));
    assert_eq!(session.kept("test-token").as_deref(), Some(VALUE));
    let listed = &scene.json(&["secret", "list"])[0];
    assert_eq!((&listed["name"], &listed["backend"]), (&"test-token".into(), &"keychain".into()));
    leaves_nothing_behind(&scene, &server);
    // It is replaced, and found by its own home only.
    drop(set(&scene).exits(0));
    let mut other = Scene::new();
    other.env.set(BUS, &session.address);
    install(&other.env, &server);
    grant(&other, &server);
    assert!(told(&ask(&other, &server.url(), &["test-token"])).contains("has no value"));
    fs::write(marker(&other), "").expect("a file can be written");
    drop(
        called(&other, &server).exits(4).says("E-KEYCHAIN-UNAVAILABLE").says("has no value for it any more"),
    );
    // Forgotten, it is gone from there too.
    drop(scene.run(&["secret", "delete", "test-token"]).exits(0));
    assert_eq!(session.kept("test-token"), None);
    assert!(told(&ask(&scene, &server.url(), &["test-token"])).contains("has no value"));
}

/// A call that names the secret.
fn called(scene: &Scene, server: &Echo) -> Outcome {
    let input = serde_json::json!({ "url": server.url(), "secrets": ["test-token"] }).to_string();
    scene.run(&["op", "call", "test:keeper/vault.fetch", &input])
}

#[test]
fn a_secret_is_in_one_place() {
    let server = Echo::start();
    let mut scene = scene(&server);
    grant(&scene, &server);
    let Some(session) = Session::start(&scene) else { return };
    scene.env.set(BUS, &session.address);
    super::set(&scene);
    let refused = set(&scene).exits(2).says("is kept in a file already");
    drop(refused.says("capstan secret delete test-token"));
    assert_eq!(session.kept("test-token"), None);
    drop(scene.run(&["secret", "delete", "test-token"]).exits(0));
    drop(set(&scene).exits(0));
    let refused = set_with(&scene, &["secret", "set", "test-token"]);
    drop(refused.exits(2).says("is kept in the system's keychain already"));
    fs::write(scene.env.home().join("secrets/test-token.age"), "").expect("a file can be written");
    for words in [&["secret", "list"][..], &["secret", "delete", "test-token"]] {
        let refused = scene.run(words).exits(4).says("E-SECRET-DAMAGED");
        drop(refused.says("in a file and in the system's keychain"));
    }
    drop(called(&scene, &server).exits(4).says("in a file and in the system's keychain"));
    assert_eq!(server.got_value(), 0);
}

#[test]
fn a_keychain_that_gives_nothing_holds_nothing_up() {
    let server = Echo::start();
    let mut scene = scene(&server);
    grant(&scene, &server);
    let Some(session) = Session::start(&scene) else { return };
    scene.env.set(BUS, &session.address);
    drop(set(&scene).exits(0));
    session.lock();
    drop(called(&scene, &server).exits(4).says("E-KEYCHAIN-UNAVAILABLE").says("is locked"));
    drop(set(&scene).exits(4).says("E-KEYCHAIN-UNAVAILABLE").says("locked"));
    let kept = scene.run(&["secret", "delete", "test-token"]).exits(4).says("E-KEYCHAIN-UNAVAILABLE");
    drop(kept.says(marker(&scene).to_str().expect("UTF-8")));
    assert!(marker(&scene).exists());
    // A bus that takes connections and says nothing.
    let path = scene.env.folder().join("silent");
    let listener = UnixListener::bind(&path).expect("it can be bound");
    let held = thread::spawn(move || listener.accept().expect("somebody comes"));
    scene.env.set(BUS, &format!("unix:path={}", path.display()));
    let asked = Instant::now();
    drop(called(&scene, &server).exits(4).says("E-KEYCHAIN-UNAVAILABLE").says("does not answer within"));
    assert!(asked.elapsed() < GIVEN_UP, "{:?}", asked.elapsed());
    drop(held.join());
    assert_eq!(server.got_value(), 0);
}

/// As on a server: what is said is what can be done, and nothing is kept.
#[test]
fn without_a_keychain_it_is_said_what_else_there_is() {
    let server = Echo::start();
    let mut scene = scene(&server);
    grant(&scene, &server);
    scene.env.set("PATH", "/nonexistent");
    let refused = set(&scene).exits(4).says("E-KEYCHAIN-UNAVAILABLE").says("`secret-tool`");
    drop(refused.says("libsecret-tools").says("capstan secret set test-token`"));
    drop(scene.run(&["doctor"]).says("no secret can be kept there"));
    assert!(!marker(&scene).exists());
    drop(scene.run(&["secret", "list"]).exits(0).says("There is no secret"));
    // The hint helps.
    super::set(&scene);
    start(&scene, &server.url(), "relay", "");
}
