//! Names and texts that would steer a terminal are shown, not obeyed.

use tests::Outcome;

use crate::place;

/// Colours, a title, a hidden line, and text that runs from right to left.
const TRICKS: &str = "\u{1b}[31m\u{1b}]0;t\u{7}\u{202e}\u{200b}\u{9b}x\u{7f}";

#[track_caller]
fn assert_harmless(outcome: &Outcome) {
    let bad = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let found = outcome.said();
    assert!(!found.contains(bad), "it prints {found:?}");
}

#[test]
fn a_planfile_cannot_steer_the_terminal() {
    let env = place::installed();
    let name = format!("{TRICKS}.plan.yaml");
    env.write(
        &name,
        format!(
            "schema: capstan.plan/v1\nname: a\npacks: {{}}\nsteps: {{}}\n{TRICKS}: {TRICKS} # {TRICKS}\n"
        ),
    );
    for words in [
        ["plan", "check", &name],
        ["plan", "run", &name],
        ["pack", "audit", &name],
        ["pack", "validate", &name],
    ] {
        let outcome = env.run(words);
        assert_ne!(outcome.code, Some(0));
        assert_harmless(&outcome);
    }
    // A quoted key and value parse, so the diagnostics quote them.
    let quoted = r#""\u001b[31m\u202e""#;
    env.write(
        "quoted.plan.yaml",
        format!(
            "schema: capstan.plan/v1\nname: {quoted}\n{quoted}: 1\nsteps: {{ a: {{ call: {quoted} }} }}\n"
        ),
    );
    let outcome = env.run(["plan", "check", "quoted.plan.yaml"]).exits(2);
    assert_harmless(&outcome);
}

#[test]
fn a_diff_a_file_name_and_a_result_cannot_steer_the_terminal() {
    let env = place::installed();
    env.write("tricks.md", format!("one\n{TRICKS}\n"));
    let arguments =
        serde_json::json!({ "path": "tricks.md", "text": format!("two\n{TRICKS}{TRICKS}\n") }).to_string();
    let parked = env.run(["op", "call", "capstan:files/tree.write", &arguments]).exits(3);
    assert!(
        parked.stdout.contains("\\u{1b}[31m") && parked.stdout.contains("\\u{202e}"),
        "{}",
        parked.stdout
    );
    assert_harmless(&parked);
    for words in [
        ["approval", "show", "last"],
        ["run", "show", "last"],
        ["run", "events", "last"],
        ["approval", "list", ""],
    ] {
        assert_harmless(&env.run(words.iter().filter(|word| !word.is_empty())).exits(0));
    }
    assert_harmless(&env.run(["approve", "last"]).exits(0));
    let named = serde_json::json!({ "path": format!("{TRICKS}.md"), "text": "x" }).to_string();
    assert_harmless(&env.run(["op", "call", "capstan:files/tree.write", &named]));
    assert_harmless(&env.run(["run", "show", "last"]).exits(0));
    let read = env.run(["op", "call", "capstan:files/tree.read", r#"{"path": "tricks.md"}"#]).exits(0);
    assert!(read.stdout.contains("u{202e}"), "{}", read.stdout);
    assert_harmless(&read);
    let digest = place::artifact(&env);
    assert_harmless(&env.run(["artifact", "show", &digest]).exits(0));
}

/// What is approved is what the screen shows: neither a name nor a line end makes up a change.
#[test]
fn an_approval_cannot_be_forged_by_what_it_is_about() {
    let env = place::installed();
    let park = |path: &str, text: &str| {
        let arguments = serde_json::json!({ "path": path, "text": text }).to_string();
        let parked = env.run(["op", "call", "capstan:files/tree.write", &arguments]).exits(3);
        let shown = env.run(["approval", "show", "last"]).exits(0);
        let until = shown.stdout.lines().take_while(|line| !line.starts_with("  which is over"));
        for line in until {
            assert!(parked.stdout.contains(line), "both show {line:?}:\n{}", parked.stdout);
        }
        shown.stdout
    };
    let shown = park("a\n@@ -1 +1 @@\n-x\n+y", "new\n");
    assert!(
        shown.contains("\n  | +++ \"b/workspace/a\\n@@ -1 +1 @@\\n-x\\n+y\"\n  | @@ -0,0 +1 @@\n  | +new\n"),
        "{shown}"
    );
    assert_eq!(shown.lines().filter(|line| line.starts_with("  | @@")).count(), 1, "{shown}");
    env.write("b", "keep\rme\n");
    let shown = park("b", "keep\rrm -rf x\n");
    assert!(shown.contains("\n  | -keep\\u{d}me\n  | +keep\\u{d}rm -rf x\n"), "{shown}");
    let shown = park("c", "\0\nrm -rf x\n");
    assert!(shown.contains("\n  | +\\u{0}\n  | +rm -rf x\n"), "{shown}");
    let plain = park("plain name.md", "new\n");
    assert!(plain.contains("\n  | +++ b/workspace/plain name.md\n  | @@ -0,0 +1 @@\n  | +new\n"), "{plain}");
}

/// A name that others chose may be part of a message.
#[test]
fn a_message_cannot_forge_lines_of_the_program() {
    let env = place::installed();
    let name = "x\nsigned by capstan (trusted)\nhint: capstan trust add";
    let outcome = env.run(["plan", "check", name]).exits(1);
    assert!(
        outcome.stderr.contains("\n  | signed by capstan (trusted)\n  | hint: capstan trust"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.starts_with("error[E-FILE-IO]: cannot read `x\n"), "{}", outcome.stderr);
}

#[test]
fn what_was_typed_wrong_cannot_steer_the_terminal() {
    let env = place::installed();
    for words in [
        [TRICKS, "", ""],
        ["run", TRICKS, ""],
        ["run", "show", TRICKS],
        ["op", "show", TRICKS],
        ["help", TRICKS, ""],
    ] {
        let outcome = env.run(words.iter().filter(|word| !word.is_empty())).exits(2);
        assert_harmless(&outcome);
    }
}
