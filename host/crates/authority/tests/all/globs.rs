//! Scopes: grammar, matching, pruning, cost.

use authority::{GLOB_BYTES_MAX, GlobError, PathScope, ScopeErrorReason, check_path};
use base::RootName;
use proptest::collection::vec;
use proptest::prelude::*;

fn root() -> RootName {
    "workspace".parse().unwrap()
}

fn scope(glob: &str) -> PathScope {
    format!("workspace:{glob}").parse().unwrap_or_else(|error| panic!("{error}"))
}

fn reason(text: &str) -> ScopeErrorReason {
    text.parse::<PathScope>().expect_err(text).reason
}

#[test]
fn patterns_match_as_documented() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("a.md", &["a.md"], &["a.mdx", "xa.md", "A.md", "a/a.md", "b"]),
        ("*", &["a", "a.b", "é"], &["a/b", ".a"]),
        ("*.md", &["a.md", "b.c.md"], &[".md", "a.md.x", "d/a.md", "md"]),
        ("a*", &["a", "ab", "a.b"], &["b", "a/b"]),
        ("a?c", &["abc", "a.c", "aéc", "a😀c"], &["ac", "abbc", "a/c"]),
        ("**", &["a", "a/b", "a/b/c.md"], &[".a", "a/.b", ".a/b", "a/.b/c"]),
        ("docs/**", &["docs", "docs/a", "docs/a/b"], &["doc", "docsx", "docs/.a", "x/docs"]),
        ("**/*.rs", &["a.rs", "x/a.rs", "x/y/a.rs"], &["a.r", "x/.a.rs", ".x/a.rs"]),
        ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["a", "b", "a/b/c", "a/.x/b"]),
        ("**/**", &["a", "a/b"], &["a/.b"]),
        ("*.{md,txt}", &["a.md", "a.txt"], &["a.rs", "a.", "a.mdtxt", "a.{md,txt}"]),
        ("a{,.bak}", &["a", "a.bak"], &["a.b", "a.bak.bak"]),
        ("{a,b}/{c,*}", &["a/c", "b/d"], &["c/c", "a/.d"]),
        ("{src,doc?}/x", &["src/x", "docs/x"], &["doc/x", "docss/x"]),
        // The dot is matched where it is spelt, and nowhere else.
        (".*", &[".git", ".a", "..."], &["a", "a.b"]),
        (".git/**", &[".git", ".git/config"], &[".git/.x", "git"]),
        ("**/.env", &[".env", "a/.env"], &["env", ".a/.env"]),
        ("{.git,src}/*", &[".git/a", "src/a"], &[".src/a"]),
        ("{,*}.git", &["a.git", ".git"], &["git"]),
        ("*{.git}", &["a.git"], &[".git"]),
        ("?git", &["agit"], &[".git"]),
        // Ordinary characters.
        ("a,b", &["a,b"], &["a", "b"]),
        ("a\\b", &["a\\b"], &["a/b", "ab"]),
        ("a b:c=d", &["a b:c=d"], &["ab:c=d"]),
    ];
    for (glob, inside, outside) in cases {
        let scope = scope(glob);
        for path in *inside {
            assert!(scope.matches(&root(), path), "{glob} does not match {path}");
        }
        for path in *outside {
            assert!(!scope.matches(&root(), path), "{glob} matches {path}");
        }
    }
}

#[test]
fn only_its_own_root_and_only_proper_paths_are_in_a_scope() {
    let all = scope("**");
    assert!(all.matches(&root(), "a"));
    assert!(!all.matches(&"other".parse().unwrap(), "a"));
    assert!(!all.matches_prefix_dir(&"other".parse().unwrap(), ""));
    for path in ["", "/a", "a//b", "a/", "a/../b", "./a", "a\0", &"a".repeat(4097)] {
        assert!(!all.matches(&root(), path), "{path:?}");
    }
    // Nor below something that is no path.
    assert!(!all.matches_prefix_dir(&root(), "a/.."));
    assert!(!scope(".*/.*").matches(&root(), "../.."));
    assert!(
        scope(".*/x").matches_prefix_dir(&root(), ".a") && !scope(".*/x").matches_prefix_dir(&root(), "..")
    );
}

