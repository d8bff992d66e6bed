//! A signed pack with one thing changed afterwards.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tests::{Env, repository};

use crate::guest::{Kept, assert_installs, assert_refused, copy, is_long};

/// The names of everything that the reference pack holds: each kind of file that a pack may have.
const FILES: [&str; 6] =
    ["README.md", "component.wasm", "pack.dsse.json", "pack.toml", "plans/codemap.plan.md", "wit.wasm"];
const ENVELOPE: &str = "pack.dsse.json";

/// A signed pack whose publisher the home trusts, and which is not installed.
struct Signed {
    env: Env,
    folder: PathBuf,
}

impl Signed {
    fn new() -> Self {
        let env = Env::with_home();
        let folder = env.folder().join("pack");
        copy(&repository().join("packs/text/dist"), &folder);
        let names: Vec<_> = Env::tree(&folder).into_keys().collect();
        assert_eq!(names, FILES.map(PathBuf::from), "the pack has each kind of file");
        let envelope: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.join(ENVELOPE)).unwrap()).unwrap();
        let key = format!("ed25519:{}", envelope["signatures"][0]["key"].as_str().unwrap());
        drop(env.run(["trust", "add", "capstan", &key]).exits(0));
        Self { env, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Asserts that the pack as it is now is refused.
    #[track_caller]
    fn refused(&self, exit: i32, codes: &[&str]) {
        assert_refused(&self.env, &self.folder, &[], exit, codes);
    }

    /// Puts back what was signed, and asserts that it installs.
    #[track_caller]
    fn genuine_installs(&self) {
        drop(fs::remove_dir_all(&self.folder));
        copy(&repository().join("packs/text/dist"), &self.folder);
        assert!(!Kept::of(&self.env).has_pack(), "something is installed already");
        assert_installs(&self.env, &self.folder, &[]);
    }
}

/// Flips bits of the byte at `offset`, runs `check`, and flips them back.
fn with_flipped(path: &Path, offset: usize, mask: u8, check: impl FnOnce()) {
    let genuine = fs::read(path).unwrap();
    let mut bytes = genuine.clone();
    bytes[offset] ^= mask;
    fs::write(path, bytes).unwrap();
    check();
    fs::write(path, genuine).unwrap();
}

/// First, last, and some between.
fn offsets(length: usize, between: usize) -> Vec<usize> {
    let mut offsets: Vec<usize> = (0..=between).map(|n| (length - 1) * n / between).collect();
    offsets.dedup();
    offsets
}

#[test]
fn a_flipped_byte_in_a_signed_file_is_refused() {
    let signed = Signed::new();
    for name in FILES.into_iter().filter(|name| *name != ENVELOPE) {
        let length = fs::read(signed.path(name)).unwrap().len();
        for offset in offsets(length, if is_long() { 40 } else { 3 }) {
            with_flipped(&signed.path(name), offset, 1 << (offset % 8), || {
                signed.refused(4, &["E-FILE-DIGEST"]);
            });
        }
    }
    signed.genuine_installs();
}

/// The envelope signs itself: a changed byte breaks its form, the signature, or the tie between a
/// key and its id. Each is refused before a file is looked at.
#[test]
fn a_flipped_byte_in_the_envelope_is_refused() {
    let signed = Signed::new();
    let path = signed.path(ENVELOPE);
    let length = fs::read(&path).unwrap().len();
    let offsets = if is_long() { (0..length).collect() } else { offsets(length, 60) };
    let mut met = std::collections::BTreeSet::new();
    for offset in offsets {
        with_flipped(&path, offset, 1, || {
            let before = Kept::of(&signed.env);
            let outcome = signed.env.json(["pack", "install", signed.folder.to_str().unwrap()]);
            let code = outcome.json()["error"]["code"].as_str().unwrap_or("none").to_owned();
            let exit = match code.as_str() {
                "E-ENVELOPE-MALFORMED" => 2,
                "E-SIG-INVALID" | "E-SIG-UNTRUSTED" => 4,
                other => panic!("offset {offset}: {other}\n{}", outcome.said()),
            };
            drop(outcome.exits(exit));
            assert_eq!(before, Kept::of(&signed.env), "offset {offset} left something behind");
            met.insert(code);
        });
    }
    assert!(met.contains("E-ENVELOPE-MALFORMED") && met.contains("E-SIG-INVALID"), "{met:?}");
    signed.genuine_installs();
}

#[test]
fn an_extra_file_is_refused() {
    let signed = Signed::new();
    for name in ["extra.txt", ".hidden", "plans/notes.txt", "plans/.hidden", "component.wasm.bak", "LICENSE"]
    {
        fs::write(signed.path(name), "more").unwrap();
        signed.refused(4, &["E-FILE-EXTRA"]);
        fs::remove_file(signed.path(name)).unwrap();
    }
    // A file of a kind that a pack may have, but this one was signed without.
    fs::write(signed.path("plans/other.plan.yaml"), "schema: capstan.plan/v1\n").unwrap();
    signed.refused(4, &["E-FILE-EXTRA"]);
    fs::remove_file(signed.path("plans/other.plan.yaml")).unwrap();
    fs::create_dir(signed.path("src")).unwrap();
    signed.refused(4, &["E-FILE-EXTRA"]);
    fs::remove_dir(signed.path("src")).unwrap();
    signed.genuine_installs();
}

