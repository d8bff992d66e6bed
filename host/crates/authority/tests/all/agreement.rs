//! For any request, grants, ceiling and effect, authority is what an oracle says that was written
//! from the documents alone: it shares no code with the crate, not even the matching of scopes.

use authority::{
    Authority, Ceiling, DeniedReason, Grant, Grants, HttpUrl, LimitCaps, LimitKind, Request, Scope, Signer,
    Terms,
};
use base::{Capability, Effect, Limits, PackId, RootName, ScopeKind, Timestamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use Capability::{Artifacts, FilesRead, HttpRead, Log, Secrets};

/// One scope of one capability as text: `None` for a capability without scopes.
type Place = (Capability, Option<String>);

/// A grant as the operator wrote it.
#[derive(Debug, Clone)]
struct Written {
    place: Place,
    signer: Option<usize>,
    expires: Option<u64>,
    may_disclose: bool,
    fuel: Option<u64>,
}

/// Everything that decides.
#[derive(Debug, Clone)]
struct World {
    asked: Vec<Place>,
    given: Vec<Written>,
    /// A place without a text allows all of its capability.
    ceiling: Option<Vec<Place>>,
    ceiling_fuel: Option<u64>,
    effect: Effect,
    signer: usize,
    now: u64,
}

fn pack() -> PackId {
    "acme:notes".parse().unwrap()
}

fn signer(number: usize) -> Signer {
    let letter = char::from(b'a' + u8::try_from(number).unwrap());
    let group = String::from(letter).repeat(4);
    vec![group; 8].join("-").parse().unwrap()
}

fn path_scope() -> impl Strategy<Value = String> {
    let glob = vec(prop::sample::select(vec!["a", "b", ".a", "*", "**", "?", "{a,b}", "a*"]), 1..4);
    (prop::sample::select(vec!["workspace", "other"]), glob)
        .prop_map(|(root, glob)| format!("{root}:{}", glob.join("/")))
}

fn url_scope() -> impl Strategy<Value = String> {
    let host = prop::sample::select(vec!["a.b", "*.b", "*", "c.a.b"]);
    let port = prop::sample::select(vec!["", ":8443", ":*"]);
    let glob = vec(prop::sample::select(vec!["x", ".y", "*", "**", "{x,z}"]), 1..3);
    (prop::sample::select(vec!["https", "http"]), host, port, glob)
        .prop_map(|(scheme, host, port, glob)| format!("{scheme}://{host}{port}/{}", glob.join("/")))
}

/// All but `exec`, whose scopes are commands: `intersection.rs` has those.
fn known() -> impl Iterator<Item = Capability> {
    Capability::ALL.into_iter().filter(|capability| *capability != Capability::Exec)
}

fn secret_scope() -> impl Strategy<Value = String> {
    let secrets =
        ["tok@a.b:header:x", "tok@c.a.b:header:x", "tok@http://a.b:header:x", "key@a.b:8443:header:x"];
    prop::sample::select(secrets.to_vec()).prop_map(str::to_owned)
}

fn model_scope() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["default", "small"]).prop_map(str::to_owned)
}

fn place() -> impl Strategy<Value = Place> {
    let grantable: Vec<_> = known().filter(|c| c.needs_grant()).collect();
    (prop::sample::select(grantable), path_scope(), url_scope(), secret_scope(), model_scope()).prop_map(
        |(capability, path, url, secret, model)| {
            let text = match capability.scope_kind() {
                Some(ScopeKind::Path) => Some(path),
                Some(ScopeKind::Url) => Some(url),
                Some(ScopeKind::Secret) => Some(secret),
                Some(ScopeKind::Model) => Some(model),
                Some(ScopeKind::Command) | None => None,
            };
            (capability, text)
        },
    )
}

fn written() -> impl Strategy<Value = Written> {
    let signer = prop_oneof![4 => Just(Some(0)), 1 => Just(Some(1)), 1 => Just(None)];
    (place(), signer, option::of(0..4_u64), any::<bool>(), option::of(1..4_u64)).prop_map(
        |(place, signer, expires, discloses, fuel)| {
            let may_disclose = discloses && place.0 == HttpRead;
            Written { place, signer, expires, may_disclose, fuel }
        },
    )
}

