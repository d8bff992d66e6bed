//! `http-read` through a guest, against servers on the loopback device.
//!
//! Loopback is a special address, so whatever succeeds here does so by a grant that names its network.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use authority::{Authority, DeniedReason};
use base::{Capability, Effect};
use engine::{
    CancelToken, HeldCall, HeldWorld, HttpClient, HttpSettings, Invocation, Outcome, Program, Report, Trap,
};
use values::{Type, Value};

use crate::fixture::{USES_HEAP, assert_trap, authority, call, load, with_imports};

/// The numbers of `http-error`'s cases.
pub(crate) const DENIED: u8 = 0;
pub(crate) const INVALID_URL: u8 = 1;
pub(crate) const INVALID_HEADER: u8 = 2;
pub(crate) const RESOLVE: u8 = 3;
pub(crate) const REFUSED_ADDRESS: u8 = 4;
pub(crate) const CONNECT: u8 = 5;
pub(crate) const TLS: u8 = 6;
pub(crate) const TIMEOUT: u8 = 7;
pub(crate) const TOO_LARGE: u8 = 8;
pub(crate) const PROTOCOL: u8 = 9;

const IMPORTS: &str = r#"(import "capstan:host/http-read@0.1.0" (instance $http
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
    (export "fetch" (func (param "request" $q) (result (result $r (error $he)))))))"#;

const LOWERED: &str = r#"
    (core func $fetch (canon lower (func $http "fetch") (memory $memory) (realloc $realloc)))
    (core instance $host (export "fetch" (func $fetch)))"#;

/// A guest that passes its requests on. A response comes back as a tuple, an error as the number of
/// its case and its text.
fn fetcher() -> &'static Program {
    static PROGRAM: OnceLock<Program> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let core = format!(
            r#"{USES_HEAP}
            (import "host" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32)))
            (func (export "fetch") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
              (call $fetch (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)
                (local.get 5) (local.get 6) (i32.const 64))
              (i32.const 64))"#
        );
        let ty = r#"(param "method" u8) (param "url" string) (param "headers" (list (tuple string string)))
            (param "secrets" (list string))
            (result (result (tuple u16 (list (tuple string string)) (list u8)) (error (tuple u8 string))))"#;
        load(&with_imports(IMPORTS, LOWERED, &core, &[("fetch", ty)]))
    })
}

/// A guest that says of a response how long its body is.
pub(crate) fn weigher() -> Program {
    let core = format!(
        r#"{USES_HEAP}
        (import "host" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32)))
        (func (export "weigh") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
          (call $fetch (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)
            (local.get 5) (local.get 6) (i32.const 64))
          ;; The result's case, and where a response has the length of its body.
          (i32.store (i32.const 128) (i32.load8_u (i32.const 64)))
          (i32.store (i32.const 132) (i32.load (i32.const 84)))
          (i32.const 128))"#
    );
    let ty = r#"(param "method" u8) (param "url" string) (param "headers" (list (tuple string string)))
        (param "secrets" (list string))
        (result (result u32 (error u32)))"#;
    load(&with_imports(IMPORTS, LOWERED, &core, &[("weigh", ty)]))
}

/// Prepares a GET for [`weigher`].
pub(crate) fn weigh(url: &str) -> Invocation {
    let mut invocation = get(url);
    let u32 = || Some(Box::new(Type::U32));
    invocation.function = "weigh".to_owned();
    invocation.signature.result = Some(Type::Result { ok: u32(), err: u32() });
    invocation
}

fn headers_type() -> Type {
    Type::List(Box::new(Type::Tuple(vec![Type::String, Type::String])))
}

/// The authority of an operation of effect `read` that may fetch everything, from loopback too.
pub(crate) fn everywhere() -> Authority {
    let urls = ["http-read=https://*:*/**", "http-read=http://*:*/**"];
    let networks = ["127.0.0.0/8", "::1/128"];
    let granted: Vec<String> =
        urls.iter().flat_map(|url| networks.map(|network| format!("{url} via {network}"))).collect();
    let granted: Vec<&str> = granted.iter().map(String::as_str).collect();
    authority(&urls, &granted, Effect::Read)
}

