//! Envelopes: one byte form, signed bytes, and each key counted once.

use proptest::prelude::*;

use super::*;
use crate::fixture::key;

const TYPE: &str = "application/vnd.capstan.approval.v1+json";
const ONE: NonZeroUsize = NonZeroUsize::MIN;

fn public(seed: u8) -> PublicKey {
    key(seed).public().unwrap()
}

fn text(envelope: &Envelope) -> String {
    String::from_utf8(envelope.to_bytes()).unwrap()
}

fn two() -> NonZeroUsize {
    NonZeroUsize::new(2).unwrap()
}

#[test]
fn the_signed_bytes_are_those_of_the_specification() {
    // DSSE protocol.md, "Test Vectors".
    let expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";
    assert_eq!(pae("http://example.com/HelloWorld", b"hello world"), expected);
    assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
    assert_ne!(pae("a", b"b c"), pae("a b", b"c"));
}

#[test]
fn a_signed_payload_comes_back() {
    let envelope = Envelope::sign(TYPE, b"payload".to_vec(), &[&key(1)]).unwrap();
    let parsed = Envelope::parse(&envelope.to_bytes()).unwrap();
    assert_eq!(parsed, envelope);
    let trusted = [public(2), public(1)];
    let verified = parsed.verify(TYPE, &trusted, ONE).unwrap();
    assert_eq!(verified, Verified { payload: b"payload", signers: vec![public(1)] });
}

#[test]
fn another_payload_type_is_another_message() {
    let envelope = Envelope::sign(TYPE, b"payload".to_vec(), &[&key(1)]).unwrap();
    let trusted = [public(1)];
    assert!(envelope.verify(TYPE, &trusted, ONE).is_ok());
    assert_eq!(envelope.verify("application/x", &trusted, ONE).unwrap_err().code, Code::EnvelopeMalformed);
    // Renamed in the envelope too, the type is what was not signed.
    let renamed = Envelope { payload_type: "application/x".to_owned(), ..envelope };
    assert_eq!(renamed.verify("application/x", &trusted, ONE).unwrap_err().code, Code::SigInvalid);
}

#[test]
fn a_stranger_is_untrusted_and_a_bad_signature_invalid() {
    let envelope = Envelope::sign(TYPE, b"payload".to_vec(), &[&key(1)]).unwrap();
    assert_eq!(envelope.verify(TYPE, &[public(2)], ONE).unwrap_err().code, Code::SigUntrusted);
    assert_eq!(envelope.verify(TYPE, &[], ONE).unwrap_err().code, Code::SigUntrusted);
    let changed = Envelope { payload: b"Payload".to_vec(), ..envelope.clone() };
    assert_eq!(changed.verify(TYPE, &[public(1)], ONE).unwrap_err().code, Code::SigInvalid);
    assert!(envelope.verify(TYPE, &[public(1)], ONE).is_ok());
}

#[test]
fn a_key_counts_once_behind_any_number_of_key_ids() {
    let mut envelope = Envelope::sign(TYPE, b"payload".to_vec(), &[&key(1), &key(1)]).unwrap();
    for (index, signature) in envelope.signatures.iter_mut().enumerate() {
        signature.keyid = format!("name-{index}");
        signature.key = None;
    }
    let envelope = Envelope::parse(&envelope.to_bytes()).unwrap();
    let trusted = [public(1), public(1), public(2)];
    assert_eq!(envelope.verify(TYPE, &trusted, ONE).unwrap().signers, [public(1)]);
    assert_eq!(envelope.verify(TYPE, &trusted, two()).unwrap_err().code, Code::SigInvalid);

    let both = Envelope::sign(TYPE, b"payload".to_vec(), &[&key(1), &key(2)]).unwrap();
    assert_eq!(both.verify(TYPE, &trusted, two()).unwrap().signers, [public(1), public(2)]);
}

#[test]
fn only_the_written_form_is_read() {
    let envelope = Envelope::sign(TYPE, b"pay".to_vec(), &[&key(1)]).unwrap();
    let good = text(&envelope);
    assert!(Envelope::parse(good.as_bytes()).is_ok());
    let payload = encode_base64(b"pay");
    let other = [
        good.trim_end().to_owned(),
        format!(" {good}"),
        good.replace("  ", " "),
        good.replace(&payload, "cGF5\\n"),
        good.replace(&payload, &encode_base64(b"pays").replace('=', "")),
        good.replace("\"payload\":", "\"payload\": \"\",\n  \"payload\":"),
        good.replace("\"payload\":", "\"extra\": 1,\n  \"payload\":"),
        good.replace("\"sig\":", "\"kid\": \"\",\n      \"sig\":"),
        good.replace("payloadType", "payload_type"),
        "{}".to_owned(),
        "[]".to_owned(),
        String::new(),
    ];
    for bad in other {
        assert_ne!(bad, good);
        assert_eq!(Envelope::parse(bad.as_bytes()).unwrap_err().code, Code::EnvelopeMalformed, "{bad}");
    }
}

