//! Secrets: where their values are kept, and which of them a call may be filled in with.
//!
//! A value is in one of three places: in the environment that the program was started with, where
//! `config.toml` says so; in a file of the home, encrypted to a key of the home (age); or in the
//! system's keychain, for which a file of the home stands. The key is encrypted under the approver's
//! passphrase if there is one; without one whoever can read the home can read the values. A value is
//! read when a call may need it, is never printed, and no guest sees it.

#![expect(clippy::disallowed_methods, reason = "this module owns the folder of the secrets")]

mod keychain;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read as _};
use std::sync::OnceLock;

use age::secrecy::ExposeSecret as _;
use age::x25519::{Identity, Recipient};
use authority::{Authority, SecretName};
use base::{Capability, Code, Refusal};
use engine::SecretValue;
use zeroize::Zeroizing;

use crate::app::App;
use crate::time::rfc3339;
use crate::view::SecretView;
use crate::{Error, Home, config, keys, models};
use keychain::{Keychain, KeychainError};

/// The folder of the values.
const FOLDER: &str = "secrets";
/// How the file of a value ends, and the one that stands for a value in the keychain.
const IN_FILE: &str = ".age";
const IN_KEYCHAIN: &str = ".keychain";
/// What the latter holds.
const STANDS_FOR: &[u8] = b"in the system's keychain\n";
/// The key that they are encrypted to, and its public half. No signing key has such file names.
const IDENTITY: &str = "keys/secrets.identity";
const RECIPIENT: &str = "keys/secrets.recipient";
/// Largest file of a value, in bytes: what encryption adds is far less than this leaves.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Where the values of secrets are that are not in files: a variable for each name.
pub(crate) type Variables = BTreeMap<SecretName, String>;

/// What reads the values: the home's files, the environment, and the key once it was needed and
/// opened. Shared by every call of a process.
pub(crate) struct Secrets {
    home: Home,
    environment: BTreeMap<String, Zeroizing<String>>,
    key: OnceLock<Identity>,
}

/// The variables of the environment that hold secrets, for whoever reads the environment. A home whose
/// settings cannot be read has none: that they cannot is said by what needs them.
#[must_use]
pub fn secret_variables(home: &Home) -> BTreeSet<String> {
    config::load(home).map(|config| config.secrets.into_values().collect()).unwrap_or_default()
}

fn parse(name: &str) -> Result<SecretName, Error> {
    name.parse().map_err(|error: authority::ParseSecretNameError| {
        Error::usage(error.to_string(), &["capstan secret list"])
    })
}

fn file(name: &SecretName) -> String {
    format!("{FOLDER}/{name}{IN_FILE}")
}

fn keychain_file(name: &SecretName) -> String {
    format!("{FOLDER}/{name}{IN_KEYCHAIN}")
}

/// Where a value is that is not in the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    File,
    Keychain,
}

impl App {
    /// Whether setting the first secret makes a key that has to be protected by the approver's
    /// passphrase, so that it has to be asked for.
    ///
    /// # Errors
    /// If there is no approver key yet.
    pub fn secret_key_wants_passphrase(&self) -> Result<bool, Error> {
        Ok(self.secrets.recipient()?.is_none() && self.approver()?.protected)
    }

    /// Keeps the value of a secret, in place of the one that was kept.
    ///
    /// # Errors
    /// If the name is none, the value cannot be sent, the secret is kept elsewhere, or the passphrase
    /// is needed and wrong.
    pub fn secret_set(
        &self,
        name: &str,
        value: Zeroizing<String>,
        passphrase: Option<&str>,
    ) -> Result<SecretView, Error> {
        let name = self.name_for(name, Place::File)?;
        let value = SecretValue::new(value).map_err(|error| Error::usage(error.to_string(), &[]))?;
        let recipient = match self.secrets.recipient()? {
            Some(recipient) => recipient,
            None => self.make_key(passphrase)?,
        };
        let encrypted = age::encrypt(&recipient, value.expose().as_bytes())
            .map_err(|error| Error::Bug(format!("encrypt the secret: {error}")))?;
        self.home.create()?;
        let _lock = self.home.lock()?;
        self.home.write(&file(&name), &encrypted)?;
        self.secrets.view(&name, None)
    }

