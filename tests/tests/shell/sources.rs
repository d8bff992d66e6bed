//! The folder in which tests compile packs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tests::Env;
use tests::env::{Outcome, finish};

/// An empty folder for sources, of one test at a time. It is the same for all tests and stays when
/// they end: what is compiled for a workspace serves that workspace alone, so a folder of each
/// test's own would have everything compiled again.
pub struct Sources {
    folder: PathBuf,
    target: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

impl Sources {
    /// Empties the folder.
    pub fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        // A test that failed in here left no more than files, which go now.
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = kept.join("shell-sources");
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).unwrap();
        Self { folder, target: kept.join("shell-target"), _alone: alone }
    }

    /// The folder's path.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a command run here, and compile from what is on this machine already.
    pub fn host(&self, command: &mut Command) {
        command.current_dir(&self.folder);
        command.env("CARGO_TARGET_DIR", &self.target).env("CARGO_NET_OFFLINE", "true");
    }

    /// Runs the program here, with the home of `env`.
    pub fn run(&self, env: &Env, words: &[&str]) -> Outcome {
        let mut command = env.command(words);
        self.host(&mut command);
        finish(&mut command)
    }

    /// A file's text.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Replaces `old`, which is there once, in a file.
    #[track_caller]
    pub fn edit(&self, path: &str, old: &str, new: &str) {
        let text = self.read(path);
        assert_eq!(text.matches(old).count(), 1, "`{old}` in {path}:\n{text}");
        fs::write(self.folder.join(path), text.replace(old, new)).unwrap();
    }

    /// The line of a file, from 1, that has `text`.
    pub fn line_of(&self, path: &str, text: &str) -> usize {
        1 + self.read(path).lines().position(|line| line.contains(text)).expect("a line has it")
    }
}
