//! Reference pack `capstan:text`: works on text that it is handed.
//!
//! *Invariants*
//!
//! - No host call: every operation is a function of its arguments, and the component imports nothing.
//! - Any text is accepted. What is not understood gives an absent summary, never an error.

mod codemap;
mod javascript;
mod markdown;
mod notes;
mod python;
mod rust;
mod sentence;

capstan_sdk::pack!(Text);

use exports::capstan::pack::health;
use exports::capstan::text::{
    diff, javascript as javascript_exports, markdown as markdown_exports, notes as notes_exports,
    python as python_exports, report, rust as rust_exports, types, words,
};

fn head(file: types::File, summary: impl Fn(&str) -> Option<String>) -> types::Head {
    let summary = summary(&file.text);
    types::Head { path: file.path, summary }
}

impl rust_exports::Guest for Text {
    fn head(file: types::File) -> types::Head {
        head(file, rust::summary)
    }
}

impl python_exports::Guest for Text {
    fn head(file: types::File) -> types::Head {
        head(file, python::summary)
    }
}

impl javascript_exports::Guest for Text {
    fn head(file: types::File) -> types::Head {
        head(file, javascript::summary)
    }
}

impl markdown_exports::Guest for Text {
    fn head(file: types::File) -> types::Head {
        head(file, markdown::summary)
    }
}

impl report::Guest for Text {
    fn codemap(heads: Vec<types::Head>, title: Option<String>) -> String {
        let heads = heads.into_iter().map(|head| (head.path, head.summary)).collect();
        codemap::page(heads, title.as_deref().unwrap_or("Code map"))
    }
}

impl diff::Guest for Text {
    fn unified(path: String, before: String, after: String) -> String {
        if before == after {
            return String::new();
        }
        similar::TextDiff::from_lines(&before, &after)
            .unified_diff()
            .context_radius(3)
            .header(&format!("a/{path}"), &format!("b/{path}"))
            .to_string()
    }
}

impl words::Guest for Text {
    fn count(text: String) -> words::Counts {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        words::Counts {
            lines: count(text.lines().count()),
            words: count(text.split_whitespace().count()),
            bytes: count(text.len()),
        }
    }
}

impl notes_exports::Guest for Text {
    fn find(file: types::File) -> Vec<notes_exports::Note> {
        notes::find(&file.text)
            .map(|note| notes_exports::Note {
                path: file.path.clone(),
                line: note.line,
                marker: note.marker.to_owned(),
                owner: note.owner.map(str::to_owned),
                text: note.text.to_owned(),
            })
            .collect()
    }
}

impl health::Guest for Text {
    fn check() -> Result<String, String> {
        match rust::summary("//! Works. Twice.").as_deref() {
            Some("Works.") => Ok("a doc sentence is found where one is".to_owned()),
            other => Err(format!("expected the doc sentence `Works.`, found {other:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unified_diff_has_headers_and_context_and_is_empty_for_equal_texts() {
        let before = "one\ntwo\nthree\n";
        let after = "one\n2\nthree\n";
        let diff = <Text as diff::Guest>::unified("a/b.txt".into(), before.into(), after.into());
        assert_eq!(diff, "--- a/a/b.txt\n+++ b/a/b.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n");
        assert_eq!(<Text as diff::Guest>::unified("x".into(), before.into(), before.into()), "");
    }

    #[test]
    fn a_diff_says_when_the_last_line_has_no_end() {
        let diff = <Text as diff::Guest>::unified("x".into(), "a\n".into(), "a".into());
        assert!(diff.contains("\\ No newline at end of file"), "{diff}");
    }

    #[test]
    fn counts_of_empty_unended_and_wide_text() {
        let count = |text: &str| {
            let counts = <Text as words::Guest>::count(text.into());
            (counts.lines, counts.words, counts.bytes)
        };
        assert_eq!(count(""), (0, 0, 0));
        assert_eq!(count("one two\nthree"), (2, 3, 13));
        assert_eq!(count("größe\n\n"), (2, 1, 9));
    }

    #[test]
    fn a_head_keeps_the_path_it_was_given() {
        let file = types::File { path: "src/lib.rs".into(), text: "//! Reads. Writes.".into() };
        let head = <Text as rust_exports::Guest>::head(file);
        assert_eq!((head.path.as_str(), head.summary.as_deref()), ("src/lib.rs", Some("Reads.")));
    }

    #[test]
    fn health_is_good() {
        assert!(<Text as health::Guest>::check().is_ok());
    }
}
