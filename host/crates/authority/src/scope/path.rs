//! Which paths under which root.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use base::RootName;

use super::{ParseScopeError, ScopeErrorReason};
use crate::glob::{Glob, is_special};
use crate::{GLOB_BYTES_MAX, check_path};

/// `root:glob`, e.g. `workspace:docs/**/*.md`. The glob's segments are separated by `/`; `*` and `?`
/// match within a segment, `**` as a whole segment any number of segments, `{a,b}` either text. A
/// segment that starts with a dot is matched only where the pattern spells that dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathScope {
    root: RootName,
    text: Box<str>,
    glob: Glob,
}

impl PathScope {
    /// The root its paths are relative to.
    #[must_use]
    pub fn root(&self) -> &RootName {
        &self.root
    }

    /// The pattern's text, without the root.
    #[must_use]
    pub fn glob(&self) -> &str {
        &self.text
    }

    /// Whether `path` under `root` is in the scope. Never for a path that [`check_path`] refuses.
    #[must_use]
    pub fn matches(&self, root: &RootName, path: &str) -> bool {
        check_path(path).is_ok() && self.matches_checked(root, path)
    }

    /// The same of a path that [`check_path`] accepts.
    pub(crate) fn matches_checked(&self, root: &RootName, path: &str) -> bool {
        self.root == *root && self.glob.matches(path)
    }

    /// Whether it is one path, without any wildcard.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.glob.is_literal()
    }

    /// The folder of which it holds all, if it is a scope such as `workspace:docs/**`; empty for the
    /// root itself.
    #[must_use]
    pub fn whole_folder(&self) -> Option<&str> {
        let folder = if &*self.text == "**" { "" } else { self.text.strip_suffix("/**")? };
        (!folder.contains(is_special) && (folder.is_empty() || check_path(folder).is_ok())).then_some(folder)
    }

    /// Whether anything below the folder `dir` could be in the scope; `dir` is empty for the root
    /// itself. It may say yes where nothing exists, never no where something does.
    #[must_use]
    pub fn matches_prefix_dir(&self, root: &RootName, dir: &str) -> bool {
        self.root == *root
            && (dir.is_empty() || check_path(dir).is_ok())
            && self.glob.matches_below(dir.split('/').filter(|name| !name.is_empty()))
    }

    /// The narrowest scope that holds `path`: the path itself, with `?` for each character that a
    /// pattern cannot spell. None if there is none, as for a path longer than a pattern.
    #[must_use]
    pub fn of_path(root: &RootName, path: &str) -> Option<Self> {
        check_path(path).ok()?;
        let text: String = path.chars().map(|c| if is_special(c) { '?' } else { c }).collect();
        (text.len() <= GLOB_BYTES_MAX).then(|| format!("{root}:{text}").parse().ok()).flatten()
    }

    /// Whether some path could be in both scopes. It may say yes where no such path exists, never
    /// no where one does.
    #[must_use]
    pub fn may_meet(&self, other: &Self) -> bool {
        self.root == other.root && self.glob.may_meet(&other.glob)
    }

    /// Whether every path in this scope is in `other` too. It says yes only where that is so.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.root == other.root && self.glob.is_within(&other.glob)
    }

    /// In `asked` if it is a single path, else not certainly apart from it.
    pub(super) fn meets(&self, asked: &Self) -> bool {
        self.may_meet(asked) && (!self.is_literal() || asked.matches(&self.root, &self.text))
    }
}

impl FromStr for PathScope {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, ParseScopeError> {
        let fail = |reason| ParseScopeError::new(text, reason);
        let (root, glob) = text.split_once(':').ok_or_else(|| fail(ScopeErrorReason::NoRoot))?;
        let root = root.parse().map_err(|_| fail(ScopeErrorReason::RootName))?;
        let parsed = Glob::parse(glob).map_err(|error| fail(error.into()))?;
        Ok(Self { root, text: glob.into(), glob: parsed })
    }
}

impl fmt::Display for PathScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.root, self.text)
    }
}

/// By root, then by text.
impl Ord for PathScope {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.root, &self.text).cmp(&(&other.root, &other.text))
    }
}

impl PartialOrd for PathScope {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
