//! Where the system's clock and randomness enter the program.
//!
//! Every layer below takes time and random bytes as arguments; this module is what they get.

#![expect(clippy::disallowed_methods, reason = "this module owns the system clock")]

use std::time::{SystemTime, UNIX_EPOCH};

use base::{Clock, Timestamp};

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A time that the file system gave; none if it is before 1970.
pub(crate) fn timestamp(time: SystemTime) -> Option<Timestamp> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok().map(Timestamp)
}

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gave no random bytes: {0}")]
pub(crate) struct RandomError(String);

/// `N` bytes from the system's generator.
///
/// # Errors
/// If the system has none, which on Linux means that it is broken.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| RandomError(error.to_string()))?;
    Ok(bytes)
}

/// The name of the user that runs the program: for the record, never for a decision.
pub(crate) fn user_name() -> String {
    format!("uid {}", rustix::process::getuid().as_raw())
}

/// Keeps what this process has in memory, the values of secrets among it, out of core dumps and from
/// other processes of the same user. A program that it starts decides for itself.
pub fn keep_memory_private() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // Either alone is enough for a core; what a machine does not have, it has no need of. A limit of
    // one byte also holds for a core that is piped to a program, which none at all does not (core(5)).
    let _tried = setrlimit(Resource::Core, Rlimit { current: Some(1), maximum: Some(1) });
    #[cfg(target_os = "linux")]
    let _tried = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
