//! Packs: build, sign, check, install, list.

use std::collections::BTreeMap;
use std::path::Path;

use authority::Grant;
use base::{Code, Digest, Effect, Label, PackId, Refusal};
use pack::{Fingerprint, PackFiles, Role, TrustedKey};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::consent::Consent;
use crate::time::rfc3339;
use crate::view::{BuildView, InstallView, PackView, Problem, SignView};
use crate::{Error, build, grants, keys, trust};

/// The last statement that was signed here, for each pack.
const SIGNED: &str = "keys/signed.json";

/// What `pack install` may decide beside the pack.
#[derive(Debug, Clone, Default)]
pub struct InstallOptions {
    /// The fingerprint of the signer, if it is to be trusted from now on.
    pub trust: Option<String>,
    /// Grants, as `grant add` takes them.
    pub grants: Vec<String>,
}

/// One line of the record of signed statements.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    sequence: u32,
    statement: Digest,
}

/// Parses what the user gave as a pack's name.
pub(crate) fn parse_id(text: &str) -> Result<PackId, Error> {
    text.parse()
        .map_err(|error: base::ParseNameError| Error::usage(error.to_string(), &["capstan pack list"]))
}

impl App {
    /// Writes a pack folder from a pack's sources: from the crate among them, or from a `component`
    /// that other tools made of them.
    ///
    /// # Errors
    /// If the sources do not compile, or the component is not what the manifest and the WIT say.
    pub fn pack_build(&self, folder: &Path, component: Option<&Path>) -> Result<BuildView, Error> {
        let source = component.map_or(self.crate_source(), build::Source::Component);
        let dist = build::build(folder, source)?;
        let files = PackFiles::read(&dist)?;
        let (manifest, inspection) = pack::validate(&files)?;
        Ok(BuildView {
            pack: manifest.id,
            version: manifest.version.to_string(),
            folder: dist.display().to_string(),
            component_bytes: files.get(pack::COMPONENT).map_or(0, |bytes| bytes.len() as u64),
            imports: inspection.imports.into_iter().map(|import| import.name).collect(),
            operations: inspection.operations.into_keys().collect(),
        })
    }

