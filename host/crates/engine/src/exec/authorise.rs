//! From what a guest asks for to what is run.

use std::collections::BTreeMap;

use authority::{Authority, Denied, ExecCall, check_path};
use base::{Capability, Effect, RootName};

use super::program::resolve;
use super::{ExecError, ExecFolder, ExecRequest, ExecRunner, SCRATCH};
use crate::files::Roots;

/// What every program gets; nothing of the host's own environment.
const VARIABLES: [(&str, &str); 4] =
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("HOME", SCRATCH), ("TMPDIR", SCRATCH)];
/// What git gets besides: the settings of a repository are not its user's, and may name programs.
const GIT_VARIABLES: [(&str, &str); 17] = [
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_PAGER", "cat"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_CONFIG_COUNT", "5"),
    ("GIT_CONFIG_KEY_0", "core.fsmonitor"),
    ("GIT_CONFIG_VALUE_0", "false"),
    ("GIT_CONFIG_KEY_1", "core.hooksPath"),
    ("GIT_CONFIG_VALUE_1", "/dev/null"),
    ("GIT_CONFIG_KEY_2", "safe.bareRepository"),
    ("GIT_CONFIG_VALUE_2", "explicit"),
    ("GIT_CONFIG_KEY_3", "diff.external"),
    ("GIT_CONFIG_VALUE_3", ""),
    ("GIT_CONFIG_KEY_4", "submodule.recurse"),
    ("GIT_CONFIG_VALUE_4", "false"),
];

/// What a guest asks for.
pub(crate) struct Wanted<'a> {
    pub(crate) program: &'a str,
    pub(crate) arguments: &'a [String],
    pub(crate) variables: &'a [(String, String)],
    pub(crate) root: &'a str,
    pub(crate) folder: &'a str,
    pub(crate) stdin: &'a [u8],
}

/// It is not run.
pub(crate) enum Refusal {
    Denied(Denied),
    Error(ExecError),
}

impl From<ExecError> for Refusal {
    fn from(error: ExecError) -> Self {
        Self::Error(error)
    }
}

impl ExecRunner {
    /// Decides everything about a run: whether it is permitted, and what exactly it is.
    pub(crate) fn authorise(
        &self,
        wanted: &Wanted<'_>,
        authority: &Authority,
        roots: &Roots,
    ) -> Result<ExecRequest, Refusal> {
        let root: RootName = wanted.root.parse().map_err(|_| ExecError::NotFound)?;
        let call = ExecCall {
            root: &root,
            program: wanted.program,
            arguments: wanted.arguments,
            variables: wanted.variables,
        };
        let digests = authority.permits_exec(&call).map_err(Refusal::Denied)?;
        let folder = folder(&root, wanted.folder, roots)?;
        let changes = authority.effect() >= Effect::External;
        let writable = changes.then(|| authority.whole_folders(Capability::FilesWrite, &root));
        let writable = writable.unwrap_or_default();
        let settings = self.settings();
        let program = resolve(wanted.program, &settings.search)?;
        if digests.is_some_and(|digests| !digests.contains(&program.digest)) {
            return Err(ExecError::Changed.into());
        }
        let fixed = GIT_VARIABLES.iter().filter(|_| program.name == "git").chain(&VARIABLES);
        let mut variables: BTreeMap<String, String> = wanted.variables.iter().cloned().collect();
        variables.extend(fixed.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Ok(ExecRequest {
            program,
            arguments: wanted.arguments.to_vec(),
            variables,
            folder,
            writable,
            stdin: wanted.stdin.to_vec(),
            limits: settings.limits,
        })
    }
}

fn folder(name: &RootName, below: &str, roots: &Roots) -> Result<ExecFolder, ExecError> {
    if !below.is_empty() {
        check_path(below).map_err(|error| ExecError::InvalidFolder(error.to_string()))?;
    }
    let root = roots.get(name).ok_or(ExecError::NotFound)?;
    let utf8 = |path: &std::path::Path| path.to_str().map(ToOwned::to_owned);
    let odd = || ExecError::Unsupported(format!("the folder of root `{name}` has a name that is not UTF-8"));
    let hidden = root.reserved_below().map(|path| utf8(&path).ok_or_else(odd)).transpose()?;
    let path = utf8(root.path()).ok_or_else(odd)?;
    let (device, inode) = (root.device(), root.inode());
    Ok(ExecFolder { root: path, device, inode, below: below.to_owned(), hidden })
}
