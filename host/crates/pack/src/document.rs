//! Reading our TOML files: every problem at once, each with its place.

use std::fmt;
use std::ops::Range;

use base::{Code, Refusal};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::text::shown;

/// Longest TOML file that is parsed, in bytes.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 256 << 10;
/// Most problems that are kept; a reader fixes the first ones and asks again.
const PROBLEMS_MAX: usize = 64;

/// One thing that is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The stable code.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// What was probably meant.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// A key or value with its place.
pub(crate) type Key<'a> = Spanned<std::borrow::Cow<'a, str>>;
/// A value with its place.
pub(crate) type Item<'a> = Spanned<DeValue<'a>>;

/// The codes that one kind of file uses.
#[derive(Clone, Copy)]
pub(crate) struct Codes {
    pub(crate) malformed: Code,
    pub(crate) unknown: Code,
    pub(crate) duplicate: Code,
}

/// A file's text and the problems found in it so far.
pub(crate) struct Reader<'a> {
    text: &'a str,
    codes: Codes,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Parses `text`. What does not parse is a problem and left out of the table.
    pub(crate) fn parse(text: &'a str, codes: Codes) -> (Self, DeTable<'a>) {
        let mut reader = Self { text, codes, problems: Vec::new() };
        if text.len() > DOCUMENT_BYTES_MAX {
            let message = format!("the file is larger than {DOCUMENT_BYTES_MAX} bytes");
            reader.add(0..0, codes.malformed, message, None);
            return (reader, DeTable::new());
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let duplicate = error.message().starts_with("duplicate key");
            let code = if duplicate { codes.duplicate } else { codes.malformed };
            let span = error.span().unwrap_or(0..0);
            let message = match text.get(span.clone()) {
                Some(key) if duplicate => format!("the key `{}` occurs twice", shown(key, 80)),
                _ => shown(&error.message().to_lowercase(), 200),
            };
            reader.add(span, code, message, None);
        }
        (reader, table.into_inner())
    }

    /// The problems in the order of their places, or none.
    pub(crate) fn finish(mut self) -> Result<(), Vec<Problem>> {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        if self.problems.is_empty() { Ok(()) } else { Err(self.problems) }
    }

    pub(crate) fn add(&mut self, span: Range<usize>, code: Code, message: String, hint: Option<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            let (line, column) = self.place(span.start);
            self.problems.push(Problem { line, column, code, message, hint });
        }
    }

    pub(crate) fn malformed(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.add(span, self.codes.malformed, message.into(), None);
    }

    /// A part that is missing has no place but the end.
    pub(crate) fn missing(&mut self, message: impl Into<String>) {
        let end = self.text.len();
        self.malformed(end..end, message);
    }

    /// A key that does not exist, with the nearest of those that do.
    pub(crate) fn unknown(&mut self, key: &Key<'_>, what: &str, known: &[&str]) {
        self.unknown_text(key.span(), key.get_ref(), what, known);
    }

    /// A word that does not exist, with the nearest of those that do.
    pub(crate) fn unknown_text(&mut self, span: Range<usize>, given: &str, what: &str, known: &[&str]) {
        let hint = match values::closest(given, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("expected one of {}", known.join(", ")),
        };
        let message = format!("unknown {what} `{}`", shown(given, 80));
        self.add(span, self.codes.unknown, message, Some(hint));
    }

    pub(crate) fn string<'v>(&mut self, item: &'v Item<'_>, what: &str) -> Option<&'v str> {
        let text = item.get_ref().as_str();
        if text.is_none() {
            self.malformed(item.span(), format!("`{what}` must be a text in quotes"));
        }
        text
    }

    pub(crate) fn boolean(&mut self, item: &Item<'_>, what: &str) -> Option<bool> {
        let value = item.get_ref().as_bool();
        if value.is_none() {
            self.malformed(item.span(), format!("`{what}` must be true or false"));
        }
        value
    }

    pub(crate) fn table<'v, 'i>(&mut self, item: &'v Item<'i>, what: &str) -> Option<&'v DeTable<'i>> {
        let table = item.get_ref().as_table();
        if table.is_none() {
            self.malformed(item.span(), format!("`{what}` must be a table"));
        }
        table
    }

    pub(crate) fn list<'v, 'i>(&mut self, item: &'v Item<'i>, what: &str) -> Option<Vec<&'v Item<'i>>> {
        let list = item.get_ref().as_array();
        if list.is_none() {
            self.malformed(item.span(), format!("`{what}` must be a list"));
        }
        list.map(|list| list.iter().collect())
    }

    /// A text that parses to a `T`.
    pub(crate) fn parsed<T>(&mut self, item: &Item<'_>, what: &str) -> Option<T>
    where
        T: std::str::FromStr<Err: fmt::Display>,
    {
        let text = self.string(item, what)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let message = shown(&T::Err::to_string(&error), 300);
                self.malformed(item.span(), message);
                None
            }
        }
    }

    /// Line and column of a byte offset.
    fn place(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset.min(self.text.len())).unwrap_or("");
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }
}

/// One refusal for a list of problems: the first one's code and words, the others as hints.
pub(crate) fn refusal(file: &str, problems: &[Problem], fallback: Code) -> Refusal {
    let Some((first, rest)) = problems.split_first() else {
        return Refusal::new(fallback, format!("`{file}` is malformed"));
    };
    let refusal = Refusal::new(first.code, format!("`{file}` {first}"));
    let refusal = first.hint.iter().fold(refusal, |refusal, hint| refusal.hint(hint.clone()));
    rest.iter().fold(refusal, |refusal, problem| refusal.hint(format!("also {problem}")))
}
