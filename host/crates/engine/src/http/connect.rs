//! TCP to a vetted address, and TLS with the host that the URL names.

use std::net::SocketAddr;
use std::sync::Arc;

use authority::HttpUrl;
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::HttpError;

/// The TLS of every connection: the web's authorities and `extra` ones, no client certificate, and
/// no session that one pack could be recognised by in the next one's connection.
pub(super) fn tls(extra: &[Vec<u8>]) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in extra {
        roots.add(CertificateDer::from(root.clone())).map_err(|error| error.to_string())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config =
        versions.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Connects to the first of `addresses` that answers.
pub(super) async fn dial(addresses: &[SocketAddr]) -> Result<TcpStream, HttpError> {
    let mut last = "the host has no address".to_owned();
    for address in addresses {
        match TcpStream::connect(address).await {
            // What was vetted is what was reached.
            Ok(stream) if stream.peer_addr().is_ok_and(|peer| peer == *address) => return Ok(stream),
            Ok(_) => last = "another address answered".to_owned(),
            Err(error) => last = error.to_string(),
        }
    }
    Err(HttpError::Connect(last))
}

/// Agrees on TLS with the URL's host, whose certificate must be good for that name.
pub(super) async fn agree(
    config: &Arc<ClientConfig>,
    url: &HttpUrl,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, HttpError> {
    let fail = |error: &dyn std::fmt::Display| HttpError::Tls(error.to_string());
    let name = match url.host() {
        Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|error| fail(&error))?,
        Host::Ipv4(address) => ServerName::from(std::net::IpAddr::V4(*address)),
        Host::Ipv6(address) => ServerName::from(std::net::IpAddr::V6(*address)),
    };
    let connector = TlsConnector::from(Arc::clone(config));
    connector.connect(name, stream).await.map_err(|error| fail(&error))
}
