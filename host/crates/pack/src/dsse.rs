//! DSSE v1 envelopes: Ed25519 over the raw payload bytes and their type.
//!
//! Invariant: payload bytes leave this module only through [`Envelope::verify`], so what is
//! parsed is what was signed. The envelope chooses nothing: the payload's type, the keys, the
//! algorithm and the threshold are the caller's; `keyid` and `key` in it are hints.
//!
//! Narrower than the DSSE specification on purpose: unknown members, the URL-safe alphabet and
//! any spelling other than the one [`Envelope::to_bytes`] writes are refused. An envelope
//! therefore has one byte form, and a changed byte in it never goes unseen.

use std::num::NonZeroUsize;

use base::{Code, Refusal};
use serde::{Deserialize, Serialize};

use crate::key::{Fingerprint, PublicKey, SigningKey, key_id};
use crate::text::{decode_base64, encode_base64, shown};

/// Longest envelope that is read, in bytes.
pub const ENVELOPE_BYTES_MAX: usize = 256 << 10;
/// Most signatures that an envelope may carry.
pub const SIGNATURES_MAX: usize = 16;
/// Longest payload type and `keyid`, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// A payload with its type and signatures; nothing in it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    signatures: Vec<EnvelopeSignature>,
}

/// One signature and the hints beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EnvelopeSignature {
    keyid: String,
    signature: [u8; 64],
    key: Option<[u8; 32]>,
}

/// What a verified envelope says, and who said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<'a> {
    /// The very bytes that were signed.
    pub payload: &'a [u8],
    /// The trusted keys whose signatures fit, each once, in the order they were handed in.
    pub signers: Vec<PublicKey>,
}