/// Prepares a GET.
pub(crate) fn get(url: &str) -> Invocation {
    with_headers(0, url, &[])
}

pub(crate) fn with_headers(method: u8, url: &str, headers: &[(&str, &str)]) -> Invocation {
    with_secrets(method, url, headers, &[])
}

pub(crate) fn with_secrets(method: u8, url: &str, headers: &[(&str, &str)], secrets: &[&str]) -> Invocation {
    let string = |text: &str| Value::String(text.to_owned());
    let headers = headers.iter().map(|(name, value)| Value::Tuple(vec![string(name), string(value)]));
    let arguments = vec![
        (Type::U8, Value::U8(method)),
        (Type::String, string(url)),
        (headers_type(), Value::List(headers.collect())),
        (Type::List(Box::new(Type::String)), Value::List(secrets.iter().map(|name| string(name)).collect())),
    ];
    let response = Type::Tuple(vec![Type::U16, headers_type(), Type::List(Box::new(Type::U8))]);
    let error = Type::Tuple(vec![Type::U8, Type::String]);
    let result = Type::Result { ok: Some(Box::new(response)), err: Some(Box::new(error)) };
    let mut invocation = call("fetch", arguments, Some(result));
    invocation.authority = everywhere();
    invocation.limits.wall_ms = 5_000;
    invocation
}

pub(crate) fn fetch(invocation: Invocation) -> Report {
    fetcher().invoke(invocation)
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

#[track_caller]
pub(crate) fn answer(report: &Report) -> Answer {
    let Outcome::Returned(Some(Value::Tuple(parts))) = &report.outcome else { panic!("{report:?}") };
    let [Value::U16(status), headers, body] = parts.as_slice() else { panic!("{parts:?}") };
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    let headers = match headers {
        Value::List(headers) => headers.iter().map(|header| match header {
            Value::Tuple(pair) => (text(&pair[0]), text(&pair[1])),
            other => panic!("{other:?}"),
        }),
        other => panic!("{other:?}"),
    };
    let Value::Bytes(body) = body else { panic!("{body:?}") };
    Answer { status: *status, headers: headers.collect(), body: body.clone() }
}

/// Asserts that the guest was told this error, and gives its text.
#[track_caller]
pub(crate) fn error(report: &Report, case: u8) -> String {
    let Outcome::Failed(Some(Value::Tuple(parts))) = &report.outcome else { panic!("{report:?}") };
    let [Value::U8(found), Value::String(text)] = parts.as_slice() else { panic!("{parts:?}") };
    assert_eq!(*found, case, "{text}");
    text.clone()
}

/// A server that answers each connection in a thread of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Reads a request's head, then does what `answers` says.
    pub(crate) fn new(answers: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let server = Self::raw(move |stream| {
            let head = read_head(stream);
            // A client that goes again without a word asked for nothing.
            if !head.is_empty() {
                seen.lock().unwrap().push(head);
                answers(stream);
            }
        });
        Self { requests, ..server }
    }

    /// Does with a connection what `serves` says.
    pub(crate) fn raw(serves: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, serves) = (Arc::clone(&connections), Arc::new(serves));
        thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let serves = Arc::clone(&serves);
                thread::spawn(move || serves(&mut stream.unwrap()));
            }
        });
        Self { address, connections, requests: Arc::default() }
    }

    /// Answers every request with these bytes.
    pub(crate) fn saying(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self::new(move |stream| drop(stream.write_all(bytes.as_ref())))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Waits for the client to go, but no longer than `patience`, and says whether it stayed.
pub(crate) fn still_there(stream: &mut TcpStream, patience: Duration) -> bool {
    stream.set_read_timeout(Some(patience)).unwrap();
    let read = std::io::Read::read(stream, &mut [0; 16]);
    read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

pub(crate) fn read_head(stream: &mut TcpStream) -> String {
    let mut head = String::new();
    let mut reader = BufReader::new(stream);
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|read| read > 0) {}
    head
}

const HELLO: &str = "HTTP/1.1 200 OK\r\nx-one: a\r\nX-One: b\r\ncontent-length: 5\r\n\r\nhello";

#[test]
fn a_granted_request_is_sent_as_it_should_be() {
    let server = Server::saying(HELLO);
    let report =
        fetch(with_headers(0, &server.url("/a/../b//c?d=/../&e#f"), &[("X-Own", "1"), ("user-agent", "me")]));
    let answer = answer(&report);
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"hello"[..]));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(answer.headers, [pair("x-one", "a"), pair("x-one", "b"), pair("content-length", "5")]);
    let [request] = server.requests().try_into().unwrap();
    let mut lines: Vec<&str> = request.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), "GET /b//c?d=/../&e HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: {}", server.address);
    assert_eq!(
        lines,
        ["accept-encoding: identity", "connection: close", &host, "user-agent: me", "x-own: 1"]
    );
    let moved = report.usage.host_call_bytes as usize;
    let sent = server.url("/a/../b//c?d=/../&e#f").len() + "X-Own1user-agentme".len();
    assert_eq!(moved, sent + HELLO.len());
    assert_eq!(report.usage.host_calls, 1);
}

