//! The authority of one operation: the intersection of request, grants and effect.

use std::collections::BTreeMap;

use base::{Capability, Digest, Effect, FramedHasher, PackId, RootName};
use ipnet::IpNet;

use crate::denied::cut;
use crate::grant::arguments;
use crate::request::is_grantable;
use crate::{
    Denied, DeniedReason, ExecCall, ExecScope, Grants, HttpUrl, PathScope, Request, Scope, UrlScope,
};

/// What one operation of one pack may reach. Something is permitted if the request, the grants
/// and the effect each permit it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    pack: PackId,
    effect: Effect,
    rows: BTreeMap<Capability, Row>,
}

/// A capability that is requested or granted. `Some` of no scopes is a capability without scopes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Row {
    requested: Option<Vec<Scope>>,
    granted: Option<Vec<Scope>>,
}

/// Why one capability is live or not, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation<'a> {
    /// The capability.
    pub capability: Capability,
    /// The scopes that the pack asks for; none if it does not ask.
    pub requested: Option<&'a [Scope]>,
    /// The scopes that the operator granted; none if there is no grant.
    pub granted: Option<&'a [Scope]>,
    /// Why no call can use it; none if one can.
    pub blocked: Option<DeniedReason>,
}

/// A capability that the pack asks for, the effect permits and nobody granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingGrant {
    /// The capability.
    pub capability: Capability,
    /// The argument of `capstan grant add <pack>` for one of its scopes, unquoted.
    pub grant: String,
}

impl Authority {
    /// The authority of an operation of `pack` with the declared `effect`. Grants to other packs do
    /// not count.
    #[must_use]
    pub fn of(request: &Request, grants: &Grants, pack: &PackId, effect: Effect) -> Self {
        let mut rows: BTreeMap<Capability, Row> = BTreeMap::new();
        for (capability, scopes) in request.iter() {
            rows.entry(capability).or_default().requested = Some(scopes.to_vec());
        }
        for grant in grants.of_pack(pack) {
            rows.entry(grant.capability).or_default().granted = Some(grant.scopes);
        }
        Self { pack: pack.clone(), effect, rows }
    }

    /// The pack whose operation this is.
    #[must_use]
    pub fn pack(&self) -> &PackId {
        &self.pack
    }

    /// The operation's declared effect.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Whether the capability's interface may be linked to a live implementation.
    #[must_use]
    pub fn live(&self, capability: Capability) -> bool {
        self.blocked(capability).is_none()
    }

    /// The live capabilities, in order.
    pub fn live_capabilities(&self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(|capability| self.live(*capability))
    }

    /// Whether a call may use `capability` at all.
    ///
    /// # Errors
    /// If it may not.
    pub fn permits(&self, capability: Capability) -> Result<(), Denied> {
        let Some(reason) = self.blocked(capability) else { return Ok(()) };
        let grantable = reason == DeniedReason::NotGranted;
        let grant = grantable.then(|| self.grants_asked(capability).into_iter().next());
        Err(Denied { capability, what: String::new(), reason, grant: grant.flatten() })
    }

    /// Whether a call may use `capability` on `path` under `root`: one requested scope and one
    /// granted scope both hold it.
    ///
    /// # Errors
    /// If it may not. A path that [`crate::check_path`] refuses, and one beyond what the pack asks
    /// for, is [`DeniedReason::NotRequested`], since no grant would help.
    pub fn permits_path(&self, capability: Capability, root: &RootName, path: &str) -> Result<(), Denied> {
        let holds = |scope: &Scope| scope.as_path().is_some_and(|scope| scope.matches(root, path));
        self.decide(capability, &holds)
            .map_err(|reason| self.denied_path(capability, root, path, reason, &holds))
    }

    /// Whether anything under `root` may be in reach of `capability`, so that listing it makes sense.
    ///
    /// # Errors
    /// If nothing is.
    pub fn permits_root(&self, capability: Capability, root: &RootName) -> Result<(), Denied> {
        let holds = |scope: &Scope| scope.as_path().is_some_and(|scope| scope.root() == root);
        self.decide(capability, &holds)
            .map_err(|reason| self.denied_path(capability, root, "", reason, &holds))
    }

