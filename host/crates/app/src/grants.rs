//! What packs may reach: `grants.toml`.

use std::collections::BTreeMap;

use authority::{
    Allowed, Authority, Ceiling, DeniedReason, EffectiveLimit, Explanation, Grant, Grants, Lapse, Lapsed,
    LimitCaps, LimitKind, Request, Scope, Signer, Terms,
};
use base::{Capability, Code, PackId, Refusal, Timestamp};

use crate::app::App;
use crate::consent::Consent;
use crate::time::{parse_expiry, rfc3339};
use crate::view::{ExplainView, GrantView, LimitView, ReachView};
use crate::{Error, Home};

const FILE: &str = "grants.toml";

/// What `grant add` may say beside the grant.
#[derive(Debug, Clone, Default)]
pub struct GrantOptions {
    /// When it ends: a duration from now, or a time as RFC 3339.
    pub expires: Option<String>,
    /// Whether an operation may use it that also reads files or artifacts.
    pub may_disclose: bool,
    /// Limits to lower, `name=amount`.
    pub limits: Vec<String>,
}

pub(crate) fn load(home: &Home) -> Result<Grants, Error> {
    let text = home.read_text(FILE)?;
    Ok(Grants::parse_toml(&text).map_err(Refusal::from)?)
}

/// Parses what the user typed and holds it against what the pack requests; `see` says where that
/// can be read.
pub(crate) fn parse(pack: &PackId, text: &str, request: &Request, see: &str) -> Result<Grant, Error> {
    let grant = Grant::parse(pack, text).map_err(Refusal::from)?;
    grant.check_requested(request).map_err(|error| {
        Error::Refused(Refusal::new(Code::GrantExceedsRequest, error.to_string()).hint(see))
    })?;
    Ok(grant)
}

/// What is granted and counts, as `grant add` takes it.
pub(crate) fn in_force(authority: &Authority) -> Vec<String> {
    let granted = authority.explain().filter_map(|row| Some((row.capability, row.granted?.to_vec())));
    granted.flat_map(|(capability, scopes)| authority::grant_arguments(capability, &scopes)).collect()
}

/// What was granted and does not count, likewise.
pub(crate) fn lapsed(authority: &Authority) -> Vec<String> {
    let lapsed = |row: Explanation<'_>| {
        let scopes: Vec<Scope> = row.lapsed.iter().filter_map(|lapsed| lapsed.scope.clone()).collect();
        if row.lapsed.is_empty() {
            return Vec::new();
        }
        authority::grant_arguments(row.capability, &scopes)
    };
    authority.explain().flat_map(lapsed).collect()
}

fn texts(scopes: &[Scope]) -> Vec<String> {
    scopes.iter().map(ToString::to_string).collect()
}

/// What stands between a capability and its use.
fn cut_by(reason: DeniedReason) -> &'static str {
    match reason {
        DeniedReason::NotRequested => "request",
        DeniedReason::AboveEffect => "effect",
        DeniedReason::NotGranted => "grant",
        DeniedReason::Expired => Lapse::Expired.as_str(),
        DeniedReason::OtherSigner => Lapse::OtherSigner.as_str(),
        DeniedReason::Ceiling => "ceiling",
        // Of single places, never of a capability as a whole.
        DeniedReason::OutOfScope | DeniedReason::Reserved | DeniedReason::SpecialAddress => "scope",
    }
}

/// The terms that the user typed, for a pack that `signer` signed.
fn terms(options: &GrantOptions, signer: Signer, now: Timestamp) -> Result<Terms, Error> {
    let expires = options.expires.as_deref().map(|text| parse_expiry(text, now)).transpose()?;
    let mut limits = LimitCaps::new();
    for text in &options.limits {
        let usage = |message: String| Error::usage(message, &["write it as `--limit fuel=1G`"]);
        let (name, amount) =
            text.split_once('=').ok_or_else(|| usage(format!("`{text}` is no limit with its amount")))?;
        let kind: LimitKind = name.parse().map_err(usage)?;
        limits.lower(kind, kind.parse_amount(amount).map_err(|error| usage(error.to_string()))?);
    }
    Ok(Terms { signer: Some(signer), expires, may_disclose: options.may_disclose, limits })
}

