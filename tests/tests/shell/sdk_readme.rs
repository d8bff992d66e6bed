//! The SDK's README, typed from an empty folder to an installed and called pack.

use std::fs;

use tests::{Env, repository};

use crate::sources::Sources;

#[test]
fn the_commands_of_the_sdk_make_install_and_call_a_pack() {
    let readme = fs::read_to_string(repository().join("sdk/README.md")).unwrap();
    let block = readme.split("```sh\n").nth(1).expect("the README has a block of commands");
    let block = block.split("```").next().unwrap();
    assert!(block.lines().count() >= 8 && block.starts_with("capstan init\n"), "{block}");
    let (env, sources) = (Env::new(), Sources::new());
    let mut command = tests::golden::shell_command(&env, &format!("set -e\n{block}"));
    sources.host(&mut command);
    let outcome = tests::env::finish(&mut command).exits(0);
    let said = outcome
        .says("Made `acme:notes` in `notes`")
        .says("Built `acme:notes` 0.1.0")
        .says("Signed `acme:notes` 0.1.0 as statement 1")
        .says("Installed `acme:notes` 0.1.0")
        .says("\"line\": 1")
        .said();
    // Called from the folder and called from the store.
    assert_eq!(said.matches("# Plan\n\n- sign\n- install\n").count(), 2, "{said}");
    let op = env.json(["op", "list"]).exits(0).json();
    assert_eq!(op[0]["name"], "acme:notes/notes.draft");
}
