//! The cache of compiled code: used when it is ours and whole, rebuilt when it is not.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base::Digest;
use engine::{CacheSettings, Engine, EngineError, EngineSettings};
use tempfile::TempDir;

const COMPONENT: &str = r#"(component
    (core module $M (func (export "run") (result i32) (i32.const 42)))
    (core instance $m (instantiate $M))
    (func $run (result u32) (canon lift (core func $m "run")))
    (instance $ops (export "run" (func $run)))
    (export "test:guest/ops@0.1.0" (instance $ops)))"#;

/// Loads the component in a new engine, as a new process would, and calls it.
fn load(folder: &Path, secret: u8) {
    let cache = Some(CacheSettings { folder: folder.to_owned(), secret: [secret; 32] });
    let engine = Engine::new(EngineSettings { cache, compiler: None }).unwrap();
    let bytes = wat::parse_str(COMPONENT).unwrap();
    let program = engine.load(&bytes, &Digest::of(&bytes)).unwrap();
    let report = program.invoke(crate::fixture::call("run", vec![], Some(values::Type::U32)));
    assert_eq!(crate::fixture::returned(&report), &values::Value::U32(42));
}

fn entry(folder: &Path) -> PathBuf {
    let mut entries = fs::read_dir(folder).unwrap();
    let entry = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none());
    entry
}

/// Changes when the entry is written anew, since that is a new file.
fn inode(folder: &Path) -> u64 {
    fs::metadata(entry(folder)).unwrap().ino()
}

#[test]
fn a_whole_entry_is_used_and_a_damaged_or_foreign_one_is_rebuilt() {
    let home = TempDir::new().unwrap();
    let folder = home.path().join("cache");
    load(&folder, 1);
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let whole = fs::read(entry(&folder)).unwrap();
    let first = inode(&folder);
    load(&folder, 1);
    assert_eq!(inode(&folder), first, "it was used");

    let size = whole.len();
    let keep = home.path().join("keep");
    for at in [0, 31, 32, 33, size / 2, size - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(entry(&folder), &damaged).unwrap();
        // A second name keeps the inode from being given to the new file.
        fs::hard_link(entry(&folder), &keep).unwrap();
        let before = inode(&folder);
        load(&folder, 1);
        assert_ne!(inode(&folder), before, "flipped byte {at} was accepted");
        assert_ne!(fs::read(entry(&folder)).unwrap(), damaged);
        fs::remove_file(&keep).unwrap();
    }
    for damaged in [&[][..], &whole[..10], &whole[..size - 1]] {
        fs::write(entry(&folder), damaged).unwrap();
        load(&folder, 1);
        assert!(fs::read(entry(&folder)).unwrap().len() >= size - 1024);
    }
    fs::hard_link(entry(&folder), &keep).unwrap();
    let before = inode(&folder);
    load(&folder, 2);
    assert_ne!(inode(&folder), before, "another installation's entry was accepted");
}

#[test]
fn a_folder_that_others_may_enter_is_refused() {
    let home = TempDir::new().unwrap();
    let open = |folder: PathBuf| {
        let cache = Some(CacheSettings { folder, secret: [0; 32] });
        Engine::new(EngineSettings { cache, compiler: None })
    };
    for mode in [0o755, 0o770, 0o701] {
        let folder = home.path().join(format!("{mode:o}"));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(open(folder).err(), Some(EngineError::Cache(_))), "{mode:o}");
    }
    let link = home.path().join("link");
    std::os::unix::fs::symlink(home.path(), &link).unwrap();
    assert!(matches!(open(link).err(), Some(EngineError::Cache(_))));
    assert!(open(home.path().join("mine")).is_ok());
}
