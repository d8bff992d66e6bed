//! A grant is in force for the signer that it was given to, until it expires, and for nobody else.

use authority::{
    Authority, Ceiling, DeniedReason, Grant, Grants, HeldFor, HttpUrl, Lapse, LimitKind, Request,
    RequestError, Scope, Signer, Terms,
};
use base::{Capability, Effect, Limits, PackId, RootName, Timestamp};

/// The time in these tests.
pub(crate) const NOW: Timestamp = Timestamp(1_900_000_000_000);

/// Whose pack it is in these tests.
pub(crate) fn signer() -> Signer {
    "abcd-efgh-ijkl-mnop-qrst-uvwx-yz23-4567".parse().unwrap()
}

fn other_signer() -> Signer {
    "7777-efgh-ijkl-mnop-qrst-uvwx-yz23-4567".parse().unwrap()
}

fn pack() -> PackId {
    "acme:notes".parse().unwrap()
}

fn root() -> RootName {
    "workspace".parse().unwrap()
}

fn on(text: &str, terms: Terms) -> Grant {
    Grant { terms, ..Grant::parse(&pack(), text).unwrap() }
}

fn until(expires: Timestamp) -> Terms {
    Terms { expires: Some(expires), ..Terms::of(signer()) }
}

fn request(texts: &[&str]) -> Request {
    let mut request = Request::new();
    let mut scopes: std::collections::BTreeMap<Capability, Vec<Scope>> = Default::default();
    for grant in texts.iter().map(|text| Grant::parse(&pack(), text).unwrap()) {
        scopes.entry(grant.capability).or_default().extend(grant.scopes);
    }
    for (capability, scopes) in scopes {
        request.insert(capability, scopes).unwrap();
    }
    request
}

fn authority(asked: &[&str], given: Vec<Grant>, effect: Effect) -> Authority {
    let mut grants = Grants::new();
    for grant in given {
        assert!(grants.add(grant));
    }
    let read_back = Grants::parse_toml(&grants.to_toml()).unwrap();
    assert_eq!(read_back, grants);
    Authority::of(&request(asked), &grants.in_force(&pack(), &signer(), NOW), &Ceiling::none(), effect)
}

const READ: &str = "files-read=workspace:docs/**";
const ASKED: &[&str] = &["files-read=workspace:**", "clock"];

fn reading(given: Vec<Grant>) -> Result<(), (DeniedReason, Option<String>)> {
    let authority = authority(ASKED, given, Effect::Read);
    let denied = authority.permits_path(Capability::FilesRead, &root(), "docs/a");
    denied.map_err(|denied| (denied.reason, denied.hint(&pack())))
}

#[test]
fn a_grant_is_for_the_signer_that_it_was_given_to() {
    assert_eq!(reading(vec![on(READ, Terms::of(signer()))]), Ok(()));
    let again = Some("capstan grant add acme:notes 'files-read=workspace:docs/**'".to_owned());
    for terms in [Terms::of(other_signer()), Terms::default()] {
        assert_eq!(reading(vec![on(READ, terms)]), Err((DeniedReason::OtherSigner, again.clone())));
    }
    // What somebody else was granted elsewhere has nothing to do with it.
    let elsewhere = on("files-read=workspace:src/**", Terms::of(other_signer()));
    assert!(matches!(reading(vec![elsewhere.clone()]), Err((DeniedReason::NotGranted, _))));
    let here = on("files-read=workspace:b", Terms::of(signer()));
    assert!(matches!(reading(vec![elsewhere, here]), Err((DeniedReason::OutOfScope, _))));
}

#[test]
fn a_grant_ends_at_its_time_and_not_before() {
    let reads = |expires| reading(vec![on(READ, until(expires))]);
    assert_eq!(reads(Timestamp(NOW.0 + 1)), Ok(()));
    for past in [NOW, Timestamp(NOW.0 - 1), Timestamp(0)] {
        let again = "capstan grant add acme:notes 'files-read=workspace:docs/**' --expires 1d".to_owned();
        assert_eq!(reads(past), Err((DeniedReason::Expired, Some(again))));
    }
    // Of another signer and expired: to grant it again for a time does not help.
    let terms = Terms { signer: Some(other_signer()), ..until(NOW) };
    assert_eq!(terms.lapse(&signer(), NOW), Some(Lapse::OtherSigner));
}

#[test]
fn what_lapsed_is_missing_and_explained() {
    let given = vec![on(READ, until(NOW)), on("clock", Terms::of(other_signer()))];
    let authority = authority(ASKED, given, Effect::Read);
    let missing: Vec<_> = authority.missing().iter().map(|missing| missing.command(&pack())).collect();
    assert_eq!(
        missing,
        [
            "capstan grant add acme:notes 'files-read=workspace:docs/**' --expires 1d",
            "capstan grant add acme:notes clock"
        ]
    );
    let rows: Vec<_> = authority
        .explain()
        .map(|row| (row.granted.is_some(), row.lapsed.len(), row.blocked.unwrap()))
        .collect();
    assert_eq!(rows, [(false, 1, DeniedReason::Expired), (false, 1, DeniedReason::OtherSigner)]);
    let clock = authority.permits(Capability::Clock).unwrap_err();
    assert_eq!((clock.reason, clock.grant.as_deref()), (DeniedReason::OtherSigner, Some("clock")));
    assert_eq!(
        clock.to_string(),
        "`clock` is granted, but not to a pack signed by the key that signed this one"
    );
}