/// One line for each scope, as `grant add` takes it. `lapse` says why it does not count.
fn views(grant: &Grant, ceiling: &Ceiling, lapse: Option<&'static str>) -> Vec<GrantView> {
    let allowed = ceiling.of(grant.capability);
    let forbidden = grant.check_ceiling(ceiling).is_err().then_some("ceiling");
    let view = |(index, text): (usize, String)| GrantView {
        pack: grant.pack.clone(),
        grant: text,
        signer: grant.terms.signer.as_ref().map(ToString::to_string),
        expires: grant.terms.expires.map(rfc3339),
        may_disclose: grant.terms.may_disclose,
        limits: limit_texts(&grant.terms.limits),
        in_force: lapse.or(forbidden).is_none(),
        lapse: lapse.or(forbidden),
        cut_by_ceiling: match grant.scopes.get(index) {
            Some(scope) => !allowed.covers(scope),
            None => *allowed == Allowed::Nothing,
        },
        note: None,
    };
    grant.arguments().into_iter().enumerate().map(view).collect()
}

fn limit_texts(limits: &LimitCaps) -> BTreeMap<String, String> {
    limits.iter().map(|(kind, amount)| (kind.to_string(), kind.show(amount))).collect()
}

/// Each scope of its own, so that what is said of a grant is said of one scope.
fn one_by_one(grant: &Grant) -> Vec<Grant> {
    if grant.scopes.is_empty() {
        return vec![grant.clone()];
    }
    let one = |scope: &Scope| Grant { scopes: vec![scope.clone()], ..grant.clone() };
    grant.scopes.iter().map(one).collect()
}

impl App {
    /// Grants a capability to an installed pack, as it is signed now: a pack that is not installed has
    /// no signer that a grant could be bound to.
    ///
    /// # Errors
    /// If the pack is not installed or does not request it, the ceiling forbids all of it, or the
    /// terms are none.
    pub fn grant_add(
        &self,
        pack: &str,
        grant: &str,
        options: &GrantOptions,
    ) -> Result<Vec<GrantView>, Error> {
        let id = crate::packs::parse_id(pack)?;
        let installed = self.load_pack(&id)?;
        let consent = self.consent()?;
        let grant = parse(&id, grant, &installed.manifest().request, &format!("capstan pack audit {id}"))?;
        let signer = Signer::of_fingerprint(&installed.signer());
        let grant = Grant { terms: terms(options, signer, self.clock.now())?, ..grant };
        let form = |error: authority::RequestError| Refusal::new(Code::GrantMalformed, error.to_string());
        grant.check_form().map_err(form)?;
        grant.check_ceiling(&consent.ceiling).map_err(Refusal::from)?;
        self.edit_grants(|grants| {
            grants.add(grant.clone());
            Ok(())
        })?;
        let mut views = views(&grant, &consent.ceiling, None);
        for (view, name) in views.iter_mut().zip(grant.scopes.iter().filter_map(Scope::as_model)) {
            view.note = Some(self.model_note(name)?);
        }
        Ok(views)
    }

    /// The grants of every pack, or of one, and whether each is in force.
    ///
    /// # Errors
    /// If `grants.toml` or `config.toml` is malformed, or the store cannot be read.
    pub fn grant_list(&self, pack: Option<&str>) -> Result<Vec<GrantView>, Error> {
        let only = pack.map(crate::packs::parse_id).transpose()?;
        let consent = self.consent()?;
        let mut listed = Vec::new();
        for grant in consent.grants.iter().filter(|grant| only.as_ref().is_none_or(|id| *id == grant.pack)) {
            let lapse = self.lapse(&grant)?;
            let views = |grant: Grant| views(&grant, &consent.ceiling, lapse);
            listed.extend(one_by_one(&grant).into_iter().flat_map(views));
        }
        Ok(listed)
    }

