//! Listing: a walk in byte order, pruned by pattern, scope and cursor, in bounded memory.
//!
//! A page ends where the next one begins, and a call that goes on listing keeps the walk between
//! them. Whoever comes with a cursor alone reads again only the folders on the way to it. A folder
//! with more names than may be remembered is read again for those that follow.

use std::collections::{BTreeMap, BinaryHeap};

use authority::{Authority, PathScope};
use base::{Capability, RootName};
use rustix::fs::{AtFlags, Dir, FileType};

use super::roots::{FileError, Root};
use crate::budget::Budget;

/// Most paths of one page.
const PAGE_PATHS: usize = 1_000;
/// About how many names a walk remembers at once, of all folders that it is inside of. Each folder
/// gets half of what is left of it.
const REMEMBERED: usize = 50_000;
/// How many names of a folder it remembers at least, however many folders lie above.
const REMEMBERED_OF_FOLDER_MIN: usize = 64;
/// Time is checked after this many entries.
const ENTRIES_PER_CHECK: usize = 256;

/// One page of a listing.
pub(crate) struct Page {
    pub(crate) paths: Vec<String>,
    pub(crate) next: Option<String>,
}

/// What a listing may find: what the guest asked for, within what it may see.
pub(crate) struct Reach<'a> {
    pub(crate) pattern: &'a PathScope,
    pub(crate) authority: &'a Authority,
    pub(crate) budget: &'a Budget,
}

impl Reach<'_> {
    fn holds(&self, root: &RootName, path: &str) -> bool {
        self.pattern.matches(root, path)
            && self.authority.permits_path(Capability::FilesRead, root, path).is_ok()
    }

    fn holds_below(&self, root: &RootName, dir: &str) -> bool {
        self.pattern.matches_prefix_dir(root, dir)
            && self.authority.reaches_below(Capability::FilesRead, root, dir)
    }
}

/// What the overlay says about a folder.
pub(super) trait Staged {
    /// The names that were written, made or removed directly in `dir`, and whether there is
    /// something now. A folder's name ends in `/`.
    fn in_dir(&self, dir: &str) -> BTreeMap<String, bool>;

    /// Whether nothing on disk in `dir` counts any more.
    fn hides(&self, dir: &str) -> bool;
}

/// What is listed: the same for each page.
pub(super) struct Listing<'a> {
    pub(super) name: &'a RootName,
    pub(super) root: &'a Root,
    pub(super) reach: &'a Reach<'a>,
    pub(super) staged: &'a dyn Staged,
}

/// How far a listing has come.
pub(super) struct Walk {
    cursor: Option<String>,
    levels: Vec<Level>,
    /// A path that the last page had no room for.
    left_over: Option<String>,
}

/// A folder that the walk is inside of, and the names in it that are left. A folder's name ends in
/// `/`, which makes the order of names the order of the paths below them.
struct Level {
    dir: String,
    names: std::vec::IntoIter<String>,
    /// The last of the names, if the folder has more than were remembered.
    more_after: Option<String>,
}

impl Walk {
    /// A walk that begins after `cursor`.
    pub(super) fn new(cursor: Option<&str>) -> Self {
        Self { cursor: cursor.map(ToOwned::to_owned), levels: Vec::new(), left_over: None }
    }

    /// How many names it remembers.
    pub(super) fn remembered(&self) -> usize {
        self.levels.iter().map(|level| level.names.len()).sum()
    }

    pub(super) fn page(&mut self, listing: &Listing<'_>) -> Result<Page, FileError> {
        let mut paths: Vec<String> = self.left_over.take().into_iter().collect();
        if self.levels.is_empty() {
            let top = self.level(listing, String::new(), None)?;
            self.levels.push(top);
        }
        while let Some(level) = self.levels.last_mut() {
            let Some(name) = level.names.next() else {
                let Level { dir, more_after, .. } = self.levels.pop().unwrap_or_else(Level::none);
                if let Some(after) = more_after {
                    let rest = self.level(listing, dir, Some(&after))?;
                    self.levels.push(rest);
                }
                continue;
            };
            let path = join(&level.dir, &name);
            if let Some(dir) = path.strip_suffix('/') {
                let below = self.level(listing, dir.to_owned(), None)?;
                self.levels.push(below);
            } else if paths.len() < PAGE_PATHS {
                paths.push(path);
            } else {
                self.left_over = Some(path);
                return Ok(Page { next: paths.last().cloned(), paths });
            }
        }
        Ok(Page { paths, next: None })
    }