    /// Sources that are a crate.
    pub(crate) fn crate_source(&self) -> build::Source<'_> {
        build::Source::Crate { cargo_args: &self.guest_cargo_args }
    }

    /// The command that signs the pack in `folder`, with the home's only pack key where there is
    /// just one.
    #[must_use]
    pub fn sign_command(&self, folder: &Path) -> String {
        let key = keys::pack_key(&self.home, None).map_or_else(|_| "<name>".to_owned(), |key| key.name);
        format!("capstan pack sign {} --key {key}", folder.display())
    }

    /// Signs a built pack.
    ///
    /// # Errors
    /// If it does not validate, or the key is not there.
    pub fn pack_sign(&self, folder: &Path, key: Option<&str>) -> Result<SignView, Error> {
        let folder = build::pack_folder(folder)?;
        let record = keys::pack_key(&self.home, key)?;
        let key = keys::load(&self.home, &record, None)?;
        let files = PackFiles::read(&folder)?;
        let _lock = self.home.lock()?;
        let mut signed = self.signed()?;
        let (manifest, _) = pack::validate(&files)?;
        let name = manifest.id.to_string();
        let previous = signed.get(&name).map(|last| (last.sequence, last.statement));
        let files = pack::sign(files, &key, previous)?;
        // The folder may have changed while its bytes were hashed: what is on disk must be what
        // the statement says.
        if PackFiles::read(&folder)?.signed().ne(files.signed()) {
            let message = format!("`{}` changed while it was signed", folder.display());
            return Err(Error::refused(Code::FileDigest, message));
        }
        let publisher_trust = only(&record, &manifest.id)?;
        let verified = pack::verify(files, &publisher_trust)?;
        let (sequence, statement) = (verified.statement().sequence, verified.statement_digest());
        signed.insert(name, Signed { sequence, statement });
        let text = serde_json::to_string_pretty(&signed).map_err(|error| Error::Bug(error.to_string()))?;
        self.home.write(SIGNED, text.as_bytes())?;
        build::write_envelope(&folder, verified.files().get(pack::ENVELOPE).unwrap_or_default())?;
        Ok(SignView {
            pack: manifest.id,
            version: manifest.version.to_string(),
            sequence: u64::from(sequence),
            statement,
            fingerprint: record.public.fingerprint().to_string(),
            folder: folder.display().to_string(),
        })
    }

    /// Signs a pack without holding its manifest against its component: `folder` is a pack folder,
    /// or sources that are built first. With `says`, the statement tells what the pack in that
    /// folder is, over the files of this one.
    ///
    /// # Errors
    /// If the sources do not compile, or a part that the statement describes does not parse.
    pub fn pack_sign_unchecked(
        &self,
        folder: &Path,
        says: Option<&Path>,
        key: Option<&str>,
        sequence: u32,
    ) -> Result<SignView, Error> {
        let is_pack = build::is_pack_folder(folder);
        let folder = if is_pack { folder.to_owned() } else { build::build(folder, self.crate_source())? };
        let record = keys::pack_key(&self.home, key)?;
        let key = keys::load(&self.home, &record, None)?;
        let files = PackFiles::read(&folder)?;
        let described = PackFiles::read(says.unwrap_or(&folder))?;
        let manifest = pack::Manifest::parse(described.manifest_text()?).map_err(Refusal::from)?;
        let inspection = pack::Inspection::of(described.require(pack::COMPONENT)?)?;
        let statement = pack::Statement::describe(&files, &manifest, &inspection, sequence, None);
        let payload = statement.to_bytes();
        let digest = Digest::of(&payload);
        let envelope = pack::Envelope::sign(pack::PAYLOAD_TYPE, payload, &[&key])?;
        build::write_envelope(&folder, &envelope.to_bytes())?;
        Ok(SignView {
            pack: manifest.id,
            version: manifest.version.to_string(),
            sequence: u64::from(sequence),
            statement: digest,
            fingerprint: record.public.fingerprint().to_string(),
            folder: folder.display().to_string(),
        })
    }

    fn signed(&self) -> Result<BTreeMap<String, Signed>, Error> {
        let text = self.home.read_text(SIGNED)?;
        if text.is_empty() {
            return Ok(BTreeMap::new());
        }
        serde_json::from_str(&text)
            .map_err(|error| Error::usage(format!("`{SIGNED}` in the home is damaged: {error}"), &[]))
    }

    /// Verifies a pack and installs it, with the trust and the grants that the operator decided.
    /// Either all of it happens or none.
    ///
    /// # Errors
    /// The first thing that is wrong with the pack, or a grant that it does not request.
    pub fn pack_install(&self, folder: &Path, options: &InstallOptions) -> Result<InstallView, Error> {
        self.require_home()?;
        let files = PackFiles::read(&build::pack_folder(folder)?)?;
        files.require(pack::ENVELOPE).map_err(|refusal| refusal.hint(self.sign_command(folder)))?;
        let introduced = match &options.trust {
            Some(text) => {
                let (publisher, key) = pack::introduce(&files, &text.parse::<Fingerprint>()?)?;
                Some(TrustedKey { role: Role::Pack { publisher }, key, added: self.clock.now() })
            }
            None => None,
        };
        let (trust, _) = self.trust_with(introduced.as_ref())?;
        let signers = signers(&files, &trust);
        let pack = pack::verify(files, &trust).map_err(|refusal| trust_hint(refusal, folder, &signers))?;
        let id = pack.manifest().id.clone();
        let audit = format!("capstan pack audit {}", folder.display());
        let (consent, signer) = (self.consent()?, authority::Signer::of_fingerprint(&pack.signer()));
        let parse = |text: &String| {
            let grant = grants::parse(&id, text, &pack.manifest().request, &audit)?;
            grant.check_ceiling(&consent.ceiling).map_err(Refusal::from)?;
            Ok(grant.to_signer(signer.clone()))
        };
        let new_grants = options.grants.iter().map(parse).collect::<Result<Vec<Grant>, Error>>()?;
        // Compiled now, so that the first call finds it in the cache, and a component that does
        // not compile is refused before anything is written.
        drop(self.program(&pack)?);
        let store = self.store()?;
        let lock = self.home.lock()?;
        let (trust, trusted_now) = self.trust_with(introduced.as_ref())?;
        let diff = store.capability_diff(&pack)?;
        let installed = store.install(&pack, self.clock.now())?;
        // The pack is in the store and can do nothing yet: without trust it does not load, and
        // without grants it reaches nothing. Both are written after it.
        if trusted_now {
            trust::save(&self.home, &trust)?;
        }
        drop(lock);
        let all = self.edit_grants(|grants| {
            for grant in &new_grants {
                grants.add(grant.clone());
            }
            Ok(grants.clone())
        })?;
        let authority = Consent { grants: all, ..consent }.authority(&pack, Effect::Destructive);
        Ok(InstallView {
            version: pack.manifest().version.to_string(),
            replaced: diff.previous.filter(|_| !installed.unchanged).map(|version| version.to_string()),
            statement: pack.statement_digest(),
            signer: pack.signer().to_string(),
            trusted_now,
            unchanged: installed.unchanged,
            requests_added: diff.added.iter().map(|(capability, _)| capability.to_string()).collect(),
            requests_removed: diff.removed.iter().map(|(capability, _)| capability.to_string()).collect(),
            unused_requests: pack.unused_requests().iter().map(ToString::to_string).collect(),
            granted: grants::in_force(&authority),
            not_granted: authority.missing().into_iter().map(|missing| missing.grant).collect(),
            lapsed: grants::lapsed(&authority),
            pack: id,
        })
    }

    /// The trust store as it is, with one more key if there is one, and whether that is new.
    fn trust_with(&self, introduced: Option<&TrustedKey>) -> Result<(pack::TrustStore, bool), Error> {
        let mut trust = trust::load(&self.home)?;
        let before = trust.entries().len();
        if let Some(entry) = introduced {
            trust.add(entry.clone())?;
        }
        let is_new = trust.entries().len() > before;
        Ok((trust, is_new))
    }

    /// Uninstalls a pack and takes its grants back.
    ///
    /// # Errors
    /// If it is not installed.
    pub fn pack_uninstall(&self, pack: &str) -> Result<PackView, Error> {
        let id = parse_id(pack)?;
        let receipt = self.store()?.uninstall(&id)?;
        self.edit_grants(|grants| {
            for grant in grants.of_pack(&id) {
                grants.remove(&Grant { scopes: Vec::new(), ..grant });
            }
            Ok(())
        })?;
        Ok(pack_view(&receipt))
    }

    /// The installed packs, by name, each as it verifies now.
    ///
    /// # Errors
    /// If the store or the trusted keys cannot be read. That a pack does not verify is told beside
    /// it.
    pub fn pack_list(&self) -> Result<Vec<ListedPack>, Error> {
        let (store, trust) = (self.store()?, trust::load(&self.home)?);
        let listed = |(id, receipt): (PackId, Result<pack::Receipt, Refusal>)| {
            let loaded = receipt.and_then(|receipt| Ok((store.load(&id, &trust)?, receipt)));
            match loaded {
                Ok((pack, receipt)) => ListedPack::verified(&pack, &receipt),
                Err(refusal) => ListedPack::damaged(id, refusal),
            }
        };
        Ok(store.list_each()?.into_iter().map(listed).collect())
    }
}

