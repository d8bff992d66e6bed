//! A pack as a closed set of named bytes, read within bounds from a folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use base::{Code, Digest, Refusal};
use rustix::fs::{FileType, Mode, OFlags};

use crate::text::shown;

/// The manifest's name.
pub const MANIFEST: &str = "pack.toml";
/// The component's name.
pub const COMPONENT: &str = "component.wasm";
/// The name of the WIT package in binary form.
pub const WIT: &str = "wit.wasm";
/// The envelope's name: the only file that the statement does not list.
pub const ENVELOPE: &str = "pack.dsse.json";
/// The name of the text for people.
pub const README: &str = "README.md";
/// The folder of example planfiles.
const PLANS: &str = "plans";
/// Most planfiles in a pack.
const PLANS_MAX: usize = 64;
/// Longest file name, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Most entries that are looked at in one folder; a pack's own number is far below.
const ENTRIES_MAX: usize = 1_024;

/// A pack's files in memory. Every name is one that a pack may have, every size within its bound.
#[derive(Clone, PartialEq, Eq)]
pub struct PackFiles {
    files: BTreeMap<String, Vec<u8>>,
}

impl PackFiles {
    /// Reads the folder `dir`. The folder's own path may go through symlinks; nothing in it may be
    /// one, and nothing in it is waited for.
    ///
    /// # Errors
    /// [`Code::FileExtra`], [`Code::FileName`], [`Code::FileSize`], or [`Code::FileIo`].
    pub fn read(dir: &Path) -> Result<Self, Refusal> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::open(dir, flags, Mode::empty())
            .map_err(|error| unreadable(&dir.display().to_string(), &error.into()))?;
        let mut files = BTreeMap::new();
        read_folder(&top, "", &mut files)?;
        Self::from_map(files)
    }

    /// Takes files that are in memory already.
    ///
    /// # Errors
    /// [`Code::FileExtra`], [`Code::FileName`] or [`Code::FileSize`].
    pub fn from_map(files: BTreeMap<String, Vec<u8>>) -> Result<Self, Refusal> {
        let mut folded = BTreeMap::new();
        for (name, bytes) in &files {
            let bytes_max = allowed_size(name)?;
            if bytes.len() as u64 > bytes_max {
                return Err(too_large(name, bytes_max));
            }
            if let Some(other) = folded.insert(name.to_ascii_lowercase(), name) {
                let message = format!("`{other}` and `{name}` are the same name on some systems");
                return Err(Refusal::new(Code::FileName, message));
            }
        }
        if files.keys().filter(|name| name.starts_with(PLANS)).count() > PLANS_MAX {
            return Err(Refusal::new(
                Code::FileExtra,
                format!("the pack has more than {PLANS_MAX} planfiles"),
            ));
        }
        Ok(Self { files })
    }

    /// The bytes of the file `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }

    /// Every file, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// Every file that the statement lists: all but the envelope.
    pub fn signed(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().filter(|(name, _)| *name != ENVELOPE)
    }

    /// The same files with `bytes` as the envelope.
    ///
    /// # Errors
    /// [`Code::FileSize`].
    pub fn with_envelope(mut self, bytes: Vec<u8>) -> Result<Self, Refusal> {
        self.files.insert(ENVELOPE.to_owned(), bytes);
        Self::from_map(self.files)
    }

    /// The bytes of a file that every pack has.
    ///
    /// # Errors
    /// [`Code::FileMissing`]; [`Code::EnvelopeMissing`] for the envelope.
    pub fn require(&self, name: &str) -> Result<&[u8], Refusal> {
        let code = if name == ENVELOPE { Code::EnvelopeMissing } else { Code::FileMissing };
        self.get(name).ok_or_else(|| Refusal::new(code, format!("the pack has no `{name}`")))
    }

    /// The manifest as text.
    ///
    /// # Errors
    /// [`Code::FileMissing`], or [`Code::ManifestMalformed`] if it is not UTF-8.
    pub fn manifest_text(&self) -> Result<&str, Refusal> {
        std::str::from_utf8(self.require(MANIFEST)?)
            .map_err(|_| Refusal::new(Code::ManifestMalformed, "`pack.toml` is not UTF-8 text"))
    }
}

impl std::fmt::Debug for PackFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.files.iter().map(|(name, bytes)| (name, Digest::of(bytes)))).finish()
    }
}