    /// Whether a call may use `capability` on `url`: one requested scope and one granted scope both
    /// hold it. Gives the networks that the grants which hold it name: private and reserved addresses
    /// in them may be dialled for it, and no others.
    ///
    /// # Errors
    /// If it may not.
    pub fn permits_url(&self, capability: Capability, url: &HttpUrl) -> Result<Vec<IpNet>, Denied> {
        let holds = |scope: &Scope| scope.as_url().is_some_and(|scope| scope.matches(url));
        match self.decide(capability, &holds) {
            Ok(()) => {
                let granted = self.granted(capability).iter().filter(|scope| holds(scope));
                Ok(granted.filter_map(|scope| scope.as_url()?.network()).collect())
            }
            Err(reason) => {
                let narrowest = || UrlScope::of_url(url).map(Scope::from);
                Err(self.denied(capability, &url.to_string(), reason, narrowest, &holds))
            }
        }
    }

    /// Whether a call may run `call`: one requested scope and one granted scope both hold it. Gives
    /// the digests that the grants which hold it name: the program's file must have one of them. None
    /// if a grant that holds it leaves that open.
    ///
    /// # Errors
    /// If it may not.
    pub fn permits_exec(&self, call: &ExecCall<'_>) -> Result<Option<Vec<Digest>>, Denied> {
        let capability = Capability::Exec;
        let holds = |scope: &Scope| scope.as_exec().is_some_and(|scope| scope.matches(call));
        match self.decide(capability, &holds) {
            Ok(()) => {
                let granted = self.granted(capability).iter().filter(|scope| holds(scope));
                Ok(granted.map(|scope| scope.as_exec()?.digest()).collect())
            }
            Err(reason) => {
                let narrowest = || ExecScope::of_call(call).map(Scope::from);
                Err(self.denied(capability, &call.to_string(), reason, narrowest, &holds))
            }
        }
    }

    /// Whether anything below the folder `dir` under `root` (empty for the root itself) could be in
    /// reach: where not, a listing need not descend.
    #[must_use]
    pub fn reaches_below(&self, capability: Capability, root: &RootName, dir: &str) -> bool {
        let reaches = |scope: &PathScope| scope.matches_prefix_dir(root, dir);
        let below = |scopes: &[Scope]| scopes.iter().filter_map(Scope::as_path).any(reaches);
        self.live(capability) && below(self.requested(capability)) && below(self.granted(capability))
    }

    /// The folders below `root` (the empty one is the root itself) of which all, but for names that
    /// begin with a dot, is in reach of `capability`: those of scopes such as `workspace:docs/**`.
    #[must_use]
    pub fn whole_folders(&self, capability: Capability, root: &RootName) -> Vec<String> {
        let folders = |scopes: &[Scope]| -> Vec<String> {
            let scopes = scopes.iter().filter_map(Scope::as_path).filter(|scope| scope.root() == root);
            scopes.filter_map(|scope| scope.whole_folder().map(ToOwned::to_owned)).collect()
        };
        if !self.live(capability) {
            return Vec::new();
        }
        let (asked, given) = (folders(self.requested(capability)), folders(self.granted(capability)));
        let within = |inner: &str, outer: &str| {
            outer.is_empty()
                || inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let inner = |own: &[String], other: &[String]| -> Vec<String> {
            own.iter().filter(|own| other.iter().any(|other| within(own, other))).cloned().collect()
        };
        let mut both = inner(&asked, &given);
        both.extend(inner(&given, &asked));
        both.sort();
        both.dedup();
        // What lies in another one is part of it.
        let all = both.clone();
        both.retain(|folder| !all.iter().any(|other| other != folder && within(folder, other)));
        both
    }

    /// Each capability that is requested or granted, and what became of it.
    pub fn explain(&self) -> impl Iterator<Item = Explanation<'_>> {
        self.rows.iter().map(|(capability, row)| Explanation {
            capability: *capability,
            requested: row.requested.as_deref(),
            granted: row.granted.as_deref(),
            blocked: self.blocked(*capability),
        })
    }

    /// The grants without which a requested and permitted capability stays dead: those for all that
    /// the pack asks for.
    #[must_use]
    pub fn missing(&self) -> Vec<MissingGrant> {
        let dead = self.rows.keys().filter(|c| self.blocked(**c) == Some(DeniedReason::NotGranted));
        dead.flat_map(|capability| {
            self.grants_asked(*capability)
                .into_iter()
                .map(|grant| MissingGrant { capability: *capability, grant })
        })
        .collect()
    }

