//! TLS: the certificate must be good for the URL's host, and the stream whole.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use engine::{HttpClient, HttpSettings};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::http::{PROTOCOL, Server, TLS, answer, client, error, fetch, get};

/// An authority of the test's own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: Vec<u8>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap().der().to_vec();
        Self { issuer: Issuer::new(params, key), root }
    }

    /// What a server for `name` needs; `expired` makes its certificate one of long ago.
    fn serves(&self, name: &str, expired: bool) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        config(certificate.der().clone(), &key)
    }

    fn client(&self) -> HttpClient {
        client(|settings| settings.extra_roots = vec![self.root.clone()])
    }
}

fn config(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap())
}

/// A server that says `bytes`, and ends the TLS stream properly or not.
fn server(config: Arc<ServerConfig>, bytes: &'static str, is_proper: bool) -> Server {
    Server::raw(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut tls = StreamOwned::new(connection, stream.try_clone().unwrap());
        let mut head = Vec::new();
        let mut piece = [0; 512];
        while !head.ends_with(b"\r\n\r\n") {
            match tls.read(&mut piece) {
                Ok(read) if read > 0 => head.extend_from_slice(&piece[..read]),
                _ => return,
            }
        }
        drop(tls.write_all(bytes.as_bytes()));
        if is_proper {
            tls.conn.send_close_notify();
        }
        drop(tls.flush());
        drop(TcpStream::shutdown(stream, std::net::Shutdown::Write));
    })
}

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

fn url(server: &Server, host: &str) -> String {
    format!("https://{host}:{}/", server.address.port())
}

#[test]
fn the_certificate_must_be_good_for_the_host() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let fetch_with = |client: HttpClient, url: &str| {
        let mut invocation = get(url);
        invocation.host.http = client;
        fetch(invocation)
    };
    let good = server(ours.serves("localhost", false), HELLO, true);
    assert_eq!(answer(&fetch_with(ours.client(), &url(&good, "localhost"))).body, b"hello");
    assert_eq!(answer(&fetch_with(ours.client(), &url(&good, "LOCALHOST."))).body, b"hello");
    let address = server(ours.serves("127.0.0.1", false), HELLO, true);
    assert_eq!(answer(&fetch_with(ours.client(), &url(&address, "127.0.0.1"))).body, b"hello");

    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let own = config(params.self_signed(&key).unwrap().der().clone(), &key);
    for (what, server, host) in [
        ("another host's", server(ours.serves("other.example", false), HELLO, true), "localhost"),
        ("a name's for an address", server(ours.serves("localhost", false), HELLO, true), "127.0.0.1"),
        ("an unknown authority's", server(theirs.serves("localhost", false), HELLO, true), "localhost"),
        ("an expired one", server(ours.serves("localhost", true), HELLO, true), "localhost"),
        ("self-signed", server(own, HELLO, true), "localhost"),
    ] {
        let text = error(&fetch_with(ours.client(), &url(&server, host)), TLS);
        assert!(text.contains("certificate"), "{what}: {text}");
    }
    // The web's authorities alone do not know ours.
    let default = HttpClient::new(HttpSettings::default()).unwrap();
    drop(error(&fetch_with(default, &url(&good, "localhost")), TLS));
    // Nor is there a way down to what is not encrypted.
    let plain = Server::raw(|stream| drop(stream.write_all(HELLO.as_bytes())));
    drop(error(&fetch_with(ours.client(), &url(&plain, "localhost")), TLS));
}

/// Without a length only the end of the stream says where the body ends, so it must be the server's.
#[test]
fn a_stream_that_was_cut_is_no_whole_body() {
    let ours = Authority::new();
    let get = |is_proper| {
        let server =
            server(ours.serves("localhost", false), "HTTP/1.1 200 OK\r\n\r\nuntil the end", is_proper);
        let mut invocation = get(&url(&server, "localhost"));
        invocation.host.http = ours.client();
        fetch(invocation)
    };
    assert_eq!(answer(&get(true)).body, b"until the end");
    drop(error(&get(false), PROTOCOL));
}

#[test]
fn what_is_no_certificate_starts_no_client() {
    let settings = HttpSettings { extra_roots: vec![b"nonsense".to_vec()], ..HttpSettings::default() };
    assert!(HttpClient::new(settings).is_err());
}
