//! Operations on folders: making one, moving and removing one with all that is in it.
//!
//! What an operation will do is found out before anything of it is staged, so one that fails has
//! staged nothing.

use base::RootName;
use rustix::fs::{Dir, FileType};

use super::Overlay;
use super::staged::{Content, Node, Pre};
use crate::Trap;
use crate::budget::Budget;
use crate::files::NEW_FOLDER_MODE;
use crate::files::list::{Staged as _, join, kind_of};
use crate::files::roots::{FileError, Kind, permissions};
use crate::trap::Stop;

/// Says whether a file or folder may be moved, from where to where.
pub(crate) type MayMove<'a> = &'a dyn Fn(&str, &str, Kind) -> Result<(), FileError>;
/// Says whether a file or folder may be removed.
pub(crate) type MayRemove<'a> = &'a dyn Fn(&str) -> Result<(), FileError>;

/// A folder with all that is in it. Folders come before what they hold.
#[derive(Default)]
struct Tree {
    /// With their permission bits.
    folders: Vec<(String, u32)>,
    files: Vec<String>,
}

/// Where a file's content is: staged already, or on disk.
type Source = Option<Pre>;

impl Overlay {
    pub(crate) fn create_dir(
        &mut self,
        root: &RootName,
        path: &str,
        budget: &mut Budget,
    ) -> Result<(), FileError> {
        budget.touch()?;
        self.check_vacant(root, path)?;
        self.change(root).put_folder(path, None, Some(NEW_FOLDER_MODE))
    }

    pub(crate) fn rename(
        &mut self,
        root: &RootName,
        from: &str,
        to: &str,
        may: MayMove<'_>,
        budget: &mut Budget,
    ) -> Result<(), FileError> {
        let kind = self.look(root, from)?.0;
        if kind == Kind::Directory && to.strip_prefix(from).is_some_and(|rest| rest.starts_with('/')) {
            return Err(FileError::InvalidPath("a folder cannot be moved into itself".to_owned()));
        }
        self.check_vacant(root, to)?;
        let tree = match kind {
            Kind::Directory => self.tree(root, from, budget)?,
            Kind::File => {
                budget.touch()?;
                Tree { folders: Vec::new(), files: vec![from.to_owned()] }
            }
        };
        let moved = |path: &str| format!("{to}{}", path.strip_prefix(from).unwrap_or_default());
        for (path, _) in &tree.folders {
            self.check_move(root, path, &moved(path), Kind::Directory, may)?;
        }
        for path in &tree.files {
            self.check_move(root, path, &moved(path), Kind::File, may)?;
        }
        let sources = self.sources(root, &tree, budget)?;
        let staged = self.change(root);
        for (path, mode) in tree.folders {
            staged.put_folder(&path, Some(mode), None)?;
            staged.put_folder(&moved(&path), None, Some(mode))?;
        }
        for (path, source) in tree.files.into_iter().zip(sources) {
            let content = match source {
                None => staged.take_file(&path),
                Some(pre) => {
                    staged.put_file(&path, Some(pre), None)?;
                    let Pre { digest, size, mode } = pre;
                    Some(Content::Moved { from: path.clone(), digest, size, mode })
                }
            };
            staged.put_file(&moved(&path), None, content)?;
        }
        Ok(())
    }

    pub(crate) fn remove_tree(
        &mut self,
        root: &RootName,
        path: &str,
        may: MayRemove<'_>,
        budget: &mut Budget,
    ) -> Result<(), FileError> {
        if self.look(root, path)?.0 == Kind::File {
            return Err(FileError::NotADirectory);
        }
        let tree = self.tree(root, path, budget)?;
        let folders = tree.folders.iter().map(|(path, _)| path);
        folders.chain(&tree.files).try_for_each(|path| may(path))?;
        let sources = self.sources(root, &tree, budget)?;
        let staged = self.change(root);
        for (path, mode) in tree.folders {
            staged.put_folder(&path, Some(mode), None)?;
        }
        tree.files.iter().zip(sources).try_for_each(|(path, source)| staged.put_file(path, source, None))
    }

