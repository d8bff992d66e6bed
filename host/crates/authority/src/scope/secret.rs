//! Which secret is filled in for which host, and where in a request.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use url::Host;

use super::{ParseScopeError, ScopeErrorReason};
use crate::http_url::{HttpUrl, canonical};

/// Longest name of a secret, in bytes.
pub const SECRET_NAME_BYTES_MAX: usize = 64;
/// Longest text in front of a secret's value, in bytes.
const PREFIX_BYTES_MAX: usize = 64;
/// Longest name of a header, in bytes.
const HEADER_BYTES_MAX: usize = 64;

/// The name that the operator gave a secret: lower-case letters, digits and `-`, a letter first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretName(Box<str>);

impl SecretName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not the name of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not the name of a secret: use up to {SECRET_NAME_BYTES_MAX} lower-case letters, digits and `-`, \
     a letter first"
)]
pub struct ParseSecretNameError {
    /// What was given, cut to 80 characters.
    pub text: String,
}

impl FromStr for SecretName {
    type Err = ParseSecretNameError;

    fn from_str(text: &str) -> Result<Self, ParseSecretNameError> {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if starts && text.len() <= SECRET_NAME_BYTES_MAX && text.bytes().all(good) {
            Ok(Self(text.into()))
        } else {
            Err(ParseSecretNameError { text: text.chars().take(80).collect() })
        }
    }
}

/// `name@host[:port]:header:name-of-header[="text in front"]`, e.g.
/// `example-token@api.example.com:header:authorization="Bearer "`.
///
/// - The host is one name or one address, never a pattern, and `https` unless `http://` is in front.
/// - The port is the scheme's own unless spelt.
/// - The header is set to the text in front and the value. In a grant or a ceiling no text in front
///   means any.
#[derive(Debug, Clone)]
pub struct SecretScope {
    /// In canonical form: two scopes are equal if their texts are.
    text: Box<str>,
    name: SecretName,
    is_https: bool,
    host: Host<String>,
    port: u16,
    header: Box<str>,
    prefix: Option<Box<str>>,
}

impl SecretScope {
    /// Whose value is filled in.
    #[must_use]
    pub fn name(&self) -> &SecretName {
        &self.name
    }

    /// The header that is set, in lower case.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// What stands in front of the value.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.prefix.as_deref().unwrap_or_default()
    }

    /// Whether the value may be sent with a request for `url`: scheme, host and port are its own.
    #[must_use]
    pub fn is_for(&self, url: &HttpUrl) -> bool {
        self.is_https == url.is_https() && self.host == *url.host() && self.port == url.port()
    }

    /// Whether all that this scope allows is allowed by `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.is_same_place(other) && (other.prefix.is_none() || self.prefix == other.prefix)
    }

    /// Whether both allow something in common.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let prefixes = self.prefix.is_none() || other.prefix.is_none() || self.prefix == other.prefix;
        self.is_same_place(other) && prefixes
    }

    fn is_same_place(&self, other: &Self) -> bool {
        self.name == other.name
            && (self.is_https, &self.host, self.port) == (other.is_https, &other.host, other.port)
            && self.header == other.header
    }
}

/// Headers that the host sets or that say where a message ends: no secret goes there.
const RESERVED: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn is_header(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.len() <= HEADER_BYTES_MAX && name.bytes().all(good) && !RESERVED.contains(&name)
}

/// What may stand in front of a value: what can be written between quotes without escapes.
fn is_prefix(text: &str) -> bool {
    let good = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && !matches!(byte, b'"' | b'\\');
    text.len() <= PREFIX_BYTES_MAX && text.bytes().all(good)
}

/// A host with its port, the scheme's own if none is spelt.
fn parse_place(text: &str, default_port: u16) -> Option<(Host<String>, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = match port {
        None => default_port,
        Some(port) if port.starts_with('0') || !port.bytes().all(|byte| byte.is_ascii_digit()) => {
            return None;
        }
        Some(port) => port.parse().ok()?,
    };
    // A star is a legal character of a host, and would be read as a pattern by people.
    if host.contains(['*', '@']) {
        return None;
    }
    Some((canonical(Host::parse(host).ok()?)?, port))
}

impl FromStr for SecretScope {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, ParseScopeError> {
        use ScopeErrorReason as Reason;
        let fail = |reason| ParseScopeError::new(text, reason);
        let (place, prefix) = match text.split_once('=') {
            None => (text, None),
            Some((place, quoted)) => {
                let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                let inner =
                    inner.filter(|inner| is_prefix(inner)).ok_or_else(|| fail(Reason::SecretPrefix))?;
                (place, Some(inner))
            }
        };
        let (name, rest) = place.split_once('@').ok_or_else(|| fail(Reason::SecretForm))?;
        let name: SecretName = name.parse().map_err(|_| fail(Reason::SecretName))?;
        let (front, header) = rest.rsplit_once(':').ok_or_else(|| fail(Reason::SecretForm))?;
        let place = front.strip_suffix(":header").ok_or_else(|| fail(Reason::SecretForm))?;
        let header = header.to_ascii_lowercase();
        if !is_header(&header) {
            return Err(fail(Reason::SecretHeader));
        }
        let (is_https, place) = match (place.strip_prefix("http://"), place.strip_prefix("https://")) {
            (Some(place), _) => (false, place),
            (None, place_https) => (true, place_https.unwrap_or(place)),
        };
        let default_port = if is_https { 443 } else { 80 };
        let (host, port) = parse_place(place, default_port).ok_or_else(|| fail(Reason::SecretHost))?;
        let scheme = if is_https { "" } else { "http://" };
        let port_text = if port == default_port { String::new() } else { format!(":{port}") };
        let prefix = prefix.filter(|prefix| !prefix.is_empty());
        let prefix_text = prefix.map(|prefix| format!("=\"{prefix}\"")).unwrap_or_default();
        let canonical = format!("{name}@{scheme}{host}{port_text}:header:{header}{prefix_text}").into();
        let (header, prefix) = (header.into(), prefix.map(Into::into));
        Ok(Self { text: canonical, name, is_https, host, port, header, prefix })
    }
}

impl fmt::Display for SecretScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for SecretScope {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for SecretScope {}

/// By text.
impl Ord for SecretScope {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl PartialOrd for SecretScope {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
