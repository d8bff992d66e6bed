//! What covers a recorded use: all of it, and never more than was granted.

use std::collections::{BTreeMap, BTreeSet};

use authority::{
    Authority, Ceiling, Given, Grant, Grants, HttpUrl, Kept, Request, Scope, Terms, Tightening, tighten,
};
use base::{Capability, Effect, PackId, RootName, Timestamp, Uses};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use crate::terms::{NOW, signer};

use Capability::{Artifacts, Clock, FilesRead, HttpRead};

fn pack() -> PackId {
    "acme:notes".parse().unwrap()
}

fn given(text: &str) -> Grant {
    Grant::parse(&pack(), text).unwrap().to_signer(signer())
}

fn asked() -> Request {
    let mut request = Request::new();
    let scopes =
        |c, texts: &[&str]| texts.iter().map(|text| Scope::parse(c, text).unwrap()).collect::<Vec<_>>();
    request.insert(FilesRead, scopes(FilesRead, &["workspace:**", "workspace:.git/config"])).unwrap();
    request.insert(HttpRead, scopes(HttpRead, &["https://*:*/**"])).unwrap();
    request.insert(Clock, []).unwrap();
    request.insert(Artifacts, []).unwrap();
    request
}

fn places<T: Into<String>>(places: impl IntoIterator<Item = T>) -> Uses {
    Uses { places: places.into_iter().map(Into::into).collect(), ..Uses::default() }
}

fn run(grants: Vec<Grant>, used: &[(Capability, Uses)], needed: &[Capability]) -> Vec<Tightening> {
    let mut all = Grants::new();
    grants.into_iter().for_each(|grant| assert!(all.add(grant)));
    let used: BTreeMap<_, _> = used.iter().cloned().collect();
    let needed: BTreeSet<_> = needed.iter().copied().collect();
    tighten(&asked(), &all.in_force(&pack(), &signer(), NOW), &used, &needed)
}

fn texts(given: &[Given]) -> Vec<String> {
    given.iter().map(|(scope, _)| scope.as_ref().map_or("all".into(), ToString::to_string)).collect()
}

/// What stays of one grant after a use.
fn after(grant: &str, capability: Capability, uses: Uses) -> Vec<String> {
    let [row] = &run(vec![given(grant)], &[(capability, uses)], &[])[..] else { panic!() };
    assert_eq!(row.kept, None);
    texts(&row.after)
}

const ALL: &str = "files-read=workspace:**";

#[test]
fn a_few_paths_are_granted_by_name() {
    let used = ["workspace:a", "workspace:docs/b.md", "workspace:docs/[c]"];
    assert_eq!(
        after(ALL, FilesRead, places(used)),
        ["workspace:a", "workspace:docs/?c?", "workspace:docs/b.md"]
    );
    // What is no longer granted stays so.
    assert_eq!(after("files-read=workspace:docs/**", FilesRead, places(used)).len(), 2);
}

#[test]
fn many_names_of_a_folder_are_the_folder() {
    let many = |count: usize| (0..count).map(|n| format!("workspace:src/{n:02}.rs"));
    assert_eq!(after(ALL, FilesRead, places(many(16))).len(), 16);
    assert_eq!(after(ALL, FilesRead, places(many(17))), ["workspace:src/*"]);
    // Not where that would be more than was granted.
    assert_eq!(after("files-read=workspace:src/*.rs", FilesRead, places(many(17))).len(), 17);
    // Names with a dot in front are not among the others.
    let hidden = many(17).chain(["workspace:.git/config".to_owned()]);
    let grants = vec![given(ALL), given("files-read=workspace:.git/config")];
    let [row] = &run(grants, &[(FilesRead, places(hidden))], &[])[..] else { panic!() };
    assert_eq!(texts(&row.after), ["workspace:.git/config", "workspace:src/*"]);
}

#[test]
fn a_pattern_that_could_hold_more_than_was_granted_is_not_proposed() {
    // `?` stands for the bracket, and could hold what the grant does not.
    let grant = "files-read=workspace:{a,b}?c";
    assert_eq!(after(grant, FilesRead, places(["workspace:a[c"])), ["workspace:{a,b}?c"]);
}

#[test]
fn a_listing_that_found_nothing_keeps_its_root() {
    let listed = |glob: &str| Uses { listed: [glob.to_owned()].into(), ..Uses::default() };
    assert_eq!(after(ALL, FilesRead, listed("workspace:docs/*.md")), ["workspace:docs/*.md"]);
    // Wider than the grant: that stays.
    assert_eq!(
        after("files-read=workspace:docs/**", FilesRead, listed("workspace:**")),
        ["workspace:docs/**"]
    );
    let found = Uses { places: ["workspace:docs/a.md".to_owned()].into(), ..listed("workspace:**") };
    assert_eq!(after(ALL, FilesRead, found), ["workspace:docs/a.md"]);
}

#[test]
fn urls_are_granted_by_name_in_their_network() {
    let all = "http-read=https://*:*/** via 10.0.0.0/8";
    let used = places(["https://a.b/x", "https://a.b:8443/y"]);
    assert_eq!(
        after(all, HttpRead, used),
        ["https://a.b/x via 10.0.0.0/8", "https://a.b:8443/y via 10.0.0.0/8"]
    );
    let many = places((0..17).map(|n| format!("https://a.b/v1/{n}")));
    assert_eq!(after("http-read=https://a.b/**", HttpRead, many), ["https://a.b/v1/*"]);
}

