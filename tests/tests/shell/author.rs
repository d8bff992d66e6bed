//! What a pack's author meets: shared target folders, calls from the sources, panics, errors.

use std::path::Path;

use tests::Env;

use crate::sources::Sources;

/// A home, and a folder to write packs in.
fn author() -> (Env, Sources) {
    (Env::with_home(), Sources::new())
}

/// Writes a new pack whose draft is the expression `draft`, in the folder `folder`.
fn pack(env: &Env, sources: &Sources, folder: &str, draft: &str) {
    drop(sources.run(env, &["pack", "new", "acme:notes", "--folder", folder]).exits(0));
    sources.edit(&format!("{folder}/src/lib.rs"), "format!(\"# {title}\\n\\n{points}\")", draft);
}

#[test]
fn packs_of_one_name_that_share_a_target_folder_stay_apart() {
    let (env, sources) = author();
    pack(&env, &sources, "one", "drop((title, points)); \"one\".to_owned()");
    pack(&env, &sources, "two", "drop((title, points)); \"two\".to_owned()");
    for folder in ["one", "two", "one"] {
        let call = ["op", "call", folder, "notes.draft", r#"{"title": "", "points": []}"#];
        assert_eq!(sources.run(&env, &call).exits(0).stdout, format!("{folder}\n"));
    }
}

#[test]
fn a_call_from_the_sources_leaves_the_signed_pack_alone() {
    let (env, sources) = author();
    drop(env.run(["key", "new", "acme"]).exits(0));
    drop(sources.run(&env, &["pack", "new", "acme:notes"]).exits(0));
    let signing = "hint: capstan pack sign notes --key acme\n";
    let built = sources.run(&env, &["pack", "build", "notes"]).exits(0);
    assert!(built.stdout.ends_with(signing), "{}", built.stdout);
    drop(sources.run(&env, &["pack", "sign", "notes", "--key", "acme"]).exits(0));
    let dist = sources.folder().join("notes/dist");
    let before = Env::tree(&dist);
    assert!(before.contains_key(Path::new("pack.dsse.json")));
    sources.edit("notes/src/lib.rs", "# {title}\\n\\n{points}", "changed");
    let call = ["op", "call", "notes", "notes.draft", r#"{"title": "", "points": []}"#];
    assert_eq!(sources.run(&env, &call).exits(0).stdout, "changed\n");
    assert!(Env::tree(&dist) == before, "the call changed the signed pack");
    // A build replaces it, envelope and all, and says what is to be done.
    let built = sources.run(&env, &["pack", "build", "notes"]).exits(0);
    assert!(built.stdout.ends_with(signing), "{}", built.stdout);
    assert!(!Env::tree(&dist).contains_key(Path::new("pack.dsse.json")));
}

#[test]
fn a_panic_says_what_and_where() {
    let (env, sources) = author();
    let draft = r#"assert!(!title.is_empty(), "no title, {} bytes", points.len()); title"#;
    pack(&env, &sources, "notes", draft);
    let draft = |title: &str| {
        let arguments = format!(r#"{{"title": "{title}", "points": ["a", "b"]}}"#);
        sources.run(&env, &["op", "call", "notes", "notes.draft", &arguments])
    };
    let line = sources.line_of("notes/src/lib.rs", "assert!(!");
    let said = draft("").exits(1).says("error[E-CALL-TRAPPED]: unreachable").said();
    let logged = format!("log: error: panicked at src/lib.rs:{line}:9: no title, 8 bytes\n");
    assert!(said.starts_with(&logged) || said.contains(&format!("\n{logged}")), "{said}");
    assert_eq!(draft("Plan").exits(0).stdout, "Plan\n");
}

#[test]
fn what_helps_a_call_from_the_sources_is_in_the_sources() {
    let (env, sources) = author();
    drop(sources.run(&env, &["pack", "new", "acme:notes"]).exits(0));
    std::fs::write(sources.folder().join("README.md"), "# Title\n").unwrap();
    let call = |operation: &str, arguments: &str, more: &[&str]| {
        sources.run(&env, &[&["op", "call", "notes", operation, arguments], more].concat())
    };
    let unknown = call("outlin", "{}", &[]).exits(2);
    let has =
        "[E-PLAN-OPERATION]: `acme:notes` has no operation `outlin`; it has `notes.draft`, `notes.outline`\n";
    assert!(
        unknown.stderr.ends_with(&format!("{has}hint: did you mean `notes.outline`?\n")),
        "{}",
        unknown.stderr
    );
    let takes = "hint: `notes.draft` is (title: string, points: list<string>) -> string\n";
    assert!(call("notes.draft", "{}", &[]).exits(2).says("E-CALL-ARGUMENTS").stderr.ends_with(takes));
    let beyond = call("notes.draft", "{}", &["--grant", "clock"]).exits(4).says("E-GRANT-EXCEEDS-REQUEST");
    assert!(
        beyond.stderr.ends_with("hint: `notes/pack.toml` requests `files-read=workspace:**`\n"),
        "{}",
        beyond.stderr
    );

    // A denied host call: by the grants, by the effect, by the request.
    let outline = |more: &[&str]| call("notes.outline", r#"{"path": "README.md"}"#, more);
    let grant = "files-read=workspace:README.md";
    let denied = outline(&["--grant", "files-read=workspace:docs/**"]).exits(4);
    let hint = format!(
        "hint: add `--grant '{grant}'`, or name no grant: then all is granted that the pack requests\n"
    );
    assert!(denied.stdout.ends_with(&hint), "{}", denied.said());
    for cured in [&["--grant", grant][..], &[]] {
        drop(outline(cured).exits(0).says("Title"));
    }
    sources.edit("notes/pack.toml", "effect = \"read\"", "effect = \"other\"");
    sources.edit("notes/pack.toml", "effect = \"pure\"", "effect = \"read\"");
    sources.edit("notes/pack.toml", "effect = \"other\"", "effect = \"pure\"");
    let hint = "hint: declare `effect = \"read\"` for `notes.outline` in `notes/pack.toml`\n";
    assert!(outline(&[]).exits(4).stdout.ends_with(hint));
    sources.edit("notes/pack.toml", "effect = \"pure\"", "effect = \"read\"");
    sources.edit("notes/pack.toml", "[\"workspace:**\"]", "[\"workspace:docs/**\"]");
    let hint = "hint: under `[capabilities]` in `notes/pack.toml`, let `files-read` have a scope that holds `workspace:README.md`\n";
    assert!(outline(&[]).exits(4).stdout.ends_with(hint));
}

#[test]
fn an_error_in_the_wit_has_its_place() {
    let (env, sources) = author();
    drop(sources.run(&env, &["pack", "new", "acme:notes"]).exits(0));
    sources.edit("notes/wit/world.wit", "record heading {", "recrod heading {");
    let line = sources.line_of("notes/wit/world.wit", "recrod");
    for command in [&["pack", "build", "notes"][..], &["op", "call", "notes", "notes.draft"]] {
        let refused = sources.run(&env, command).exits(2).says("error[E-WIT-MALFORMED]: ");
        let refused = refused.says(&format!("notes/wit/world.wit:{line}:"));
        // It is told alone: nothing was compiled.
        assert!(refused.stderr.starts_with("error[E-WIT-MALFORMED]: "), "{}", refused.stderr);
    }
}
