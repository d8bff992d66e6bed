//! Authority is what request, grants and effect all permit, and no more.

use authority::{
    Authority, Ceiling, DeniedReason, ExecCall, Grant, Grants, HeldFor, HttpUrl, Request, Scope, Terms,
};
use base::{Capability, Effect, PackId, RootName, ScopeKind};

use crate::terms::{NOW, signer};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use Capability::{Artifacts, Clock, Exec, FilesRead, FilesWrite, HttpRead, Log};

fn pack() -> PackId {
    "acme:notes".parse().unwrap()
}

/// The authority of an operation of a pack that [`signer`] signed, now and without a ceiling.
fn of(asked: &Request, grants: &Grants, pack: &PackId, effect: Effect) -> Authority {
    Authority::of(asked, &grants.in_force(pack, &signer(), NOW), &Ceiling::none(), effect)
}

/// What the operator types, bound to the signer.
fn given(text: &str) -> Grant {
    Grant::parse(&pack(), text).unwrap().to_signer(signer())
}

fn root() -> RootName {
    "workspace".parse().unwrap()
}

fn request(entries: &[(Capability, &[&str])]) -> Request {
    let mut request = Request::new();
    for (capability, scopes) in entries {
        request
            .insert(*capability, scopes.iter().map(|text| Scope::parse(*capability, text).unwrap()))
            .unwrap();
    }
    request
}

fn grants(texts: &[&str]) -> Grants {
    let mut grants = Grants::new();
    for text in texts {
        grants.add(given(text));
    }
    grants
}

fn authority(effect: Effect, given: &[&str]) -> Authority {
    let asked = request(&[
        (FilesRead, &["workspace:**", "other:x"]),
        (FilesWrite, &["workspace:docs/**"]),
        (Clock, &[]),
    ]);
    of(&asked, &grants(given), &pack(), effect)
}

#[test]
fn each_of_the_three_can_say_no() {
    let all = ["files-read=workspace:**", "files-write=workspace:docs/*.md", "clock", "random"];
    let write = authority(Effect::Write, &all);
    assert!(write.permits_path(FilesWrite, &root(), "docs/a.md").is_ok());
    assert!(write.permits(Clock).is_ok() && write.permits(Log).is_ok());
    let reason = |authority: &Authority, path: &str| {
        authority.permits_path(FilesWrite, &root(), path).map_err(|denied| (denied.reason, denied.grant))
    };
    // Granted is not enough, requested is not enough, and the effect cuts what both allow.
    assert_eq!(write.permits(Capability::Random).unwrap_err().reason, DeniedReason::NotRequested);
    assert_eq!(reason(&write, "src/a.md"), Err((DeniedReason::NotRequested, None)));
    assert_eq!(
        reason(&write, "docs/a.txt"),
        Err((DeniedReason::OutOfScope, Some("files-write=workspace:docs/a.txt".into())))
    );
    let read = authority(Effect::Read, &all);
    assert_eq!(reason(&read, "docs/a.md"), Err((DeniedReason::AboveEffect, None)));
    assert!(read.permits_path(FilesRead, &root(), "docs/a.md").is_ok());
    let pure = authority(Effect::Pure, &all);
    assert_eq!(pure.live_capabilities().collect::<Vec<_>>(), [Log]);
    let bare = authority(Effect::Write, &[]);
    assert_eq!(
        reason(&bare, "docs/a.md"),
        Err((DeniedReason::NotGranted, Some("files-write=workspace:docs/a.md".into())))
    );
    assert_eq!(bare.permits(Clock).unwrap_err().grant.as_deref(), Some("clock"));
    assert_eq!(bare.permits(FilesWrite).unwrap_err().grant.as_deref(), Some("files-write=workspace:docs/**"));
}