    /// Whether nothing is at `path`, and the folder that it is in exists.
    fn check_vacant(&self, root: &RootName, path: &str) -> Result<(), FileError> {
        match self.look(root, path) {
            Ok(_) => Err(FileError::Exists),
            Err(FileError::NotFound) => self.check_parent(root, path),
            Err(error) => Err(error),
        }
    }

    fn check_move(
        &self,
        root: &RootName,
        from: &str,
        to: &str,
        kind: Kind,
        may: MayMove<'_>,
    ) -> Result<(), FileError> {
        authority::check_path(to).map_err(|error| FileError::InvalidPath(error.to_string()))?;
        may(from, to, kind)?;
        match (self.staged.get(root), kind) {
            (Some(staged), Kind::File) => staged.check_file(to),
            (Some(staged), Kind::Directory) => staged.check_folder(to),
            (None, _) => Ok(()),
        }
    }

    /// What each file of `tree` is on disk, for those that are not staged.
    fn sources(&self, root: &RootName, tree: &Tree, budget: &mut Budget) -> Result<Vec<Source>, FileError> {
        let source = |path: &String| match self.node(root, path) {
            Node::File(_) => Ok(None),
            Node::Disk => self.on_disk(root, path, budget)?.ok_or(FileError::NotFound).map(Some),
            // Neither was in the tree.
            Node::Folder | Node::Nothing => Err(FileError::NotFound),
        };
        tree.files.iter().map(source).collect()
    }

    /// The folder at `path` and all that is in it, as the call sees it. Each counts.
    fn tree(&self, root: &RootName, path: &str, budget: &mut Budget) -> Result<Tree, FileError> {
        let mut tree = Tree::default();
        let mut folders = vec![path.to_owned()];
        while let Some(dir) = folders.pop() {
            budget.touch()?;
            let (names, mode) = self.names(root, &dir, budget)?;
            for name in names {
                match name.strip_suffix('/') {
                    Some(name) => folders.push(join(&dir, name)),
                    None => {
                        budget.touch()?;
                        tree.files.push(join(&dir, &name));
                    }
                }
            }
            tree.folders.push((dir, mode));
        }
        tree.folders.sort_unstable();
        tree.files.sort_unstable();
        Ok(tree)
    }

    /// The names in a folder, those of folders with `/` behind, and its permission bits.
    fn names(&self, root: &RootName, dir: &str, budget: &Budget) -> Result<(Vec<String>, u32), FileError> {
        let staged = self.staged.get(root);
        let changed = staged.map(|staged| staged.in_dir(dir)).unwrap_or_default();
        let (mut names, mode) = match self.node(root, dir) {
            Node::Disk => self.names_on_disk(root, dir, budget)?,
            _ => (Vec::new(), staged.and_then(|staged| staged.folder_mode(dir)).unwrap_or(NEW_FOLDER_MODE)),
        };
        names.retain(|name| !changed.contains_key(name));
        names.extend(changed.into_iter().filter(|(_, exists)| *exists).map(|(name, _)| name));
        Ok((names, mode))
    }

    fn names_on_disk(
        &self,
        root: &RootName,
        dir: &str,
        budget: &Budget,
    ) -> Result<(Vec<String>, u32), FileError> {
        let handle = self.roots.find(root)?.open_dir(dir)?;
        let mode = permissions(&rustix::fs::fstat(&handle)?);
        let files_left = budget.files_left();
        let mut names = Vec::new();
        for entry in Dir::read_from(&handle)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(name) = name.to_str() else { return Err(FileError::Unnamed(dir.to_owned())) };
            match kind_of(&handle, name, entry.file_type()) {
                FileType::RegularFile => names.push(name.to_owned()),
                FileType::Directory => names.push(format!("{name}/")),
                _ => return Err(FileError::Special(join(dir, name))),
            }
            if names.len() as u64 > files_left {
                return Err(Stop::from(Trap::Files).into());
            }
        }
        Ok((names, mode))
    }
}
