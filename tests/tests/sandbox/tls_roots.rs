//! Authorities for TLS that the operator names: their servers are trusted beside the web's, and a file
//! that holds none is said before anything is called.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use tests::{Env, Outcome};

use crate::guest::call;

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// An authority, and its certificate as PEM.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        Self::with(name, |_| ())
    }

    fn with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let pem = pem("CERTIFICATE", params.self_signed(&key).unwrap().der());
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Serves `hello` as `name`, and gives the port.
    fn serve(&self, name: &str) -> u16 {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &self.issuer).unwrap().der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = Arc::new(config.with_single_cert(vec![certificate], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| answer(stream, &config)));
        port
    }
}

fn answer(stream: TcpStream, config: &Arc<ServerConfig>) {
    let mut tls = StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), stream);
    let (mut head, mut piece) = (Vec::new(), [0; 512]);
    while !head.ends_with(b"\r\n\r\n") {
        match tls.read(&mut piece) {
            Ok(read) if read > 0 => head.extend_from_slice(&piece[..read]),
            _ => return,
        }
    }
    drop(tls.write_all(HELLO));
    tls.conn.send_close_notify();
    drop(tls.flush());
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A home whose `capstan:http` may fetch from this machine.
fn with_http() -> Env {
    let env = Env::with_home();
    env.install("packs/http", &["--grant", "http-read=https://*:*/** via 127.0.0.0/8"]);
    env
}

fn set_roots(env: &Env, roots: &str) {
    fs::write(env.home().join("config.toml"), format!("mode = \"solo\"\n[http]\nroots = {roots}\n")).unwrap();
}

fn get(env: &Env, port: u16) -> Value {
    call(env, "capstan:http/fetch.get", &json!({ "url": format!("https://127.0.0.1:{port}/") }))
}

#[track_caller]
fn is_refused(said: &Value, why: &str) {
    assert_eq!(said["outcome"], "failed", "{said:#}");
    assert!(said["result"].to_string().contains(why), "{said:#}");
}

#[track_caller]
fn is_answered(said: &Value) {
    assert_eq!(said["outcome"], "returned", "{said:#}");
    assert!(said["result"].to_string().contains("hello"), "{said:#}");
}

#[test]
fn an_authority_of_the_operators_is_trusted_for_its_hosts() {
    let [ours, second, theirs] = ["ours", "second", "theirs"].map(Authority::new);
    let env = with_http();
    let port = ours.serve("127.0.0.1");
    is_refused(&get(&env, port), "UnknownIssuer");
    fs::write(env.home().join("ours.pem"), &ours.pem).unwrap();
    set_roots(&env, "[\"ours.pem\"]");
    is_answered(&get(&env, port));
    // For the host that the certificate names, as ever, and no other authority comes with it.
    is_refused(&get(&env, ours.serve("other.example")), "not valid for name");
    is_refused(&get(&env, theirs.serve("127.0.0.1")), "UnknownIssuer");
    // Several files, also elsewhere, and several certificates in one, with prose around them.
    let both = env.folder().join("both.pem");
    fs::write(&both, format!("# ours\n{}\n# the second\n{}", ours.pem, second.pem)).unwrap();
    set_roots(&env, &format!("[{both:?}, \"ours.pem\"]"));
    is_answered(&get(&env, port));
    is_answered(&get(&env, second.serve("127.0.0.1")));
    let doctor = env.run(["doctor"]).says("the web's authorities").says("ours.pem` does: 1 certificate(s)");
    drop(doctor.says(&format!("`{}` does: 2 certificate(s)", both.display())));
    // Taken back, it is trusted no more.
    set_roots(&env, "[]");
    is_refused(&get(&env, port), "UnknownIssuer");
}

#[test]
fn what_is_no_authority_is_said_before_anything_is_called() {
    let ours = Authority::new("ours");
    let server = Authority::with("server", |params| params.is_ca = IsCa::ExplicitNoCa);
    let silent = Authority::with("silent", |params| params.is_ca = IsCa::NoCa);
    let old = Authority::with("old", |params| params.not_after = rcgen::date_time_ymd(2001, 1, 1));
    let new = Authority::with("new", |params| params.not_before = rcgen::date_time_ymd(2400, 1, 1));
    let key = pem("PRIVATE KEY", &KeyPair::generate().unwrap().serialize_der());
    let garbled = ours.pem.replacen("\nM", "\n!", 1);
    let cut = ours.pem.split("-----END").next().unwrap().to_owned();
    let wrong = pem("CERTIFICATE", b"nonsense");
    let many = |count| ours.pem.repeat(count);
    let large = "#".repeat(1 << 20) + "\n" + &ours.pem;
    let path = |env: &Env| env.home().join("a.pem");
    let env = with_http();
    set_roots(&env, "[\"a.pem\"]");
    let call = || env.run(["op", "call", "capstan:http/fetch.get", "{\"url\": \"https://127.0.0.1:1/\"}"]);
    let refused = |outcome: Outcome, why: &str| {
        let outcome = outcome.exits(2).says("E-CONFIG-MALFORMED").says("`[http] roots`");
        drop(outcome.says(why));
        let outcome = env.run(["doctor"]).exits(1).says("`[http] roots`");
        drop(outcome.says(why).says(&format!("edit `{}`", env.home().join("config.toml").display())));
    };
    refused(call(), &format!("`{}`: No such file", path(&env).display()));
    fs::create_dir(path(&env)).unwrap();
    refused(call(), "not a regular file");
    fs::remove_dir(path(&env)).unwrap();
    for (text, why) in [
        ("", "holds no certificate in PEM"),
        ("-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n", "holds no certificate in PEM"),
        (&garbled, "it is not PEM: base64"),
        (&cut, "it is not PEM: missing section end"),
        (&wrong, "its certificate 1 is not one"),
        (&format!("{}{wrong}", ours.pem), "its certificate 2 is not one"),
        (&format!("{}{key}", ours.pem), "something else than certificates"),
        (&server.pem, "its certificate 1 is not an authority's"),
        (&format!("{}{}", ours.pem, silent.pem), "its certificate 2 is not an authority's"),
        (&old.pem, "its certificate 1 is not valid now"),
        (&new.pem, "its certificate 1 is not valid now"),
        (&many(513), "more than 512 certificates"),
        (&large, "larger than 1048576 bytes"),
    ] {
        fs::write(path(&env), text).unwrap();
        refused(call(), why);
    }
    // Up to the bounds it is taken: what fails then is the connection.
    fs::write(path(&env), many(512)).unwrap();
    drop(call().exits(1).says("connect"));
    let size = (1 << 20) - 1 - ours.pem.len();
    fs::write(path(&env), "#".repeat(size) + "\n" + &ours.pem).unwrap();
    drop(call().exits(1).says("connect"));
    set_roots(&env, &format!("[{}]", vec!["\"a.pem\""; 17].join(", ")));
    refused(call(), "more than 16 files");
    set_roots(&env, &format!("[{}]", vec!["\"a.pem\""; 16].join(", ")));
    drop(call().exits(1).says("connect"));
    set_roots(&env, "\"a.pem\"");
    drop(call().exits(2).says("E-CONFIG-MALFORMED"));
    // What calls nothing does not need them.
    set_roots(&env, "[\"absent.pem\"]");
    drop(env.run(["grant", "list"]).exits(0));
}
