//! Keys: which are admitted, and how they are written.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use proptest::prelude::*;

use super::*;
use crate::fixture;

fn refused(bytes: &[u8; 32], why: &str) {
    let refusal = PublicKey::admit(bytes).unwrap_err();
    assert_eq!(refusal.code, Code::KeyInadmissible);
    assert!(refusal.message.contains(why), "{}", refusal.message);
}

#[test]
fn an_ordinary_key_is_admitted() {
    let key = fixture::key(1).public().unwrap();
    assert_eq!(PublicKey::admit(key.as_bytes()).unwrap(), key);
    assert_eq!(PublicKey::admit(ED25519_BASEPOINT_POINT.compress().as_bytes()).unwrap().as_bytes()[0], 0x58);
}

#[test]
fn keys_of_small_order_are_refused() {
    for point in EIGHT_TORSION {
        refused(point.compress().as_bytes(), "small order");
    }
}

#[test]
fn keys_with_a_torsion_component_are_refused() {
    for torsion in &EIGHT_TORSION[1..] {
        refused((ED25519_BASEPOINT_POINT + torsion).compress().as_bytes(), "component of small order");
    }
}

#[test]
fn keys_in_another_encoding_are_refused() {
    let mut found = 0;
    for small in 2..19_u8 {
        let mut canonical = [0; 32];
        canonical[0] = small;
        let Some(point) = CompressedEdwardsY(canonical).decompress() else { continue };
        assert!(!point.is_small_order(), "the test wants points that only their encoding condemns");
        // p + small, little-endian: the same point, spelt beyond the field's size.
        let mut other = [0xff; 32];
        other[0] = 0xed + small;
        other[31] = 0x7f;
        refused(&other, "canonical");
        found += 1;
    }
    assert!(found > 0, "no point with so small an ordinate");
    refused(&[2; 32], "not a point");
}

#[test]
fn a_key_of_small_order_would_accept_a_forgery() {
    // Why admission exists: under the identity as key, a signature of nothing fits every message.
    let identity = EIGHT_TORSION[0].compress();
    let weak = VerifyingKey::from_bytes(identity.as_bytes()).unwrap();
    let mut forged = [0; 64];
    forged[..32].copy_from_slice(identity.as_bytes());
    let signature = Signature::from_bytes(&forged);
    assert!(ed25519_dalek::Verifier::verify(&weak, b"anything", &signature).is_ok());
    assert!(PublicKey::admit(identity.as_bytes()).is_err());
}

#[test]
fn the_id_is_the_hash_of_the_der_form() {
    let key = fixture::key(1).public().unwrap();
    let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    der.extend_from_slice(key.as_bytes());
    assert_eq!(der.len(), 44);
    assert_eq!(key.id(), Digest::of(&der));
}

#[test]
fn fingerprints_are_base32_in_eight_groups() {
    // RFC 4648, section 10, and this crate's grouping.
    let mut bytes = [0; FINGERPRINT_BYTES];
    bytes[..5].copy_from_slice(b"fooba");
    let text = Fingerprint(bytes).to_string();
    assert_eq!(text, "mzxw-6ytb-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa");
    assert_eq!(text.parse::<Fingerprint>().unwrap(), Fingerprint(bytes));
    assert_eq!(text.replace('-', "").to_uppercase().parse::<Fingerprint>().unwrap(), Fingerprint(bytes));
    for bad in
        ["", "mzxw", &text[..38], &format!("{text}a"), &text.replace('m', "1"), &text.replace('m', "é")]
    {
        assert_eq!(bad.parse::<Fingerprint>().unwrap_err().code, Code::KeyMalformed, "{bad}");
    }
}

#[test]
fn key_texts_have_one_form() {
    let key = fixture::key(7);
    let public = key.public().unwrap();
    assert_eq!(public.to_string().parse::<PublicKey>().unwrap(), public);
    let text = key.to_text();
    assert_eq!(SigningKey::from_text(&text).unwrap().seed(), key.seed());
    assert_eq!(SigningKey::from_text(text.trim_end()).unwrap().public().unwrap(), public);

    let public = public.to_string();
    for bad in [
        "",
        "ed25519:",
        &public[8..],
        &format!("{public} "),
        &public.replace('=', ""),
        &public.replace("ed", "ec"),
    ] {
        assert_eq!(bad.parse::<PublicKey>().unwrap_err().code, Code::KeyMalformed, "{bad}");
    }
    for bad in ["", "capstan-secret-key-ed25519:", &public, &format!(" {}", text.as_str())] {
        let refusal = SigningKey::from_text(bad).unwrap_err();
        assert_eq!(refusal.code, Code::KeyMalformed);
        assert!(bad.is_empty() || !refusal.message.contains(bad), "a key must not be repeated");
    }
    assert_eq!(format!("{key:?}"), "SigningKey(..)");
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_nothing_else(seed: [u8; 32], message: Vec<u8>, flip in 0..512_usize) {
        let key = SigningKey::from_seed(&Zeroizing::new(seed));
        let public = key.public().unwrap();
        let mut signature = key.sign(&message);
        prop_assert!(public.verifies(&message, &signature));
        prop_assert!(!public.verifies(&[message.as_slice(), b"x"].concat(), &signature));
        signature[flip / 8] ^= 1 << (flip % 8);
        prop_assert!(!public.verifies(&message, &signature));
    }

    #[test]
    fn fingerprints_round_trip(bytes: [u8; FINGERPRINT_BYTES]) {
        let text = Fingerprint(bytes).to_string();
        prop_assert_eq!(text.parse::<Fingerprint>().unwrap(), Fingerprint(bytes));
    }

    #[test]
    fn key_texts_never_panic(text: String) {
        drop(text.parse::<PublicKey>());
        drop(text.parse::<Fingerprint>());
        drop(SigningKey::from_text(&text));
    }
}
