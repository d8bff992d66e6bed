//! What a pack's author meets: builds that share a target folder, calls from the sources, errors.

use std::path::Path;

use tests::Env;
use tests::env::{Outcome, finish};

use crate::place;

/// Writes a new pack `acme:<name>` whose draft is the text `draft`, in the folder `folder`.
fn pack(env: &Env, name: &str, folder: &str, draft: &str) {
    drop(env.run(["pack", "new", &format!("acme:{name}"), "--folder", folder]).exits(0));
    edit(env, folder, "src/lib.rs", "format!(\"# {title}\\n\\n{points}\")", draft);
}

/// Replaces `old`, which is there once, in a file of a pack's sources.
#[track_caller]
fn edit(env: &Env, folder: &str, file: &str, old: &str, new: &str) {
    let path = format!("{folder}/{file}");
    let text = env.read(&path).unwrap_or_else(|| panic!("there is no {path}"));
    assert_eq!(text.matches(old).count(), 1, "`{old}` in {path}:\n{text}");
    env.write(&path, text.replace(old, new));
}

/// Runs the program as an author does who compiles everything in one folder.
fn run(env: &Env, words: &[&str]) -> Outcome {
    let mut command = env.command(words);
    place::compiles_in(env, &mut command);
    finish(&mut command)
}

#[test]
fn packs_of_one_name_that_share_a_target_folder_stay_apart() {
    let env = Env::with_home();
    pack(&env, "twin", "one", "drop((title, points)); \"one\".to_owned()");
    pack(&env, "twin", "two", "drop((title, points)); \"two\".to_owned()");
    for folder in ["one", "two", "one"] {
        let call = ["op", "call", folder, "twin.draft", r#"{"title": "", "points": []}"#];
        assert_eq!(run(&env, &call).exits(0).stdout, format!("{folder}\n"));
    }
}

#[test]
fn a_call_from_the_sources_leaves_the_signed_pack_alone() {
    let env = Env::with_home();
    drop(env.run(["key", "new", "acme"]).exits(0));
    drop(env.run(["pack", "new", "acme:notes"]).exits(0));
    let signing = "hint: capstan pack sign notes --key acme\n";
    let built = run(&env, &["pack", "build", "notes"]).exits(0);
    assert!(built.stdout.ends_with(signing), "{}", built.stdout);
    drop(env.run(["pack", "sign", "notes", "--key", "acme"]).exits(0));
    let dist = env.work().join("notes/dist");
    let before = Env::tree(&dist);
    assert!(before.contains_key(Path::new("pack.dsse.json")));
    edit(&env, "notes", "src/lib.rs", "# {title}\\n\\n{points}", "changed");
    let call = ["op", "call", "notes", "notes.draft", r#"{"title": "", "points": []}"#];
    assert_eq!(run(&env, &call).exits(0).stdout, "changed\n");
    assert!(Env::tree(&dist) == before, "the call changed the signed pack");
    // A build replaces it, envelope and all, and says what is to be done.
    let built = run(&env, &["pack", "build", "notes"]).exits(0);
    assert!(built.stdout.ends_with(signing), "{}", built.stdout);
    assert!(!Env::tree(&dist).contains_key(Path::new("pack.dsse.json")));
}
