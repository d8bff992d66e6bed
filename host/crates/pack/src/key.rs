//! Ed25519 keys: admission, text forms, fingerprints.
//!
//! Invariant: no [`PublicKey`] exists that is not canonical, of large order and torsion-free, so
//! nothing behind this module has to ask again.

use std::fmt;
use std::str::FromStr;

use base::{Code, Digest, Refusal};
use curve25519_dalek::edwards::CompressedEdwardsY;
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use zeroize::Zeroizing;

use crate::text::{decode_base64, encode_base64};

/// First part of a public key's one-line text.
const PUBLIC_PREFIX: &str = "ed25519:";
/// First part of a signing key's one-line text: names what it is, so that a leaked file is found by it.
const SECRET_PREFIX: &str = "capstan-secret-key-ed25519:";
/// What precedes the 32 key bytes in the DER form of an Ed25519 `SubjectPublicKeyInfo` (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// RFC 4648 base32 in lower case.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// How much of the key's hash a fingerprint shows: 160 bits, below which none may be cut.
const FINGERPRINT_BYTES: usize = 20;

/// An Ed25519 public key that passed admission.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Admits a key: its encoding is canonical, it is not of small order, and it has no
    /// component of small order (RFC 8032 allows all three; each lets two parties disagree on
    /// what was signed, or lets one signature fit any message).
    ///
    /// # Errors
    /// [`Code::KeyInadmissible`] with the reason.
    pub fn admit(bytes: &[u8; 32]) -> Result<Self, Refusal> {
        let refuse = |why: &str| Refusal::new(Code::KeyInadmissible, format!("the public key {why}"));
        let point =
            CompressedEdwardsY(*bytes).decompress().ok_or_else(|| refuse("is not a point of the curve"))?;
        if point.compress().as_bytes() != bytes {
            return Err(refuse("is not in its canonical encoding"));
        }
        if point.is_small_order() {
            return Err(refuse("is of small order, so that it would accept forged signatures"));
        }
        if !point.is_torsion_free() {
            return Err(refuse("has a component of small order"));
        }
        VerifyingKey::from_bytes(bytes).map(Self).map_err(|_| refuse("is not a point of the curve"))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// SHA-256 of the key's DER form: the `keyid` of envelopes, as 64 hex digits.
    #[must_use]
    pub fn id(&self) -> Digest {
        key_id(self.as_bytes())
    }

    /// The key's fingerprint, for people to compare.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut bytes = [0; FINGERPRINT_BYTES];
        for (to, from) in bytes.iter_mut().zip(self.id().as_bytes()) {
            *to = *from;
        }
        Fingerprint(bytes)
    }

    /// Whether `signature` is this key's over exactly `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

/// The `keyid` of 32 key bytes, admitted or not.
pub(crate) fn key_id(bytes: &[u8; 32]) -> Digest {
    Digest::of(&[SPKI_PREFIX.as_slice(), bytes.as_slice()].concat())
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC_PREFIX}{}", encode_base64(self.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let bytes = text
            .strip_prefix(PUBLIC_PREFIX)
            .and_then(decode_base64)
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .ok_or_else(|| {
                let shown: String = text.chars().take(80).collect();
                Refusal::new(
                    Code::KeyMalformed,
                    format!("`{shown}` is not a public key: expected `ed25519:` and 44 base64 characters"),
                )
            })?;
        Self::admit(&bytes)
    }
}

/// The first 160 bits of a key's id in base32, eight groups of four: what people compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; FINGERPRINT_BYTES]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (quintets, _) = self.0.as_chunks::<5>();
        for (index, five) in quintets.iter().enumerate() {
            let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            for letter in 0..8_u32 {
                if letter % 4 == 0 && (index, letter) != (0, 0) {
                    f.write_str("-")?;
                }
                let value = (bits >> (35 - 5 * letter)) & 31;
                let symbol = usize::try_from(value).ok().and_then(|value| BASE32.get(value)).copied();
                fmt::Write::write_char(f, char::from(symbol.unwrap_or(b'a')))?;
            }
        }
        Ok(())
    }
}

impl FromStr for Fingerprint {
    type Err = Refusal;

    /// Takes the form that is shown; upper case and missing dashes are forgiven, a shorter text is not.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let fail = || {
            let shown: String = text.chars().take(80).collect();
            Refusal::new(
                Code::KeyMalformed,
                format!(
                    "`{shown}` is not a key fingerprint: expected eight groups of four letters and digits"
                ),
            )
        };
        let mut bytes = [0; FINGERPRINT_BYTES];
        let mut slots = bytes.iter_mut();
        let (mut bits, mut held) = (0_u32, 0_u32);
        for symbol in text.bytes().filter(|byte| *byte != b'-') {
            let value =
                BASE32.iter().position(|known| *known == symbol.to_ascii_lowercase()).ok_or_else(fail)?;
            bits = (bits << 5 | u32::try_from(value).unwrap_or(0)) & 0xfff;
            held += 5;
            if held >= 8 {
                held -= 8;
                *slots.next().ok_or_else(fail)? = u8::try_from((bits >> held) & 0xff).unwrap_or(0);
            }
        }
        if held == 0 && slots.next().is_none() { Ok(Self(bytes)) } else { Err(fail()) }
    }
}

/// An Ed25519 signing key. Zeroed when dropped; never printed.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key of 32 random bytes.
    #[must_use]
    pub fn from_seed(seed: &Zeroizing<[u8; 32]>) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The 32 bytes that it was made of, for whoever stores or encrypts it.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    ///
    /// # Errors
    /// [`Code::KeyInadmissible`], which no key derived from a seed is: the check stands so that
    /// [`PublicKey`] has one door.
    pub fn public(&self) -> Result<PublicKey, Refusal> {
        PublicKey::admit(self.0.verifying_key().as_bytes())
    }

    /// Signs exactly `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The key file's content: one line, `capstan-secret-key-ed25519:` and base64 of the seed.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let seed = Zeroizing::new(encode_base64(self.seed().as_slice()));
        Zeroizing::new(format!("{SECRET_PREFIX}{}\n", seed.as_str()))
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`Code::KeyMalformed`]; the message never repeats the text.
    pub fn from_text(text: &str) -> Result<Self, Refusal> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let decoded = line.strip_prefix(SECRET_PREFIX).and_then(decode_base64).map(Zeroizing::new);
        let seed = decoded
            .and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok())
            .map(Zeroizing::new)
            .ok_or_else(|| {
                Refusal::new(Code::KeyMalformed, "the key file is not a signing key of Capstan")
            })?;
        Ok(Self::from_seed(&seed))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

#[cfg(test)]
mod tests;
