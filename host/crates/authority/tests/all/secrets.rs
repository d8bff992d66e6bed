//! Secrets for hosts: what their scopes say, and what a request may be filled in with.

use authority::{
    Authority, Ceiling, DeniedReason, Grant, Grants, HttpUrl, Request, Scope, SecretName, SecretScope,
};
use base::{Capability, Effect, PackId};
use proptest::prelude::*;

use crate::terms::{NOW, signer};

fn pack() -> PackId {
    "acme:notes".parse().unwrap()
}

fn scope(text: &str) -> SecretScope {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn url(text: &str) -> HttpUrl {
    HttpUrl::parse(text).unwrap()
}

#[test]
fn a_scope_reads_back_in_one_form() {
    for (text, canonical) in [
        ("a@b.c:header:x", "a@b.c:header:x"),
        ("a-1@B.C:443:header:X-Key", "a-1@b.c:header:x-key"),
        ("a@https://b.c.:header:x", "a@b.c:header:x"),
        ("a@b.c:8443:header:x", "a@b.c:8443:header:x"),
        ("a@http://127.0.0.1:80:header:x", "a@http://127.0.0.1:header:x"),
        ("a@[::1]:8443:header:x", "a@[::1]:8443:header:x"),
        ("a@b.c:header:authorization=\"Bearer \"", "a@b.c:header:authorization=\"Bearer \""),
        ("a@b.c:header:x=\"\"", "a@b.c:header:x"),
    ] {
        assert_eq!(scope(text).to_string(), canonical);
        assert_eq!(scope(canonical), scope(text));
    }
    let token = scope("tok@b.c:header:authorization=\"Bearer \"");
    assert_eq!((token.name().as_str(), token.header(), token.prefix()), ("tok", "authorization", "Bearer "));
}

#[test]
fn what_is_no_secret_for_one_host_is_refused() {
    for text in [
        "",
        "a",
        "a@b.c",
        "a@b.c:header",
        "a@b.c:header:",
        "a@b.c:query:x",
        "@b.c:header:x",
        "A@b.c:header:x",
        "1a@b.c:header:x",
        "a b@b.c:header:x",
        "a@*.b.c:header:x",
        "a@*:header:x",
        "a@b.c:*:header:x",
        "a@b.c:0:header:x",
        "a@b.c:65536:header:x",
        "a@b.c:+1:header:x",
        "a@u@b.c:header:x",
        "a@ftp://b.c:header:x",
        "a@b.c/x:header:x",
        "a@:header:x",
        "a@b.c:header:host",
        "a@b.c:header:Content-Length",
        "a@b.c:header:x y",
        "a@b.c:header:x\r\ny",
        "a@b.c:header:x=Bearer",
        "a@b.c:header:x=\"a\"b\"",
        "a@b.c:header:x=\"\n\"",
        "a@b.c:header:x=\"\u{e9}\"",
        "a@h:header:b:header:c",
    ] {
        assert!(text.parse::<SecretScope>().is_err(), "{text}");
    }
    let long = |length: usize| format!("{}@b.c:header:x", "a".repeat(length)).parse::<SecretScope>();
    assert!(long(64).is_ok() && long(65).is_err());
}

#[test]
fn a_secret_is_for_its_own_host_and_no_other() {
    let token = scope("tok@api.example.com:header:x");
    assert!(token.is_for(&url("https://api.example.com/a?b")));
    assert!(token.is_for(&url("https://API.example.com.:443/")));
    for other in [
        "http://api.example.com/",
        "https://api.example.com:8443/",
        "https://example.com/",
        "https://x.api.example.com/",
        "https://api.example.com.evil.net/",
    ] {
        assert!(!token.is_for(&url(other)), "{other}");
    }
}

fn authority(asked: &[&str], given: &[&str], allowed: Option<&[&str]>, effect: Effect) -> Authority {
    let parse = |text: &&str| Scope::parse(Capability::Secrets, text).unwrap();
    let mut request = Request::new();
    request.insert(Capability::Secrets, asked.iter().map(parse)).unwrap();
    let mut grants = Grants::new();
    for text in given {
        grants.add(Grant::parse(&pack(), &format!("secrets={text}")).unwrap().to_signer(signer()));
    }
    assert_eq!(Grants::parse_toml(&grants.to_toml()), Ok(grants.clone()));
    let mut ceiling = Ceiling::none();
    if let Some(allowed) = allowed {
        ceiling.allow(Capability::Secrets, Some(allowed.iter().map(parse).collect())).unwrap();
    }
    Authority::of(&request, &grants.in_force(&pack(), &signer(), NOW), &ceiling, effect)
}

#[test]
fn request_grant_ceiling_and_effect_each_cut() {
    let asked = "tok@b.c:header:authorization=\"Bearer \"";
    let plain = "tok@b.c:header:authorization";
    let name: SecretName = "tok".parse().unwrap();
    let fills = |given: &[&str], allowed: Option<&[&str]>, effect| {
        let authority = authority(&[asked], given, allowed, effect);
        let listed = authority.secrets().count();
        let permitted = authority.permits_secret(&name, &url("https://b.c/x"));
        assert_eq!(permitted.is_ok(), listed == 1);
        permitted.map(ToString::to_string).map_err(|denied| (denied.reason, denied.hint(&pack())))
    };
    // What is put in front is the pack's to say, unless the grant says it too.
    for given in [asked, plain] {
        assert_eq!(fills(&[given], None, Effect::Read), Ok(asked.to_owned()));
        assert_eq!(fills(&[given], Some(&[plain]), Effect::Read), Ok(asked.to_owned()));
    }
    let other = "tok@b.c:header:authorization=\"Basic \"";
    let hint = Some(format!("capstan grant add acme:notes 'secrets={asked}'"));
    assert_eq!(fills(&[other], None, Effect::Read), Err((DeniedReason::OutOfScope, hint.clone())));
    assert_eq!(fills(&[], None, Effect::Read), Err((DeniedReason::NotGranted, hint)));
    assert_eq!(fills(&[plain], None, Effect::Pure), Err((DeniedReason::AboveEffect, None)));
    let elsewhere: &[&str] = &["tok@other.net:header:authorization"];
    assert_eq!(fills(&[plain], Some(elsewhere), Effect::Read), Err((DeniedReason::Ceiling, None)));
    let asked = authority(&[asked], &[plain], None, Effect::Read);
    for (name, to) in [("tok", "https://other.net/"), ("tok", "http://b.c/"), ("other", "https://b.c/")] {
        let denied = asked.permits_secret(&name.parse().unwrap(), &url(to)).unwrap_err();
        assert_eq!((denied.reason, denied.grant), (DeniedReason::NotRequested, None));
    }
}

proptest! {
    #[test]
    fn no_text_panics_and_what_is_read_reads_back(text in any::<String>(), near in "[a-c1-]{0,3}@?(https?://)?[a-c.:\\[\\]*]{0,6}(:header)?:?[a-z-]{0,4}(=\"[ -~]{0,3}\"?)?") {
        for text in [text, near] {
            if let Ok(scope) = text.parse::<SecretScope>() {
                prop_assert_eq!(scope.to_string().parse::<SecretScope>(), Ok(scope));
            }
        }
    }
}