    /// Keeps the value of a secret in the system's keychain, in place of the one that was there.
    ///
    /// # Errors
    /// If the name is none, the value cannot be sent, the secret is kept elsewhere, or the keychain
    /// does not take it.
    pub fn secret_set_in_keychain(&self, name: &str, value: Zeroizing<String>) -> Result<SecretView, Error> {
        let name = self.name_for(name, Place::Keychain)?;
        let value = SecretValue::new(value).map_err(|error| Error::usage(error.to_string(), &[]))?;
        self.home.create()?;
        let _lock = self.home.lock()?;
        // Cut off in between, the keychain has a value that nothing asks for.
        Keychain::of(&self.home).set(&name, value.expose()).map_err(|error| {
            let elsewhere = format!("keep it in a file: `capstan secret set {name}`");
            Error::Refused(refused(&name, &error).hint(elsewhere))
        })?;
        self.home.write(&keychain_file(&name), STANDS_FOR)?;
        self.secrets.view(&name, None)
    }

    /// Whether the system's keychain can be used.
    pub(crate) fn try_keychain(&self) -> Result<(), String> {
        Keychain::of(&self.home).try_out().map_err(|error| error.to_string())
    }

    /// The name of a secret that may be kept in this place: no other has it.
    fn name_for(&self, name: &str, place: Place) -> Result<SecretName, Error> {
        self.require_home()?;
        let name = parse(name)?;
        if let Some(variable) = config::load(&self.home)?.secrets.get(&name) {
            let message = format!("`config.toml` says that `{name}` is in the environment, as `{variable}`");
            return Err(Error::usage(message, &["set that variable, or take the line out of `[secrets]`"]));
        }
        let other = match self.secrets.place(&name)? {
            Some(Place::File) if place == Place::Keychain => "in a file",
            Some(Place::Keychain) if place == Place::File => "in the system's keychain",
            _ => return Ok(name),
        };
        let hint = format!("capstan secret delete {name}");
        Err(Error::usage(format!("the secret `{name}` is kept {other} already"), &[&hint]))
    }

    /// The secrets, by name: never a value.
    ///
    /// # Errors
    /// If the home cannot be read.
    pub fn secret_list(&self) -> Result<Vec<SecretView>, Error> {
        self.require_home()?;
        let variables = config::load(&self.home)?.secrets;
        let mut names = self.secrets.ending(IN_FILE)?;
        names.extend(self.secrets.ending(IN_KEYCHAIN)?);
        names.extend(variables.keys().cloned());
        names.iter().map(|name| self.secrets.view(name, variables.get(name))).collect()
    }

    /// Forgets the value of a secret.
    ///
    /// # Errors
    /// If none is kept under that name.
    pub fn secret_delete(&self, name: &str) -> Result<SecretView, Error> {
        self.require_home()?;
        let name = parse(name)?;
        let _lock = self.home.lock()?;
        let Some(place) = self.secrets.place(&name)? else {
            let message = format!("no value is kept for a secret `{name}`");
            return Err(Error::usage(message, &["capstan secret list"]));
        };
        let view = self.secrets.view(&name, None)?;
        match place {
            Place::File => self.home.remove(&file(&name))?,
            Place::Keychain => {
                let path = self.home.file(&keychain_file(&name));
                Keychain::of(&self.home).delete(&name).map_err(|error| {
                    let gone = format!("if the keychain has it no more, remove `{}`", path.display());
                    Error::Refused(refused(&name, &error).hint(gone))
                })?;
                self.home.remove(&keychain_file(&name))?;
            }
        }
        Ok(view)
    }

    /// Whether calls of granted secrets wait for the passphrase of their key.
    ///
    /// # Errors
    /// If the home cannot be read.
    pub fn secrets_are_locked(&self) -> Result<bool, Error> {
        if self.secrets.key.get().is_some() || !self.home.is_initialised() {
            return Ok(false);
        }
        let granted = crate::grants::load(&self.home)?;
        let any = granted.iter().any(|grant| grant.capability == Capability::Secrets)
            || !models::granted_keys(&self.home)?.is_empty();
        Ok(any && !self.secrets.ending(IN_FILE)?.is_empty() && self.secrets.key_is_protected()?)
    }

    /// Opens the key of the secrets for the rest of this process.
    ///
    /// # Errors
    /// If the passphrase is wrong.
    pub fn unlock_secrets(&self, passphrase: &str) -> Result<(), Error> {
        let identity = self.secrets.open_key(Some(passphrase))?;
        // Another thread may have been first; its key is the same.
        drop(self.secrets.key.set(identity));
        Ok(())
    }

