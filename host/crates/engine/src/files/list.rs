//! Listing: a walk in byte order, pruned by pattern, scope and cursor.

use authority::{Authority, PathScope};
use base::{Capability, RootName};
use rustix::fs::{AtFlags, Dir, FileType};

use super::roots::{FileError, Root};
use crate::budget::Budget;

/// Most paths of one page.
const PAGE_PATHS: usize = 1_000;
/// Most names that a walk remembers at once, of all folders that it is inside of.
const REMEMBERED_MAX: usize = 100_000;
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

/// What the overlay says about the files directly in a folder.
pub(super) trait Staged {
    /// The file's name and whether it exists, for each file that was written or removed.
    fn in_dir(&self, dir: &str) -> Vec<(String, bool)>;
}

/// One listing.
pub(super) struct Walk<'a> {
    pub(super) name: &'a RootName,
    pub(super) root: &'a Root,
    pub(super) reach: &'a Reach<'a>,
    pub(super) staged: &'a dyn Staged,
    pub(super) cursor: Option<&'a str>,
}

/// A folder that the walk is inside of, and the names in it that are left. A folder's name ends in
/// `/`, which makes the order of names the order of the paths below them.
struct Level {
    dir: String,
    names: std::vec::IntoIter<String>,
}

impl Walk<'_> {
    pub(super) fn page(&self) -> Result<Page, FileError> {
        let mut remembered = 0;
        let mut levels = vec![self.level(String::new(), &mut remembered)?];
        let mut paths: Vec<String> = Vec::new();
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.next() else {
                levels.pop();
                continue;
            };
            remembered -= 1;
            let path = join(&level.dir, &name);
            if let Some(dir) = path.strip_suffix('/') {
                levels.push(self.level(dir.to_owned(), &mut remembered)?);
            } else if paths.len() < PAGE_PATHS {
                paths.push(path);
            } else {
                return Ok(Page { next: paths.last().cloned(), paths });
            }
        }
        Ok(Page { paths, next: None })
    }

    /// The names in `dir` that may lead to a path of the page, in order.
    fn level(&self, dir: String, remembered: &mut usize) -> Result<Level, FileError> {
        self.reach.budget.check_time()?;
        let staged = self.staged.in_dir(&dir);
        let mut names = self.on_disk(&dir, *remembered)?;
        names.retain(|name| !staged.iter().any(|(written, _)| written == name));
        let written = staged.into_iter().filter(|(name, exists)| *exists && self.wanted(&dir, name));
        names.extend(written.map(|(name, _)| name));
        names.sort_unstable();
        *remembered += names.len();
        Ok(Level { dir, names: names.into_iter() })
    }

    fn on_disk(&self, dir: &str, remembered: usize) -> Result<Vec<String>, FileError> {
        let handle = match self.root.open_next_dir(dir) {
            Ok(handle) => handle,
            // It vanished or became something else since its parent was read.
            Err(FileError::NotFound | FileError::NotADirectory | FileError::Symlink) if !dir.is_empty() => {
                return Ok(Vec::new());
            }
            // Like all that is out of reach, it is not listed.
            Err(FileError::Reserved) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for (count, entry) in Dir::read_from(&handle)?.enumerate() {
            if count % ENTRIES_PER_CHECK == 0 {
                self.reach.budget.check_time()?;
            }
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if matches!(name, "." | "..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => kind_of(&handle, name),
                kind => kind,
            };
            let name = match kind {
                FileType::RegularFile => name.to_owned(),
                FileType::Directory => format!("{name}/"),
                _ => continue,
            };
            if self.wanted(dir, &name) {
                names.push(name);
            }
            if names.len() + remembered > REMEMBERED_MAX {
                return Err(FileError::TooMany);
            }
        }
        Ok(names)
    }

    /// Whether `name` in `dir` is, or may hold, a path after the cursor that is in reach.
    fn wanted(&self, dir: &str, name: &str) -> bool {
        let path = join(dir, name);
        match path.strip_suffix('/') {
            Some(below) => {
                let ahead = |cursor: &str| path.as_str() > cursor || cursor.starts_with(&path);
                self.cursor.is_none_or(ahead) && self.reach.holds_below(self.name, below)
            }
            None => {
                self.cursor.is_none_or(|cursor| path.as_str() > cursor) && self.reach.holds(self.name, &path)
            }
        }
    }
}

/// For file systems that do not tell the kind with the name.
fn kind_of(dir: &rustix::fd::OwnedFd, name: &str) -> FileType {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode))
}

fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}
