//! Names of packs and operations, spelt as WIT spells them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest label that is accepted, in bytes.
const LABEL_BYTES_MAX: usize = 64;

/// A text that should have been a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct ParseNameError {
    /// What was given, cut to 80 characters.
    pub text: String,
    /// What was expected, e.g. "a pack name such as `acme:notes`".
    pub expected: &'static str,
}

impl ParseNameError {
    fn new(text: &str, expected: &'static str) -> Self {
        Self { text: text.chars().take(80).collect(), expected }
    }
}

/// A kebab-case WIT label: words of letters and digits joined by `-`, each starting with a letter
/// and written in one case (Component Model, `Explainer.md`, `label`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(Box<str>);

impl Label {
    /// The label's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let word = |word: &str| {
            let one_case = |letters: fn(&u8) -> bool| word.bytes().all(|b| letters(&b) || b.is_ascii_digit());
            word.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
                && (one_case(u8::is_ascii_lowercase) || one_case(u8::is_ascii_uppercase))
        };
        if text.len() <= LABEL_BYTES_MAX && text.split('-').all(word) {
            Ok(Self(text.into()))
        } else {
            Err(ParseNameError::new(text, "a kebab-case name such as `read-file`"))
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pack's name, `publisher:name`, which is also its WIT package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackId {
    /// Whose pack it is: the WIT namespace.
    pub publisher: Label,
    /// The pack's own name: the WIT package name.
    pub name: Label,
}

impl FromStr for PackId {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let fail = || ParseNameError::new(text, "a pack name such as `acme:notes`");
        let (publisher, name) = text.split_once(':').ok_or_else(fail)?;
        Ok(Self {
            publisher: publisher.parse().map_err(|_| fail())?,
            name: name.parse().map_err(|_| fail())?,
        })
    }
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.publisher, self.name)
    }
}

/// An operation: one exported function, written `publisher:name/interface.function`.
/// The WIT form `publisher:name/interface@version#function` parses to the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationName {
    /// The pack that exports it.
    pub pack: PackId,
    /// The exported interface.
    pub interface: Label,
    /// The function in it.
    pub function: Label,
}

impl OperationName {
    /// The part after the pack: `interface.function`, as manifests key it.
    #[must_use]
    pub fn local(&self) -> String {
        format!("{}.{}", self.interface, self.function)
    }

    /// Joins a pack and a local name `interface.function`.
    ///
    /// # Errors
    /// If `local` is not two labels joined by a dot.
    pub fn in_pack(pack: PackId, local: &str) -> Result<Self, ParseNameError> {
        let fail = || ParseNameError::new(local, "an operation such as `notes.draft`");
        let (interface, function) = local.split_once('.').ok_or_else(fail)?;
        Ok(Self {
            pack,
            interface: interface.parse().map_err(|_| fail())?,
            function: function.parse().map_err(|_| fail())?,
        })
    }
}

impl FromStr for OperationName {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let fail = || ParseNameError::new(text, "an operation such as `acme:notes/notes.draft`");
        let (pack, rest) = text.split_once('/').ok_or_else(fail)?;
        let pack = pack.parse().map_err(|_| fail())?;
        if let Some((interface, function)) = rest.split_once('#') {
            let interface = interface.split_once('@').map_or(interface, |(name, _)| name);
            return Ok(Self {
                pack,
                interface: interface.parse().map_err(|_| fail())?,
                function: function.parse().map_err(|_| fail())?,
            });
        }
        Self::in_pack(pack, rest).map_err(|_| fail())
    }
}

impl fmt::Display for OperationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.pack, self.interface, self.function)
    }
}

macro_rules! text_serde {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
text_serde!(Label, PackId, OperationName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_name_the_same_operation() {
        let ours: OperationName = "acme:notes/notes.draft".parse().unwrap();
        let wit: OperationName = "acme:notes/notes@1.4.2#draft".parse().unwrap();
        assert_eq!(ours, wit);
        assert_eq!(ours.to_string(), "acme:notes/notes.draft");
        assert_eq!(ours.local(), "notes.draft");
    }

    #[test]
    fn labels_are_kebab_case() {
        for good in ["a", "read-file", "v2", "GET-url", "a1-b2"] {
            assert!(good.parse::<Label>().is_ok(), "{good} was refused");
        }
        for bad in ["", "-a", "a-", "a--b", "A b", "aB", "1a", "a_b", "é", "../a", &"a".repeat(65)] {
            assert!(bad.parse::<Label>().is_err(), "{bad} was accepted");
        }
    }
}
