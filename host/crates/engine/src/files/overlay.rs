//! The overlay of one call: writes are captured, reads see them, the disk stays as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Change, ChangeKind, ChangeSet, Digest, RootName};

use super::list::{Page, Reach, Staged, Walk};
use super::roots::{FileError, Kind, Roots, read_all, split_parent};
use crate::Trap;
use crate::budget::Budget;
use crate::trap::Stop;

/// Most files that one call may stage, and most whose content it may have seen before.
const FILES_MAX: usize = 10_000;

/// What a file was and will be.
struct StagedFile {
    /// The digest it had when the call first saw it; none if it was absent.
    pre: Option<Digest>,
    /// What it will hold; none if it will be absent.
    content: Option<Vec<u8>>,
}

type Files = BTreeMap<String, StagedFile>;

/// The staged writes of a call, over the roots on disk.
pub(crate) struct Overlay {
    roots: Arc<Roots>,
    writable: bool,
    staged: BTreeMap<RootName, Files>,
    /// What the call has read. A write is staged against what the guest saw, not against what the
    /// file had become by then.
    seen: BTreeMap<(RootName, String), Option<Digest>>,
}

impl Staged for Option<&Files> {
    fn in_dir(&self, dir: &str) -> Vec<(String, bool)> {
        let Some(files) = self else { return Vec::new() };
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let below = files.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
        below
            .filter_map(|(path, file)| {
                let name = path.strip_prefix(&prefix)?;
                (!name.contains('/')).then(|| (name.to_owned(), file.content.is_some()))
            })
            .collect()
    }
}

impl Overlay {
    /// An overlay with nothing staged. Where nothing can be written, nothing seen is remembered.
    pub(crate) fn new(roots: Arc<Roots>, writable: bool) -> Self {
        Self { roots, writable, staged: BTreeMap::new(), seen: BTreeMap::new() }
    }

    fn staged(&self, root: &RootName, path: &str) -> Option<&StagedFile> {
        self.staged.get(root)?.get(path)
    }

    pub(crate) fn list(
        &self,
        root: &RootName,
        reach: &Reach<'_>,
        cursor: Option<&str>,
    ) -> Result<Page, FileError> {
        let staged = self.staged.get(root);
        Walk { name: root, root: self.roots.find(root)?, reach, staged: &staged, cursor }.page()
    }

    pub(crate) fn stat(&self, root: &RootName, path: &str) -> Result<(Kind, u64), FileError> {
        match self.staged(root, path) {
            Some(StagedFile { content: Some(content), .. }) => Ok((Kind::File, content.len() as u64)),
            Some(StagedFile { content: None, .. }) => Err(FileError::NotFound),
            None => self.roots.find(root)?.stat(path),
        }
    }

    pub(crate) fn read(
        &mut self,
        root: &RootName,
        path: &str,
        budget: &Budget,
    ) -> Result<Vec<u8>, FileError> {
        match self.staged(root, path) {
            Some(StagedFile { content: Some(content), .. }) => return Ok(content.clone()),
            Some(StagedFile { content: None, .. }) => return Err(FileError::NotFound),
            None => {}
        }
        let result = self.read_disk(root, path, budget);
        match &result {
            Ok(contents) if self.writable => self.saw(root, path, Some(Digest::of(contents)))?,
            Err(FileError::NotFound) if self.writable => self.saw(root, path, None)?,
            _ => {}
        }
        result
    }

    fn read_disk(&self, root: &RootName, path: &str, budget: &Budget) -> Result<Vec<u8>, FileError> {
        let file = self.roots.find(root)?.open_file(path)?;
        read_all(file, budget.limits.host_call_bytes, &|| budget.check_time())
    }

    /// Remembers what the guest saw first.
    fn saw(&mut self, root: &RootName, path: &str, digest: Option<Digest>) -> Result<(), FileError> {
        let key = (root.clone(), path.to_owned());
        if self.seen.contains_key(&key) {
            return Ok(());
        }
        if self.seen.len() >= FILES_MAX {
            return Err(FileError::TooMany);
        }
        self.seen.insert(key, digest);
        Ok(())
    }

