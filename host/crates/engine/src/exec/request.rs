//! What is run, and what comes of it, with everything decided.

use std::collections::BTreeMap;

use base::Digest;
use serde::{Deserialize, Serialize};

/// The program's private folder, which is its home too: empty memory, gone with it.
pub(crate) const SCRATCH: &str = "/dev/shm";

/// One run of one program, with nothing left to decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecRequest {
    /// What is run.
    pub program: ExecProgram,
    /// Its arguments, without the name.
    pub arguments: Vec<String>,
    /// All its variables.
    pub variables: BTreeMap<String, String>,
    /// Where.
    pub folder: ExecFolder,
    /// Folders below the root that it may change, each without a `/` at its end; the empty one is
    /// the root. None in operations of effect `read` and `write`.
    pub writable: Vec<String>,
    /// Its standard input.
    #[serde(with = "as_base64")]
    pub stdin: Vec<u8>,
    /// What it may use.
    pub limits: ExecLimits,
}

impl ExecRequest {
    /// The program and its arguments on one line, each word that is not plain in quotes.
    pub(crate) fn command_line(&self) -> String {
        let plain = |word: &str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_=:/.,@%+".contains(c))
        };
        let words = std::iter::once(&self.program.name).chain(&self.arguments);
        let words = words.map(|word| if plain(word) { word.clone() } else { format!("{word:?}") });
        words.collect::<Vec<_>>().join(" ")
    }

    /// All of it, for whoever approves it.
    pub(crate) fn text(&self) -> String {
        let list = |name: &str, values: &mut dyn Iterator<Item = String>| {
            values.map(|value| format!("{name}: {value}\n")).collect::<String>()
        };
        let words = list("argument", &mut self.arguments.iter().map(|word| format!("{word:?}")));
        let variables =
            list("variable", &mut self.variables.iter().map(|(name, value)| format!("{name}={value:?}")));
        let changes = list("may change", &mut self.writable.iter().map(|below| format!("`{below}`")));
        let ExecFolder { root, below, .. } = &self.folder;
        format!(
            "{}\nprogram: {}\ndigest: {}\n{words}folder: `{below}` in `{root}`\n{changes}{variables}\n{}",
            self.command_line(),
            self.program.path,
            self.program.digest,
            String::from_utf8_lossy(&self.stdin),
        )
    }
}

/// A program's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecProgram {
    /// The name that it was asked for by, and is told as its own.
    pub name: String,
    /// The absolute path of the file, without links.
    pub path: String,
    /// The digest of the file.
    pub digest: Digest,
}

/// A folder below a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecFolder {
    /// The absolute path of the root's folder, all of which the program can read.
    pub root: String,
    /// The device number of that folder.
    pub device: u64,
    /// Its inode number.
    pub inode: u64,
    /// The folder below it that the program runs in; empty for the root itself.
    pub below: String,
    /// What is below the root and hidden from the program: the absolute path of the host's own
    /// folder, if it is there.
    pub hidden: Option<String>,
}

/// What one program, with all that it starts, may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecLimits {
    /// Wall time, in milliseconds; the call's own, where that is less.
    pub wall_ms: u64,
    /// Time on the processor of each process, in seconds.
    pub cpu_s: u64,
    /// Address space of each process, in bytes.
    pub memory_bytes: u64,
    /// Processes and threads at one time; the kernel's smallest bound may be some hundreds more.
    pub tasks: u64,
    /// Files that each process may have open.
    pub open_files: u64,
    /// Standard output and error together, in bytes; what the call may still take, where that is
    /// less.
    pub output_bytes: u64,
    /// The private folder, in bytes.
    pub scratch_bytes: u64,
}

impl ExecLimits {
    /// Enough for a compiler, too little for harm.
    pub const DEFAULT: Self = Self {
        wall_ms: 60_000,
        cpu_s: 60,
        memory_bytes: 4 << 30,
        tasks: 256,
        open_files: 256,
        output_bytes: 16 << 20,
        scratch_bytes: 64 << 20,
    };
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// By itself, with this code.
    Exited(u8),
    /// By this signal.
    Signalled(u8),
}

/// What a program left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecAnswer {
    /// How it ended.
    pub ending: Ending,
    /// Standard output.
    #[serde(with = "as_base64")]
    pub stdout: Vec<u8>,
    /// Standard error.
    #[serde(with = "as_base64")]
    pub stderr: Vec<u8>,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
}

/// Why a program was not run to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecError {
    /// There is no such program, root or folder.
    #[error("there is no such program or folder")]
    NotFound,
    /// The folder is no path by the rules.
    #[error("the folder is no path below the root: {0}")]
    InvalidFolder(String),
    /// The program's file is not the one that was resolved or granted.
    #[error("the program's file is another one than was granted")]
    Changed,
    /// It cannot be confined here, or not be run at all.
    #[error("{0}")]
    Unsupported(String),
    /// It took longer than its limit.
    #[error("the program took too long")]
    Timeout,
    /// It wrote more than its limit.
    #[error("the program wrote too much")]
    TooLarge,
    /// The call that it belongs to is over.
    #[error("the call is over")]
    Stopped,
    /// The operating system failed.
    #[error("{0}")]
    Io(String),
}

/// What the confined side reports.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    /// The program ran to its end, in so many milliseconds.
    Ended(Ending, u64),
    /// It did not.
    Failed(ExecError),
    /// A trial's findings, with no program.
    Tried(Vec<crate::confine::Holds>),
}

/// Bytes in JSON.
mod as_base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(de::Error::custom)
    }
}
