//! The system's keychain: the Secret Service that desktops have, by libsecret's `secret-tool`.
//!
//! A process of its own asks it: what does not answer, or waits for somebody to unlock it, is killed
//! after a while and holds nothing up. The value goes through pipes and is no argument.

#![expect(clippy::disallowed_methods, reason = "this module starts a program, and bounds its time")]

use std::ffi::OsString;
use std::io::{ErrorKind, Write as _};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use authority::SecretName;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use zeroize::Zeroizing;

use crate::Home;

/// The program that knows how to talk to it.
const TOOL: &str = "secret-tool";
/// How long it may take. Who has to unlock the keychain first does that beforehand.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most of what it says that is read, in bytes: more than a value has, and as much as a pipe holds.
const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Most of a reason that is passed on, in characters.
const REASON_CHARS_MAX: usize = 200;

/// The keychain does not do what it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeychainError {
    /// Nothing here talks to it.
    #[error("`{TOOL}`, which talks to the system's keychain, is not installed")]
    NoTool,
    /// Nobody answers, or with this reason.
    #[error("the system's keychain cannot be used: {0}")]
    Unavailable(String),
    /// No answer came.
    #[error("the system's keychain does not answer within {} s", PATIENCE.as_secs())]
    Silent,
    /// It has no such value, or does not say.
    #[error("the system's keychain is locked, or has no value for it any more")]
    Nothing,
}

/// The values of one home in the keychain of the user that runs this program.
#[derive(Debug, Clone)]
pub(super) struct Keychain {
    home: OsString,
}

/// How the program ended, and what it said.
struct Said {
    is_success: bool,
    output: Zeroizing<Vec<u8>>,
    reason: String,
}

impl Keychain {
    pub(super) fn of(home: &Home) -> Self {
        let path = std::fs::canonicalize(home.path()).unwrap_or_else(|_| home.path().to_owned());
        Self { home: path.into_os_string() }
    }

    /// Whether anybody answers. That it is unlocked is seen only by asking for a value.
    pub(super) fn try_out(&self) -> Result<(), KeychainError> {
        match self.ask("lookup", ".", None)? {
            Said { is_success: false, reason, .. } if !reason.is_empty() => {
                Err(KeychainError::Unavailable(reason))
            }
            _ => Ok(()),
        }
    }

    /// Keeps a value, in place of the one that it had.
    pub(super) fn set(&self, name: &SecretName, value: &str) -> Result<(), KeychainError> {
        self.ask("store", &name.to_string(), Some(value))?.succeeded().map(drop)
    }

    /// A value.
    pub(super) fn get(&self, name: &SecretName) -> Result<Zeroizing<String>, KeychainError> {
        let output = self.ask("lookup", &name.to_string(), None)?.succeeded()?;
        let text = std::str::from_utf8(&output);
        let text = text.map_err(|_| KeychainError::Unavailable("it gives no text".to_owned()))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// Forgets a value.
    pub(super) fn delete(&self, name: &SecretName) -> Result<(), KeychainError> {
        self.ask("clear", &name.to_string(), None)?.succeeded().map(drop)
    }

    fn ask(&self, what: &str, name: &str, value: Option<&str>) -> Result<Said, KeychainError> {
        let mut command = Command::new(TOOL);
        command.arg(what);
        if value.is_some() {
            command.arg(format!("--label=Capstan: {name}"));
        }
        command.args(["application", "capstan", "home"]).arg(&self.home).args(["secret", name]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => KeychainError::NoTool,
            _ => unavailable(error),
        })?;
        if let (Some(mut stdin), Some(value)) = (child.stdin.take(), value) {
            // A pipe holds it all. Whoever does not read it says why.
            let _ended_already = stdin.write_all(value.as_bytes());
        }
        let is_over = wait(&child).map_err(unavailable);
        if !matches!(is_over, Ok(true)) {
            let _ended_just_now = child.kill();
        }
        let status = child.wait().map_err(unavailable)?;
        if !is_over? {
            return Err(KeychainError::Silent);
        }
        let output = rest(child.stdout.as_ref()).map_err(unavailable)?;
        let errors = rest(child.stderr.as_ref()).map_err(unavailable)?;
        let mut reason = reason(&String::from_utf8_lossy(&errors));
        if status.code().is_none() && reason.is_empty() {
            reason = format!("`{TOOL}` failed: {status}");
        }
        Ok(Said { is_success: status.success(), output, reason })
    }
}

impl Said {
    fn succeeded(self) -> Result<Zeroizing<Vec<u8>>, KeychainError> {
        match self {
            Self { is_success: true, output, .. } => Ok(output),
            Self { reason, .. } if reason.is_empty() => Err(KeychainError::Nothing),
            Self { reason, .. } => Err(KeychainError::Unavailable(reason)),
        }
    }
}

fn unavailable(error: impl std::fmt::Display) -> KeychainError {
    KeychainError::Unavailable(error.to_string())
}

/// The first line of what it says, without its name.
fn reason(errors: &str) -> String {
    let line = errors.trim().lines().next().unwrap_or_default();
    let line = line.strip_prefix(TOOL).and_then(|line| line.strip_prefix(": ")).unwrap_or(line);
    line.chars().take(REASON_CHARS_MAX).collect()
}

/// Whether it ends in time.
fn wait(child: &Child) -> rustix::io::Result<bool> {
    let ended = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| rustix::io::Errno::INVAL)?;
        match poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&left)) {
            Ok(count) => return Ok(count > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// What is in a pipe whose writer is gone. Should somebody else have it, nobody waits for that.
fn rest(pipe: Option<&impl AsFd>) -> rustix::io::Result<Zeroizing<Vec<u8>>> {
    // All of its room at once: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(vec![0; OUTPUT_BYTES_MAX]);
    let mut filled = 0;
    if let Some(pipe) = pipe {
        fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            match rustix::io::read(pipe, room) {
                Ok(0) | Err(rustix::io::Errno::AGAIN) => break,
                Ok(count) => filled = filled.saturating_add(count),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
