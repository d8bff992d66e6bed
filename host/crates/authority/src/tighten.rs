//! The smallest grants that cover a recorded use.
//!
//! What is proposed is never wider than what is granted: a scope that cannot be seen to lie within a
//! granted and a requested one is not proposed, and the granted one stays.

use std::collections::{BTreeMap, BTreeSet};

use base::{Capability, RootName, ScopeKind, Uses};

use crate::{
    HttpUrl, ModelName, PathScope, Request, SCOPES_MAX, Scope, SecretScope, Standing, Terms, UrlScope,
};

/// From how many names of one folder on its other names are granted too.
const NAMES_MAX: usize = 16;

/// A scope and its terms; no scope for a capability without.
pub type Given = (Option<Scope>, Terms);

/// What becomes of the grants of one capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tightening {
    /// The capability.
    pub capability: Capability,
    /// What is in force.
    pub before: Vec<Given>,
    /// What covers the use.
    pub after: Vec<Given>,
    /// Why all of it stays, if that is not because all of it was used.
    pub kept: Option<Kept>,
}

/// Why a grant stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// A call reached more than its record holds.
    More,
    /// It was not used, and a plan that calls the same operations does not pass its check without.
    Needed,
    /// What covers the use is more than [`SCOPES_MAX`] scopes.
    TooMany,
    /// Nobody records where the capability reaches.
    NotRecorded,
}

impl Kept {
    /// The name used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::More => "more",
            Self::Needed => "needed",
            Self::TooMany => "too_many",
            Self::NotRecorded => "not_recorded",
        }
    }
}

/// What covers `used` of the grants in force. `needed` are the capabilities that the operations which
/// were called want a grant of, used or not.
#[must_use]
pub fn tighten(
    request: &Request,
    standing: &Standing,
    used: &BTreeMap<Capability, Uses>,
    needed: &BTreeSet<Capability>,
) -> Vec<Tightening> {
    let row = |(capability, before): (Capability, &[Given])| {
        let row = Row { asked: request.scopes(capability), given: before };
        let covered = match (used.get(&capability), capability.scope_kind()) {
            (None, _) => Ok(Vec::new()),
            (Some(uses), _) if uses.more => Err(Kept::More),
            (Some(_), None) => Ok(before.to_vec()),
            (Some(uses), Some(ScopeKind::Path)) => row.paths(uses),
            (Some(uses), Some(ScopeKind::Url)) => row.urls(uses),
            (Some(_), Some(ScopeKind::Command)) => Err(Kept::NotRecorded),
            (Some(uses), Some(ScopeKind::Secret)) => row.secrets(uses),
            (Some(uses), Some(ScopeKind::Model)) => row.models(uses),
        };
        let after = match covered {
            Ok(after) if after.is_empty() && needed.contains(&capability) => Err(Kept::Needed),
            Ok(after) if after.len() > SCOPES_MAX => Err(Kept::TooMany),
            other => other,
        };
        let kept = after.as_ref().err().copied();
        let after = after.unwrap_or_else(|_| before.to_vec());
        Tightening { capability, before: before.to_vec(), after, kept }
    };
    standing.in_force().map(row).collect()
}

/// One capability's scopes: those asked for and those in force.
struct Row<'a> {
    asked: &'a [Scope],
    given: &'a [Given],
}

