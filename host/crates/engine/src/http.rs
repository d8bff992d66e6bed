//! The HTTP client of `http-read` and `http-send`: one request, to an address that was vetted.
//!
//! Nothing is kept from one request to the next: no connection, no TLS session, no cookie. There is
//! no proxy and no environment variable. The request runs on the guest's own thread, in a runtime
//! that ends with it, so that a call which is over leaves neither socket nor task. The one thing
//! that cannot be abandoned at once is a lookup by the system's resolver: see [`resolve`].

mod address;
mod connect;
mod exchange;
mod headers;
mod redact;
mod resolve;
mod roots;

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use authority::HttpUrl;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use ipnet::IpNet;
use rustls::ClientConfig;
use tokio::sync::Semaphore;

use crate::budget::Budget;
use crate::trap::Stop;
use address::Special;
pub(crate) use headers::admit as admit_headers;
pub(crate) use redact::Redactor;
pub use roots::{TLS_ROOTS_MAX, TlsRootsError, tls_roots};

/// How an [`HttpClient`] is set up.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Certificates (DER) that are trusted beside those of the web's authorities.
    pub extra_roots: Vec<Vec<u8>>,
    /// For finding the host, connecting and agreeing on TLS together.
    pub connect: Duration,
    /// For a whole request.
    pub request: Duration,
    /// Requests at the same time, of all calls together.
    pub concurrent: usize,
    /// Largest body, of a request and of a response, in bytes. A call may be allowed to move less.
    pub body_bytes: u64,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            extra_roots: Vec::new(),
            connect: Duration::from_secs(10),
            request: Duration::from_secs(30),
            concurrent: 8,
            body_bytes: 10 << 20,
        }
    }
}

/// The client could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the HTTP client does not start: {0}")]
pub struct HttpSettingsError(String);

/// Sends the requests of guests. Clones share its limits.
#[derive(Clone)]
pub struct HttpClient(Arc<Shared>);

struct Shared {
    tls: Arc<ClientConfig>,
    settings: HttpSettings,
    requests: Semaphore,
    resolver: resolve::Resolver,
}

/// One request whose URL a call's authority permits.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a HttpUrl,
    /// Headers that were admitted.
    pub(crate) headers: HeaderMap,
    /// Headers that hold secrets.
    pub(crate) secrets: Vec<(HeaderName, HeaderValue)>,
    /// What is taken out of the response.
    pub(crate) redactor: &'a Redactor,
    /// What is sent; none where the method has no body.
    pub(crate) body: Option<Bytes>,
    /// Special networks that may be dialled for this URL.
    pub(crate) networks: &'a [IpNet],
}

/// What came back.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// How far a request got, whatever became of it.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Whether a connection came about, so that the server may have been sent the request.
    pub(crate) connected: Cell<bool>,
    /// Bytes that came from the server.
    pub(crate) received: Cell<u64>,
}

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum HttpError {
    InvalidUrl(String),
    InvalidHeader(String),
    Resolve(String),
    RefusedAddress(Special),
    Connect(String),
    Tls(String),
    Timeout,
    TooLarge,
    Protocol(String),
    Secret(String),
    /// The call is over.
    Stop(Stop),
}

impl HttpClient {
    /// Sets up a client. No connection is made.
    ///
    /// # Errors
    /// If one of the extra roots is no certificate.
    pub fn new(settings: HttpSettings) -> Result<Self, HttpSettingsError> {
        let tls = connect::tls(&settings.extra_roots).map_err(HttpSettingsError)?;
        let requests = Semaphore::new(settings.concurrent.max(1));
        Ok(Self(Arc::new(Shared { tls, settings, requests, resolver: resolve::Resolver::default() })))
    }

    /// Whether a request may have a body of `bytes`.
    pub(crate) fn takes(&self, bytes: usize) -> bool {
        bytes as u64 <= self.0.settings.body_bytes
    }

    /// Sends `request` and takes the whole response, on this thread, while the call lasts. What
    /// came of it is added to `traffic`.
    pub(crate) fn fetch(
        &self,
        request: Request<'_>,
        budget: &Budget,
        traffic: &Traffic,
    ) -> Result<Response, HttpError> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_io().enable_time().build();
        let runtime = runtime.map_err(|error| HttpError::Connect(error.to_string()))?;
        let body_max = budget.bytes_left().min(self.0.settings.body_bytes);
        let redactor = request.redactor;
        let response = runtime.block_on(async {
            let work = tokio::time::timeout(self.0.settings.request, self.send(request, body_max, traffic));
            tokio::select! {
                biased;
                stop = budget.over() => Err(HttpError::Stop(stop)),
                response = work => response.unwrap_or(Err(HttpError::Timeout)),
            }
        });
        response.map(|response| redactor.clean(response))
    }

    async fn send(
        &self,
        request: Request<'_>,
        body_max: u64,
        traffic: &Traffic,
    ) -> Result<Response, HttpError> {
        let Shared { tls, settings, requests, resolver } = &*self.0;
        let _place = requests.acquire().await.map_err(|error| HttpError::Connect(error.to_string()))?;
        let connecting = async {
            let addresses = resolver.resolve(request.url, request.networks).await?;
            let tcp = connect::dial(&addresses).await?;
            if !request.url.is_https() {
                return Ok((Some(tcp), None));
            }
            Ok((None, Some(connect::agree(tls, request.url, tcp).await?)))
        };
        let connected = tokio::time::timeout(settings.connect, connecting).await;
        let connected = connected.unwrap_or(Err(HttpError::Timeout))?;
        traffic.connected.set(true);
        match connected {
            (Some(plain), _) => exchange::exchange(plain, request, body_max, &traffic.received).await,
            (None, Some(tls)) => exchange::exchange(tls, request, body_max, &traffic.received).await,
            (None, None) => Err(HttpError::Connect("no connection".to_owned())),
        }
    }
}

/// Says nothing of its contents, among them roots that only an operator may know.
impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpClient")
    }
}