fn world() -> impl Strategy<Value = World> {
    let open = prop_oneof![place(), place().prop_map(|(capability, _)| (capability, None))];
    (
        vec(place(), 0..10),
        vec(written(), 0..12),
        option::of(vec(open, 0..8)),
        option::of(1..4_u64),
        prop::sample::select(Effect::ALL.to_vec()),
        prop_oneof![3 => Just(0_usize), 1 => Just(1)],
        0..4_u64,
    )
        .prop_map(|(asked, mut given, ceiling, ceiling_fuel, effect, signer, now)| {
            // Of one scope the last word counts; the oracle is spared it.
            let mut seen = std::collections::BTreeSet::new();
            given.retain(|grant| seen.insert(grant.place.clone()));
            World { asked, given, ceiling, ceiling_fuel, effect, signer, now }
        })
}

/// What is reached for.
#[derive(Debug, Clone)]
enum Target<'a> {
    Path(&'a str, &'a str),
    Url {
        https: bool,
        host: &'a str,
        port: u16,
        path: &'a str,
    },
    /// A secret's name, and the place as its scope spells it.
    Secret(&'a str, &'a str),
}

mod oracle {
    //! What the documents say, in the plainest way there is.

    use super::*;

    fn text_matches(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|end| text_matches(rest, &text[end..])),
            Some(('?', rest)) => !text.is_empty() && text_matches(rest, &text[1..]),
            Some(('{', rest)) => {
                let end = rest.iter().position(|c| *c == '}').unwrap();
                rest[..end]
                    .split(|c| *c == ',')
                    .any(|branch| text_matches(&[branch, &rest[end + 1..]].concat(), text))
            }
            Some((c, rest)) => text.first() == Some(c) && text_matches(rest, &text[1..]),
        }
    }

    fn segment_matches(pattern: &str, name: &str, dots_hide: bool) -> bool {
        if dots_hide && name.starts_with('.') && !pattern.starts_with('.') {
            return false;
        }
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        text_matches(&chars(pattern), &chars(name))
    }

    fn glob_matches(pattern: &[&str], path: &[&str], dots_hide: bool) -> bool {
        match pattern.split_first() {
            None => path.is_empty(),
            Some((&"**", rest)) => {
                let hidden = |name: &&str| dots_hide && name.starts_with('.');
                (0..=path.len())
                    .any(|end| !path[..end].iter().any(hidden) && glob_matches(rest, &path[end..], dots_hide))
            }
            Some((segment, rest)) => {
                !path.is_empty()
                    && segment_matches(segment, path[0], dots_hide)
                    && glob_matches(rest, &path[1..], dots_hide)
            }
        }
    }

    fn scope_matches(scope: &str, target: &Target<'_>) -> bool {
        if let Target::Secret(name, place) = target {
            return scope == format!("{name}@{place}:header:x");
        }
        if scope.contains('@') {
            return false;
        }
        let parts = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
        let (pattern, path, hide) = match target {
            Target::Path(root, path) => {
                let Some((of, glob)) = scope.split_once(':').filter(|_| !scope.contains("://")) else {
                    return false;
                };
                if of != *root || path.split('/').any(|name| matches!(name, "" | "." | "..")) {
                    return false;
                }
                (parts(glob), parts(path), true)
            }
            Target::Url { https, host, port, path } => {
                let Some((scheme, rest)) = scope.split_once("://") else { return false };
                let (authority, glob) = rest.split_once('/').unwrap();
                let (name, at) = match authority.split_once(':') {
                    Some((name, at)) => (name, at.to_owned()),
                    None => (authority, if scheme == "https" { "443" } else { "80" }.to_owned()),
                };
                let named = match name.strip_prefix("*.") {
                    Some(below) => host.ends_with(&format!(".{below}")),
                    None => name == "*" || name == *host,
                };
                let ported = at == "*" || at == port.to_string();
                if (scheme == "https") != *https || !named || !ported {
                    return false;
                }
                (parts(glob), parts(&path[1..]), false)
            }
            Target::Secret(..) => return false,
        };
        let pattern: Vec<&str> = pattern.iter().map(String::as_str).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        glob_matches(&pattern, &path, hide)
    }

    fn least_effect(capability: Capability) -> Effect {
        match capability.as_str() {
            "log" => Effect::Pure,
            "files-write" => Effect::Write,
            "http-send" => Effect::External,
            _ => Effect::Read,
        }
    }

    impl World {
        fn in_force(&self, grant: &Written) -> bool {
            grant.signer == Some(self.signer) && grant.expires.is_none_or(|expires| self.now < expires)
        }

        /// The grants of a capability that count.
        fn counting(&self, capability: Capability) -> impl Iterator<Item = &Written> {
            self.given.iter().filter(move |grant| grant.place.0 == capability && self.in_force(grant))
        }

        fn ceiling_leaves(&self, capability: Capability, target: Option<&Target<'_>>) -> bool {
            let Some(ceiling) = &self.ceiling else { return true };
            // The last word of the list about a capability as a whole, as the builder takes it.
            super::ceiling_of(ceiling, capability).is_some_and(|scopes| match (scopes, target) {
                (None, _) | (_, None) => true,
                (Some(scopes), Some(target)) => scopes.iter().any(|scope| scope_matches(scope, target)),
            })
        }

        /// Whether the capability can be used for something, apart from where scopes lead to.
        pub(super) fn live(&self, capability: Capability) -> bool {
            if capability == Log {
                return true;
            }
            self.asked.iter().any(|(asked, _)| *asked == capability)
                && self.effect >= least_effect(capability)
                && self.ceiling_leaves(capability, None)
                && self.counting(capability).next().is_some()
        }

        pub(super) fn permits(&self, capability: Capability, target: &Target<'_>) -> bool {
            let holds = |place: &Place| {
                place.0 == capability && place.1.as_ref().is_some_and(|scope| scope_matches(scope, target))
            };
            self.effect >= least_effect(capability)
                && self.asked.iter().any(holds)
                && self.counting(capability).any(|grant| holds(&grant.place))
                && self.ceiling_leaves(capability, Some(target))
        }

        /// Whether a request that is permitted waits for an approval, though it changes nothing.
        pub(super) fn holds(&self, capability: Capability, target: &Target<'_>, has_source: bool) -> bool {
            let says_so = |grant: &Written| {
                let scope = grant.place.1.as_ref();
                grant.may_disclose && scope.is_some_and(|scope| scope_matches(scope, target))
            };
            capability == HttpRead && has_source && !self.counting(capability).any(says_so)
        }

        pub(super) fn fuel(&self, asked: u64, live: impl Fn(Capability) -> bool) -> u64 {
            let grants = self.given.iter().filter(|grant| self.in_force(grant) && live(grant.place.0));
            let bounds = grants.filter_map(|grant| grant.fuel).chain(self.ceiling_fuel);
            bounds.fold(asked, u64::min)
        }
    }
}

