//! What a pack's author meets: shared target folders, calls from the sources, panics, errors.

use std::path::Path;

use tests::Env;

use crate::place;
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
fn sources_that_are_not_built_are_told_so() {
    let (env, sources) = author();
    drop(sources.run(&env, &["pack", "new", "acme:notes"]).exits(0));
    for command in ["install", "audit", "validate", "inspect"] {
        let refused = sources.run(&env, &["pack", command, "notes"]).exits(2).says("is not built");
        assert!(refused.stderr.ends_with("hint: capstan pack build notes\n"), "{}", refused.stderr);
    }
    drop(sources.run(&env, &["pack", "build", "notes"]).exits(0));
    drop(sources.run(&env, &["pack", "validate", "notes"]).exits(0));
}

/// Sources without a crate: other tools made their component.
#[test]
fn a_component_of_other_tools_becomes_a_pack() {
    let env = Env::with_home();
    place::notes(&env);
    let unbuilt = env.run(["pack", "install", "notes"]).exits(2).says("is not built");
    assert!(
        unbuilt.stderr.ends_with("hint: capstan pack build notes --component <file>\n"),
        "{}",
        unbuilt.stderr
    );
    let refused = |words: &[&str], code: i32, why: &str| drop(env.run(words).exits(code).says(why));
    refused(&["pack", "build", "notes"], 2, "has no `Cargo.toml`");
    refused(&["pack", "build", "notes", "--component", "absent.wasm"], 1, "E-FILE-IO");
    env.write("none.wasm", "no wasm");
    refused(&["pack", "build", "notes", "--component", "none.wasm"], 2, "E-WIT-MALFORMED");
    drop(env.run(["key", "new", "acme"]).exits(0));
    let public = env.home().join("keys/acme.pub");
    drop(env.run(["trust", "add", "acme", public.to_str().unwrap()]).exits(0));
    let built = env.run(["pack", "build", "notes", "--component", "notes.wasm"]).exits(0);
    assert!(built.stdout.ends_with("hint: capstan pack sign notes --key acme\n"), "{}", built.stdout);
    drop(env.run(["pack", "sign", "notes", "--key", "acme"]).exits(0));
    drop(env.run(["pack", "install", "notes"]).exits(0));
    drop(env.run(["op", "show", "acme:notes/notes.count"]).exits(0).says("Counts them."));
    let called = env.run(["op", "call", "acme:notes/notes.count", "{\"text\": \"a\"}"]).exits(0);
    assert_eq!(called.stdout, "1\n");
    // The component is held against the manifest as any other.
    let manifest = env.read("notes/pack.toml").unwrap().replace("notes.count", "notes.weigh");
    env.write("notes/pack.toml", manifest);
    refused(&["pack", "build", "notes", "--component", "notes.wasm"], 4, "E-EXPORT");
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

#[test]
fn a_pack_without_an_envelope_is_signed_next() {
    let env = place::clone();
    drop(env.run(["init"]).exits(0));
    drop(env.run(["key", "new", "acme"]).exits(0));
    std::fs::remove_file(env.work().join("packs/text/dist/pack.dsse.json")).unwrap();
    let hint = "hint: capstan pack sign packs/text --key acme\n";
    let refused = env.run(["pack", "install", "packs/text"]).exits(4).says("E-ENVELOPE-MISSING");
    assert!(refused.stderr.ends_with(hint), "{}", refused.stderr);
    for looking in ["audit", "validate"] {
        assert!(env.run(["pack", looking, "packs/text"]).exits(0).stdout.ends_with(hint));
    }
    drop(env.run(["key", "new", "other"]).exits(0));
    drop(
        env.run(["pack", "audit", "packs/text"])
            .exits(0)
            .says("hint: capstan pack sign packs/text --key <name>\n"),
    );
    drop(env.run(["pack", "sign", "packs/text", "--key", "acme"]).exits(0));
    let signed = env.run(["pack", "audit", "packs/text"]).exits(0);
    assert!(!signed.stdout.contains("hint: "), "{}", signed.stdout);
}

#[test]
fn a_publisher_with_a_new_key_and_a_statement_of_the_same_version_are_told() {
    let env = place::clone();
    drop(env.run(["init"]).exits(0));
    let sign = |key: &str| {
        drop(env.run(["pack", "sign", "packs/text", "--key", key]).exits(0));
    };
    let key = |name: &str| {
        env.json(["key", "new", name]).exits(0).json()["fingerprint"].as_str().unwrap().to_owned()
    };
    let (old, new) = (key("old"), key("new"));
    sign("old");
    let install = ["pack", "install", "packs/text"];
    let first = env.run(install).exits(4).says("E-SIG-UNTRUSTED");
    assert!(!first.stderr.contains("trusted with another key"), "{}", first.stderr);
    drop(env.run([&install[..], &["--trust", &old]].concat()).exits(0));
    sign("new");
    let refused = env.run(install).exits(4).says("E-SIG-UNTRUSTED");
    let refused = refused.says(&format!("packs of `capstan` are trusted with another key, `{old}`"));
    let hints: Vec<_> =
        refused.stderr.lines().filter_map(|line| line.strip_prefix("hint: capstan ")).collect();
    assert_eq!(hints, [format!("trust remove {old}"), format!("pack install packs/text --trust {new}")]);
    let note = "note: the version is the one that was installed, the statement is another\n";
    drop(env.run(hints[0].split(' ')).exits(0));
    drop(
        env.run(hints[1].split(' ')).exits(0).says("Installed `capstan:text` 0.1.0 over 0.1.0.\n").says(note),
    );
    let again = env.run(install).exits(0).says("`capstan:text` 0.1.0 was installed already.\n");
    assert!(!again.stdout.contains("note: "), "{}", again.stdout);
    let again = env.json(install).exits(0).json();
    assert_eq!((&again["unchanged"], &again["replaced"]), (&true.into(), &serde_json::Value::Null));
}
