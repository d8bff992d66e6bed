//! How far the operator lets packs reach: grants and ceiling as they are on disk, and the time that
//! grants are held against.

use std::fmt::Display;
use std::sync::Arc;

use authority::{Authority, Ceiling, Grants, Signer, Standing};
use base::{Clock, Effect, PackId};
use pack::VerifiedPack;

use crate::app::App;
use crate::{Error, config, grants};

/// Read once for each command, asked at each call: a grant that expires while a run goes on is not
/// in force for the run's next call.
#[derive(Clone)]
pub(crate) struct Consent {
    pub(crate) grants: Grants,
    pub(crate) ceiling: Ceiling,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Consent {
    /// The authority of a call of `effect` by `pack` now.
    pub(crate) fn authority(&self, pack: &VerifiedPack, effect: Effect) -> Authority {
        let manifest = pack.manifest();
        let standing = self.standing(&manifest.id, Some(&pack.signer()));
        Authority::of(&manifest.request, &standing, &self.ceiling, effect)
    }

    /// The grants to a pack as they stand now; to one that nobody signed, nothing is granted.
    pub(crate) fn standing(&self, pack: &PackId, signer: Option<&dyn Display>) -> Standing {
        match signer {
            Some(signer) => self.grants.in_force(pack, &Signer::of_fingerprint(signer), self.clock.now()),
            None => Standing::none(pack.clone()),
        }
    }
}

impl App {
    /// The operator's decisions of now.
    pub(crate) fn consent(&self) -> Result<Consent, Error> {
        let (grants, config) = (grants::load(&self.home)?, config::load(&self.home)?);
        Ok(Consent { grants, ceiling: config.ceiling, clock: Arc::clone(&self.clock) })
    }
}