/// What the written ceiling says of a capability: nothing, all of it, or its scopes.
fn ceiling_of(ceiling: &[Place], capability: Capability) -> Option<Option<Vec<String>>> {
    let mut lines = ceiling.iter().filter(|(allowed, _)| *allowed == capability).peekable();
    lines.peek()?;
    Some(lines.map(|(_, scope)| scope.clone()).collect::<Option<Vec<_>>>())
}

fn build(world: &World) -> (Request, Grants, Ceiling) {
    let mut request = Request::new();
    let scope =
        |(capability, text): &Place| text.as_ref().map(|text| Scope::parse(*capability, text).unwrap());
    for capability in known() {
        let places: Vec<_> = world.asked.iter().filter(|(asked, _)| *asked == capability).collect();
        if !places.is_empty() {
            request.insert(capability, places.into_iter().filter_map(scope)).unwrap();
        }
    }
    let mut grants = Grants::new();
    for written in &world.given {
        let mut limits = LimitCaps::new();
        written.fuel.into_iter().for_each(|fuel| limits.lower(LimitKind::Fuel, fuel));
        let terms = Terms {
            signer: written.signer.map(signer),
            expires: written.expires.map(Timestamp),
            may_disclose: written.may_disclose,
            limits,
        };
        let scopes = scope(&written.place).into_iter().collect();
        grants.add(Grant { pack: pack(), capability: written.place.0, scopes, terms });
    }
    let mut ceiling = if world.ceiling.is_some() { Ceiling::closed() } else { Ceiling::none() };
    let mut bounds = LimitCaps::new();
    world.ceiling_fuel.into_iter().for_each(|fuel| bounds.lower(LimitKind::Fuel, fuel));
    ceiling.lower(&bounds);
    for capability in known().filter(|capability| capability.needs_grant()) {
        let Some(allowed) = ceiling_of(world.ceiling.as_deref().unwrap_or_default(), capability) else {
            continue;
        };
        let parse = |text: String| Scope::parse(capability, &text).unwrap();
        let scopes = allowed.map(|scopes| scopes.into_iter().map(parse).collect::<Vec<_>>());
        ceiling.allow(capability, scopes.filter(|scopes| !scopes.is_empty())).unwrap();
    }
    (request, grants, ceiling)
}

