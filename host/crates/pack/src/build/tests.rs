//! Building: WIT to its binary form, core modules to components.

#![expect(clippy::disallowed_methods, reason = "the test makes and damages folders of its own")]

use std::fs;

use wit_component::StringEncoding;

use super::*;
use crate::inspect::{ImportKind, Inspection};

const WIT: &str = "package acme:notes@1.4.2;
/// Notes.
interface notes {
  record note { title: string, tags: list<string> }
  /// Drafts a note.
  draft: func(n: note) -> u32;
}
world pack { import capstan:host/files-read@0.1.0; export notes; }
";

fn wit_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes.wit"), WIT).unwrap();
    fs::create_dir_all(dir.path().join("deps/host")).unwrap();
    let host = "package capstan:host@0.1.0;\ninterface files-read { stat: func(n: u32) -> u32; }\n";
    fs::write(dir.path().join("deps/host/host.wit"), host).unwrap();
    dir
}

fn module(import: &str) -> Vec<u8> {
    let dir = wit_dir();
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(dir.path()).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    let mut module = wat::parse_str(format!(
        r#"(module
            {import}
            (func (export "acme:notes/notes@1.4.2#draft") (param i32 i32 i32 i32) (result i32) i32.const 7)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
            (memory (export "memory") 1))"#
    ))
    .unwrap();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

#[test]
fn a_module_becomes_a_component_that_imports_what_it_uses() {
    let using = r#"(import "capstan:host/files-read@0.1.0" "stat" (func (param i32) (result i32)))"#;
    let component = componentize(&module(using)).unwrap();
    let inspection = Inspection::of(&component).unwrap();
    let kinds: Vec<_> = inspection.imports.iter().map(|import| import.kind).collect();
    assert_eq!(kinds, [ImportKind::Capability(base::Capability::FilesRead)]);
    let draft = &inspection.operations["notes.draft"];
    assert_eq!(draft.params[0].ty.to_string(), "record { title: string, tags: list<string> }");
    assert_eq!(componentize(&component).unwrap(), component, "a component stays as it is");

    let idle = Inspection::of(&componentize(&module("")).unwrap()).unwrap();
    assert_eq!(idle.imports, []);
}

#[test]
fn a_module_that_does_not_fit_is_refused() {
    for bad in
        [wat::parse_str("(module (import \"a\" \"b\" (func)))").unwrap(), b"".to_vec(), b"\0asm".to_vec()]
    {
        assert_eq!(componentize(&bad).unwrap_err().code, Code::WitMalformed);
    }
    let stranger = r#"(import "acme:else/x@1.0.0" "f" (func))"#;
    assert_eq!(componentize(&module(stranger)).unwrap_err().code, Code::WitMalformed);
}

#[test]
fn wit_keeps_its_comments_and_dependencies() {
    let bytes = encode_wit(wit_dir().path()).unwrap();
    let docs = crate::Docs::read(&bytes).unwrap();
    assert_eq!(docs.operation("notes.draft"), Some("Drafts a note."));
    assert_eq!(bytes, encode_wit(wit_dir().path()).unwrap(), "the same source gives the same bytes");

    let dir = wit_dir();
    fs::write(
        dir.path().join("notes.wit"),
        "package acme:notes@1.4.2;\ninterface notes { draft: func(n: nothing); }\n",
    )
    .unwrap();
    let refusal = encode_wit(dir.path()).unwrap_err();
    assert_eq!(refusal.code, Code::WitMalformed);
    assert!(refusal.message.contains("nothing") && refusal.message.contains("notes.wit:2"), "{refusal}");
    assert_eq!(encode_wit(&dir.path().join("absent")).unwrap_err().code, Code::WitMalformed);
}
