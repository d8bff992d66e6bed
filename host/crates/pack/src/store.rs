//! The installed packs: bytes by digest, and one receipt a pack.
//!
//! Invariants: a pack is installed exactly when its receipt says so, and a receipt changes by one
//! rename, after every byte that it names is on disk; so a crash leaves the state before or the
//! state after. The highest sequence of a pack is never forgotten, also when it is uninstalled.
//! Nothing read from the store is believed: [`Store::load`] verifies all of it again.

mod disk;
mod receipt;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use authority::Request;
use base::{Code, Digest, Label, PackId, Probe, Refusal, Timestamp};

pub use receipt::Receipt;

use crate::files::{PackFiles, allowed_size};
use crate::trust::TrustStore;
use crate::verify::{VerifiedPack, verify};

/// The points that a crash test may stop at, in the order they are reached.
pub const LABELS: &[&str] = &[BEFORE_BLOBS, AFTER_BLOB, BEFORE_RECEIPT, AFTER_RECEIPT, AFTER_SWEEP];
const BEFORE_BLOBS: &str = "store:before-blobs";
const AFTER_BLOB: &str = "store:after-blob";
const BEFORE_RECEIPT: &str = "store:before-receipt";
const AFTER_RECEIPT: &str = "store:after-receipt";
const AFTER_SWEEP: &str = "store:after-sweep";

const RECEIPT: &str = "receipt.json";

/// The store in a home folder: `store/sha256/<hex>`, `packs/<publisher>/<name>/receipt.json`.
pub struct Store {
    blobs: PathBuf,
    packs: PathBuf,
    lock: PathBuf,
    probe: Arc<dyn Probe>,
}

/// What an installation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The receipt that now stands.
    pub receipt: Receipt,
    /// Whether the very same statement was installed already, so that nothing changed.
    pub unchanged: bool,
}

/// How a pack's requests differ from those of the version that is installed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CapabilityDiff {
    /// The version that is installed, if one is.
    pub previous: Option<semver::Version>,
    /// What is asked for anew: consent is needed exactly when this is not empty.
    pub added: Request,
    /// What is asked for no longer.
    pub removed: Request,
}

impl Store {
    /// Opens the store of a home folder, and makes its folders where they are absent.
    ///
    /// # Errors
    /// [`Code::FileIo`].
    pub fn open(home: &Path, probe: Arc<dyn Probe>) -> Result<Self, Refusal> {
        let store = Self {
            blobs: home.join("store").join("sha256"),
            packs: home.join("packs"),
            lock: home.join("locks").join("store.lock"),
            probe,
        };
        for dir in [&store.blobs, &store.packs] {
            disk::create_folder(home, dir)?;
        }
        disk::create_lock(home, &store.lock)?;
        Ok(store)
    }

    /// Installs a verified pack in one transaction. The same statement again is no change, but
    /// repairs damaged bytes.
    ///
    /// # Errors
    /// [`Code::Rollback`], [`Code::Equivocation`], [`Code::StoreDamaged`] if the old receipt is
    /// unreadable, [`Code::FileIo`].
    pub fn install(&self, pack: &VerifiedPack, now: Timestamp) -> Result<Installed, Refusal> {
        let _lock = disk::lock_exclusive(&self.lock)?;
        let id = &pack.statement().id;
        let old = self.read_receipt(id)?;
        if let Some(old) = &old {
            check_sequence(old, pack)?;
        }
        self.probe.reach(BEFORE_BLOBS);
        for (_, bytes) in pack.files().iter() {
            disk::write_blob(&self.blobs, &Digest::of(bytes), bytes)?;
            self.probe.reach(AFTER_BLOB);
        }
        if let Some(old) = old
            && old.installed
            && old.statement == pack.statement_digest()
        {
            return Ok(Installed { receipt: old, unchanged: true });
        }
        let receipt = Receipt::of(pack, now);
        self.commit(&receipt)?;
        Ok(Installed { receipt, unchanged: false })
    }

