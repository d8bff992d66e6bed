//! Staged effect sets: writes that were seen and not yet applied.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Digest, FramedHasher, RootName};

/// What happens to one file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// The file does not exist and will.
    Create,
    /// The file exists and gets other content.
    Replace,
    /// The file exists and will not.
    Delete,
    /// The folder does not exist and will, empty.
    CreateDir,
    /// The folder exists and will not. Nothing may be left in it by then.
    RemoveDir,
}

impl ChangeKind {
    /// Whether it is about a folder, which has no content.
    #[must_use]
    pub const fn is_of_folder(self) -> bool {
        matches!(self, Self::CreateDir | Self::RemoveDir)
    }

    /// Whether nothing is at the path before.
    #[must_use]
    pub const fn creates(self) -> bool {
        matches!(self, Self::Create | Self::CreateDir)
    }

    /// Whether nothing is at the path after.
    #[must_use]
    pub const fn removes(self) -> bool {
        matches!(self, Self::Delete | Self::RemoveDir)
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::CreateDir => "create-dir",
            Self::RemoveDir => "remove-dir",
        })
    }
}

/// One staged change. `pre` and `post` are digests of whole contents; the bytes are artifacts. A
/// folder has neither.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// The root the path is relative to.
    pub root: RootName,
    /// The path, relative, `/`-separated, without `.` and `..`.
    pub path: String,
    /// What happens.
    pub kind: ChangeKind,
    /// The content that must be there before; none for a creation.
    pub pre: Option<Digest>,
    /// The content that will be there after; none for a deletion.
    pub post: Option<Digest>,
    /// The permission bits that a creation gives, or that a removal takes away, so that it can be
    /// taken back; none for the usual ones. A replacement keeps those on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
}

impl Change {
    /// The change that takes this one back.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let kind = match self.kind {
            ChangeKind::Create => ChangeKind::Delete,
            ChangeKind::Replace => ChangeKind::Replace,
            ChangeKind::Delete => ChangeKind::Create,
            ChangeKind::CreateDir => ChangeKind::RemoveDir,
            ChangeKind::RemoveDir => ChangeKind::CreateDir,
        };
        Self { kind, pre: self.post, post: self.pre, ..self.clone() }
    }

    /// The kind as the digest of an effect set has it: with the permission bits, where there are any.
    fn kind_and_mode(&self) -> String {
        self.mode.map_or_else(|| self.kind.to_string(), |mode| format!("{} {mode:o}", self.kind))
    }
}

/// All the writes of a step (of all items, in a fan-out), sorted by root and path, each path once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChangeSet {
    changes: Vec<Change>,
}

impl ChangeSet {
    /// Sorts `changes`. A path that occurs twice keeps its last change.
    #[must_use]
    pub fn new(changes: impl IntoIterator<Item = Change>) -> Self {
        let by_path: std::collections::BTreeMap<_, _> =
            changes.into_iter().map(|change| ((change.root.clone(), change.path.clone()), change)).collect();
        Self { changes: by_path.into_values().collect() }
    }

    /// The changes, in order.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether there is nothing to apply, and so nothing to approve.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The digest that an approval is bound to.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let start = FramedHasher::new("capstan/effect-set/v1").number(self.changes.len() as u64);
        self.changes
            .iter()
            .fold(start, |hasher, change| {
                hasher
                    .field(change.root.as_str())
                    .field(&change.path)
                    .field(change.kind_and_mode())
                    .field(change.pre.as_ref().map_or(&[][..], |d| d.as_bytes()))
                    .field(change.post.as_ref().map_or(&[][..], |d| d.as_bytes()))
            })
            .finish()
    }
}

#[cfg(test)]
mod tests;
