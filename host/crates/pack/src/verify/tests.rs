//! Verification: each way in which a pack can be wrong, and the one in which it is right.

use serde_json::{Value, json};

use super::*;
use crate::files::README;
use crate::fixture::{self, IMPORT_FILES_READ, MANIFEST_TEXT, component_with, files_with, key, trust};
use crate::trust::{Role, TrustedKey};

/// A lie told in the statement's JSON.
type Change = fn(&mut Value);

fn code(files: PackFiles) -> Code {
    verify(files, &trust("acme", &key(1))).unwrap_err().code
}

/// Signs as a publisher would whose tools check nothing.
fn seal_true(files: PackFiles) -> PackFiles {
    let payload = fixture::statement(&files).unwrap().to_bytes();
    fixture::seal(files, payload)
}

/// The good files under a statement that lies.
fn seal_changed(change: impl FnOnce(&mut Value)) -> PackFiles {
    let files = fixture::files();
    let mut json: Value = serde_json::from_slice(&fixture::statement(&files).unwrap().to_bytes()).unwrap();
    change(&mut json);
    fixture::seal(files, json.to_string().into_bytes())
}

fn removed(files: &PackFiles, name: &str) -> PackFiles {
    let kept = files.iter().filter(|(known, _)| *known != name);
    PackFiles::from_map(kept.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect()).unwrap()
}

fn added(files: &PackFiles, name: &str, bytes: &[u8]) -> PackFiles {
    let all = files.iter().chain([(name, bytes)]);
    PackFiles::from_map(all.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect()).unwrap()
}

#[test]
fn an_untouched_pack_verifies() {
    let pack = verify(fixture::signed(), &trust("acme", &key(1))).unwrap();
    assert_eq!(pack.statement().id.to_string(), "acme:notes");
    assert_eq!(pack.statement().sequence, 1);
    assert_eq!(pack.signer(), key(1).public().unwrap().fingerprint());
    assert_eq!(pack.component(), fixture::component());
    assert_eq!(pack.docs().operation("notes.draft"), Some("Drafts a note."));
    assert_eq!(
        pack.statement_digest(),
        Digest::of(&pack.statement().to_bytes()),
        "the digest is of the signed bytes"
    );
    assert_eq!(pack.unused_requests(), []);
    assert_eq!(pack.manifest().operations.len(), pack.inspection().operations.len());
}

#[test]
fn one_changed_byte_in_any_file_is_refused() {
    let signed = fixture::signed();
    let trust = trust("acme", &key(1));
    for (name, bytes) in signed.iter() {
        // Each bit of the small files; of the binaries, one bit of each byte.
        for index in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[index] ^= 1 << (index % 8);
            let refusal = verify(added(&removed(&signed, name), name, &changed), &trust).unwrap_err();
            let expected: &[Code] = if name == ENVELOPE {
                &[Code::EnvelopeMalformed, Code::SigInvalid]
            } else {
                &[Code::FileDigest]
            };
            assert!(expected.contains(&refusal.code), "{name}, byte {index}: {refusal:?}");
        }
        let shorter = &bytes[..bytes.len() - 1];
        assert!(verify(added(&removed(&signed, name), name, shorter), &trust).is_err(), "{name}");
        let longer = [bytes, b"\n"].concat();
        assert!(verify(added(&removed(&signed, name), name, &longer), &trust).is_err(), "{name}");
    }
    assert!(verify(signed, &trust).is_ok());
}

