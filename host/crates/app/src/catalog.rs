//! What plans may call: the installed packs under the present trust and grants.

use std::collections::{BTreeMap, BTreeSet};

use authority::Authority;
use base::{Effect, OperationName, PackId};
use pack::VerifiedPack;
use plan::{Catalog, CatalogOperation, CatalogPack, MissingGrant};

use crate::Error;
use crate::app::App;
use crate::consent::Consent;

/// The installed packs, each verified when it was loaded.
pub(crate) struct InstalledPacks {
    pub(crate) packs: BTreeMap<PackId, VerifiedPack>,
    /// The names of all that is installed, to suggest from.
    names: BTreeSet<PackId>,
    pub(crate) consent: Consent,
}

impl InstalledPacks {
    /// The authority of a call of `effect` by `id` now; a pack that is not installed has none.
    pub(crate) fn authority(&self, id: &PackId, effect: Effect) -> Option<Authority> {
        Some(self.consent.authority(self.packs.get(id)?, effect))
    }
}

impl App {
    /// Loads those of the named packs that are installed. One that is not is absent; one that no
    /// longer verifies is an error, whoever asks for it.
    pub(crate) fn installed(&self, ids: impl IntoIterator<Item = PackId>) -> Result<InstalledPacks, Error> {
        let store = self.store()?;
        let trust = crate::trust::load(&self.home)?;
        let mut packs = BTreeMap::new();
        for id in ids {
            if !packs.contains_key(&id) && store.receipt(&id)?.is_some() {
                packs.insert(id.clone(), store.load(&id, &trust)?);
            }
        }
        let names = packs.keys().cloned().collect();
        Ok(InstalledPacks { packs, names, consent: self.consent()? })
    }

    /// Adds the names of the packs that were not loaded, so that a misspelt one can be suggested.
    pub(crate) fn with_names_of_the_others(
        &self,
        mut packs: InstalledPacks,
    ) -> Result<InstalledPacks, Error> {
        packs.names.extend(self.store()?.list()?.into_iter().map(|receipt| receipt.pack));
        Ok(packs)
    }

    /// Loads every installed pack.
    pub(crate) fn all_installed(&self) -> Result<InstalledPacks, Error> {
        let ids: Vec<PackId> = self.store()?.list()?.into_iter().map(|receipt| receipt.pack).collect();
        self.installed(ids)
    }
}

impl Catalog for InstalledPacks {
    fn pack(&self, id: &PackId) -> Option<CatalogPack> {
        let pack = self.packs.get(id)?;
        Some(CatalogPack { version: pack.manifest().version.clone(), statement: pack.statement_digest() })
    }

    fn operation(&self, name: &OperationName) -> Option<CatalogOperation> {
        let pack = self.packs.get(&name.pack)?;
        let local = name.local();
        let declared = pack.manifest().operations.get(&local)?;
        let function = pack.inspection().operations.get(&local)?.clone();
        let authority = self.authority(&name.pack, declared.effect)?;
        let permitted = pack.manifest().request.iter().map(|(capability, _)| capability);
        Some(CatalogOperation {
            function,
            effect: declared.effect,
            idempotent: declared.idempotent,
            limits: authority.limits(declared.limits.resolve()),
            request: permitted.filter(|capability| capability.permitted_by(declared.effect)).collect(),
            missing: authority
                .missing()
                .into_iter()
                .map(|missing| MissingGrant {
                    capability: missing.capability,
                    lapsed: missing.lapsed,
                    flags: missing.flags,
                    grant: missing.grant,
                })
                .collect(),
            discloses: authority.holds_disclosure(),
            authority: authority.digest(),
        })
    }

    fn operations(&self, id: &PackId) -> Vec<OperationName> {
        let Some(pack) = self.packs.get(id) else { return Vec::new() };
        let names = pack.manifest().operations.keys();
        names.filter_map(|local| OperationName::in_pack(id.clone(), local).ok()).collect()
    }

    fn packs(&self) -> Vec<PackId> {
        self.names.iter().cloned().collect()
    }
}
