//! A URL that may be asked for: parsed once, so that what is matched is what is dialled.

use std::fmt;

use url::{Host, SyntaxViolation, Url};

/// Longest URL, in bytes.
pub const URL_BYTES_MAX: usize = 8192;

/// How often percent-encoding is taken off when looking for hidden dot segments.
const DECODINGS_MAX: usize = 4;

/// An absolute `http` or `https` URL without user, fragment or dot segments, its host in lower case,
/// in ASCII, and without a trailing dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    url: Url,
    host: Host<String>,
    port: u16,
}

/// Why a text is not a URL that may be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// More than [`URL_BYTES_MAX`] bytes.
    #[error("the URL is longer than {URL_BYTES_MAX} bytes")]
    TooLong,
    /// It does not parse.
    #[error("the URL does not parse: {0}")]
    Syntax(url::ParseError),
    /// It parses, but other parsers would take it for another URL.
    #[error("the URL is ambiguous: {0}")]
    Ambiguous(&'static str),
    /// Neither `http` nor `https`.
    #[error("the URL's scheme is neither `https` nor `http`")]
    Scheme,
    /// It names a user or a password.
    #[error("the URL names a user or a password")]
    User,
    /// A host of empty labels, or none.
    #[error("the URL's host is not a host name")]
    Host,
    /// Port 0.
    #[error("the URL's port is 0")]
    Port,
    /// `..` in a form that a server may decode.
    #[error("the URL's path hides a `.` or `..` segment")]
    DotSegment,
}

impl HttpUrl {
    /// Parses what a guest asks for. What the parser would repair is refused instead: a repaired URL
    /// is one that two readers read differently.
    ///
    /// # Errors
    /// If it is no such URL.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > URL_BYTES_MAX {
            return Err(UrlError::TooLong);
        }
        if text.chars().any(|c| c.is_control() || " \\<>\"".contains(c)) {
            return Err(UrlError::Ambiguous(
                "it holds a space, a backslash, a quote, `<`, `>` or a control character",
            ));
        }
        let first = std::cell::Cell::new(None);
        let note = |violation: SyntaxViolation| match violation {
            // Such as `[` in a query, which many servers expect; the rest of the URL is not moved by it.
            SyntaxViolation::NonUrlCodePoint => {}
            other => first.set(first.take().or(Some(other))),
        };
        let parsed = Url::options().syntax_violation_callback(Some(&note)).parse(text);
        let mut url = parsed.map_err(UrlError::Syntax)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::User);
        }
        match first.take() {
            Some(SyntaxViolation::EmbeddedCredentials | SyntaxViolation::UnencodedAtSign) => {
                return Err(UrlError::User);
            }
            Some(violation) => return Err(UrlError::Ambiguous(violation.description())),
            None => {}
        }
        url.set_fragment(None);
        let host = canonical(url.host().ok_or(UrlError::Host)?.to_owned()).ok_or(UrlError::Host)?;
        url.set_host(Some(&host.to_string())).map_err(UrlError::Syntax)?;
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(UrlError::Port)?;
        if hides_dot_segment(url.path()) {
            return Err(UrlError::DotSegment);
        }
        Ok(Self { url, host, port })
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// `https` or `http`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.url.scheme()
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host<String> {
        &self.host
    }

    /// The port, the scheme's own if none is spelt.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path, which starts with `/`; percent-encoded as it came.
    #[must_use]
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// All of it, with the query. What is shown to everybody is the [`Display`](fmt::Display) form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// What a request line asks for: path and query.
    #[must_use]
    pub fn origin_form(&self) -> &str {
        &self.url[url::Position::BeforePath..url::Position::AfterQuery]
    }

    /// Host and, if it is not the scheme's own, port: the `host` header.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.url[url::Position::BeforeHost..url::Position::AfterPort]
    }
}

/// Without the query, which may hold what is not to be shown.
impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url[..url::Position::AfterPath])
    }
}

/// A host name without its trailing dot. None for one with an empty label.
pub(crate) fn canonical(host: Host<String>) -> Option<Host<String>> {
    let Host::Domain(name) = host else { return Some(host) };
    let name = name.strip_suffix('.').unwrap_or(&name);
    let labels_ok = name.split('.').all(|label| !label.is_empty());
    // Without its dot a name may be an address, and must be read as one.
    if labels_ok { Host::parse(name).ok() } else { None }
}

/// Whether a server that takes off percent-encoding once more than the parser, or path parameters,
/// finds a dot segment: then the path that is matched is not the one that is served.
fn hides_dot_segment(path: &str) -> bool {
    let mut path = path.to_owned();
    for _ in 0..DECODINGS_MAX {
        let decoded = decode(&path);
        let is_dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
        if decoded.split(['/', '\\']).any(is_dots) {
            return true;
        }
        if decoded == path {
            return false;
        }
        path = decoded;
    }
    true
}

/// Takes off one layer of percent-encoding, byte for byte; other bytes than ASCII become `?`, which
/// is no separator and no dot.
fn decode(text: &str) -> String {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut decoded = String::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let (byte, width) = match (byte, hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => (u8::try_from(high * 16 + low).unwrap_or(b'?'), 3),
            (byte, ..) => (*byte, 1),
        };
        decoded.push(if byte.is_ascii() { char::from(byte) } else { '?' });
        at += width;
    }
    decoded
}
