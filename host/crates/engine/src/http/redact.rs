//! Taking the values of secrets out of what a server answers.
//!
//! A server may say what it was sent: in an error page, in a header, in an address to go on with. What
//! is looked for is a value as it is, percent-encoded or escaped in any mixture, in hexadecimal, and
//! in base64 wherever it starts in what was encoded. Each byte of it becomes `*`, so that lengths stay.
//! A server that hides a value in another way could send it to anybody else as well.

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::Response;
use crate::SecretValue;

/// What stands where a value was.
const MASK: u8 = b'*';

/// Knows what is not to come back.
pub(crate) struct Redactor {
    needles: Vec<Needle>,
}

enum Needle {
    /// Each byte as it is, or escaped.
    Escaped(Zeroizing<Vec<u8>>),
    /// Exactly these bytes.
    Exact(Zeroizing<Vec<u8>>),
    /// These bytes as pairs of digits.
    Hex(Zeroizing<Vec<u8>>),
}

impl Redactor {
    pub(crate) fn new<'a>(values: impl IntoIterator<Item = &'a SecretValue>) -> Self {
        let needles = values.into_iter().flat_map(|value| {
            let bytes = value.expose().as_bytes();
            let own = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
            let encoded = (0..3).flat_map(move |offset| {
                [base64(&STANDARD_NO_PAD, bytes, offset), base64(&URL_SAFE_NO_PAD, bytes, offset)]
            });
            [Needle::Escaped(own(bytes)), Needle::Hex(own(bytes))]
                .into_iter()
                .chain(encoded.map(Needle::Exact))
        });
        Self { needles: needles.collect() }
    }

    /// The response without them.
    pub(crate) fn clean(&self, mut response: Response) -> Response {
        if self.needles.is_empty() {
            return response;
        }
        self.mask(&mut response.body);
        // Names of headers come in lower case.
        let lower = self.lower();
        let mut headers = HeaderMap::with_capacity(response.headers.len());
        for (name, value) in &response.headers {
            let mut text = name.as_str().as_bytes().to_vec();
            lower.mask(&mut text);
            let mut bytes = value.as_bytes().to_vec();
            self.mask(&mut bytes);
            // A mask is a character of both, so what was one still is.
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&text), HeaderValue::from_bytes(&bytes)) {
                headers.append(name, value);
            }
        }
        response.headers = headers;
        response
    }

    /// Masks every occurrence. All are looked for before any is masked: they may overlap.
    fn mask(&self, text: &mut [u8]) {
        let mut found = Vec::new();
        for needle in &self.needles {
            let mut at = 0;
            while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
                let length = needle.length(rest).unwrap_or(0);
                if length > 0 {
                    found.push(at..at + length);
                }
                at += length.max(1);
            }
        }
        for range in found {
            if let Some(bytes) = text.get_mut(range) {
                bytes.fill(MASK);
            }
        }
    }

    /// For text whose letters have lost their case.
    fn lower(&self) -> Self {
        Self { needles: self.needles.iter().map(Needle::lower).collect() }
    }
}

impl Needle {
    /// How many bytes of `text` it takes from its start, if it is there.
    fn length(&self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Exact(bytes) => text.starts_with(bytes).then_some(bytes.len()),
            Self::Hex(bytes) => {
                let pairs = text.chunks_exact(2).take(bytes.len());
                let all = bytes.iter().zip(pairs).filter(|(byte, pair)| hex(pair) == Some(u32::from(**byte)));
                (all.count() == bytes.len()).then_some(2 * bytes.len())
            }
            Self::Escaped(bytes) => {
                let (first, others) = bytes.split_first()?;
                // A text may be read in several ways: `%25` is `%`, or `%` and more.
                let mut ends: Vec<usize> = escaped(*first, text).collect();
                for byte in others {
                    let mut next = Vec::new();
                    for end in ends {
                        let rest = text.get(end..).unwrap_or_default();
                        next.extend(escaped(*byte, rest).map(|length| end + length));
                    }
                    ends = next;
                    ends.dedup();
                    if ends.is_empty() {
                        return None;
                    }
                }
                ends.into_iter().max()
            }
        }
    }

    fn lower(&self) -> Self {
        let lower = |bytes: &[u8]| Zeroizing::new(bytes.to_ascii_lowercase());
        match self {
            Self::Escaped(bytes) => Self::Escaped(lower(bytes)),
            Self::Exact(bytes) => Self::Exact(lower(bytes)),
            Self::Hex(bytes) => Self::Hex(Zeroizing::new(bytes.to_vec())),
        }
    }
}

/// How many bytes of `text` may stand for `byte`: itself; `%2F`; `+` for a space; `\/` and `\u002f` in
/// a string of JSON.
fn escaped(byte: u8, text: &[u8]) -> impl Iterator<Item = usize> {
    let value = Some(u32::from(byte));
    let raw = text.first() == Some(&byte) || (byte == b' ' && text.first() == Some(&b'+'));
    let percent = matches!(text, [b'%', a, b, ..] if hex(&[*a, *b]) == value);
    let unicode = matches!(text, [b'\\', b'u', a, b, c, d, ..] if hex(&[*a, *b, *c, *d]) == value);
    let escape = matches!(text, [b'\\', second, ..] if *second == byte && byte.is_ascii_punctuation());
    [(raw, 1), (percent, 3), (unicode, 6), (escape, 2)]
        .into_iter()
        .filter(|(is, _)| *is)
        .map(|(_, length)| length)
}

