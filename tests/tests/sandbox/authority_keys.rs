//! Whose key it is: untrusted, for another publisher, or no key that anybody should trust.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tests::{Env, repository};

use crate::guest::{
    Kept, assert_installs, assert_refused, copy, key, manifest, sign, wat_pack, with_test_key,
};

const TINY: &str = r#"(component
    (core module $m (func (export "run") (result i32) (i32.const 7)))
    (core instance $i (instantiate $m))
    (func $run (result u32) (canon lift (core func $i "run")))
    (instance $ops (export "run" (func $run)))
    (export "test:tiny/ops@0.1.0" (instance $ops)))"#;

/// Thirty-two bytes as a key's text.
fn text(hex: &str) -> String {
    let digits: Vec<u8> = hex.bytes().map(|digit| (digit as char).to_digit(16).unwrap() as u8).collect();
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    assert_eq!(bytes.len(), 32);
    format!("ed25519:{}", STANDARD.encode(bytes))
}

#[track_caller]
fn refused(env: &Env, words: &[&str], exit: i32, code: &str) {
    let before = Kept::of(env);
    let outcome = env.json(words);
    assert_eq!(outcome.json()["error"]["code"], code, "{words:?}");
    drop(outcome.exits(exit));
    assert_eq!(before, Kept::of(env));
}

#[test]
fn a_key_that_accepts_forgeries_is_not_trusted() {
    let env = Env::with_home();
    let tail = "00".repeat(31);
    let zeros = "00".repeat(32);
    let small_order = [
        format!("01{tail}"),
        zeros,
        format!("{}80", "00".repeat(31)),
        format!("ec{}7f", "ff".repeat(30)),
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05".to_owned(),
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85".to_owned(),
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a".to_owned(),
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa".to_owned(),
    ];
    // The field's prime and what follows it, and a zero with a sign.
    let non_canonical = [
        format!("ed{}7f", "ff".repeat(30)),
        format!("ee{}7f", "ff".repeat(30)),
        format!("ee{}ff", "ff".repeat(30)),
        format!("01{}80", "00".repeat(30)),
        "ff".repeat(32),
    ];
    // A point of large order with a small-order component, and no point at all.
    let others =
        ["cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d".to_owned(), format!("02{tail}")];
    for hex in small_order.iter().chain(&non_canonical).chain(&others) {
        refused(&env, &["trust", "add", "acme", &text(hex)], 4, "E-KEY-INADMISSIBLE");
    }
    key(&env, "acme");
    let public = fs::read_to_string(env.home().join("keys/acme.pub")).unwrap();
    let public = public.split_whitespace().next().unwrap();
    drop(env.run(["trust", "add", "acme", public]).exits(0));
}

#[test]
fn what_is_no_key_is_malformed() {
    let env = Env::with_home();
    let short = format!("ed25519:{}", STANDARD.encode([9; 31]));
    let url_safe = text(&"fb".repeat(32)).replace('+', "-");
    for word in ["ed25519:", "ed25519:nonsense", &short, &url_safe] {
        refused(&env, &["trust", "add", "acme", word], 2, "E-KEY-MALFORMED");
    }
    let folder = repository().join("packs/text");
    for word in ["nonsense", "", "aaaa-bbbb-cccc-dddd-eeee-ffff-gggg"] {
        assert_refused(&env, &folder, &["--trust", word], 2, &["E-KEY-MALFORMED"]);
    }
    assert_installs(&env, &folder, &["--trust", &Env::publisher()]);
}

#[test]
fn an_untrusted_key_installs_nothing() {
    let env = Env::with_home();
    let folder = repository().join("packs/text");
    let other = key(&env, "other");
    assert_refused(&env, &folder, &[], 4, &["E-SIG-UNTRUSTED"]);
    assert_refused(&env, &folder, &["--trust", &other], 4, &["E-SIG-UNTRUSTED"]);
    assert_installs(&env, &folder, &["--trust", &Env::publisher()]);
}