    /// Makes the key, protected as the approver's is.
    fn make_key(&self, passphrase: Option<&str>) -> Result<Recipient, Error> {
        let _lock = self.home.lock()?;
        // Another process may have made it just now, and encrypted something to it.
        if let Some(recipient) = self.secrets.recipient()? {
            return Ok(recipient);
        }
        let approver = self.approver()?;
        // The same passphrase, or none: two would be one too many to remember.
        drop(keys::load(&self.home, &approver, passphrase)?);
        let identity = Identity::generate();
        let text = identity.to_string();
        let (bytes, kept) = match passphrase.filter(|_| approver.protected) {
            Some(passphrase) => (keys::encrypt(text.expose_secret().as_bytes(), passphrase)?, "passphrase"),
            None => (text.expose_secret().as_bytes().to_vec(), "unattended"),
        };
        self.home.write(IDENTITY, &Zeroizing::new(bytes))?;
        let recipient = identity.to_public();
        self.home.write(RECIPIENT, format!("{recipient} {kept}\n").as_bytes())?;
        Ok(recipient)
    }
}

impl Secrets {
    /// Reads nothing yet. `environment` are the variables that [`secret_variables`] names.
    pub(crate) fn new(home: Home, environment: BTreeMap<String, Zeroizing<String>>) -> Self {
        Self { home, environment, key: OnceLock::new() }
    }

    /// The values that calls with this authority may be filled in with. A secret without a value is
    /// not among them.
    ///
    /// # Errors
    /// If the key is locked, or a file is not what was written.
    pub(crate) fn values(&self, authority: &Authority) -> Result<BTreeMap<SecretName, SecretValue>, Error> {
        let names: BTreeSet<&SecretName> = authority.secrets().map(|scope| scope.name()).collect();
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let variables = config::load(&self.home)?.secrets;
        let mut values = BTreeMap::new();
        for name in names {
            let value = self.value_at(name, &variables)?;
            values.extend(value.map(|value| (name.clone(), value)));
        }
        Ok(values)
    }

    /// The value of one secret, if it has one.
    ///
    /// # Errors
    /// As for [`Secrets::values`].
    pub(crate) fn value(&self, name: &SecretName) -> Result<Option<SecretValue>, Error> {
        self.value_at(name, &config::load(&self.home)?.secrets)
    }

    fn value_at(&self, name: &SecretName, variables: &Variables) -> Result<Option<SecretValue>, Error> {
        match variables.get(name) {
            Some(variable) => self.environment_value(name, variable),
            None => match self.place(name)? {
                Some(Place::File) => self.kept_value(name).map(Some),
                Some(Place::Keychain) => self.keychain_value(name).map(Some),
                None => Ok(None),
            },
        }
    }

    fn environment_value(&self, name: &SecretName, variable: &str) -> Result<Option<SecretValue>, Error> {
        let Some(text) = self.environment.get(variable) else { return Ok(None) };
        SecretValue::new(text.clone()).map(Some).map_err(|error| {
            Error::refused(Code::SecretDamaged, format!("the secret `{name}` in `{variable}`: {error}"))
        })
    }

    fn keychain_value(&self, name: &SecretName) -> Result<SecretValue, Error> {
        let text = Keychain::of(&self.home).get(name).map_err(|error| refused(name, &error))?;
        SecretValue::new(text).map_err(|error| {
            let message = format!("the secret `{name}` in the system's keychain cannot be sent: {error}");
            Error::refused(Code::SecretDamaged, message)
        })
    }

    fn kept_value(&self, name: &SecretName) -> Result<SecretValue, Error> {
        let path = self.home.file(&file(name));
        let damaged = |why: &str| Error::refused(Code::SecretDamaged, format!("the secret `{name}` {why}"));
        let bytes = crate::home::read_file(&path, FILE_BYTES_MAX)?;
        let identity = match self.key.get() {
            Some(identity) => identity,
            None => {
                let identity = self.open_key(None)?;
                self.key.get_or_init(|| identity)
            }
        };
        let text = decrypt(identity, &bytes).ok_or_else(|| damaged("is not encrypted to this home's key"))?;
        SecretValue::new(text).map_err(|error| damaged(&format!("cannot be sent: {error}")))
    }

