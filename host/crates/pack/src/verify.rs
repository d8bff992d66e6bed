//! Whether a pack is what a trusted publisher signed, and whether its parts tell one story.
//!
//! Order: envelope, signature over the raw payload, statement from those very bytes, file set,
//! file bytes, component, manifest against component, statement against both. Each step is
//! bounded, each refusal has its own code, and nothing is written anywhere.

use std::num::NonZeroUsize;

use base::{Capability, Code, Digest, Label, Refusal, ScopeKind};

use crate::docs::Docs;
use crate::dsse::Envelope;
use crate::files::{COMPONENT, ENVELOPE, MANIFEST, PackFiles, WIT};
use crate::inspect::{HOST_ABI, ImportKind, Inspection};
use crate::key::{Fingerprint, PublicKey, SigningKey};
use crate::manifest::Manifest;
use crate::statement::{PAYLOAD_TYPE, Statement};
use crate::text::shown;
use crate::trust::TrustStore;

/// A pack that verified against a trust store. Only [`verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedPack {
    manifest: Manifest,
    inspection: Inspection,
    docs: Docs,
    statement: Statement,
    statement_digest: Digest,
    signer: Fingerprint,
    files: PackFiles,
}

impl VerifiedPack {
    /// The parsed manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The component's real interface.
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// The doc comments of its WIT.
    #[must_use]
    pub fn docs(&self) -> &Docs {
        &self.docs
    }

    /// What was signed.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// SHA-256 of the signed payload's bytes: the pack's identity everywhere else.
    #[must_use]
    pub fn statement_digest(&self) -> Digest {
        self.statement_digest
    }

    /// The fingerprint of the publisher's key.
    #[must_use]
    pub fn signer(&self) -> Fingerprint {
        self.signer
    }

    /// The bytes.
    #[must_use]
    pub fn files(&self) -> &PackFiles {
        &self.files
    }

    /// The component's bytes.
    #[must_use]
    pub fn component(&self) -> &[u8] {
        self.files.get(COMPONENT).unwrap_or_default()
    }

    /// Capabilities that the manifest requests and the component does not import: more than the
    /// pack needs. Not a refusal, but a reviewer wants to know.
    #[must_use]
    pub fn unused_requests(&self) -> Vec<Capability> {
        let imported = imported(&self.inspection);
        let requested = self.manifest.request.iter().map(|(c, _)| c).filter(|c| c.has_interface());
        requested.filter(|c| !imported.contains(c)).collect()
    }
}

/// Verifies a pack.
///
/// # Errors
/// The first thing that is wrong, in the module's order.
pub fn verify(files: PackFiles, trust: &TrustStore) -> Result<VerifiedPack, Refusal> {
    let envelope = Envelope::parse(files.require(ENVELOPE)?)?;
    let trusted = trust.pack_keys();
    let verified = envelope.verify(PAYLOAD_TYPE, &trusted, NonZeroUsize::MIN).map_err(|refusal| {
        let carried = envelope.fingerprints();
        carried.iter().fold(refusal, |refusal, f| refusal.hint(format!("the envelope carries the key `{f}`")))
    })?;
    let statement_digest = Digest::of(verified.payload);
    let statement = Statement::parse(verified.payload)?;
    let signer = publisher_key(&statement, &verified.signers, trust)?.fingerprint();
    check_files(&files, &statement)?;
    if statement.host_abi != HOST_ABI {
        let message =
            format!("the pack is built for host ABI {}, this host has {HOST_ABI}", statement.host_abi);
        return Err(Refusal::new(Code::AbiUnsupported, message));
    }
    let inspection = Inspection::of(files.require(COMPONENT)?)?;
    let docs = Docs::read(files.require(WIT)?)?;
    let manifest = Manifest::parse(files.manifest_text()?)?;
    if let Some(refusal) = disagreements(&manifest, &inspection).into_iter().next() {
        return Err(refusal);
    }
    check_statement(
        &statement,
        &Statement::describe(&files, &manifest, &inspection, statement.sequence, statement.prev),
    )?;
    Ok(VerifiedPack { manifest, inspection, docs, statement, statement_digest, signer, files })
}