#[test]
fn the_hint_of_an_untrusted_pack_installs_it() {
    let env = Env::with_home();
    let folder = repository().join("packs/text");
    let said = env.json(["pack", "install", folder.to_str().unwrap()]).exits(4).json();
    let hints = said["error"]["hints"].as_array().unwrap();
    let command =
        hints.iter().filter_map(|hint| hint.as_str()).find(|hint| hint.starts_with("capstan ")).unwrap();
    drop(tests::golden::shell(&env, command).exits(0));
}

#[test]
fn a_key_is_good_for_one_publisher() {
    let env = Env::with_home();
    let folder = env.folder().join("pack");
    copy(&repository().join("packs/text/dist"), &folder);
    let envelope: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("pack.dsse.json")).unwrap()).unwrap();
    let public = format!("ed25519:{}", envelope["signatures"][0]["key"].as_str().unwrap());
    drop(env.run(["trust", "add", "other", &public]).exits(0));
    assert_refused(&env, &folder, &[], 4, &["E-PUBLISHER-MISMATCH"]);
    drop(env.run(["trust", "remove", "other"]).exits(0));
    drop(env.run(["trust", "add", "capstan", &public]).exits(0));
    assert_installs(&env, &folder, &[]);
}

#[test]
fn a_publisher_has_one_key() {
    let env = with_test_key();
    let folder = wat_pack(&env, "tiny", TINY, &manifest("test:tiny", "ops.run"));
    let second = key(&env, "second");
    let public = env.home().join("keys/second.pub");
    refused(&env, &["trust", "add", "test", public.to_str().unwrap()], 4, "E-TRUST-CONFLICT");
    // Signed in a home of its own, so that this one's record of signed statements stays.
    drop(env.run(["internal", "sign-unchecked", folder.to_str().unwrap(), "--key", "second"]).exits(0));
    assert_refused(&env, &folder, &["--trust", &second], 4, &["E-TRUST-CONFLICT"]);
    sign(&env, &folder, "test");
    assert_installs(&env, &folder, &[]);
}

#[test]
fn a_damaged_trust_file_trusts_nobody() {
    let env = with_test_key();
    let folder = wat_pack(&env, "tiny", TINY, &manifest("test:tiny", "ops.run"));
    sign(&env, &folder, "test");
    let path = env.home().join("trust.toml");
    let genuine = fs::read_to_string(&path).unwrap();
    for changed in [
        format!("{genuine}\nmore = 1\n"),
        format!("{genuine}\n[["),
        genuine.replace("publisher", "published"),
    ] {
        fs::write(&path, changed).unwrap();
        assert_refused(&env, &folder, &[], 2, &["E-TRUST-MALFORMED"]);
    }
    fs::write(&path, genuine).unwrap();
    assert_installs(&env, &folder, &[]);
}

#[test]
fn an_older_or_a_second_statement_is_refused() {
    let env = with_test_key();
    let first = wat_pack(&env, "first", TINY, &manifest("test:tiny", "ops.run"));
    let second = env.folder().join("second");
    sign(&env, &first, "test");
    copy(&first, &second);
    fs::remove_file(second.join("pack.dsse.json")).unwrap();
    fs::write(second.join("README.md"), "The second.").unwrap();
    // Statement 1 again, over other files.
    let fork = env.folder().join("fork");
    copy(&second, &fork);
    drop(env.run(["internal", "sign-unchecked", fork.to_str().unwrap(), "--key", "test"]).exits(0));
    sign(&env, &second, "test");
    assert_installs(&env, &first, &[]);
    assert_refused(&env, &fork, &[], 4, &["E-EQUIVOCATION"]);
    assert_installs(&env, &second, &[]);
    assert_refused(&env, &first, &[], 4, &["E-ROLLBACK"]);
    assert_refused(&env, &fork, &[], 4, &["E-ROLLBACK"]);
}