/// The number that the digits spell.
fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
}

/// What is the same in the base64 of every text that has `bytes` after some multiple of three bytes and
/// `offset` more.
fn base64(engine: &impl base64::Engine, bytes: &[u8], offset: usize) -> Zeroizing<Vec<u8>> {
    let text = Zeroizing::new([[0; 2].get(..offset).unwrap_or_default(), bytes].concat());
    let encoded = Zeroizing::new(engine.encode(&*text));
    // The first characters hold bits of what is before, the last one of what is after.
    let start = (offset * 4).div_ceil(3);
    let end = encoded.len() - usize::from(text.len() % 3 != 0);
    Zeroizing::new(encoded.as_bytes().get(start..end).unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn redactor(value: &str) -> Redactor {
        Redactor::new([&SecretValue::new(Zeroizing::new(value.to_owned())).unwrap()])
    }

    fn masked(value: &str, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        redactor(value).mask(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    const VALUE: &str = "a/b\"c\\d e+f%g";

    #[test]
    fn a_value_is_masked_in_every_form_and_what_is_not_it_stays() {
        for form in [
            VALUE,
            "a%2Fb%22c%5Cd%20e%2Bf%25g",
            "a%2fb%22c%5cd+e%2bf%25g",
            "%61%2F%62%22%63%5C%64%20%65%2B%66%25%67",
            r#"a\/b\"c\\d e+f%g"#,
            r#"a/b"c\\d e+f%g"#,
            "612f6222635c6420652b662567",
            "612F6222635C6420652B662567",
        ] {
            let text = format!("before {form} after {form}");
            let mask = "*".repeat(form.len());
            assert_eq!(masked(VALUE, &text), format!("before {mask} after {mask}"), "{form}");
        }
        for other in
            ["", "a/b", "a/b\"c\\d e+f%", "A/B\"C\\D E+F%G", "612f6222635c6420652b6625", "%", "\\u00"]
        {
            assert_eq!(masked(VALUE, other), other);
        }
    }

    #[test]
    fn overlapping_values_are_both_masked() {
        let values =
            ["abcdefgh", "efghijkl"].map(|text| SecretValue::new(Zeroizing::new(text.to_owned())).unwrap());
        let mut text = b"-abcdefghijkl-".to_vec();
        Redactor::new(&values).mask(&mut text);
        assert_eq!(text, b"-************-");
    }

    #[test]
    fn headers_are_masked_in_name_and_value() {
        let mut headers = HeaderMap::new();
        headers.append("x-tokenvalue", HeaderValue::from_static("1"));
        headers.append("location", HeaderValue::from_static("https://a.b/?t=TokenValue&x=1"));
        headers.append("location", HeaderValue::from_static("plain"));
        let response = Response { status: http::StatusCode::OK, headers, body: b"TokenValue".to_vec() };
        let clean = redactor("TokenValue").clean(response);
        assert_eq!(clean.body, b"**********");
        let all: Vec<_> =
            clean.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(
            all,
            [("x-**********", "1"), ("location", "https://a.b/?t=**********&x=1"), ("location", "plain")]
        );
    }

    proptest! {
        #[test]
        fn base64_of_a_text_that_holds_the_value_no_longer_decodes_to_it(
            value in "[ -~]{8,40}", before in "[ -~]{0,7}", after in "[ -~]{0,7}",
        ) {
            let whole = format!("{before}{value}{after}");
            for encoded in [STANDARD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole)] {
                let clean = masked(&value, &encoded);
                // Two characters at each end may hold bits of the neighbours; the rest is gone.
                let start = (before.len() * 4).div_ceil(3);
                let end = (before.len() + value.len()) * 4 / 3;
                prop_assert!(clean[start..end].bytes().all(|byte| byte == b'*'), "{encoded} {clean}");
            }
        }

        #[test]
        fn any_mixture_of_escapes_is_masked(value in "[ -~]{8,20}", how in proptest::collection::vec(0..4u8, 20)) {
            let form: String = value.chars().zip(&how).map(|(char, how)| match how {
                0 if char == '\\' => "\\\\".to_owned(),
                0 => char.to_string(),
                1 => format!("%{:02X}", char as u32),
                2 => format!("%{:02x}", char as u32),
                _ => format!("\\u{:04x}", char as u32),
            }).collect();
            prop_assert_eq!(masked(&value, &form), "*".repeat(form.len()));
        }

        #[test]
        fn what_holds_no_value_is_untouched(text in "[a-m%\\\\+0-9]{0,60}") {
            prop_assert_eq!(masked("zzzzzzzz", &text), text);
        }
    }
}
