//! Servers that break the rules, or send without end: each ends with an error of its own.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use base::Limits;
use engine::{Outcome, Trap};

use crate::fixture::{assert_next_call_works, assert_trap};
use crate::http::{CONNECT, PROTOCOL, Server, TOO_LARGE, answer, client, error, fetch, get, still_there};

/// Says `first`, then `again` until nobody listens.
fn endless(first: &'static str, again: &'static [u8]) -> Server {
    Server::new(move |stream| {
        let mut sent = stream.write_all(first.as_bytes());
        while sent.is_ok() {
            sent = stream.write_all(again);
        }
    })
}

#[test]
fn what_breaks_the_rules_is_refused() {
    for (answer, says) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello", "content-length"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", ""),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\nhello", ""),
        ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nhello", ""),
        ("HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello", ""),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nhello", ""),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "both"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n", "both"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "other than"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: x\r\n\r\n0\r\n\r\n",
            "other than",
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", ""),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n", ""),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel", ""),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", ""),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "another protocol"),
        ("HTTP/1.1 200 OK\r\nbad header: x\r\n\r\n", ""),
        ("HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n", ""),
        ("HTTP/1.1 200 OK\r\nfolded: a\r\n b\r\n\r\n", ""),
        ("HTTP/1.1 99999 OK\r\n\r\n", ""),
        ("HTTP/7.1 200 OK\r\n\r\n", ""),
        ("HTTP/1.1 200 OK\r\nx: a", ""),
        ("<html>HTTP/0.9 has no head</html>", ""),
        ("SSH-2.0-OpenSSH_9.9\r\n", ""),
        ("", ""),
    ] {
        let text = error(&fetch(get(&Server::saying(answer).url("/"))), PROTOCOL);
        assert!(text.contains(says), "{answer:?}: {text}");
    }
}

#[test]
fn what_only_looks_odd_is_accepted() {
    for (bytes, status, body) in [
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nx-trailer: t\r\n\r\n",
            200,
            "hello",
        ),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, "until the end"),
        ("HTTP/1.0 404 Not Found\r\ncontent-length: 2\r\n\r\nno", 404, "no"),
        (
            "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            200,
            "ok",
        ),
        ("HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok and more", 200, "ok"),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        ("HTTP/1.1 500 x\r\nx: \u{fc}\r\ncontent-length: 0\r\n\r\n", 500, ""),
    ] {
        let found = answer(&fetch(get(&Server::saying(bytes).url("/"))));
        assert_eq!((found.status, found.body.as_slice()), (status, body.as_bytes()), "{bytes:?}");
        assert!(!found.headers.iter().any(|(name, _)| name == "x-trailer"));
        // Each byte of a value is a character.
        for (_, value) in found.headers.iter().filter(|(name, _)| name == "x") {
            assert_eq!(value, "\u{c3}\u{bc}");
        }
    }
}

