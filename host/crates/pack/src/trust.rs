//! `trust.toml`: whose packs may be installed, and who may approve.

use base::{Code, Label, Refusal, Timestamp};
use std::fmt;

use crate::document::{Codes, Item, Reader, refusal};
use crate::key::{Fingerprint, PublicKey};

const FILE: &str = "trust.toml";
const CODES: Codes =
    Codes { malformed: Code::TrustMalformed, unknown: Code::TrustMalformed, duplicate: Code::TrustMalformed };
const ENTRY_KEYS: [&str; 4] = ["role", "publisher", "key", "added"];
/// Most keys in the file: each is tried on each signature.
const ENTRIES_MAX: usize = 256;

/// What a trusted key may do. One key has one role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Signs the packs of this publisher.
    Pack {
        /// The publisher: the WIT namespace of its packs.
        publisher: Label,
    },
    /// Signs approvals.
    Approver,
}

/// One entry of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// What the key may do.
    pub role: Role,
    /// The key.
    pub key: PublicKey,
    /// When a person decided so.
    pub added: Timestamp,
}

/// The trusted keys, in the order they were added. A publisher has at most one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustStore {
    entries: Vec<TrustedKey>,
}

impl TrustStore {
    /// Trusts nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the text of a `trust.toml`. Every key is admitted anew.
    ///
    /// # Errors
    /// [`Code::TrustMalformed`], [`Code::TrustConflict`] or [`Code::KeyInadmissible`], with the
    /// line in the message.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let (mut reader, top) = Reader::parse(text, CODES);
        let mut trust = Self::new();
        for (key, item) in &top {
            if key.get_ref() != "key" {
                reader.unknown(key, "key", &["key"]);
                continue;
            }
            for item in reader.list(item, "key").unwrap_or_default() {
                let Some(entry) = read_entry(&mut reader, item) else { continue };
                if let Err(refusal) = trust.add(entry) {
                    reader.add(item.span(), refusal.code, refusal.message, None);
                }
            }
        }
        reader.finish().map_err(|problems| refusal(FILE, &problems, Code::TrustMalformed))?;
        Ok(trust)
    }

    /// The file's text.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let entries = self.entries.iter().map(|entry| {
            // Labels, base64 and times need no escaping in a TOML text.
            let role = match &entry.role {
                Role::Pack { publisher } => format!("role = \"pack\"\npublisher = \"{publisher}\""),
                Role::Approver => "role = \"approver\"".to_owned(),
            };
            format!("[[key]]\n{role}\nkey = \"{}\"\nadded = \"{}\"\n", entry.key, time_text(entry.added))
        });
        entries.collect::<Vec<_>>().join("\n")
    }

    /// Trusts a key for a role. Adding what is there already changes nothing.
    ///
    /// # Errors
    /// [`Code::TrustConflict`] if the publisher has another key, or the key another role.
    pub fn add(&mut self, entry: TrustedKey) -> Result<(), Refusal> {
        for present in &self.entries {
            if present.key == entry.key {
                if present.role == entry.role {
                    return Ok(());
                }
                let message = format!(
                    "the key {} is {} already: one key, one role",
                    entry.key.fingerprint(),
                    present.role
                );
                return Err(Refusal::new(Code::TrustConflict, message));
            }
            if let (Role::Pack { publisher: a }, Role::Pack { publisher: b }) = (&present.role, &entry.role)
                && a == b
            {
                let old = present.key.fingerprint();
                let message =
                    format!("publisher `{a}` has the trusted key {old} already, and can have one only");
                return Err(
                    Refusal::new(Code::TrustConflict, message).hint(format!("capstan trust remove {old}"))
                );
            }
        }
        if self.entries.len() >= ENTRIES_MAX {
            return Err(Refusal::new(
                Code::TrustConflict,
                format!("more than {ENTRIES_MAX} keys are trusted"),
            ));
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Stops trusting a key, and returns what it was trusted for.
    pub fn remove(&mut self, fingerprint: &Fingerprint) -> Option<TrustedKey> {
        let index = self.entries.iter().position(|entry| entry.key.fingerprint() == *fingerprint)?;
        Some(self.entries.remove(index))
    }

    /// Every entry, in the file's order.
    #[must_use]
    pub fn entries(&self) -> &[TrustedKey] {
        &self.entries
    }

    /// The key of a publisher, if one is trusted.
    #[must_use]
    pub fn pack_key(&self, publisher: &Label) -> Option<&PublicKey> {
        self.entries
            .iter()
            .find(|entry| matches!(&entry.role, Role::Pack { publisher: known } if known == publisher))
            .map(|entry| &entry.key)
    }

    /// The publisher that a key signs packs for, if it does.
    #[must_use]
    pub fn publisher_of(&self, key: &PublicKey) -> Option<&Label> {
        self.entries.iter().find(|entry| entry.key == *key).and_then(|entry| match &entry.role {
            Role::Pack { publisher } => Some(publisher),
            Role::Approver => None,
        })
    }

    /// The keys that sign packs.
    #[must_use]
    pub fn pack_keys(&self) -> Vec<PublicKey> {
        self.keys(|role| matches!(role, Role::Pack { .. }))
    }

    /// The keys that sign approvals.
    #[must_use]
    pub fn approver_keys(&self) -> Vec<PublicKey> {
        self.keys(|role| matches!(role, Role::Approver))
    }

    fn keys(&self, wanted: fn(&Role) -> bool) -> Vec<PublicKey> {
        self.entries.iter().filter(|entry| wanted(&entry.role)).map(|entry| entry.key.clone()).collect()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pack { publisher } => write!(f, "trusted for packs of `{publisher}`"),
            Self::Approver => f.write_str("trusted for approvals"),
        }
    }
}

