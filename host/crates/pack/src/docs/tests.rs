//! Doc comments: found by name, and made harmless.

use proptest::prelude::*;

use super::*;
use crate::fixture;

fn section(json: &str) -> Vec<u8> {
    let wat = format!(
        "(component (@custom \"package-docs\" \"\\01{}\"))",
        json.replace('\\', "\\5c").replace('"', "\\22")
    );
    wat::parse_str(wat).unwrap()
}

#[test]
fn comments_are_found_by_name() {
    let docs = Docs::read(&fixture::wit()).unwrap();
    assert_eq!(docs.package(), Some("Keeps notes."));
    assert_eq!(docs.interface("notes"), Some("Notes of a person."));
    assert_eq!(docs.operation("notes.draft"), Some("Drafts a note."));
    assert_eq!(docs.operation("notes.other"), None);
    assert_eq!(docs.operation("draft"), None);
}

#[test]
fn comments_are_cleaned_and_cut() {
    let hostile = section(
        r#"{"worlds":{},"interfaces":{"i":{"docs":"a\u001b[31m\u202eb\nc\u0007","funcs":{"f":{"docs":"  "}}}}}"#,
    );
    let docs = Docs::read(&hostile).unwrap();
    assert_eq!(docs.interface("i"), Some("a[31mb\nc"));
    assert_eq!(docs.operation("i.f"), None);
    let long = section(&format!(r#"{{"docs":"{}"}}"#, "x".repeat(DOC_CHARS_MAX + 1)));
    assert_eq!(Docs::read(&long).unwrap().package().unwrap().len(), DOC_CHARS_MAX);
}

#[test]
fn absent_comments_are_no_error_and_malformed_ones_are() {
    let read = |wat: &str| Docs::read(&wat::parse_str(wat).unwrap());
    assert_eq!(read("(component)").unwrap(), Docs::default());
    assert_eq!(Docs::read(&section("[]")).unwrap(), Docs::default());
    assert_eq!(Docs::read(&section(r#"{"interfaces":[1]}"#)).unwrap(), Docs::default());
    for bad in [
        read("(module)"),
        read(r#"(component (@custom "package-docs" ""))"#),
        read(r#"(component (@custom "package-docs" "\07{}"))"#),
        read(r#"(component (@custom "package-docs" "\01{}") (@custom "package-docs" "\01{}"))"#),
        Docs::read(&section("{")),
        Docs::read(&section(r#"{"docs":"a","docs":"b"}"#)),
        Docs::read(b""),
    ] {
        assert_eq!(bad.unwrap_err().code, Code::ComponentInvalid);
    }
    let nested = r#"(component (component (@custom "package-docs" "\01{")))"#;
    assert_eq!(read(nested).unwrap(), Docs::default(), "only the outermost section counts");
}

proptest! {
    #[test]
    fn damaged_bytes_never_panic(edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = fixture::wit();
        for (at, byte) in edits {
            let index = at.index(bytes.len());
            bytes[index] = byte;
        }
        drop(Docs::read(&bytes));
    }
}