    /// Uninstalls a pack, and returns what was installed. Its sequence stays on record, so that
    /// an older statement is refused later too.
    ///
    /// # Errors
    /// [`Code::PackUnknown`], [`Code::StoreDamaged`], [`Code::FileIo`].
    pub fn uninstall(&self, id: &PackId) -> Result<Receipt, Refusal> {
        let _lock = disk::lock_exclusive(&self.lock)?;
        let receipt = self.installed_receipt(id)?;
        self.commit(&Receipt { installed: false, ..receipt.clone() })?;
        Ok(receipt)
    }

    /// Loads an installed pack. Bytes, signature, trust, component and manifest are checked as if
    /// it were installed now.
    ///
    /// # Errors
    /// [`Code::PackUnknown`]; [`Code::StoreDamaged`] if bytes are not those that were installed;
    /// whatever [`verify`] finds, e.g. that the publisher is not trusted any more.
    pub fn load(&self, id: &PackId, trust: &TrustStore) -> Result<VerifiedPack, Refusal> {
        let (receipt, files) = {
            let _lock = disk::lock_shared(&self.lock)?;
            let receipt = self.installed_receipt(id)?;
            let files = self.read_files(&receipt)?;
            (receipt, files)
        };
        let pack = verify(files, trust)?;
        if pack.statement_digest() != receipt.statement || pack.statement().id != *id {
            return Err(damaged(id, "its receipt is of another statement"));
        }
        Ok(pack)
    }

    /// The receipt of an installed pack.
    ///
    /// # Errors
    /// [`Code::StoreDamaged`], [`Code::FileIo`].
    pub fn receipt(&self, id: &PackId) -> Result<Option<Receipt>, Refusal> {
        Ok(self.read_receipt(id)?.filter(|receipt| receipt.installed))
    }

    /// The receipts of the installed packs, by name.
    ///
    /// # Errors
    /// [`Code::StoreDamaged`], [`Code::FileIo`].
    pub fn list(&self) -> Result<Vec<Receipt>, Refusal> {
        Ok(self.receipts()?.into_values().filter(|receipt| receipt.installed).collect())
    }

    /// The installed packs by name, each with its receipt or with why that cannot be read.
    ///
    /// # Errors
    /// [`Code::FileIo`].
    pub fn list_each(&self) -> Result<BTreeMap<PackId, Result<Receipt, Refusal>>, Refusal> {
        let mut each = self.each_receipt()?;
        each.retain(|_, receipt| receipt.as_ref().map_or(true, |receipt| receipt.installed));
        Ok(each)
    }

    /// The highest statement of a pack that was ever installed: its sequence and digest.
    ///
    /// # Errors
    /// [`Code::StoreDamaged`], [`Code::FileIo`].
    pub fn floor(&self, id: &PackId) -> Result<Option<(u32, Digest)>, Refusal> {
        Ok(self.read_receipt(id)?.map(|receipt| (receipt.sequence, receipt.statement)))
    }

    /// How a pack's requests differ from what is installed.
    ///
    /// # Errors
    /// [`Code::StoreDamaged`], [`Code::FileIo`].
    pub fn capability_diff(&self, pack: &VerifiedPack) -> Result<CapabilityDiff, Refusal> {
        let new = &pack.manifest().request;
        Ok(match self.receipt(&pack.statement().id)? {
            None => CapabilityDiff { previous: None, added: new.clone(), removed: Request::new() },
            Some(old) => CapabilityDiff {
                added: new.beyond(&old.request),
                removed: old.request.beyond(new),
                previous: Some(old.version),
            },
        })
    }

    fn installed_receipt(&self, id: &PackId) -> Result<Receipt, Refusal> {
        let unknown = || Refusal::new(Code::PackUnknown, format!("the pack `{id}` is not installed"));
        self.receipt(id)?.ok_or_else(|| unknown().hint("capstan pack list"))
    }

    fn folder(&self, id: &PackId) -> PathBuf {
        self.packs.join(id.publisher.as_str()).join(id.name.as_str())
    }

