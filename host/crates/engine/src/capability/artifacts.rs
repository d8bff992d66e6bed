//! `artifacts`: the run's content-addressed bytes.

use base::{Capability, Digest};

use super::Inert;
use crate::bindings::artifacts::{self, ArtifactError as Wit};
use crate::guest::Guest;
use crate::invocation::ArtifactError;

fn wit(error: ArtifactError) -> Wit {
    match error {
        ArtifactError::NotFound => Wit::NotFound,
        ArtifactError::TooLarge => Wit::TooLarge,
        ArtifactError::Io(text) => Wit::Io(text),
    }
}

impl artifacts::Host for Guest {
    fn put(&mut self, contents: Vec<u8>, media_type: String) -> wasmtime::Result<Result<String, Wit>> {
        self.budget.enter(contents.len().saturating_add(media_type.len()))?;
        self.reached.used(Capability::Artifacts);
        let digest = Digest::of(&contents);
        let stored = self.host.artifacts.put(&digest, &contents, &media_type);
        self.budget.check_time()?;
        Ok(stored.map(|()| digest.to_string()).map_err(wit))
    }

    fn get(&mut self, digest: String) -> wasmtime::Result<Result<Vec<u8>, Wit>> {
        self.budget.enter(digest.len())?;
        self.reached.used(Capability::Artifacts);
        let Ok(digest) = digest.parse::<Digest>() else {
            return Ok(Err(Wit::NotFound));
        };
        let played = self.taped("artifacts.get", &digest, |guest| {
            let found = guest.host.artifacts.get(&digest, guest.budget.limits.host_call_bytes);
            guest.budget.check_time()?;
            if let Ok(contents) = &found {
                guest.budget.charge(contents.len())?;
            }
            Ok(found.map_err(wit))
        })?;
        Ok(played.answer)
    }
}

impl artifacts::Host for Inert<'_> {
    fn put(&mut self, contents: Vec<u8>, _media_type: String) -> wasmtime::Result<Result<String, Wit>> {
        let denied = self.refuse(Capability::Artifacts, contents.len())?;
        Ok(Err(Wit::Denied(self.0.denial_text(&denied))))
    }

    fn get(&mut self, digest: String) -> wasmtime::Result<Result<Vec<u8>, Wit>> {
        let denied = self.refuse(Capability::Artifacts, digest.len())?;
        Ok(Err(Wit::Denied(self.0.denial_text(&denied))))
    }
}
