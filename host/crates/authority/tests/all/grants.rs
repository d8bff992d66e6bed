//! Requests, grants, and the text of `grants.toml`.

use authority::{
    Grant, Grants, ParseGrantError, Request, RequestError, SCOPES_MAX, Scope, Terms, grant_command,
};
use base::{Capability, Code, PackId, Refusal};
use proptest::collection::vec;
use proptest::prelude::*;

fn pack() -> PackId {
    "acme:notes".parse().unwrap()
}

fn grant(text: &str) -> Grant {
    Grant::parse(&pack(), text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn scope(text: &str) -> Scope {
    Scope::parse(Capability::FilesRead, text).unwrap()
}

#[test]
fn the_command_line_form_reads_and_prints() {
    for text in ["files-read=workspace:**", "files-write=workspace:a=b.md", "clock", "random", "artifacts"] {
        assert_eq!(grant(text).arguments(), [text]);
    }
    let parse = |text| Grant::parse(&pack(), text).unwrap_err();
    assert_eq!(parse("files-read"), RequestError::MissingScope(Capability::FilesRead).into());
    assert_eq!(parse("clock=workspace:**"), RequestError::UnexpectedScope(Capability::Clock).into());
    assert_eq!(parse("log"), RequestError::NotNeeded(Capability::Log).into());
    assert!(matches!(parse("files-read="), ParseGrantError::Scope(_)));
    assert!(matches!(parse("files-read=**"), ParseGrantError::Scope(_)));
    let ParseGrantError::UnknownCapability { text, suggestion } = parse("file-read=workspace:**") else {
        panic!()
    };
    assert_eq!((text.as_str(), suggestion), ("file-read", Some(Capability::FilesRead)));
    assert!(matches!(parse(""), ParseGrantError::UnknownCapability { suggestion: None, .. }));
}

#[test]
fn a_request_takes_scopes_exactly_where_they_belong() {
    let mut request = Request::new();
    let all = || [scope("workspace:**")];
    assert_eq!(
        request.insert(Capability::FilesRead, []),
        Err(RequestError::MissingScope(Capability::FilesRead))
    );
    assert_eq!(
        request.insert(Capability::Clock, all()),
        Err(RequestError::UnexpectedScope(Capability::Clock))
    );
    assert_eq!(request.insert(Capability::Log, []), Err(RequestError::NotNeeded(Capability::Log)));
    assert!(request.is_empty());
    request.insert(Capability::Clock, []).unwrap();
    let scopes = |count: usize| (0..count).map(|n| scope(&format!("workspace:{n}")));
    request.insert(Capability::FilesRead, scopes(SCOPES_MAX)).unwrap();
    assert_eq!(
        request.insert(Capability::FilesRead, scopes(SCOPES_MAX + 1)),
        Err(RequestError::TooManyScopes(Capability::FilesRead))
    );
    assert_eq!(request.scopes(Capability::FilesRead).len(), SCOPES_MAX);
    assert!(request.contains(Capability::Clock) && !request.contains(Capability::Random));
}

#[test]
fn what_grew_is_what_was_not_asked_for_before() {
    let request = |entries: &[(Capability, &[&str])]| {
        let mut request = Request::new();
        for (capability, scopes) in entries {
            request.insert(*capability, scopes.iter().map(|text| scope(text))).unwrap();
        }
        request
    };
    let old = request(&[(Capability::FilesRead, &["workspace:a", "workspace:b"]), (Capability::Random, &[])]);
    let new = request(&[(Capability::FilesRead, &["workspace:b", "workspace:c"]), (Capability::Clock, &[])]);
    assert_eq!(
        new.beyond(&old),
        request(&[(Capability::FilesRead, &["workspace:c"]), (Capability::Clock, &[])])
    );
    assert!(new.beyond(&new).is_empty());
    assert_eq!(new.beyond(&Request::new()), new);
}

#[test]
fn a_grant_that_gives_nothing_is_told_apart() {
    let mut request = Request::new();
    request.insert(Capability::FilesWrite, [scope("workspace:docs/**")]).unwrap();
    for good in ["files-write=workspace:docs/a.md", "files-write=workspace:**", "files-write=workspace:docs"]
    {
        assert_eq!(grant(good).check_requested(&request), Ok(()), "{good}");
    }
    let refused = |text| grant(text).check_requested(&request).unwrap_err().to_string();
    assert_eq!(refused("clock"), "`acme:notes` does not request `clock`");
    assert_eq!(refused("files-read=workspace:docs/a.md"), "`acme:notes` does not request `files-read`");
    assert_eq!(
        refused("files-write=workspace:src/a.rs"),
        "`acme:notes` does not request `files-write` of `workspace:src/a.rs`"
    );
    assert_eq!(
        refused("files-write=workspace:.git/**"),
        "`acme:notes` does not request `files-write` of `workspace:.git/**`"
    );
    assert_eq!(
        refused("files-write=other:docs/**"),
        "`acme:notes` does not request `files-write` of `other:docs/**`"
    );
}

#[test]
fn grants_add_up_and_are_taken_back() {
    let mut grants = Grants::new();
    assert!(grants.add(grant("files-read=workspace:a")));
    assert!(grants.add(grant("files-read=workspace:b")));
    assert!(!grants.add(grant("files-read=workspace:a")), "it is there already");
    assert!(grants.add(grant("clock")) && !grants.add(grant("clock")));
    assert_eq!(grants.of_pack(&pack()).len(), 2);
    assert!(grants.of_pack(&"acme:other".parse().unwrap()).is_empty());
    assert!(!grants.remove(&grant("files-read=workspace:c")));
    assert!(grants.remove(&grant("files-read=workspace:a")));
    assert_eq!(grants.of_pack(&pack())[0].arguments(), ["files-read=workspace:b"]);
    assert!(grants.remove(&grant("files-read=workspace:b")));
    assert!(grants.remove(&grant("clock")) && !grants.remove(&grant("clock")));
    assert!(grants.is_empty(), "no empty entry stays behind");

    grants.add(grant("files-read=workspace:a"));
    let whole = Grant { scopes: vec![], ..grant("files-read=workspace:x") };
    assert!(grants.remove(&whole) && grants.is_empty());
}

const TEXT: &str = "\
[[grant]]
pack = \"acme:notes\"
capability = \"files-read\"
scope = [\"workspace:**\", \"workspace:.git/config\"]

[[grant]]
pack = \"acme:notes\"
capability = \"clock\"
";

#[test]
fn the_file_reads_and_prints() {
    let grants = Grants::parse_toml(TEXT).unwrap();
    let read: Vec<_> = grants.of_pack(&pack()).iter().flat_map(Grant::arguments).collect();
    assert_eq!(read, ["files-read=workspace:**", "files-read=workspace:.git/config", "clock"]);
    assert_eq!(grants.to_toml(), TEXT);
    assert_eq!(Grants::parse_toml("").unwrap(), Grants::new());
    assert_eq!(Grants::parse_toml("# nothing yet\n").unwrap().to_toml(), "");
}

#[test]
fn a_wrong_file_is_refused_with_its_line() {
    let head = "# grants\n[[grant]]\npack = \"acme:notes\"\n";
    let cases: &[(&str, usize, &str)] = &[
        ("grant = 1", 1, "`grant` must be an array of tables"),
        ("grant = [1]", 1, "`grant` must be an array of tables"),
        ("[grant]\npack = \"a:b\"", 1, "`grant` must be an array of tables"),
        ("\n[[grants]]\n", 2, "unknown key `grants`"),
        ("version = 1", 1, "unknown key `version`"),
        ("[[grant]]\npack = ", 2, ""),
        ("\n\nx", 3, ""),
        (&format!("{head}capability = \"clock\"\nscop = []"), 5, "unknown key `scop`"),
        (&format!("{head}pack = \"acme:notes\""), 4, "duplicate key"),
        (head, 2, "a grant needs `capability`"),
        ("[[grant]]\ncapability = \"clock\"", 1, "a grant needs `pack`"),
        ("[[grant]]\ncapability = \"clock\"\npack = \"notes\"", 3, "`notes` is not a pack name"),
        ("[[grant]]\ncapability = \"clock\"\npack = 3", 3, "expected a string, found integer"),
        (&format!("{head}capability = \"clok\""), 4, "unknown capability `clok`"),
        (&format!("{head}capability = \"log\""), 4, "`log` needs no request and no grant"),
        (&format!("{head}capability = \"files-read\""), 4, "`files-read` needs at least one scope"),
        (
            &format!("{head}capability = \"files-read\"\nscope = []"),
            5,
            "`files-read` needs at least one scope",
        ),
        (&format!("{head}capability = \"clock\"\nscope = [\"workspace:a\"]"), 5, "`clock` has no scopes"),
        (
            &format!("{head}capability = \"files-read\"\nscope = \"workspace:a\""),
            5,
            "`scope` must be an array",
        ),
        (
            &format!("{head}capability = \"files-read\"\nscope = [\n\"workspace:a\",\n\"b\"]"),
            7,
            "`b` is not a scope",
        ),
        (&format!("{head}capability = \"files-read\"\nscope = [1]"), 5, "expected a string, found integer"),
    ];
    for (text, line, message) in cases {
        let error = Grants::parse_toml(text).unwrap_err();
        assert_eq!(error.line, *line, "{text}: {error}");
        assert!(error.message.starts_with(message), "{text}: {error}");
        assert!(!error.message.contains('\n') && !error.message.is_empty(), "{error:?}");
    }
    let hint = |text: &str| Grants::parse_toml(text).unwrap_err().hint;
    assert_eq!(hint("[[grants]]").as_deref(), Some("did you mean `grant`?"));
    assert_eq!(hint(&format!("{head}capability = \"clok\"")).as_deref(), Some("did you mean `clock`?"));
    assert_eq!(hint(&format!("{head}capability = \"clock\"\nroots = 1")), None);
}

#[test]
fn a_printed_command_survives_a_shell() {
    let command = |grant| grant_command(&pack(), grant);
    assert_eq!(command("clock"), "capstan grant add acme:notes clock");
    assert_eq!(
        command("files-read=workspace:docs/a.md"),
        "capstan grant add acme:notes files-read=workspace:docs/a.md"
    );
    assert_eq!(command("files-read=workspace:**"), "capstan grant add acme:notes 'files-read=workspace:**'");
    assert_eq!(
        command("files-read=w:it's $HOME"),
        r"capstan grant add acme:notes 'files-read=w:it'\''s $HOME'"
    );
}

proptest! {
    #[test]
    fn no_text_panics_the_readers(text in any::<String>(), pieces in vec(prop::sample::select(vec![
        "[[grant]]\n", "[grant]\n", "pack", " = ", "\"a:b\"", "'", "\"\"\"", "scope", "[", "]", ",", "\n", "capability",
        "\"files-read\"", "\"r:**\"", "{", "}", ".", "1", "\u{feff}",
    ]), 0..24)) {
        for text in [text, pieces.concat()] {
            drop(Grant::parse(&pack(), &text));
            if let Ok(grants) = Grants::parse_toml(&text) {
                prop_assert_eq!(Grants::parse_toml(&grants.to_toml()), Ok(grants));
            }
        }
    }

    #[test]
    fn the_file_reads_back(entries in vec(("[a-c]:[a-c]", 0..Capability::ALL.len(), vec("[a-b\"'\\\\ #=é.]{1,8}", 1..4)), 0..8)) {
        let mut grants = Grants::new();
        for (pack, capability, globs) in entries {
            let capability = Capability::ALL[capability];
            let text = |glob: &String| match capability.scope_kind() {
                Some(base::ScopeKind::Url) => format!("https://a.b/{glob}"),
                Some(base::ScopeKind::Secret) => format!("{glob}@a.b:header:{glob}"),
                Some(base::ScopeKind::Model) => glob.clone(),
                _ => format!("workspace:{glob}"),
            };
            let scopes = globs.iter().filter_map(|glob| Scope::parse(capability, &text(glob)).ok());
            let scopes: Vec<_> = scopes.filter(|_| capability.has_scope()).collect();
            if capability.has_scope() != scopes.is_empty() {
                grants.add(Grant { pack: pack.parse().unwrap(), capability, scopes, terms: Terms::default() });
            }
        }
        prop_assert_eq!(Grants::parse_toml(&grants.to_toml()), Ok(grants));
    }
}

#[test]
fn deep_nesting_is_an_error() {
    assert!(Grants::parse_toml(&format!("grant = {}", "[".repeat(100_000))).is_err());
    assert!(Grants::parse_toml(&format!("grant = {}", "{a=".repeat(100_000))).is_err());
    assert!(Grants::parse_toml(&format!("[{}a]", "a.".repeat(100_000))).is_err());
}

#[test]
fn each_error_has_its_code_and_hint() {
    let refusal = |text: &str| Refusal::from(Grant::parse(&pack(), text).unwrap_err());
    assert_eq!(refusal("files-read=workspace:[a]").code, Code::ScopeMalformed);
    assert_eq!(refusal("files-read").code, Code::GrantMalformed);
    let unknown = refusal("clok");
    assert_eq!(
        (unknown.code, unknown.hints),
        (Code::GrantMalformed, vec!["did you mean `clock`?".to_owned()])
    );
    let file = Refusal::from(Grants::parse_toml("\n[[grants]]").unwrap_err());
    assert_eq!(
        (file.code, file.message.as_str()),
        (Code::GrantMalformed, "`grants.toml`, line 2: unknown key `grants`")
    );
    assert_eq!(file.hints, ["did you mean `grant`?"]);
    let exceeds = grant("clock").check_requested(&Request::new()).unwrap_err();
    assert_eq!(Refusal::from(exceeds).code, Code::GrantExceedsRequest);
}

#[test]
fn no_grant_is_kept_that_could_not_be_read_back() {
    let mut grants = Grants::new();
    let made = |capability, scopes| Grant { pack: pack(), capability, scopes, terms: Terms::default() };
    assert!(!grants.add(made(Capability::FilesRead, vec![])));
    assert!(!grants.add(made(Capability::Clock, vec![scope("workspace:a")])));
    assert!(!grants.add(made(Capability::Log, vec![])));
    assert!(grants.is_empty());
    // More scopes than a request may hold are the operator's own affair.
    let many = (0..=SCOPES_MAX).map(|n| scope(&format!("workspace:{n}"))).collect();
    assert!(grants.add(made(Capability::FilesRead, many)));
    assert_eq!(Grants::parse_toml(&grants.to_toml()), Ok(grants));
}
