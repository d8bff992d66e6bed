//! Scopes of URLs: what they hold is decided by the parsed URL alone.

use authority::{
    GLOB_BYTES_MAX, Grant, Grants, HttpUrl, Request, RequestError, Scope, ScopeErrorReason, URL_BYTES_MAX,
    UrlError, UrlScope,
};
use base::{Capability, PackId};
use proptest::collection::vec;
use proptest::prelude::*;

fn pack() -> PackId {
    "acme:notes".parse().unwrap()
}

fn scope(text: &str) -> UrlScope {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn url(text: &str) -> HttpUrl {
    HttpUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn assert_scope(text: &str, inside: &[&str], outside: &[&str]) {
    let scope = scope(text);
    for text in inside {
        assert!(scope.matches(&url(text)), "{scope} should hold {text}");
    }
    for text in outside {
        assert!(!scope.matches(&url(text)), "{scope} should not hold {text}");
    }
}

#[test]
fn scheme_host_port_and_path_each_decide() {
    assert_scope(
        "https://api.example.com/repos/**",
        &[
            "https://api.example.com/repos/a/b",
            "https://API.Example.COM./repos/a?token=1#top",
            "https://api.example.com:443/repos",
            "https://api.example.com/repos/.github/a",
            "https://api.example.com/x/../repos/a//b/",
        ],
        &[
            "http://api.example.com/repos/a",
            "https://api.example.com:444/repos/a",
            "https://api.example.com/",
            "https://api.example.com/Repos/a",
            "https://api.example.com/repos/../admin",
            "https://api.example.com/repos/%2e%2E/admin",
            "https://api.example.com.evil.net/repos/a",
            "https://example.com/repos/a",
            "https://evil-api.example.com/repos/a",
        ],
    );
    assert_scope(
        "https://*.example.com:*/{a,b}/*",
        &["https://x.example.com/a/1", "https://y.x.example.com:99/b/", "https://x.example.com/b/.z"],
        &[
            "https://example.com/a/1",
            "https://xexample.com/a/1",
            "https://x.example.com/c/1",
            "https://x.example.com/a/1/2",
            "https://x.example.com/a",
        ],
    );
    assert_scope(
        "https://*/**",
        &["https://a.b/", "https://10.0.0.1/x", "https://[::1]/", "https://localhost/"],
        &["http://a.b/", "https://a.b:8443/"],
    );
    assert_scope(
        "http://10.0.0.5:8080/ via 10.0.0.0/8",
        &["http://0x0a000005:8080/", "http://167772165:8080/", "http://10.5:8080/?q"],
        &["http://10.0.0.5:8080/a", "http://10.0.0.5/", "http://[::ffff:10.0.0.5]:8080/"],
    );
    assert_scope(
        "https://bücher.example/**",
        &["https://BÜCHER.example/", "https://xn--bcher-kva.example/"],
        &[],
    );
    assert_scope("https://[2606:4700::1111]/**", &["https://[2606:4700:0::1111]/x"], &[]);
}

#[test]
fn a_scope_has_one_text() {
    for (text, canonical) in [
        ("https://API.Example.com./a", "https://api.example.com/a"),
        ("https://a.b:443/", "https://a.b/"),
        ("http://a.b:443/", "http://a.b:443/"),
        ("http://a.b:80/**", "http://a.b/**"),
        ("https://*.B.c:*/**", "https://*.b.c:*/**"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://0x7f.1/ via 127.0.0.0/8", "https://127.0.0.1/ via 127.0.0.0/8"),
        ("https://[0:0::1]:1/** via ::1/128", "https://[::1]:1/** via ::1/128"),
    ] {
        assert_eq!(scope(text).to_string(), canonical);
        assert_eq!(scope(text), scope(canonical));
    }
}

#[test]
fn each_error_is_told_apart() {
    let reason = |text: &str| text.parse::<UrlScope>().expect_err(text).reason;
    for text in ["workspace:**", "ftp://a.b/", "HTTPS://a.b/", "https:/a.b/", "//a.b/", ""] {
        assert_eq!(reason(text), ScopeErrorReason::Scheme, "{text}");
    }
    assert_eq!(reason("https://a.b"), ScopeErrorReason::NoPath);
    for host in [
        "",
        "u@a.b",
        "u:p@a.b",
        "a*.b",
        "*.*.b",
        "*.10.0.0.1",
        "*.1",
        "a..b",
        ".a",
        "a b",
        "**",
        "*.",
        "[::1",
        "a.b..",
        "1.2.3.4.5",
    ] {
        assert_eq!(reason(&format!("https://{host}/")), ScopeErrorReason::Host, "{host}");
    }
    for port in ["", "0", "65536", "080", "+1", "a", "1*"] {
        assert_eq!(reason(&format!("https://a.b:{port}/")), ScopeErrorReason::Port, "{port}");
    }
    for c in ['?', '#', ' ', '\\', '[', '"', 'é', '\n', '|'] {
        assert_eq!(reason(&format!("https://a.b/x{c}y")), ScopeErrorReason::PathCharacter(c));
    }
    for network in ["", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "x", "10.0.0.0/8 via 10.0.0.0/8"] {
        assert_eq!(reason(&format!("https://a.b/ via {network}")), ScopeErrorReason::Network, "{network}");
    }
    for path in ["a/../b", "a**", "{a", "a/.", &"a".repeat(GLOB_BYTES_MAX + 1)] {
        assert!(matches!(reason(&format!("https://a.b/{path}")), ScopeErrorReason::Glob(_)), "{path}");
    }
    assert!(format!("https://a.b/{}", "a".repeat(GLOB_BYTES_MAX)).parse::<UrlScope>().is_ok());
}

/// What a parser would repair, and what servers read differently, is refused.
#[test]
fn a_url_is_taken_as_it_is_or_not_at_all() {
    let error = |text: &str| HttpUrl::parse(text).expect_err(text);
    for text in
        ["", "a.b", "/a", "//a.b/", "https://", "https://a.b:x/", "https://[::1/", "https://1.2.3.4.5/"]
    {
        assert!(matches!(error(text), UrlError::Syntax(_)), "{text}: {:?}", error(text));
    }
    for text in ["ftp://a.b/", "file:///etc/passwd", "data:,x", "ws://a.b/", "gopher://a.b/"] {
        assert_eq!(error(text), UrlError::Scheme, "{text}");
    }
    for text in
        ["https://u@a.b/", "https://u:p@a.b/", "https://a.b@c.d/", "https://a.b:1@c.d/", "https://@@a.b/"]
    {
        assert_eq!(error(text), UrlError::User, "{text}");
    }
    for text in [
        " https://a.b/",
        "https://a.b/ ",
        "https://a.b/\n",
        "ht\ttps://a.b/",
        "https:/a.b/",
        "https:a.b",
        "https:\\\\a.b/",
        "https://a.b\\@c.d/",
        "https://a.b/%zz",
        "https://a.b/<x>",
        "https://a.b/a b",
    ] {
        assert!(matches!(error(text), UrlError::Ambiguous(_)), "{text}: {:?}", error(text));
    }
    for text in ["https://a..b/", "https://.a/", "https://a.b../", "https://./"] {
        assert!(matches!(error(text), UrlError::Host | UrlError::Syntax(_)), "{text}: {:?}", error(text));
    }
    assert_eq!(error("https://a.b:0/"), UrlError::Port);
    for path in ["a/..%2fb", "a/%2e%2e%5cb", "a/%252e%252e/b", "a/..;x/b", "a/%2e%2e;/b", "%25252525252e"] {
        assert_eq!(error(&format!("https://a.b/{path}")), UrlError::DotSegment, "{path}");
    }
    for path in ["a/...", "a/..b", "a%2fb", "a/.b", "%C3%BC", "a;b=..", "100%25"] {
        assert_eq!(url(&format!("https://a.b/{path}")).path(), format!("/{path}"));
    }
    assert_eq!(url("https://a.b/x?filter[a]=1|2").origin_form(), "/x?filter[a]=1|2");
    let longest = format!("https://a.b/{}", "a".repeat(URL_BYTES_MAX - 12));
    assert_eq!(url(&longest).path().len(), URL_BYTES_MAX - 11);
    assert_eq!(error(&format!("{longest}a")), UrlError::TooLong);
}

#[test]
fn a_url_is_kept_in_one_form() {
    let parsed = url("https://EXAMPLE.com.:443/a?b=/../#c");
    assert_eq!(parsed.to_string(), "https://example.com/a", "a query may be a secret");
    assert_eq!((parsed.authority(), parsed.origin_form(), parsed.port()), ("example.com", "/a?b=/../", 443));
    let bare = url("http://[::1]:8080");
    assert_eq!((bare.authority(), bare.origin_form(), bare.port()), ("[::1]:8080", "/", 8080));
    // Without its dot a name may turn out to be an address.
    assert_eq!(url("http://127.0.0.1./").host(), &url::Host::<String>::Ipv4(std::net::Ipv4Addr::LOCALHOST));
}

#[test]
fn scopes_belong_to_their_capability() {
    let of = |capability, text| Scope::parse(capability, text);
    assert!(of(Capability::HttpRead, "workspace:**").is_err());
    assert!(of(Capability::FilesRead, "https://a.b/**").is_err());
    let mut request = Request::new();
    let path = of(Capability::FilesRead, "workspace:**").unwrap();
    let via = of(Capability::HttpRead, "https://a.b/** via 10.0.0.0/8").unwrap();
    assert_eq!(
        request.insert(Capability::HttpRead, [path]),
        Err(RequestError::WrongKind(Capability::HttpRead))
    );
    assert_eq!(
        request.insert(Capability::HttpRead, [via]),
        Err(RequestError::NetworkInRequest(Capability::HttpRead))
    );
    let missing = Grant::parse(&pack(), "http-read").unwrap_err().to_string();
    assert_eq!(missing, "`http-read` needs at least one scope, such as `https://example.com/**`");
}

#[test]
fn a_grant_that_meets_nothing_asked_for_is_refused() {
    let mut request = Request::new();
    let asked = ["https://*.example.com/**", "https://one.test:8443/a/*"];
    let scopes = asked.map(|text| Scope::parse(Capability::HttpRead, text).unwrap());
    request.insert(Capability::HttpRead, scopes).unwrap();
    let check = |text: &str| {
        Grant::parse(&pack(), &format!("http-read={text}")).unwrap().check_requested(&request).is_ok()
    };
    for text in [
        "https://*/**",
        "https://*.com/**",
        "https://a.example.com/x",
        "https://*.a.example.com/**",
        "https://one.test:*/**",
        "https://one.test:8443/a/b",
        "https://*.example.com/** via 10.0.0.0/8",
    ] {
        assert!(check(text), "{text}");
    }
    for text in [
        "http://*/**",
        "https://example.com/**",
        "https://other.test/**",
        "https://one.test/**",
        "https://one.test:8443/b",
        "https://*.test/**",
    ] {
        assert!(!check(text), "{text}");
    }
}

/// Texts that are often scopes.
fn near_scopes() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "https://",
        "http://",
        "a.b",
        "*.",
        "*",
        "10.0.0.5",
        "[::1]",
        ":8443",
        ":*",
        "/",
        "**",
        "x",
        "{x,y}",
        ".",
        " via ",
        "10.0.0.0/8",
        "fd00::/8",
        "é",
        "@",
        "%2f",
        "A",
        "?",
    ]);
    vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

fn names() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9]{0,4}(\\.[a-z][a-z0-9]{0,4}){1,3}"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_scope_reads_back(text in near_scopes(), good in "https://(a\\.b|\\*|\\*\\.c\\.d|10\\.1)(:9|:\\*)?/[a-z/*]{0,2}( via (10\\.0\\.0\\.0/8|::/0))?") {
        for text in [text, good] {
            let Ok(scope) = text.parse::<UrlScope>() else { continue };
            prop_assert_eq!(scope.to_string().parse::<UrlScope>(), Ok(scope.clone()));
            prop_assert_eq!(scope.to_string().parse::<UrlScope>().unwrap().to_string(), scope.to_string());
            let grant = Grant::parse(&pack(), &format!("http-read={scope}")).unwrap();
            let mut grants = Grants::new();
            grants.add(grant);
            prop_assert_eq!(Grants::parse_toml(&grants.to_toml()), Ok(grants));
        }
    }

    #[test]
    fn no_text_of_a_url_panics(text in any::<String>(), tail in any::<String>()) {
        for text in [text.clone(), format!("https://{text}"), format!("https://a.b/{tail}")] {
            drop(text.parse::<UrlScope>());
            if let Ok(url) = HttpUrl::parse(&text) {
                // Parsing what was understood understands the same.
                let again = format!("{}://{}{}", url.scheme(), url.authority(), url.origin_form());
                prop_assert_eq!(&HttpUrl::parse(&again).unwrap(), &url);
                prop_assert!(url.origin_form().starts_with('/'));
                if let Some(scope) = UrlScope::of_url(&url) {
                    prop_assert!(scope.matches(&url), "{} {}", scope, url);
                }
            }
        }
    }

    #[test]
    fn neither_case_nor_dot_of_the_host_matters(name in names(), scope in names(), path in "[a-z]{0,3}") {
        for pattern in [format!("https://{name}/**"), format!("https://*.{name}/**"), format!("https://{scope}/**")] {
            let (small, large) = (pattern.parse::<UrlScope>(), pattern.replace(&name, &name.to_uppercase()).parse::<UrlScope>());
            prop_assert_eq!(&small, &large);
            let Ok(scope) = small else { continue };
            for host in [name.clone(), format!("sub.{name}")] {
                let plain = HttpUrl::parse(&format!("https://{host}/{path}"));
                let Ok(plain) = plain else { continue };
                for other in [host.to_uppercase(), format!("{host}."), format!("{}.", host.to_uppercase())] {
                    let other = url(&format!("https://{other}/{path}"));
                    prop_assert_eq!(scope.matches(&plain), scope.matches(&other));
                    prop_assert_eq!(&plain, &other);
                }
            }
        }
    }
}
