//! A regular expression, tried on one line at a time.

use regex::Regex;

/// The most characters of a matching line that are handed back.
const LINE_CHARS_MAX: usize = 300;

/// A compiled pattern.
pub(crate) struct Search {
    pattern: Regex,
}

/// A line in which the pattern was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// From 1.
    pub(crate) line: u32,
    /// In characters, from 1.
    pub(crate) column: u32,
    /// The line without its end, cut to [`LINE_CHARS_MAX`].
    pub(crate) text: String,
}

impl Search {
    /// Compiles `pattern`. The engine bounds the size of the compiled form.
    pub(crate) fn new(pattern: &str) -> Result<Self, regex::Error> {
        Ok(Self { pattern: Regex::new(pattern)? })
    }

    /// The column, in characters from 1, at which the pattern first matches `line`.
    pub(crate) fn first(&self, line: &str) -> Option<u32> {
        let found = self.pattern.find(line)?;
        let before = line.get(..found.start())?;
        u32::try_from(before.chars().count()).ok()?.checked_add(1)
    }

    /// The lines of `text` that match.
    pub(crate) fn hits<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Hit> + 'a {
        (1..).zip(text.lines()).filter_map(|(line, content)| {
            let column = self.first(content)?;
            Some(Hit { line, column, text: content.chars().take(LINE_CHARS_MAX).collect() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(pattern: &str, text: &str) -> Vec<(u32, u32, String)> {
        Search::new(pattern).unwrap().hits(text).map(|hit| (hit.line, hit.column, hit.text)).collect()
    }

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        let text = "fn main() {}\r\nlet größe = fn_pointer;\n\n  fn tail() {}";
        assert_eq!(
            hits(r"\bfn \w+", text),
            [(1, 1, "fn main() {}".to_owned()), (4, 3, "  fn tail() {}".to_owned())]
        );
        assert_eq!(hits("=", text), [(2, 11, "let größe = fn_pointer;".to_owned())]);
    }

    #[test]
    fn anchors_hold_for_each_line_and_never_span_two() {
        assert_eq!(hits("^b$", "a\nb\nc").len(), 1);
        assert_eq!(hits(r"a\nb", "a\nb").len(), 0);
    }

    #[test]
    fn unicode_classes_and_case_folding_work() {
        assert_eq!(hits(r"(?i)^GRÖSSE\w$", "größen").len(), 0, "ß does not fold to SS");
        assert_eq!(hits(r"(?i)^GRÖßE\w$", "größen").len(), 1);
    }

    #[test]
    fn a_long_line_is_cut_and_keeps_its_column() {
        let text = format!("{}needle", "ä".repeat(1_000));
        let found = hits("needle", &text);
        assert_eq!(found.first().map(|hit| (hit.1, hit.2.chars().count())), Some((1_001, LINE_CHARS_MAX)));
    }

    #[test]
    fn a_bad_or_oversized_pattern_is_an_error() {
        for pattern in ["(", "[z-a]", r"\w{1000}{1000}", "(?P<n>a"] {
            assert!(Search::new(pattern).is_err(), "{pattern} was accepted");
        }
        assert!(Search::new(r"\w{10}").is_ok());
    }
}
