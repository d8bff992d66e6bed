//! What a pack's author meets: builds that share a target folder, calls from the sources, errors.

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
