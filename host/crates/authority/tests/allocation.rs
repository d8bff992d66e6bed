//! What is asked at each host call is answered without allocating, where the answer is yes.

use authority::{Authority, Ceiling, Grant, Grants, HttpUrl, Request, Scope, Signer};
use base::{Capability, Effect, PackId, RootName, Timestamp};

/// Scopes of every form, the one that holds what is asked for last.
const PATHS: [&str; 4] =
    ["workspace:docs/**/*.md", "workspace:{a,b}?c/*", "workspace:src/*_test.rs", "workspace:**"];
const URLS: [&str; 3] = ["https://*.example.com/v{1,2}/**", "https://*:*/*/*.json", "https://*:*/**"];

fn authority() -> Option<Authority> {
    let pack: PackId = "acme:notes".parse().ok()?;
    let signer = Signer::of_fingerprint(&"signer");
    let (mut request, mut grants, mut ceiling) = (Request::new(), Grants::new(), Ceiling::closed());
    for (capability, texts) in [(Capability::FilesRead, &PATHS[..]), (Capability::HttpRead, &URLS[..])] {
        let scopes: Vec<Scope> =
            texts.iter().filter_map(|text| Scope::parse(capability, text).ok()).collect();
        request.insert(capability, scopes.clone()).ok()?;
        ceiling.allow(capability, Some(scopes.clone())).ok()?;
        for text in texts {
            let mut grant =
                Grant::parse(&pack, &format!("{capability}={text}")).ok()?.to_signer(signer.clone());
            grant.terms.may_disclose = capability.discloses();
            grants.add(grant);
        }
    }
    Some(Authority::of(&request, &grants.in_force(&pack, &signer, Timestamp(0)), &ceiling, Effect::Read))
}

#[test]
fn a_permitted_place_costs_no_allocation() {
    let authority = authority().expect("the texts are scopes");
    let root: RootName = "workspace".parse().expect("a name");
    let long = "a/".repeat(1_000) + "b";
    for path in ["a", "src/lib.rs", "docs/a/b/c.md", long.as_str()] {
        let mut permitted = false;
        let info = allocation_counter::measure(|| {
            permitted = authority.permits_path(Capability::FilesRead, &root, path).is_ok();
        });
        assert!(permitted, "{path}");
        assert_eq!(info.count_total, 0, "{path}");
    }
    for url in ["https://api.example.com/v1/a?b", "https://other.net:8443/a/b.json", "https://a.b/"] {
        let url = HttpUrl::parse(url).expect("a URL");
        let mut permitted = false;
        let info = allocation_counter::measure(|| {
            permitted = authority.permits_url(Capability::HttpRead, &url).is_ok();
        });
        assert!(permitted, "{url}");
        assert_eq!(info.count_total, 0, "{url}");
    }
    // What counts counts: a refusal says why in words.
    let info = allocation_counter::measure(|| {
        assert!(authority.permits_path(Capability::FilesWrite, &root, "a").is_err());
    });
    assert!(info.count_total > 0);
}
