//! A worker process as the parent has it: what is read of it is bounded, and it never outlives this.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Child;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire;

/// Why a worker is of no more use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken<E> {
    /// It ended, or what it said is no message.
    #[error("it ended, or did not keep to its protocol")]
    Worker,
    /// Whoever waited for it does not any more.
    #[error("it was given up")]
    Stopped(E),
}

/// A running worker. It is killed when this is dropped.
pub(super) struct Worker {
    child: Child,
    /// Reads and writes on it return every few milliseconds.
    socket: UnixStream,
}

impl Worker {
    pub(super) fn new(child: Child, socket: UnixStream) -> Self {
        Self { child, socket }
    }

    /// Whether it is still there.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a message, as long as `go_on` says so.
    pub(super) fn tell<E>(
        &mut self,
        message: &impl Serialize,
        go_on: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<(), Broken<E>> {
        let frame = wire::frame(message).map_err(|_| Broken::Worker)?;
        self.send(&frame, go_on)
    }

    /// Sends bytes as one frame.
    pub(super) fn tell_bytes<E>(
        &mut self,
        bytes: &[u8],
        go_on: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<(), Broken<E>> {
        let length = u32::try_from(bytes.len()).map_err(|_| Broken::Worker)?;
        self.send(&length.to_be_bytes(), go_on)?;
        self.send(bytes, go_on)
    }

    fn send<E>(
        &mut self,
        mut bytes: &[u8],
        go_on: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<(), Broken<E>> {
        while !bytes.is_empty() {
            match self.socket.write(bytes) {
                Ok(0) => return Err(Broken::Worker),
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) => Self::may_go_on(&error, go_on)?,
            }
        }
        Ok(())
    }

    /// The next message, of `bytes_max` at most, as long as `go_on` says so.
    pub(super) fn hear<T: DeserializeOwned, E>(
        &mut self,
        bytes_max: u64,
        go_on: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<T, Broken<E>> {
        let head = self.take(wire::HEAD_BYTES, go_on)?;
        let head = head.first_chunk().ok_or(Broken::Worker)?;
        let length = wire::length(*head);
        if length as u64 > bytes_max {
            return Err(Broken::Worker);
        }
        wire::decode(&self.take(length, go_on)?).map_err(|_| Broken::Worker)
    }

    /// Exactly so many bytes; memory for them is taken as they come.
    fn take<E>(
        &mut self,
        count: usize,
        go_on: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<Vec<u8>, Broken<E>> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            let left = (count - bytes.len()) as u64;
            match (&self.socket).take(left).read_to_end(&mut bytes) {
                // Its end, before all of them were there.
                Ok(_) if bytes.len() < count => return Err(Broken::Worker),
                Ok(_) => {}
                // What came before is kept.
                Err(error) => Self::may_go_on(&error, go_on)?,
            }
        }
        Ok(bytes)
    }

    fn may_go_on<E>(
        error: &std::io::Error,
        go_on: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<(), Broken<E>> {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {
                go_on().map_err(Broken::Stopped)
            }
            _ => Err(Broken::Worker),
        }
    }
}

/// Whatever it is doing, it ends here.
impl Drop for Worker {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _is_gone = self.child.wait();
    }
}
