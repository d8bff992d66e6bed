//! The run's content-addressed store: capability `artifacts`.

use std::fmt;

use crate::host::artifacts;
use crate::host::types::ArtifactError;

/// Why an artifact call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// No live grant; the text is the host's and names the grant that is missing.
    Denied(String),
    /// The digest names no artifact that this call may see.
    NotFound,
    /// Over a limit of the call.
    TooLarge,
    /// The store failed; the text is its message.
    Io(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(why) => write!(f, "artifact denied: {why}"),
            Self::NotFound => f.write_str("artifact not found"),
            Self::TooLarge => f.write_str("artifact too large"),
            Self::Io(why) => write!(f, "artifact store error: {why}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.to_string()
    }
}

impl From<ArtifactError> for Error {
    fn from(error: ArtifactError) -> Self {
        match error {
            ArtifactError::Denied(why) => Self::Denied(why),
            ArtifactError::NotFound => Self::NotFound,
            ArtifactError::TooLarge => Self::TooLarge,
            ArtifactError::Io(why) => Self::Io(why),
        }
    }
}

/// Stores `contents` and returns its digest, `sha256:` and 64 hexadecimal digits.
///
/// Source: `capstan:host/artifacts.put`.
///
/// # Errors
/// If the host refuses or cannot store it.
pub fn put(contents: &[u8], media_type: &str) -> Result<String, Error> {
    Ok(artifacts::put(contents, media_type)?)
}

/// The contents stored under `digest`.
///
/// Source: `capstan:host/artifacts.get`.
///
/// # Errors
/// If the host refuses, or has no such artifact for this call.
pub fn get(digest: &str) -> Result<Vec<u8>, Error> {
    Ok(artifacts::get(digest)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_error_has_its_own_text() {
        let texts = [
            (ArtifactError::Denied("no grant".into()), "artifact denied: no grant"),
            (ArtifactError::NotFound, "artifact not found"),
            (ArtifactError::TooLarge, "artifact too large"),
            (ArtifactError::Io("disk".into()), "artifact store error: disk"),
        ];
        for (cause, text) in texts {
            assert_eq!(Error::from(cause).to_string(), text);
        }
    }
}
