//! Manifests: every problem with its place and code.

use proptest::prelude::*;

use super::*;
use crate::fixture::MANIFEST_TEXT;

fn problems(text: &str) -> Vec<(Code, usize, usize)> {
    let error = Manifest::parse(text).unwrap_err();
    error.problems.iter().map(|p| (p.code, p.line, p.column)).collect()
}

fn only(text: &str) -> Problem {
    let mut problems = Manifest::parse(text).unwrap_err().problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

/// The good manifest with `from` replaced.
fn with(from: &str, to: &str) -> String {
    assert!(MANIFEST_TEXT.contains(from), "{from}");
    MANIFEST_TEXT.replace(from, to)
}

#[test]
fn a_manifest_is_read_whole() {
    let manifest = Manifest::parse(MANIFEST_TEXT).unwrap();
    assert_eq!(manifest.id.to_string(), "acme:notes");
    assert_eq!(manifest.version, Version::new(1, 4, 2));
    assert_eq!(manifest.license.as_deref(), Some("Apache-2.0"));
    let draft = manifest.operations["notes.draft"];
    assert_eq!((draft.effect, draft.idempotent), (Effect::Read, true));
    let limits = LimitsRequest {
        fuel: Some(2_000_000_000),
        wall_ms: Some(10_000),
        memory_bytes: Some(64 << 20),
        output_bytes: Some(4 << 20),
        files: None,
        file_bytes: None,
        model_tokens: None,
        model_cost: None,
    };
    assert_eq!(draft.limits, limits);
    assert_eq!(manifest.request.scopes(Capability::FilesRead)[0].to_string(), "workspace:**");
}

#[test]
fn doing_it_twice_is_assumed_harmless_for_reads_only() {
    let idempotent = |text: &str| Manifest::parse(text).unwrap().operations["notes.draft"].idempotent;
    assert!(idempotent(MANIFEST_TEXT));
    assert!(!idempotent(&with("effect = \"read\"", "effect = \"write\"")));
    assert!(idempotent(&with("effect = \"read\"", "effect = \"write\"\nidempotent = true")));
    assert!(!idempotent(&with("effect = \"read\"", "effect = \"read\"\nidempotent = false")));
}

#[test]
fn unknown_words_are_named_with_what_was_meant() {
    let cases = [
        ("[capabilities]", "[capabilites]", "did you mean `capabilities`?"),
        ("license", "licence", "did you mean `license`?"),
        ("files-read", "file-read", "did you mean `files-read`?"),
        (
            "files-read",
            "threads",
            "expected one of files-read, files-write, http-read, http-send, exec, artifacts, model, secrets, clock, random",
        ),
        ("\"read\"", "\"raed\"", "did you mean `read`?"),
        ("limits =", "limit =", "did you mean `limits`?"),
        ("memory =", "memroy =", "did you mean `memory`?"),
    ];
    for (from, to, hint) in cases {
        let problem = only(&with(from, to));
        assert_eq!(problem.code, Code::ManifestUnknownKey, "{to}");
        assert_eq!(problem.hint.as_deref(), Some(hint), "{to}");
    }
}

#[test]
fn a_key_twice_has_its_own_code_and_place() {
    let text = with("license = \"Apache-2.0\"", "license = \"MIT\"\nlicense = \"Apache-2.0\"");
    let problem = only(&text);
    assert_eq!((problem.code, problem.line, problem.column), (Code::ManifestDuplicateKey, 6, 1));
    assert!(problem.message.contains("`license`"), "{}", problem.message);

    for (from, to) in [
        ("[capabilities]", "[operations.\"notes.draft\"]\neffect = \"pure\"\n[capabilities]"),
        ("fuel = \"2G\",", "fuel = \"2G\", fuel = \"1G\","),
        ("[capabilities]", "[capabilities]\nfiles-read = [\"workspace:a\"]"),
        ("[capabilities]", "[pack]\n[capabilities]"),
    ] {
        let found = problems(&with(from, to));
        assert!(found.iter().all(|(code, ..)| *code == Code::ManifestDuplicateKey), "{to}: {found:?}");
    }
}

#[test]
fn every_problem_is_told_in_the_order_of_the_text() {
    let text = "[pack]\nid = \"Acme\"\nversoin = \"1\"\nversion = 1\n\n[operations.\"notes.draft\"]\nefect = \"read\"\n\n\
                [capabilities]\nclock = false\nfiles-read = [\"nowhere\"]\n";
    let expected = [
        (Code::ManifestMalformed, 2, 6),
        (Code::ManifestUnknownKey, 3, 1),
        (Code::ManifestMalformed, 4, 11),
        (Code::ManifestMalformed, 6, 1),
        (Code::ManifestUnknownKey, 7, 1),
        (Code::ManifestMalformed, 10, 9),
        (Code::ScopeMalformed, 11, 15),
    ];
    let mut found = problems(text);
    // The place of a table without a header line of its own is the parser's affair.
    found.retain(|problem| expected.contains(problem));
    assert_eq!(found, expected, "{:#?}", Manifest::parse(text).unwrap_err().problems);

    let refusal: Refusal = Manifest::parse(text).unwrap_err().into();
    assert_eq!(refusal.code, Code::ManifestMalformed);
    assert!(refusal.message.starts_with("`pack.toml` line 2, column 6: "), "{}", refusal.message);
}

#[test]
fn missing_parts_are_named() {
    for (from, to, part) in [
        ("id = \"acme:notes\"", "", "`id`"),
        ("version = \"1.4.2\"", "", "`version`"),
        ("effect = \"read\"", "", "`effect`"),
        ("[operations.\"notes.draft\"]", "[capabilities]\n[ignored]", "no operation"),
    ] {
        let error = Manifest::parse(&with(from, to)).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(Manifest::parse("").unwrap_err().to_string().contains("[pack]"));
}

#[test]
fn limits_are_quantities_within_the_ceiling() {
    for (from, good) in
        [("\"2G\"", "\"1000G\""), ("\"64MiB\"", "\"1GiB\""), ("\"10s\"", "\"10m\""), ("\"4MiB\"", "\"1B\"")]
    {
        assert!(Manifest::parse(&with(from, good)).is_ok(), "{good}");
    }
    for (from, bad) in [
        ("\"2G\"", "\"1001G\""),
        ("\"2G\"", "\"0\""),
        ("\"2G\"", "2000"),
        ("\"2G\"", "\"2g\""),
        ("\"64MiB\"", "\"2GiB\""),
        ("\"10s\"", "\"11m\""),
        ("\"10s\"", "\"10\""),
        ("\"4MiB\"", "\"99999999999999999999\""),
    ] {
        assert_eq!(only(&with(from, bad)).code, Code::ManifestMalformed, "{bad}");
    }
}

#[test]
fn requests_have_the_form_of_their_capability() {
    for good in ["clock = true", "random = true", "artifacts = true", "files-write = [\"workspace:docs/**\"]"]
    {
        assert!(Manifest::parse(&format!("{MANIFEST_TEXT}{good}\n")).is_ok(), "{good}");
    }
    for bad in [
        "clock = false",
        "clock = []",
        "files-write = []",
        "files-write = true",
        "files-write = [1]",
        "log = true",
    ] {
        assert_eq!(only(&format!("{MANIFEST_TEXT}{bad}\n")).code, Code::ManifestMalformed, "{bad}");
    }
    assert_eq!(only(&with("workspace:**", "workspace")).code, Code::ScopeMalformed);
}

/// A command is a table or the text that a grant has; both are the same scope.
#[test]
fn commands_are_tables_or_texts() {
    let of = |list: &str| with("[capabilities]\n", &format!("[capabilities]\nexec = [{list}]\n"));
    let scopes = |list: &str| -> Vec<String> {
        let manifest = Manifest::parse(&of(list)).unwrap();
        manifest.request.scopes(Capability::Exec).iter().map(Scope::to_string).collect()
    };
    let git = "{ program = \"git\", args = [\"log\", \"--oneline\", \"*\"] }";
    assert_eq!(scopes(git), ["workspace:git log --oneline *"]);
    assert_eq!(scopes("\"git log --oneline *\""), scopes(git));
    let all = "{ program = \"date\", root = \"other\", env = [\"TZ={word}\"], args = [\"'a b'\", \"**\"] }";
    assert_eq!(scopes(all), ["other:TZ={word} date 'a b' **"]);
    assert_eq!(scopes("\"workspace:*\", { program = \"true\" }"), ["workspace:*", "workspace:true"]);
    for (list, code, message) in [
        ("{ args = [] }", Code::ManifestMalformed, "a command has no `program`"),
        ("{ program = \"git\", arg = [] }", Code::ManifestUnknownKey, "unknown key `arg`"),
        ("{ program = \"git\", args = \"log\" }", Code::ManifestMalformed, "`args` must be a list"),
        ("{ program = 1 }", Code::ManifestMalformed, "`program` must be a text in quotes"),
        ("{ program = \"/bin/git\" }", Code::ScopeMalformed, "expected the name of a program"),
        ("{ program = \"sh\", args = [\"*\"] }", Code::ScopeMalformed, "`sh` runs what its arguments say"),
        ("{ program = \"git\", args = [\"log *\"] }", Code::ScopeMalformed, "a word has white space"),
        ("{ program = \"date\", env = [\"LD_PRELOAD=x\"] }", Code::ScopeMalformed, "cannot be set"),
    ] {
        let problem = only(&of(list));
        assert_eq!(problem.code, code, "{list}");
        assert!(problem.message.contains(message), "{list}: {}", problem.message);
    }
    // Of another capability it is no scope.
    let paths = with("files-read = [", "files-read = [{ program = \"git\" }, ");
    assert!(Manifest::parse(&paths).is_err());
}

#[test]
fn a_secret_is_asked_for_by_name_place_and_host() {
    let line = |line: &str| with("[capabilities]", &format!("[capabilities]\nsecrets = {line}"));
    let token =
        r#"{ name = "tok", as = "header:authorization", host = "api.example.com", prefix = "Bearer " }"#;
    let manifest = Manifest::parse(&line(&format!("[{token}]"))).unwrap();
    let scopes: Vec<_> =
        manifest.request.scopes(Capability::Secrets).iter().map(ToString::to_string).collect();
    assert_eq!(scopes, ["tok@api.example.com:header:authorization=\"Bearer \""]);
    for (bad, code) in [
        ("true", Code::ManifestMalformed),
        ("[]", Code::ManifestMalformed),
        ("[\"tok@api.example.com:header:x\"]", Code::ManifestMalformed),
        ("[{ name = \"tok\", host = \"a.b\" }]", Code::ManifestMalformed),
        ("[{ name = \"tok\", as = \"header:x\", host = \"a.b\", when = \"now\" }]", Code::ManifestUnknownKey),
        ("[{ name = \"Tok\", as = \"header:x\", host = \"a.b\" }]", Code::ScopeMalformed),
        ("[{ name = \"tok\", as = \"query:x\", host = \"a.b\" }]", Code::ScopeMalformed),
        ("[{ name = \"tok\", as = \"header:x\", host = \"*.b\" }]", Code::ScopeMalformed),
        // No part can be mistaken for another.
        ("[{ name = \"tok@c.d:header:x=\\\"\", as = \"header:x\", host = \"a.b\" }]", Code::ScopeMalformed),
        ("[{ name = \"tok\", as = \"header:x\", host = \"c.d:header:y\" }]", Code::ScopeMalformed),
    ] {
        assert_eq!(only(&line(bad)).code, code, "{bad}");
    }
}

#[test]
fn operations_are_named_in_quotes() {
    assert_eq!(only(&with("\"notes.draft\"", "\"notes/draft\"")).code, Code::ManifestMalformed);
    let problem = only(&with("[operations.\"notes.draft\"]", "[operations.notes.draft]"));
    assert!(problem.hint.unwrap().contains("quotes"));
}

#[test]
fn prose_is_one_line_that_fits_on_a_screen() {
    let described = |text: &str| with("[pack]\n", &format!("[pack]\ndescription = \"{text}\"\n"));
    assert!(Manifest::parse(&described(&"\u{e9}".repeat(PROSE_CHARS_MAX))).is_ok());
    let long = only(&described(&"\u{e9}".repeat(PROSE_CHARS_MAX + 1)));
    assert!(long.message.contains("one line of at most 500 characters"), "{}", long.message);
    assert_eq!(only(&described("two\\nlines")).code, Code::ManifestMalformed);
}

#[test]
fn no_more_problems_are_told_than_people_read() {
    let wrong = |count: usize| -> String { (0..count).map(|n| format!("wrong-{n} = 1\n")).collect() };
    for (count, told) in [(63, 63), (64, 64), (65, 64)] {
        assert_eq!(problems(&format!("{}{MANIFEST_TEXT}", wrong(count))).len(), told);
    }
}

#[test]
fn a_large_or_deep_manifest_is_refused() {
    let long = format!("{MANIFEST_TEXT}#{}\n", "x".repeat(256 << 10));
    assert_eq!(problems(&long)[0].0, Code::ManifestMalformed);
    let deep = format!("{MANIFEST_TEXT}clock = {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    assert!(Manifest::parse(&deep).is_err());
    let dotted = format!("{}x = 1\n", "a.".repeat(100_000));
    assert!(Manifest::parse(&dotted).is_err());
    let tables = format!("[{}a]\n", "a.".repeat(100_000));
    assert!(Manifest::parse(&tables).is_err());
}

proptest! {
    #[test]
    fn hostile_text_never_panics(text: String) {
        prop_assert!(Manifest::parse(&text).is_err());
    }

    #[test]
    fn hostile_toml_never_panics(text in "[\\[\\]{}=.,\"'\\n# a-c0-9_-]{0,80}") {
        prop_assert!(Manifest::parse(&text).is_err());
    }

    #[test]
    fn a_damaged_manifest_never_panics(at: proptest::sample::Index, cut in 0..20_usize, put in "[\\[\\]{}=.,\"'\\n a-c]{0,6}") {
        let start = at.index(MANIFEST_TEXT.len());
        let end = (start + cut).min(MANIFEST_TEXT.len());
        drop(Manifest::parse(&format!("{}{put}{}", &MANIFEST_TEXT[..start], &MANIFEST_TEXT[end..])));
    }
}
