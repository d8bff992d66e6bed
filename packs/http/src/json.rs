//! One value of a JSON document, by pointer.

use serde_json::Value;

/// Why there is no value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// The document does not parse.
    NotJson(String),
    /// The pointer is malformed, or points at nothing.
    Pointer(String),
}

/// The value that `pointer` (RFC 6901) points at, as JSON text.
pub(crate) fn at(document: &[u8], pointer: &str) -> Result<String, Error> {
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return Err(Error::Pointer("a pointer is empty or starts with `/`".to_owned()));
    }
    let is_escape = |rest: &str| rest.starts_with('0') || rest.starts_with('1');
    if pointer.split('~').skip(1).any(|rest| !is_escape(rest)) {
        return Err(Error::Pointer("`~` stands only before 0 or 1".to_owned()));
    }
    let document: Value =
        serde_json::from_slice(document).map_err(|error| Error::NotJson(error.to_string()))?;
    let found = document.pointer(pointer);
    found.map(Value::to_string).ok_or_else(|| Error::Pointer("nothing is there".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &[u8] = br#"{"a": [1, {"b": null}], "": 2, "x/y": 3, "m~n": "s", "~1": 4}"#;

    #[test]
    fn a_pointer_finds_its_value() {
        for (pointer, value) in [
            ("/a/0", "1"),
            ("/a/1", r#"{"b":null}"#),
            ("/a/1/b", "null"),
            ("/", "2"),
            ("/x~1y", "3"),
            ("/m~0n", r#""s""#),
            ("/~01", "4"),
        ] {
            assert_eq!(at(DOCUMENT, pointer).unwrap(), value, "{pointer}");
        }
        assert_eq!(at(b" [1, 2.50] ", "").unwrap(), "[1,2.5]");
    }

    #[test]
    fn what_is_no_pointer_or_points_at_nothing_is_told() {
        for pointer in ["a", "/a/2", "/a/-", "/a/01", "/b", "/x/y", "/a~", "/a~2", "/a/0/b"] {
            assert!(matches!(at(DOCUMENT, pointer), Err(Error::Pointer(_))), "{pointer}");
        }
        for document in [&b""[..], b"{", b"{}x", &[0xff], &b"[".repeat(100_000)] {
            assert!(matches!(at(document, ""), Err(Error::NotJson(_))), "{document:?}");
        }
    }
}