/// What a person decides on before a key is trusted: the key with the fingerprint that they
/// compared, and the publisher whose pack it really signed.
///
/// # Errors
/// [`Code::SigUntrusted`] if the envelope carries no such key, and whatever else is wrong with
/// the envelope and its statement.
pub fn introduce(files: &PackFiles, fingerprint: &Fingerprint) -> Result<(Label, PublicKey), Refusal> {
    let envelope = Envelope::parse(files.require(ENVELOPE)?)?;
    let key = envelope.key_with(fingerprint)?;
    let verified = envelope.verify(PAYLOAD_TYPE, std::slice::from_ref(&key), NonZeroUsize::MIN)?;
    let publisher = Statement::parse(verified.payload)?.id.publisher;
    Ok((publisher, key))
}

/// The manifest and component of an unsigned pack, if they tell one story: what an author checks
/// before signing.
///
/// # Errors
/// The first thing that is wrong; [`disagreements`] gives them all.
pub fn validate(files: &PackFiles) -> Result<(Manifest, Inspection), Refusal> {
    let manifest = Manifest::parse(files.manifest_text()?)?;
    let inspection = Inspection::of(files.require(COMPONENT)?)?;
    Docs::read(files.require(WIT)?)?;
    match disagreements(&manifest, &inspection).into_iter().next() {
        Some(refusal) => Err(refusal),
        None => Ok((manifest, inspection)),
    }
}

/// Signs a pack that validates: returns the same files with a new envelope. `previous` is the
/// statement that the new one follows, with its digest.
///
/// # Errors
/// As [`validate`]; [`Code::Rollback`] if no sequence number is left.
pub fn sign(
    files: PackFiles,
    key: &SigningKey,
    previous: Option<(u32, Digest)>,
) -> Result<PackFiles, Refusal> {
    let (manifest, inspection) = validate(&files)?;
    let sequence = previous
        .map_or(0, |(sequence, _)| sequence)
        .checked_add(1)
        .ok_or_else(|| Refusal::new(Code::Rollback, "the pack's sequence numbers are used up"))?;
    let prev = previous.map(|(_, digest)| digest);
    let statement = Statement::describe(&files, &manifest, &inspection, sequence, prev);
    let envelope = Envelope::sign(PAYLOAD_TYPE, statement.to_bytes(), &[key])?;
    files.with_envelope(envelope.to_bytes())
}

/// Every way in which the manifest and the component contradict each other.
#[must_use]
pub fn disagreements(manifest: &Manifest, inspection: &Inspection) -> Vec<Refusal> {
    let mut found = Vec::new();
    if manifest.id != inspection.id {
        let message = format!("`{MANIFEST}` is of `{}`, the component of `{}`", manifest.id, inspection.id);
        found.push(Refusal::new(Code::ManifestMismatch, message));
    }
    if manifest.version != inspection.version {
        let message =
            format!("`{MANIFEST}` has version {}, the WIT package {}", manifest.version, inspection.version);
        found.push(Refusal::new(Code::VersionMismatch, message));
    }
    found.extend(undeclared_imports(manifest, inspection));
    // An operation that one side lacks may be the one whose effect is missed below.
    found.extend(operation_differences(manifest, inspection));
    found.extend(requests_above_effect(manifest));
    found
}

fn undeclared_imports(manifest: &Manifest, inspection: &Inspection) -> Vec<Refusal> {
    let undeclared =
        imported(inspection).into_iter().filter(|c| c.needs_grant() && !manifest.request.contains(*c));
    undeclared
        .map(|capability| {
            let message =
                format!("the component imports `{capability}`, which `{MANIFEST}` does not request");
            let line = match capability.scope_kind() {
                Some(ScopeKind::Path) => "[\"workspace:**\"]",
                Some(ScopeKind::Url) => "[\"https://example.com/**\"]",
                Some(ScopeKind::Command) => "[{ program = \"git\", args = [\"log\", \"*\"] }]",
                // Without an interface it is not imported.
                Some(ScopeKind::Model) => "[\"default\"]",
                Some(ScopeKind::Secret) | None => "true",
            };
            Refusal::new(Code::ImportUndeclared, message).hint(format!(
                "add `{capability} = {line}` to `[capabilities]`, narrowed to what the pack needs"
            ))
        })
        .collect()
}

fn requests_above_effect(manifest: &Manifest) -> Vec<Refusal> {
    let greatest = manifest.operations.values().map(|operation| operation.effect).max();
    let above =
        manifest.request.iter().map(|(c, _)| c).filter(|c| !greatest.is_some_and(|e| c.permitted_by(e)));
    above
        .map(|capability| {
            let needed = capability.least_effect();
            let message = format!(
                "`{capability}` needs effect `{needed}`, and no operation of the pack declares so much"
            );
            Refusal::new(Code::ImportAboveEffect, message)
        })
        .collect()
}

