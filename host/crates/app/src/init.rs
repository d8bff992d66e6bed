//! `init`: the home folder, the approver key, and what is written down about both.

use pack::{Role, TrustedKey};

use crate::app::App;
use crate::keys::{self, APPROVER, KeyRole};
use crate::view::{InitView, KeyView};
use crate::{Error, config, trust};

impl App {
    /// Makes what is missing of the home folder; changes nothing in it that is there. A folder that
    /// others can reach is closed to them.
    ///
    /// # Errors
    /// If the folder cannot be written, or belongs to another user.
    pub fn init(&self, passphrase: Option<&str>) -> Result<InitView, Error> {
        let created = !self.home.is_initialised();
        self.home.close()?;
        self.home.create()?;
        let key = match keys::record(&self.home, APPROVER) {
            Ok(key) => key,
            Err(_) => keys::create(&self.home, APPROVER, KeyRole::Approver, passphrase)?,
        };
        {
            let _lock = self.home.lock()?;
            let mut store = trust::load(&self.home)?;
            if !store.approver_keys().contains(&key.public) {
                store.add(TrustedKey {
                    role: Role::Approver,
                    key: key.public.clone(),
                    added: self.clock.now(),
                })?;
                trust::save(&self.home, &store)?;
            }
            if created {
                // Last, because it is what says that the home is complete.
                self.home.write(config::FILE, config::NEW.as_bytes())?;
            }
        }
        Ok(InitView {
            home: self.home.path().display().to_string(),
            created,
            approver: key.public.fingerprint().to_string(),
            unattended: !key.protected,
            mode: "solo",
        })
    }

    /// Makes a signing key.
    ///
    /// # Errors
    /// If the name is taken or is none.
    pub fn key_new(&self, name: &str, role: KeyRole, passphrase: Option<&str>) -> Result<KeyView, Error> {
        Ok(keys::create(&self.home, name, role, passphrase)?.view())
    }

    /// The signing keys, by name.
    ///
    /// # Errors
    /// If a key file is damaged.
    pub fn key_list(&self) -> Result<Vec<KeyView>, Error> {
        Ok(keys::list(&self.home)?.iter().map(keys::KeyRecord::view).collect())
    }

    /// Whether the approver key asks for a passphrase.
    ///
    /// # Errors
    /// If there is no approver key yet.
    pub fn approver_is_protected(&self) -> Result<bool, Error> {
        Ok(self.approver()?.protected)
    }

    pub(crate) fn approver(&self) -> Result<keys::KeyRecord, Error> {
        keys::record(&self.home, APPROVER)
            .map_err(|_| Error::usage("there is no approver key in this home", &["capstan init"]))
    }
}