#[test]
fn the_grammar_is_refused_on_its_edges() {
    use GlobError as G;
    let glob = |text: &str| match reason(&format!("workspace:{text}")) {
        ScopeErrorReason::Glob(error) => error,
        other => panic!("{text}: {other}"),
    };
    assert_eq!(reason("workspace"), ScopeErrorReason::NoRoot);
    assert_eq!(reason(""), ScopeErrorReason::NoRoot);
    assert_eq!(reason(":a"), ScopeErrorReason::RootName);
    assert_eq!(reason("Work:a"), ScopeErrorReason::RootName);
    for text in ["", "/", "/a", "a/", "a//b"] {
        assert_eq!(glob(text), G::EmptySegment, "{text}");
    }
    for text in [".", "..", "a/../b", "./a"] {
        assert_eq!(glob(text), G::DotSegment, "{text}");
    }
    for text in ["a**", "**a", "***", "{**}", "a/**.rs", "{a,**}"] {
        assert_eq!(glob(text), G::PartialDoubleStar, "{text}");
    }
    for text in ["{a", "a}", "{a/b}", "a}{b", "{}}"] {
        assert_eq!(glob(text), G::UnpairedBrace, "{text}");
    }
    assert_eq!(glob("{a{b}}"), G::NestedBrace);
    for (text, c) in [("[a]", '['), ("a]", ']'), ("a\nb", '\n'), ("a\0", '\0'), ("a\u{85}", '\u{85}')] {
        assert_eq!(glob(text), G::Character(c), "{text:?}");
    }
    assert!(format!("workspace:{}", "a".repeat(GLOB_BYTES_MAX)).parse::<PathScope>().is_ok());
    assert_eq!(glob(&"a".repeat(GLOB_BYTES_MAX + 1)), G::TooLong);
    let shown = "workspace:a**".parse::<PathScope>().unwrap_err().to_string();
    assert_eq!(shown, "`workspace:a**` is not a scope: `**` must be a whole segment, as in `docs/**/*.md`");
    let shown = "workspace:[a]".parse::<PathScope>().unwrap_err().to_string();
    assert!(
        shown.ends_with("the pattern holds '['; only `*`, `?`, `**` and `{a,b}` are patterns"),
        "{shown}"
    );
}

#[test]
fn hostile_patterns_cost_no_more_than_honest_ones() {
    let path = "a/".repeat(2047) + "ab";
    let name = "a".repeat(4096);
    let hostile = [
        "**/".repeat(300) + "x",
        "**/a/".repeat(180) + "x",
        "*/**/".repeat(160) + "**/x",
        "*a".repeat(400) + "x",
        "?*".repeat(400) + "x",
        "{a,a}".repeat(180) + "x",
        "{*a,*,a*}".repeat(100) + "x",
        "{,*}".repeat(200) + "x",
        "{".to_owned() + &",".repeat(900) + "}x",
    ];
    for glob in hostile {
        let scope = scope(&glob);
        assert!(!scope.matches(&root(), &path), "{glob}");
        assert!(!scope.matches(&root(), &name), "{glob}");
        let _ = scope.matches_prefix_dir(&root(), &path);
    }
    // And they still match what they should.
    assert!(scope(&("**/".repeat(300) + "ab")).matches(&root(), &path));
    assert!(scope(&("*a".repeat(400))).matches(&root(), &name));
}

#[test]
fn literal_scopes_are_known_as_such() {
    assert!(scope("a/.b/c.md").is_literal());
    for glob in ["*", "a?", "a/**", "{a}", "a/{b,c}"] {
        assert!(!scope(glob).is_literal(), "{glob}");
    }
}