fn read_entry(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<TrustedKey> {
    let table = reader.table(item, "key")?;
    let (mut role, mut publisher, mut key, mut added) = (None, None, None, None);
    for (name, item) in table {
        match name.get_ref().as_ref() {
            "role" => role = reader.string(item, "role"),
            "publisher" => publisher = Some(reader.parsed::<Label>(item, "publisher")?),
            "key" => key = Some(read_key(reader, item)?),
            "added" => added = Some(read_time(reader, item)?),
            _ => reader.unknown(name, "key", &ENTRY_KEYS),
        }
    }
    let role = match (role, publisher) {
        (Some("pack"), Some(publisher)) => Role::Pack { publisher },
        (Some("approver"), None) => Role::Approver,
        _ => {
            reader.malformed(
                item.span(),
                "an entry needs `role = \"pack\"` and a `publisher`, or `role = \"approver\"`",
            );
            return None;
        }
    };
    if key.is_none() || added.is_none() {
        reader.malformed(item.span(), "an entry needs `key` and `added`");
    }
    Some(TrustedKey { role, key: key?, added: added? })
}

fn read_key(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<PublicKey> {
    match reader.string(item, "key")?.parse() {
        Ok(key) => Some(key),
        Err(refusal) => {
            let refusal: Refusal = refusal;
            // A key that does not even parse is the file's problem; one that may not be used is its own.
            let code = if refusal.code == Code::KeyMalformed { CODES.malformed } else { refusal.code };
            reader.add(item.span(), code, refusal.message, None);
            None
        }
    }
}

fn read_time(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Timestamp> {
    let time = reader.parsed::<jiff::Timestamp>(item, "added")?;
    let ms = u64::try_from(time.as_millisecond()).ok();
    if ms.is_none() {
        reader.malformed(item.span(), "`added` is before 1970");
    }
    ms.map(Timestamp)
}

/// RFC 3339 in UTC. A time beyond what that can write is cut to the last that it can.
fn time_text(time: Timestamp) -> String {
    let ms = i64::try_from(time.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests;
