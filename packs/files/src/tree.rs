//! The operations of `tree`: the host's file calls, as text.

use capstan_sdk::files;

use crate::Files;
use crate::exports::capstan::files::tree::{Entry, Failure, File, Guest, Kind, Match, Reason, Written};
use crate::search::Search;

/// The root that an operation works on when none is named.
const ROOT_DEFAULT: &str = "workspace";
/// The most matches in one answer.
const MATCHES_MAX: usize = 5_000;

fn root(named: Option<&String>) -> &str {
    named.map_or(ROOT_DEFAULT, String::as_str)
}

fn failure(root: &str, path: &str, reason: Reason) -> Failure {
    Failure { path: format!("{root}:{path}"), reason }
}

impl From<files::Reason> for Reason {
    fn from(reason: files::Reason) -> Self {
        match reason {
            files::Reason::Denied(why) => Self::Denied(why),
            files::Reason::NotFound => Self::NotFound,
            files::Reason::Exists => Self::Exists,
            files::Reason::NotAFile => Self::NotAFile,
            files::Reason::NotADirectory => Self::NotADirectory,
            files::Reason::InvalidPath(why) => Self::InvalidPath(why),
            files::Reason::TooLarge => Self::TooLarge,
            files::Reason::NotText => Self::NotText,
            files::Reason::Io(why) => Self::Io(why),
        }
    }
}

impl From<files::Error> for Failure {
    fn from(error: files::Error) -> Self {
        failure(&error.root, &error.path, error.reason.into())
    }
}

fn stage(root: &str, path: String, text: &str) -> Result<Written, Failure> {
    files::write(root, &path, text)?;
    Ok(Written { path, bytes: u64::try_from(text.len()).unwrap_or(u64::MAX) })
}

impl Guest for Files {
    fn list(named: Option<String>, glob: String) -> Result<Vec<String>, Failure> {
        Ok(files::list(root(named.as_ref()), &glob)?)
    }

    fn stat(named: Option<String>, path: String) -> Result<Entry, Failure> {
        let found = files::stat(root(named.as_ref()), &path)?;
        let kind = match found.kind {
            files::Kind::File => Kind::File,
            files::Kind::Directory => Kind::Directory,
        };
        Ok(Entry { path, kind, size: found.size })
    }

    fn read(named: Option<String>, path: String) -> Result<File, Failure> {
        let text = files::read_text(root(named.as_ref()), &path)?;
        Ok(File { path, text })
    }

    fn search(named: Option<String>, glob: String, pattern: String) -> Result<Vec<Match>, Failure> {
        let root = root(named.as_ref());
        let search = Search::new(&pattern)
            .map_err(|error| failure(root, &glob, Reason::BadPattern(error.to_string())))?;
        let mut matches = Vec::new();
        for path in files::list(root, &glob)? {
            let text = match files::read_text(root, &path) {
                Err(files::Error { reason: files::Reason::NotText, .. }) => continue,
                read => read?,
            };
            for hit in search.hits(&text) {
                if matches.len() == MATCHES_MAX {
                    return Err(failure(root, &glob, Reason::TooManyMatches));
                }
                matches.push(Match {
                    path: path.clone(),
                    line: hit.line,
                    column: hit.column,
                    text: hit.text,
                });
            }
        }
        Ok(matches)
    }

    fn write(named: Option<String>, path: String, text: String) -> Result<Written, Failure> {
        stage(root(named.as_ref()), path, &text)
    }

    fn remove(named: Option<String>, path: String) -> Result<(), Failure> {
        Ok(files::remove(root(named.as_ref()), &path)?)
    }

    fn create_dir(named: Option<String>, path: String) -> Result<(), Failure> {
        Ok(files::create_dir(root(named.as_ref()), &path)?)
    }

    fn rename(named: Option<String>, source: String, target: String) -> Result<(), Failure> {
        Ok(files::rename(root(named.as_ref()), &source, &target)?)
    }

    fn remove_tree(named: Option<String>, path: String) -> Result<(), Failure> {
        Ok(files::remove_tree(root(named.as_ref()), &path)?)
    }

    fn append(named: Option<String>, path: String, text: String) -> Result<Written, Failure> {
        let root = root(named.as_ref());
        let mut whole = match files::read_text(root, &path) {
            Err(files::Error { reason: files::Reason::NotFound, .. }) => String::new(),
            read => read?,
        };
        whole.push_str(&text);
        stage(root, path, &whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_defaults_to_the_workspace() {
        assert_eq!(root(None), "workspace");
        assert_eq!(root(Some(&"notes".to_owned())), "notes");
    }

    #[test]
    fn a_failure_names_root_and_path() {
        let error = files::Error {
            root: "workspace".into(),
            path: "a/b.md".into(),
            reason: files::Reason::InvalidPath("a `..` segment".into()),
        };
        let failure = Failure::from(error);
        assert_eq!(failure.path, "workspace:a/b.md");
        assert!(matches!(failure.reason, Reason::InvalidPath(why) if why == "a `..` segment"));
    }
}
