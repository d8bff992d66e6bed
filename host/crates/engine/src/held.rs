//! Held calls: outgoing calls that were seen and not yet sent, and the sending of them.
//!
//! A guest never sends, nor asks for what could give away what it read. Where it makes such a call its
//! run ends with the exact call; after somebody approved that, the host makes it, once, from the stored
//! bytes.

use authority::{Authority, HttpUrl};
use base::{Capability, Digest, Limits};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::bindings::types;
use crate::budget::Budget;
use crate::capability::{exec_answer, fetched, http_error, sent};
use crate::exec::{Ending, ExecRequest, ExecRunner};
use crate::http::{HttpError, Redactor, Request, Response, Traffic, admit_headers};
use crate::secret::{SecretError, SecretHeader, SecretValues};
use crate::tape::encode;
use crate::{CancelToken, HttpClient};

/// A call that somebody has to approve before it is made. Its stored form is JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case", deny_unknown_fields)]
pub enum HeldCall {
    /// An HTTP request that changes something.
    HttpSend(HttpCall),
    /// An HTTP request that only asks, by an operation that could ask for what it read.
    HttpRead(HttpCall),
    /// A run of a program.
    Exec(Box<ExecRequest>),
}

/// An HTTP request as it is sent, but for what every request has: `host`, `user-agent`,
/// `accept-encoding`, `connection` and `content-length`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpCall {
    /// `POST`, `PUT`, `PATCH` or `DELETE`; of one that only asks `GET` or `HEAD`.
    pub method: String,
    /// Where to, as it was parsed, with the query.
    pub url: String,
    /// The guest's headers, names in lower case, and the host's `idempotency-key`, where it has a body.
    pub headers: Vec<(String, String)>,
    /// The secrets that are filled in when it is sent, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretHeader>,
    /// What is sent: nothing where it only asks.
    pub body: Body,
}

/// What an approved call reaches.
#[derive(Clone)]
pub struct HeldWorld {
    /// Sends requests.
    pub http: HttpClient,
    /// Runs programs.
    pub exec: ExecRunner,
    /// The values that the request may be filled in with.
    pub secrets: SecretValues,
}

/// The body of a request: text where it is UTF-8, so that people can read the stored form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// UTF-8.
    Text(String),
    /// Anything else, in base64.
    Base64(String),
}

impl Body {
    /// The body of these bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes)
            .map_or_else(|error| Self::Base64(BASE64.encode(error.as_bytes())), Self::Text)
    }

    /// The bytes.
    ///
    /// # Errors
    /// If the base64 is none.
    pub fn bytes(&self) -> Result<Vec<u8>, ReadHeldError> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Base64(text) => BASE64.decode(text).map_err(|_| ReadHeldError),
        }
    }
}

/// The bytes are no held call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no held call")]
pub struct ReadHeldError;

/// What became of a held call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the guest is told, as the tape has it.
    pub(crate) encoded: Vec<u8>,
    /// The bytes of it that are counted.
    pub(crate) moved: u64,
    /// One line for people, e.g. `201, 512 bytes`.
    pub summary: String,
}

impl HeldCall {
    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Strings and lists of them always have a form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// If the bytes are anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReadHeldError> {
        let call: Self = serde_json::from_slice(bytes).map_err(|_| ReadHeldError)?;
        let is_whole = match &call {
            Self::HttpSend(http) => !http.only_asks() && http.body.bytes().is_ok(),
            Self::HttpRead(http) => http.only_asks() && http.body.bytes() == Ok(Vec::new()),
            Self::Exec(_) => true,
        };
        if is_whole { Ok(call) } else { Err(ReadHeldError) }
    }

    /// The digest of the stored form.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// The capability that it is made by.
    #[must_use]
    pub fn capability(&self) -> Capability {
        match self {
            Self::HttpSend(_) => Capability::HttpSend,
            Self::HttpRead(_) => Capability::HttpRead,
            Self::Exec(_) => Capability::Exec,
        }
    }

    /// What it is done to, on one line: `POST https://example.com/issues`.
    #[must_use]
    pub fn target(&self) -> String {
        match self {
            Self::HttpSend(http) | Self::HttpRead(http) => format!("{} {}", http.method, http.url),
            Self::Exec(exec) => exec.command_line(),
        }
    }

    /// The whole call as text, for people. Unescaped: it is escaped where it is shown.
    #[must_use]
    pub fn text(&self) -> String {
        let http = match self {
            Self::HttpSend(http) | Self::HttpRead(http) => http,
            Self::Exec(exec) => return exec.text(),
        };
        let headers = http.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
        let secret = |s: &SecretHeader| format!("{}: {}(the secret `{}`)\n", s.header, s.prefix, s.name);
        let headers = headers.chain(http.secrets.iter().map(secret));
        let body = match &http.body {
            Body::Text(text) => text.clone(),
            Body::Base64(text) => format!("(not text, in base64)\n{text}"),
        };
        format!("{}\n{}\n{body}", self.target(), headers.collect::<String>())
    }

    /// Makes the call, once, as `authority` still permits it. Blocks until the answer is whole, or
    /// the client's time for a request is over. What the guest is told of a failure is an answer
    /// too: a request that was sent and not answered may have been received.
    #[must_use]
    pub fn perform(
        &self,
        authority: &Authority,
        world: &HeldWorld,
        limits: Limits,
        cancel: CancelToken,
    ) -> Answer {
        let budget = Budget::new(limits, cancel);
        let call = match self {
            Self::HttpSend(call) | Self::HttpRead(call) => call,
            Self::Exec(request) => return run(request, &world.exec, &budget),
        };
        let traffic = Traffic::default();
        let answer = call.send(self.capability(), authority, world, &budget, &traffic);
        let summary = match &answer {
            Ok(response) => format!("{}, {} bytes", response.status.as_u16(), response.body.len()),
            Err(error) => format!("no response: {}", in_words(error)),
        };
        // Both kinds of answer have a form; an empty one would be refused when it is played.
        let encoded = match self {
            Self::HttpRead(_) => encode(&answer.map(fetched)),
            _ => encode(&answer.map(sent)),
        };
        let encoded = encoded.unwrap_or_default();
        Answer { encoded, moved: traffic.received.get().min(budget.bytes_left()), summary }
    }
}

