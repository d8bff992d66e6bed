//! Compiled code kept between processes, authenticated.
//!
//! wasmtime's serialised components are native code, and loading one that somebody else wrote runs
//! it. So an entry is `HMAC-SHA-256(secret, entry key || code) || code`, read whole into memory,
//! verified there, and loaded from those very bytes. What does not verify is deleted and compiled
//! anew; a cache that cannot be read or written only costs time.

use std::fs::File;
use std::hash::{Hash as _, Hasher as _};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use base::{Digest, FramedHasher};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rustix::fs::{AtFlags, Mode, OFlags};
use sha2::Sha256;
use wasmtime::component::Component;

use crate::CacheSettings;
use crate::files::{open_file, read_all};

/// Part of each entry's key; raised when what an entry holds changes.
const SCHEMA: u64 = 1;
const MAC_BYTES: usize = 32;
/// Larger entries are not read.
const ENTRY_BYTES_MAX: u64 = 1 << 30;

/// The folder for compiled code cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the cache folder `{}` cannot be used: {reason}", .folder.display())]
pub struct CacheError {
    /// The folder.
    pub folder: PathBuf,
    /// Why.
    pub reason: String,
}

/// An open cache folder.
pub(crate) struct Cache {
    folder: OwnedFd,
    mac: Hmac<Sha256>,
    /// wasmtime's version, settings and processor features, as one number.
    compatibility: u64,
}

impl Cache {
    pub(crate) fn open(settings: CacheSettings, engine: &wasmtime::Engine) -> Result<Self, CacheError> {
        let CacheSettings { folder, secret } = settings;
        let mac = Hmac::new_from_slice(&secret);
        let mut hasher = std::hash::DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        match (open_private(&folder), mac) {
            (Ok(folder), Ok(mac)) => Ok(Self { folder, mac, compatibility: hasher.finish() }),
            (Err(error), _) => Err(CacheError { folder, reason: error.to_string() }),
            (_, Err(error)) => Err(CacheError { folder, reason: error.to_string() }),
        }
    }

    /// What the entry of the component with this digest is called.
    fn key(&self, digest: &Digest) -> Digest {
        FramedHasher::new("capstan/compiled/v1")
            .digest(digest)
            .number(self.compatibility)
            .number(SCHEMA)
            .finish()
    }

    /// The compiled component, if there is an entry, it is ours, and this engine takes it. Else the
    /// entry is deleted.
    pub(crate) fn read(&self, engine: &wasmtime::Engine, digest: &Digest) -> Option<Component> {
        let key = &self.key(digest);
        let name = key.hex();
        let file = open_file(&self.folder, &name).ok()?;
        let component = read_all(file, ENTRY_BYTES_MAX, &|| Ok(())).ok().and_then(|entry| {
            let (mac, code) = entry.split_at_checked(MAC_BYTES)?;
            self.mac_of(key, code).verify_slice(mac).ok()?;
            deserialize(engine, code)
        });
        if component.is_none() {
            let _absent = rustix::fs::unlinkat(&self.folder, &name, AtFlags::empty());
        }
        component
    }

    fn mac_of(&self, key: &Digest, code: &[u8]) -> Hmac<Sha256> {
        self.mac.clone().chain_update(key.as_bytes()).chain_update(code)
    }

    /// Writes the entry of the component with this digest, under a name of this process, and renames
    /// it, so that readers see whole ones.
    pub(crate) fn write(&self, digest: &Digest, code: &[u8]) -> std::io::Result<()> {
        let key = &self.key(digest);
        let (name, part) = (key.hex(), format!("{}.{}", key.hex(), std::process::id()));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut file =
            File::from(rustix::fs::openat(&self.folder, &part, flags, Mode::from_raw_mode(0o600))?);
        let written = file
            .write_all(&self.mac_of(key, code).finalize().into_bytes())
            .and_then(|()| file.write_all(code))
            .and_then(|()| Ok(rustix::fs::renameat(&self.folder, &part, &self.folder, &name)?));
        if written.is_err() {
            rustix::fs::unlinkat(&self.folder, &part, AtFlags::empty())?;
        }
        written
    }
}

/// Loads compiled code: an entry that verified, what the compiler has just made, or in a worker what
/// its parent sent.
pub(crate) fn deserialize(engine: &wasmtime::Engine, code: &[u8]) -> Option<Component> {
    // SAFETY: `Component::deserialize` asks that `code` be what `Engine::precompile_component` or
    // `Component::serialize` returned in a compatible engine, unmodified. `code` is a slice of a
    // buffer that only this process holds. There are three ways to it. This program's own compiler has
    // just made it, here or in the child that it started and to which nobody else holds the pipe. Or
    // the caller verified an HMAC-SHA-256 over exactly these bytes under a secret that only this
    // user's installation knows, and only `Cache::write` makes such MACs, over the compiler's output
    // alone; the MAC also covers the entry's key, so an entry cannot be passed off as another
    // component's, nor one of another wasmtime version or configuration as this one's. Or this process
    // is a worker, and its parent sent what `Component::serialize` gave it of a component that it had
    // loaded by this function, over the socket that it made for that, to which nobody else holds an
    // end; before that frame nothing of a guest is in this process. wasmtime checks version,
    // configuration and processor itself as well. The bytes are copied, not mapped, so later changes
    // of a file do not reach them.
    #[expect(unsafe_code, reason = "wasmtime loads compiled code only through an unsafe function")]
    unsafe {
        Component::deserialize(engine, code).ok()
    }
}

/// Opens the folder, made with mode 0700 if absent; it must be ours and closed to everybody else.
fn open_private(folder: &std::path::Path) -> std::io::Result<OwnedFd> {
    match rustix::fs::mkdir(folder, Mode::RWXU) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = rustix::fs::open(folder, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&handle)?;
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(std::io::Error::other("it belongs to somebody else"));
    }
    if stat.st_mode & 0o077 != 0 {
        return Err(std::io::Error::other("others may enter it; its mode must be 0700"));
    }
    Ok(handle)
}
