//! What no grant passes: the organisation's ceiling.

use authority::{
    Allowed, Authority, Ceiling, DecidedBy, DeniedReason, Grant, Grants, HttpUrl, LimitCaps, LimitKind,
    Request, RequestError, Scope,
};
use base::{Capability, Code, Effect, Limits, PackId, Refusal, RootName};

use crate::terms::{NOW, signer};

use Capability::{Clock, FilesRead, HttpRead, Log};

fn pack() -> PackId {
    "acme:notes".parse().unwrap()
}

fn root() -> RootName {
    "workspace".parse().unwrap()
}

fn given(text: &str) -> Grant {
    Grant::parse(&pack(), text).unwrap().to_signer(signer())
}

fn scopes(capability: Capability, texts: &[&str]) -> Option<Vec<Scope>> {
    Some(texts.iter().map(|text| Scope::parse(capability, text).unwrap()).collect())
}

/// Of a pack that asks for everything and has it.
fn under(ceiling: &Ceiling) -> Authority {
    let mut request = Request::new();
    request.insert(FilesRead, scopes(FilesRead, &["workspace:**"]).unwrap()).unwrap();
    request.insert(Clock, []).unwrap();
    let mut grants = Grants::new();
    grants.add(given("files-read=workspace:**"));
    grants.add(given("clock"));
    Authority::of(&request, &grants.in_force(&pack(), &signer(), NOW), ceiling, Effect::Read)
}

fn reason(authority: &Authority, path: &str) -> Option<DeniedReason> {
    let denied = authority.permits_path(FilesRead, &root(), path).err()?;
    assert_eq!(denied.grant, None, "no grant helps");
    assert!(
        denied.to_string().ends_with("is forbidden by the ceiling in `config.toml`, which no grant passes")
    );
    Some(denied.reason)
}

#[test]
fn a_ceiling_is_a_list_of_what_is_allowed() {
    let none = under(&Ceiling::none());
    assert_eq!((reason(&none, "a"), none.live(Clock)), (None, true));
    let closed = under(&Ceiling::closed());
    assert_eq!((reason(&closed, "a"), closed.live(Clock)), (Some(DeniedReason::Ceiling), false));
    assert!(closed.live(Log), "what needs no grant needs no permission");
    assert_eq!(closed.permits(Clock).unwrap_err().reason, DeniedReason::Ceiling);
    assert!(closed.missing().is_empty());

    let mut ceiling = Ceiling::closed();
    ceiling.allow(FilesRead, scopes(FilesRead, &["workspace:docs/**"])).unwrap();
    let docs = under(&ceiling);
    assert_eq!(reason(&docs, "docs/a"), None);
    assert_eq!(reason(&docs, "src/a"), Some(DeniedReason::Ceiling));
    assert!(!docs.live(Clock));
    assert!(docs.reaches_below(FilesRead, &root(), "docs") && !docs.reaches_below(FilesRead, &root(), "src"));
    ceiling.allow(Clock, None).unwrap();
    ceiling.allow(FilesRead, None).unwrap();
    let open = under(&ceiling);
    assert_eq!((reason(&open, "src/a"), open.live(Clock)), (None, true));
}

#[test]
fn a_ceiling_beside_the_request_forbids_the_capability() {
    let mut ceiling = Ceiling::closed();
    ceiling.allow(FilesRead, scopes(FilesRead, &["elsewhere:**"])).unwrap();
    let authority = under(&ceiling);
    assert!(!authority.live(FilesRead));
    assert_eq!(authority.permits(FilesRead).unwrap_err().reason, DeniedReason::Ceiling);
}

#[test]
fn what_the_ceiling_cannot_say_is_refused() {
    let mut ceiling = Ceiling::closed();
    assert_eq!(ceiling.allow(Log, None), Err(RequestError::NotNeeded(Log)));
    assert_eq!(ceiling.allow(FilesRead, Some(vec![])), Err(RequestError::MissingScope(FilesRead)));
    let url = scopes(HttpRead, &["https://a.b/**"]);
    assert_eq!(ceiling.allow(FilesRead, url.clone()), Err(RequestError::WrongKind(FilesRead)));
    assert_eq!(ceiling.allow(Clock, url), Err(RequestError::UnexpectedScope(Clock)));
    assert_eq!(ceiling.of(FilesRead), &Allowed::Nothing);
}

