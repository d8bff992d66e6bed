//! The overlay of one call: changes are captured, reads see them, the disk stays as it is.

mod staged;
mod whole;

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{ChangeSet, Digest, RootName};

use super::list::{Listing, Page, Reach, Walk};
use super::roots::{FileError, Kind, Roots, digest_all, permissions, read_all, split_parent};
use crate::budget::Budget;
use staged::{Content, Node, Pre, Staged};

/// The staged changes of a call, over the roots on disk.
pub(crate) struct Overlay {
    roots: Arc<Roots>,
    writable: bool,
    staged: BTreeMap<RootName, Staged>,
    /// What the call has read. A write is staged against what the guest saw, not against what the
    /// file had become by then.
    seen: BTreeMap<(RootName, String), Option<Digest>>,
    walk: Option<KeptWalk>,
}

/// A listing that has more pages, as long as nothing is staged.
struct KeptWalk {
    root: RootName,
    pattern: String,
    next: String,
    walk: Walk,
}

impl Overlay {
    /// An overlay with nothing staged. Where nothing can be written, nothing seen is remembered.
    pub(crate) fn new(roots: Arc<Roots>, writable: bool) -> Self {
        Self { roots, writable, staged: BTreeMap::new(), seen: BTreeMap::new(), walk: None }
    }

