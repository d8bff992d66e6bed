//! The authority of one operation: the intersection of request, grants, ceiling and effect.

mod explain;

use std::collections::BTreeMap;

use base::{Capability, Digest, Effect, FramedHasher, Limits, PackId, RootName};
use ipnet::IpNet;

use crate::check_path;
use crate::denied::cut;
use crate::request::is_grantable;
use crate::{
    Allowed, Ceiling, Denied, DeniedReason, ExecCall, ExecScope, HttpUrl, Lapse, Lapsed, LimitCaps,
    ModelName, PathScope, Request, Scope, SecretName, SecretScope, Standing, UrlScope,
};

pub use explain::{DecidedBy, EffectiveLimit, Explanation, MissingGrant};

/// What one operation of one pack may reach. Something is permitted if the request, the grants in
/// force, the ceiling and the effect each permit it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    pack: PackId,
    effect: Effect,
    rows: BTreeMap<Capability, Row>,
    ceiling_limits: LimitCaps,
}

/// Why calls of a capability may be held for an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldFor {
    /// The operation's effect: the call may change something.
    Effect,
    /// The operation also has a source, and what it asks for could hold what it read.
    Disclosure,
}

impl HeldFor {
    /// The name used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Effect => "effect",
            Self::Disclosure => "disclosure",
        }
    }
}

/// A capability that is requested or was granted. `Some` of no scopes is a capability without scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    requested: Option<Vec<Scope>>,
    /// What grants in force give.
    granted: Option<Vec<Scope>>,
    /// What of it is used beside a source without a question.
    disclosing: Vec<Scope>,
    /// What grants gave that are not in force.
    lapsed: Vec<Lapsed>,
    allowed: Allowed,
    /// Whether the ceiling leaves something of what is requested: settled here, since each host call
    /// asks.
    leaves_some: bool,
    /// The bounds of the grants in force.
    limits: LimitCaps,
}

impl Authority {
    /// The authority of an operation with the declared `effect`, of the pack whose grants stand as
    /// `standing` says.
    #[must_use]
    pub fn of(request: &Request, standing: &Standing, ceiling: &Ceiling, effect: Effect) -> Self {
        let mut rows: BTreeMap<Capability, Row> = BTreeMap::new();
        let new = |capability| Row {
            requested: None,
            granted: None,
            disclosing: Vec::new(),
            lapsed: Vec::new(),
            allowed: ceiling.of(capability).clone(),
            leaves_some: false,
            limits: LimitCaps::new(),
        };
        for (capability, scopes) in request.iter() {
            rows.entry(capability).or_insert_with(|| new(capability)).requested = Some(scopes.to_vec());
        }
        for (capability, granted) in standing.in_force() {
            let row = rows.entry(capability).or_insert_with(|| new(capability));
            for (scope, terms) in granted {
                row.granted.get_or_insert_default().extend(scope.clone());
                row.disclosing.extend(scope.clone().filter(|_| terms.may_disclose));
                row.limits.lower_all(&terms.limits);
            }
        }
        for (capability, lapsed) in standing.lapsed() {
            rows.entry(capability).or_insert_with(|| new(capability)).lapsed = lapsed.to_vec();
        }
        for row in rows.values_mut() {
            row.leaves_some = row.requested.as_ref().is_some_and(|requested| match requested.is_empty() {
                true => row.allowed.meets(None),
                false => requested.iter().any(|scope| row.allowed.meets(Some(scope))),
            });
        }
        let ceiling_limits = ceiling.limits().clone();
        Self { pack: standing.pack().clone(), effect, rows, ceiling_limits }
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
        let grant = self.grants_for(capability, reason).into_iter().next();
        Err(Denied { capability, what: String::new(), reason, grant })
    }

