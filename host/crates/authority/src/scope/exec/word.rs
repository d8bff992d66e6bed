//! One word of a command: literal, or a slot of some type.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::{PATH_BYTES_MAX, check_path};

/// Longest text for `*`, in bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Longest text for `{word}`, in bytes.
const NAME_BYTES_MAX: usize = 256;
/// Most digits for `{int}`.
const DIGITS_MAX: usize = 18;

/// What a call may put in place of a word. Nothing that begins with `-` fits any of them, so that
/// no flag comes from a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// `*`: any text that is not empty.
    Any,
    /// `{int}`: up to 18 digits.
    Int,
    /// `{word}`: letters, digits, `.`, `_` and `-`, at most 256.
    Name,
    /// `{path}`: a path by the rules of [`check_path`].
    Path,
}

/// One word of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// Exactly this text.
    Literal(Box<str>),
    /// This text, then what the slot admits.
    Slot(Box<str>, Slot),
    /// `**`: all further arguments.
    Rest,
}

/// A word of a command that is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExecWordError {
    /// A quote that is not closed.
    #[error("a `'` is not closed")]
    Quote,
    /// A character that stands for itself only between quotes.
    #[error("{0:?} stands for itself only between `'` quotes")]
    Character(char),
    /// A control character.
    #[error("{0:?} is a control character")]
    Control(char),
    /// `*` with something before or behind it.
    #[error("`*` and `**` are words of their own; between `'` quotes a star is a star")]
    Star,
    /// No slot of that name, or something behind it.
    #[error("expected `{{int}}`, `{{word}}` or `{{path}}`, and nothing behind it")]
    Slot,
    /// No word at all, where a manifest lists one.
    #[error("a word is empty; an empty argument is `''`")]
    Empty,
    /// White space outside of quotes, where a manifest lists one word.
    #[error("a word has white space; write it between `'` quotes, or as two words")]
    Space,
    /// Not `NAME=value`.
    #[error("expected `NAME=value` for a variable, the name in capitals")]
    Variable,
}

impl Slot {
    fn as_str(self) -> &'static str {
        match self {
            Self::Any => "*",
            Self::Int => "{int}",
            Self::Name => "{word}",
            Self::Path => "{path}",
        }
    }

    /// Whether `text` fits.
    pub(super) fn admits(self, text: &str) -> bool {
        if text.is_empty() || text.starts_with('-') || text.contains('\0') {
            return false;
        }
        let is_of = |inner: fn(char) -> bool, max| text.len() <= max && text.chars().all(inner);
        match self {
            Self::Any => text.len() <= TEXT_BYTES_MAX,
            Self::Int => is_of(|c| c.is_ascii_digit(), DIGITS_MAX),
            Self::Name => is_of(|c| c.is_ascii_alphanumeric() || "._-".contains(c), NAME_BYTES_MAX),
            Self::Path => text.len() <= PATH_BYTES_MAX && check_path(text).is_ok(),
        }
    }
}

impl Word {
    /// The word that is exactly `text`; none if no word can spell it.
    pub(super) fn literal(text: &str) -> Option<Self> {
        (!text.contains(char::is_control)).then(|| Self::Literal(text.into()))
    }

    /// The literal text that it starts with, and whether that is all of it.
    pub(super) fn known(&self) -> (&str, bool) {
        match self {
            Self::Literal(text) => (text, true),
            Self::Slot(before, _) => (before, false),
            Self::Rest => ("", false),
        }
    }

    pub(super) fn admits(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => **literal == *text,
            Self::Slot(before, slot) => text.strip_prefix(&**before).is_some_and(|text| slot.admits(text)),
            // Decided where all arguments are seen.
            Self::Rest => false,
        }
    }

    /// Whether some text may fit both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(text), other) | (other, Self::Literal(text)) => other.admits(text),
            (Self::Slot(a, _), Self::Slot(b, _)) => a.starts_with(&**b) || b.starts_with(&**a),
            (Self::Rest, _) | (_, Self::Rest) => true,
        }
    }
}

/// The words of a command: what white space separates, outside of quotes.
pub(super) fn split_words(text: &str) -> Result<Vec<&str>, ExecWordError> {
    let (mut words, mut start, mut quoted, mut escaped) = (Vec::new(), None, false, false);
    for (at, c) in text.char_indices() {
        if c == ' ' && !quoted && !escaped {
            words.extend(start.take().and_then(|start| text.get(start..at)));
            continue;
        }
        start.get_or_insert(at);
        quoted ^= c == '\'' && !escaped;
        escaped = c == '\\' && !quoted && !escaped;
    }
    if quoted {
        return Err(ExecWordError::Quote);
    }
    words.extend(start.and_then(|start| text.get(start..)));
    Ok(words)
}

/// Whether a character stands for itself outside of quotes.
fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_./:=,+@%^~#".contains(c)
}

/// A text as a literal word.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    if !text.is_empty() && text.chars().all(is_bare) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}

impl FromStr for Word {
    type Err = ExecWordError;

    fn from_str(text: &str) -> Result<Self, ExecWordError> {
        match text {
            "" => return Err(ExecWordError::Empty),
            "*" => return Ok(Self::Slot("".into(), Slot::Any)),
            "**" => return Ok(Self::Rest),
            _ => {}
        }
        let mut literal = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let behind = rest.get(c.len_utf8()..).unwrap_or_default();
            match c {
                '\'' => {
                    let (inner, after) = behind.split_once('\'').ok_or(ExecWordError::Quote)?;
                    literal.push_str(inner);
                    rest = after;
                    continue;
                }
                '\\' if behind.starts_with('\'') => {
                    literal.push('\'');
                    rest = behind.get(1..).unwrap_or_default();
                    continue;
                }
                '{' => {
                    let slots = [Slot::Int, Slot::Name, Slot::Path];
                    let slot = slots.into_iter().find(|slot| slot.as_str() == rest);
                    let slot = slot.ok_or(ExecWordError::Slot)?;
                    return no_control(&literal).map(|()| Self::Slot(literal.as_str().into(), slot));
                }
                '*' => return Err(ExecWordError::Star),
                c if c.is_control() => return Err(ExecWordError::Control(c)),
                c if c.is_whitespace() => return Err(ExecWordError::Space),
                c if !is_bare(c) => return Err(ExecWordError::Character(c)),
                c => literal.push(c),
            }
            rest = behind;
        }
        no_control(&literal).map(|()| Self::Literal(literal.into()))
    }
}

fn no_control(text: &str) -> Result<(), ExecWordError> {
    text.chars().find(|c| c.is_control()).map_or(Ok(()), |c| Err(ExecWordError::Control(c)))
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => f.write_str(&shown(text)),
            Self::Slot(before, slot) if before.is_empty() => f.write_str(slot.as_str()),
            Self::Slot(before, slot) => write!(f, "{}{}", shown(before), slot.as_str()),
            Self::Rest => f.write_str("**"),
        }
    }
}
