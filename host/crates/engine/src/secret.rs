//! A secret on its way into a request: where it goes, and its value.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use authority::{Authority, Denied, HttpUrl, SecretName};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::http::HttpError;

/// Most secrets that one request names.
const SECRETS_MAX: usize = 8;

/// Shortest value, in bytes: a shorter one is soon guessed, and would be found in texts that have
/// nothing to do with it.
pub const SECRET_BYTES_MIN: usize = 8;
/// Longest value, in bytes: what fits into a header.
pub const SECRET_BYTES_MAX: usize = 8 << 10;

/// The value of a secret. It is not shown, compared or written by anything but what asks for it by
/// [`SecretValue::expose`], and its memory is overwritten when the last copy goes.
#[derive(Clone)]
pub struct SecretValue(Arc<Zeroizing<String>>);

/// The text cannot be sent as a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretValueError {
    /// Less than [`SECRET_BYTES_MIN`] bytes.
    #[error("the value is shorter than {SECRET_BYTES_MIN} bytes")]
    TooShort,
    /// More than [`SECRET_BYTES_MAX`] bytes.
    #[error("the value is longer than {SECRET_BYTES_MAX} bytes")]
    TooLong,
    /// Something that no header holds. Which character is not said: it is part of the value.
    #[error("the value holds a character that no header holds: only printable ASCII is sent")]
    Character,
}

impl SecretValue {
    /// The value that `text` holds.
    ///
    /// # Errors
    /// If it cannot be sent as a header.
    pub fn new(text: Zeroizing<String>) -> Result<Self, SecretValueError> {
        match text.as_str() {
            short if short.len() < SECRET_BYTES_MIN => Err(SecretValueError::TooShort),
            long if long.len() > SECRET_BYTES_MAX => Err(SecretValueError::TooLong),
            odd if !odd.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') => {
                Err(SecretValueError::Character)
            }
            _ => Ok(Self(Arc::new(text))),
        }
    }

    /// The value itself. Whoever asks sends it and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The values that a call may be filled in with, by name.
pub type SecretValues = BTreeMap<SecretName, SecretValue>;

/// A secret that a request names, and where it goes. It holds no value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretHeader {
    /// The secret's name.
    pub name: String,
    /// The header that it is put in, in lower case.
    pub header: String,
    /// What stands in front of the value.
    pub prefix: String,
}

/// Why a request is not filled in.
pub(crate) enum SecretError {
    /// What the guest is told.
    Tell(HttpError),
    /// It is outside the call's authority.
    Denied(Denied),
}

impl SecretHeader {
    /// Where the secrets go that a request for `url` names: each may be filled in for that host, in a
    /// header that neither the guest nor another secret sets.
    pub(crate) fn admit(
        names: &[String],
        authority: &Authority,
        url: &HttpUrl,
        headers: &HeaderMap,
    ) -> Result<Vec<Self>, SecretError> {
        let tell = |error| Err(SecretError::Tell(error));
        if names.len() > SECRETS_MAX {
            return tell(HttpError::Secret(format!("more than {SECRETS_MAX} secrets")));
        }
        let mut admitted: Vec<Self> = Vec::new();
        for name in names {
            let name: SecretName = match name.parse() {
                Ok(name) => name,
                Err(error) => return tell(HttpError::Secret(format!("{error}"))),
            };
            let scope = authority.permits_secret(&name, url).map_err(SecretError::Denied)?;
            let header = scope.header();
            if headers.contains_key(header) || admitted.iter().any(|other| other.header == header) {
                let text = format!("`{header}` is set already, and the secret `{name}` goes there");
                return tell(HttpError::InvalidHeader(text));
            }
            let (name, prefix) = (name.to_string(), scope.prefix().to_owned());
            admitted.push(Self { name, header: header.to_owned(), prefix });
        }
        Ok(admitted)
    }

    /// The header with the value in it.
    ///
    /// # Errors
    /// If the secret has no value, or its place is none.
    pub(crate) fn fill(&self, values: &SecretValues) -> Result<(HeaderName, HeaderValue), HttpError> {
        let unset = || {
            HttpError::Secret(format!("`{0}` has no value: `capstan secret set {0}` gives it one", self.name))
        };
        let value =
            self.name.parse().ok().and_then(|name: SecretName| values.get(&name)).ok_or_else(unset)?;
        self.with(value)
    }

    /// The header with `value` in it.
    ///
    /// # Errors
    /// If its place is none.
    pub(crate) fn with(&self, value: &SecretValue) -> Result<(HeaderName, HeaderValue), HttpError> {
        let text = Zeroizing::new([self.prefix.as_str(), value.expose()].concat());
        let place = || HttpError::InvalidHeader(format!("`{}` cannot hold a secret", self.header));
        let name = HeaderName::from_bytes(self.header.as_bytes()).map_err(|_| place())?;
        let mut value = HeaderValue::from_str(&text).map_err(|_| place())?;
        value.set_sensitive(true);
        Ok((name, value))
    }
}

/// Never the value.
impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<SecretValue, SecretValueError> {
        SecretValue::new(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn a_value_is_what_a_header_holds_and_never_shown() {
        assert_eq!(value("a bcdef~").map(|value| value.expose().to_owned()), Ok("a bcdef~".to_owned()));
        assert_eq!(format!("{:?}", value("tokentoken").unwrap()), "SecretValue(..)");
        assert!(value(&"a".repeat(SECRET_BYTES_MAX)).is_ok());
        for (text, error) in [
            ("", SecretValueError::TooShort),
            ("1234567", SecretValueError::TooShort),
            ("abcdefgh\nb", SecretValueError::Character),
            ("abcdefgh\r", SecretValueError::Character),
            ("abcdefgh\tb", SecretValueError::Character),
            ("abcdefgh\u{e9}", SecretValueError::Character),
            (&"a".repeat(SECRET_BYTES_MAX + 1), SecretValueError::TooLong),
        ] {
            assert_eq!(value(text).err(), Some(error));
        }
    }
}