#[test]
fn the_printed_grant_is_the_one_that_allows_it() {
    let path = "docs/[draft] it's *new*.md";
    let mut given = grants(&["files-write=workspace:docs/a.md"]);
    let asked = request(&[(FilesWrite, &["workspace:docs/**"])]);
    let before = of(&asked, &given, &pack(), Effect::Write);
    let denied = before.permits_path(FilesWrite, &root(), path).unwrap_err();
    assert_eq!(denied.to_string(), format!("`files-write` of `workspace:{path}` is outside what is granted"));
    let hint = denied.hint(&pack()).unwrap();
    assert_eq!(hint, r"capstan grant add acme:notes 'files-write=workspace:docs/?draft? it'\''s ?new?.md'");
    let refusal = denied.refusal(&pack());
    assert_eq!((refusal.code, refusal.hints), (base::Code::CallDenied, vec![hint]));
    given.add(crate::intersection::given(&denied.grant.unwrap()));
    assert!(of(&asked, &given, &pack(), Effect::Write).permits_path(FilesWrite, &root(), path).is_ok());

    // A path that no pattern can spell: what the pack asks for.
    let long = format!("docs/{}", "a".repeat(2000));
    let denied = before.permits_path(FilesWrite, &root(), &long).unwrap_err();
    assert_eq!(denied.grant.as_deref(), Some("files-write=workspace:docs/**"));
    assert!(denied.what.len() < 250);
}

#[test]
fn grants_to_another_pack_do_not_count() {
    let mut given = Grants::new();
    given.add(Grant::parse(&"acme:other".parse().unwrap(), "clock").unwrap().to_signer(signer()));
    let asked = request(&[(Clock, &[])]);
    assert!(!of(&asked, &given, &pack(), Effect::Read).live(Clock));
    assert!(of(&asked, &given, &"acme:other".parse().unwrap(), Effect::Read).live(Clock));
}

#[test]
fn listing_reaches_what_reading_may() {
    let read = authority(Effect::Read, &["files-read=workspace:docs/**"]);
    assert!(read.permits_root(FilesRead, &root()).is_ok());
    let other = read.permits_root(FilesRead, &"other".parse().unwrap()).unwrap_err();
    assert_eq!(
        (other.reason, other.grant.as_deref()),
        (DeniedReason::OutOfScope, Some("files-read=other:x"))
    );
    let unknown = read.permits_root(FilesRead, &"unknown".parse().unwrap()).unwrap_err();
    assert_eq!((unknown.reason, unknown.grant), (DeniedReason::NotRequested, None));
    for (dir, reached) in [("", true), ("docs", true), ("docs/a", true), ("src", false), ("docs/.git", false)]
    {
        assert_eq!(read.reaches_below(FilesRead, &root(), dir), reached, "{dir}");
    }
    assert!(!authority(Effect::Pure, &["files-read=workspace:**"]).reaches_below(FilesRead, &root(), ""));
    let wide = authority(Effect::Write, &["files-write=workspace:**"]);
    assert!(wide.reaches_below(FilesWrite, &root(), "docs"));
    assert!(!wide.reaches_below(FilesWrite, &root(), "src"), "granted, but not requested");
}

#[test]
fn an_explanation_covers_requested_and_granted() {
    use DeniedReason::{AboveEffect, NotGranted, NotRequested};
    let read = authority(Effect::Read, &["files-write=workspace:docs/**", "random"]);
    let rows: Vec<_> = read
        .explain()
        .map(|row| (row.capability, row.requested.map(<[_]>::len), row.granted.map(<[_]>::len), row.blocked))
        .collect();
    assert_eq!(
        rows,
        [
            (FilesRead, Some(2), None, Some(NotGranted)),
            (FilesWrite, Some(1), Some(1), Some(AboveEffect)),
            (Clock, Some(0), None, Some(NotGranted)),
            (Capability::Random, None, Some(0), Some(NotRequested)),
        ]
    );
    let missing: Vec<_> = read.missing().into_iter().map(|missing| missing.grant).collect();
    assert_eq!(missing, ["files-read=other:x", "files-read=workspace:**", "clock"]);
}

#[test]
fn the_digest_follows_what_is_live() {
    let base = authority(Effect::Write, &["files-read=workspace:**"]);
    let digest = |effect, given: &[&str]| authority(effect, given).digest();
    assert_eq!(base.digest(), digest(Effect::Write, &["files-read=workspace:**"]));
    assert_eq!(
        base.digest(),
        digest(Effect::Write, &["files-read=workspace:**", "random"]),
        "random is not requested"
    );
    let others = [
        digest(Effect::Read, &["files-read=workspace:**"]),
        digest(Effect::Write, &["files-read=workspace:*"]),
        digest(Effect::Write, &["files-read=workspace:**", "files-read=workspace:a"]),
        digest(Effect::Write, &["files-read=workspace:**", "clock"]),
        digest(Effect::Write, &[]),
        of(
            &request(&[(FilesRead, &["workspace:**"])]),
            &grants(&["files-read=workspace:**"]),
            &pack(),
            Effect::Write,
        )
        .digest(),
    ];
    for (index, other) in others.iter().enumerate() {
        assert_ne!(base.digest(), *other, "{index}");
        assert!(others[..index].iter().all(|earlier| earlier != other), "{index}");
    }
}

