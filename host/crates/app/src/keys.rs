//! Signing keys: files in `keys/`, and what protects them.
//!
//! A pack key is stored as it is, readable by its owner only: it signs in scripts. An approver
//! key is encrypted under a passphrase (age, scrypt) unless the operator chose none, in which
//! case every approval that it signs is marked `unattended`.

#![expect(clippy::disallowed_methods, reason = "this module lists the key files of the home")]

use std::io::{Read as _, Write as _};

use age::secrecy::SecretString;
use base::Code;
use pack::{PublicKey, SigningKey};
use zeroize::Zeroizing;

use crate::home::Home;
use crate::view::KeyView;
use crate::{Error, system};

/// The name of the approver key that `init` makes.
pub(crate) const APPROVER: &str = "approver";

/// What a key signs. One key has one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRole {
    /// Packs.
    Pack,
    /// Approvals.
    Approver,
}

impl KeyRole {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pack => "pack",
            Self::Approver => "approver",
        }
    }
}

/// The public half of a stored key and how the secret half is kept.
#[derive(Debug)]
pub(crate) struct KeyRecord {
    pub(crate) name: String,
    pub(crate) role: KeyRole,
    pub(crate) public: PublicKey,
    pub(crate) protected: bool,
}

impl KeyRecord {
    pub(crate) fn view(&self) -> KeyView {
        KeyView {
            name: self.name.clone(),
            role: self.role.as_str().to_owned(),
            fingerprint: self.public.fingerprint().to_string(),
            public_key: self.public.to_string(),
            protected: self.protected,
        }
    }
}

/// Makes a key and stores it under a name that is free.
pub(crate) fn create(
    home: &Home,
    name: &str,
    role: KeyRole,
    passphrase: Option<&str>,
) -> Result<KeyRecord, Error> {
    check_name(name)?;
    if name == APPROVER && role != KeyRole::Approver {
        let message = format!("`{APPROVER}` is the name of the key that signs approvals: choose another");
        return Err(Error::usage(message, &["capstan key list"]));
    }
    home.create()?;
    let _lock = home.lock()?;
    if home.file(&public_name(name)).exists() {
        return Err(Error::usage(format!("there is a key `{name}` already"), &["capstan key list"]));
    }
    let seed = Zeroizing::new(system::random::<32>()?);
    let key = SigningKey::from_seed(&seed);
    let public = key.public()?;
    let text = key.to_text();
    let secret = match passphrase {
        Some(passphrase) => encrypt(text.as_bytes(), passphrase)?,
        None => text.as_bytes().to_vec(),
    };
    let protected = passphrase.is_some();
    home.write(&format!("keys/{name}.key"), &Zeroizing::new(secret))?;
    let record = KeyRecord { name: name.to_owned(), role, public, protected };
    home.write(&public_name(name), public_text(&record).as_bytes())?;
    Ok(record)
}

/// Every key of the home, by name.
pub(crate) fn list(home: &Home) -> Result<Vec<KeyRecord>, Error> {
    let folder = home.file("keys");
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("list", &folder)(error)),
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".pub").map(ToOwned::to_owned))
        .collect();
    names.sort();
    names.iter().map(|name| record(home, name)).collect()
}

/// The public half of a key.
pub(crate) fn record(home: &Home, name: &str) -> Result<KeyRecord, Error> {
    check_name(name)?;
    let text = home.read_text(&public_name(name))?;
    let mut words = text.split_whitespace();
    let (Some(public), Some(role), Some(kept)) = (words.next(), words.next(), words.next()) else {
        return Err(Error::usage(format!("there is no key `{name}`"), &["capstan key list"]));
    };
    let role = if role == KeyRole::Approver.as_str() { KeyRole::Approver } else { KeyRole::Pack };
    Ok(KeyRecord { name: name.to_owned(), role, public: public.parse()?, protected: kept == "passphrase" })
}

/// Loads the secret half of a key, which must be the public half's.
pub(crate) fn load(home: &Home, record: &KeyRecord, passphrase: Option<&str>) -> Result<SigningKey, Error> {
    let path = home.file(&format!("keys/{}.key", record.name));
    let bytes = Zeroizing::new(crate::home::read_file(&path, 64 << 10)?);
    let text = match (record.protected, passphrase) {
        (false, _) => bytes,
        (true, Some(passphrase)) => decrypt(&bytes, passphrase)?,
        (true, None) => {
            return Err(Error::usage(
                format!("the key `{}` has a passphrase, and none was given", record.name),
                &[],
            ));
        }
    };
    let text = std::str::from_utf8(&text).map_err(|_| damaged(&record.name))?;
    let key = SigningKey::from_text(text.trim())?;
    if key.public()? != record.public {
        return Err(damaged(&record.name));
    }
    Ok(key)
}

/// The key that signs packs: the named one, or the only one there is.
pub(crate) fn pack_key(home: &Home, name: Option<&str>) -> Result<KeyRecord, Error> {
    if let Some(name) = name {
        let found = record(home, name)?;
        if found.role != KeyRole::Pack {
            return Err(Error::refused(
                Code::KeyInadmissible,
                format!("the key `{name}` signs approvals, not packs"),
            ));
        }
        return Ok(found);
    }
    let mut keys: Vec<_> = list(home)?.into_iter().filter(|key| key.role == KeyRole::Pack).collect();
    match (keys.pop(), keys.is_empty()) {
        (Some(key), true) => Ok(key),
        (None, _) => Err(Error::usage("there is no pack key in this home", &["capstan key new main"])),
        (Some(_), false) => {
            Err(Error::usage("there are several pack keys: name one with `--key`", &["capstan key list"]))
        }
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(good) && !name.starts_with('-') {
        return Ok(());
    }
    Err(Error::usage(format!("`{name}` is no key name: use lower-case letters, digits and `-`"), &[]))
}

fn public_name(name: &str) -> String {
    format!("keys/{name}.pub")
}

fn public_text(record: &KeyRecord) -> String {
    let kept = if record.protected { "passphrase" } else { "unattended" };
    format!("{} {} {kept}\n", record.public, record.role.as_str())
}

fn damaged(name: &str) -> Error {
    Error::refused(Code::KeyInadmissible, format!("the files of the key `{name}` do not belong together"))
}

/// Encrypts under a passphrase (age, scrypt).
pub(crate) fn encrypt(secret: &[u8], passphrase: &str) -> Result<Vec<u8>, Error> {
    let failed = |error: std::io::Error| Error::Io { action: "encrypt the key".to_owned(), source: error };
    let encryptor = age::Encryptor::with_user_passphrase(SecretString::from(passphrase.to_owned()));
    let mut out = Vec::new();
    let mut writer = encryptor.wrap_output(&mut out).map_err(failed)?;
    writer.write_all(secret).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(out)
}

/// Takes [`encrypt`] back.
pub(crate) fn decrypt(bytes: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let wrong = || Error::usage("the passphrase is wrong", &[]);
    let decryptor = age::Decryptor::new(bytes).map_err(|_| wrong())?;
    let identity = age::scrypt::Identity::new(SecretString::from(passphrase.to_owned()));
    let mut reader =
        decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).map_err(|_| wrong())?;
    let mut out = Zeroizing::new(Vec::new());
    reader.read_to_end(&mut out).map_err(|_| wrong())?;
    Ok(out)
}