#[test]
fn the_file_set_is_closed() {
    let signed = fixture::signed();
    for name in [MANIFEST, COMPONENT, WIT, README, "plans/a.plan.md"] {
        assert_eq!(code(removed(&signed, name)), Code::FileMissing, "{name}");
    }
    assert_eq!(code(removed(&signed, ENVELOPE)), Code::EnvelopeMissing);
    assert_eq!(code(added(&signed, "plans/b.plan.md", b"x")), Code::FileExtra);
    let renamed = added(&removed(&signed, "plans/a.plan.md"), "plans/b.plan.md", b"# Plan\n");
    assert_eq!(code(renamed), Code::FileMissing);
    // Present and signed, but not all of a pack.
    for name in [MANIFEST, COMPONENT, WIT] {
        let all = fixture::files();
        let mut statement = fixture::statement(&all).unwrap();
        statement.files.remove(name);
        assert_eq!(
            code(fixture::seal(removed(&all, name), statement.to_bytes())),
            Code::FileMissing,
            "{name}"
        );
    }
    let without_readme = removed(&fixture::files(), README);
    assert!(verify(seal_true(without_readme), &trust("acme", &key(1))).is_ok());
}

#[test]
fn only_the_publishers_trusted_key_counts() {
    let signed = fixture::signed();
    assert!(verify(signed.clone(), &trust("acme", &key(1))).is_ok());
    let refused = |trust: &TrustStore| verify(signed.clone(), trust).unwrap_err();
    assert_eq!(refused(&TrustStore::new()).code, Code::SigUntrusted);
    assert_eq!(refused(&trust("acme", &key(2))).code, Code::SigUntrusted);
    assert_eq!(refused(&trust("other", &key(1))).code, Code::PublisherMismatch);
    let mut approver = TrustStore::new();
    let entry = TrustedKey { role: Role::Approver, key: key(1).public().unwrap(), added: base::Timestamp(0) };
    approver.add(entry).unwrap();
    assert_eq!(refused(&approver).code, Code::SigUntrusted, "an approver's key signs no packs");
    let carried = key(1).public().unwrap().fingerprint();
    assert!(refused(&TrustStore::new()).hints[0].contains(&carried.to_string()));
}

#[test]
fn an_approval_is_no_pack() {
    let files = fixture::files();
    let payload = fixture::statement(&files).unwrap().to_bytes();
    let other = Envelope::sign("application/vnd.capstan.approval.v1+json", payload, &[&key(1)]).unwrap();
    assert_eq!(code(files.with_envelope(other.to_bytes()).unwrap()), Code::EnvelopeMalformed);
}

#[test]
fn a_key_is_introduced_by_its_fingerprint() {
    let signed = fixture::signed();
    let (publisher, introduced) = introduce(&signed, &key(1).public().unwrap().fingerprint()).unwrap();
    assert_eq!((publisher.as_str(), &introduced), ("acme", &key(1).public().unwrap()));
    let other = introduce(&signed, &key(2).public().unwrap().fingerprint()).unwrap_err();
    assert_eq!(other.code, Code::SigUntrusted);

    // A key that is carried and did not sign introduces nothing.
    let files = fixture::files();
    let mut text: Value = serde_json::from_slice(signed.get(ENVELOPE).unwrap()).unwrap();
    let stranger = key(2).public().unwrap();
    text["signatures"][0]["key"] = json!(crate::text::encode_base64(stranger.as_bytes()));
    text["signatures"][0]["keyid"] = json!(stranger.id().hex());
    let envelope = format!(
        "{{\n  \"payloadType\": {},\n  \"payload\": {},\n  \"signatures\": [\n    {{\n      \"keyid\": {},\n      \"sig\": {},\n      \"key\": {}\n    }}\n  ]\n}}\n",
        text["payloadType"],
        text["payload"],
        text["signatures"][0]["keyid"],
        text["signatures"][0]["sig"],
        text["signatures"][0]["key"],
    );
    let forged = files.with_envelope(envelope.into_bytes()).unwrap();
    assert_eq!(introduce(&forged, &stranger.fingerprint()).unwrap_err().code, Code::SigInvalid);
}