/// Checks a name and returns the most bytes that a file of it may have.
///
/// # Errors
/// [`Code::FileName`] if no file may be called so; [`Code::FileExtra`] if a pack has no such file.
pub(crate) fn allowed_size(name: &str) -> Result<u64, Refusal> {
    if !is_plain(name) {
        let message = format!("`{}` is not a file name that a pack may have", shown(name, 80));
        return Err(Refusal::new(Code::FileName, message));
    }
    match name {
        MANIFEST | ENVELOPE => Ok(256 << 10),
        COMPONENT => Ok(64 << 20),
        WIT => Ok(4 << 20),
        README => Ok(1 << 20),
        _ => {
            let plan = name.strip_prefix(PLANS).and_then(|rest| rest.strip_prefix('/'));
            let stem = plan.and_then(|p| p.strip_suffix(".plan.md").or_else(|| p.strip_suffix(".plan.yaml")));
            match stem {
                Some(stem) if !stem.is_empty() && !stem.contains('/') => Ok(1 << 20),
                _ => Err(extra(name)),
            }
        }
    }
}

/// Relative, ASCII, and the same file on every system: no `..`, no backslash, drive or control
/// character, no segment that is empty, starts with a dot, or ends with a dot or space.
fn is_plain(name: &str) -> bool {
    let plain_segment = |segment: &str| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && !segment.ends_with(['.', ' '])
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b' '))
    };
    name.len() <= NAME_BYTES_MAX && name.split('/').all(plain_segment)
}

fn read_folder(dir: &OwnedFd, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<(), Refusal> {
    let listing = rustix::fs::Dir::read_from(dir).map_err(|error| unreadable(prefix, &error.into()))?;
    for (index, entry) in listing.enumerate() {
        let entry = entry.map_err(|error| unreadable(prefix, &error.into()))?;
        let raw = entry.file_name();
        if raw == c"." || raw == c".." {
            continue;
        }
        let name = format!("{prefix}{}", raw.to_string_lossy());
        if index > ENTRIES_MAX {
            return Err(extra(&name));
        }
        if name == PLANS {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let plans = rustix::fs::openat(dir, raw, flags, Mode::empty())
                .map_err(|_| Refusal::new(Code::FileName, "`plans` is not a folder"))?;
            read_folder(&plans, "plans/", files)?;
            continue;
        }
        // Hidden files are extra rather than misnamed: what is wrong with them is that they are there.
        if raw.to_bytes().starts_with(b".") {
            return Err(extra(&name));
        }
        let bytes_max = allowed_size(&name)?;
        let bytes = read_file(dir, raw, &name, bytes_max)?;
        files.insert(name, bytes);
    }
    Ok(())
}

fn read_file(dir: &OwnedFd, raw: &std::ffi::CStr, name: &str, bytes_max: u64) -> Result<Vec<u8>, Refusal> {
    let irregular = || Refusal::new(Code::FileName, format!("`{name}` is not a regular file"));
    // NONBLOCK: opening a FIFO must not wait for a writer. It changes nothing for regular files.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(dir, raw, flags, Mode::empty()) {
        Ok(file) => file,
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => return Err(irregular()),
        Err(error) => return Err(unreadable(name, &error.into())),
    };
    let stat = rustix::fs::fstat(file.as_fd()).map_err(|error| unreadable(name, &error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(irregular());
    }
    read_bounded(File::from(file), bytes_max)
        .map_err(|error| unreadable(name, &error))?
        .ok_or_else(|| too_large(name, bytes_max))
}

/// Reads to the end, or gives none once there are more than `bytes_max` bytes: counted while
/// reading, because a file may grow after its size was asked.
pub(crate) fn read_bounded(file: File, bytes_max: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= bytes_max).then_some(bytes))
}

fn extra(name: &str) -> Refusal {
    Refusal::new(Code::FileExtra, format!("`{}` does not belong in a pack", shown(name, 80)))
        .hint("a pack has `pack.toml`, `component.wasm`, `wit.wasm`, `pack.dsse.json`, and may have `README.md` and `plans/*.plan.md` or `plans/*.plan.yaml`")
}

fn too_large(name: &str, bytes_max: u64) -> Refusal {
    Refusal::new(Code::FileSize, format!("`{name}` is larger than {bytes_max} bytes"))
}

fn unreadable(name: &str, error: &std::io::Error) -> Refusal {
    Refusal::new(Code::FileIo, format!("cannot read `{}`: {error}", shown(name, 200)))
}

#[cfg(test)]
mod tests;
