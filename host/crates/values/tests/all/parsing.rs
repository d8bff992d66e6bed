//! JSON text from outside: strict, bounded, never a panic.

use proptest::collection::vec;
use proptest::prelude::*;
use values::{JSON_DEPTH_MAX, ParseJsonErrorKind, parse_json};

use crate::arbitrary::json;

proptest! {
    #[test]
    fn no_bytes_panic_and_what_is_accepted_is_what_everyone_reads(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(json) = parse_json(&bytes) {
            prop_assert_eq!(json, serde_json::from_slice::<serde_json::Value>(&bytes).unwrap());
        }
    }

    #[test]
    fn no_text_made_of_json_pieces_panics(
        pieces in vec(prop::sample::select(vec!["{", "}", "[", "]", ":", ",", "\"a\"", "\"\\u", "1", "-", "e9", "null", " "]), 0..40)
    ) {
        let text = pieces.concat();
        let ours = parse_json(text.as_bytes());
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
            (Err(error), Ok(_)) => prop_assert_ne!(error.kind, ParseJsonErrorKind::Syntax),
            (ours, Err(_)) => prop_assert!(ours.is_err()),
        }
    }

    #[test]
    fn written_json_reads_back(json in json()) {
        prop_assert_eq!(parse_json(&serde_json::to_vec(&json).unwrap()), Ok(json));
    }
}

#[test]
fn depth_is_bounded_on_both_sides() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert!(parse_json(nested(JSON_DEPTH_MAX).as_bytes()).is_ok());
        let error = parse_json(nested(JSON_DEPTH_MAX + 1).as_bytes()).unwrap_err();
        assert_eq!(error.kind, ParseJsonErrorKind::TooDeep);
        assert_eq!(error.message, "nested deeper than 64 levels");
        let error = parse_json(open.repeat(1_000_000).as_bytes()).unwrap_err();
        assert_eq!(error.kind, ParseJsonErrorKind::TooDeep);
    }
}

#[test]
fn duplicate_keys_are_refused_however_they_are_spelt() {
    for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"[{"x":{"":0,"":0}}]"#] {
        assert_eq!(parse_json(text.as_bytes()).unwrap_err().kind, ParseJsonErrorKind::DuplicateKey, "{text}");
    }
    assert!(parse_json(r#"{"a":{"a":1},"A":[{"a":1},{"a":1}]}"#.as_bytes()).is_ok());
    let error = parse_json(b"{\n  \"a\": 1,\n  \"a\": 2\n}").unwrap_err();
    assert_eq!((error.line, error.message.as_str()), (3, "key `a` occurs twice"));
    assert!(error.to_string().starts_with("key `a` occurs twice, at line 3 column "), "{error}");
}

#[test]
fn other_texts_are_refused_with_their_place() {
    let texts = [
        "",
        " ",
        "1 2",
        "{}x",
        "\u{feff}1",
        "01",
        "1.",
        "+1",
        ".5",
        "NaN",
        "1e400",
        "'a'",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "\"\\ud800\"",
        "\"\n\"",
        "\"a",
        "// c\n1",
        "tru",
        "{\"$serde_json::private::Number\":1}x",
    ];
    for text in texts {
        let error = parse_json(text.as_bytes()).unwrap_err();
        assert_eq!(error.kind, ParseJsonErrorKind::Syntax, "{text}");
        assert!(!error.message.contains("at line"), "{error:?}");
    }
    assert!(parse_json(b"\"\xff\"").is_err());
    let error = parse_json(b"[1,\n tru]").unwrap_err();
    assert_eq!(error.line, 2);
}

#[test]
fn numbers_keep_their_digits() {
    let json =
        parse_json(b"[18446744073709551615, -9223372036854775808, 9007199254740993, 0.1, 1e308]").unwrap();
    assert_eq!(json.to_string(), "[18446744073709551615,-9223372036854775808,9007199254740993,0.1,1e+308]");
    // Reads right only with exact float parsing.
    let json = parse_json(b"5e-324").unwrap();
    assert_eq!(json.as_f64(), Some(f64::from_bits(1)));
}