    /// Where the value of a secret is kept, if it is.
    ///
    /// # Errors
    /// If it is in two places: nothing says which of them is meant.
    fn place(&self, name: &SecretName) -> Result<Option<Place>, Error> {
        let (in_file, in_keychain) = (self.home.file(&file(name)), self.home.file(&keychain_file(name)));
        match (in_file.exists(), in_keychain.exists()) {
            (false, false) => Ok(None),
            (true, false) => Ok(Some(Place::File)),
            (false, true) => Ok(Some(Place::Keychain)),
            (true, true) => {
                let message = format!("the secret `{name}` is kept in a file and in the system's keychain");
                let refusal = Refusal::new(Code::SecretDamaged, message);
                let either = format!("remove `{}` or `{}`", in_file.display(), in_keychain.display());
                Err(refusal.hint(either).into())
            }
        }
    }

    /// The names of the files that end so. A file of another name is none.
    fn ending(&self, end: &str) -> Result<BTreeSet<SecretName>, Error> {
        let folder = self.home.file(FOLDER);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(error) => return Err(Error::io("list", &folder)(error)),
        };
        let name = |entry: std::fs::DirEntry| entry.file_name().to_str()?.strip_suffix(end)?.parse().ok();
        Ok(entries.flatten().filter_map(name).collect())
    }

    fn view(&self, name: &SecretName, variable: Option<&String>) -> Result<SecretView, Error> {
        let (backend, is_set, set) = match variable {
            Some(variable) => ("env", self.environment.contains_key(variable), None),
            None => {
                let (backend, file) = match self.place(name)? {
                    Some(Place::Keychain) => ("keychain", keychain_file(name)),
                    _ => ("file", file(name)),
                };
                let path = self.home.file(&file);
                let modified = std::fs::metadata(&path).and_then(|meta| meta.modified());
                let modified = modified.map_err(Error::io("look at", &path))?;
                (backend, true, crate::system::timestamp(modified).map(rfc3339))
            }
        };
        let variable = variable.cloned();
        Ok(SecretView { name: name.to_string(), backend, variable, is_set, set })
    }

    fn recipient(&self) -> Result<Option<Recipient>, Error> {
        let text = self.home.read_text(RECIPIENT)?;
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            [] => Ok(None),
            [recipient, "passphrase" | "unattended"] => {
                recipient.parse().map(Some).map_err(|_| damaged_key())
            }
            _ => Err(damaged_key()),
        }
    }

    fn key_is_protected(&self) -> Result<bool, Error> {
        Ok(self.home.read_text(RECIPIENT)?.split_whitespace().nth(1) == Some("passphrase"))
    }

    fn open_key(&self, passphrase: Option<&str>) -> Result<Identity, Error> {
        let path = self.home.file(IDENTITY);
        let bytes = Zeroizing::new(crate::home::read_file(&path, FILE_BYTES_MAX)?);
        let text = match (self.key_is_protected()?, passphrase) {
            (false, _) => bytes,
            (true, Some(passphrase)) => keys::decrypt(&bytes, passphrase)?,
            (true, None) => {
                let message = "the secrets' key has a passphrase, and nobody can be asked for it here";
                let refusal = Refusal::new(Code::SecretLocked, message);
                return Err(refusal.hint("run it on a terminal").into());
            }
        };
        let text = std::str::from_utf8(&text).map_err(|_| damaged_key())?;
        let identity: Identity = text.trim().parse().map_err(|_| damaged_key())?;
        let recipient = self.recipient()?.ok_or_else(damaged_key)?;
        if identity.to_public().to_string() == recipient.to_string() {
            Ok(identity)
        } else {
            Err(damaged_key())
        }
    }
}

/// That the keychain does not do its part, and what can be done.
fn refused(name: &SecretName, error: &KeychainError) -> Refusal {
    let refusal = Refusal::new(Code::KeychainUnavailable, format!("the secret `{name}`: {error}"));
    match error {
        KeychainError::NoTool => refusal.hint("install it: Debian has it as `libsecret-tools`"),
        KeychainError::Nothing | KeychainError::Silent => refusal.hint("unlock the keychain, and try again"),
        KeychainError::Unavailable(_) => {
            refusal.hint("run it in a session of a desktop, whose keychain is open")
        }
    }
}

fn damaged_key() -> Error {
    Error::refused(Code::SecretDamaged, "the files of the secrets' key do not belong together")
}

fn decrypt(identity: &Identity, bytes: &[u8]) -> Option<Zeroizing<String>> {
    let decryptor = age::Decryptor::new(bytes).ok()?;
    let mut reader = decryptor.decrypt(std::iter::once(identity as &dyn age::Identity)).ok()?;
    // Its whole size at once: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len()));
    reader.read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests;
