//! Whose packs may be installed: `trust.toml`.

use std::path::Path;

use base::Label;
use pack::{Fingerprint, PublicKey};
use pack::{Role, TrustStore, TrustedKey};

use crate::app::App;
use crate::time::rfc3339;
use crate::view::TrustView;
use crate::{Error, Home};

const FILE: &str = "trust.toml";
/// Longest public key file, in bytes.
const KEY_FILE_BYTES_MAX: u64 = 4 << 10;

pub(crate) fn load(home: &Home) -> Result<TrustStore, Error> {
    Ok(TrustStore::parse(&home.read_text(FILE)?)?)
}

pub(crate) fn save(home: &Home, trust: &TrustStore) -> Result<(), Error> {
    home.write(FILE, trust.to_toml().as_bytes())
}

impl App {
    /// Trusts a publisher's key: `ed25519:<base64>`, or a file that starts with it.
    ///
    /// # Errors
    /// If the key is malformed or inadmissible, or the publisher has another one.
    pub fn trust_add(&self, publisher: &str, key: &str) -> Result<TrustView, Error> {
        let publisher: Label =
            publisher.parse().map_err(|error: base::ParseNameError| Error::usage(error.to_string(), &[]))?;
        let text = if key.starts_with("ed25519:") {
            key.to_owned()
        } else {
            String::from_utf8_lossy(&crate::home::read_file(Path::new(key), KEY_FILE_BYTES_MAX)?).into_owned()
        };
        let key: PublicKey = text.split_whitespace().next().unwrap_or_default().parse()?;
        let entry = TrustedKey { role: Role::Pack { publisher }, key, added: self.clock.now() };
        self.edit_trust(|trust| {
            trust.add(entry.clone())?;
            Ok(view(&entry))
        })
    }

    /// The trusted keys, in the order they were added.
    ///
    /// # Errors
    /// If `trust.toml` is malformed.
    pub fn trust_list(&self) -> Result<Vec<TrustView>, Error> {
        Ok(load(&self.home)?.entries().iter().map(view).collect())
    }

    /// Stops trusting the key with this fingerprint, or of this publisher.
    ///
    /// # Errors
    /// If there is none.
    pub fn trust_remove(&self, publisher_or_fingerprint: &str) -> Result<TrustView, Error> {
        self.edit_trust(|trust| {
            let by_publisher = publisher_or_fingerprint.parse::<Label>().ok();
            let by_publisher =
                by_publisher.and_then(|publisher| trust.pack_key(&publisher).map(PublicKey::fingerprint));
            let fingerprint = by_publisher.or_else(|| publisher_or_fingerprint.parse::<Fingerprint>().ok());
            let removed =
                fingerprint.and_then(|fingerprint| trust.remove(&fingerprint)).ok_or_else(|| {
                    Error::usage(
                        format!("no trusted key is `{publisher_or_fingerprint}`"),
                        &["capstan trust list"],
                    )
                })?;
            Ok(view(&removed))
        })
    }

    fn edit_trust<T>(&self, edit: impl FnOnce(&mut TrustStore) -> Result<T, Error>) -> Result<T, Error> {
        self.home.create()?;
        let _lock = self.home.lock()?;
        let mut trust = load(&self.home)?;
        let result = edit(&mut trust)?;
        save(&self.home, &trust)?;
        Ok(result)
    }
}

fn view(entry: &TrustedKey) -> TrustView {
    let (role, publisher) = match &entry.role {
        Role::Pack { publisher } => ("pack", publisher.to_string()),
        Role::Approver => ("approver", "you".to_owned()),
    };
    TrustView {
        publisher,
        role: role.to_owned(),
        fingerprint: entry.key.fingerprint().to_string(),
        public_key: entry.key.to_string(),
        added: rfc3339(entry.added),
    }
}
