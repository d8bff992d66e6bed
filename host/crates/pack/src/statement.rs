//! What a pack's signature says: an in-toto Statement v1 over the pack's files, with a predicate
//! that names what a reviewer must know without opening them.

use std::collections::BTreeMap;

use authority::Request;
use base::{Capability, Code, Digest, Effect, Label, PackId, Refusal};
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::files::{ENVELOPE, PackFiles, allowed_size};
use crate::inspect::{HOST_ABI, Inspection};
use crate::manifest::Manifest;
use crate::text::shown;

/// The DSSE payload type of a pack's statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE: &str = "urn:capstan:pack:v1";

/// A pack's statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The pack.
    pub id: PackId,
    /// Its version.
    pub version: Version,
    /// Counts up with each signing, from 1: a host never goes back.
    pub sequence: u32,
    /// The digest of the statement before this one.
    pub prev: Option<Digest>,
    /// The WIT package, `publisher:name@version`.
    pub world: String,
    /// The component's imports, sorted.
    pub imports: Vec<String>,
    /// The component's exported interfaces, sorted.
    pub exports: Vec<String>,
    /// Every operation's effect, by local name.
    pub operations: BTreeMap<String, Effect>,
    /// What the pack asks to reach.
    pub request: Request,
    /// The version of the host's interfaces that it was built for.
    pub host_abi: Version,
    /// Every file but the envelope.
    pub files: BTreeMap<String, SignedFile>,
}

/// What the statement says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedFile {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Their number.
    pub bytes: u64,
}

/// The statement's JSON: a format of its own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatementText {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<SubjectText>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: PredicateText,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectText {
    name: String,
    digest: DigestText,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DigestText {
    /// 64 hex digits.
    sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PredicateText {
    publisher: Label,
    name: Label,
    version: Version,
    sequence: u32,
    prev: Option<Digest>,
    world: String,
    imports: Vec<String>,
    exports: Vec<String>,
    operations: BTreeMap<String, Effect>,
    capabilities: BTreeMap<Capability, Vec<String>>,
    host_abi: Version,
    sizes: BTreeMap<String, u64>,
}

impl Statement {
    /// The statement of a pack, from its bytes and what they say.
    #[must_use]
    pub fn describe(
        files: &PackFiles,
        manifest: &Manifest,
        inspection: &Inspection,
        sequence: u32,
        prev: Option<Digest>,
    ) -> Self {
        let signed = |(name, bytes): (&str, &[u8])| {
            (name.to_owned(), SignedFile { digest: Digest::of(bytes), bytes: bytes.len() as u64 })
        };
        Self {
            id: manifest.id.clone(),
            version: manifest.version.clone(),
            sequence,
            prev,
            world: format!("{}@{}", inspection.id, inspection.version),
            imports: inspection.imports.iter().map(|import| import.name.clone()).collect(),
            exports: inspection.exports.clone(),
            operations: manifest.operations.iter().map(|(name, op)| (name.clone(), op.effect)).collect(),
            request: manifest.request.clone(),
            host_abi: HOST_ABI,
            files: files.signed().map(signed).collect(),
        }
    }

    /// Reads a verified payload.
    ///
    /// # Errors
    /// [`Code::EnvelopeMalformed`]; [`Code::FileName`] or [`Code::FileExtra`] for a subject that
    /// is no file of a pack.
    pub fn parse(payload: &[u8]) -> Result<Self, Refusal> {
        let json = values::parse_json(payload).map_err(|error| malformed(error.to_string()))?;
        let text: StatementText =
            serde_json::from_value(json).map_err(|error| malformed(shown(&error.to_string(), 200)))?;
        for (found, expected) in [(&text.kind, STATEMENT_TYPE), (&text.predicate_type, PREDICATE_TYPE)] {
            if found != expected {
                return Err(malformed(format!("it is a `{}`, not a `{expected}`", shown(found, 80))));
            }
        }
        let PredicateText { publisher, name, version, sequence, prev, .. } = text.predicate;
        if sequence == 0 {
            return Err(malformed("`sequence` counts from 1"));
        }
        let request =
            Request::from_texts(text.predicate.capabilities).map_err(|error| malformed(error.to_string()))?;
        Ok(Self {
            id: PackId { publisher, name },
            version,
            sequence,
            prev,
            world: text.predicate.world,
            imports: text.predicate.imports,
            exports: text.predicate.exports,
            operations: text.predicate.operations,
            request,
            host_abi: text.predicate.host_abi,
            files: read_subjects(text.subject, &text.predicate.sizes)?,
        })
    }

    /// The payload to sign.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let subject = self.files.iter().map(|(name, file)| SubjectText {
            name: name.clone(),
            digest: DigestText { sha256: file.digest.hex() },
        });
        let text = StatementText {
            kind: STATEMENT_TYPE.to_owned(),
            subject: subject.collect(),
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: PredicateText {
                publisher: self.id.publisher.clone(),
                name: self.id.name.clone(),
                version: self.version.clone(),
                sequence: self.sequence,
                prev: self.prev,
                world: self.world.clone(),
                imports: self.imports.clone(),
                exports: self.exports.clone(),
                operations: self.operations.clone(),
                capabilities: self.request.to_texts(),
                host_abi: self.host_abi.clone(),
                sizes: self.files.iter().map(|(name, file)| (name.clone(), file.bytes)).collect(),
            },
        };
        // Every map has text keys, so this always serialises; an empty payload parses as nothing.
        serde_json::to_vec(&text).unwrap_or_default()
    }
}

fn read_subjects(
    subjects: Vec<SubjectText>,
    sizes: &BTreeMap<String, u64>,
) -> Result<BTreeMap<String, SignedFile>, Refusal> {
    let mut files = BTreeMap::new();
    for SubjectText { name, digest } in subjects {
        allowed_size(&name)?;
        let shown_name = shown(&name, 80);
        if name == ENVELOPE {
            return Err(malformed("its subjects include the envelope itself"));
        }
        let digest = format!("sha256:{}", digest.sha256)
            .parse()
            .map_err(|_| malformed(format!("the digest of `{shown_name}` is not 64 hex digits")))?;
        let bytes = *sizes.get(&name).ok_or_else(|| malformed(format!("`{shown_name}` has no size")))?;
        if files.insert(name, SignedFile { digest, bytes }).is_some() {
            return Err(malformed(format!("`{shown_name}` is a subject twice")));
        }
    }
    if sizes.len() != files.len() {
        return Err(malformed("`sizes` names a file that is no subject"));
    }
    Ok(files)
}

fn malformed(why: impl AsRef<str>) -> Refusal {
    Refusal::new(Code::EnvelopeMalformed, format!("the signed statement is malformed: {}", why.as_ref()))
}

#[cfg(test)]
mod tests;