    /// What an approval is bound to: the pack, the effect, and the scopes of each live capability.
    /// What is not live does not count, so that an unrelated grant makes no approval stale.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let start = FramedHasher::new("capstan/authority/v1")
            .field(self.pack.to_string())
            .field(self.effect.as_str());
        self.live_capabilities()
            .fold(start, |hasher, capability| {
                let hasher = hasher.field(capability.as_str());
                let hasher = hash_scopes(hasher, self.requested(capability));
                hash_scopes(hasher, self.granted(capability))
            })
            .finish()
    }

    fn requested(&self, capability: Capability) -> &[Scope] {
        self.rows.get(&capability).and_then(|row| row.requested.as_deref()).unwrap_or_default()
    }

    /// The arguments that grant all that the pack asks for, as far as a grant can.
    fn grants_asked(&self, capability: Capability) -> Vec<String> {
        let asked = self.requested(capability);
        let scopes: Vec<_> = asked.iter().filter(|scope| is_grantable(scope)).cloned().collect();
        if scopes.is_empty() && !asked.is_empty() { Vec::new() } else { arguments(capability, &scopes) }
    }

    fn granted(&self, capability: Capability) -> &[Scope] {
        self.rows.get(&capability).and_then(|row| row.granted.as_deref()).unwrap_or_default()
    }

    /// Why the capability as a whole is dead. What no grant can change comes first.
    fn blocked(&self, capability: Capability) -> Option<DeniedReason> {
        let row = self.rows.get(&capability);
        if capability.needs_grant() && row.is_none_or(|row| row.requested.is_none()) {
            return Some(DeniedReason::NotRequested);
        }
        if !capability.permitted_by(self.effect) {
            return Some(DeniedReason::AboveEffect);
        }
        if capability.discloses() && self.holds_source() {
            return Some(DeniedReason::Disclosure);
        }
        if capability.needs_grant() && row.is_none_or(|row| row.granted.is_none()) {
            return Some(DeniedReason::NotGranted);
        }
        None
    }

    /// Whether a call can read what it may not be free to pass on.
    fn holds_source(&self) -> bool {
        Capability::ALL.into_iter().any(|capability| capability.is_source() && self.live(capability))
    }

    /// Whether one requested and one granted scope hold what is asked for.
    fn decide(&self, capability: Capability, holds: &dyn Fn(&Scope) -> bool) -> Result<(), DeniedReason> {
        let blocked = self.blocked(capability);
        match blocked {
            Some(
                reason @ (DeniedReason::NotRequested | DeniedReason::AboveEffect | DeniedReason::Disclosure),
            ) => Err(reason),
            _ if !self.requested(capability).iter().any(holds) => Err(DeniedReason::NotRequested),
            Some(reason) => Err(reason),
            None if self.granted(capability).iter().any(holds) => Ok(()),
            None => Err(DeniedReason::OutOfScope),
        }
    }

    fn denied_path(
        &self,
        capability: Capability,
        root: &RootName,
        path: &str,
        reason: DeniedReason,
        holds: &dyn Fn(&Scope) -> bool,
    ) -> Denied {
        let narrowest = || PathScope::of_path(root, path).map(Scope::from);
        self.denied(capability, &format!("{root}:{path}"), reason, narrowest, holds)
    }

    /// The denial of `what`, with the least scope that a grant needs: `narrowest`, or what the pack
    /// asks for where that cannot be spelt.
    fn denied(
        &self,
        capability: Capability,
        what: &str,
        reason: DeniedReason,
        narrowest: impl Fn() -> Option<Scope>,
        holds: &dyn Fn(&Scope) -> bool,
    ) -> Denied {
        let grantable = matches!(reason, DeniedReason::NotGranted | DeniedReason::OutOfScope);
        let asked =
            || self.requested(capability).iter().find(|scope| holds(scope) && is_grantable(scope)).cloned();
        let grant = grantable.then(|| narrowest().or_else(asked)).flatten();
        let what = cut(what);
        Denied { capability, what, reason, grant: grant.map(|scope| format!("{capability}={scope}")) }
    }
}

fn hash_scopes(hasher: FramedHasher, scopes: &[Scope]) -> FramedHasher {
    let start = hasher.number(scopes.len() as u64);
    scopes.iter().fold(start, |hasher, scope| hasher.field(scope.to_string()))
}
