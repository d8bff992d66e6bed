//! What is live is what was requested, granted and permitted by the effect, and nothing else.

use std::fs;

use authority::DeniedReason;
use base::{Capability, Effect};
use engine::{Invocation, Outcome, Program};
use tempfile::TempDir;
use values::{Type, Value};

use crate::files::{ALL, DENIED, assert_error, passer, prepare};
use crate::fixture::{USES_HEAP, authority, call, load, number, returned, with_imports};

#[test]
fn an_operation_of_effect_read_cannot_write_whatever_its_pack_was_granted() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), "before").unwrap();
    for effect in Effect::ALL {
        for (function, contents) in [("write", Some(&b"after"[..])), ("remove", None)] {
            let mut invocation = prepare(folder.path(), function, "file", contents);
            invocation.authority = authority(ALL, ALL, effect);
            let report = passer().invoke(invocation);
            if effect >= Effect::Write {
                assert_eq!(report.outcome, Outcome::Returned(None));
                assert_eq!(report.changes.changes().len(), 1);
                assert!(report.denied.is_empty());
            } else {
                assert_error(&report, DENIED);
                let [denied] = report.denied.as_slice() else { panic!("{report:?}") };
                assert_eq!(
                    (denied.capability, denied.reason),
                    (Capability::FilesWrite, DeniedReason::AboveEffect)
                );
            }
        }
        assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"before");
    }
}

#[test]
fn request_grant_and_scope_each_cut() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("docs")).unwrap();
    fs::write(folder.path().join("docs/a"), "a").unwrap();
    fs::write(folder.path().join("b"), "b").unwrap();
    let read = |path, requested: &[&str], granted: &[&str]| {
        let mut invocation = prepare(folder.path(), "read", path, None);
        invocation.authority = authority(requested, granted, Effect::Read);
        passer().invoke(invocation)
    };
    let (all, docs) = (&["files-read=workspace:**"][..], &["files-read=workspace:docs/**"][..]);
    assert!(matches!(read("docs/a", all, all).outcome, Outcome::Returned(_)));
    assert!(matches!(read("docs/a", all, docs).outcome, Outcome::Returned(_)));
    for (path, requested, granted, reason, grant) in [
        ("docs/a", &[][..], all, DeniedReason::NotRequested, None),
        ("docs/a", all, &[][..], DeniedReason::NotGranted, Some("files-read=workspace:docs/a")),
        ("b", all, docs, DeniedReason::OutOfScope, Some("files-read=workspace:b")),
        ("b", docs, all, DeniedReason::NotRequested, None),
    ] {
        let report = read(path, requested, granted);
        assert_error(&report, DENIED);
        let [denied] = report.denied.as_slice() else { panic!("{report:?}") };
        assert_eq!(denied.reason, reason);
        // An interface that is inert as a whole does not look at the path.
        if reason != DeniedReason::NotGranted {
            assert_eq!(denied.grant.as_deref(), grant);
        } else {
            assert!(denied.grant.is_some());
        }
    }
}

