//! A pack's receipt: what was installed, when, and on whose signature.

use std::collections::BTreeMap;

use authority::Request;
use base::{Capability, Digest, PackId, Timestamp};
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::key::Fingerprint;
use crate::text::shown;
use crate::verify::VerifiedPack;

/// Longest receipt that is read, in bytes: more than the envelope bounds it to.
pub(super) const RECEIPT_BYTES_MAX: u64 = 1 << 20;
const FORMAT: &str = "capstan.receipt/v1";

/// What is on record of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The pack.
    pub pack: PackId,
    /// Its version.
    pub version: Version,
    /// The digest of its signed statement.
    pub statement: Digest,
    /// The statement's sequence: the least that may be installed from now on.
    pub sequence: u32,
    /// The fingerprint of the key that signed.
    pub signer: Fingerprint,
    /// When it was installed.
    pub installed_at: Timestamp,
    /// Whether it still is. A pack that was uninstalled keeps its record, not its bytes.
    pub installed: bool,
    /// What it asks to reach.
    pub request: Request,
    /// Its files, the envelope too.
    pub files: BTreeMap<String, Digest>,
}

/// The receipt's JSON: a format of its own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiptText {
    format: String,
    pack: PackId,
    version: Version,
    statement: Digest,
    sequence: u32,
    signer: String,
    installed_at: Timestamp,
    installed: bool,
    capabilities: BTreeMap<Capability, Vec<String>>,
    files: BTreeMap<String, Digest>,
}

impl Receipt {
    pub(super) fn of(pack: &VerifiedPack, now: Timestamp) -> Self {
        let statement = pack.statement();
        Self {
            pack: statement.id.clone(),
            version: statement.version.clone(),
            statement: pack.statement_digest(),
            sequence: statement.sequence,
            signer: pack.signer(),
            installed_at: now,
            installed: true,
            request: statement.request.clone(),
            files: pack.files().iter().map(|(name, bytes)| (name.to_owned(), Digest::of(bytes))).collect(),
        }
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let json =
            values::parse_json(bytes).map_err(|error| format!("its receipt does not parse: {error}"))?;
        let text: ReceiptText = serde_json::from_value(json)
            .map_err(|error| format!("its receipt is malformed: {}", shown(&error.to_string(), 200)))?;
        if text.format != FORMAT {
            return Err(format!("its receipt has the format `{}`, not `{FORMAT}`", shown(&text.format, 40)));
        }
        let request = Request::from_texts(text.capabilities).map_err(|error| error.to_string())?;
        Ok(Self {
            pack: text.pack,
            version: text.version,
            statement: text.statement,
            sequence: text.sequence,
            signer: text.signer.parse().map_err(|error: base::Refusal| error.message)?,
            installed_at: text.installed_at,
            installed: text.installed,
            request,
            files: text.files,
        })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let text = ReceiptText {
            format: FORMAT.to_owned(),
            pack: self.pack.clone(),
            version: self.version.clone(),
            statement: self.statement,
            sequence: self.sequence,
            signer: self.signer.to_string(),
            installed_at: self.installed_at,
            installed: self.installed,
            capabilities: self.request.to_texts(),
            files: self.files.clone(),
        };
        // Every map has text keys, so this always serialises; an empty receipt parses as damaged.
        let mut bytes = serde_json::to_vec_pretty(&text).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}