    /// The first names in `dir`, after the name `after`, that may lead to a path of the listing.
    fn level(&self, listing: &Listing<'_>, dir: String, after: Option<&str>) -> Result<Level, FileError> {
        let room = (REMEMBERED.saturating_sub(self.remembered()) / 2).max(REMEMBERED_OF_FOLDER_MIN);
        let mut first = First { names: BinaryHeap::new(), room, has_more: false };
        listing.reach.budget.check_time()?;
        let staged = listing.staged.in_dir(&dir);
        let mut add = |name: String| {
            if after.is_none_or(|after| name.as_str() > after) && self.wants(listing, &dir, &name) {
                first.add(name);
            }
        };
        if !listing.staged.hides(&dir) {
            listing.on_disk(&dir, &mut |name| {
                if !staged.contains_key(&name) {
                    add(name);
                }
            })?;
        }
        staged.into_iter().filter(|(_, exists)| *exists).for_each(|(name, _)| add(name));
        let names = first.names.into_sorted_vec();
        let more_after = if first.has_more { names.last().cloned() } else { None };
        Ok(Level { dir, names: names.into_iter(), more_after })
    }

    /// Whether `name` in `dir` is, or may hold, a path after the cursor that is in reach.
    fn wants(&self, listing: &Listing<'_>, dir: &str, name: &str) -> bool {
        let path = join(dir, name);
        let cursor = self.cursor.as_deref();
        match path.strip_suffix('/') {
            Some(below) => {
                let ahead = |cursor: &str| path.as_str() > cursor || cursor.starts_with(&path);
                cursor.is_none_or(ahead) && listing.reach.holds_below(listing.name, below)
            }
            None => {
                cursor.is_none_or(|cursor| path.as_str() > cursor) && listing.reach.holds(listing.name, &path)
            }
        }
    }
}

impl Level {
    fn none() -> Self {
        Self { dir: String::new(), names: Vec::new().into_iter(), more_after: None }
    }
}

/// The first names of many, as many as there is room for.
struct First {
    names: BinaryHeap<String>,
    room: usize,
    has_more: bool,
}

impl First {
    fn add(&mut self, name: String) {
        self.names.push(name);
        if self.names.len() > self.room {
            self.names.pop();
            self.has_more = true;
        }
    }
}

impl Listing<'_> {
    /// Tells the names in `dir` of regular files and folders, in no order.
    fn on_disk(&self, dir: &str, found: &mut dyn FnMut(String)) -> Result<(), FileError> {
        let handle = match self.root.open_next_dir(dir) {
            Ok(handle) => handle,
            // It vanished or became something else since its parent was read.
            Err(FileError::NotFound | FileError::NotADirectory | FileError::Symlink) if !dir.is_empty() => {
                return Ok(());
            }
            // Like all that is out of reach, it is not listed.
            Err(FileError::Reserved) => return Ok(()),
            Err(error) => return Err(error),
        };
        for (count, entry) in Dir::read_from(&handle)?.enumerate() {
            if count % ENTRIES_PER_CHECK == 0 {
                self.reach.budget.check_time()?;
            }
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if matches!(name, "." | "..") {
                continue;
            }
            match kind_of(&handle, name, entry.file_type()) {
                FileType::RegularFile => found(name.to_owned()),
                FileType::Directory => found(format!("{name}/")),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The kind of an entry, also where the file system does not tell it with the name.
pub(super) fn kind_of(dir: &rustix::fd::OwnedFd, name: &str, told: FileType) -> FileType {
    if told != FileType::Unknown {
        return told;
    }
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode))
}

pub(super) fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

#[cfg(test)]
mod tests;