/// An installed pack in a list. What a receipt says of one that does not verify is not repeated:
/// nobody vouches for it.
#[derive(Debug, Serialize)]
pub struct ListedPack {
    /// The pack.
    pub pack: PackId,
    /// Its version, if it verifies.
    pub version: Option<String>,
    /// The digest of the signed statement, if it verifies.
    pub statement: Option<Digest>,
    /// The signer's fingerprint, if it verifies.
    pub signer: Option<String>,
    /// When it was installed, RFC 3339; a date for the record, which nobody signed.
    pub installed: Option<String>,
    /// Why it does not verify.
    pub problem: Option<Problem>,
}

impl ListedPack {
    fn verified(pack: &pack::VerifiedPack, receipt: &pack::Receipt) -> Self {
        Self {
            pack: pack.manifest().id.clone(),
            version: Some(pack.manifest().version.to_string()),
            statement: Some(pack.statement_digest()),
            signer: Some(pack.signer().to_string()),
            installed: Some(rfc3339(receipt.installed_at)),
            problem: None,
        }
    }

    fn damaged(pack: PackId, refusal: Refusal) -> Self {
        let problem = Problem { code: refusal.code.to_string(), message: refusal.message };
        Self { pack, version: None, statement: None, signer: None, installed: None, problem: Some(problem) }
    }
}