    /// Whether a call may use `capability` on `path` under `root`: a requested scope, a granted one and
    /// one of the ceiling hold it. Where they do, nothing is allocated.
    ///
    /// # Errors
    /// If it may not. A path that [`crate::check_path`] refuses, and one beyond what the pack asks
    /// for, is [`DeniedReason::NotRequested`], since no grant would help.
    pub fn permits_path(&self, capability: Capability, root: &RootName, path: &str) -> Result<(), Denied> {
        let is_path = check_path(path).is_ok();
        let holds =
            |scope: &Scope| is_path && scope.as_path().is_some_and(|scope| scope.matches_checked(root, path));
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

    /// Whether a call may use `capability` on `url`: a requested scope, a granted one and one of the
    /// ceiling hold it. Gives the networks that the grants which hold it name, as far as the ceiling
    /// names them too: private and reserved addresses in them may be dialled for it, and no others. Of
    /// what may disclose those alone, so that what is not held is dialled by no other grant's word.
    /// Where no grant names one, nothing is allocated.
    ///
    /// # Errors
    /// If it may not.
    pub fn permits_url(&self, capability: Capability, url: &HttpUrl) -> Result<Vec<IpNet>, Denied> {
        let holds = |scope: &Scope| scope.as_url().is_some_and(|scope| scope.matches(url));
        match self.decide(capability, &holds) {
            Ok(()) => {
                let is_at_once = self.is_source_beside(capability) && !self.is_held(capability, &holds);
                let granted = if is_at_once { self.disclosing(capability) } else { self.granted(capability) };
                let granted = granted.iter().filter(|scope| holds(scope));
                let networks = granted.filter_map(|scope| scope.as_url()?.network());
                Ok(networks.flat_map(|network| self.allowed_networks(capability, network, &holds)).collect())
            }
            Err(reason) => {
                let narrowest = || UrlScope::of_url(url).map(Scope::from);
                Err(self.denied(capability, &url.to_string(), reason, narrowest, &holds))
            }
        }
    }

    /// Whether a request for `url`, which is permitted, is held for an approval though the effect alone
    /// would not hold it: the operation has a source, whose contents could be in what it asks for, and
    /// no grant that holds `url` says `may-disclose`.
    #[must_use]
    pub fn holds_url(&self, capability: Capability, url: &HttpUrl) -> bool {
        let holds = |scope: &Scope| scope.as_url().is_some_and(|scope| scope.matches(url));
        self.is_held(capability, &holds)
    }

    /// Why calls of `capability` may be held; none if it is dead, or all of them are made at once.
    #[must_use]
    pub fn held(&self, capability: Capability) -> Option<HeldFor> {
        if !self.live(capability) {
            return None;
        }
        if capability.is_held_in(self.effect) {
            return Some(HeldFor::Effect);
        }
        let (requested, allowed) = (self.requested(capability), self.allowed(capability));
        let disclosing = self.disclosing(capability);
        let is_held = |scope: &&Scope| {
            let is_of_use = requested.iter().any(|asked| scope.meets(asked)) && allowed.meets(Some(scope));
            is_of_use && !disclosing.contains(scope)
        };
        let may_be =
            self.is_source_beside(capability) && self.granted(capability).iter().any(|s| is_held(&s));
        may_be.then_some(HeldFor::Disclosure)
    }

    /// Whether a call of any capability may be held. One that is neither requested nor granted is dead,
    /// or is never held, so that nothing is asked of it.
    #[must_use]
    pub fn may_hold(&self) -> bool {
        self.rows.keys().any(|capability| self.held(*capability).is_some())
    }

    /// Whether a call may be held for what the operation could disclose, whatever its effect: a plan
    /// has to stop for it.
    #[must_use]
    pub fn holds_disclosure(&self) -> bool {
        Capability::ALL.into_iter().any(|capability| self.held(capability) == Some(HeldFor::Disclosure))
    }

    /// Whether a call may run `call`: a requested scope, a granted one and one of the ceiling hold it.
    /// Gives the digests that the grants which hold it name, as far as the ceiling names them too: the program's file must have one of them. None
    /// if a grant that holds it leaves that open.
    ///
    /// # Errors
    /// If it may not.
    pub fn permits_exec(&self, call: &ExecCall<'_>) -> Result<Option<Vec<Digest>>, Denied> {
        let capability = Capability::Exec;
        let holds = |scope: &Scope| scope.as_exec().is_some_and(|scope| scope.matches(call));
        match self.decide(capability, &holds) {
            Ok(()) => {
                let pinned = |scopes: &[Scope]| -> Option<Vec<Digest>> {
                    scopes
                        .iter()
                        .filter(|scope| holds(scope))
                        .map(|scope| scope.as_exec()?.digest())
                        .collect()
                };
                let granted = pinned(self.granted(capability));
                let Allowed::Scopes(allowed) = self.allowed(capability) else { return Ok(granted) };
                // What both name, or what the one names that does.
                Ok(match (granted, pinned(allowed)) {
                    (Some(granted), Some(allowed)) => {
                        Some(granted.into_iter().filter(|digest| allowed.contains(digest)).collect())
                    }
                    (granted, allowed) => granted.or(allowed),
                })
            }
            Err(reason) => {
                let narrowest = || ExecScope::of_call(call).map(Scope::from);
                Err(self.denied(capability, &call.to_string(), reason, narrowest, &holds))
            }
        }
    }

    /// The requested scope of the secret `name` that a request for `url` may be filled in by: it, a
    /// granted scope and one of the ceiling are of that name and that URL's host.
    ///
    /// # Errors
    /// If it may not.
    pub fn permits_secret(&self, name: &SecretName, url: &HttpUrl) -> Result<&SecretScope, Denied> {
        let capability = Capability::Secrets;
        let fits = |scope: &SecretScope| scope.name() == name && scope.is_for(url);
        let holds = |scope: &Scope| scope.as_secret().is_some_and(fits);
        let asked = self.requested(capability).iter().filter_map(Scope::as_secret).find(|scope| fits(scope));
        // One that is asked for, and not merely of the same name and host, has to be granted.
        let exactly = |scope: &Scope| {
            scope.as_secret().is_some_and(|scope| asked.is_some_and(|asked| asked.is_within(scope)))
        };
        match (self.decide(capability, &exactly), asked) {
            (Ok(()), Some(asked)) => Ok(asked),
            (reason, _) => {
                let reason = reason.err().unwrap_or(DeniedReason::NotRequested);
                let what = format!("{name} for {}://{}", url.scheme(), url.authority());
                Err(self.denied(capability, &what, reason, || None, &holds))
            }
        }
    }

    /// Whether a call may ask the model `name`: it is requested, granted and below the ceiling.
    ///
    /// # Errors
    /// If it may not.
    pub fn permits_model(&self, name: &ModelName) -> Result<(), Denied> {
        let capability = Capability::Model;
        let holds = |scope: &Scope| scope.as_model() == Some(name);
        let narrowest = || Some(Scope::from(name.clone()));
        self.decide(capability, &holds)
            .map_err(|reason| self.denied(capability, name.as_str(), reason, narrowest, &holds))
    }

    /// The models that calls may ask, in the request's order.
    pub fn models(&self) -> impl Iterator<Item = &ModelName> {
        let asked = self.requested(Capability::Model).iter().filter_map(Scope::as_model);
        asked.filter(|name| self.permits_model(name).is_ok())
    }

    /// The secrets that calls may be filled in with, in the request's order.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretScope> {
        let granted = move |asked: &&SecretScope| {
            let holds = |scope: &Scope| scope.as_secret().is_some_and(|scope| asked.is_within(scope));
            self.decide(Capability::Secrets, &holds).is_ok()
        };
        self.requested(Capability::Secrets).iter().filter_map(Scope::as_secret).filter(granted)
    }