fn authority(world: &World) -> Authority {
    let (request, grants, ceiling) = build(world);
    let standing = grants.in_force(&pack(), &signer(world.signer), Timestamp(world.now));
    Authority::of(&request, &standing, &ceiling, world.effect)
}

/// A refusal that names a grant names one that lifts it; one that names none, none does.
fn assert_hint(
    world: &World,
    denied: &authority::Denied,
    then: impl Fn(&Authority) -> bool,
) -> Result<(), TestCaseError> {
    let (request, mut grants, ceiling) = build(world);
    let Some(text) = &denied.grant else {
        let helpless = [DeniedReason::NotRequested, DeniedReason::AboveEffect, DeniedReason::Ceiling];
        prop_assert!(helpless.contains(&denied.reason), "{:?}", denied);
        return Ok(());
    };
    let grant = Grant::parse(&pack(), text).unwrap().to_signer(signer(world.signer));
    prop_assert_eq!(grant.check_requested(&request), Ok(()));
    prop_assert_eq!(grant.check_ceiling(&ceiling), Ok(()));
    prop_assert!(grants.add(grant));
    let standing = grants.in_force(&pack(), &signer(world.signer), Timestamp(world.now));
    prop_assert!(then(&Authority::of(&request, &standing, &ceiling, world.effect)), "{:?}", denied);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn authority_is_what_the_oracle_says(
        world in world(),
        root in prop::sample::select(vec!["workspace", "other", "third"]),
        path in vec(prop::sample::select(vec!["a", "b", ".a", "..", "ab"]), 1..4),
        https: bool,
        host in prop::sample::select(vec!["a.b", "c.a.b", "b", "z.b"]),
        port in prop::sample::select(vec![None, Some(8443)]),
        url_path in prop::sample::select(vec!["/x", "/.y", "/x/z", "/", "/q"]),
    ) {
        let authority = authority(&world);
        let path = path.join("/");
        let root_name: RootName = root.parse().unwrap();
        let scheme = if https { "https" } else { "http" };
        let at = port.map_or(String::new(), |port| format!(":{port}"));
        let url = HttpUrl::parse(&format!("{scheme}://{host}{at}{url_path}?query")).unwrap();
        let port = port.unwrap_or(if https { 443 } else { 80 });
        // Live says no where scopes that lie apart leave nothing, and only there.
        let sources = [FilesRead, Artifacts, Secrets];
        let has_source = sources.into_iter().any(|source| authority.live(source));
        for capability in known() {
            if authority.live(capability) {
                prop_assert!(world.live(capability), "{}", capability);
            } else if !capability.has_scope() {
                prop_assert!(!world.live(capability), "{}", capability);
            }
            if let Err(denied) = authority.permits(capability) {
                assert_hint(&world, &denied, |then| then.live(capability))?;
            }
            let target = Target::Path(root, &path);
            let permitted = authority.permits_path(capability, &root_name, &path);
            prop_assert_eq!(permitted.is_ok(), world.permits(capability, &target), "{}", capability);
            match permitted {
                Ok(()) => {
                    prop_assert!(authority.live(capability));
                    prop_assert!(authority.permits_root(capability, &root_name).is_ok());
                    for (end, _) in path.match_indices('/') {
                        prop_assert!(authority.reaches_below(capability, &root_name, &path[..end]));
                    }
                }
                // In particular of a source: what it permits makes it live.
                Err(denied) if capability.has_scope() => {
                    assert_hint(&world, &denied, |then| {
                        then.permits_path(capability, &root_name, &path).is_ok()
                    })?;
                }
                Err(_) => {}
            }
            let target = Target::Url { https, host, port, path: url_path };
            let permitted = authority.permits_url(capability, &url);
            prop_assert_eq!(permitted.is_ok(), world.permits(capability, &target), "{}", capability);
            if permitted.is_ok() {
                let holds = authority.holds_url(capability, &url);
                prop_assert_eq!(holds, world.holds(capability, &target, has_source), "{}", capability);
                // What is held is told ahead: a plan stops for it.
                prop_assert!(!holds || authority.held(capability).is_some());
                prop_assert!(!holds || authority.holds_disclosure());
                let any = Capability::ALL.into_iter().any(|any| authority.held(any).is_some());
                prop_assert_eq!(authority.may_hold(), any);
            }
            if let Err(denied) = permitted && capability.has_scope() {
                assert_hint(&world, &denied, |then| then.permits_url(capability, &url).is_ok())?;
            }
        }
        let place = match (scheme, port) {
            ("https", 443) | ("http", 80) => host.to_owned(),
            _ => format!("{host}:{port}"),
        };
        let place = if https { place } else { format!("http://{place}") };
        for name in ["tok", "key"] {
            let permitted = authority.permits_secret(&name.parse().unwrap(), &url);
            let expected = world.permits(Secrets, &Target::Secret(name, &place));
            prop_assert_eq!(permitted.is_ok(), expected, "{} {}", name, place);
            let listed = |scope: &&authority::SecretScope| scope.name().as_str() == name && scope.is_for(&url);
            prop_assert_eq!(authority.secrets().any(|scope| listed(&scope)), expected);
            if let Err(denied) = permitted {
                assert_hint(&world, &denied, |then| then.permits_secret(&name.parse().unwrap(), &url).is_ok())?;
            }
        }
        let limits = authority.limits(Limits::DEFAULT);
        let fuel = world.fuel(Limits::DEFAULT.fuel, |capability| authority.live(capability));
        prop_assert_eq!(limits, Limits { fuel, ..Limits::DEFAULT });
    }

    #[test]
    fn what_is_within_matches_no_more(
        (mine, theirs) in prop_oneof![
            (path_scope(), path_scope()),
            (url_scope(), url_scope()),
        ],
        path in vec(prop::sample::select(vec!["a", "b", ".a", "ab"]), 1..4),
        url_path in prop::sample::select(vec!["/x", "/.y", "/x/z", "/", "/x/"]),
        host in prop::sample::select(vec!["a.b", "c.a.b", "z.b"]),
    ) {
        let capability = if mine.contains("://") { HttpRead } else { FilesRead };
        let [mine, theirs] = [mine, theirs].map(|text| Scope::parse(capability, &text).unwrap());
        prop_assert!(mine.is_within(&mine));
        if mine.is_within(&theirs) {
            let path = path.join("/");
            for root in ["workspace", "other"] {
                let root = root.parse().unwrap();
                let [a, b] = [&mine, &theirs].map(|s| s.as_path().is_some_and(|s| s.matches(&root, &path)));
                prop_assert!(!a || b);
            }
            for at in ["https://", "http://"] {
                for port in ["", ":8443", ":1"] {
                    let url = HttpUrl::parse(&format!("{at}{host}{port}{url_path}")).unwrap();
                    let [a, b] = [&mine, &theirs].map(|s| s.as_url().is_some_and(|s| s.matches(&url)));
                    prop_assert!(!a || b);
                }
            }
        }
    }
}