#[test]
fn head_has_no_body() {
    let server = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n");
    let answer = answer(&fetch(with_headers(1, &server.url("/"), &[])));
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert!(server.requests()[0].starts_with("HEAD / HTTP/1.1\r\n"));
}

#[test]
fn names_are_looked_up_and_sent_as_the_host() {
    let server = Server::saying(HELLO);
    for (spelt, host) in [("localhost", "localhost"), ("LOCALHOST.", "localhost"), ("127.1", "127.0.0.1")] {
        let url = format!("http://{spelt}:{}/", server.address.port());
        assert_eq!(answer(&fetch(get(&url))).status, 200, "{spelt}");
        let request = server.requests().pop().unwrap();
        assert!(request.contains(&format!("host: {host}:{}\r\n", server.address.port())), "{request}");
    }
    let text = error(&fetch(get("http://no-such-name.invalid/")), RESOLVE);
    assert!(!text.is_empty());
}

#[test]
fn a_redirect_is_returned_and_not_followed() {
    let target = Server::saying(HELLO);
    for status in [301, 302, 303, 307, 308] {
        let location = target.url("/");
        let text = format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let answer = answer(&fetch(get(&Server::saying(text).url("/"))));
        assert_eq!(answer.status, status);
        assert!(answer.headers.contains(&("location".to_owned(), location)));
    }
    assert_eq!(target.connections(), 0);
}

#[test]
fn a_compressed_body_is_passed_as_bytes() {
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff];
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", gzip.len());
    let server = Server::saying([head.as_bytes(), &gzip].concat());
    assert_eq!(answer(&fetch(get(&server.url("/")))).body, gzip);
}