    /// Whether anything below the folder `dir` under `root` (empty for the root itself) could be in
    /// reach: where not, a listing need not descend.
    #[must_use]
    pub fn reaches_below(&self, capability: Capability, root: &RootName, dir: &str) -> bool {
        let reaches =
            |scope: &Scope| scope.as_path().is_some_and(|scope| scope.matches_prefix_dir(root, dir));
        self.live(capability)
            && self.requested(capability).iter().any(reaches)
            && self.granted(capability).iter().any(reaches)
            && self.allowed(capability).any(reaches)
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
        let common = |one: &[String], other: &[String]| {
            let mut both = inner(one, other);
            both.extend(inner(other, one));
            both.sort();
            both.dedup();
            both
        };
        let mut both = common(&asked, &given);
        if let Allowed::Scopes(allowed) = self.allowed(capability) {
            both = common(&both, &folders(allowed));
        }
        // What lies in another one is part of it.
        let all = both.clone();
        both.retain(|folder| !all.iter().any(|other| other != folder && within(folder, other)));
        both
    }

    /// The limits of a call that is given `asked` by its operation: each the least of that, of what a
    /// grant says that the call can use, and of what the ceiling says.
    #[must_use]
    pub fn limits(&self, asked: Limits) -> Limits {
        self.ceiling_limits.cut(self.grant_limits().cut(asked))
    }