#[test]
fn a_missing_or_renamed_file_is_refused() {
    let signed = Signed::new();
    let aside = signed.env.folder().join("aside");
    for name in FILES {
        let code = if name == ENVELOPE { "E-ENVELOPE-MISSING" } else { "E-FILE-MISSING" };
        fs::rename(signed.path(name), &aside).unwrap();
        signed.refused(4, &[code]);
        fs::rename(&aside, signed.path(name)).unwrap();
    }
    for (name, renamed, code) in [
        ("README.md", "readme.md", "E-FILE-EXTRA"),
        ("component.wasm", "module.wasm", "E-FILE-EXTRA"),
        ("pack.toml", "Pack.toml", "E-FILE-EXTRA"),
        ("plans/codemap.plan.md", "plans/map.plan.md", "E-FILE-MISSING"),
        ("wit.wasm", "wit .wasm", "E-FILE-EXTRA"),
        ("README.md", "READ\\ME.md", "E-FILE-NAME"),
        ("README.md", "README.md.", "E-FILE-NAME"),
    ] {
        fs::rename(signed.path(name), signed.path(renamed)).unwrap();
        signed.refused(4, &[code]);
        fs::rename(signed.path(renamed), signed.path(name)).unwrap();
    }
    signed.genuine_installs();
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let signed = Signed::new();
    let aside = signed.env.folder().join("aside");
    for name in FILES {
        fs::rename(signed.path(name), &aside).unwrap();
        symlink(&aside, signed.path(name)).unwrap();
        signed.refused(4, &["E-FILE-NAME"]);
        fs::remove_file(signed.path(name)).unwrap();
        fs::rename(&aside, signed.path(name)).unwrap();
    }
    // Nobody writes to the FIFO: opening it must not wait.
    fs::rename(signed.path("README.md"), &aside).unwrap();
    let made = std::process::Command::new("mkfifo").arg(signed.path("README.md")).status().unwrap();
    assert!(made.success());
    signed.refused(4, &["E-FILE-NAME"]);
    fs::remove_file(signed.path("README.md")).unwrap();
    fs::create_dir(signed.path("README.md")).unwrap();
    signed.refused(4, &["E-FILE-NAME"]);
    fs::remove_dir(signed.path("README.md")).unwrap();
    fs::rename(&aside, signed.path("README.md")).unwrap();
    fs::rename(signed.path("plans"), &aside).unwrap();
    symlink(&aside, signed.path("plans")).unwrap();
    signed.refused(4, &["E-FILE-NAME"]);
    fs::remove_file(signed.path("plans")).unwrap();
    fs::rename(&aside, signed.path("plans")).unwrap();
    signed.genuine_installs();
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let signed = Signed::new();
    for (name, bytes_max) in
        [("README.md", 1_u64 << 20), ("pack.toml", 256 << 10), ("component.wasm", 64 << 20)]
    {
        let genuine = fs::read(signed.path(name)).unwrap();
        let file = fs::OpenOptions::new().write(true).open(signed.path(name)).unwrap();
        file.set_len(bytes_max + 1).unwrap();
        signed.refused(4, &["E-FILE-SIZE"]);
        file.set_len(bytes_max).unwrap();
        signed.refused(4, &["E-FILE-DIGEST"]);
        fs::write(signed.path(name), genuine).unwrap();
    }
    signed.genuine_installs();
}

#[test]
fn an_envelope_that_says_a_thing_twice_or_more_is_refused() {
    let signed = Signed::new();
    let genuine = fs::read_to_string(signed.path(ENVELOPE)).unwrap();
    for changed in [
        genuine.replacen('{', "{\n  \"payload\": \"\",", 1),
        genuine.replacen('{', "{\n  \"more\": 1,", 1),
        genuine.replacen("  \"", "\t\"", 1),
        genuine.trim_end().to_owned(),
        String::new(),
        "[".repeat(100_000),
    ] {
        assert_ne!(changed, genuine);
        fs::write(signed.path(ENVELOPE), changed).unwrap();
        signed.refused(2, &["E-ENVELOPE-MALFORMED"]);
    }
    signed.genuine_installs();
}

/// What was installed is verified again at each load.
#[test]
fn a_changed_byte_in_the_store_stops_the_next_call() {
    let signed = Signed::new();
    signed.genuine_installs();
    let count = ["op", "call", "capstan:text/words.count", r#"{"text": "one two"}"#];
    drop(signed.env.run(count).exits(0));
    let store = signed.env.home().join("store");
    let stored: Vec<PathBuf> =
        Env::tree(&store).into_keys().filter(|path| path.starts_with("sha256")).collect();
    assert_eq!(stored.len(), FILES.len());
    for name in &stored {
        let path = store.join(name);
        with_flipped(&path, fs::read(&path).unwrap().len() / 2, 1, || {
            let outcome = signed.env.json(count);
            assert_eq!(outcome.json()["error"]["code"], "E-STORE-DAMAGED", "{}", name.display());
            drop(outcome.exits(4));
        });
    }
    drop(signed.env.run(count).exits(0));
}