/// The envelope's JSON: a format of its own, member order included.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeText {
    #[serde(rename = "payloadType")]
    payload_type: String,
    payload: String,
    signatures: Vec<SignatureText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureText {
    keyid: String,
    sig: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// The bytes that are signed (DSSE protocol, `PAE`): both lengths first, so that no payload can
/// pass for another type's.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

impl Envelope {
    /// Signs `payload` with each key.
    ///
    /// # Errors
    /// [`Code::KeyInadmissible`] if a key is not one that a verifier would admit.
    pub fn sign(payload_type: &str, payload: Vec<u8>, keys: &[&SigningKey]) -> Result<Self, Refusal> {
        let message = pae(payload_type, &payload);
        let signatures = keys
            .iter()
            .map(|key| {
                let public = key.public()?;
                let signature = key.sign(&message);
                Ok(EnvelopeSignature { keyid: public.id().hex(), signature, key: Some(*public.as_bytes()) })
            })
            .collect::<Result<_, Refusal>>()?;
        Ok(Self { payload_type: payload_type.to_owned(), payload, signatures })
    }

    /// Reads an envelope. Nothing in it is verified.
    ///
    /// # Errors
    /// [`Code::EnvelopeMalformed`] for anything but the bytes that [`Self::to_bytes`] would write.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > ENVELOPE_BYTES_MAX {
            return Err(malformed(format!("it is larger than {ENVELOPE_BYTES_MAX} bytes")));
        }
        let json = values::parse_json(bytes).map_err(|error| malformed(error.to_string()))?;
        let text: EnvelopeText =
            serde_json::from_value(json).map_err(|error| malformed(shown(&error.to_string(), 200)))?;
        if text.payload_type.len() > NAME_BYTES_MAX {
            return Err(malformed("its payload type is too long"));
        }
        if text.signatures.is_empty() || text.signatures.len() > SIGNATURES_MAX {
            return Err(malformed(format!("it must have 1 to {SIGNATURES_MAX} signatures")));
        }
        let envelope = Self {
            payload: decode_base64(&text.payload)
                .ok_or_else(|| malformed("`payload` is not canonical base64"))?,
            signatures: text.signatures.into_iter().map(EnvelopeSignature::read).collect::<Result<_, _>>()?,
            payload_type: text.payload_type,
        };
        if envelope.to_bytes() != bytes {
            return Err(malformed("it is not written in the one form that Capstan writes"));
        }
        Ok(envelope)
    }

    /// The envelope as it is stored: JSON, two spaces, members in order, a final newline.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let text = EnvelopeText {
            payload_type: self.payload_type.clone(),
            payload: encode_base64(&self.payload),
            signatures: self.signatures.iter().map(EnvelopeSignature::write).collect(),
        };
        // Strings and lists always serialise; an empty text would parse as nothing.
        let mut bytes = serde_json::to_vec_pretty(&text).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// The payload, if at least `threshold` of the `trusted` keys signed it as `payload_type`.
    /// Each key counts once, however many signatures and key ids it hides behind.
    ///
    /// # Errors
    /// [`Code::EnvelopeMalformed`] if the payload has another type; [`Code::SigUntrusted`] if no
    /// signature even claims to be of a trusted key; [`Code::SigInvalid`] if too few fit.
    pub fn verify(
        &self,
        payload_type: &str,
        trusted: &[PublicKey],
        threshold: NonZeroUsize,
    ) -> Result<Verified<'_>, Refusal> {
        if self.payload_type != payload_type {
            let found = shown(&self.payload_type, 80);
            return Err(malformed(format!("its payload is `{found}`, not `{payload_type}`")));
        }
        let message = pae(payload_type, &self.payload);
        let mut signers: Vec<PublicKey> = Vec::new();
        for key in trusted {
            let fits = self.signatures.iter().any(|s| key.verifies(&message, &s.signature));
            if fits && !signers.contains(key) {
                signers.push(key.clone());
            }
        }
        if signers.len() >= threshold.get() {
            return Ok(Verified { payload: &self.payload, signers });
        }
        // Only the wording follows the hint; the refusal stands either way.
        let claims = |key: &PublicKey| self.signatures.iter().any(|s| s.keyid == key.id().hex());
        if signers.is_empty() && !trusted.iter().any(claims) {
            return Err(Refusal::new(Code::SigUntrusted, "the envelope has no signature of a trusted key"));
        }
        let message = format!("{} of {threshold} needed signatures fit the envelope's bytes", signers.len());
        Err(Refusal::new(Code::SigInvalid, message))
    }

    /// The key beside a signature whose fingerprint is the one that a person compared. It is
    /// admitted, and not yet trusted for anything.
    ///
    /// # Errors
    /// [`Code::SigUntrusted`] if no signature brings such a key; [`Code::KeyInadmissible`].
    pub fn key_with(&self, fingerprint: &Fingerprint) -> Result<PublicKey, Refusal> {
        let mut admitted = self.signatures.iter().filter_map(|s| s.key.as_ref()).map(PublicKey::admit);
        let mut failure = None;
        for key in &mut admitted {
            match key {
                Ok(key) if key.fingerprint() == *fingerprint => return Ok(key),
                Ok(_) => {}
                Err(refusal) => failure = Some(refusal),
            }
        }
        let absent = || {
            let carried = self.fingerprints().iter().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(", ");
            let carried = if carried.is_empty() { "none".to_owned() } else { carried };
            Refusal::new(
                Code::SigUntrusted,
                format!("the envelope carries no key with fingerprint `{fingerprint}`; it carries {carried}"),
            )
        };
        Err(failure.unwrap_or_else(absent))
    }

    /// The fingerprints of the admissible keys that the envelope carries: to show, not to believe.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        let keys = self.signatures.iter().filter_map(|s| s.key.as_ref());
        keys.filter_map(|key| PublicKey::admit(key).ok()).map(|key| key.fingerprint()).collect()
    }
}

impl EnvelopeSignature {
    fn read(text: SignatureText) -> Result<Self, Refusal> {
        let signature = decode_base64(&text.sig)
            .and_then(|bytes| <[u8; 64]>::try_from(bytes).ok())
            .ok_or_else(|| malformed("`sig` is not 64 bytes of canonical base64"))?;
        let key = match text.key {
            None => None,
            Some(key) => Some(
                decode_base64(&key)
                    .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
                    .ok_or_else(|| malformed("`key` is not 32 bytes of canonical base64"))?,
            ),
        };
        if text.keyid.len() > NAME_BYTES_MAX {
            return Err(malformed("a `keyid` is too long"));
        }
        if key.is_some_and(|key| key_id(&key).hex() != text.keyid) {
            return Err(malformed("a `keyid` is not the hash of the `key` beside it"));
        }
        Ok(Self { keyid: text.keyid, signature, key })
    }

    fn write(&self) -> SignatureText {
        SignatureText {
            keyid: self.keyid.clone(),
            sig: encode_base64(&self.signature),
            key: self.key.map(|key| encode_base64(&key)),
        }
    }
}

fn malformed(why: impl AsRef<str>) -> Refusal {
    Refusal::new(Code::EnvelopeMalformed, format!("the envelope is malformed: {}", why.as_ref()))
}

#[cfg(test)]
mod tests;