    fn read_receipt(&self, id: &PackId) -> Result<Option<Receipt>, Refusal> {
        let bytes = match disk::read(&self.folder(id).join(RECEIPT), receipt::RECEIPT_BYTES_MAX)? {
            disk::Found::Bytes(bytes) => bytes,
            disk::Found::Absent => return Ok(None),
            // Not the same as absent: the sequence that it holds would be forgotten.
            disk::Found::TooLarge => return Err(damaged(id, "its receipt is too large")),
        };
        let receipt = Receipt::parse(&bytes).map_err(|why| damaged(id, &why))?;
        if receipt.pack == *id {
            Ok(Some(receipt))
        } else {
            Err(damaged(id, "its receipt is of another pack"))
        }
    }

    fn read_files(&self, receipt: &Receipt) -> Result<PackFiles, Refusal> {
        let mut files = BTreeMap::new();
        for (name, digest) in &receipt.files {
            let lost = || damaged(&receipt.pack, &format!("`{name}` is not what was installed"));
            let bytes_max = allowed_size(name).map_err(|_| lost())?;
            match disk::read(&self.blobs.join(digest.hex()), bytes_max)? {
                disk::Found::Bytes(bytes) if Digest::of(&bytes) == *digest => {
                    files.insert(name.clone(), bytes)
                }
                _ => return Err(lost()),
            };
        }
        PackFiles::from_map(files)
    }

    /// Makes `receipt` the one that stands: the transaction's only visible step.
    fn commit(&self, receipt: &Receipt) -> Result<(), Refusal> {
        let folder = self.folder(&receipt.pack);
        disk::create_folder(&self.packs, &folder)?;
        self.probe.reach(BEFORE_RECEIPT);
        disk::replace(&folder, RECEIPT, &receipt.to_bytes())?;
        self.probe.reach(AFTER_RECEIPT);
        self.sweep();
        self.probe.reach(AFTER_SWEEP);
        Ok(())
    }

    /// Removes bytes that no installed pack names: of replaced packs and of installations that
    /// were cut off. What cannot be removed now is removed next time; if any receipt is
    /// unreadable, nothing is, because it may name everything.
    fn sweep(&self) {
        if let Ok(receipts) = self.receipts() {
            let installed = receipts.values().filter(|receipt| receipt.installed);
            let named: BTreeSet<_> =
                installed.flat_map(|receipt| receipt.files.values().map(Digest::hex)).collect();
            disk::remove_others(&self.blobs, &named);
        }
    }

    fn receipts(&self) -> Result<BTreeMap<PackId, Receipt>, Refusal> {
        self.each_receipt()?.into_iter().map(|(id, receipt)| Ok((id, receipt?))).collect()
    }

    fn each_receipt(&self) -> Result<BTreeMap<PackId, Result<Receipt, Refusal>>, Refusal> {
        let mut receipts = BTreeMap::new();
        for publisher in disk::folders(&self.packs)? {
            let Ok(publisher) = publisher.parse::<Label>() else { continue };
            for name in disk::folders(&self.packs.join(publisher.as_str()))? {
                let Ok(name) = name.parse::<Label>() else { continue };
                let id = PackId { publisher: publisher.clone(), name };
                if let Some(receipt) = self.read_receipt(&id).transpose() {
                    receipts.insert(id, receipt);
                }
            }
        }
        Ok(receipts)
    }
}

/// Never back, and never sideways: one sequence number is one statement.
fn check_sequence(old: &Receipt, pack: &VerifiedPack) -> Result<(), Refusal> {
    let (id, new) = (&old.pack, pack.statement().sequence);
    if new < old.sequence {
        let message = format!(
            "statement {new} of `{id}` is older than statement {}, which was installed",
            old.sequence
        );
        return Err(Refusal::new(Code::Rollback, message));
    }
    if new == old.sequence && pack.statement_digest() != old.statement {
        let message = format!(
            "two different statements of `{id}` have sequence {new}: {} was installed, this is {}",
            old.statement,
            pack.statement_digest()
        );
        return Err(Refusal::new(Code::Equivocation, message)
            .hint("do not install it: its publisher's key signed two packs as one, or is in other hands"));
    }
    Ok(())
}

fn damaged(id: &PackId, why: &str) -> Refusal {
    Refusal::new(Code::StoreDamaged, format!("the installed pack `{id}` is damaged: {why}"))
        .hint("install the pack again from its folder")
}

#[cfg(test)]
mod tests;