#[test]
fn a_response_without_end_is_cut_off() {
    for server in [
        endless("HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
        endless("HTTP/1.1 200 OK\r\nx: ", b"yyyyyyyyyyyyyyyy"),
        endless("", b"HTTP/1.1 100 Continue\r\n\r\n"),
        endless("", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"),
        endless("HTTP/1.1 200 OK\r\n\r\n", &[b'y'; 4096]),
        endless("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"4\r\nyyyy\r\n"),
        endless("HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n", &[b'y'; 4096]),
    ] {
        let mut invocation = get(&server.url("/"));
        invocation.limits.host_call_bytes = 1 << 20;
        let started = Instant::now();
        let report = fetch(invocation);
        drop(error(&report, TOO_LARGE));
        assert!(started.elapsed() < Duration::from_secs(5));
        assert!(report.usage.host_call_bytes <= 1 << 20, "{:?}", report.usage);
    }
    // Garbage that never gets to a body, and trailers that never end, are cut off too.
    for server in [
        endless("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1;xxxxxxxxxxxxxx"),
        endless("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n"),
    ] {
        let report = fetch(get(&server.url("/")));
        assert!(matches!(report.outcome, Outcome::Failed(_)), "{report:?}");
    }
    assert_next_call_works();
}

/// The head: 64 KiB and 100 headers, from both sides.
#[test]
fn the_head_is_limited() {
    let long = |bytes: usize| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx: {}\r\n\r\n", "y".repeat(bytes));
        fetch(get(&Server::saying(head).url("/")))
    };
    assert_eq!(answer(&long((64 << 10) * 9 / 10)).status, 200);
    drop(error(&long((64 << 10) * 11 / 10), TOO_LARGE));
    let many = |count: usize| {
        let head = format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "x: y\r\n".repeat(count - 1));
        fetch(get(&Server::saying(head).url("/")))
    };
    assert_eq!(answer(&many(100)).headers.len(), 100);
    drop(error(&many(101), TOO_LARGE));
}

/// The body: what the call may still move, from both sides, however it is framed.
#[test]
fn the_body_is_limited_by_what_the_call_may_move() {
    const LIMIT: usize = 100_000;
    let plain = |bytes: usize| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n");
        [head.as_bytes(), &vec![b'y'; bytes]].concat()
    };
    let chunked = |bytes: usize| {
        let head = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{bytes:x}\r\n");
        [head.as_bytes(), &vec![b'y'; bytes], b"\r\n0\r\n\r\n"].concat()
    };
    let get = |bytes: Vec<u8>| {
        let mut invocation = get(&Server::saying(bytes).url("/"));
        invocation.limits = Limits { host_call_bytes: LIMIT as u64, ..invocation.limits };
        fetch(invocation)
    };
    for (inside, outside) in
        [(plain(LIMIT * 9 / 10), plain(LIMIT * 11 / 10)), (chunked(LIMIT * 9 / 10), chunked(LIMIT * 11 / 10))]
    {
        assert_eq!(answer(&get(inside)).body.len(), LIMIT * 9 / 10);
        let report = get(outside);
        drop(error(&report, TOO_LARGE));
        // What was thrown away counts: asking again moves nothing more.
        assert_eq!(report.usage.host_call_bytes, LIMIT as u64);
    }
}

/// However much the call may move, a body has a limit of its own.
#[test]
fn the_body_has_a_limit_of_its_own() {
    const LIMIT: usize = 100_000;
    let http = client(|settings| settings.body_bytes = LIMIT as u64);
    let with = |bytes: usize| {
        let body = "y".repeat(bytes);
        let mut invocation = get(&Server::saying(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n{body}"
        ))
        .url("/"));
        invocation.host.http = http.clone();
        fetch(invocation)
    };
    assert_eq!(answer(&with(LIMIT * 9 / 10)).body.len(), LIMIT * 9 / 10);
    drop(error(&with(LIMIT * 11 / 10), TOO_LARGE));
    assert_next_call_works();
}

/// A byte now and then keeps no call alive.
#[test]
fn a_slow_server_does_not_stretch_the_call() {
    let drip = |first: &'static str| {
        Server::new(move |stream: &mut TcpStream| {
            drop(stream.write_all(first.as_bytes()));
            while still_there(stream, Duration::from_millis(5)) {
                drop(stream.write_all(b"y"));
            }
        })
    };
    for first in ["HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", "HTTP/1.1 200 OK\r\nx: ", "HT"] {
        let mut invocation = get(&drip(first).url("/"));
        invocation.limits.wall_ms = 200;
        let started = Instant::now();
        let report = fetch(invocation);
        assert_trap(&report, Trap::Deadline);
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    }
}

#[test]
fn a_connection_that_breaks_is_told_apart() {
    // Closed with bytes unread, which resets it.
    let server = Server::raw(|stream| drop(stream.set_nodelay(true)));
    let mut invocation = get(&server.url("/"));
    invocation.host.http = client(|settings| settings.request = Duration::from_secs(3));
    let report = fetch(invocation);
    let Outcome::Failed(Some(values::Value::Tuple(parts))) = &report.outcome else { panic!("{report:?}") };
    assert!([CONNECT, PROTOCOL].iter().any(|case| parts[0] == values::Value::U8(*case)), "{parts:?}");
}
