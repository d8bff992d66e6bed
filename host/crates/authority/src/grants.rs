//! `grants.toml`: what the operator granted to which pack.

mod text;

use std::collections::BTreeMap;

use base::{Capability, PackId};

use crate::{Grant, Scope, Terms};

/// Every grant of an operator. Grants of the same capability to the same pack add up; of one scope
/// the last word counts, so that each scope has one set of terms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants(BTreeMap<(PackId, Capability), BTreeMap<Option<Scope>, Terms>>);

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
    /// if the capability has scopes, `scope`, an array of strings; and the terms: `signer`, `expires`,
    /// `may-disclose`, `limits`.
    ///
    /// # Errors
    /// The first problem, with its line.
    pub fn parse_toml(text: &str) -> Result<Self, GrantsError> {
        text::parse(text)
    }

    /// The text that [`Grants::parse_toml`] reads back to the same grants.
    #[must_use]
    pub fn to_toml(&self) -> String {
        text::print(self)
    }

    /// Adds a grant. Its terms replace those that its scopes were granted on before. Returns whether
    /// it changed anything: never for one that [`Grant::check_form`] refuses, so that what is kept can
    /// always be written and read back.
    pub fn add(&mut self, grant: Grant) -> bool {
        if grant.check_form().is_err() {
            return false;
        }
        let places = grant.places();
        let granted = self.0.entry((grant.pack, grant.capability)).or_default();
        let mut is_new = false;
        for place in places {
            is_new |= granted.insert(place, grant.terms.clone()).as_ref() != Some(&grant.terms);
        }
        is_new
    }

    /// Takes back the scopes of `grant`, or, if it names none, the whole capability, whatever its
    /// terms. Scopes are compared by their text. Returns whether anything was taken back.
    pub fn remove(&mut self, grant: &Grant) -> bool {
        let key = (grant.pack.clone(), grant.capability);
        if grant.scopes.is_empty() {
            return self.0.remove(&key).is_some();
        }
        let Some(granted) = self.0.get_mut(&key) else { return false };
        let before = granted.len();
        granted.retain(|place, _| place.as_ref().is_none_or(|scope| !grant.scopes.contains(scope)));
        let taken = granted.len() < before;
        if granted.is_empty() && taken {
            self.0.remove(&key);
        }
        taken
    }

    /// The grants to `pack`, one for each capability and terms, with sorted scopes.
    #[must_use]
    pub fn of_pack(&self, pack: &PackId) -> Vec<Grant> {
        self.iter().filter(|grant| grant.pack == *pack).collect()
    }

    /// Every grant, by pack, capability and terms.
    pub fn iter(&self) -> impl Iterator<Item = Grant> {
        self.0.iter().flat_map(|((pack, capability), granted)| {
            let mut by_terms: BTreeMap<&Terms, Vec<Scope>> = BTreeMap::new();
            for (place, terms) in granted {
                by_terms.entry(terms).or_default().extend(place.clone());
            }
            by_terms.into_iter().map(|(terms, scopes)| Grant {
                pack: pack.clone(),
                capability: *capability,
                scopes,
                terms: terms.clone(),
            })
        })
    }

    /// What is granted to `pack`, scope by scope.
    pub(crate) fn scopes_of(
        &self,
        pack: &PackId,
    ) -> impl Iterator<Item = (Capability, Option<&Scope>, &Terms)> {
        self.0.iter().filter(move |((granted, _), _)| granted == pack).flat_map(
            |((_, capability), granted)| {
                granted.iter().map(|(place, terms)| (*capability, place.as_ref(), terms))
            },
        )
    }

    /// A scope of `grant` that is granted already, and not on its terms.
    fn place_on_other_terms(&self, grant: &Grant) -> Option<Option<Scope>> {
        let granted = self.0.get(&(grant.pack.clone(), grant.capability))?;
        let differs = |place: &Option<Scope>| granted.get(place).is_some_and(|terms| *terms != grant.terms);
        grant.places().into_iter().find(differs)
    }

    /// Whether nothing is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