fn operation_differences(manifest: &Manifest, inspection: &Inspection) -> Vec<Refusal> {
    let unlisted = inspection.operations.keys().filter(|name| !manifest.operations.contains_key(*name));
    let absent = manifest.operations.keys().filter(|name| !inspection.operations.contains_key(*name));
    let mut found: Vec<_> = unlisted
        .map(|name| {
            let message = format!("the component exports `{name}`, which `{MANIFEST}` does not list");
            Refusal::new(Code::ExportUndeclared, message)
                .hint(format!("add `[operations.\"{name}\"]` with its `effect`"))
        })
        .collect();
    found.extend(absent.map(|name| {
        let message = format!("`{MANIFEST}` lists `{name}`, which the component does not export");
        let refusal = Refusal::new(Code::ExportMissing, message);
        match values::closest(name, inspection.operations.keys().map(String::as_str)) {
            Some(near) => refusal.hint(format!("did you mean `{near}`?")),
            None => refusal,
        }
    }));
    found
}

fn imported(inspection: &Inspection) -> Vec<Capability> {
    let kinds = inspection.imports.iter().map(|import| import.kind);
    kinds.filter_map(|kind| if let ImportKind::Capability(c) = kind { Some(c) } else { None }).collect()
}

/// The signer that is trusted for the statement's publisher.
fn publisher_key<'a>(
    statement: &Statement,
    signers: &'a [PublicKey],
    trust: &TrustStore,
) -> Result<&'a PublicKey, Refusal> {
    let publisher = &statement.id.publisher;
    if let Some(key) = signers.iter().find(|key| trust.publisher_of(key) == Some(publisher)) {
        return Ok(key);
    }
    let others: Vec<_> =
        signers.iter().filter_map(|key| trust.publisher_of(key)).map(|p| format!("`{p}`")).collect();
    let message = format!(
        "the pack is of publisher `{publisher}`, its signer is trusted for {} only",
        others.join(", ")
    );
    Err(Refusal::new(Code::PublisherMismatch, message))
}

/// The files are exactly those that were signed, byte for byte.
fn check_files(files: &PackFiles, statement: &Statement) -> Result<(), Refusal> {
    for name in [MANIFEST, COMPONENT, WIT] {
        files.require(name)?;
    }
    if let Some(name) = statement.files.keys().find(|name| files.get(name).is_none()) {
        return Err(Refusal::new(Code::FileMissing, format!("the signed file `{name}` is absent")));
    }
    for (name, bytes) in files.signed() {
        let Some(signed) = statement.files.get(name) else {
            return Err(Refusal::new(Code::FileExtra, format!("`{name}` is present and was not signed")));
        };
        if signed.bytes != bytes.len() as u64 || signed.digest != Digest::of(bytes) {
            return Err(Refusal::new(Code::FileDigest, format!("`{name}` is not what was signed")));
        }
    }
    Ok(())
}

/// The statement says what the files say. The lists that decide over authority have codes of
/// their own; any other difference is a mismatch that names the field.
fn check_statement(signed: &Statement, real: &Statement) -> Result<(), Refusal> {
    if let Some(name) = real.imports.iter().find(|name| !signed.imports.contains(name)) {
        let message = format!("the component imports `{}`, which its statement omits", shown(name, 120));
        return Err(Refusal::new(Code::ImportUndeclared, message));
    }
    if let Some(name) = real.exports.iter().find(|name| !signed.exports.contains(name)) {
        let message = format!("the component exports `{}`, which its statement omits", shown(name, 120));
        return Err(Refusal::new(Code::ExportUndeclared, message));
    }
    if let Some(name) = signed.exports.iter().find(|name| !real.exports.contains(name)) {
        let message =
            format!("the statement lists the export `{}`, which the component lacks", shown(name, 120));
        return Err(Refusal::new(Code::ExportMissing, message));
    }
    let same = [
        ("id", signed.id == real.id),
        ("version", signed.version == real.version),
        ("world", signed.world == real.world),
        ("imports", signed.imports == real.imports),
        ("exports", signed.exports == real.exports),
        ("operations", signed.operations == real.operations),
        ("capabilities", signed.request == real.request),
    ];
    match same.into_iter().find(|(_, same)| !same) {
        Some((field, _)) => {
            let message = format!("the statement's `{field}` is not that of `{MANIFEST}` and the component");
            Err(Refusal::new(Code::ManifestMismatch, message))
        }
        None if signed != real => {
            Err(Refusal::new(Code::ManifestMismatch, "the statement is not that of the pack's files"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
