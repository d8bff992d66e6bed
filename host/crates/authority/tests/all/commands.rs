//! Scopes of commands: what they hold, how they are spelt, and what cannot be granted.

use authority::{
    Authority, Ceiling, DeniedReason, ExecCall, ExecParts, ExecScope, Grant, Grants, ParseScopeError,
    Request, RequestError, Scope, ScopeErrorReason, Terms,
};
use base::{Capability, Digest, Effect, PackId, RootName};

use crate::terms::{NOW, signer};
use proptest::collection::vec;
use proptest::prelude::*;

fn scope(text: &str) -> ExecScope {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    let error: Result<ExecScope, ParseScopeError> = text.parse();
    error.unwrap_err().reason.to_string()
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn holds(scope: &ExecScope, root: &str, program: &str, arguments: &[&str]) -> bool {
    let (root, arguments): (RootName, _) = (root.parse().unwrap(), owned(arguments));
    scope.matches(&ExecCall { root: &root, program, arguments: &arguments, variables: &[] })
}

#[test]
fn a_scope_is_spelt_in_one_way() {
    for (text, canonical) in [
        ("git log --oneline *", "workspace:git log --oneline *"),
        ("workspace:  git   log  ", "workspace:git log"),
        ("other:git log **", "other:git log **"),
        ("git log 'a b' '' '*' \\'", "workspace:git log 'a b' '' '*' ''\\'''"),
        ("git log 'a''b'c", "workspace:git log abc"),
        ("git log --max-count={int} {path}", "workspace:git log --max-count={int} {path}"),
        ("TZ=UTC A_1={word} ls", "workspace:TZ=UTC A_1={word} ls"),
        ("ls a:b 'c:d'", "workspace:ls a:b c:d"),
        ("workspace:*", "workspace:*"),
    ] {
        assert_eq!(scope(text).to_string(), canonical);
        assert_eq!(scope(canonical).to_string(), canonical);
    }
    let digest = Digest::of(b"x");
    assert_eq!(scope(&format!("ls@{digest} a")).digest(), Some(digest));
    assert_eq!(scope(&format!("ls@{digest} a")).to_string(), format!("workspace:ls@{digest} a"));
}

#[test]
fn what_is_no_scope_says_why() {
    for (text, why) in [
        ("", "expected the name of a program"),
        ("workspace:", "expected the name of a program"),
        ("/bin/ls", "expected the name of a program"),
        ("./ls", "expected the name of a program"),
        ("-ls", "expected the name of a program"),
        ("* log", "expected the name of a program"),
        ("ls@sha256:12", "64 hex digits"),
        ("ls 'a", "not closed"),
        ("ls a*", "words of their own"),
        ("ls ** a", "must be the last word"),
        ("ls {int}a", "nothing behind it"),
        ("ls {file}", "expected `{int}`"),
        ("ls $HOME", "between `'` quotes"),
        ("ls \"a\"", "between `'` quotes"),
        ("ls ü", "between `'` quotes"),
        ("ls 'a\u{1b}'", "control character"),
        ("ls\ta", "expected the name of a program"),
        ("A=** ls", "must be the last word"),
        ("A=1 A=2 ls", "occurs twice"),
        (&"x ".repeat(200), "longer than"),
        (&format!("ls {}", "x".repeat(5000)), "longer than"),
    ] {
        assert!(refused(text).contains(why), "{text}: {}", refused(text));
    }
}

/// What decides what a program loads or runs is never a call's to set.
#[test]
fn no_dangerous_variable_is_in_a_scope() {
    for name in [
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "PATH",
        "HOME",
        "IFS",
        "BASH_ENV",
        "GIT_SSH_COMMAND",
        "GIT_DIR",
        "PAGER",
        "EDITOR",
        "PYTHONPATH",
        "PERL5LIB",
        "NODE_OPTIONS",
        "RUBYOPT",
        "GLIBC_TUNABLES",
        "HTTPS_PROXY",
        "LESSOPEN",
        "MAN_PAGER",
        "SUDO_ASKPASS",
        "_",
        "RUSTC_WRAPPER",
        "CARGO_HOME",
        "XDG_CONFIG_HOME",
    ] {
        assert!(refused(&format!("{name}=1 ls")).contains("cannot be set"), "{name}");
    }
    for name in ["TZ", "LC_ALL", "COLUMNS", "SOURCE_DATE_EPOCH", "NO_COLOR"] {
        scope(&format!("{name}=1 ls"));
    }
}

#[test]
fn what_is_run_is_literal() {
    for text in [
        "sh *",
        "bash -c *",
        "python3.12 {path}",
        "env **",
        "xargs {word}",
        "ssh *",
        "awk *",
        "sed -n {word}",
        "git *",
        "git **",
        "tar * a",
        "cargo {word}",
        "git -c * log",
        "git --exec-path={path} log",
        "git grep -O{word} x",
        "git clone --upload-pack *",
        "git clone --upload *",
        "tar xf a --to-command {word}",
        "tar xf a --to-command={word}",
        "tar xf a --to-com={word}",
        "tar -xIf {word} a",
        "tar c -I * a",
        "find {path} -exec rm *",
        "find {path} -exec rm '{}' + {path}",
        "find . -execdir *",
        "rsync -e * a b",
        "sort --compress-program={word}",
        "rg --pre {word} x",
    ] {
        assert!(refused(text).contains("no `*` or other slot"), "{text}");
    }
    for text in [
        "sh -c 'echo a'",
        "python3 tools/x.py",
        "git log *",
        "git -c core.pager=cat log *",
        "tar tf {path}",
        "tar xf {path} -I zstd",
        "find {path} -name *",
        "find . -exec wc -l '{}' +",
        "rsync -e ssh {path} {path}",
    ] {
        scope(text);
    }
}

#[test]
fn slots_take_what_they_say_on_both_sides() {
    let long = "x".repeat(257);
    for (slot, inside, outside) in [
        ("*", &["a", "a b", "ü\n", "+x", "@file", "~"][..], &["", "-", "-x", "--", "a\0b"][..]),
        (
            "{int}",
            &["0", "007", "123456789012345678"],
            &["", "-1", "+1", "1.0", "0x1", "١", "1234567890123456789"],
        ),
        ("{word}", &["a", "v1.2-rc_3", "..", &long[1..]], &["", "-a", "a b", "a/b", "ü", &long]),
        ("{path}", &["a", "a/b.c", ".git", "a b"], &["", "/a", "../a", "a/../b", "./a", "a//b", "a/", "-a"]),
        ("-n{int}", &["-n1"], &["-n", "-n-1", "1", "-m1"]),
        ("'a b'", &["a b"], &["a", "'a b'", "a b "]),
    ] {
        let scope = scope(&format!("ls {slot}"));
        for text in inside {
            assert!(holds(&scope, "workspace", "ls", &[text]), "{slot} {text:?}");
        }
        for text in outside {
            assert!(!holds(&scope, "workspace", "ls", &[text]), "{slot} {text:?}");
        }
    }
    let rest = scope("ls a **");
    for arguments in [&["a"][..], &["a", "b"], &["a", "b", "c d"]] {
        assert!(holds(&rest, "workspace", "ls", arguments), "{arguments:?}");
    }
    for arguments in [&[][..], &["b"], &["a", "-b"], &["a", "b", "-c"], &["a", ""]] {
        assert!(!holds(&rest, "workspace", "ls", arguments), "{arguments:?}");
    }
    assert!(!holds(&rest, "other", "ls", &["a"]));
    assert!(!holds(&rest, "workspace", "lsx", &["a"]));
    let many: Vec<_> = std::iter::repeat_n("a", 1025).collect();
    assert!(holds(&rest, "workspace", "ls", &many[..1024]));
    assert!(!holds(&rest, "workspace", "ls", &many));
}

#[test]
fn a_manifest_spells_the_same_in_parts() {
    let parts =
        ExecParts { root: None, variables: &["TZ=UTC"], program: "git", arguments: &["log", "*", "'*'"] };
    assert_eq!(ExecScope::of_parts(&parts).unwrap(), scope("TZ=UTC git log * '*'"));
    assert_eq!(
        ExecScope::of_parts(&ExecParts { root: Some("other"), ..parts }).unwrap(),
        scope("other:TZ=UTC git log * '*'")
    );
    for parts in [
        ExecParts { arguments: &["log x"], ..parts },
        ExecParts { arguments: &[""], ..parts },
        ExecParts { arguments: &["**", "x"], ..parts },
        ExecParts { variables: &["tz=UTC"], ..parts },
        ExecParts { variables: &["TZ"], ..parts },
        ExecParts { program: "git@sha256:1", ..parts },
        ExecParts { root: Some("A"), ..parts },
    ] {
        let error = ExecScope::of_parts(&parts).unwrap_err();
        assert!(matches!(error.reason, ScopeErrorReason::Command(_)), "{error}");
    }
}

#[test]
fn only_a_request_has_every_command_and_only_a_grant_a_digest() {
    let pack: PackId = "acme:notes".parse().unwrap();
    let pinned = format!("workspace:ls@{}", Digest::of(b"x"));
    let mut request = Request::new();
    let any = || Scope::parse(Capability::Exec, "workspace:*").unwrap();
    request.insert(Capability::Exec, [any()]).unwrap();
    let digest = request.insert(Capability::Exec, [Scope::parse(Capability::Exec, &pinned).unwrap()]);
    assert_eq!(digest, Err(RequestError::DigestInRequest(Capability::Exec)));
    assert!(Grant::parse(&pack, &format!("exec={pinned}")).is_ok());
    assert!(Grant::parse(&pack, "exec=workspace:*").is_err());
    assert!(!Grants::new().add(Grant {
        pack: pack.clone(),
        capability: Capability::Exec,
        scopes: vec![any()],
        terms: Terms::default(),
    }));
    let text = "[[grant]]\npack = \"acme:notes\"\ncapability = \"exec\"\nscope = [\"workspace:*\"]\n";
    assert!(Grants::parse_toml(text).is_err());
    assert!(Grants::parse_toml(&text.replace('*', "ls *")).is_ok());
}

#[test]
fn both_sides_hold_what_is_run_and_pins_add_up() {
    let pack: PackId = "acme:notes".parse().unwrap();
    let root: RootName = "workspace".parse().unwrap();
    let authority = |grants: &[&str]| {
        let mut request = Request::new();
        request.insert(Capability::Exec, [Scope::parse(Capability::Exec, "git log **").unwrap()]).unwrap();
        let mut all = Grants::new();
        for grant in grants {
            all.add(Grant::parse(&pack, grant).unwrap().to_signer(signer()));
        }
        Authority::of(&request, &all.in_force(&pack, &signer(), NOW), &Ceiling::none(), Effect::Read)
    };
    let run = |authority: &Authority, arguments: &[&str]| {
        let arguments = owned(arguments);
        let call = ExecCall { root: &root, program: "git", arguments: &arguments, variables: &[] };
        authority.permits_exec(&call)
    };
    let wide = authority(&["exec=git log a *"]);
    assert_eq!(run(&wide, &["log", "a", "b"]), Ok(None));
    let denied = run(&wide, &["log", "b"]).unwrap_err();
    assert_eq!(denied.reason, DeniedReason::OutOfScope);
    assert_eq!(denied.grant.as_deref(), Some("exec=workspace:git log b"));
    let denied = run(&wide, &["log", "-p"]).unwrap_err();
    assert_eq!((denied.reason, denied.grant), (DeniedReason::NotRequested, None));
    assert_eq!(run(&authority(&[]), &["log", "b"]).unwrap_err().reason, DeniedReason::NotGranted);
    let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
    let pins = [format!("exec=git@{one} log a"), format!("exec=git@{two} log *")];
    let pinned = authority(&[&pins[0], &pins[1]]);
    assert_eq!(run(&pinned, &["log", "a"]), Ok(Some(vec![one, two])));
    assert_eq!(run(&pinned, &["log", "b"]), Ok(Some(vec![two])));
    assert_eq!(run(&authority(&[&pins[0], "exec=git log a"]), &["log", "a"]), Ok(None));
}

#[test]
fn a_grant_that_meets_nothing_asked_for_is_refused() {
    let pack: PackId = "acme:notes".parse().unwrap();
    let mut request = Request::new();
    request
        .insert(Capability::Exec, [Scope::parse(Capability::Exec, "git log --n={int} *").unwrap()])
        .unwrap();
    for (text, meets) in [
        ("git log --n=3 a", true),
        ("git log --n=3 **", true),
        ("git log --n={int} {path}", true),
        ("git log **", true),
        ("git log --n=x a", false),
        ("git log --n=3", false),
        ("git log --n=3 a b", false),
        ("git log --n=3 -a", false),
        ("ls log --n=3 a", false),
        ("other:git log --n=3 a", false),
    ] {
        let grant = Grant::parse(&pack, &format!("exec={text}")).unwrap();
        assert_eq!(grant.check_requested(&request).is_ok(), meets, "{text}");
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,12}", "[a'\\\\*{} $é=:@-]{0,10}", "\\PC{0,8}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// No text makes it panic, and what it reads it writes and reads again.
    #[test]
    fn a_scope_reads_back(text in "[a-z:@A-Z='\\\\*{} /.-]{0,40}") {
        if let Ok(scope) = text.parse::<ExecScope>() {
            let again: ExecScope = scope.to_string().parse().unwrap();
            prop_assert_eq!(again.to_string(), scope.to_string());
        }
    }

    /// Every call that can be spelt has a scope that holds it and nothing beside it.
    #[test]
    fn the_narrowest_scope_holds_one_call(arguments in vec(text(), 0..5), other in text(), at in 0..5_usize) {
        let root: RootName = "workspace".parse().unwrap();
        let call = ExecCall { root: &root, program: "ls", arguments: &arguments, variables: &[] };
        let Some(scope) = ExecScope::of_call(&call) else {
            prop_assert!(arguments.iter().any(|text| text.contains(char::is_control)));
            return Ok(());
        };
        let scope: ExecScope = scope.to_string().parse().unwrap();
        prop_assert!(scope.matches(&call));
        let mut changed = arguments.clone();
        match changed.get_mut(at) {
            Some(argument) => *argument = other,
            None => changed.push(other),
        }
        let call = ExecCall { arguments: &changed, ..call };
        prop_assert_eq!(scope.matches(&call), changed == arguments);
    }
}
