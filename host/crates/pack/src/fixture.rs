//! Packs for the tests of this crate, built from text by the real tools.
#![expect(clippy::disallowed_methods, reason = "the tools read their sources from a folder")]

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use base::{Digest, Probe, Refusal, Timestamp};
use zeroize::Zeroizing;

use crate::dsse::Envelope;
use crate::files::{COMPONENT, MANIFEST, PackFiles, README, WIT};
use crate::inspect::Inspection;
use crate::key::SigningKey;
use crate::manifest::Manifest;
use crate::statement::{PAYLOAD_TYPE, Statement};
use crate::trust::{Role, TrustStore, TrustedKey};
use crate::verify::sign;

pub(crate) const MANIFEST_TEXT: &str = r#"
[pack]
id = "acme:notes"
version = "1.4.2"
license = "Apache-2.0"

[operations."notes.draft"]
effect = "read"
limits = { fuel = "2G", memory = "64MiB", wall = "10s", output = "4MiB" }

[capabilities]
files-read = ["workspace:**"]
"#;

pub(crate) const IMPORT_FILES_READ: &str = r#"(import "capstan:host/files-read@0.1.0" (instance (export "stat" (func (param "n" u32) (result u32)))))"#;

/// A component that exports `acme:notes/notes` with `draft: func(n: u32) -> u32`, after `prelude`.
pub(crate) fn component_with(prelude: &str, version: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component {prelude}
            (core module $m (func (export "draft") (param i32) (result i32) local.get 0))
            (core instance $i (instantiate $m))
            (func $draft (param "n" u32) (result u32) (canon lift (core func $i "draft")))
            (instance $notes (export "draft" (func $draft)))
            (export "acme:notes/notes@{version}" (instance $notes)))"#
    ))
    .unwrap()
}

pub(crate) fn component() -> Vec<u8> {
    component_with(IMPORT_FILES_READ, "1.4.2")
}

/// A component whose only export, `acme:notes/notes` in 1.4.2, has one function `f` of this type.
pub(crate) fn component_of_type(types: &str, function: &str) -> Vec<u8> {
    // What is imported from the inert baseline is not typed by us, so a function of any type can
    // be had without writing its code.
    wat::parse_str(format!(
        r#"(component
            (import "wasi:cli/environment@0.2.0" (instance $i {types} (export "f" (func {function}))))
            (alias export $i "f" (func $f))
            (instance $notes (export "f" (func $f)))
            (export "acme:notes/notes@1.4.2" (instance $notes)))"#
    ))
    .unwrap()
}

pub(crate) fn wit() -> Vec<u8> {
    static WIT_BYTES: LazyLock<Vec<u8>> = LazyLock::new(encode);
    WIT_BYTES.clone()
}

fn encode() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let text = "/// Keeps notes.\npackage acme:notes@1.4.2;\n\
                /// Notes of a person.\ninterface notes {\n  /// Drafts a note.\n  draft: func(n: u32) -> u32;\n}\n\
                world pack { export notes; }\n";
    std::fs::write(dir.path().join("notes.wit"), text).unwrap();
    crate::encode_wit(dir.path()).unwrap()
}

pub(crate) fn map() -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([
        (MANIFEST.to_owned(), MANIFEST_TEXT.as_bytes().to_vec()),
        (COMPONENT.to_owned(), component()),
        (WIT.to_owned(), wit()),
        (README.to_owned(), b"# Notes\n".to_vec()),
        ("plans/a.plan.md".to_owned(), b"# Plan\n".to_vec()),
    ])
}

pub(crate) fn files() -> PackFiles {
    PackFiles::from_map(map()).unwrap()
}

/// The same files with some of them replaced.
pub(crate) fn files_with(changes: &[(&str, &[u8])]) -> PackFiles {
    let mut map = map();
    for (name, bytes) in changes {
        map.insert((*name).to_owned(), bytes.to_vec());
    }
    PackFiles::from_map(map).unwrap()
}

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&Zeroizing::new([seed; 32]))
}

pub(crate) fn trust(publisher: &str, key: &SigningKey) -> TrustStore {
    let mut trust = TrustStore::new();
    let role = Role::Pack { publisher: publisher.parse().unwrap() };
    trust.add(TrustedKey { role, key: key.public().unwrap(), added: Timestamp(0) }).unwrap();
    trust
}

pub(crate) fn signed() -> PackFiles {
    sign(files(), &key(1), None).unwrap()
}

pub(crate) fn signed_after(files: PackFiles, sequence: u32) -> PackFiles {
    sign(files, &key(1), Some((sequence, Digest::of(b"before")))).unwrap()
}

/// The true statement of some files.
pub(crate) fn statement(files: &PackFiles) -> Result<Statement, Refusal> {
    let manifest = Manifest::parse(files.manifest_text()?)?;
    let inspection = Inspection::of(files.require(COMPONENT)?)?;
    Ok(Statement::describe(files, &manifest, &inspection, 1, None))
}

/// Signs any bytes as the pack's statement, as a dishonest publisher would.
pub(crate) fn seal(files: PackFiles, payload: Vec<u8>) -> PackFiles {
    let envelope = Envelope::sign(PAYLOAD_TYPE, payload, &[&key(1)]).unwrap();
    files.with_envelope(envelope.to_bytes()).unwrap()
}

/// Panics when `label` is reached for the `nth` time, and counts what it saw.
pub(crate) struct Crash {
    pub(crate) label: &'static str,
    pub(crate) nth: usize,
    pub(crate) seen: Mutex<Vec<&'static str>>,
}

impl Probe for Crash {
    fn reach(&self, label: &'static str) {
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.push(label);
        let count = seen.iter().filter(|known| **known == label).count();
        drop(seen);
        assert!(label != self.label || count != self.nth, "crash at {label}");
    }
}