fn scopes() -> impl Strategy<Value = Vec<Scope>> {
    let glob = vec(prop::sample::select(vec!["a", "b", ".a", "*", "**", "?", "{a,b}"]), 1..4);
    let scope = (prop::sample::select(vec!["workspace", "other"]), glob)
        .prop_map(|(root, glob)| Scope::Path(format!("{root}:{}", glob.join("/")).parse().unwrap()));
    vec(scope, 1..4)
}

fn url_scopes() -> impl Strategy<Value = Vec<Scope>> {
    let host = prop::sample::select(vec!["a.b", "*.b", "*", "c.a.b", "10.0.0.5", "[::1]"]);
    let port = prop::sample::select(vec!["", ":8443", ":*"]);
    let glob = vec(prop::sample::select(vec!["x", ".y", "*", "**", "{x,z}", ""]), 1..4);
    let scheme = prop::sample::select(vec!["https", "http"]);
    let scope = (scheme, host, port, glob).prop_map(|(scheme, host, port, glob)| {
        Scope::Url(format!("{scheme}://{host}{port}/{}", glob.join("/")).parse().unwrap())
    });
    vec(scope, 1..4)
}

fn command_scopes() -> impl Strategy<Value = Vec<Scope>> {
    let words = vec(prop::sample::select(vec!["a", "-x", "*", "{int}", "{word}", "--n={int}"]), 0..3);
    let program = prop::sample::select(vec!["wc", "ls"]);
    let root = prop::sample::select(vec!["workspace", "other"]);
    let scope = (root, program, words, prop::sample::select(vec!["", " **"])).prop_map(
        |(root, program, words, rest)| {
            let words = ["log"].into_iter().chain(words).collect::<Vec<_>>().join(" ");
            Scope::Exec(format!("{root}:{program} {words}{rest}").parse().unwrap())
        },
    );
    vec(scope, 1..4)
}

fn secret() -> Scope {
    Scope::parse(Capability::Secrets, "token@a.b:header:x").unwrap()
}

fn model() -> Scope {
    Scope::parse(Capability::Model, "default").unwrap()
}

