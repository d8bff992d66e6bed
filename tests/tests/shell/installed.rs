//! What is said of installed packs is what verifies, not what a receipt claims.

use std::fs;

use tests::Env;

use crate::place;

fn receipt(env: &Env, pack: &str) -> std::path::PathBuf {
    env.home().join("packs/capstan").join(pack).join("receipt.json")
}

/// The line of a pack in `pack list`.
fn line(env: &Env, pack: &str) -> String {
    let listed = env.run(["pack", "list"]).exits(0).stdout;
    listed.lines().find(|line| line.starts_with(pack)).unwrap_or_else(|| panic!("{listed}")).to_owned()
}

#[test]
fn a_list_names_the_signer_that_was_verified() {
    let env = place::installed();
    let publisher = Env::publisher();
    let genuine = line(&env, "capstan:text");
    assert!(genuine.contains(&format!("signed by {publisher}")), "{genuine}");
    let path = receipt(&env, "text");
    let text = fs::read_to_string(&path).unwrap();
    let forged = "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa";
    assert!(text.contains(&publisher));
    fs::write(&path, text.replace(&publisher, forged)).unwrap();
    assert!(!env.run(["pack", "list"]).said().contains(forged));
    assert_eq!(line(&env, "capstan:text"), genuine);
}

#[test]
fn a_pack_that_does_not_verify_is_listed_as_such_beside_the_others() {
    let env = place::installed();
    let files = line(&env, "capstan:files");
    let path = receipt(&env, "text");
    let genuine = fs::read(&path).unwrap();
    let unverified = |code: &str| {
        assert_eq!(line(&env, "capstan:text"), format!("{:<24} does not verify: {code}", "capstan:text"));
        assert_eq!(line(&env, "capstan:files"), files);
        let listed = env.json(["pack", "list"]).exits(0).json();
        assert_eq!(listed[1]["problem"]["code"], code);
        assert_eq!(listed[1]["signer"], serde_json::Value::Null);
        assert_eq!(listed[0]["problem"], serde_json::Value::Null);
    };
    fs::write(&path, "{").unwrap();
    unverified("E-STORE-DAMAGED");
    fs::write(&path, &genuine).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&genuine).unwrap();
    let digest = json["files"]["pack.toml"].as_str().unwrap().trim_start_matches("sha256:");
    let blob = env.home().join("store/sha256").join(digest);
    let bytes = fs::read(&blob).unwrap();
    fs::write(&blob, "other").unwrap();
    unverified("E-STORE-DAMAGED");
    fs::write(&blob, bytes).unwrap();
    assert!(line(&env, "capstan:text").contains("signed by"), "the control");
    drop(env.run(["trust", "remove", &Env::publisher()]).exits(0));
    let untrusted = format!("{:<24} does not verify: E-SIG-UNTRUSTED", "capstan:text");
    assert_eq!(line(&env, "capstan:text"), untrusted);
}
