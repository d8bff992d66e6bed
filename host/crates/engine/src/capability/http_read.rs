//! `http-read`: GET and HEAD, to URLs and addresses that the call's authority permits. Where what is
//! asked for could hold what the operation read, the request is held until somebody approved exactly
//! it.

use authority::{Authority, Denied, DeniedReason, HttpUrl};
use base::Capability;
use http::{HeaderMap, Method as HttpMethod};
use ipnet::IpNet;

use super::{Inert, http_error, http_header};
use crate::bindings::http_read::{self, Header, HttpError as Wit, Method, Request, Response};
use crate::guest::Guest;
use crate::held::{Body, HeldCall, HttpCall};
use crate::http::{self as client, HttpError, Redactor, Traffic, admit_headers};
use crate::secret::{SecretError, SecretHeader};

/// A request that was not answered.
pub(super) enum Failure {
    Tell(HttpError),
    Denied(Denied),
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        Self::Tell(error)
    }
}

/// A request that the call's authority permits.
enum Order {
    /// To be made now.
    AtOnce {
        method: HttpMethod,
        url: HttpUrl,
        headers: HeaderMap,
        secrets: Vec<SecretHeader>,
        networks: Vec<IpNet>,
    },
    /// To be made after an approval.
    Held(HeldCall),
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Tell(error) => Self::Tell(error),
            SecretError::Denied(denied) => Self::Denied(denied),
        }
    }
}

impl Guest {
    /// Where the secrets go that a request names, each with a value to fill in.
    pub(super) fn admit_secrets(
        &mut self,
        names: &[String],
        url: &HttpUrl,
        headers: &HeaderMap,
    ) -> Result<Vec<SecretHeader>, Failure> {
        let admitted = SecretHeader::admit(names, &self.authority, url, headers)?;
        for secret in &admitted {
            let scope = secret.name.parse().map(|name| self.authority.permits_secret(&name, url));
            if let Ok(Ok(scope)) = scope {
                self.reached.place(Capability::Secrets, scope.to_string());
            }
            drop(secret.fill(&self.host.secrets)?);
        }
        Ok(admitted)
    }

    /// The request as it is made, if the call's authority permits it.
    fn fetch_order(&mut self, request: &Request) -> Result<Order, Failure> {
        let url = HttpUrl::parse(&request.url).map_err(|error| HttpError::InvalidUrl(error.to_string()))?;
        let networks = self.authority.permits_url(Capability::HttpRead, &url).map_err(Failure::Denied)?;
        self.reached.place(Capability::HttpRead, url.to_string());
        let headers = request.headers.iter().map(|header| (header.name.as_str(), header.value.as_str()));
        let headers = admit_headers(headers).map_err(HttpError::InvalidHeader)?;
        let secrets = self.admit_secrets(&request.secrets, &url, &headers)?;
        let method = match request.method {
            Method::Get => HttpMethod::GET,
            Method::Head => HttpMethod::HEAD,
        };
        if !self.authority.holds_url(Capability::HttpRead, &url) {
            return Ok(Order::AtOnce { method, url, headers, secrets, networks });
        }
        Ok(Order::Held(HeldCall::HttpRead(HttpCall {
            method: method.as_str().to_owned(),
            url: url.as_str().to_owned(),
            headers: stored(&headers),
            secrets,
            body: Body::Text(String::new()),
        })))
    }

    fn fetch_once(&mut self, order: Order) -> Result<Response, Failure> {
        let (method, url, headers, secrets, networks) = match order {
            Order::AtOnce { method, url, headers, secrets, networks } => {
                (method, url, headers, secrets, networks)
            }
            // Whoever comes here asked for no approval.
            Order::Held(_) => return Err(HttpError::Stop(crate::Trap::Host.into()).into()),
        };
        let secrets = secrets.iter().map(|secret| secret.fill(&self.host.secrets));
        let secrets = secrets.collect::<Result<_, _>>()?;
        let redactor = &Redactor::new(self.host.secrets.values());
        let message = client::Request {
            method,
            url: &url,
            headers,
            secrets,
            redactor,
            body: None,
            networks: &networks,
        };
        let traffic = Traffic::default();
        let fetched = self.host.http.fetch(message, &self.budget, &traffic);
        // What came and was thrown away was moved all the same. It is never more than what was left,
        // so that the guest can still say why it failed.
        let moved = traffic.received.get().min(self.budget.bytes_left());
        self.budget.charge(usize::try_from(moved).unwrap_or(usize::MAX)).map_err(HttpError::Stop)?;
        if let Err(HttpError::RefusedAddress(_)) = &fetched {
            let (what, reason) = (url.to_string(), DeniedReason::SpecialAddress);
            self.record(&Denied::for_good(Capability::HttpRead, &what, reason));
        }
        Ok(response(fetched?))
    }
}

/// Headers that were admitted, as a held call has them.
pub(super) fn stored(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

pub(crate) fn response(response: client::Response) -> Response {
    Response {
        status: response.status.as_u16(),
        headers: http_header(&response.headers, |name, value| Header { name, value }),
        body: response.body,
    }
}

/// What a request brings from the guest.
fn size(request: &Request) -> usize {
    let header = |header: &Header| header.name.len() + header.value.len();
    let secrets = request.secrets.iter().map(String::len).sum::<usize>();
    request.url.len() + secrets + request.headers.iter().map(header).sum::<usize>()
}

impl http_read::Host for Guest {
    fn fetch(&mut self, request: Request) -> wasmtime::Result<Result<Response, Wit>> {
        self.budget.enter(size(&request))?;
        let order = match self.fetch_order(&request) {
            Ok(Order::Held(call)) => return self.sent(call),
            order => order,
        };
        let fetch = |guest: &mut Self| match order.and_then(|order| guest.fetch_once(order)) {
            Ok(response) => Ok(Ok(response)),
            Err(Failure::Tell(error)) => Ok(Err(http_error(error)?)),
            Err(Failure::Denied(denied)) => {
                guest.record(&denied);
                Ok(Err(Wit::Denied(guest.denial_text(&denied))))
            }
        };
        Ok(self.taped("http-read.fetch", &request, fetch)?.answer)
    }
}

impl http_read::Host for Inert<'_> {
    fn fetch(&mut self, request: Request) -> wasmtime::Result<Result<Response, Wit>> {
        // Of this URL alone, so that the grant that is offered is no wider than the call.
        let asks = |authority: &Authority| match HttpUrl::parse(&request.url) {
            Ok(url) => authority.permits_url(Capability::HttpRead, &url).map(drop),
            Err(_) => authority.permits(Capability::HttpRead),
        };
        let denied = self.refuse_what(Capability::HttpRead, size(&request), asks)?;
        Ok(Err(Wit::Denied(self.0.denial_text(&denied))))
    }
}