    fn node(&self, root: &RootName, path: &str) -> Node<'_> {
        self.staged.get(root).map_or(Node::Disk, |staged| staged.node(path))
    }

    /// What is staged below `root`, to be changed.
    fn change(&mut self, root: &RootName) -> &mut Staged {
        self.walk = None;
        self.staged.entry(root.clone()).or_default()
    }

    pub(crate) fn list(
        &mut self,
        root: &RootName,
        reach: &Reach<'_>,
        cursor: Option<&str>,
    ) -> Result<Page, FileError> {
        let pattern = reach.pattern.to_string();
        let goes_on = |kept: &KeptWalk| {
            kept.root == *root && kept.pattern == pattern && Some(kept.next.as_str()) == cursor
        };
        let kept = self.walk.take().filter(goes_on);
        let mut walk = kept.map_or_else(|| Walk::new(cursor), |kept| kept.walk);
        let none = Staged::default();
        let staged = self.staged.get(root).unwrap_or(&none);
        let page = walk.page(&Listing { name: root, root: self.roots.find(root)?, reach, staged })?;
        let keep = |next: &String| KeptWalk { root: root.clone(), pattern, next: next.clone(), walk };
        self.walk = page.next.as_ref().map(keep);
        Ok(page)
    }

    /// How many names the listing that goes on remembers.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.walk.as_ref().map_or(0, |kept| kept.walk.remembered())
    }

    pub(crate) fn stat(
        &self,
        root: &RootName,
        path: &str,
        budget: &mut Budget,
    ) -> Result<(Kind, u64), FileError> {
        budget.touch()?;
        self.look(root, path)
    }

    fn look(&self, root: &RootName, path: &str) -> Result<(Kind, u64), FileError> {
        match self.node(root, path) {
            Node::File(content) => Ok((Kind::File, content.size())),
            Node::Folder => Ok((Kind::Directory, 0)),
            Node::Nothing => Err(FileError::NotFound),
            Node::Disk => self.roots.find(root)?.stat(path),
        }
    }

    pub(crate) fn read(
        &mut self,
        root: &RootName,
        path: &str,
        budget: &mut Budget,
    ) -> Result<Vec<u8>, FileError> {
        budget.touch()?;
        let contents = match self.node(root, path) {
            Node::File(Content::Held(contents)) => Ok(contents.clone()),
            Node::File(Content::Moved { from, digest, .. }) => {
                let contents = self.read_disk(root, from, budget)?;
                let is_same = Digest::of(&contents) == *digest;
                if is_same { Ok(contents) } else { Err(changed_meanwhile(from)) }
            }
            Node::Folder => Err(FileError::NotAFile),
            Node::Nothing => Err(FileError::NotFound),
            Node::Disk => {
                let contents = self.read_disk(root, path, budget);
                match &contents {
                    Ok(contents) if self.writable => self.saw(root, path, Some(Digest::of(contents))),
                    Err(FileError::NotFound) if self.writable => self.saw(root, path, None),
                    _ => {}
                }
                contents
            }
        }?;
        budget.charge_file(contents.len() as u64)?;
        Ok(contents)
    }

    fn read_disk(&self, root: &RootName, path: &str, budget: &Budget) -> Result<Vec<u8>, FileError> {
        let file = self.roots.find(root)?.open_file(path)?;
        read_all(file, budget.limits.host_call_bytes, &|| budget.check_time())
    }

    /// Remembers what the guest saw first.
    fn saw(&mut self, root: &RootName, path: &str, digest: Option<Digest>) {
        self.seen.entry((root.clone(), path.to_owned())).or_insert(digest);
    }

    /// Remembers what the guest is told again that it saw. What it staged itself it did not see, and
    /// without contents it saw none: then a change of it is staged against what is on disk.
    pub(crate) fn play_back<E>(&mut self, root: &str, path: &str, answer: &Result<Vec<u8>, E>) {
        if let (Ok(root), Ok(contents)) = (root.parse::<RootName>(), answer)
            && self.writable
            && matches!(self.node(&root, path), Node::Disk)
        {
            self.saw(&root, path, Some(Digest::of(contents)));
        }
    }

    pub(crate) fn write(
        &mut self,
        root: &RootName,
        path: &str,
        contents: Vec<u8>,
        budget: &mut Budget,
    ) -> Result<(), FileError> {
        budget.touch()?;
        budget.charge_file(contents.len() as u64)?;
        let pre = match self.node(root, path) {
            Node::File(_) => None,
            Node::Folder => return Err(FileError::NotAFile),
            Node::Nothing => {
                self.check_parent(root, path)?;
                None
            }
            Node::Disk => self.on_disk(root, path, budget)?,
        };
        self.change(root).put_file(path, pre, Some(Content::Held(contents)))
    }

    pub(crate) fn remove(
        &mut self,
        root: &RootName,
        path: &str,
        budget: &mut Budget,
    ) -> Result<(), FileError> {
        budget.touch()?;
        let pre = match self.node(root, path) {
            Node::File(_) => None,
            Node::Folder => return Err(FileError::NotAFile),
            Node::Nothing => return Err(FileError::NotFound),
            Node::Disk => Some(self.on_disk(root, path, budget)?.ok_or(FileError::NotFound)?),
        };
        self.change(root).put_file(path, pre, None)
    }

    /// The regular file at `path` on disk, as the guest saw it first; none if there was none and its
    /// folder exists.
    fn on_disk(&self, root: &RootName, path: &str, budget: &mut Budget) -> Result<Option<Pre>, FileError> {
        let found = match self.roots.find(root)?.open_file(path) {
            Ok(file) => {
                let mode = permissions(&file.1);
                let (digest, size) = digest_all(file, &mut |bytes| budget.charge_file(bytes))?;
                Some(Pre { digest, size, mode })
            }
            Err(FileError::NotFound) => {
                self.check_parent(root, path)?;
                None
            }
            Err(error) => return Err(error),
        };
        let seen = self.seen.get(&(root.clone(), path.to_owned()));
        Ok(match (seen, found) {
            (None, found) => found,
            (Some(None), _) => None,
            (Some(Some(digest)), found) => {
                let found = found.unwrap_or(Pre { digest: *digest, size: 0, mode: super::NEW_FILE_MODE });
                Some(Pre { digest: *digest, ..found })
            }
        })
    }

    /// Whether the folder that `path` is in exists.
    fn check_parent(&self, root: &RootName, path: &str) -> Result<(), FileError> {
        let parent = split_parent(path).0;
        match self.node(root, parent) {
            Node::Folder => Ok(()),
            Node::File(_) => Err(FileError::NotADirectory),
            Node::Nothing => Err(FileError::NotFound),
            Node::Disk => self.roots.find(root)?.open_dir(parent).map(drop),
        }
    }

    /// What is left to apply, and the new contents by digest. What ends as it began is no change.
    pub(crate) fn finish(&mut self) -> (ChangeSet, BTreeMap<Digest, Vec<u8>>) {
        let mut blobs = BTreeMap::new();
        if self.staged.is_empty() {
            return (ChangeSet::default(), blobs);
        }
        let mut changes = Vec::new();
        for (root, staged) in std::mem::take(&mut self.staged) {
            changes.extend(staged.finish(&root, &mut blobs));
        }
        let wanted: std::collections::BTreeSet<Digest> =
            changes.iter().filter_map(|change| change.post).collect();
        blobs.retain(|digest, _| wanted.contains(digest));
        (ChangeSet::new(changes), blobs)
    }
}

fn changed_meanwhile(path: &str) -> FileError {
    FileError::Io(format!("`{path}` was changed meanwhile"))
}

#[cfg(test)]
mod tests;