#[test]
fn the_digest_follows_what_is_in_force() {
    let digest = |given| authority(ASKED, given, Effect::Read).digest();
    let granted = digest(vec![on(READ, Terms::of(signer()))]);
    assert_eq!(digest(vec![on(READ, until(Timestamp(NOW.0 + 1)))]), granted, "how long is no matter");
    let mut limited = Terms::of(signer());
    limited.limits.lower(LimitKind::Fuel, 1_000);
    for other in [until(NOW), Terms::of(other_signer()), limited] {
        assert_ne!(digest(vec![on(READ, other)]), granted);
    }
}

#[test]
fn the_last_word_about_a_scope_counts() {
    let mut grants = Grants::new();
    assert!(grants.add(on(READ, Terms::of(other_signer()))));
    assert!(grants.add(on(READ, until(NOW))));
    assert!(!grants.add(on(READ, until(NOW))));
    assert!(grants.add(on("files-read=workspace:a", Terms::of(signer()))));
    let all = grants.of_pack(&pack());
    assert_eq!(
        all.iter().map(|grant| grant.arguments()).collect::<Vec<_>>(),
        [vec!["files-read=workspace:a".to_owned()], vec![READ.to_owned()]]
    );
    assert!(grants.remove(&on(READ, Terms::default())), "whatever the terms");
}

#[test]
fn may_disclose_is_for_what_discloses() {
    let discloses = Terms { may_disclose: true, ..Terms::of(signer()) };
    let mut grants = Grants::new();
    assert!(!grants.add(on(READ, discloses.clone())) && !grants.add(on("clock", discloses.clone())));
    let http = on("http-read=https://a.b/**", discloses);
    assert!(grants.add(http.clone()));
    let url = HttpUrl::parse("https://a.b/c?d").unwrap();
    let asked = &["files-read=workspace:**", "http-read=https://*/**"];
    let plain = on("http-read=https://a.b/c", Terms::of(signer()));
    let read = || on(READ, Terms::of(signer()));
    let get = |given| authority(asked, given, Effect::Read).permits_url(Capability::HttpRead, &url);
    assert!(get(vec![read(), http.clone()]).is_ok());
    assert!(get(vec![plain.clone()]).is_ok(), "without a source it may as well");
    // Beside a source it is held where no grant that holds it says so, and a scope that says so lends
    // its word to nothing else.
    let narrow = Grant { terms: http.terms.clone(), ..on("http-read=https://a.b/x", Terms::default()) };
    let held = |given| {
        let authority = authority(asked, given, Effect::Read);
        assert!(authority.permits_url(Capability::HttpRead, &url).is_ok());
        let is_held = authority.holds_url(Capability::HttpRead, &url);
        assert!(!is_held || authority.holds_disclosure(), "what may be held is told ahead");
        (is_held, authority.held(Capability::HttpRead))
    };
    let for_disclosure = Some(HeldFor::Disclosure);
    assert_eq!(held(vec![plain.clone()]), (false, None), "nothing to disclose");
    assert_eq!(held(vec![http.clone()]), (false, None));
    assert_eq!(held(vec![read(), plain.clone()]), (true, for_disclosure));
    assert_eq!(held(vec![read(), plain.clone(), narrow]), (true, for_disclosure));
    assert_eq!(held(vec![read(), plain, http.clone()]), (false, for_disclosure), "another URL may be");
    assert_eq!(held(vec![read(), http.clone()]), (false, None));
    // What is not granted at all is asked for without that word: then it is held.
    let denied = get(vec![read()]).unwrap_err();
    assert_eq!(denied.reason, DeniedReason::NotGranted);
    assert_eq!(denied.hint(&pack()).as_deref(), Some("capstan grant add acme:notes http-read=https://a.b/c"));
    let expired = Grant { terms: Terms { expires: Some(NOW), ..http.terms.clone() }, ..http };
    let denied = get(vec![read(), expired]).unwrap_err();
    assert_eq!(
        denied.hint(&pack()).as_deref(),
        Some("capstan grant add acme:notes 'http-read=https://a.b/**' --expires 1d")
    );
}

/// An approval is for what the grants said when it was given.
#[test]
fn whether_it_may_disclose_is_part_of_what_an_approval_is_bound_to() {
    let asked = &["files-read=workspace:**", "artifacts", "http-read=https://*/**"];
    let digest = |given| authority(asked, given, Effect::Read).digest();
    let http = |may_disclose| on("http-read=https://a.b/**", Terms { may_disclose, ..Terms::of(signer()) });
    let read = || on(READ, Terms::of(signer()));
    let plain = digest(vec![read(), http(false)]);
    assert_eq!(plain, digest(vec![read(), http(false)]));
    assert_ne!(plain, digest(vec![read(), http(true)]));
    assert_ne!(plain, digest(vec![http(false)]), "what there is to disclose counts");
    assert_ne!(plain, digest(vec![read(), http(false), on("artifacts", Terms::of(signer()))]));
}