#[test]
fn hints_that_contradict_each_other_are_refused() {
    let mut envelope = Envelope::sign(TYPE, b"payload".to_vec(), &[&key(1)]).unwrap();
    assert!(Envelope::parse(&envelope.to_bytes()).is_ok());
    envelope.signatures[0].key = Some(*public(2).as_bytes());
    assert_eq!(Envelope::parse(&envelope.to_bytes()).unwrap_err().code, Code::EnvelopeMalformed);
}

#[test]
fn bounds_hold_on_both_sides() {
    let keys: Vec<_> = (1..=17).map(key).collect();
    let keys: Vec<_> = keys.iter().collect();
    let parse = |count: usize| {
        Envelope::parse(&Envelope::sign(TYPE, b"p".to_vec(), &keys[..count]).unwrap().to_bytes())
    };
    assert!(parse(SIGNATURES_MAX).is_ok());
    assert_eq!(parse(SIGNATURES_MAX + 1).unwrap_err().code, Code::EnvelopeMalformed);
    assert_eq!(parse(0).unwrap_err().code, Code::EnvelopeMalformed);

    let of_type = |bytes: usize| {
        let envelope = Envelope::sign(&"t".repeat(bytes), b"p".to_vec(), &[&key(1)]).unwrap();
        Envelope::parse(&envelope.to_bytes())
    };
    assert!(of_type(NAME_BYTES_MAX).is_ok());
    assert_eq!(of_type(NAME_BYTES_MAX + 1).unwrap_err().code, Code::EnvelopeMalformed);

    let frame = Envelope::sign(TYPE, Vec::new(), &[&key(1)]).unwrap().to_bytes().len();
    let sized = |bytes: usize| Envelope::sign(TYPE, vec![0; bytes], &[&key(1)]).unwrap().to_bytes();
    let fits = (ENVELOPE_BYTES_MAX - frame) / 4 * 3;
    assert!(sized(fits).len() <= ENVELOPE_BYTES_MAX);
    assert!(Envelope::parse(&sized(fits)).is_ok());
    assert!(sized(fits + 3).len() > ENVELOPE_BYTES_MAX);
    assert_eq!(Envelope::parse(&sized(fits + 3)).unwrap_err().code, Code::EnvelopeMalformed);
}

#[test]
fn a_carried_key_is_found_by_its_fingerprint_only() {
    let envelope = Envelope::sign(TYPE, b"payload".to_vec(), &[&key(1), &key(2)]).unwrap();
    assert_eq!(envelope.fingerprints(), [public(1).fingerprint(), public(2).fingerprint()]);
    assert_eq!(envelope.key_with(&public(2).fingerprint()).unwrap(), public(2));
    let refusal = envelope.key_with(&public(3).fingerprint()).unwrap_err();
    assert_eq!(refusal.code, Code::SigUntrusted);
    assert!(refusal.message.contains(&public(1).fingerprint().to_string()));

    let mut weak = envelope;
    let identity = {
        let mut bytes = [0; 32];
        bytes[0] = 1;
        bytes
    };
    weak.signatures.truncate(1);
    weak.signatures[0].key = Some(identity);
    assert_eq!(weak.fingerprints(), []);
    assert_eq!(weak.key_with(&public(1).fingerprint()).unwrap_err().code, Code::KeyInadmissible);
}

proptest! {
    #[test]
    fn envelopes_round_trip(payload: Vec<u8>, seed in 0..50_u8) {
        let envelope = Envelope::sign(TYPE, payload.clone(), &[&key(seed)]).unwrap();
        let parsed = Envelope::parse(&envelope.to_bytes()).unwrap();
        prop_assert_eq!(parsed.verify(TYPE, &[public(seed)], ONE).unwrap().payload, payload);
    }

    #[test]
    fn hostile_bytes_never_panic(bytes: Vec<u8>) {
        prop_assert!(Envelope::parse(&bytes).is_err());
    }

    #[test]
    fn a_changed_byte_is_never_unseen(at: proptest::sample::Index, to: u8) {
        let mut bytes = Envelope::sign(TYPE, b"payload".to_vec(), &[&key(1)]).unwrap().to_bytes();
        let index = at.index(bytes.len());
        prop_assume!(bytes[index] != to);
        bytes[index] = to;
        let unseen = Envelope::parse(&bytes).and_then(|e| e.verify(TYPE, &[public(1)], ONE).map(|_| ()));
        prop_assert!(unseen.is_err());
    }
}
