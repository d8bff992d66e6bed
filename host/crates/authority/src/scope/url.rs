//! Which URLs of which hosts, and at which addresses.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use url::Host;

use super::{ParseScopeError, ScopeErrorReason};
use crate::glob::Glob;
use crate::http_url::{HttpUrl, canonical};

/// What separates the URLs from the network in the text of a scope.
const VIA: &str = " via ";

/// `https://host[:port]/glob[ via network]`, e.g. `https://api.example.com/repos/**`.
///
/// - `http://` is a scope of its own: `https` does not contain it.
/// - The host is a name, an address, `*.example.com` for every name below that one (not itself), or
///   `*` for every host.
/// - The port is the scheme's own unless spelt; `*` is every port.
/// - The glob is matched against the path as it is sent, percent-encoded; `*`, `**` and `{a,b}` are
///   those of paths, but a segment that starts with a dot is like any other, and a segment may be
///   empty. A query is not matched: every query of a matching path is in the scope.
/// - `via` names a network of addresses that are private or reserved and may be dialled all the
///   same. Only a grant has it. Without it such addresses are refused, whatever the host.
#[derive(Debug, Clone)]
pub struct UrlScope {
    /// In canonical form: two scopes are equal if their texts are.
    text: Box<str>,
    is_https: bool,
    host: HostPattern,
    port: Option<u16>,
    path: Box<str>,
    glob: Glob,
    network: Option<IpNet>,
}

/// Hosts in the form that [`HttpUrl`] has them in.
#[derive(Debug, Clone)]
enum HostPattern {
    /// `*`
    Any,
    /// `*.` before this name.
    Below(String),
    Exact(Host<String>),
}

impl UrlScope {
    /// Whether `url` is in the scope. Its address is another question: see [`UrlScope::network`].
    #[must_use]
    pub fn matches(&self, url: &HttpUrl) -> bool {
        self.is_https == url.is_https()
            && self.host.matches(url.host())
            && self.port.is_none_or(|port| port == url.port())
            && url.path().strip_prefix('/').is_some_and(|path| self.glob.matches(path))
    }

    /// The private or reserved network whose addresses may be dialled for the scope's URLs.
    #[must_use]
    pub fn network(&self) -> Option<IpNet> {
        self.network
    }

    /// The narrowest scope that holds `url`: its path, with `*` for each character that a pattern
    /// cannot spell. None if there is none, as for a path longer than a pattern.
    #[must_use]
    pub fn of_url(url: &HttpUrl) -> Option<Self> {
        let path = url.path().chars().map(|c| if is_path_character(c) && !is_wild(c) { c } else { '*' });
        // Two in a row would mean any number of segments.
        let mut spelt = String::new();
        for c in path {
            if c != '*' || !spelt.ends_with('*') {
                spelt.push(c);
            }
        }
        format!("{}://{}{spelt}", url.scheme(), url.authority()).parse().ok()
    }

    /// Whether every URL in this scope, at every address that it opens, is in `other` too. It says
    /// yes only where that is so.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let ports = other.port.is_none() || self.port == other.port;
        let networks = match (self.network, other.network) {
            (None, _) => true,
            (Some(mine), Some(theirs)) => theirs.contains(&mine),
            (Some(_), None) => false,
        };
        self.is_https == other.is_https
            && self.host.is_within(&other.host)
            && ports
            && networks
            && self.glob.is_within(&other.glob)
    }

    /// The same URLs, and `network` instead of the one that it names.
    #[must_use]
    pub fn via(&self, network: Option<IpNet>) -> Self {
        let urls = self.text.split_once(VIA).map_or(&*self.text, |(urls, _)| urls);
        let via = network.map(|network| format!("{VIA}{network}")).unwrap_or_default();
        Self { text: format!("{urls}{via}").into(), network, ..self.clone() }
    }

    /// The same scheme, hosts and ports in common, and in `asked` if the path is a single one.
    pub(super) fn meets(&self, asked: &Self) -> bool {
        let ports = self.port.is_none() || asked.port.is_none() || self.port == asked.port;
        let paths = !self.glob.is_literal() || asked.glob.matches(&self.path);
        self.is_https == asked.is_https && self.host.meets(&asked.host) && ports && paths
    }
}

