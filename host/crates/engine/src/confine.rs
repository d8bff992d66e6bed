//! Confining a program: what the process does that was started as `capstan internal confine`.
//!
//! Two processes stand between the host and the program. The outer one makes the namespaces, starts
//! the inner one in them, and waits: when the inner one ends, or the host goes away or hangs up, it
//! kills the inner one and ends. The inner one is the first of its process namespace, so that the
//! kernel ends every process in it with it, whatever they did to get away, before the outer one is
//! told of its end. It puts on all that holds the program, then starts it and waits for it:
//!
//! - namespaces of its own for users, processes, mounts, the network, and System V and POSIX queues;
//! - Landlock: reads its root, its file and the system's libraries; writes its private folder;
//! - a filter of system calls ([`filter`]): no socket, no metadata of files, no kernel that a
//!   program of this kind has no use for;
//! - bounds on processes, memory, processor time and files, no capabilities, no new privileges, no
//!   core, no terminal.
//!
//! None of these is optional: where one cannot be had, nothing is run and the reason is told.

mod filesystem;
mod filter;
mod inside;
mod mounts;
mod outside;
pub(crate) mod resident;
mod resources;
mod trial;

use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use serde::{Deserialize, Serialize};

use crate::exec::{ExecError, ExecLimits, ExecRequest};

/// Longest order, in bytes: a command, and standard input as base64.
const ORDER_BYTES_MAX: u64 = 512 << 20;

/// What the inner process is to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Run this.
    Run(Box<ExecRequest>),
    /// Run nothing, and try out what holds.
    Try(ExecLimits),
}

/// One thing that was tried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holds {
    /// What should be out of reach.
    pub what: String,
    /// What was seen: none if it is out of reach.
    pub reached: Option<String>,
}

/// What was tried out on this machine.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) holds: Vec<Holds>,
}

impl Order {
    /// The bytes that the inner process reads: the length, then JSON.
    pub(crate) fn frame(&self) -> std::io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let mut frame = (json.len() as u64).to_be_bytes().to_vec();
        frame.extend(json);
        Ok(frame)
    }

    fn read(control: &mut UnixStream) -> std::io::Result<Self> {
        let mut length = [0; 8];
        control.read_exact(&mut length)?;
        let length = u64::from_be_bytes(length);
        if length > ORDER_BYTES_MAX {
            return Err(std::io::Error::other("the order is too long"));
        }
        let mut json = vec![0; usize::try_from(length).unwrap_or(0)];
        control.read_exact(&mut json)?;
        Ok(serde_json::from_slice(&json)?)
    }
}

/// The process is not confined.
#[derive(Debug, thiserror::Error)]
#[error("the process is not confined: {0}")]
pub struct ConfineError(String);

/// The work of `capstan internal confine`: the outer process, or with `inside` the inner one. What
/// came of it is reported over standard input, which is a socket.
///
/// # Errors
/// If nobody is there to be told of it.
pub fn confine_program(inside: bool) -> Result<(), ConfineError> {
    let control = std::io::stdin().as_fd().try_clone_to_owned();
    let control = UnixStream::from(control.map_err(|error| ConfineError(error.to_string()))?);
    let done = if inside { inside::run(control) } else { outside::run(control) };
    done.map_err(|error| ConfineError(error.to_string()))
}

/// One step of confining, for the message when it fails.
fn step<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> Result<T, ExecError> {
    result.map_err(|error| ExecError::Unsupported(format!("this machine cannot {what}: {error}")))
}