#[test]
fn a_lying_statement_is_refused_by_what_it_lies_about() {
    assert!(verify(seal_changed(|_| {}), &trust("acme", &key(1))).is_ok());
    let cases: [(&str, Code, Change); 14] = [
        ("import omitted", Code::ImportUndeclared, |json| json["predicate"]["imports"] = json!([])),
        ("import added", Code::ManifestMismatch, |json| {
            json["predicate"]["imports"].as_array_mut().unwrap().push(json!("capstan:host/clock@0.1.0"));
        }),
        ("export omitted", Code::ExportUndeclared, |json| json["predicate"]["exports"] = json!([])),
        ("export added", Code::ExportMissing, |json| {
            json["predicate"]["exports"].as_array_mut().unwrap().push(json!("acme:notes/more@1.4.2"));
        }),
        ("effect lowered", Code::ManifestMismatch, |json| {
            json["predicate"]["operations"]["notes.draft"] = json!("pure");
        }),
        ("operation added", Code::ManifestMismatch, |json| {
            json["predicate"]["operations"]["notes.more"] = json!("pure");
        }),
        ("capability omitted", Code::ManifestMismatch, |json| json["predicate"]["capabilities"] = json!({})),
        ("scope narrowed", Code::ManifestMismatch, |json| {
            json["predicate"]["capabilities"]["files-read"] = json!(["workspace:docs/**"]);
        }),
        ("other version", Code::ManifestMismatch, |json| json["predicate"]["version"] = json!("1.4.3")),
        ("other name", Code::ManifestMismatch, |json| json["predicate"]["name"] = json!("other")),
        ("other publisher", Code::PublisherMismatch, |json| json["predicate"]["publisher"] = json!("other")),
        ("other world", Code::ManifestMismatch, |json| {
            json["predicate"]["world"] = json!("acme:notes@1.0.0");
        }),
        ("other host", Code::AbiUnsupported, |json| json["predicate"]["host_abi"] = json!("0.2.0")),
        ("other size", Code::FileDigest, |json| json["predicate"]["sizes"]["component.wasm"] = json!(1)),
    ];
    for (what, expected, change) in cases {
        assert_eq!(code(seal_changed(change)), expected, "{what}");
    }
    let lowered = seal_changed(|json| json["predicate"]["operations"]["notes.draft"] = json!("pure"));
    let refusal = verify(lowered, &trust("acme", &key(1))).unwrap_err();
    assert!(refusal.message.contains("`operations`"), "{refusal}");
}

#[test]
fn the_manifest_tells_what_the_component_does() {
    let manifest = |from: &str, to: &str| {
        assert!(MANIFEST_TEXT.contains(from), "{from}");
        code(seal_true(files_with(&[(MANIFEST, MANIFEST_TEXT.replace(from, to).as_bytes())])))
    };
    let scope = "files-read = [\"workspace:**\"]";
    assert_eq!(manifest(scope, ""), Code::ImportUndeclared);
    assert_eq!(manifest(scope, "files-write = [\"workspace:**\"]"), Code::ImportUndeclared);
    assert_eq!(manifest("\"read\"", "\"pure\""), Code::ImportAboveEffect);
    assert_eq!(
        manifest(scope, &format!("{scope}\nfiles-write = [\"workspace:**\"]")),
        Code::ImportAboveEffect
    );
    assert_eq!(manifest("1.4.2", "1.4.3"), Code::VersionMismatch);
    assert_eq!(manifest("acme:notes", "acme:other"), Code::ManifestMismatch);
    assert_eq!(manifest("notes.draft", "notes.darft"), Code::ExportUndeclared);
    // Without the one operation that reads, nothing would explain the request: it is told first.
    let without = (
        "[operations.\"notes.draft\"]\neffect = \"read\"",
        "[operations.\"notes.other\"]\neffect = \"pure\"",
    );
    assert_eq!(manifest(without.0, without.1), Code::ExportUndeclared);
    let more = "[operations.\"notes.more\"]\neffect = \"pure\"\n[capabilities]";
    assert_eq!(manifest("[capabilities]", more), Code::ExportMissing);

    let component = |prelude: &str, version: &str| {
        seal_true(files_with(&[(COMPONENT, &component_with(prelude, version))]))
    };
    assert_eq!(
        code(component(&IMPORT_FILES_READ.replace("files-read", "clock"), "1.4.2")),
        Code::ImportUndeclared
    );
    assert_eq!(code(component(IMPORT_FILES_READ, "1.4.1")), Code::VersionMismatch);
    let log = IMPORT_FILES_READ.replace("files-read", "log");
    let pack = verify(component(&log, "1.4.2"), &trust("acme", &key(1))).unwrap();
    assert_eq!(pack.unused_requests(), [Capability::FilesRead], "more than needed is told, not refused");
}