impl HostPattern {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let (is_below, name) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
        // A star is a legal character of a host, and would be read as a pattern by people.
        if name.contains('*') {
            return None;
        }
        match (is_below, canonical(Host::parse(name).ok()?)?) {
            (true, Host::Domain(name)) => Some(Self::Below(name)),
            (true, _) => None,
            (false, host) => Some(Self::Exact(host)),
        }
    }

    fn matches(&self, host: &Host<String>) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Below(suffix), Host::Domain(name)) => is_below(name, suffix),
            (Self::Below(_), _) => false,
            (Self::Exact(exact), host) => exact == host,
        }
    }

    /// Whether every host in this one is in `other`.
    fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Any) => true,
            (Self::Below(mine), Self::Below(theirs)) => mine == theirs || is_below(mine, theirs),
            (Self::Exact(host), other) => other.matches(host),
            (Self::Any | Self::Below(_), _) => false,
        }
    }

    /// Whether some host is in both.
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Below(a), Self::Below(b)) => a == b || is_below(a, b) || is_below(b, a),
            (Self::Exact(host), other) | (other, Self::Exact(host)) => other.matches(host),
        }
    }
}

/// Whether `name` is one or more labels before `suffix`.
fn is_below(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Below(suffix) => write!(f, "*.{suffix}"),
            Self::Exact(host) => host.fmt(f),
        }
    }
}

/// The characters that a URL's path may hold, and `{`, `}`, which it cannot and patterns do.
fn is_path_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@%/{}".contains(c)
}

fn is_wild(c: char) -> bool {
    matches!(c, '*' | '{' | '}')
}

/// `*`, or a number as people write it.
fn parse_port(text: &str) -> Option<Option<u16>> {
    if text == "*" {
        return Some(None);
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    plain.then(|| text.parse().ok().map(Some)).flatten()
}

fn parse_network(text: &str) -> Option<IpNet> {
    text.parse().ok().filter(|network: &IpNet| network.trunc() == *network)
}

/// The port after a host, if one is spelt. The colons of an IPv6 address are between brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

impl FromStr for UrlScope {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, ParseScopeError> {
        use ScopeErrorReason as Reason;
        let fail = |reason| ParseScopeError::new(text, reason);
        let (urls, via) = text.split_once(VIA).map_or((text, None), |(urls, via)| (urls, Some(via)));
        let network = match via {
            Some(via) => Some(parse_network(via).ok_or_else(|| fail(Reason::Network))?),
            None => None,
        };
        let (scheme, rest) = urls.split_once("://").ok_or_else(|| fail(Reason::Scheme))?;
        let default_port = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return Err(fail(Reason::Scheme)),
        };
        let (authority, path) = rest.split_once('/').ok_or_else(|| fail(Reason::NoPath))?;
        // Before a port is looked for: a password is behind a colon too.
        if authority.contains('@') {
            return Err(fail(Reason::Host));
        }
        let (host, port) = split_port(authority);
        let host = HostPattern::parse(host).ok_or_else(|| fail(Reason::Host))?;
        let port = match port {
            Some(port) => parse_port(port).ok_or_else(|| fail(Reason::Port))?,
            None => Some(default_port),
        };
        if let Some(c) = path.chars().find(|c| !is_path_character(*c)) {
            return Err(fail(Reason::PathCharacter(c)));
        }
        let glob = Glob::parse_url(path).map_err(|error| fail(error.into()))?;
        let port_text = match port {
            None => ":*".to_owned(),
            Some(port) if port == default_port => String::new(),
            Some(port) => format!(":{port}"),
        };
        let via = network.map(|network| format!("{VIA}{network}")).unwrap_or_default();
        let canonical = format!("{scheme}://{host}{port_text}/{path}{via}").into();
        let is_https = scheme == "https";
        Ok(Self { text: canonical, is_https, host, port, path: path.into(), glob, network })
    }
}

impl fmt::Display for UrlScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for UrlScope {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for UrlScope {}

/// By text.
impl Ord for UrlScope {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl PartialOrd for UrlScope {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
