//! What a call has staged below one root.
//!
//! A path has one change at the end, so a file does not become a folder in one call, nor a folder a
//! file. A folder that was made, moved or removed whole has all that is in it staged: what lies
//! there on disk counts no more.

use std::collections::BTreeMap;

use base::{Change, ChangeKind, Digest, RootName};

use crate::files::list::Staged as Names;
use crate::files::roots::{FileError, split_parent};
use crate::files::{NEW_FILE_MODE, NEW_FOLDER_MODE};

/// What a file on disk is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pre {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// Its permission bits.
    pub(super) mode: u32,
}

/// What a file will hold.
#[derive(Debug)]
pub(super) enum Content {
    /// What the guest wrote.
    Held(Vec<u8>),
    /// What another file holds on disk, which does not stay there: its old content is kept when the
    /// change is applied, so it need not be held meanwhile.
    Moved { from: String, digest: Digest, size: u64, mode: u32 },
}

impl Content {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Held(contents) => contents.len() as u64,
            Self::Moved { size, .. } => *size,
        }
    }
}

#[derive(Debug)]
struct StagedFile {
    /// None if it was absent.
    pre: Option<Pre>,
    /// None if it will be absent.
    content: Option<Content>,
}

/// Permission bits before and after; none where it is absent.
#[derive(Debug, Clone, Copy, Default)]
struct StagedFolder {
    was: Option<u32>,
    is: Option<u32>,
}

/// The staged changes below one root.
#[derive(Debug, Default)]
pub(super) struct Staged {
    files: BTreeMap<String, StagedFile>,
    folders: BTreeMap<String, StagedFolder>,
}

/// What the call finds at a path.
pub(super) enum Node<'a> {
    File(&'a Content),
    Folder,
    Nothing,
    /// Whatever is there on disk.
    Disk,
}

impl Staged {
    pub(super) fn node(&self, path: &str) -> Node<'_> {
        if let Some(file) = self.files.get(path) {
            return file.content.as_ref().map_or(Node::Nothing, Node::File);
        }
        match self.folders.get(path) {
            Some(folder) if folder.is.is_some() => Node::Folder,
            Some(_) => Node::Nothing,
            None if self.hides(split_parent(path).0) => Node::Nothing,
            None => Node::Disk,
        }
    }

    /// The permission bits that the folder will have, if it is staged.
    pub(super) fn folder_mode(&self, path: &str) -> Option<u32> {
        self.folders.get(path)?.is
    }

    /// Whether a file may be staged at `path`.
    ///
    /// # Errors
    /// If a folder was there when the call began.
    pub(super) fn check_file(&self, path: &str) -> Result<(), FileError> {
        if self.folders.contains_key(path) { Err(FileError::OtherKind) } else { Ok(()) }
    }

    /// Whether a folder may be staged at `path`.
    ///
    /// # Errors
    /// If a file was there when the call began.
    pub(super) fn check_folder(&self, path: &str) -> Result<(), FileError> {
        if self.files.contains_key(path) { Err(FileError::OtherKind) } else { Ok(()) }
    }

    /// Stages what a file will hold; none removes it. `pre` is what it is on disk and counts only
    /// the first time.
    pub(super) fn put_file(
        &mut self,
        path: &str,
        pre: Option<Pre>,
        content: Option<Content>,
    ) -> Result<(), FileError> {
        self.check_file(path)?;
        let file = self.files.entry(path.to_owned()).or_insert(StagedFile { pre, content: None });
        file.content = content;
        Ok(())
    }

    /// Takes the staged content of a file out, which leaves it removed.
    pub(super) fn take_file(&mut self, path: &str) -> Option<Content> {
        self.files.get_mut(path)?.content.take()
    }

    /// Stages a folder with these permission bits; none removes it. `was` are those on disk and
    /// count only the first time.
    pub(super) fn put_folder(
        &mut self,
        path: &str,
        was: Option<u32>,
        is: Option<u32>,
    ) -> Result<(), FileError> {
        self.check_folder(path)?;
        self.folders.entry(path.to_owned()).or_insert(StagedFolder { was, is: None }).is = is;
        Ok(())
    }

    /// The changes, and the contents that are held. Those of files that end as they began are among
    /// them: another file may have got the same.
    pub(super) fn finish(self, root: &RootName, blobs: &mut BTreeMap<Digest, Vec<u8>>) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut add = |path, kind, pre, post, mode, usual| {
            let mode = Some(mode).filter(|mode| *mode != usual);
            changes.push(Change { root: root.clone(), path, kind, pre, post, mode });
        };
        for (path, folder) in self.folders {
            match (folder.was, folder.is) {
                (None, Some(mode)) => add(path, ChangeKind::CreateDir, None, None, mode, NEW_FOLDER_MODE),
                (Some(mode), None) => add(path, ChangeKind::RemoveDir, None, None, mode, NEW_FOLDER_MODE),
                _ => {}
            }
        }
        for (path, file) in self.files {
            let (post, mode) = match file.content {
                Some(Content::Held(contents)) => {
                    let digest = Digest::of(&contents);
                    blobs.insert(digest, contents);
                    (Some(digest), NEW_FILE_MODE)
                }
                Some(Content::Moved { digest, mode, .. }) => (Some(digest), mode),
                None => (None, NEW_FILE_MODE),
            };
            let pre = file.pre.map(|pre| pre.digest);
            match (file.pre, post) {
                (None, None) => {}
                (Some(pre), Some(post)) if pre.digest == post => {}
                (None, Some(_)) => add(path, ChangeKind::Create, pre, post, mode, NEW_FILE_MODE),
                (Some(_), Some(_)) => {
                    add(path, ChangeKind::Replace, pre, post, NEW_FILE_MODE, NEW_FILE_MODE);
                }
                (Some(old), None) => add(path, ChangeKind::Delete, pre, post, old.mode, NEW_FILE_MODE),
            }
        }
        changes
    }
}

impl Names for Staged {
    fn in_dir(&self, dir: &str) -> BTreeMap<String, bool> {
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let name =
            |path: &str| path.strip_prefix(&prefix).filter(|name| !name.contains('/')).map(ToOwned::to_owned);
        let is_below = |path: &str| path.starts_with(&prefix);
        let files = self.files.range(prefix.clone()..).take_while(|(path, _)| is_below(path));
        let folders = self.folders.range(prefix.clone()..).take_while(|(path, _)| is_below(path));
        let files = files.filter_map(|(path, file)| Some((name(path)?, file.content.is_some())));
        files
            .chain(folders.filter_map(|(path, folder)| Some((name(path)? + "/", folder.is.is_some()))))
            .collect()
    }

    fn hides(&self, dir: &str) -> bool {
        let mut dir = if self.folders.is_empty() { "" } else { dir };
        while !dir.is_empty() {
            if self.folders.contains_key(dir) {
                return true;
            }
            dir = split_parent(dir).0;
        }
        false
    }
}