#[test]
fn what_is_not_used_goes_unless_a_plan_wants_it() {
    let grants = || vec![given(ALL), given("clock"), given("artifacts")];
    let used = [(Clock, Uses::default())];
    let rows = run(grants(), &used, &[FilesRead, Clock]);
    let of = |capability| rows.iter().find(|row| row.capability == capability).unwrap();
    assert_eq!((of(FilesRead).kept, &of(FilesRead).after), (Some(Kept::Needed), &of(FilesRead).before));
    assert_eq!((of(Clock).kept, texts(&of(Clock).after)), (None, vec!["all".to_owned()]));
    assert_eq!((of(Artifacts).kept, texts(&of(Artifacts).after)), (None, vec![]));
}

#[test]
fn what_was_not_recorded_in_full_stays() {
    let more = Uses { more: true, ..places(["workspace:a"]) };
    let far = places((0..300).map(|n| format!("workspace:{n}/a")));
    let odd = places(["nonsense"]);
    for (uses, kept) in [(more, Kept::More), (far, Kept::TooMany), (odd, Kept::NotRecorded)] {
        let [row] = &run(vec![given(ALL)], &[(FilesRead, uses)], &[])[..] else { panic!() };
        assert_eq!((row.kept, &row.after), (Some(kept), &row.before));
    }
}

#[test]
fn the_terms_stay() {
    let mut soon = given("files-read=workspace:docs/**");
    soon.terms.expires = Some(Timestamp(NOW.0 + 1));
    soon.terms.limits.lower(authority::LimitKind::Fuel, 1_000);
    let [row] = &run(vec![soon.clone()], &[(FilesRead, places(["workspace:docs/a"]))], &[])[..] else {
        panic!()
    };
    assert_eq!(row.after[0].1, soon.terms);
    // Of two grants the one that lasts, with the bounds of both.
    let used = [(FilesRead, places(["workspace:docs/a"]))];
    let [row] = &run(vec![soon.clone(), given(ALL)], &used, &[])[..] else { panic!() };
    assert_eq!(row.after[0].1, Terms { limits: soon.terms.limits, ..Terms::of(signer()) });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whatever was permitted and recorded is permitted after, and whatever is permitted after was.
    #[test]
    fn the_use_is_covered_and_nothing_is_won(
        paths in btree_set("(a|b|c|\\.d)/[a-h]{1,2}(\\[)?", 0..40),
        urls in btree_set("https://(a|b)\\.c(:8443)?/[xy]/[a-h]{1,2}", 0..40),
        grants in vec(prop::sample::select(vec![
            "files-read=workspace:**", "files-read=workspace:a/*", "files-read=workspace:.d/**",
            "files-read=workspace:{a,b}/**", "files-read=workspace:*/a", "http-read=https://*:*/**",
            "http-read=https://a.c/x/*", "http-read=https://*.c/** via 10.0.0.0/8", "clock",
        ]), 1..6),
        used in 0..40_usize,
        others in btree_set("(a|b|c|\\.d|e)/[a-j]{1,2}", 0..40),
    ) {
        let mut all = Grants::new();
        for text in &grants {
            all.add(given(text));
        }
        let root: RootName = "workspace".parse().unwrap();
        let authority = |grants: &Grants| {
            let standing = grants.in_force(&pack(), &signer(), NOW);
            Authority::of(&asked(), &standing, &Ceiling::none(), Effect::Read)
        };
        // Each alone: together the one takes the other away.
        for capability in [FilesRead, HttpRead] {
            let mut mine = Grants::new();
            for grant in all.iter().filter(|grant| grant.capability == capability) {
                mine.add(grant);
            }
            let before = authority(&mine);
            let url = |text: &String| HttpUrl::parse(text).unwrap();
            let uses = match capability {
                FilesRead => places(paths.iter().filter(|path| {
                    before.permits_path(FilesRead, &root, path).is_ok()
                }).take(used).map(|path| format!("workspace:{path}"))),
                _ => places(urls.iter().filter(|text| {
                    before.permits_url(HttpRead, &url(text)).is_ok()
                }).take(used).cloned()),
            };
            let record: BTreeMap<_, _> = [(capability, uses.clone())].into();
            let standing = mine.in_force(&pack(), &signer(), NOW);
            let mut then = Grants::new();
            for row in tighten(&asked(), &standing, &record, &BTreeSet::new()) {
                for (scope, terms) in row.after {
                    let scopes = scope.into_iter().collect();
                    then.add(Grant { pack: pack(), capability, scopes, terms });
                }
            }
            let after = authority(&then);
            for place in &uses.places {
                match place.strip_prefix("workspace:") {
                    Some(path) => prop_assert!(after.permits_path(FilesRead, &root, path).is_ok(), "{}", path),
                    None => prop_assert_eq!(
                        after.permits_url(HttpRead, &url(place)).unwrap().into_iter().collect::<BTreeSet<_>>(),
                        before.permits_url(HttpRead, &url(place)).unwrap().into_iter().collect::<BTreeSet<_>>()
                    ),
                }
            }
            for path in paths.iter().chain(&others) {
                let won = after.permits_path(FilesRead, &root, path).is_ok()
                    && before.permits_path(FilesRead, &root, path).is_err();
                prop_assert!(!won, "{}", path);
            }
            for text in &urls {
                if let Ok(networks) = after.permits_url(HttpRead, &url(text)) {
                    let had = before.permits_url(HttpRead, &url(text)).unwrap();
                    prop_assert!(networks.iter().all(|network| had.contains(network)));
                }
            }
        }
    }
}