#[test]
fn limits_of_grants_lower_the_calls_that_have_them() {
    let limited = |text: &str, kind: LimitKind, amount| {
        let mut terms = Terms::of(signer());
        terms.limits.lower(kind, amount);
        on(text, terms)
    };
    let given = || {
        vec![
            limited(READ, LimitKind::Fuel, 1_000),
            limited("files-read=workspace:a", LimitKind::Fuel, 2_000),
            limited("clock", LimitKind::Wall, u64::MAX),
        ]
    };
    let read = authority(ASKED, given(), Effect::Read).limits(Limits::DEFAULT);
    assert_eq!(read, Limits { fuel: 1_000, ..Limits::DEFAULT });
    let pure = authority(ASKED, given(), Effect::Pure);
    assert_eq!(pure.limits(Limits::DEFAULT), Limits::DEFAULT, "a call without it is not bound by it");
}

#[test]
fn the_terms_read_and_print() {
    let text = "\
[[grant]]
pack = \"acme:notes\"
capability = \"http-read\"
scope = [\"https://a.b/**\"]
signer = \"abcd-efgh-ijkl-mnop-qrst-uvwx-yz23-4567\"
expires = 2030-03-17T17:46:40Z
may-disclose = true
limits = { fuel = \"1k\", wall = \"5s\" }
";
    let grants = Grants::parse_toml(text).unwrap();
    assert_eq!(grants.to_toml(), text);
    let [grant] = &grants.of_pack(&pack())[..] else { panic!() };
    assert_eq!((grant.terms.expires, grant.terms.may_disclose), (Some(Timestamp(1_900_000_000_000)), true));
    assert_eq!(grant.terms.limits.get(LimitKind::Wall), Some(5_000));
    // Another offset is the same time.
    let offset = text.replace("2030-03-17T17:46:40Z", "2030-03-17 19:46:40+02:00");
    assert_eq!(Grants::parse_toml(&offset).unwrap(), grants);
}

#[test]
fn wrong_terms_are_refused_with_their_line() {
    let head = "[[grant]]\npack = \"acme:notes\"\ncapability = \"clock\"\n";
    let twice = format!("{head}{head}signer = \"abcd-efgh-ijkl-mnop-qrst-uvwx-yz23-4567\"");
    let cases: &[(&str, usize, &str)] = &[
        ("signer = 1", 4, "expected a string"),
        ("signer = \"abcd\"", 4, "`abcd` is not a fingerprint"),
        ("signer = \"abcd-efgh-ijkl-mnop-qrst-uvwx-yz23-4561\"", 4, "`abcd-"),
        ("expires = \"2030-01-01T00:00:00Z\"", 4, "expected a time with its offset"),
        ("expires = 2030-01-01T00:00:00", 4, "expected a time with its offset"),
        ("expires = 2030-01-01", 4, "expected a time with its offset"),
        ("expires = 1969-12-31T23:59:59Z", 4, "expected a time with its offset"),
        ("may-disclose = 1", 4, "expected true or false, found integer"),
        ("may-disclose = true", 3, "`may-disclose` means nothing for `clock`: it sends nothing"),
        ("limits = 1", 4, "`limits` must be a table"),
        ("limits = { fual = \"1\" }", 4, "unknown limit `fual`: expected one of fuel, wall"),
        ("limits = { fuel = 1 }", 4, "expected a string"),
        ("limits = { fuel = \"0\" }", 4, "`0` is not a limit of at least 1"),
        ("limits = { wall = \"5\" }", 4, "`5` is not a duration"),
    ];
    for (line, number, message) in cases {
        let error = Grants::parse_toml(&format!("{head}{line}")).unwrap_err();
        assert_eq!(error.line, *number, "{line}: {error}");
        assert!(error.message.starts_with(message), "{line}: {error}");
    }
    // Each capability for which it means nothing has its own reason.
    let sends =
        "[[grant]]\npack = \"acme:notes\"\ncapability = \"http-send\"\nscope = [\"https://a.b/**\"]\n";
    assert!(Grants::parse_toml(sends).is_ok());
    let error = Grants::parse_toml(&format!("{sends}may-disclose = true")).unwrap_err();
    assert!(error.message.contains("`http-send`: each of its calls is held"), "{error}");
    let of_exec = RequestError::NothingDisclosed(Capability::Exec).to_string();
    assert!(of_exec.contains("`exec`: it reaches no network where its calls are not held"), "{of_exec}");
    let error = Grants::parse_toml(&twice).unwrap_err();
    assert_eq!(
        (error.line, error.message.as_str()),
        (4, "`clock` is granted to `acme:notes` above, on other terms")
    );
}
