//! Calls of the host by a guest in a worker, and how this side answers them.

use authority::Authority;
use base::Capability;
use serde::{Deserialize, Serialize};

use super::wire::Bytes;
use crate::bindings::{
    artifacts, clock, exec, files_read, files_write, http_read, http_send, log, model, random,
};
use crate::capability::inert;
use crate::guest::Guest;
use crate::random::Draws as _;
use crate::tape::encode;

/// One function of `capstan:host` with its arguments, or a draw of WASI's, which comes from the same
/// stream as those of `random`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum HostCall {
    ArtifactsGet { digest: String },
    ArtifactsPut { contents: Bytes, media_type: String },
    ClockNow,
    Exec(exec::Request),
    FilesCreateDir { root: String, path: String },
    FilesList { root: String, glob: String, cursor: Option<String> },
    FilesRead { root: String, path: String },
    FilesRemove { root: String, path: String },
    FilesRemoveTree { root: String, path: String },
    FilesRename { root: String, source: String, target: String },
    FilesStat { root: String, path: String },
    FilesWrite { root: String, path: String, contents: Bytes },
    HttpRead(http_read::Request),
    HttpSend(http_send::Request),
    Log { level: log::Level, message: String },
    Model(model::Request),
    Random { length: u32 },
    WasiRandom { length: u64 },
    WasiRandomNumber,
}

impl HostCall {
    /// The interface that it is a function of; none for WASI's.
    pub(super) fn capability(&self) -> Option<Capability> {
        Some(match self {
            Self::ArtifactsGet { .. } | Self::ArtifactsPut { .. } => Capability::Artifacts,
            Self::ClockNow => Capability::Clock,
            Self::Exec(_) => Capability::Exec,
            Self::FilesList { .. } | Self::FilesRead { .. } | Self::FilesStat { .. } => Capability::FilesRead,
            Self::FilesCreateDir { .. }
            | Self::FilesRemove { .. }
            | Self::FilesRemoveTree { .. }
            | Self::FilesRename { .. }
            | Self::FilesWrite { .. } => Capability::FilesWrite,
            Self::HttpRead(_) => Capability::HttpRead,
            Self::HttpSend(_) => Capability::HttpSend,
            Self::Log { .. } => Capability::Log,
            Self::Model(_) => Capability::Model,
            Self::Random { .. } => Capability::Random,
            Self::WasiRandom { .. } | Self::WasiRandomNumber => return None,
        })
    }

    /// At least as many strings as its frame has.
    pub(super) fn strings(&self) -> usize {
        /// Of its own fields.
        const FIXED: usize = 8;
        let listed = match self {
            Self::Exec(request) => request.arguments.len() + 2 * request.variables.len(),
            Self::HttpRead(request) => 2 * request.headers.len() + request.secrets.len(),
            Self::HttpSend(request) => 2 * request.headers.len() + request.secrets.len(),
            Self::Model(request) => request.messages.len(),
            _ => 0,
        };
        FIXED + listed
    }
}

/// Calls a function of an interface as it is linked for a guest of this process.
macro_rules! reach {
    ($guest:ident, $interface:ident :: $function:ident ( $($argument:expr),* ), $capability:ident) => {
        if is_live(&$guest.authority, Capability::$capability) {
            $interface::Host::$function($guest, $($argument),*)
        } else {
            $interface::Host::$function(&mut inert($guest), $($argument),*)
        }
    };
}

fn is_live(authority: &Authority, capability: Capability) -> bool {
    authority.live(capability)
}

/// Makes the call on `guest`, and gives the encoded answer.
///
/// # Errors
/// If it ends the call.
pub(super) fn answer(guest: &mut Guest, call: HostCall) -> wasmtime::Result<Vec<u8>> {
    match call {
        HostCall::ArtifactsGet { digest } => {
            encode(&reach!(guest, artifacts::get(digest), Artifacts)?.map(Bytes))
        }
        HostCall::ArtifactsPut { contents: Bytes(contents), media_type } => {
            encode(&reach!(guest, artifacts::put(contents, media_type), Artifacts)?)
        }
        HostCall::ClockNow => encode(&reach!(guest, clock::now(), Clock)?),
        HostCall::Exec(request) => encode(&reach!(guest, exec::run(request), Exec)?),
        HostCall::FilesCreateDir { root, path } => {
            encode(&reach!(guest, files_write::create_dir(root, path), FilesWrite)?)
        }
        HostCall::FilesList { root, glob, cursor } => {
            encode(&reach!(guest, files_read::list(root, glob, cursor), FilesRead)?)
        }
        HostCall::FilesRead { root, path } => {
            encode(&reach!(guest, files_read::read(root, path), FilesRead)?.map(Bytes))
        }
        HostCall::FilesRemove { root, path } => {
            encode(&reach!(guest, files_write::remove(root, path), FilesWrite)?)
        }
        HostCall::FilesRemoveTree { root, path } => {
            encode(&reach!(guest, files_write::remove_tree(root, path), FilesWrite)?)
        }
        HostCall::FilesRename { root, source, target } => {
            encode(&reach!(guest, files_write::rename(root, source, target), FilesWrite)?)
        }
        HostCall::FilesStat { root, path } => {
            encode(&reach!(guest, files_read::stat(root, path), FilesRead)?)
        }
        HostCall::FilesWrite { root, path, contents: Bytes(contents) } => {
            encode(&reach!(guest, files_write::write(root, path, contents), FilesWrite)?)
        }
        HostCall::HttpRead(request) => encode(&reach!(guest, http_read::fetch(request), HttpRead)?),
        HostCall::HttpSend(request) => encode(&reach!(guest, http_send::send(request), HttpSend)?),
        HostCall::Log { level, message } => encode(&log::Host::log(guest, level, message)?),
        HostCall::Model(request) => encode(&reach!(guest, model::ask(request), Model)?),
        HostCall::Random { length } => encode(&Bytes(reach!(guest, random::bytes(length), Random)?)),
        HostCall::WasiRandom { length } => encode(&Bytes(guest.random.draw(&mut guest.budget, length)?)),
        HostCall::WasiRandomNumber => encode(&guest.random.draw_number(&mut guest.budget)?),
    }
}
