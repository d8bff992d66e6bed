//! The trust store: one key a publisher, one role a key.

use proptest::prelude::*;

use super::*;
use crate::fixture::key;

fn entry(publisher: Option<&str>, seed: u8) -> TrustedKey {
    let role = publisher.map_or(Role::Approver, |name| Role::Pack { publisher: name.parse().unwrap() });
    TrustedKey { role, key: key(seed).public().unwrap(), added: Timestamp(1_700_000_000_123) }
}

fn store(entries: &[TrustedKey]) -> TrustStore {
    let mut trust = TrustStore::new();
    for entry in entries {
        trust.add(entry.clone()).unwrap();
    }
    trust
}

#[test]
fn what_is_written_is_read() {
    let trust = store(&[entry(Some("acme"), 1), entry(None, 2), entry(Some("other-one"), 3)]);
    let text = trust.to_toml();
    assert!(
        text.contains("publisher = \"acme\"") && text.contains("added = \"2023-11-14T22:13:20.123Z\""),
        "{text}"
    );
    assert_eq!(TrustStore::parse(&text).unwrap(), trust);
    assert_eq!(TrustStore::parse("").unwrap(), TrustStore::new());
}

#[test]
fn a_publisher_has_one_key_and_a_key_one_role() {
    let mut trust = store(&[entry(Some("acme"), 1), entry(None, 2)]);
    let before = trust.clone();
    trust.add(entry(Some("acme"), 1)).unwrap();
    assert_eq!(trust, before, "the same entry again is no change");

    for (second, hint) in [
        (entry(Some("acme"), 3), true),
        (entry(Some("other"), 1), false),
        (entry(None, 1), false),
        (entry(Some("other"), 2), false),
    ] {
        let refusal = trust.add(second).unwrap_err();
        assert_eq!(refusal.code, Code::TrustConflict);
        let old = key(1).public().unwrap().fingerprint();
        assert_eq!(refusal.hints.contains(&format!("capstan trust remove {old}")), hint, "{refusal}");
    }
    assert_eq!(trust, before);
    trust.add(entry(Some("other"), 3)).unwrap();
    trust.add(entry(None, 4)).unwrap();
    assert_eq!(trust.pack_keys().len(), 2);
    assert_eq!(trust.approver_keys().len(), 2);
}

#[test]
fn a_removed_key_is_trusted_no_more() {
    let mut trust = store(&[entry(Some("acme"), 1), entry(None, 2)]);
    let acme = "acme".parse().unwrap();
    let public = key(1).public().unwrap();
    assert_eq!(trust.pack_key(&acme), Some(&public));
    assert_eq!(trust.publisher_of(&public), Some(&acme));
    assert_eq!(trust.publisher_of(&key(2).public().unwrap()), None, "an approver signs no packs");
    assert_eq!(trust.remove(&public.fingerprint()), Some(entry(Some("acme"), 1)));
    assert_eq!(trust.remove(&public.fingerprint()), None);
    assert_eq!(trust.pack_key(&acme), None);
    assert_eq!(trust.entries().len(), 1);
    trust.add(entry(Some("acme"), 3)).unwrap();
}

#[test]
fn errors_name_the_line() {
    let good = store(&[entry(Some("acme"), 1)]).to_toml();
    let second = store(&[entry(Some("acme"), 2)]).to_toml();
    let identity = format!(
        "ed25519:{}",
        crate::text::encode_base64(&{
            let mut b = [0_u8; 32];
            b[0] = 1;
            b
        })
    );
    let public = key(1).public().unwrap().to_string();
    let cases = [
        (format!("{good}\n{second}"), Code::TrustConflict, "line 7"),
        (good.replace(&public, &identity), Code::KeyInadmissible, "line 4"),
        (good.replace(&public, "ed25519:x"), Code::TrustMalformed, "line 4"),
        (good.replace("role = \"pack\"", "role = \"boss\""), Code::TrustMalformed, "line 1"),
        (good.replace("role = \"pack\"", "role = \"approver\""), Code::TrustMalformed, "line 1"),
        (good.replace("publisher = \"acme\"\n", ""), Code::TrustMalformed, "line 1"),
        (good.replace("publisher", "publsher"), Code::TrustMalformed, "line 1"),
        (good.replace("2023-", "never-"), Code::TrustMalformed, "line 5"),
        (good.replace("2023-", "1923-"), Code::TrustMalformed, "line 5"),
        (good.replace("added", "role = \"pack\"\nadded"), Code::TrustMalformed, "line 5"),
        (good.replace("[[key]]", "[[keys]]"), Code::TrustMalformed, "line 1"),
        (good.replace("[[key]]", "[key]"), Code::TrustMalformed, "line 1"),
        ("key = [1]".to_owned(), Code::TrustMalformed, "line 1"),
    ];
    assert!(TrustStore::parse(&good).is_ok());
    for (text, code, line) in cases {
        let refusal = TrustStore::parse(&text).unwrap_err();
        assert_eq!(refusal.code, code, "{text}\n{refusal:?}");
        assert!(refusal.message.contains(line), "{text}\n{refusal}");
    }
}

#[test]
fn the_number_of_keys_is_bounded() {
    let mut trust = TrustStore::new();
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    for index in 0..=ENTRIES_MAX {
        seed[..8].copy_from_slice(&index.to_le_bytes());
        let key = crate::key::SigningKey::from_seed(&seed).public().unwrap();
        let added = trust.add(TrustedKey { role: Role::Approver, key, added: Timestamp(0) });
        assert_eq!(added.is_ok(), index < ENTRIES_MAX);
    }
}

proptest! {
    #[test]
    fn hostile_text_never_panics(text: String) {
        drop(TrustStore::parse(&text));
    }

    #[test]
    fn a_damaged_file_never_panics(at: proptest::sample::Index, cut in 0..40_usize, put in "[\\[\\]{}=.,\"'\\n a-c]{0,6}") {
        let text = store(&[entry(Some("acme"), 1), entry(None, 2)]).to_toml();
        let start = at.index(text.len());
        let end = (start + cut).min(text.len());
        drop(TrustStore::parse(&format!("{}{put}{}", &text[..start], &text[end..])));
    }

    #[test]
    fn any_time_is_written_and_read(ms in 0..253_402_207_200_000_u64) {
        let mut trust = TrustStore::new();
        trust.add(TrustedKey { added: Timestamp(ms), ..entry(None, 1) }).unwrap();
        prop_assert_eq!(TrustStore::parse(&trust.to_toml()).unwrap(), trust);
    }
}