impl Row<'_> {
    fn paths(&self, uses: &Uses) -> Result<Vec<Given>, Kept> {
        let mut after = BTreeMap::new();
        let mut folders: BTreeMap<(RootName, String), BTreeSet<String>> = BTreeMap::new();
        for place in &uses.places {
            let (root, path) = split(place)?;
            let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
            folders.entry((root, folder.to_owned())).or_default().insert(name.to_owned());
        }
        for ((root, folder), names) in folders {
            let below =
                |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            let whole: Option<PathScope> = format!("{root}:{}", below("*")).parse().ok();
            let whole = whole.filter(|_| names.len() > NAMES_MAX);
            let whole = whole.and_then(|whole| Some((self.on_terms(&whole.clone().into())?, whole)));
            for path in names.iter().map(|name| below(name)) {
                match &whole {
                    Some((terms, whole)) if whole.matches(&root, &path) => {
                        after.insert(Some(Scope::from(whole.clone())), terms.clone());
                    }
                    _ => {
                        let literal = PathScope::of_path(&root, &path).map(Scope::from);
                        let holds = |scope: &Scope| scope.as_path().is_some_and(|s| s.matches(&root, &path));
                        self.cover(literal, holds, &mut after);
                    }
                }
            }
        }
        self.listings(uses, &mut after)?;
        Ok(after.into_iter().collect())
    }

    /// A listing that found nothing needs its root all the same: without a scope there it is refused.
    fn listings(&self, uses: &Uses, after: &mut BTreeMap<Option<Scope>, Terms>) -> Result<(), Kept> {
        let is_at = |scope: &Scope, root: &RootName| scope.as_path().is_some_and(|s| s.root() == root);
        for listed in &uses.listed {
            let (root, _) = split(listed)?;
            if !after.keys().flatten().any(|scope| is_at(scope, &root)) {
                let pattern = listed.parse::<PathScope>().ok().map(Scope::from);
                self.cover(pattern, |scope| is_at(scope, &root), after);
            }
        }
        Ok(())
    }

    fn urls(&self, uses: &Uses) -> Result<Vec<Given>, Kept> {
        let mut after = BTreeMap::new();
        let mut folders: BTreeMap<String, Vec<HttpUrl>> = BTreeMap::new();
        for place in &uses.places {
            let url = HttpUrl::parse(place).map_err(|_| Kept::NotRecorded)?;
            let folder = place.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
            folders.entry(folder).or_default().push(url);
        }
        for (folder, urls) in folders {
            let whole: Option<UrlScope> = format!("{folder}/*").parse().ok();
            let whole = whole.filter(|_| urls.len() > NAMES_MAX);
            for url in urls {
                let whole = whole.as_ref().filter(|whole| whole.matches(&url));
                let literal = UrlScope::of_url(&url);
                self.cover_url(whole, literal.as_ref(), &url, &mut after);
            }
        }
        Ok(after.into_iter().collect())
    }

    /// A secret is granted for one place, so that each grant that was used stays whole.
    fn secrets(&self, uses: &Uses) -> Result<Vec<Given>, Kept> {
        let mut after = BTreeMap::new();
        for place in &uses.places {
            let used: SecretScope = place.parse().map_err(|_| Kept::NotRecorded)?;
            let holds = |scope: &Scope| scope.as_secret().is_some_and(|scope| used.is_within(scope));
            self.cover(None, holds, &mut after);
        }
        Ok(after.into_iter().collect())
    }

    /// The grants of the models that were asked.
    fn models(&self, uses: &Uses) -> Result<Vec<Given>, Kept> {
        let mut after = BTreeMap::new();
        for place in &uses.places {
            let used: ModelName = place.parse().map_err(|_| Kept::NotRecorded)?;
            self.cover(None, |scope| scope.as_model() == Some(&used), &mut after);
        }
        Ok(after.into_iter().collect())
    }

    /// Covers one URL, once for each network that it may be reached in.
    fn cover_url(
        &self,
        whole: Option<&UrlScope>,
        literal: Option<&UrlScope>,
        url: &HttpUrl,
        after: &mut BTreeMap<Option<Scope>, Terms>,
    ) {
        let holds = |scope: &Scope| scope.as_url().is_some_and(|scope| scope.matches(url));
        let networks =
            self.given.iter().filter_map(|(scope, _)| scope.as_ref().filter(|s| holds(s))?.as_url());
        let networks: BTreeSet<_> = networks.map(|scope| scope.network()).collect();
        for network in networks {
            let via = |scope: &UrlScope| Scope::from(scope.via(network));
            let in_network = |scope: &Scope| {
                holds(scope) && scope.as_url().is_some_and(|scope| scope.network() == network)
            };
            let whole = whole.map(via).filter(|whole| self.on_terms(whole).is_some());
            self.cover(whole.or_else(|| literal.map(via)), in_network, after);
        }
    }

    /// Adds `candidate`, or, where it cannot be seen to be granted and requested, what is granted and
    /// `holds` what was used. What is no longer granted is not covered.
    fn cover(
        &self,
        candidate: Option<Scope>,
        holds: impl Fn(&Scope) -> bool,
        after: &mut BTreeMap<Option<Scope>, Terms>,
    ) {
        if let Some((scope, terms)) =
            candidate.and_then(|scope| Some((scope.clone(), self.on_terms(&scope)?)))
        {
            after.insert(Some(scope), terms);
            return;
        }
        let holders = self.given.iter().filter(|(scope, _)| scope.as_ref().is_some_and(&holds));
        after.extend(holders.cloned());
    }

    /// The terms that `scope` is granted on now, if it lies within what is granted and requested: of
    /// several grants the one that gives most, with the bounds of all.
    fn on_terms(&self, scope: &Scope) -> Option<Terms> {
        let plain = match scope {
            Scope::Url(scope) => Scope::from(scope.via(None)),
            other => other.clone(),
        };
        if !self.asked.iter().any(|asked| plain.is_within(asked)) {
            return None;
        }
        let within = |given: &&Given| given.0.as_ref().is_some_and(|granted| scope.is_within(granted));
        let holders = || self.given.iter().filter(within).map(|(_, terms)| terms);
        let lasting = |terms: &&Terms| (terms.may_disclose, terms.expires.is_none(), terms.expires);
        let mut terms = holders().max_by_key(lasting)?.clone();
        holders().for_each(|other| terms.limits.lower_all(&other.limits));
        Some(terms)
    }
}

/// A recorded `root:path`.
fn split(place: &str) -> Result<(RootName, &str), Kept> {
    let (root, path) = place.split_once(':').ok_or(Kept::NotRecorded)?;
    Ok((root.parse().map_err(|_| Kept::NotRecorded)?, path))
}
