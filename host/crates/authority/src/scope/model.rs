//! Which model is asked.

use std::fmt;
use std::str::FromStr;

/// Longest name of a model, in bytes.
pub const MODEL_NAME_BYTES_MAX: usize = 64;

/// The name that the operator gave a model: lower-case letters, digits and `-`, a letter first. It is a
/// scope by itself: a model is asked or it is not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelName(Box<str>);

impl ModelName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not the name of a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not the name of a model: use up to {MODEL_NAME_BYTES_MAX} lower-case letters, digits and `-`, \
     a letter first"
)]
pub struct ParseModelNameError {
    /// What was given, cut to 80 characters.
    pub text: String,
}

impl FromStr for ModelName {
    type Err = ParseModelNameError;

    fn from_str(text: &str) -> Result<Self, ParseModelNameError> {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if starts && text.len() <= MODEL_NAME_BYTES_MAX && text.bytes().all(good) {
            Ok(Self(text.into()))
        } else {
            Err(ParseModelNameError { text: text.chars().take(80).collect() })
        }
    }
}