#[test]
fn pruning_keeps_every_folder_that_can_lead_somewhere() {
    let scope = scope("docs/*/x/**/*.md");
    for (dir, leads) in [
        ("", true),
        ("docs", true),
        ("docs/a", true),
        ("docs/a/x", true),
        ("docs/a/x/y/z", true),
        ("src", false),
        ("docs/a/y", false),
        ("docs/.a", false),
        ("docs/a/x/.y", false),
    ] {
        assert_eq!(scope.matches_prefix_dir(&root(), dir), leads, "{dir}");
    }
    assert!(!self::scope("a/b").matches_prefix_dir(&root(), "a/b"), "nothing is below the file itself");
    assert!(self::scope("a/**").matches_prefix_dir(&root(), "a/b"));
}

#[test]
fn scopes_that_cannot_meet_are_told_apart() {
    let apart = [
        ("**", ".git/**"),
        ("**", "a/.b/**"),
        ("**", ".git"),
        ("*", ".*"),
        ("?x", ".x*"),
        ("src/**", "docs/**"),
        ("src/**", "src/.cache/*"),
        ("*.md", "*.rs"),
        ("docs/*", "docs/*/*"),
        ("a*", "b*"),
        ("a", "b"),
        ("*.md", "a.rs"),
        ("**/a", "**/b"),
        ("a/**/b", "a/**/c"),
        ("**/x/**", "a/b"),
    ];
    let meeting = [
        ("**", "**"),
        ("**", "a/b"),
        (".git/**", ".git/**"),
        (".*/**", ".git/config"),
        ("**/.git/*", ".git/x"),
        ("src/**", "**/*.rs"),
        ("src/**", "src"),
        ("a*", "*b"),
        ("{a,b}*", "b*"),
        ("{.git,x}/**", ".git/**"),
        ("**/a/**", "**/b/**"),
        ("a/**/b", "a/b"),
        ("*/*", "**/x"),
        // Nothing is in both of these; that it says yes is the side it may err on.
        ("a?", "a?b?"),
    ];
    for (cases, wanted) in [(&apart[..], false), (&meeting[..], true)] {
        for (one, other) in cases {
            assert_eq!(scope(one).may_meet(&scope(other)), wanted, "{one} {other}");
            assert_eq!(scope(other).may_meet(&scope(one)), wanted, "{other} {one}");
        }
    }
    assert!(!scope("**").may_meet(&"other:**".parse().unwrap()));
    let long = scope(&"**/".repeat(300)[..899]);
    assert!(long.may_meet(&long), "and soon");
}

#[test]
fn the_narrowest_scope_of_a_path_spells_it() {
    for (path, wanted) in [
        ("docs/a.md", "workspace:docs/a.md"),
        (".git/x", "workspace:.git/x"),
        ("a[1]*{b}\n", "workspace:a?1???b??"),
    ] {
        let scope = PathScope::of_path(&root(), path).unwrap();
        assert_eq!(scope.to_string(), wanted);
        assert!(scope.matches(&root(), path));
    }
    assert_eq!(PathScope::of_path(&root(), "a/../b"), None);
    assert_eq!(PathScope::of_path(&root(), &"a".repeat(GLOB_BYTES_MAX + 1)), None);
}

/// The same rules, written the slow and obvious way.
mod oracle {
    pub(super) fn matches(glob: &str, path: &str) -> bool {
        let glob: Vec<_> = glob.split('/').collect();
        let path: Vec<_> = path.split('/').collect();
        segments(&glob, &path)
    }

    fn segments(glob: &[&str], path: &[&str]) -> bool {
        match (glob, path) {
            ([], []) => true,
            ([], _) => false,
            (["**", rest @ ..], path) => {
                segments(rest, path)
                    || path
                        .split_first()
                        .is_some_and(|(name, more)| !name.starts_with('.') && segments(glob, more))
            }
            (_, []) => false,
            ([first, rest @ ..], [name, more @ ..]) => {
                let dot = |pattern: &String| !name.starts_with('.') || pattern.starts_with('.');
                let names: Vec<char> = name.chars().collect();
                let one = expand(first)
                    .iter()
                    .any(|pattern| dot(pattern) && text(&pattern.chars().collect::<Vec<_>>(), &names));
                one && segments(rest, more)
            }
        }
    }

