//! Files below named roots: reading and listing for guests, staging for writes, and applying what
//! was approved.
//!
//! A root is a folder opened once. Every path is relative to that handle, obeys
//! [`authority::check_path`], and is resolved with `openat2(BENEATH | NO_SYMLINKS | NO_MAGICLINKS)`,
//! so the lexical path that a scope was matched against is the real one; on a file system that takes
//! one name for another, only the name that the folder holds leads anywhere. Only regular files are
//! read or replaced; symbolic links, FIFOs, sockets and devices are refused, and never listed.
//! A hard link to a file outside is a file inside like any other: it can be read, and a write
//! replaces the name, so the other link keeps its content. The host's own folder is never reached,
//! also where it lies below a root.

/// Permissions of a file that did not exist before.
const NEW_FILE_MODE: u32 = 0o644;
/// Permissions of a folder that did not exist before.
const NEW_FOLDER_MODE: u32 = 0o755;

mod apply;
mod list;
mod lookup;
mod overlay;
mod reserved;
mod roots;

pub use apply::{Applied, AppliedHow, ApplyError, FileProblem, LABELS, OnDisk, apply, content, state};
pub(crate) use list::{Page, Reach};
pub(crate) use lookup::open_file;
pub(crate) use overlay::Overlay;
pub(crate) use roots::{FileError, Kind, read_all};
pub use roots::{Root, RootError, Roots, enforces_beneath};
