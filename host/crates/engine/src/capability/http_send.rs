//! `http-send`: POST, PUT, PATCH and DELETE, each held until somebody approved exactly it.

use authority::{Authority, Denied, DeniedReason, HttpUrl};
use base::{Capability, Effect, FramedHasher};

use super::http_read::{Failure, stored};
use super::{Inert, http_error, http_header};
use crate::bindings::http_send::{self, Header, HttpError as Wit, Method, Request, Response};
use crate::guest::Guest;
use crate::held::{Body, HeldCall, HttpCall};
use crate::http::{self as client, HttpError, admit_headers};

/// By which a server knows that it has seen the request before
/// (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: &str = "idempotency-key";

impl Guest {
    /// The request as it would be sent, if the call's authority permits it.
    fn hold(&mut self, request: Request) -> Result<HeldCall, Failure> {
        let url = HttpUrl::parse(&request.url).map_err(|error| HttpError::InvalidUrl(error.to_string()))?;
        self.authority.permits_url(Capability::HttpSend, &url).map_err(Failure::Denied)?;
        self.reached.place(Capability::HttpSend, url.to_string());
        let method = match request.method {
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete if self.authority.effect() < Effect::Destructive => {
                let what = format!("DELETE {url}");
                let reason = DeniedReason::AboveEffect;
                return Err(Failure::Denied(Denied::for_good(Capability::HttpSend, &what, reason)));
            }
            Method::Delete => "DELETE",
        };
        if request.headers.iter().any(|header| header.name.eq_ignore_ascii_case(IDEMPOTENCY_KEY)) {
            return Err(
                HttpError::InvalidHeader(format!("`{IDEMPOTENCY_KEY}` is not a guest's to set")).into()
            );
        }
        if !self.host.http.takes(request.body.len()) {
            return Err(HttpError::TooLarge.into());
        }
        let headers = request.headers.iter().map(|header| (header.name.as_str(), header.value.as_str()));
        let headers = admit_headers(headers).map_err(HttpError::InvalidHeader)?;
        let secrets = self.admit_secrets(&request.secrets, &url, &headers)?;
        let mut headers = stored(&headers);
        headers.push((IDEMPOTENCY_KEY.to_owned(), self.idempotency_key()));
        Ok(HeldCall::HttpSend(HttpCall {
            method: method.to_owned(),
            url: url.as_str().to_owned(),
            headers,
            secrets,
            body: Body::new(request.body),
        }))
    }

    /// The key of the next held call: the same whenever this very call is made again, a string in
    /// quotes as the draft has it.
    fn idempotency_key(&self) -> String {
        let sent = self.deck.as_ref().map_or(0, crate::tape::Deck::sent);
        let key = FramedHasher::new("capstan/idempotency-key/v1").field(&self.call_id).number(sent).finish();
        let hex: String = key.hex().chars().take(32).collect();
        format!("\"{hex}\"")
    }
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
    request.url.len() + secrets + request.body.len() + request.headers.iter().map(header).sum::<usize>()
}

impl http_send::Host for Guest {
    fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, Wit>> {
        self.budget.enter(size(&request))?;
        match self.hold(request) {
            Ok(call) => self.sent(call),
            Err(Failure::Tell(error)) => http_error(error).map(Err).map_err(Into::into),
            Err(Failure::Denied(denied)) => {
                self.record(&denied);
                Ok(Err(Wit::Denied(self.denial_text(&denied))))
            }
        }
    }
}

impl http_send::Host for Inert<'_> {
    fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, Wit>> {
        // Of this URL alone, so that the grant that is offered is no wider than the call.
        let asks = |authority: &Authority| match HttpUrl::parse(&request.url) {
            Ok(url) => authority.permits_url(Capability::HttpSend, &url).map(drop),
            Err(_) => authority.permits(Capability::HttpSend),
        };
        let denied = self.refuse_what(Capability::HttpSend, size(&request), asks)?;
        Ok(Err(Wit::Denied(self.0.denial_text(&denied))))
    }
}
