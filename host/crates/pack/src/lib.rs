//! A pack as bytes: its manifest, envelope, inspection, the trust in its publisher, the store it is installed in.
//!
//! Invariants: never executes a guest and never compiles one. Everything read here may be hostile:
//! each reader is bounded and refuses with a coded [`base::Refusal`]. Signatures are over stored
//! bytes, and only verified bytes are parsed. [`verify`] is the one door to a [`VerifiedPack`], and
//! what is loaded from the [`Store`] goes through it again each time. Time and randomness come in
//! as arguments.

mod build;
mod docs;
mod document;
mod dsse;
mod files;
#[cfg(test)]
mod fixture;
mod inspect;
mod key;
mod manifest;
mod statement;
mod store;
mod text;
mod trust;
mod verify;

pub use build::{componentize, encode_wit};
pub use docs::Docs;
pub use dsse::{ENVELOPE_BYTES_MAX, Envelope, SIGNATURES_MAX, Verified, pae};
pub use files::{COMPONENT, ENVELOPE, MANIFEST, PackFiles, README, WIT};
pub use inspect::{COMPONENT_BYTES_MAX, HOST_ABI, Import, ImportKind, Inspection, features};
pub use key::{Fingerprint, PublicKey, SigningKey};
pub use manifest::{LimitsRequest, Manifest, ManifestError, Operation, Problem};
pub use statement::{PAYLOAD_TYPE, SignedFile, Statement};
pub use store::{CapabilityDiff, Installed, LABELS, Receipt, Store};
pub use trust::{Role, TrustStore, TrustedKey};
pub use verify::{VerifiedPack, disagreements, introduce, sign, validate, verify};
