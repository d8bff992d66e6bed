//! One hermetic place to run the program in.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// The repository's root.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is below the root").to_owned()
}

/// The program that `cargo xtask test` built, beside the tests.
#[must_use]
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("the test has a path");
    let folder = test.ancestors().nth(2).expect("tests are built two folders below the target");
    let program = folder.join("capstan");
    assert!(program.is_file(), "`{}` is not built: run `cargo xtask test`", program.display());
    program
}

/// Says where guests are to run in tests that do not decide it themselves.
const ISOLATION: &str = "CAPSTAN_TEST_ISOLATION";

/// Where guests are to run, if these tests run once more for that.
#[must_use]
pub fn isolation() -> Option<String> {
    std::env::var(ISOLATION).ok()
}

/// The line of `config.toml` that says where guests are to run, if any.
#[must_use]
pub fn isolation_line() -> String {
    isolation().map_or(String::new(), |isolation| format!("isolation = \"{isolation}\"\n"))
}

/// Runs tests of this binary once more, with guests in the other place than they are by default.
///
/// # Panics
/// If one of them fails.
pub fn run_isolated(isolation: &str, names: &[&str]) {
    if self::isolation().is_some() {
        return;
    }
    let test = std::env::current_exe().expect("the test has a path");
    let again = finish(Command::new(test).args(names).env(ISOLATION, isolation));
    assert_eq!(again.code, Some(0), "with guests in the other place:\n{}", again.said());
    assert!(!again.stdout.contains("running 0 tests"), "no test has such a name");
}

/// How a command ended and what it said.
#[derive(Debug)]
#[must_use]
pub struct Outcome {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Both outputs.
    #[must_use]
    pub fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Asserts the exit code, and gives the outcome back.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "wrong exit code; it said:\n{}", self.said());
        self
    }

    /// Asserts that one of the outputs has `text`.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.said().contains(text), "expected `{text}` in:\n{}", self.said());
        self
    }

    /// Standard output as one JSON document.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("standard output is not JSON ({error}):\n{}", self.said()))
    }

    /// Standard output as one JSON document a line.
    #[track_caller]
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }
}

/// A folder of its own with a home and a workspace, removed when dropped.
pub struct Env {
    folder: PathBuf,
    variables: BTreeMap<String, String>,
}

impl Env {
    /// An empty place; no home is made.
    #[must_use]
    pub fn new() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::SeqCst);
        let name = format!("capstan-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(folder.join("work")).expect("a folder can be made");
        let folder = folder.canonicalize().expect("the folder is there");
        Self { folder, variables: BTreeMap::new() }
    }

    /// A place with a home, without a passphrase.
    #[must_use]
    pub fn with_home() -> Self {
        let env = Self::new();
        drop(env.run(["init"]).exits(0));
        if let Some(isolation) = isolation() {
            env.isolate(&isolation);
        }
        env
    }

    /// Sets where guests run: `thread` or `process`.
    pub fn isolate(&self, isolation: &str) {
        let path = self.home().join("config.toml");
        let text = fs::read_to_string(&path).expect("there are settings");
        let (mode, line) = ("mode = \"solo\"\n", format!("isolation = \"{isolation}\"\n"));
        let rest =
            text.strip_prefix("# Capstan's settings. Trust is in trust.toml, grants are in grants.toml.\n");
        let rest = rest.unwrap_or(&text).strip_prefix(mode).expect("the mode is first");
        let rest = rest
            .split_once('\n')
            .filter(|(first, _)| first.starts_with("isolation"))
            .map_or(rest, |two| two.1);
        fs::write(path, format!("{mode}{line}{rest}")).expect("settings can be written");
    }

    /// A place with a home in which `capstan:files` and `capstan:text` are installed, and files may
    /// read and write everything in the workspace.
    #[must_use]
    pub fn with_packs() -> Self {
        let env = Self::with_home();
        let all = ["--grant", "files-read=workspace:**", "--grant", "files-write=workspace:**"];
        env.install("packs/files", &all);
        env.install("packs/text", &[]);
        env
    }

    /// Sets a variable of the environment for all commands.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// The folder that everything is in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The home folder.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// The folder that commands run in.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// Writes a file of the workspace, with its folders.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.work().join(path);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder can be made");
        fs::write(path, text).expect("a file can be written");
    }

    /// A file of the workspace, if it is there.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.work().join(path)).ok()
    }

    /// The fingerprint of the key that signed the repository's packs.
    #[must_use]
    pub fn publisher() -> String {
        let path = repository().join("packs/.publisher");
        let text = fs::read_to_string(path).expect("the packs are built: run `cargo xtask packs`");
        text.trim().to_owned()
    }

    /// Installs a pack of the repository, trusting this clone's publisher.
    pub fn install(&self, pack: &str, more: &[&str]) {
        let folder = repository().join(pack);
        let publisher = Self::publisher();
        let mut words = vec!["pack", "install", folder.to_str().expect("UTF-8"), "--trust", &publisher];
        words.extend(more);
        drop(self.run(words).exits(0));
    }

    /// The program with this home, in the workspace, with nothing of the tests' own environment.
    #[must_use]
    pub fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(program());
        command.args(words).current_dir(self.work()).stdin(Stdio::null()).env_clear();
        for name in [
            "PATH",
            "HOME",
            "CARGO_HOME",
            "RUSTUP_HOME",
            "CARGO_TARGET_DIR",
            "RUSTUP_TOOLCHAIN",
            "CAPSTAN_GUEST_CARGO_ARGS",
        ] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("CAPSTAN_HOME", self.home()).envs(&self.variables);
        command
    }

    /// Runs the program.
    pub fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Outcome {
        finish(&mut self.command(words))
    }

    /// Runs the program with `--format json`.
    pub fn json<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Outcome {
        let words = words.into_iter().map(|word| word.as_ref().to_owned());
        self.run(words.chain(["--format".into(), "json".into()]))
    }

    /// Every file below a folder with its content, links as their targets.
    #[must_use]
    pub fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        collect(folder, folder, &mut found);
        found
    }
}

impl Default for Env {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Env {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

/// Runs a command to its end.
pub fn finish(command: &mut Command) -> Outcome {
    let output = command.output().expect("the program starts");
    Outcome {
        code: output.status.code(),
        signal: output.status.signal(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = path.strip_prefix(root).expect("below the root").to_owned();
        let kind = entry.file_type().expect("an entry has a kind");
        if kind.is_symlink() {
            let target = fs::read_link(&path).expect("a link has a target");
            found.insert(name, target.into_os_string().into_encoded_bytes());
        } else if kind.is_dir() {
            collect(root, &path, found);
        } else if kind.is_file() {
            found.insert(name, fs::read(&path).unwrap_or_default());
        }
    }
}