    /// What an approval is bound to: the pack, the effect, the scopes of each live capability from
    /// every side, and the bounds on limits. What is not live does not count, so that an unrelated
    /// grant makes no approval stale.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let start = FramedHasher::new("capstan/authority/v2")
            .field(self.pack.to_string())
            .field(self.effect.as_str());
        let hasher = self.live_capabilities().fold(start, |hasher, capability| {
            let hasher = hasher.field(capability.as_str());
            let hasher = hash_scopes(hasher, self.requested(capability));
            let hasher = hash_scopes(hasher, self.granted(capability));
            let hasher = hash_scopes(hasher, self.disclosing(capability));
            match self.allowed(capability) {
                Allowed::All => hasher.field("all"),
                Allowed::Scopes(scopes) => hash_scopes(hasher.field("scopes"), scopes),
                Allowed::Nothing => hasher.field("nothing"),
            }
        });
        let mut bounds = self.grant_limits();
        bounds.lower_all(&self.ceiling_limits);
        let hasher = hasher.field("limits");
        bounds
            .iter()
            .fold(hasher, |hasher, (kind, amount)| hasher.field(kind.as_str()).number(amount))
            .finish()
    }

    fn row(&self, capability: Capability) -> Option<&Row> {
        self.rows.get(&capability)
    }

    fn requested(&self, capability: Capability) -> &[Scope] {
        self.row(capability).and_then(|row| row.requested.as_deref()).unwrap_or_default()
    }

    fn granted(&self, capability: Capability) -> &[Scope] {
        self.row(capability).and_then(|row| row.granted.as_deref()).unwrap_or_default()
    }

    fn disclosing(&self, capability: Capability) -> &[Scope] {
        self.row(capability).map_or(&[], |row| &row.disclosing)
    }

    fn allowed(&self, capability: Capability) -> &Allowed {
        self.row(capability).map_or(&Allowed::All, |row| &row.allowed)
    }

    /// What of a network that a grant names the ceiling names too, for what `holds` tells of.
    fn allowed_networks(
        &self,
        capability: Capability,
        network: IpNet,
        holds: &dyn Fn(&Scope) -> bool,
    ) -> Vec<IpNet> {
        let Allowed::Scopes(scopes) = self.allowed(capability) else { return vec![network] };
        let allowed = scopes.iter().filter(|scope| holds(scope));
        let allowed = allowed.filter_map(|scope| scope.as_url()?.network());
        // Of two networks one holds the other, or they have nothing in common.
        let common = |theirs: IpNet| match theirs.contains(&network) {
            true => Some(network),
            false => network.contains(&theirs).then_some(theirs),
        };
        allowed.filter_map(common).collect()
    }

    /// The bounds of the grants of what is live.
    fn grant_limits(&self) -> LimitCaps {
        let mut limits = LimitCaps::new();
        for (capability, row) in &self.rows {
            if self.live(*capability) {
                limits.lower_all(&row.limits);
            }
        }
        limits
    }

    /// Why the capability as a whole is dead. What no grant can change comes first.
    fn blocked(&self, capability: Capability) -> Option<DeniedReason> {
        let row = self.row(capability);
        if !capability.needs_grant() {
            return (!capability.permitted_by(self.effect)).then_some(DeniedReason::AboveEffect);
        }
        let Some(Row { requested: Some(_), leaves_some, .. }) = row else {
            return Some(DeniedReason::NotRequested);
        };
        if !capability.permitted_by(self.effect) {
            return Some(DeniedReason::AboveEffect);
        }
        if !leaves_some {
            return Some(DeniedReason::Ceiling);
        }
        let granted = row.is_some_and(|row| row.granted.is_some());
        (!granted).then(|| self.not_granted(capability, &|_| true))
    }

    /// Whether `capability` would tell somebody what the operation can read and may not be free to pass
    /// on.
    fn is_source_beside(&self, capability: Capability) -> bool {
        let is_source = |other: Capability| other.is_source() && self.live(other);
        capability.discloses() && Capability::ALL.into_iter().any(is_source)
    }

    /// Whether what `holds` tells of would disclose something without the word of a grant.
    fn is_held(&self, capability: Capability, holds: &dyn Fn(&Scope) -> bool) -> bool {
        self.is_source_beside(capability) && !self.disclosing(capability).iter().any(holds)
    }

    /// Why no grant in force gives what `holds` tells of: a grant that lapsed, or none.
    fn not_granted(&self, capability: Capability, holds: &dyn Fn(&Scope) -> bool) -> DeniedReason {
        let lapsed = self.lapsed(capability, holds);
        if let Some(lapsed) = lapsed {
            return match lapsed.why {
                Lapse::Expired => DeniedReason::Expired,
                Lapse::OtherSigner => DeniedReason::OtherSigner,
            };
        }
        let granted = self.row(capability).is_some_and(|row| row.granted.is_some());
        if granted { DeniedReason::OutOfScope } else { DeniedReason::NotGranted }
    }

    /// The grant that would allow it, had it not lapsed. One that expired is named before one of
    /// another signer: it was given to this very pack.
    fn lapsed(&self, capability: Capability, holds: &dyn Fn(&Scope) -> bool) -> Option<&Lapsed> {
        let held = |lapsed: &&Lapsed| lapsed.scope.as_ref().is_none_or(holds);
        self.all_lapsed(capability).filter(held).min_by_key(|lapsed| lapsed.why)
    }

    /// The lapsed grants that would give something, had they not lapsed.
    fn all_lapsed(&self, capability: Capability) -> impl Iterator<Item = &Lapsed> {
        let (requested, allowed) = (self.requested(capability), self.allowed(capability));
        let lapsed = self.row(capability).map_or(&[][..], |row| &row.lapsed);
        lapsed.iter().filter(move |lapsed| {
            let scope = lapsed.scope.as_ref();
            let asked = scope.is_none_or(|scope| requested.iter().any(|asked| scope.meets(asked)));
            asked && allowed.meets(scope)
        })
    }

    /// Whether a requested scope, one of the ceiling and a granted one hold what is asked for.
    fn decide(&self, capability: Capability, holds: &dyn Fn(&Scope) -> bool) -> Result<(), DeniedReason> {
        let blocked = self.blocked(capability);
        match blocked {
            Some(reason @ (DeniedReason::NotRequested | DeniedReason::AboveEffect)) => Err(reason),
            _ if !self.requested(capability).iter().any(holds) => Err(DeniedReason::NotRequested),
            _ if !self.allowed(capability).any(holds) => Err(DeniedReason::Ceiling),
            None if self.granted(capability).iter().any(holds) => Ok(()),
            _ => Err(self.not_granted(capability, holds)),
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

    /// The denial of `what`, with the scope that a grant needs: the one that lapsed, else the least,
    /// `narrowest`, or what the pack asks for where that cannot be spelt.
    fn denied(
        &self,
        capability: Capability,
        what: &str,
        reason: DeniedReason,
        narrowest: impl Fn() -> Option<Scope>,
        holds: &dyn Fn(&Scope) -> bool,
    ) -> Denied {
        let asked =
            || self.requested(capability).iter().find(|scope| holds(scope) && is_grantable(scope)).cloned();
        let scope = match reason {
            DeniedReason::NotGranted | DeniedReason::OutOfScope => narrowest().or_else(asked),
            DeniedReason::Expired | DeniedReason::OtherSigner => {
                self.lapsed(capability, holds).and_then(|lapsed| lapsed.scope.clone())
            }
            _ => None,
        };
        let grant = scope.map(|scope| format!("{capability}={scope}"));
        Denied { capability, what: cut(what), reason, grant }
    }
}

fn hash_scopes(hasher: FramedHasher, scopes: &[Scope]) -> FramedHasher {
    let start = hasher.number(scopes.len() as u64);
    scopes.iter().fold(start, |hasher, scope| hasher.field(scope.to_string()))
}