#[test]
fn plain_cases_are_seen_to_be_within() {
    let within = |mine: &str, theirs: &str| {
        let capability = if mine.contains("://") { HttpRead } else { FilesRead };
        let parse = |text| Scope::parse(capability, text).unwrap();
        parse(mine).is_within(&parse(theirs))
    };
    for (mine, theirs) in [
        ("workspace:a/b", "workspace:**"),
        ("workspace:a/*", "workspace:a/**"),
        ("workspace:a/*", "workspace:**"),
        ("workspace:a/**/b", "workspace:a/**"),
        ("workspace:a/*.md", "workspace:a/*"),
        ("workspace:.git/config", "workspace:.git/*"),
        ("https://a.b/x/*", "https://*.b/**"),
        ("https://a.b/x", "https://*:*/x"),
    ] {
        assert!(within(mine, theirs), "{mine} {theirs}");
        assert!(!within(theirs, mine), "{theirs} {mine}");
    }
    for (mine, theirs) in [
        ("workspace:.git/*", "workspace:**"),
        ("workspace:{.git,a}/b", "workspace:**"),
        ("other:a", "workspace:**"),
        ("https://a.b/x via 10.0.0.0/8", "https://a.b/x"),
        ("https://a.b/x via 10.0.0.0/8", "https://a.b/x via 10.0.0.0/16"),
        ("http://a.b/x", "https://a.b/x"),
    ] {
        assert!(!within(mine, theirs), "{mine} {theirs}");
    }
}
