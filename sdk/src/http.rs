//! HTTP: capability `http-read` for what changes nothing, `http-send` for the rest.
//!
//! The host decides on every request: its URL must be granted, and the address behind its name must
//! not be private or reserved. No redirect is followed; a response of status 3xx is a response.
//!
//! A request of `http-send` waits until somebody approved exactly it, and so does one of `http-read` in
//! an operation that can also read files or artifacts, run programs or have secrets filled in: the
//! operation ends there, and runs again to the same place.

use std::fmt;

use crate::host::http_read;
use crate::host::types::HttpError;

pub use crate::host::http_read::{Header, Method, Request, Response};
pub use crate::host::http_send;

/// A request without a response: for which URL, and why.
///
/// `?` turns it into a `String` or into the WIT type `capstan:host/types.http-error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The URL named in the call.
    pub url: String,
    /// What went wrong.
    pub reason: Reason,
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Outside the pack's authority; the text is the host's.
    Denied(String),
    /// No URL that can be asked for.
    InvalidUrl(String),
    /// A header that is malformed or not the pack's to set.
    InvalidHeader(String),
    /// The name has no address.
    Resolve(String),
    /// An address of the name is private or reserved.
    RefusedAddress(String),
    /// No connection, or it broke.
    Connect(String),
    /// The server's certificate or its TLS was refused.
    Tls(String),
    /// It took too long.
    Timeout,
    /// The response is over a limit of the call.
    TooLarge,
    /// The server broke a rule of HTTP.
    Protocol(String),
    /// A secret cannot be filled in.
    Secret(String),
    /// Read as text, and not UTF-8.
    NotText,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(why) => write!(f, "denied: {why}"),
            Self::InvalidUrl(why) => write!(f, "invalid URL: {why}"),
            Self::InvalidHeader(why) => write!(f, "invalid header: {why}"),
            Self::Resolve(why) => write!(f, "name not found: {why}"),
            Self::RefusedAddress(why) => write!(f, "refused address: {why}"),
            Self::Connect(why) => write!(f, "connection failed: {why}"),
            Self::Tls(why) => write!(f, "TLS refused: {why}"),
            Self::Timeout => f.write_str("took too long"),
            Self::TooLarge => f.write_str("too large"),
            Self::Protocol(why) => write!(f, "not HTTP: {why}"),
            Self::Secret(why) => write!(f, "secret not filled in: {why}"),
            Self::NotText => f.write_str("not UTF-8 text"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.url, self.reason)
    }
}

impl std::error::Error for Error {}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.to_string()
    }
}

impl From<HttpError> for Reason {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Denied(why) => Self::Denied(why),
            HttpError::InvalidUrl(why) => Self::InvalidUrl(why),
            HttpError::InvalidHeader(why) => Self::InvalidHeader(why),
            HttpError::Resolve(why) => Self::Resolve(why),
            HttpError::RefusedAddress(why) => Self::RefusedAddress(why),
            HttpError::Connect(why) => Self::Connect(why),
            HttpError::Tls(why) => Self::Tls(why),
            HttpError::Timeout => Self::Timeout,
            HttpError::TooLarge => Self::TooLarge,
            HttpError::Protocol(why) => Self::Protocol(why),
            HttpError::Secret(why) => Self::Secret(why),
        }
    }
}

impl From<Error> for HttpError {
    fn from(error: Error) -> Self {
        match error.reason {
            Reason::Denied(why) => Self::Denied(why),
            Reason::InvalidUrl(why) => Self::InvalidUrl(why),
            Reason::InvalidHeader(why) => Self::InvalidHeader(why),
            Reason::Resolve(why) => Self::Resolve(why),
            Reason::RefusedAddress(why) => Self::RefusedAddress(why),
            Reason::Connect(why) => Self::Connect(why),
            Reason::Tls(why) => Self::Tls(why),
            Reason::Timeout => Self::Timeout,
            Reason::TooLarge => Self::TooLarge,
            Reason::Protocol(why) => Self::Protocol(why),
            Reason::Secret(why) => Self::Secret(why),
            Reason::NotText => Self::Protocol(Reason::NotText.to_string()),
        }
    }
}

/// Sends a request, headers included, and takes the whole response.
///
/// Source: `capstan:host/http-read.fetch`.
///
/// # Errors
/// If the host refuses, or there is no response. A status such as 404 is a response.
pub fn fetch(request: &Request) -> Result<Response, Error> {
    http_read::fetch(request).map_err(|error| Error { url: request.url.clone(), reason: error.into() })
}

/// Fetches a URL with GET.
///
/// # Errors
/// As [`fetch`].
pub fn get(url: &str) -> Result<Response, Error> {
    fetch(&Request { method: Method::Get, url: url.to_owned(), headers: Vec::new(), secrets: Vec::new() })
}

/// Asks about a URL with HEAD.
///
/// # Errors
/// As [`fetch`].
pub fn head(url: &str) -> Result<Response, Error> {
    fetch(&Request { method: Method::Head, url: url.to_owned(), headers: Vec::new(), secrets: Vec::new() })
}

/// The body of a response to a request for `url`, as text.
///
/// # Errors
/// [`Reason::NotText`] if it is not UTF-8.
pub fn text(url: &str, body: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(body).map_err(|_| Error { url: url.to_owned(), reason: Reason::NotText })
}

/// Sends a request that changes something at its server, and takes the whole response.
///
/// The call ends here the first time: the host asks a person, and runs the operation again when that
/// one agreed. What was answered before is answered again; what the operation computes must be the
/// same. A call that was sent and not answered is an error here, and may have arrived.
///
/// Source: `capstan:host/http-send.send`.
///
/// # Errors
/// If the host refuses, or there is no response. A status such as 404 is a response.
pub fn send(request: &http_send::Request) -> Result<http_send::Response, Error> {
    http_send::send(request).map_err(|error| Error { url: request.url.clone(), reason: error.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_error_survives_the_round_trip_and_says_for_which_url() {
        let url = "https://a.b/c";
        for (cause, text) in [
            (HttpError::Denied("no grant".into()), "`https://a.b/c`: denied: no grant"),
            (HttpError::InvalidUrl("x".into()), "`https://a.b/c`: invalid URL: x"),
            (HttpError::InvalidHeader("x".into()), "`https://a.b/c`: invalid header: x"),
            (HttpError::Resolve("x".into()), "`https://a.b/c`: name not found: x"),
            (HttpError::RefusedAddress("x".into()), "`https://a.b/c`: refused address: x"),
            (HttpError::Connect("x".into()), "`https://a.b/c`: connection failed: x"),
            (HttpError::Tls("x".into()), "`https://a.b/c`: TLS refused: x"),
            (HttpError::Timeout, "`https://a.b/c`: took too long"),
            (HttpError::TooLarge, "`https://a.b/c`: too large"),
            (HttpError::Protocol("x".into()), "`https://a.b/c`: not HTTP: x"),
            (HttpError::Secret("x".into()), "`https://a.b/c`: secret not filled in: x"),
        ] {
            let error = Error { url: url.to_owned(), reason: cause.clone().into() };
            assert_eq!(error.to_string(), text);
            assert_eq!(String::from(error.clone()), text);
            assert_eq!(HttpError::from(error), cause);
        }
    }

    #[test]
    fn a_body_is_text_or_not() {
        assert_eq!(text("u", b"a".to_vec()).unwrap(), "a");
        assert_eq!(text("u", vec![0xff]).unwrap_err().reason, Reason::NotText);
    }
}
