//! Doc comments of a pack's WIT, matched to its operations by name.
//!
//! `wit.wasm` is read for its documentation section only: types always come from the component.
//! The text is the author's, so it is cleaned of control characters and cut; it is shown and
//! never acted on.

use std::collections::BTreeMap;

use base::{Code, Refusal};
use serde_json::Value as Json;
use wasmparser::{Parser, Payload};

use crate::text::shown;

/// The custom section in which wit-component keeps doc comments.
const SECTION: &str = "package-docs";
/// The section's format versions that are understood: a byte before its JSON.
const SECTION_VERSIONS: [u8; 2] = [0, 1];
/// Most characters of one doc comment that are kept.
const DOC_CHARS_MAX: usize = 4_000;

/// Doc comments by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Docs {
    package: Option<String>,
    interfaces: BTreeMap<String, InterfaceDocs>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct InterfaceDocs {
    docs: Option<String>,
    functions: BTreeMap<String, String>,
}

impl Docs {
    /// Reads the doc comments of a WIT package in binary form; none if it has none.
    ///
    /// # Errors
    /// [`Code::ComponentInvalid`] if the bytes are no such package, or their section is malformed.
    pub fn read(wit: &[u8]) -> Result<Self, Refusal> {
        let mut depth = 0_u32;
        let mut sections = Vec::new();
        if !Parser::is_component(wit) {
            return Err(invalid("it is not a WIT package in binary form"));
        }
        for payload in Parser::new(0).parse_all(wit) {
            match payload.map_err(|error| invalid(&shown(&error.to_string(), 200)))? {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CustomSection(section) if depth == 1 && section.name() == SECTION => {
                    sections.push(section.data());
                }
                _ => {}
            }
        }
        match *sections {
            [] => Ok(Self::default()),
            [section] => Self::parse(section),
            _ => Err(invalid("it has two documentation sections")),
        }
    }

    /// The package's own doc comment.
    #[must_use]
    pub fn package(&self) -> Option<&str> {
        self.package.as_deref()
    }

    /// The doc comment of an interface.
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<&str> {
        self.interfaces.get(name)?.docs.as_deref()
    }

    /// The doc comment of an operation by its local name, `interface.function`.
    #[must_use]
    pub fn operation(&self, local: &str) -> Option<&str> {
        let (interface, function) = local.split_once('.')?;
        self.interfaces.get(interface)?.functions.get(function).map(String::as_str)
    }

    fn parse(section: &[u8]) -> Result<Self, Refusal> {
        let json = match section.split_first() {
            Some((version, json)) if SECTION_VERSIONS.contains(version) => json,
            _ => return Err(invalid("its documentation section has an unknown version")),
        };
        let json = values::parse_json(json).map_err(|error| invalid(&error.to_string()))?;
        let interfaces = members(&json, "interfaces").map(|(name, interface)| {
            let functions = members(interface, "funcs")
                .filter_map(|(function, docs)| Some((function.clone(), text(docs.get("docs"))?)))
                .collect();
            (name.clone(), InterfaceDocs { docs: text(interface.get("docs")), functions })
        });
        Ok(Self { package: text(json.get("docs")), interfaces: interfaces.collect() })
    }
}

/// The members of the object `json[key]`, if it is one.
fn members<'a>(json: &'a Json, key: &str) -> impl Iterator<Item = (&'a String, &'a Json)> {
    json.get(key).and_then(Json::as_object).into_iter().flatten()
}

/// A doc comment made harmless: line breaks stay, other control characters go, also those that
/// reorder text on the screen.
fn text(json: Option<&Json>) -> Option<String> {
    let kept = json?.as_str()?.chars().filter(|c| *c == '\n' || !(c.is_control() || is_format(*c)));
    let text: String = kept.take(DOC_CHARS_MAX).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Zero-width and direction marks.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn invalid(why: &str) -> Refusal {
    Refusal::new(Code::ComponentInvalid, format!("`wit.wasm` is refused: {why}"))
}

#[cfg(test)]
mod tests;
