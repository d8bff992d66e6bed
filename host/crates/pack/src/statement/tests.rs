//! Statements: what they say of a pack, and what they may not say.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::fixture;

/// A lie told in the statement's JSON.
type Change = fn(&mut Value);

fn good() -> Value {
    serde_json::from_slice(&fixture::statement(&fixture::files()).unwrap().to_bytes()).unwrap()
}

fn with(change: impl FnOnce(&mut Value)) -> Result<Statement, Refusal> {
    let mut json = good();
    change(&mut json);
    Statement::parse(json.to_string().as_bytes())
}

#[test]
fn a_statement_round_trips() {
    let statement = fixture::statement(&fixture::files()).unwrap();
    assert_eq!(Statement::parse(&statement.to_bytes()).unwrap(), statement);
    assert_eq!(statement.files.len(), 5);
    assert_eq!(statement.operations, BTreeMap::from([("notes.draft".to_owned(), Effect::Read)]));
    assert_eq!(good()["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(good()["predicate"]["capabilities"], json!({"files-read": ["workspace:**"]}));
}

#[test]
fn every_member_is_known_and_exact() {
    assert!(with(|_| {}).is_ok());
    let cases: [(&str, Change); 14] = [
        ("unknown member", |json| json["extra"] = json!(1)),
        ("unknown predicate member", |json| json["predicate"]["extra"] = json!(1)),
        ("unknown subject member", |json| json["subject"][0]["extra"] = json!(1)),
        ("unknown digest", |json| json["subject"][0]["digest"]["md5"] = json!("00")),
        ("other type", |json| json["_type"] = json!("https://in-toto.io/Statement/v0.1")),
        ("other predicate", |json| json["predicateType"] = json!("urn:capstan:pack-review:v1")),
        ("missing member", |json| drop(json["predicate"].as_object_mut().unwrap().remove("imports"))),
        ("sequence 0", |json| json["predicate"]["sequence"] = json!(0)),
        ("sequence too large", |json| json["predicate"]["sequence"] = json!(1_u64 << 32)),
        ("subject twice", |json| {
            let first = json["subject"][0].clone();
            json["subject"].as_array_mut().unwrap().push(first);
        }),
        ("size without subject", |json| json["predicate"]["sizes"]["wit2.wasm"] = json!(1)),
        ("subject without size", |json| {
            drop(json["predicate"]["sizes"].as_object_mut().unwrap().remove("wit.wasm"));
        }),
        ("upper-case digest", |json| json["subject"][0]["digest"]["sha256"] = json!("A".repeat(64))),
        ("the envelope as subject", |json| json["subject"][0]["name"] = json!("pack.dsse.json")),
    ];
    for (what, change) in cases {
        assert_eq!(with(change).unwrap_err().code, Code::EnvelopeMalformed, "{what}");
    }
    let named = |name: &str| with(|json| json["subject"][0]["name"] = json!(name)).unwrap_err().code;
    assert_eq!(named("../component.wasm"), Code::FileName);
    assert_eq!(named("lib.wasm"), Code::FileExtra);

    let text = String::from_utf8(fixture::statement(&fixture::files()).unwrap().to_bytes()).unwrap();
    let twice = text.replacen("\"sequence\":1", "\"sequence\":1,\"sequence\":2", 1);
    assert_ne!(twice, text);
    assert_eq!(Statement::parse(twice.as_bytes()).unwrap_err().code, Code::EnvelopeMalformed);
}

proptest! {
    #[test]
    fn hostile_payloads_never_panic(bytes: Vec<u8>, at: proptest::sample::Index, byte: u8) {
        prop_assert!(Statement::parse(&bytes).is_err());
        let mut payload = good().to_string().into_bytes();
        let index = at.index(payload.len());
        payload[index] = byte;
        drop(Statement::parse(&payload));
    }
}
