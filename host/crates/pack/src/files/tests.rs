//! The file set of a pack folder: closed, bounded, regular files only.

#![expect(clippy::disallowed_methods, reason = "the test makes and damages folders of its own")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::fixture;

fn folder() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pack");
    fs::create_dir_all(path.join("plans")).unwrap();
    for (name, bytes) in fixture::map() {
        fs::write(path.join(name), bytes).unwrap();
    }
    (dir, path)
}

fn code(path: &Path) -> Code {
    PackFiles::read(path).unwrap_err().code
}

#[test]
fn a_folder_is_read_whole() {
    let (_dir, path) = folder();
    assert_eq!(PackFiles::read(&path).unwrap(), fixture::files());
    assert_eq!(fixture::files().signed().count(), fixture::signed().signed().count());
    assert_eq!(fixture::signed().iter().count(), fixture::files().iter().count() + 1);
}

#[test]
fn a_missing_folder_is_an_io_problem() {
    let (_dir, path) = folder();
    assert_eq!(code(&path.join("absent")), Code::FileIo);
    assert_eq!(code(&path.join(MANIFEST)), Code::FileIo);
}

#[test]
fn every_other_file_is_extra() {
    for name in [
        "notes.txt",
        "component2.wasm",
        ".DS_Store",
        ".hidden/x",
        "plans/a.txt",
        "plans/sub/a.plan.md",
        "src/lib.rs",
        "PACK.TOML",
        "Pack.toml",
        "plans/.plan.md",
    ] {
        let (_dir, path) = folder();
        let file = path.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, b"x").unwrap();
        assert_eq!(code(&path), Code::FileExtra, "{name}");
    }
    let (_dir, path) = folder();
    fs::write(path.join("plans/other.plan.yaml"), b"x").unwrap();
    assert!(PackFiles::read(&path).is_ok());
}

#[test]
fn names_that_mean_something_else_elsewhere_are_refused() {
    for name in [
        "plans/ü.plan.md",
        "plans/a\\b.plan.md",
        "plans/a:b.plan.md",
        "plans/a\nb.plan.md",
        "readme.md ",
        "a.",
        "con\u{0}x",
    ] {
        let refused = PackFiles::from_map(BTreeMap::from([(name.to_owned(), Vec::new())])).unwrap_err();
        assert_eq!(refused.code, Code::FileName, "{name:?}");
    }
    for name in ["../pack.toml", "/pack.toml", "plans/../pack.toml", "./pack.toml", "plans//a.plan.md", ""] {
        assert_eq!(allowed_size(name).unwrap_err().code, Code::FileName, "{name:?}");
    }
    let long = format!("plans/{}.plan.md", "a".repeat(NAME_BYTES_MAX));
    assert_eq!(allowed_size(&long).unwrap_err().code, Code::FileName);
    let (_dir, path) = folder();
    fs::write(path.join(std::ffi::OsStr::new("plans/\u{fffd}.plan.md")), b"x").unwrap();
    assert_eq!(code(&path), Code::FileName);
}

#[test]
fn names_that_fold_to_one_are_refused() {
    let (_dir, path) = folder();
    fs::write(path.join("plans/B.plan.md"), b"x").unwrap();
    assert!(PackFiles::read(&path).is_ok());
    fs::write(path.join("plans/A.plan.md"), b"x").unwrap();
    assert_eq!(code(&path), Code::FileName);
}

#[test]
fn links_and_special_files_are_refused_without_waiting() {
    let (_dir, path) = folder();
    let outside = path.parent().unwrap().join("outside.md");
    fs::write(&outside, b"secret").unwrap();
    let readme = path.join(README);

    fs::remove_file(&readme).unwrap();
    symlink(&outside, &readme).unwrap();
    assert_eq!(code(&path), Code::FileName);

    fs::remove_file(&readme).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &readme, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert_eq!(code(&path), Code::FileName);

    fs::remove_file(&readme).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(&readme).unwrap();
    assert_eq!(code(&path), Code::FileName);
    drop(socket);

    fs::remove_file(&readme).unwrap();
    fs::create_dir(&readme).unwrap();
    assert_eq!(code(&path), Code::FileName);

    fs::remove_dir(&readme).unwrap();
    assert!(PackFiles::read(&path).is_ok());
    fs::rename(path.join("plans"), path.parent().unwrap().join("plans")).unwrap();
    symlink(path.parent().unwrap().join("plans"), path.join("plans")).unwrap();
    assert_eq!(code(&path), Code::FileName);

    // The folder's own path is the operator's, who may use links.
    fs::remove_file(path.join("plans")).unwrap();
    let link = path.parent().unwrap().join("link");
    symlink(&path, &link).unwrap();
    assert!(PackFiles::read(&link).is_ok());
}

#[test]
fn sizes_are_bounded_on_both_sides() {
    let (_dir, path) = folder();
    for (name, max) in [
        (README, 1 << 20),
        (MANIFEST, 256 << 10),
        (ENVELOPE, 256 << 10),
        (WIT, 4 << 20),
        ("plans/a.plan.md", 1 << 20),
    ] {
        let before = fs::read(path.join(name)).ok();
        fs::write(path.join(name), vec![b'x'; max]).unwrap();
        assert!(PackFiles::read(&path).is_ok(), "{name}");
        fs::write(path.join(name), vec![b'x'; max + 1]).unwrap();
        assert_eq!(code(&path), Code::FileSize, "{name}");
        match before {
            Some(bytes) => fs::write(path.join(name), bytes).unwrap(),
            None => fs::remove_file(path.join(name)).unwrap(),
        }
    }
    // Bytes in memory have the same bounds as bytes on disk, and reading stops at them.
    let large = BTreeMap::from([(README.to_owned(), vec![b'x'; (1 << 20) + 1])]);
    assert_eq!(PackFiles::from_map(large).unwrap_err().code, Code::FileSize);
    let readme = || fs::File::open(path.join(README)).unwrap();
    let length = readme().metadata().unwrap().len();
    assert!(read_bounded(readme(), length).unwrap().is_some());
    assert!(read_bounded(readme(), length - 1).unwrap().is_none());
    // A sparse file: what its size says, not what it costs.
    fs::File::create(path.join(COMPONENT)).unwrap().set_len((64 << 20) + 1).unwrap();
    assert_eq!(code(&path), Code::FileSize);
}

#[test]
fn numbers_of_files_are_bounded() {
    let (_dir, path) = folder();
    for index in 1..PLANS_MAX {
        fs::write(path.join(format!("plans/p{index}.plan.md")), b"x").unwrap();
    }
    assert!(PackFiles::read(&path).is_ok());
    fs::write(path.join("plans/one-more.plan.md"), b"x").unwrap();
    assert_eq!(code(&path), Code::FileExtra);
}