#[test]
fn a_special_address_is_dialled_only_by_a_grant_for_that_url() {
    let server = Server::saying(HELLO);
    let port = server.address.port();
    let asked = ["http-read=http://*:*/**"];
    let granted = format!("http-read=http://127.0.0.1:{port}/in/** via 127.0.0.0/8");
    let other = "http-read=http://*:*/** via 10.0.0.0/8";
    let with = |url: &str, granted: &[&str]| {
        let mut invocation = get(url);
        invocation.authority = authority(&asked, granted, Effect::Read);
        fetch(invocation)
    };
    let by_address = |path: &str| format!("http://127.0.0.1:{port}{path}");
    assert_eq!(answer(&with(&by_address("/in/a"), &[&granted, other])).status, 200);
    // Permitted by a grant that brings another network, or none.
    for (url, granted) in [
        (by_address("/out"), &[&granted, other][..]),
        (by_address("/in/a"), &["http-read=http://*:*/**"]),
        (format!("http://localhost:{port}/in/a"), &[&granted, other]),
        (format!("http://[::ffff:127.0.0.1]:{port}/in/a"), &[&granted, other]),
    ] {
        let report = with(&url, granted);
        let text = error(&report, REFUSED_ADDRESS);
        assert!(text.contains("loopback"), "{text}");
        let [denied] = report.denied.as_slice() else { panic!("{report:?}") };
        assert_eq!(
            (denied.capability, denied.reason, &denied.grant),
            (Capability::HttpRead, DeniedReason::SpecialAddress, &None)
        );
        assert_eq!(denied.what, authority::HttpUrl::parse(&url).unwrap().to_string());
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn request_grant_effect_and_sources_each_cut() {
    let server = Server::saying(HELLO);
    let url = server.url("/a");
    let asked = ["http-read=http://127.0.0.1:*/**", "files-read=workspace:**", "artifacts"];
    let via = "http-read=http://127.0.0.1:*/** via 127.0.0.0/8";
    let narrow = format!("http-read=http://{}/b via 127.0.0.0/8", server.address);
    let offered = format!("http-read={url}");
    for (asked, granted, effect, reason, grant) in [
        (&asked[1..], &[via][..], Effect::Read, DeniedReason::NotRequested, None),
        (&asked[..], &[], Effect::Read, DeniedReason::NotGranted, Some(&offered)),
        (&asked, &[&narrow], Effect::Read, DeniedReason::OutOfScope, Some(&offered)),
        (&asked, &[via], Effect::Pure, DeniedReason::AboveEffect, None),
    ] {
        let mut invocation = get(&url);
        invocation.authority = authority(asked, granted, effect);
        let report = fetch(invocation);
        let text = error(&report, DENIED);
        let [denied] = report.denied.as_slice() else { panic!("{report:?}") };
        assert_eq!((denied.reason, denied.grant.as_ref()), (reason, grant));
        assert_eq!(text.contains("allowed by"), grant.is_some(), "{text}");
    }
    // Beside a source a request is held, exactly as it would be sent.
    for (source, effect) in [
        ("files-read=workspace:a", Effect::Read),
        ("artifacts", Effect::Write),
        ("artifacts", Effect::External),
    ] {
        let mut invocation = with_headers(1, &server.url("/a?b=c#d"), &[("X-Own", "1")]);
        invocation.authority = authority(&asked, &[via, source], effect);
        let report = fetch(invocation);
        let Outcome::Held(held) = &report.outcome else { panic!("{report:?}") };
        let HeldCall::HttpRead(call) = &held.call else { panic!("{held:?}") };
        assert_eq!((call.method.as_str(), &call.url), ("HEAD", &server.url("/a?b=c")));
        assert_eq!(call.headers, [("x-own".to_owned(), "1".to_owned())], "and no key");
        assert_eq!(HeldCall::from_bytes(&held.call.to_bytes()).as_ref(), Ok(&held.call));
        assert_eq!(held.call.target(), format!("HEAD {}", server.url("/a?b=c")));
        assert!(report.denied.is_empty(), "{report:?}");
        // What is no request is told at once: there is nothing to approve.
        let mut invocation = with_headers(0, &server.url("/a"), &[("host", "internal")]);
        invocation.authority = authority(&asked, &[via, source], effect);
        drop(error(&fetch(invocation), INVALID_HEADER));
    }
    assert_eq!(server.connections(), 0);
    for effect in [Effect::Read, Effect::Write, Effect::External, Effect::Destructive] {
        let mut invocation = get(&url);
        invocation.authority = authority(&asked, &[via], effect);
        assert_eq!(answer(&fetch(invocation)).status, 200);
    }
}

#[test]
fn what_is_no_request_reaches_no_server() {
    let server = Server::saying(HELLO);
    let url = server.url("/");
    for (name, value) in [
        ("Host", "internal"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("connection", "keep-alive"),
        ("proxy-authorization", "x"),
        ("expect", "100-continue"),
        ("upgrade", "h2c"),
        ("x", "a\r\nhost: internal"),
        ("x\r\nhost", "internal"),
        ("x", "a\0"),
        ("", "x"),
    ] {
        drop(error(&fetch(with_headers(0, &url, &[(name, value)])), INVALID_HEADER));
    }
    let authority = server.address;
    for url in [
        format!("http://user@{authority}/"),
        format!("ftp://{authority}/"),
        format!("http:\\\\{authority}/"),
        format!(" http://{authority}/"),
        format!("http://{authority}/\r\nx"),
        format!("http://{authority}/a/..%2fb"),
        "/".to_owned(),
    ] {
        drop(error(&fetch(get(&url)), INVALID_URL));
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(answer(&fetch(with_headers(0, &url, &[("accept", "*/*")]))).status, 200);
}

/// Linux takes a connection to `0.0.0.0` to loopback: what was granted is not what is reached.
#[test]
fn what_was_vetted_is_what_is_reached() {
    let server = Server::saying(HELLO);
    let port = server.address.port();
    let with = |granted: &str| {
        let mut invocation = get(&format!("http://0.0.0.0:{port}/"));
        invocation.authority = authority(&["http-read=http://*:*/**"], &[granted], Effect::Read);
        fetch(invocation)
    };
    let text = error(&with("http-read=http://*:*/** via 0.0.0.0/8"), CONNECT);
    assert_eq!(text, "another address answered");
    drop(error(&with("http-read=http://*:*/**"), REFUSED_ADDRESS));
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[test]
fn nobody_there_is_an_error_of_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert!(error(&fetch(get(&format!("http://{address}/"))), CONNECT).contains("refused"));
}

/// Answers nothing and says when the other side has gone.
fn silent() -> (Server, std::sync::mpsc::Receiver<()>) {
    let (gone, is_gone) = std::sync::mpsc::channel();
    let gone = Mutex::new(gone);
    let server = Server::new(move |stream| {
        let read = std::io::Read::read(stream, &mut [0; 16]);
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        gone.lock().unwrap().send(()).unwrap();
    });
    (server, is_gone)
}

#[test]
fn a_call_that_is_over_leaves_no_connection() {
    let long = Duration::from_secs(30);
    let (server, is_gone) = silent();
    let mut invocation = get(&server.url("/"));
    invocation.limits.wall_ms = 300;
    let started = Instant::now();
    assert_trap(&fetch(invocation), Trap::Deadline);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    is_gone.recv_timeout(long).unwrap();

    let (server, is_gone) = silent();
    let cancel = CancelToken::default();
    let mut invocation = get(&server.url("/"));
    invocation.cancel = cancel.clone();
    invocation.limits.wall_ms = 60_000;
    let waiting = thread::spawn(move || fetch(invocation));
    while server.requests().is_empty() {
        thread::yield_now();
    }
    let started = Instant::now();
    cancel.cancel();
    assert_trap(&waiting.join().unwrap(), Trap::Cancelled);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    is_gone.recv_timeout(long).unwrap();
}

pub(crate) fn client(change: impl FnOnce(&mut HttpSettings)) -> HttpClient {
    let mut settings = HttpSettings::default();
    change(&mut settings);
    HttpClient::new(settings).unwrap()
}

#[test]
fn a_request_has_a_time_of_its_own() {
    let (server, is_gone) = silent();
    let mut invocation = get(&server.url("/"));
    invocation.host.http = client(|settings| settings.request = Duration::from_millis(200));
    drop(error(&fetch(invocation), TIMEOUT));
    is_gone.recv_timeout(Duration::from_secs(30)).unwrap();
    // TLS that never begins is part of connecting.
    let server = Server::raw(|stream| drop(std::io::Read::read_to_end(stream, &mut Vec::new())));
    let mut invocation = get(&format!("https://{}/", server.address));
    invocation.host.http = client(|settings| settings.connect = Duration::from_millis(200));
    drop(error(&fetch(invocation), TIMEOUT));
}

#[test]
fn the_limits_are_what_documentation_says() {
    let usual = HttpSettings::default();
    assert_eq!((usual.concurrent, usual.request, usual.body_bytes), (8, Duration::from_secs(30), 10 << 20));
}

/// Comes to a POST with a body of so many bytes, in an external operation that was granted this. An
/// error is returned as the number of its case.
fn post(url: &str, bytes: u32, granted: &str) -> Report {
    let imports = IMPORTS
        .replace("http-read", "http-send")
        .replace(r#"(enum "get" "head")"#, r#"(enum "post" "put" "patch" "delete")"#)
        .replace(
            r#"(field "secrets" (list string))))"#,
            r#"(field "secrets" (list string)) (field "body" (list u8))))"#,
        )
        .replace(r#""fetch""#, r#""send""#);
    let lowered = LOWERED.replace(r#"$http "fetch""#, r#"$http "send""#);
    let core = format!(
        r#"{USES_HEAP}
        (import "host" "fetch" (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
        (func (export "post") (param i32 i32 i32) (result i32)
          (call $send (i32.const 0) (local.get 0) (local.get 1) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0) (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (local.get 2)) (local.get 2)
            (i32.const 64))
          (i32.load8_u (i32.const 68)))"#
    );
    let program = load(&with_imports(
        &imports,
        &lowered,
        &core,
        &[("post", r#"(param "url" string) (param "bytes" u32) (result u32)"#)],
    ));
    let mut post =
        call("post", vec![crate::fixture::text(url), crate::fixture::number(bytes)], Some(Type::U32));
    post.authority = external(granted);
    post.host.http = client(|settings| settings.body_bytes = 100_000);
    program.invoke(post)
}

fn external(granted: &str) -> Authority {
    authority(&["http-send=http://*:*/**"], &[granted], Effect::External)
}

/// What could never be sent is not held for somebody to approve.
#[test]
fn a_body_that_is_too_large_is_not_held() {
    let everywhere = "http-send=http://*:*/**";
    assert!(matches!(post("http://example.com/", 90_000, everywhere).outcome, Outcome::Held(_)));
    let over = post("http://example.com/", 110_000, everywhere);
    assert_eq!(over.outcome, Outcome::Returned(Some(Value::U32(TOO_LARGE.into()))));
}

#[test]
fn a_call_outside_of_its_grant_is_neither_held_nor_sent() {
    let server = Server::saying(HELLO);
    let granted = format!("http-send=http://{}/in via 127.0.0.0/8", server.address);
    let out = post(&server.url("/out"), 5, &granted);
    assert_eq!(out.outcome, Outcome::Returned(Some(Value::U32(DENIED.into()))));
    let [denied] = out.denied.as_slice() else { panic!("{out:?}") };
    assert_eq!((denied.capability, denied.reason), (Capability::HttpSend, DeniedReason::OutOfScope));
    let Outcome::Held(held) = post(&server.url("/in"), 5, &granted).outcome else { panic!("not held") };
    // Approved, and meanwhile the grant was taken back, or is one of another place.
    let host = crate::fixture::host(engine::files::Roots::default());
    let perform = |granted: &str| {
        let (http, exec, secrets) = (host.http.clone(), host.exec.clone(), host.secrets.clone());
        let (world, limits) = (HeldWorld { http, exec, secrets }, base::Limits::DEFAULT);
        held.call.perform(&external(granted), &world, limits, CancelToken::default()).summary
    };
    let elsewhere = format!("http-send=http://{}/out via 127.0.0.0/8", server.address);
    for granted in [&elsewhere, "http-send=https://example.com/in"] {
        let summary = perform(granted);
        // Refused for the URL, before anybody looked at its address.
        assert!(summary.starts_with("no response: ") && summary.contains("http-send"), "{summary}");
    }
    // A special address needs a grant that names its network then, too.
    let summary = perform(&format!("http-send=http://{}/in", server.address));
    assert!(summary.contains("loopback"), "{summary}");
    assert_eq!(server.connections(), 0);
    assert_eq!(perform(&granted), "200, 5 bytes");
    assert_eq!(server.connections(), 1);
    assert!(server.requests()[0].starts_with("POST /in HTTP/1.1\r\n"));
}

#[test]
fn requests_at_the_same_time_are_bounded() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (here, highest) = (Arc::clone(&now), Arc::clone(&most));
    let server = Server::new(move |stream| {
        highest.fetch_max(here.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Long enough for the others to arrive, if they may.
        still_there(stream, Duration::from_millis(50));
        here.fetch_sub(1, Ordering::SeqCst);
        drop(stream.write_all(HELLO.as_bytes()));
    });
    let http = client(|settings| settings.concurrent = 2);
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let mut invocation = get(&server.url("/"));
            invocation.host.http = http.clone();
            thread::spawn(move || answer(&fetch(invocation)).status)
        })
        .collect();
    assert!(calls.into_iter().all(|call| call.join().unwrap() == 200));
    assert_eq!(most.load(Ordering::SeqCst), 2);
}
