//! Headers of a guest's request.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Most headers in a request, and in a response.
pub(crate) const HEADERS_MAX: usize = 100;
/// Most bytes of a request's headers, and of a response's head.
pub(crate) const HEAD_BYTES_MAX: usize = 64 << 10;

/// What the host sets itself, and what would let a request be read as two, or carry a body.
const REFUSED: [&str; 13] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// The headers that a guest asks for.
///
/// # Errors
/// Which header is wrong, and how.
pub(crate) fn admit<'a>(
    headers: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
) -> Result<HeaderMap, String> {
    if headers.len() > HEADERS_MAX {
        return Err(format!("more than {HEADERS_MAX} headers"));
    }
    let mut bytes = 0;
    let mut admitted = HeaderMap::new();
    for (name, value) in headers {
        bytes += name.len() + value.len();
        if bytes > HEAD_BYTES_MAX {
            return Err(format!("the headers are over {HEAD_BYTES_MAX} bytes together"));
        }
        // A name may be long and hold anything; what is shown of it is cut and escaped.
        let shown = || name.chars().take(40).collect::<String>().escape_debug().to_string();
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("`{}` is not the name of a header", shown()))?;
        if REFUSED.contains(&parsed.as_str()) || parsed.as_str().starts_with("proxy-") {
            return Err(format!("`{}` is not a guest's to set", shown()));
        }
        // Other bytes than ASCII mean different things to different servers.
        let ascii = value.is_ascii().then(|| HeaderValue::from_str(value).ok()).flatten();
        let value = ascii
            .ok_or_else(|| format!("the value of `{}` holds a character that no header may", shown()))?;
        admitted.append(parsed, value);
    }
    Ok(admitted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Result<HeaderMap, String> {
        admit([(name, value)].into_iter())
    }

    #[test]
    fn a_guest_sets_what_speaks_of_the_resource() {
        for name in
            ["accept", "Authorization", "if-none-match", "range", "User-Agent", "x-anything", "cookie"]
        {
            assert_eq!(one(name, "a b").unwrap().len(), 1, "{name}");
        }
        assert_eq!(admit([("accept", "a"), ("accept", "b")].into_iter()).unwrap().len(), 2);
        assert!(one("x", "").is_ok() && one("x", "tab\there").is_ok());
    }

    #[test]
    fn what_the_host_sets_is_refused_by_name() {
        let more = ["proxy-authorization", "Proxy-Connection", "HOST", "Transfer-Encoding", "TE"];
        for name in REFUSED.into_iter().chain(more) {
            assert!(one(name, "x").unwrap_err().contains("not a guest's to set"), "{name}");
        }
    }

    #[test]
    fn nothing_gets_into_another_line() {
        for value in ["a\r\nhost: b", "a\nb", "a\rb", "a\0b", "a\u{7f}b", "\u{1}", "é"] {
            assert!(one("x", value).unwrap_err().contains("holds a character"), "{value:?}");
        }
        for name in ["", "a b", "a:", "a\r\nb", "é", "a\0", ":authority", " a"] {
            assert!(one(name, "x").unwrap_err().contains("is not the name"), "{name:?}");
        }
    }

    #[test]
    fn count_and_size_are_bounded() {
        let names: Vec<String> = (0..=HEADERS_MAX).map(|n| format!("x-{n}")).collect();
        let all = |count: usize| admit(names[..count].iter().map(|name| (name.as_str(), "v")));
        assert_eq!(all(HEADERS_MAX).unwrap().len(), HEADERS_MAX);
        assert!(all(HEADERS_MAX + 1).is_err());
        let value = "v".repeat(HEAD_BYTES_MAX - 1);
        assert!(one("x", &value).is_ok());
        assert!(one("xy", &value).is_err());
    }
}