fn held() -> impl Strategy<Value = std::collections::BTreeMap<Capability, Vec<Scope>>> {
    let capability = prop::sample::select(Capability::ALL.to_vec());
    btree_map(capability, (scopes(), url_scopes(), command_scopes()), 0..6).prop_map(|map| {
        let entry = |(capability, (paths, urls, commands)): (Capability, (Vec<_>, Vec<_>, Vec<_>))| {
            let scopes = match capability.scope_kind() {
                Some(ScopeKind::Path) => paths,
                Some(ScopeKind::Url) => urls,
                Some(ScopeKind::Command) => commands,
                Some(ScopeKind::Secret) => vec![secret()],
                Some(ScopeKind::Model) => vec![model()],
                None => vec![],
            };
            capability.needs_grant().then_some((capability, scopes))
        };
        map.into_iter().filter_map(entry).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_is_permitted_that_one_of_the_three_forbids(
        asked in held(),
        given in held(),
        effect in prop::sample::select(Effect::ALL.to_vec()),
        root in prop::sample::select(vec!["workspace", "other"]),
        path in vec(prop::sample::select(vec!["a", "b", ".a", "..", "c"]), 1..4),
        url in "https?://(a\\.b|c\\.a\\.b|10\\.0\\.0\\.5|\\[::1\\])(:8443)?/(x|\\.y|z|q)?(/x|/)?",
    ) {
        let (root, path): (RootName, _) = (root.parse().unwrap(), path.join("/"));
        let mut request = Request::new();
        let mut grants = Grants::new();
        for (capability, scopes) in &asked {
            request.insert(*capability, scopes.clone()).unwrap();
        }
        for (capability, scopes) in &given {
            let terms = authority::Terms::of(signer());
            grants.add(Grant { pack: pack(), capability: *capability, scopes: scopes.clone(), terms });
        }
        let authority = of(&request, &grants, &pack(), effect);
        for capability in Capability::ALL {
            let both = asked.contains_key(&capability) && given.contains_key(&capability);
            let is_live = |c: Capability| {
                c.permitted_by(effect) && asked.contains_key(&c) && given.contains_key(&c)
            };
            let live = capability.permitted_by(effect) && (both || capability == Log);
            prop_assert_eq!(authority.live(capability), live);
            // No grant here says that it may disclose.
            let sources = [FilesRead, Exec, Artifacts, Capability::Secrets];
            let has_source = sources.into_iter().any(is_live);
            let holds_url = capability == HttpRead && has_source;
            prop_assert_eq!(authority.holds_url(capability, &HttpUrl::parse(&url).unwrap()), holds_url);
            prop_assert_eq!(authority.permits(capability).is_ok(), live);

            let holds = |side: &std::collections::BTreeMap<Capability, Vec<Scope>>| {
                let matches = |scope: &Scope| scope.as_path().is_some_and(|scope| scope.matches(&root, &path));
                side.get(&capability).is_some_and(|scopes| scopes.iter().any(matches))
            };
            let permitted = live && holds(&asked) && holds(&given);
            match authority.permits_path(capability, &root, &path) {
                Ok(()) => {
                    prop_assert!(permitted);
                    // What may be read is found by listing.
                    prop_assert!(authority.permits_root(capability, &root).is_ok());
                    for (end, _) in path.match_indices('/') {
                        prop_assert!(authority.reaches_below(capability, &root, &path[..end]));
                    }
                }
                Err(denied) => {
                    prop_assert!(!permitted);
                    let Some(text) = denied.grant else { continue };
                    // The grant that is offered is requested, and is enough.
                    let grant = crate::intersection::given(&text);
                    prop_assert_eq!(grant.check_requested(&request), Ok(()));
                    let mut more = grants.clone();
                    prop_assert!(more.add(grant));
                    let then = of(&request, &more, &pack(), effect);
                    prop_assert!(then.permits_path(capability, &root, &path).is_ok());
                }
            }
        }
        let url = HttpUrl::parse(&url).unwrap();
        let holds = |side: &std::collections::BTreeMap<Capability, Vec<Scope>>| {
            let matches = |scope: &Scope| scope.as_url().is_some_and(|scope| scope.matches(&url));
            side.get(&HttpRead).is_some_and(|scopes| scopes.iter().any(matches))
        };
        let permitted = authority.live(HttpRead) && holds(&asked) && holds(&given);
        match authority.permits_url(HttpRead, &url) {
            Ok(networks) => prop_assert!(permitted && networks.is_empty()),
            Err(denied) => {
                prop_assert!(!permitted);
                if let Some(text) = denied.grant {
                    let grant = crate::intersection::given(&text);
                    prop_assert_eq!(grant.check_requested(&request), Ok(()));
                    let mut more = grants.clone();
                    prop_assert!(more.add(grant));
                    let then = of(&request, &more, &pack(), effect);
                    prop_assert!(then.permits_url(HttpRead, &url).is_ok());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The same of commands, and whoever follows the hint may run what was refused.
    #[test]
    fn no_command_is_permitted_that_one_of_the_three_forbids(
        asked in command_scopes(),
        given in command_scopes(),
        effect in prop::sample::select(Effect::ALL.to_vec()),
        root in prop::sample::select(vec!["workspace", "other"]),
        program in prop::sample::select(vec!["wc", "ls", "sh"]),
        words in vec(prop::sample::select(vec!["log", "a", "-x", "7", "--n=7", "b c", ""]), 0..4),
    ) {
        let root: RootName = root.parse().unwrap();
        let arguments: Vec<_> = words.into_iter().map(ToOwned::to_owned).collect();
        let call = ExecCall { root: &root, program, arguments: &arguments, variables: &[] };
        let mut request = Request::new();
        request.insert(Exec, asked.clone()).unwrap();
        let mut grants = Grants::new();
        let terms = Terms { signer: Some(signer()), ..Terms::default() };
        grants.add(Grant { pack: pack(), capability: Exec, scopes: given.clone(), terms });
        let authority = of(&request, &grants, &pack(), effect);
        let holds = |scopes: &[Scope]| scopes.iter().any(|scope| scope.as_exec().unwrap().matches(&call));
        let permitted = effect >= Effect::Read && holds(&asked) && holds(&given);
        match authority.permits_exec(&call) {
            Ok(pins) => prop_assert!(permitted && pins.is_none()),
            Err(denied) => {
                prop_assert!(!permitted);
                prop_assert_eq!(denied.grant.is_some(), effect >= Effect::Read && holds(&asked));
                if let Some(text) = denied.grant {
                    let grant = Grant::parse(&pack(), &text).unwrap().to_signer(signer());
                    prop_assert_eq!(grant.check_requested(&request), Ok(()));
                    prop_assert!(grants.add(grant));
                    let then = of(&request, &grants, &pack(), effect);
                    prop_assert!(then.permits_exec(&call).is_ok());
                }
            }
        }
    }
}

/// Whoever reads files or artifacts could put what they say into a URL.
#[test]
fn beside_a_source_requests_are_held() {
    let asked = request(&[(FilesRead, &["workspace:**"]), (HttpRead, &["https://*/**"]), (Artifacts, &[])]);
    let url = HttpUrl::parse("https://api.example.com/a").unwrap();
    let of = |given: &[&str], effect| of(&asked, &grants(given), &pack(), effect);
    let http = "http-read=https://api.example.com/**";
    for effect in [Effect::Read, Effect::Write, Effect::External, Effect::Destructive] {
        let alone = of(&[http], effect);
        assert!(alone.permits_url(HttpRead, &url).is_ok());
        assert!(!alone.holds_url(HttpRead, &url) && !alone.holds_disclosure());
        for source in ["files-read=workspace:docs/**", "artifacts"] {
            let both = of(&[source, http], effect);
            assert!(both.permits_url(HttpRead, &url).is_ok());
            assert!(both.holds_url(HttpRead, &url) && both.holds_disclosure());
            assert_eq!(both.held(HttpRead), Some(HeldFor::Disclosure));
            let kept = if source == "artifacts" { Artifacts } else { FilesRead };
            assert_eq!((both.live(kept), both.held(kept)), (true, None));
            assert!(both.missing().iter().all(|missing| missing.capability != HttpRead));
            // What is not granted is refused, whatever else is.
            let denied = of(&[source], effect).permits_url(HttpRead, &url).unwrap_err();
            assert_eq!(denied.reason, DeniedReason::NotGranted);
            assert_eq!(of(&[source], effect).held(HttpRead), None);
        }
    }
    // A source that is not granted, or only asked for, holds nothing; nor one that the effect rules out.
    assert_eq!(of(&[], Effect::Read).missing().len(), 3);
    assert_eq!(of(&["artifacts", http], Effect::Pure).held(HttpRead), None);
}

/// What is made at once goes to the networks of the grants that say so, and of no others.
#[test]
fn a_grant_that_may_disclose_takes_no_network_of_one_that_may_not() {
    let asked = request(&[(HttpRead, &["http://*/**"]), (Artifacts, &[])]);
    let mut given = grants(&["http-read=http://a.b/** via 10.0.0.0/8", "artifacts"]);
    let mut disclosing = crate::intersection::given("http-read=http://a.b/x via 192.168.0.0/16");
    disclosing.terms.may_disclose = true;
    assert!(given.add(disclosing));
    let authority = of(&asked, &given, &pack(), Effect::Read);
    let networks = |url: &str| {
        let url = HttpUrl::parse(url).unwrap();
        let networks = authority.permits_url(HttpRead, &url).unwrap();
        (authority.holds_url(HttpRead, &url), networks.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(networks("http://a.b/x"), (false, vec!["192.168.0.0/16".to_owned()]));
    assert_eq!(networks("http://a.b/y"), (true, vec!["10.0.0.0/8".to_owned()]));
}

#[test]
fn a_grant_brings_its_network_and_another_does_not() {
    let asked = request(&[(HttpRead, &["https://*:*/**"])]);
    let given = grants(&[
        "http-read=https://10.0.0.5:8443/** via 10.0.0.0/8",
        "http-read=https://10.0.0.5:8443/v1/** via 10.0.0.5/32",
        "http-read=https://intranet.example:8443/** via fd00::/8",
        "http-read=https://*/**",
    ]);
    let authority = of(&asked, &given, &pack(), Effect::Read);
    let networks = |url: &str| {
        let networks = authority.permits_url(HttpRead, &HttpUrl::parse(url).unwrap()).unwrap();
        networks.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(networks("https://10.0.0.5:8443/"), ["10.0.0.0/8"]);
    assert_eq!(networks("https://10.0.0.5:8443/v1/a"), ["10.0.0.0/8", "10.0.0.5/32"]);
    assert_eq!(networks("https://intranet.example:8443/"), ["fd00::/8"]);
    assert!(networks("https://10.0.0.5/").is_empty());
    assert!(networks("https://intranet.example/").is_empty());
}