    /// Remembers what the guest is told again that it saw. What it staged itself it did not see.
    pub(crate) fn play_back<E>(
        &mut self,
        root: &str,
        path: &str,
        answer: &Result<Vec<u8>, E>,
    ) -> Result<(), Stop> {
        let Ok(root) = root.parse::<RootName>() else { return Ok(()) };
        if !self.writable || self.staged(&root, path).is_some() {
            return Ok(());
        }
        // Without contents it was absent, or could not be read: then a write of it is staged against
        // what is on disk, and the approval shows that.
        let Ok(contents) = answer else { return Ok(()) };
        self.saw(&root, path, Some(Digest::of(contents))).map_err(|_| Trap::Host.into())
    }

    pub(crate) fn write(
        &mut self,
        root: RootName,
        path: String,
        contents: Vec<u8>,
        budget: &Budget,
    ) -> Result<(), FileError> {
        if let Some(file) = self.staged.get_mut(&root).and_then(|files| files.get_mut(&path)) {
            file.content = Some(contents);
            return Ok(());
        }
        let on_disk = self.digest_on_disk(&root, &path, budget)?;
        self.stage(root, path, on_disk, Some(contents))
    }

    pub(crate) fn remove(&mut self, root: RootName, path: String, budget: &Budget) -> Result<(), FileError> {
        if let Some(file) = self.staged.get_mut(&root).and_then(|files| files.get_mut(&path)) {
            return file.content.take().map(drop).ok_or(FileError::NotFound);
        }
        match self.digest_on_disk(&root, &path, budget)? {
            None => Err(FileError::NotFound),
            on_disk => self.stage(root, path, on_disk, None),
        }
    }

    /// The digest of the regular file at `path`; none if there is none and its folder exists.
    fn digest_on_disk(
        &self,
        root: &RootName,
        path: &str,
        budget: &Budget,
    ) -> Result<Option<Digest>, FileError> {
        match self.read_disk(root, path, budget) {
            Ok(contents) => Ok(Some(Digest::of(&contents))),
            Err(FileError::NotFound) => {
                self.roots.find(root)?.open_dir(split_parent(path).0)?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn stage(
        &mut self,
        root: RootName,
        path: String,
        on_disk: Option<Digest>,
        content: Option<Vec<u8>>,
    ) -> Result<(), FileError> {
        if self.staged.values().map(BTreeMap::len).sum::<usize>() >= FILES_MAX {
            return Err(FileError::TooMany);
        }
        let key = (root, path);
        let pre = self.seen.get(&key).copied().unwrap_or(on_disk);
        let (root, path) = key;
        self.staged.entry(root).or_default().insert(path, StagedFile { pre, content });
        Ok(())
    }

    /// What is left to apply, and the new contents by digest. Files that end as they began are no
    /// change.
    pub(crate) fn finish(&mut self) -> (ChangeSet, BTreeMap<Digest, Vec<u8>>) {
        let mut blobs = BTreeMap::new();
        let mut changes = Vec::new();
        for (root, files) in std::mem::take(&mut self.staged) {
            for (path, file) in files {
                let post = file.content.as_deref().map(Digest::of);
                let kind = match (file.pre, post) {
                    (None, None) => continue,
                    (Some(pre), Some(post)) if pre == post => continue,
                    (None, Some(_)) => ChangeKind::Create,
                    (Some(_), Some(_)) => ChangeKind::Replace,
                    (Some(_), None) => ChangeKind::Delete,
                };
                blobs.extend(post.zip(file.content));
                changes.push(Change { root: root.clone(), path, kind, pre: file.pre, post });
            }
        }
        (ChangeSet::new(changes), blobs)
    }
}

#[cfg(test)]
mod tests;