fn pack_view(receipt: &pack::Receipt) -> PackView {
    PackView {
        pack: receipt.pack.clone(),
        version: receipt.version.to_string(),
        statement: receipt.statement,
        signer: receipt.signer.to_string(),
        installed: rfc3339(receipt.installed_at),
    }
}

/// A trust store that trusts just the key that is about to sign.
fn only(record: &keys::KeyRecord, id: &PackId) -> Result<pack::TrustStore, Error> {
    let mut trust = pack::TrustStore::new();
    let role = Role::Pack { publisher: id.publisher.clone() };
    trust.add(TrustedKey { role, key: record.public.clone(), added: base::Timestamp(0) })?;
    Ok(trust)
}

/// A key that signed a pack that is to be installed.
struct Signer {
    fingerprint: Fingerprint,
    /// Whose packs are trusted with another key already: a publisher has one.
    instead_of: Option<(Label, Fingerprint)>,
}

/// The keys that an envelope brings.
fn signers(files: &PackFiles, trust: &pack::TrustStore) -> Vec<Signer> {
    let envelope = pack::Envelope::parse(files.get(pack::ENVELOPE).unwrap_or_default());
    let fingerprints = envelope.map(|envelope| envelope.fingerprints()).unwrap_or_default();
    let signer = |fingerprint: Fingerprint| {
        let publisher = pack::introduce(files, &fingerprint).ok().map(|(publisher, _)| publisher);
        let instead_of = publisher.and_then(|publisher| {
            let trusted = trust.pack_key(&publisher)?.fingerprint();
            Some((publisher, trusted))
        });
        Signer { fingerprint, instead_of }
    };
    fingerprints.into_iter().map(signer).collect()
}

/// An untrusted pack says who signed it and what to type if that is who the operator expects.
fn trust_hint(refusal: Refusal, folder: &Path, signers: &[Signer]) -> Refusal {
    if refusal.code != Code::SigUntrusted {
        return refusal;
    }
    let bare = Refusal { hints: Vec::new(), ..refusal };
    signers.iter().fold(bare, |mut refusal, Signer { fingerprint, instead_of }| {
        let install = format!("capstan pack install {} --trust {fingerprint}", folder.display());
        let Some((publisher, trusted)) = instead_of else {
            return refusal
                .hint(format!("if `{fingerprint}` is the publisher's key, as they told you by another way:"))
                .hint(install);
        };
        refusal.message += &format!("; packs of `{publisher}` are trusted with another key, `{trusted}`");
        refusal
            .hint(format!("only if `{fingerprint}` replaces it, as they told you by another way:"))
            .hint(format!("capstan trust remove {trusted}"))
            .hint(install)
    })
}
