//! A file system that takes one name for another: nothing is reached by a name that is not the one
//! that its folder holds.
//!
//! It is made here, over `/dev/fuse`: it ignores case, and the zero-width non-joiner as Unicode's
//! folding does. Where it cannot be mounted, the tests say so and end.

#![expect(clippy::print_stderr, reason = "a test that cannot be made says so")]

use std::fs;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;

use base::NoProbe;
use engine::files::{ApplyError, apply};
use engine::{Outcome, Report};
use rustix::io::{FdFlags, fcntl_setfd};
use tempfile::TempDir;
use values::Value;

use crate::files::{INVALID_PATH, NOT_FOUND, assert_error, list, run};
use crate::fixture::workspace;

/// The nodes: number, number of the folder, name, content of a file. The root is 1.
const NODES: &[(u64, u64, &str, Option<&str>)] = &[
    (2, 1, "Docs", None),
    (3, 2, "Readme.txt", Some("read me")),
    (4, 1, ".git", None),
    (5, 4, "config", Some("secret")),
];

const ENOENT: i32 = -2;
const ENOTTY: i32 = -25;
const ENOSYS: i32 = -38;

fn folded(name: &str) -> String {
    name.to_lowercase().replace('\u{200c}', "")
}

/// The attributes of a node, as the kernel's protocol has them.
fn attributes(node: u64) -> Vec<u8> {
    let content = NODES.iter().find(|known| known.0 == node).and_then(|known| known.3);
    let (mode, size) = content.map_or((0o040_755_u32, 0), |content| (0o100_644, content.len() as u64));
    let mut bytes = Vec::new();
    for number in [node, size, 0, 0, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    for number in [0, 0, 0, mode, 1, 0, 0, 0, 512, 0_u32] {
        bytes.extend(number.to_le_bytes());
    }
    bytes
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Answers one request; none where the protocol has no answer. `flags` are what it says of a folder.
fn answer(flags: Option<u32>, operation: u32, node: u64, body: &[u8]) -> Option<Result<Vec<u8>, i32>> {
    let padded =
        |numbers: &[u64]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    Some(match operation {
        // LOOKUP
        1 => {
            let name = folded(std::str::from_utf8(body).unwrap().trim_end_matches('\0'));
            let found = NODES.iter().find(|known| known.1 == node && folded(known.2) == name);
            found.map_or(Err(ENOENT), |found| {
                Ok([padded(&[found.0, 0, 0, 0, 0]), attributes(found.0)].concat())
            })
        }
        // FORGET, BATCH_FORGET, INTERRUPT
        2 | 42 | 36 => return None,
        // GETATTR
        3 => Ok([padded(&[0, 0]), attributes(node)].concat()),
        // OPEN, OPENDIR
        14 | 27 => Ok(padded(&[0, 0])),
        // READ
        15 => {
            let content = NODES.iter().find(|known| known.0 == node).and_then(|known| known.3).unwrap();
            let from = (number(body, 8) as usize).min(content.len());
            Ok(content.as_bytes()[from..].to_vec())
        }
        // RELEASE, FLUSH, RELEASEDIR
        18 | 25 | 29 => Ok(Vec::new()),
        // INIT
        26 => Ok([
            &7_u32.to_le_bytes()[..],
            &31_u32.to_le_bytes(),
            &[0; 12],
            &65_536_u32.to_le_bytes(),
            &[0; 40],
        ]
        .concat()),
        // READDIR
        28 => {
            let children: Vec<_> = NODES.iter().filter(|known| known.1 == node).collect();
            let mut entries = Vec::new();
            for (at, child) in children.iter().enumerate().skip(number(body, 8) as usize) {
                let kind: u32 = if child.3.is_some() { 8 } else { 4 };
                entries.extend(padded(&[child.0, at as u64 + 1]));
                entries.extend((child.2.len() as u32).to_le_bytes());
                entries.extend(kind.to_le_bytes());
                entries.extend(child.2.as_bytes());
                entries.resize(entries.len().next_multiple_of(8), 0);
            }
            Ok(entries)
        }
        // IOCTL, of which only the one that asks for flags is made here.
        39 => flags.map_or(Err(ENOTTY), |flags| Ok([&[0; 16][..], &flags.to_le_bytes()].concat())),
        _ => Err(ENOSYS),
    })
}

fn serve(mut device: &File, flags: Option<u32>) {
    let mut request = vec![0; 256 << 10];
    // The read fails once it is unmounted.
    while let Ok(length) = device.read(&mut request) {
        let (head, body) = request[..length].split_at(40);
        let operation = u32::from_le_bytes(head[4..8].try_into().unwrap());
        let Some(answer) = answer(flags, operation, number(head, 16), body) else { continue };
        let (error, body) = answer.map_or_else(|error| (error, Vec::new()), |body| (0, body));
        let mut reply = Vec::new();
        reply.extend((16 + body.len() as u32).to_le_bytes());
        reply.extend(error.to_le_bytes());
        reply.extend(&head[8..16]);
        reply.extend(body);
        if device.write_all(&reply).is_err() {
            return;
        }
    }
}

/// A mounted file system that folds.
struct Mount {
    folder: TempDir,
    server: Option<JoinHandle<()>>,
}

impl Mount {
    /// One that does not say whether it folds.
    fn new() -> Option<Self> {
        Self::with_flags(None)
    }

    fn with_flags(flags: Option<u32>) -> Option<Self> {
        let skip =
            |why: String| eprintln!("SKIPPED: no file system that folds names can be made here: {why}");
        let device = match File::options().read(true).write(true).open("/dev/fuse") {
            Ok(device) => device,
            Err(error) => {
                skip(error.to_string());
                return None;
            }
        };
        let folder = TempDir::new().unwrap();
        fcntl_setfd(&device, FdFlags::empty()).unwrap();
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        let mut mount = Command::new("mount");
        let mount = mount.args(["-i", "-t", "fuse", "-o", &options, "folding"]).arg(folder.path()).output();
        match mount {
            Ok(done) if done.status.success() => {}
            Ok(done) => {
                skip(String::from_utf8_lossy(&done.stderr).into_owned());
                return None;
            }
            Err(error) => {
                skip(error.to_string());
                return None;
            }
        }
        fcntl_setfd(&device, FdFlags::CLOEXEC).unwrap();
        let server = std::thread::spawn(move || serve(&device, flags));
        Some(Self { folder, server: Some(server) })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("-l").arg(self.folder.path()).status();
        if done.is_ok_and(|status| status.success()) {
            drop(self.server.take().unwrap().join());
        }
    }
}

/// Names that the file system takes for those that it holds, and that it does not hold.
const ALIASES: &[&str] = &[
    "docs/Readme.txt",
    "DOCS/Readme.txt",
    "Docs/readme.txt",
    "Docs/README.TXT",
    "Docs\u{200c}/Readme.txt",
    "Docs/\u{200c}Readme.txt",
    // The pattern `**` matches no segment with a dot in front, and this has none.
    "\u{200c}.git/config",
];

#[test]
fn only_the_name_that_a_folder_holds_leads_anywhere() {
    let Some(mount) = Mount::new() else { return };
    let control = fs::read_to_string(mount.path().join("\u{200c}.GIT/Config")).unwrap();
    assert_eq!(control, "secret", "the file system folds");
    let read = |path| run(mount.path(), "read", path, None);
    assert_eq!(read("Docs/Readme.txt").outcome, Outcome::Returned(Some(Value::Bytes(b"read me".to_vec()))));
    assert_error(&read("Docs/other.txt"), NOT_FOUND);
    for alias in ALIASES {
        for function in ["read", "stat", "remove", "remove-read"] {
            assert_error(&run(mount.path(), function, alias, None), INVALID_PATH);
        }
        for function in ["write", "write-read"] {
            assert_error(&run(mount.path(), function, alias, Some(b"x")), INVALID_PATH);
        }
    }
    let staged = |report: &Report| report.changes.changes().len();
    assert_eq!(staged(&run(mount.path(), "write", "Docs/Readme.txt", Some(b"x"))), 1);
    assert_eq!(staged(&run(mount.path(), "remove", "Docs/Readme.txt", None)), 1);
}

/// What the kernel says of a folder is believed: one that folds is read, and one that does not costs
/// nothing.
#[test]
fn a_folder_is_read_where_the_kernel_says_that_it_folds() {
    const FOLDS_CASE: u32 = 0x4000_0000;
    let Some(mount) = Mount::with_flags(Some(FOLDS_CASE)) else { return };
    for alias in ALIASES {
        assert_error(&run(mount.path(), "read", alias, None), INVALID_PATH);
    }
    let read = |mount: &Mount, path| run(mount.path(), "read", path, None).outcome;
    let content = Outcome::Returned(Some(Value::Bytes(b"read me".to_vec())));
    assert_eq!(read(&mount, "Docs/Readme.txt"), content);
    let Some(mount) = Mount::with_flags(Some(0)) else { return };
    assert_eq!(read(&mount, "docs/readme.txt"), content, "it says that it does not fold, and does");
}

/// Names come from the folders when they are listed, so a pattern finds what they hold.
#[test]
fn a_listing_has_the_names_that_the_folders_hold() {
    let Some(mount) = Mount::new() else { return };
    for (glob, expected) in
        [("**", &["Docs/Readme.txt"][..]), ("docs/*", &[]), ("Docs/readme*", &[]), ("\u{200c}.git/*", &[])]
    {
        let (found, _) = list(mount.path(), glob, "files-read=workspace:**", None);
        assert_eq!(found, expected, "{glob}");
    }
}

/// An approved change whose path is not what the folder calls it is not applied either.
#[test]
fn no_change_is_applied_under_another_name() {
    let Some(mount) = Mount::new() else { return };
    let roots = workspace(mount.path());
    for alias in ALIASES {
        let deleted = run(mount.path(), "remove", "Docs/Readme.txt", None);
        let mut change = deleted.changes.changes()[0].clone();
        change.path = (*alias).to_owned();
        let result = apply(&roots, &change, None, "key", &NoProbe);
        assert!(matches!(result, Err(ApplyError::Unreachable { .. })), "{alias}: {result:?}");
    }
}