    /// Why a grant does not count for the pack as it is installed now.
    fn lapse(&self, grant: &Grant) -> Result<Option<&'static str>, Error> {
        let Some(receipt) = self.store()?.receipt(&grant.pack)? else { return Ok(Some("not_installed")) };
        let signer = Signer::of_fingerprint(&receipt.signer);
        Ok(grant.terms.lapse(&signer, self.clock.now()).map(Lapse::as_str))
    }

    /// What calls of one operation of an installed pack may reach, and what cut the rest.
    ///
    /// # Errors
    /// If there is no such pack or operation.
    pub fn grant_explain(&self, pack: &str, operation: &str) -> Result<ExplainView, Error> {
        let id = crate::packs::parse_id(pack)?;
        let installed = self.load_pack(&id)?;
        let declared = crate::operations::declared(&installed, operation)?;
        let consent = self.consent()?;
        let authority = consent.authority(&installed, declared.effect);
        let limits = authority.explain_limits(declared.limits.resolve());
        Ok(ExplainView {
            operation: format!("{id}/{operation}"),
            effect: declared.effect,
            signer: installed.signer().to_string(),
            ceiling: consent.ceiling.is_set() || !consent.ceiling.limits().is_empty(),
            capabilities: authority.explain().map(|row| reach(&id, &authority, &row)).collect(),
            limits: limits.iter().map(limit_view).collect(),
        })
    }

    /// Takes a grant back; a capability alone takes back all its scopes.
    ///
    /// # Errors
    /// If there is no such grant.
    pub fn grant_remove(&self, pack: &str, text: &str) -> Result<Vec<GrantView>, Error> {
        let id = crate::packs::parse_id(pack)?;
        let grant = match text.parse::<Capability>() {
            Ok(capability) => {
                Grant { pack: id.clone(), capability, scopes: Vec::new(), terms: Terms::default() }
            }
            Err(_) => Grant::parse(&id, text).map_err(Refusal::from)?,
        };
        let Consent { ceiling, .. } = self.consent()?;
        let (before, left) = self.edit_grants(|grants| {
            let before: Vec<Grant> = grants.of_pack(&id);
            if !grants.remove(&grant) {
                let hint = format!("capstan grant list {id}");
                return Err(Error::usage(format!("`{id}` has no grant `{text}`"), &[hint.as_str()]));
            }
            let left: Vec<String> = grants.of_pack(&id).iter().flat_map(Grant::arguments).collect();
            Ok((before, left))
        })?;
        let mut removed = Vec::new();
        for grant in &before {
            // A pack whose receipt is damaged can still have its grants taken.
            let lapse = self.lapse(grant).unwrap_or(Some("not_installed"));
            removed.extend(one_by_one(grant).iter().flat_map(|grant| views(grant, &ceiling, lapse)));
        }
        removed.retain(|view| !left.contains(&view.grant));
        Ok(removed)
    }

    pub(crate) fn edit_grants<T>(
        &self,
        edit: impl FnOnce(&mut Grants) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.home.create()?;
        let _lock = self.home.lock()?;
        let mut grants = load(&self.home)?;
        let result = edit(&mut grants)?;
        self.home.write(FILE, grants.to_toml().as_bytes())?;
        Ok(result)
    }
}

fn reach(id: &PackId, authority: &Authority, row: &Explanation<'_>) -> ReachView {
    let lapsed = |why: Lapse| -> Vec<String> {
        let scope = |lapsed: &Lapsed| lapsed.scope.as_ref().map_or("*".to_owned(), ToString::to_string);
        row.lapsed.iter().filter(|lapsed| lapsed.why == why).map(scope).collect()
    };
    ReachView {
        capability: row.capability.to_string(),
        requested: row.requested.map(texts),
        granted: row.granted.map(texts),
        may_disclose: texts(row.disclosing),
        expired: lapsed(Lapse::Expired),
        other_signer: lapsed(Lapse::OtherSigner),
        ceiling: match row.allowed {
            Allowed::All => None,
            Allowed::Scopes(scopes) => Some(texts(scopes)),
            Allowed::Nothing => Some(Vec::new()),
        },
        live: row.blocked.is_none(),
        cut_by: row.blocked.map(cut_by),
        held: row.held.map(authority::HeldFor::as_str),
        grants: authority.cure(row.capability).iter().map(|missing| missing.command(id)).collect(),
    }
}

fn limit_view(limit: &EffectiveLimit) -> LimitView {
    LimitView {
        limit: limit.kind.as_str(),
        amount: limit.amount,
        text: limit.kind.show(limit.amount),
        decided_by: limit.decided_by.as_str(),
    }
}