/// Runs an approved program, which is confined as any other.
fn run(request: &ExecRequest, exec: &ExecRunner, budget: &Budget) -> Answer {
    let go_on = || budget.check_time().is_ok();
    let done = exec.perform(request, budget.bytes_left(), &go_on);
    let (moved, summary) = match &done {
        Ok(answer) => {
            let bytes = (answer.stdout.len() + answer.stderr.len()) as u64;
            let ending = match answer.ending {
                Ending::Exited(code) => format!("exited with {code}"),
                Ending::Signalled(signal) => format!("ended by signal {signal}"),
            };
            (bytes, format!("{ending}, {bytes} bytes"))
        }
        Err(error) => (0, format!("not run to its end: {error}")),
    };
    // Both kinds of answer have a form; an empty one would be refused when it is played.
    Answer { encoded: encode(&exec_answer(done)).unwrap_or_default(), moved, summary }
}

impl HttpCall {
    /// Whether its method is one that changes nothing (RFC 9110, section 9.2.1).
    fn only_asks(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD")
    }

    fn send(
        &self,
        capability: Capability,
        authority: &Authority,
        world: &HeldWorld,
        budget: &Budget,
        traffic: &Traffic,
    ) -> Result<Response, types::HttpError> {
        let url =
            HttpUrl::parse(&self.url).map_err(|error| types::HttpError::InvalidUrl(error.to_string()))?;
        let networks = authority.permits_url(capability, &url);
        let networks = networks.map_err(|denied| types::HttpError::Denied(denied.to_string()))?;
        let redactor = &Redactor::new(world.secrets.values());
        let request = || {
            let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let method = http::Method::from_bytes(self.method.as_bytes());
            let body = self.body.bytes().map_err(|error| HttpError::Protocol(error.to_string()))?;
            let headers = admit_headers(headers).map_err(HttpError::InvalidHeader)?;
            Ok(Request {
                method: method.map_err(|error| HttpError::InvalidHeader(error.to_string()))?,
                url: &url,
                secrets: self.filled(authority, &url, &headers, &world.secrets)?,
                headers,
                redactor,
                body: (!self.only_asks()).then(|| body.into()),
                networks: &networks,
            })
        };
        let response = request().and_then(|request| world.http.fetch(request, budget, traffic));
        // The call as a whole has no other time than the client's own.
        response.map_err(|error| http_error(error).unwrap_or(types::HttpError::Timeout))
    }
}

impl HttpCall {
    /// The secrets as they are sent: those that were approved, where the authority has them now.
    fn filled(
        &self,
        authority: &Authority,
        url: &HttpUrl,
        headers: &HeaderMap,
        values: &SecretValues,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, HttpError> {
        let names: Vec<String> = self.secrets.iter().map(|secret| secret.name.clone()).collect();
        let admitted = SecretHeader::admit(&names, authority, url, headers).map_err(|error| match error {
            SecretError::Tell(error) => error,
            SecretError::Denied(denied) => HttpError::Secret(denied.to_string()),
        })?;
        if admitted != self.secrets {
            return Err(HttpError::Secret("a secret goes elsewhere than was approved".to_owned()));
        }
        self.secrets.iter().map(|secret| secret.fill(values)).collect()
    }
}

fn in_words(error: &types::HttpError) -> String {
    use types::HttpError as E;
    match error {
        E::Denied(text)
        | E::InvalidUrl(text)
        | E::InvalidHeader(text)
        | E::Resolve(text)
        | E::RefusedAddress(text)
        | E::Connect(text)
        | E::Tls(text)
        | E::Protocol(text)
        | E::Secret(text) => text.clone(),
        E::Timeout => "it took too long".to_owned(),
        E::TooLarge => "the response is too large".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_call_is_one_that_its_interface_makes() {
        let stored = |interface: &str, method: &str, body: &str| {
            let call = format!(
                r#"{{"call":"{interface}","method":"{method}","url":"http://a.b/c?d","headers":[],"body":{body}}}"#
            );
            HeldCall::from_bytes(call.as_bytes())
        };
        let (empty, some) = (r#"{"text":""}"#, r#"{"text":"x"}"#);
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            assert!(stored("http-send", method, some).is_ok_and(|call| call.text().ends_with("\nx")));
            assert_eq!(stored("http-read", method, empty), Err(ReadHeldError));
        }
        for method in ["GET", "HEAD"] {
            assert_eq!(
                stored("http-read", method, empty).map(|call| call.target()),
                Ok(format!("{method} http://a.b/c?d"))
            );
            assert_eq!(stored("http-read", method, some), Err(ReadHeldError));
            assert_eq!(stored("http-send", method, some), Err(ReadHeldError));
        }
        assert_eq!(stored("http-send", "POST", r#"{"base64":"?"}"#), Err(ReadHeldError));
        assert_eq!(stored("http-ask", "GET", empty), Err(ReadHeldError));
    }
}