/// Exports `now` and `draw`, of interfaces that cannot answer with an error.
fn channelless() -> Program {
    let imports = r#"
        (import "capstan:host/clock@0.1.0" (instance $clock (export "now" (func (result u64)))))
        (import "capstan:host/random@0.1.0" (instance $random
          (export "bytes" (func (param "length" u32) (result (list u8))))))"#;
    let lowered = r#"
        (core func $now (canon lower (func $clock "now")))
        (core func $bytes (canon lower (func $random "bytes") (memory $memory) (realloc $realloc)))
        (core instance $host (export "now" (func $now)) (export "bytes" (func $bytes)))"#;
    let core = format!(
        r#"{USES_HEAP}
        (import "host" "now" (func $now (result i64)))
        (import "host" "bytes" (func $bytes (param i32 i32)))
        (func (export "now") (result i64) (call $now))
        (func (export "draw") (param i32) (result i32) (call $bytes (local.get 0) (i32.const 16)) (i32.const 16))"#
    );
    load(&with_imports(
        imports,
        lowered,
        &core,
        &[("now", "(result u64)"), ("draw", r#"(param "n" u32) (result (list u8))"#)],
    ))
}

#[test]
fn clock_and_random_end_the_call_where_they_are_not_live() {
    let program = channelless();
    let bytes = || Some(Type::List(Box::new(Type::U8)));
    let both = &["clock", "random"][..];
    let live = |function: &str, granted: &[&str], effect| {
        let mut invocation = match function {
            "now" => call("now", vec![], Some(Type::U64)),
            _ => call("draw", vec![number(16)], bytes()),
        };
        invocation.authority = authority(both, granted, effect);
        program.invoke(invocation)
    };
    assert_eq!(returned(&live("now", both, Effect::Read)), &Value::U64(1_234_567_890_123));
    assert!(matches!(returned(&live("draw", both, Effect::Read)), Value::Bytes(bytes) if bytes.len() == 16));
    assert_eq!(live("draw", both, Effect::Read).outcome, live("draw", both, Effect::Read).outcome);
    for (function, capability) in [("now", Capability::Clock), ("draw", Capability::Random)] {
        for (granted, effect, reason) in [
            (both, Effect::Pure, DeniedReason::AboveEffect),
            (&[][..], Effect::Read, DeniedReason::NotGranted),
        ] {
            let report = live(function, granted, effect);
            let Outcome::Denied(denied) = &report.outcome else { panic!("{report:?}") };
            assert_eq!((denied.capability, denied.reason), (capability, reason));
            assert_eq!(report.denied, std::slice::from_ref(denied));
        }
    }
}

/// Exports `keep(contents)`, which stores an artifact and fetches it again by its digest.
fn keeper() -> Program {
    let imports = r#"(import "capstan:host/artifacts@0.1.0" (instance $artifacts
        (type $ae' (variant (case "denied" string) (case "not-found") (case "too-large") (case "io" string)))
        (export "artifact-error" (type $ae (eq $ae')))
        (export "put" (func (param "contents" (list u8)) (param "media-type" string)
          (result (result string (error $ae)))))
        (export "get" (func (param "digest" string) (result (result (list u8) (error $ae)))))))"#;
    let lowered = r#"
        (core func $put (canon lower (func $artifacts "put") (memory $memory) (realloc $realloc)))
        (core func $get (canon lower (func $artifacts "get") (memory $memory) (realloc $realloc)))
        (core instance $host (export "put" (func $put)) (export "get" (func $get)))"#;
    let core = format!(
        r#"{USES_HEAP}
        (import "host" "put" (func $put (param i32 i32 i32 i32 i32)))
        (import "host" "get" (func $get (param i32 i32 i32)))
        (func (export "keep") (param i32 i32) (result i32)
          (call $put (local.get 0) (local.get 1) (i32.const 0) (i32.const 0) (i32.const 64))
          (if (i32.load8_u (i32.const 64)) (then (return (i32.const 64))))
          (call $get (i32.load (i32.const 68)) (i32.load (i32.const 72)) (i32.const 96))
          (i32.const 96))
        (func (export "fetch") (param i32 i32) (result i32)
          (call $get (local.get 0) (local.get 1) (i32.const 96)) (i32.const 96))"#
    );
    let bytes = "(result (result (list u8) (error u8)))";
    load(&with_imports(
        imports,
        lowered,
        &core,
        &[
            ("keep", &format!(r#"(param "contents" (list u8)) {bytes}"#)),
            ("fetch", &format!(r#"(param "digest" string) {bytes}"#)),
        ],
    ))
}

fn bytes() -> Type {
    Type::List(Box::new(Type::U8))
}

fn bytes_or_error() -> Option<Type> {
    Some(Type::Result { ok: Some(Box::new(bytes())), err: Some(Box::new(Type::U8)) })
}

/// A call that keeps `contents`, and the program for it.
pub(crate) fn keep(contents: &[u8], granted: &[&str], effect: Effect) -> (Program, Invocation) {
    let mut invocation = call("keep", vec![(bytes(), Value::Bytes(contents.to_vec()))], bytes_or_error());
    invocation.authority = authority(&["artifacts"], granted, effect);
    (keeper(), invocation)
}

#[test]
fn artifacts_are_kept_where_they_are_live() {
    let program = keeper();
    let keep = |granted: &[&str], effect| {
        let (program, invocation) = keep(b"kept", granted, effect);
        program.invoke(invocation)
    };
    let live = &["artifacts"][..];
    assert_eq!(returned(&keep(live, Effect::Read)), &Value::Bytes(b"kept".to_vec()));
    for (granted, effect) in [(&[][..], Effect::Read), (live, Effect::Pure)] {
        assert_error(&keep(granted, effect), 0);
    }
    for digest in ["nonsense", "sha256:00", &base::Digest::of(b"absent").to_string()] {
        let mut invocation = call("fetch", vec![crate::fixture::text(digest)], bytes_or_error());
        invocation.authority = authority(live, live, Effect::Read);
        assert_error(&program.invoke(invocation), 1);
    }
}
