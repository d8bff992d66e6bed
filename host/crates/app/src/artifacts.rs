//! Artifacts: bytes that runs kept.

use base::{Code, Digest, Refusal};
use base64::Engine as _;

use crate::Error;
use crate::app::App;
use crate::view::ArtifactView;

impl App {
    /// The bytes under a digest, or under a unique beginning of one.
    ///
    /// # Errors
    /// If none or several are meant.
    pub fn artifact_show(&self, text: &str) -> Result<ArtifactView, Error> {
        let digest = self.find_artifact(text)?;
        let bytes = self.journal()?.artifact(&digest).map_err(crate::journal_error)?;
        let is_text = !bytes.contains(&0);
        let view = ArtifactView { digest, bytes: bytes.len() as u64, text: None, base64: None };
        Ok(match String::from_utf8(bytes) {
            Ok(text) if is_text => ArtifactView { text: Some(text), ..view },
            Ok(text) => ArtifactView { base64: Some(encode(text.as_bytes())), ..view },
            Err(error) => ArtifactView { base64: Some(encode(error.as_bytes())), ..view },
        })
    }

    fn find_artifact(&self, text: &str) -> Result<Digest, Error> {
        if let Ok(digest) = text.parse::<Digest>() {
            return Ok(digest);
        }
        let prefix = text.strip_prefix("sha256:").unwrap_or(text);
        let unknown = |message: String| {
            Error::Refused(Refusal::new(Code::ArtifactUnknown, message).hint("capstan run show last"))
        };
        if prefix.len() < 4 || !prefix.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(unknown(format!("`{text}` is no digest, nor the first four or more digits of one")));
        }
        let mut found = self.journal()?.artifacts_with(prefix).map_err(Refusal::from)?;
        match (found.pop(), found.is_empty()) {
            (Some(digest), true) => Ok(digest),
            (None, _) => Err(unknown(format!("no artifact's digest starts with `{prefix}`"))),
            (Some(_), false) => Err(unknown(format!("several artifacts' digests start with `{prefix}`"))),
        }
    }
}

fn encode(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
