//! `grants.toml`: what the operator granted to which pack.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use base::{Capability, PackId};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::grant::{closest, parse_capability};
use crate::{Grant, ParseGrantError, RequestError, Scope};

/// Every grant of an operator. Grants of the same capability to the same pack add up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants(BTreeMap<(PackId, Capability), BTreeSet<Scope>>);

/// `grants.toml` is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct GrantsError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
    /// What was probably meant.
    pub hint: Option<String>,
}

impl Grants {
    /// No grants.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the text of `grants.toml`: an array of tables `[[grant]]` with `pack`, `capability` and,
    /// if the capability has scopes, `scope`, an array of strings.
    ///
    /// # Errors
    /// The first problem, with its line.
    pub fn parse_toml(text: &str) -> Result<Self, GrantsError> {
        let reader = Reader { text };
        let document = DeTable::parse(text).map_err(|error| {
            reader.fail(error.span().unwrap_or_default(), error.message().replace('\n', ", "))
        })?;
        let [tables] = reader.members(document.get_ref(), ["grant"])?;
        let mut grants = Self::new();
        let Some(tables) = tables else { return Ok(grants) };
        let span = tables.span();
        let not_tables =
            || reader.fail(span.clone(), "`grant` must be an array of tables: write `[[grant]]`");
        for table in tables.get_ref().as_array().ok_or_else(not_tables)?.iter() {
            let members = table.get_ref().as_table().ok_or_else(not_tables)?;
            grants.add(reader.grant(table.span(), members)?);
        }
        Ok(grants)
    }

    /// The text that [`Grants::parse_toml`] reads back to the same grants.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let text = |text: &dyn std::fmt::Display| toml::Value::String(text.to_string()).to_string();
        let mut blocks = Vec::new();
        for ((pack, capability), scopes) in &self.0 {
            let mut lines = vec![
                "[[grant]]".into(),
                format!("pack = {}", text(pack)),
                format!("capability = {}", text(capability)),
            ];
            if capability.has_scope() {
                let scopes: Vec<_> = scopes.iter().map(|scope| text(scope)).collect();
                lines.push(format!("scope = [{}]", scopes.join(", ")));
            }
            blocks.push(lines.join("\n") + "\n");
        }
        blocks.join("\n")
    }

    /// Adds a grant. Returns whether it gave anything new: never for one that [`Grant::parse`] would
    /// not make, so that what is kept can always be written and read back.
    pub fn add(&mut self, grant: Grant) -> bool {
        if RequestError::check_grant(grant.capability, &grant.scopes).is_err() {
            return false;
        }
        let key = (grant.pack, grant.capability);
        let is_new = !self.0.contains_key(&key);
        let scopes = self.0.entry(key).or_default();
        let before = scopes.len();
        scopes.extend(grant.scopes);
        is_new || scopes.len() > before
    }

    /// Takes back the scopes of `grant`, or, if it names none, the whole capability. Scopes are
    /// compared by their text. Returns whether anything was taken back.
    pub fn remove(&mut self, grant: &Grant) -> bool {
        let key = (grant.pack.clone(), grant.capability);
        if grant.scopes.is_empty() {
            return self.0.remove(&key).is_some();
        }
        let Some(scopes) = self.0.get_mut(&key) else { return false };
        let before = scopes.len();
        scopes.retain(|scope| !grant.scopes.contains(scope));
        let taken = scopes.len() < before;
        if scopes.is_empty() && taken {
            self.0.remove(&key);
        }
        taken
    }

    /// The grants to `pack`, one for each capability, with sorted scopes.
    #[must_use]
    pub fn of_pack(&self, pack: &PackId) -> Vec<Grant> {
        self.iter().filter(|grant| grant.pack == *pack).collect()
    }

    /// Every grant, by pack and capability.
    pub fn iter(&self) -> impl Iterator<Item = Grant> {
        self.0.iter().map(|((pack, capability), scopes)| Grant {
            pack: pack.clone(),
            capability: *capability,
            scopes: scopes.iter().cloned().collect(),
        })
    }

    /// Whether nothing is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Turns spans of the parsed text into lines.
struct Reader<'t> {
    text: &'t str,
}

type Member<'a, 'i> = Option<&'a Spanned<DeValue<'i>>>;

impl Reader<'_> {
    fn fail(&self, span: Range<usize>, message: impl Into<String>) -> GrantsError {
        let before = self.text.bytes().take(span.start);
        let line = 1 + before.filter(|byte| *byte == b'\n').count();
        GrantsError { line, message: message.into(), hint: None }
    }

    /// The members of a table by name; any other key is an error.
    fn members<'a, 'i, const N: usize>(
        &self,
        table: &'a DeTable<'i>,
        names: [&str; N],
    ) -> Result<[Member<'a, 'i>; N], GrantsError> {
        let is_unknown = |key: &&Spanned<DeString<'_>>| !names.contains(&&**key.get_ref());
        // The first in the text, whatever the map's order.
        if let Some(key) = table.keys().filter(is_unknown).min_by_key(|key| key.span().start) {
            let shown: String = key.get_ref().chars().take(80).collect();
            let error = self.fail(key.span(), format!("unknown key `{shown}`"));
            let hint = closest(&shown, names.into_iter()).map(|name| format!("did you mean `{name}`?"));
            return Err(GrantsError { hint, ..error });
        }
        Ok(names.map(|name| table.get(name)))
    }

    fn grant(&self, span: Range<usize>, table: &DeTable<'_>) -> Result<Grant, GrantsError> {
        let [pack, capability, scope] = self.members(table, ["pack", "capability", "scope"])?;
        let missing = |name: &str| self.fail(span.clone(), format!("a grant needs `{name}`"));
        let pack = pack.ok_or_else(|| missing("pack"))?;
        let pack: PackId = self
            .string(pack)?
            .parse()
            .map_err(|error: base::ParseNameError| self.fail(pack.span(), error.to_string()))?;
        let named = capability.ok_or_else(|| missing("capability"))?;
        let capability =
            parse_capability(self.string(named)?).map_err(|error| self.unknown(named.span(), &error))?;
        let scopes = scope.map(|scope| self.scopes(capability, scope)).transpose()?.unwrap_or_default();
        RequestError::check_grant(capability, &scopes)
            .map_err(|error| self.fail(scope.map_or(named.span(), Spanned::span), error.to_string()))?;
        Ok(Grant { pack, capability, scopes })
    }

    fn unknown(&self, span: Range<usize>, error: &ParseGrantError) -> GrantsError {
        let hint = match error {
            ParseGrantError::UnknownCapability { suggestion: Some(name), .. } => {
                Some(format!("did you mean `{name}`?"))
            }
            _ => None,
        };
        GrantsError { hint, ..self.fail(span, error.to_string()) }
    }

    fn string<'a>(&self, value: &'a Spanned<DeValue<'_>>) -> Result<&'a str, GrantsError> {
        value.get_ref().as_str().ok_or_else(|| {
            self.fail(value.span(), format!("expected a string, found {}", value.get_ref().type_str()))
        })
    }

    fn scopes(
        &self,
        capability: Capability,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<Scope>, GrantsError> {
        let items = value.get_ref().as_array().ok_or_else(|| {
            self.fail(value.span(), "`scope` must be an array of strings, such as [\"workspace:**\"]")
        })?;
        items
            .iter()
            .map(|item| {
                Scope::parse(capability, self.string(item)?)
                    .map_err(|error| self.fail(item.span(), error.to_string()))
            })
            .collect()
    }
}
