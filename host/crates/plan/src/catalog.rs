//! What a plan may call: the one door through which facts about installed packs enter.

use base::{Capability, Digest, Effect, Limits, OperationName, PackId};
use values::FunctionType;

/// The installed packs and their operations. The answers must not change during a check.
pub trait Catalog {
    /// The installed version of a pack; none if it is not installed.
    fn pack(&self, id: &PackId) -> Option<CatalogPack>;
    /// An operation of an installed pack.
    fn operation(&self, name: &OperationName) -> Option<CatalogOperation>;
    /// The operations of a pack, to suggest from. Empty if it is not installed.
    fn operations(&self, id: &PackId) -> Vec<OperationName>;
    /// Every installed pack, to suggest from.
    fn packs(&self) -> Vec<PackId>;
}

/// An installed pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogPack {
    /// Its version.
    pub version: semver::Version,
    /// The digest of its signed statement.
    pub statement: Digest,
}

/// An operation as its pack declares it and the operator granted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogOperation {
    /// Parameters and result.
    pub function: FunctionType,
    /// The declared, enforced effect.
    pub effect: Effect,
    /// Whether calling it again with the same arguments changes nothing further.
    pub idempotent: bool,
    /// The limits of one call.
    pub limits: Limits,
    /// The capabilities that the pack requests and that `effect` permits.
    pub request: Vec<Capability>,
    /// What of `request` the operator has not granted.
    pub missing: Vec<MissingGrant>,
    /// Whether a call may have to stop before a request that only asks, since what it asks for could
    /// hold what it read.
    pub discloses: bool,
    /// The digest of the authority that a call would have now.
    pub authority: Digest,
}

/// A requested capability without a grant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingGrant {
    /// The capability.
    pub capability: Capability,
    /// What to grant, exactly as `capstan grant add <pack>` takes it: `files-write=workspace:**`.
    pub grant: String,
    /// What follows it there: options with a space in front of each, or nothing.
    pub flags: String,
    /// Of a grant that was given and is not in force, why, as in "was granted, and the grant has
    /// expired".
    pub lapsed: Option<&'static str>,
}