    /// Every combination of the alternatives.
    fn expand(segment: &str) -> Vec<String> {
        let Some((before, after)) = segment.split_once('{') else { return vec![segment.to_owned()] };
        let (inside, behind) = after.split_once('}').unwrap();
        let tails = expand(behind);
        inside
            .split(',')
            .flat_map(|either| tails.iter().map(move |tail| format!("{before}{either}{tail}")))
            .collect()
    }

    fn text(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (['*', rest @ ..], name) => (0..=name.len()).any(|taken| text(rest, &name[taken..])),
            (['?', rest @ ..], [_, more @ ..]) => text(rest, more),
            ([c, rest @ ..], [n, more @ ..]) => c == n && text(rest, more),
            _ => false,
        }
    }
}

fn globs() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec!["a", "b", ".", "é", "*", "?", "{a,b}", "{,.a}", "{*.,b}", "{?}"]);
    let segment =
        prop_oneof![3 => vec(piece, 1..4).prop_map(|pieces| pieces.concat()), 1 => Just("**".to_owned())];
    vec(segment, 1..5).prop_map(|segments| segments.join("/"))
}

fn paths() -> impl Strategy<Value = String> {
    vec("[ab.é]{1,3}", 1..5).prop_map(|segments| segments.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn matching_agrees_with_the_obvious_matcher(glob in globs(), path in paths()) {
        let Ok(scope) = format!("workspace:{glob}").parse::<PathScope>() else { return Ok(()) };
        let wanted = check_path(&path).is_ok() && oracle::matches(&glob, &path);
        prop_assert_eq!(scope.matches(&root(), &path), wanted, "{} {}", glob, path);
    }

    #[test]
    fn scopes_with_a_path_in_common_may_meet(one in globs(), other in globs(), path in paths()) {
        let parse = |glob: &str| format!("workspace:{glob}").parse::<PathScope>();
        let (Ok(one), Ok(other)) = (parse(&one), parse(&other)) else { return Ok(()) };
        prop_assert_eq!(one.may_meet(&other), other.may_meet(&one), "{} {}", one, other);
        prop_assert!(one.may_meet(&one) || !one.matches(&root(), &path), "{}", one);
        if one.matches(&root(), &path) && other.matches(&root(), &path) {
            prop_assert!(one.may_meet(&other), "{} {} {}", one, other, path);
        }
    }

    /// Against the path itself as a scope, which is a sharper question than a random pair asks.
    #[test]
    fn a_scope_meets_each_path_in_it_and_no_other(glob in globs(), path in paths()) {
        let Ok(scope) = format!("workspace:{glob}").parse::<PathScope>() else { return Ok(()) };
        let Ok(literal) = format!("workspace:{path}").parse::<PathScope>() else { return Ok(()) };
        prop_assert_eq!(scope.may_meet(&literal), scope.matches(&root(), &path), "{} {}", glob, path);
    }

    #[test]
    fn no_folder_above_a_match_is_pruned(glob in globs(), path in paths()) {
        let Ok(scope) = format!("workspace:{glob}").parse::<PathScope>() else { return Ok(()) };
        if scope.matches(&root(), &path) {
            prop_assert!(scope.matches_prefix_dir(&root(), ""));
            for (end, _) in path.match_indices('/') {
                prop_assert!(scope.matches_prefix_dir(&root(), &path[..end]), "{} {}", glob, path);
            }
        }
    }

    #[test]
    fn a_scope_prints_as_it_was_written(text in "(workspace|r)?:?[a-c.*?{},/\\[\u{1}é]{0,12}") {
        if let Ok(scope) = text.parse::<PathScope>() {
            prop_assert_eq!(scope.to_string(), text.clone());
            prop_assert_eq!(text.parse::<PathScope>(), Ok(scope));
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>(), path in any::<String>()) {
        drop(text.parse::<PathScope>());
        if let Ok(scope) = format!("workspace:{text}").parse::<PathScope>() {
            let _ = (scope.matches(&root(), &path), scope.matches_prefix_dir(&root(), &path));
        }
        if let Some(scope) = PathScope::of_path(&root(), &path) {
            prop_assert!(scope.matches(&root(), &path));
        }
    }
}