#[test]
fn malformed_parts_keep_their_codes_under_a_good_signature() {
    // The statement of the good files, with the digests of the bad ones: what only a signer can do.
    let sealed = |name: &str, bytes: &[u8]| {
        let mut statement = fixture::statement(&fixture::files()).unwrap();
        let file = crate::statement::SignedFile { digest: Digest::of(bytes), bytes: bytes.len() as u64 };
        statement.files.insert(name.to_owned(), file);
        code(fixture::seal(files_with(&[(name, bytes)]), statement.to_bytes()))
    };
    assert_eq!(sealed(COMPONENT, b"\0asm\x0d\0\x01\0\xff"), Code::ComponentInvalid);
    assert_eq!(sealed(WIT, b"nothing"), Code::ComponentInvalid);
    assert_eq!(sealed(MANIFEST, b"[pack"), Code::ManifestMalformed);
    assert_eq!(sealed(MANIFEST, b"\xff"), Code::ManifestMalformed);
    let text = format!("{MANIFEST_TEXT}[extra]\n");
    assert_eq!(sealed(MANIFEST, text.as_bytes()), Code::ManifestUnknownKey);
    let text = format!("{MANIFEST_TEXT}files-read = [\"workspace:**\"]\n");
    assert_eq!(sealed(MANIFEST, text.as_bytes()), Code::ManifestDuplicateKey);
    let unknown = component_with(&IMPORT_FILES_READ.replace("files-read", "sudo"), "1.4.2");
    assert_eq!(sealed(COMPONENT, &unknown), Code::ImportUnknown);
}

#[test]
fn what_does_not_validate_is_not_signed() {
    let bad = files_with(&[(MANIFEST, MANIFEST_TEXT.replace("\"read\"", "\"pure\"").as_bytes())]);
    assert_eq!(validate(&bad).unwrap_err().code, Code::ImportAboveEffect);
    assert_eq!(sign(bad, &key(1), None).unwrap_err().code, Code::ImportAboveEffect);
    assert!(validate(&fixture::files()).is_ok());
    let next = sign(fixture::files(), &key(1), Some((7, Digest::of(b"seven")))).unwrap();
    let pack = verify(next, &trust("acme", &key(1))).unwrap();
    assert_eq!((pack.statement().sequence, pack.statement().prev), (8, Some(Digest::of(b"seven"))));
    assert_eq!(
        sign(fixture::files(), &key(1), Some((u32::MAX, Digest::of(b"")))).unwrap_err().code,
        Code::Rollback
    );
}

#[test]
fn an_author_is_told_everything_at_once() {
    let text = MANIFEST_TEXT
        .replace("1.4.2", "2.0.0")
        .replace("notes.draft", "notes.darft")
        .replace("files-read", "clock");
    let manifest = Manifest::parse(&text.replace("[\"workspace:**\"]", "true")).unwrap();
    let inspection = Inspection::of(&fixture::component()).unwrap();
    let codes: Vec<_> = disagreements(&manifest, &inspection).iter().map(|refusal| refusal.code).collect();
    assert_eq!(
        codes,
        [Code::VersionMismatch, Code::ImportUndeclared, Code::ExportUndeclared, Code::ExportMissing]
    );
    assert_eq!(disagreements(&manifest, &inspection)[3].hints, ["did you mean `notes.draft`?"]);
}