#[test]
fn a_grant_of_what_is_forbidden_is_told_apart() {
    let mut ceiling = Ceiling::closed();
    ceiling.allow(FilesRead, scopes(FilesRead, &["workspace:docs/**"])).unwrap();
    for good in ["files-read=workspace:docs/a", "files-read=workspace:**"] {
        assert_eq!(given(good).check_ceiling(&ceiling), Ok(()), "{good}");
        assert_eq!(given("clock").check_ceiling(&Ceiling::none()), Ok(()));
    }
    for bad in ["files-read=workspace:src/a", "files-read=other:**", "clock"] {
        let refusal = Refusal::from(given(bad).check_ceiling(&ceiling).unwrap_err());
        assert_eq!(refusal.code, Code::GrantAboveCeiling);
        assert!(refusal.message.starts_with("the ceiling in `config.toml` forbids `"), "{refusal:?}");
    }
}

#[test]
fn a_private_network_is_opened_by_grant_and_ceiling_together() {
    let mut request = Request::new();
    request.insert(HttpRead, scopes(HttpRead, &["https://*:*/**"]).unwrap()).unwrap();
    let mut grants = Grants::new();
    grants.add(given("http-read=https://a.b/** via 10.1.0.0/16"));
    let networks = |allowed: Option<&[&str]>| {
        let mut ceiling = Ceiling::closed();
        ceiling.allow(HttpRead, allowed.and_then(|texts| scopes(HttpRead, texts))).unwrap();
        let standing = grants.in_force(&pack(), &signer(), NOW);
        let authority = Authority::of(&request, &standing, &ceiling, Effect::Read);
        let networks = authority.permits_url(HttpRead, &HttpUrl::parse("https://a.b/").unwrap()).unwrap();
        networks.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(networks(None), ["10.1.0.0/16"]);
    assert!(networks(Some(&["https://a.b/**"])).is_empty());
    assert!(networks(Some(&["https://a.b/**", "https://c.d/** via 10.0.0.0/8"])).is_empty());
    assert_eq!(networks(Some(&["https://*/** via 10.0.0.0/8"])), ["10.1.0.0/16"]);
    assert_eq!(networks(Some(&["https://*/** via 10.1.2.0/24"])), ["10.1.2.0/24"]);
    assert!(networks(Some(&["https://*/** via 10.2.0.0/16"])).is_empty());
}

#[test]
fn each_limit_is_the_least_of_the_three_and_says_whose_it_is() {
    let mut bounds = LimitCaps::new();
    bounds.lower(LimitKind::Memory, 1 << 20);
    bounds.lower(LimitKind::Fuel, 3_000);
    let mut ceiling = Ceiling::none();
    ceiling.lower(&bounds);
    let mut request = Request::new();
    request.insert(Clock, []).unwrap();
    let mut grants = Grants::new();
    let mut clock = given("clock");
    clock.terms.limits.lower(LimitKind::Fuel, 2_000);
    clock.terms.limits.lower(LimitKind::Memory, 2 << 20);
    grants.add(clock);
    let standing = grants.in_force(&pack(), &signer(), NOW);
    let authority = Authority::of(&request, &standing, &ceiling, Effect::Read);
    let expected = Limits { fuel: 2_000, memory_bytes: 1 << 20, ..Limits::DEFAULT };
    assert_eq!(authority.limits(Limits::DEFAULT), expected);
    for limit in authority.explain_limits(Limits::DEFAULT) {
        assert_eq!(limit.amount, limit.kind.of(&expected));
        let by = match limit.kind {
            LimitKind::Fuel => DecidedBy::Grant,
            LimitKind::Memory => DecidedBy::Ceiling,
            _ => DecidedBy::Operation,
        };
        assert_eq!(limit.decided_by, by, "{}", limit.kind);
    }
    // A bound is part of what is approved.
    let without = Authority::of(&request, &standing, &Ceiling::none(), Effect::Read);
    assert_ne!(authority.digest(), without.digest());
    let mut allowing = Ceiling::closed();
    allowing.allow(Clock, None).unwrap();
    let allowed = Authority::of(&request, &standing, &allowing, Effect::Read);
    assert_eq!(allowed.digest(), without.digest(), "a ceiling that cuts nothing changes nothing");
}
