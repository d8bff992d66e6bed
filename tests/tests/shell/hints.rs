//! What a failure tells you to type can be typed, and where it is the cure, it cures.

use std::collections::BTreeSet;

use tests::golden::shell;
use tests::{Env, Outcome};

use crate::place;

/// The commands that an output says to type.
fn hints(outcome: &Outcome) -> Vec<String> {
    let said = outcome.said();
    let lines =
        said.lines().filter_map(|line| line.trim_start().trim_start_matches("= ").strip_prefix("hint: "));
    let commands = lines.filter_map(|hint| {
        // A hint is a command, or a sentence with a command in backquotes.
        let quoted =
            hint.split_once("`capstan ").and_then(|(_, rest)| rest.split_once('`')).map(|(found, _)| found);
        hint.starts_with("capstan ")
            .then(|| hint.to_owned())
            .or_else(|| quoted.map(|found| format!("capstan {found}")))
    });
    commands.collect()
}

/// Whether the command line itself was not understood.
fn is_usage(outcome: &Outcome) -> bool {
    outcome.stderr.contains("Usage: capstan") || outcome.code.is_none() || outcome.code == Some(127)
}

/// What the hints of a failure are good for.
enum Then {
    /// They can be typed.
    Typed,
    /// After them the command succeeds, with this exit code.
    Cured(i32),
}
use Then::{Cured, Typed};

/// A failing command, its exit code, how many commands it hints at least, and what they do.
type Case = (&'static str, i32, usize, Then);

const IN_AN_EMPTY_PLACE: &[Case] = &[
    ("capstan approve last", 2, 1, Typed),
    ("capstan plan run plain.plan.yaml", 2, 0, Typed),
    ("capstan op list acme:none", 2, 1, Typed),
    ("capstan doctor", 1, 1, Cured(0)),
    ("capstan pack install packs/text", 2, 1, Cured(4)),
    ("capstan run list", 2, 1, Cured(0)),
    ("capstan plan check packs/text/plans/codemap.plan.md", 2, 0, Typed),
];

const IN_A_NEW_HOME: &[Case] = &[("capstan pack install packs/text", 4, 1, Cured(0))];

const WITH_PACKS: &[Case] = &[
    ("capstan pack health acme:none", 2, 1, Typed),
    ("capstan pack audit acme:none", 2, 1, Typed),
    ("capstan pack audit nosuch", 2, 1, Typed),
    ("capstan pack uninstall acme:none", 2, 1, Typed),
    ("capstan pack build src", 2, 1, Typed),
    ("capstan pack new acme", 2, 1, Typed),
    ("capstan pack sign packs/text", 2, 1, Typed),
    ("capstan pack sign packs/text --key nope", 2, 1, Typed),
    ("capstan op call capstan:text", 2, 1, Typed),
    ("capstan op call capstan:text/words.cnt '{}'", 2, 1, Typed),
    ("capstan op show capstan:text/words.cnt", 2, 1, Typed),
    ("capstan op show nonsense", 2, 1, Typed),
    ("capstan op call capstan:text/words.count '{\"txet\": \"x\"}'", 2, 1, Typed),
    ("capstan op call capstan:text/words.count '{\"text\"'", 2, 0, Typed),
    ("capstan grant add acme:none clock", 2, 1, Typed),
    ("capstan grant add capstan:files clock", 4, 1, Typed),
    ("capstan grant add capstan:files 'files-raed=workspace:**'", 2, 0, Typed),
    ("capstan grant remove capstan:files clock", 2, 1, Typed),
    ("capstan key list --fingerprint nope", 2, 1, Typed),
    ("capstan key new approver", 2, 1, Typed),
    ("capstan trust remove nope", 2, 1, Typed),
    ("capstan run show zzz", 2, 1, Typed),
    ("capstan run show last", 2, 1, Typed),
    ("capstan run resume ffff", 2, 1, Typed),
    ("capstan approve ffffff", 2, 1, Typed),
    ("capstan reject last", 2, 1, Typed),
    ("capstan artifact show sha256:0000", 2, 1, Typed),
    ("capstan help nonsense", 2, 2, Typed),
];

const WITH_LESS_GRANTED: &[Case] = &[
    ("capstan plan check packs/text/plans/codemap.plan.md", 4, 1, Cured(0)),
    ("capstan op call capstan:files/tree.read '{\"path\": \"src/main.rs\"}'", 4, 1, Cured(0)),
    ("capstan op call capstan:files/tree.write '{\"path\": \"a.md\", \"text\": \"x\"}'", 4, 1, Cured(3)),
];

/// Runs the cases, each where `place` puts it, and counts the hints that were typed.
fn play(cases: &[Case], place: impl Fn() -> Env, typed: &mut BTreeSet<String>) -> Vec<String> {
    let mut problems = Vec::new();
    for (line, code, least, then) in cases {
        let env = place();
        let outcome = shell(&env, line);
        let found = hints(&outcome);
        if outcome.code != Some(*code) || found.len() < *least {
            problems.push(format!(
                "`{line}` exits with {:?}, hints {found:?}:\n{}",
                outcome.code,
                outcome.said()
            ));
            continue;
        }
        for hint in &found {
            let answer = shell(&env, hint);
            if is_usage(&answer) {
                problems.push(format!("`{line}` hints `{hint}`, which is no command:\n{}", answer.said()));
            }
            typed.insert(hint.clone());
        }
        if let Cured(expected) = then {
            let again = shell(&env, line);
            if again.code != Some(*expected) {
                problems.push(format!(
                    "`{line}` still exits with {:?} after {found:?}:\n{}",
                    again.code,
                    again.said()
                ));
            }
        }
    }
    problems
}

#[test]
fn every_hinted_command_can_be_typed() {
    let empty = || {
        let env = place::clone();
        env.write("plain.plan.yaml", "schema: capstan.plan/v1\nname: plain\npacks: {}\nsteps: {}\n");
        env
    };
    let new_home = || {
        let env = place::clone();
        drop(env.run(["init"]).exits(0));
        env
    };
    let less = || {
        let env = place::installed();
        for capability in ["files-read", "files-write"] {
            drop(env.run(["grant", "remove", "capstan:files", capability]).exits(0));
        }
        env
    };
    let mut typed = BTreeSet::new();
    let mut problems = play(IN_AN_EMPTY_PLACE, empty, &mut typed);
    problems.extend(play(IN_A_NEW_HOME, new_home, &mut typed));
    problems.extend(play(WITH_PACKS, place::installed, &mut typed));
    problems.extend(play(WITH_LESS_GRANTED, less, &mut typed));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(typed.len() >= 12, "few hints were seen: {typed:#?}");
}

#[test]
fn what_a_run_says_can_be_done_can_be_done() {
    let ended = ["approve", "reject", "cancel"];
    for word in ended {
        let env = place::parked();
        let shown = env.run(["run", "show", "last"]).exits(0);
        let found = hints(&shown);
        let hint =
            found.iter().find(|hint| hint.contains(word)).unwrap_or_else(|| panic!("no {word} in {found:?}"));
        let see = found.iter().find(|hint| hint.contains("approval show")).unwrap();
        drop(shell(&env, see).exits(0).says("create   workspace:CODEMAP.md"));
        drop(shell(&env, hint).exits(0));
        assert_eq!(env.read("CODEMAP.md").is_some(), word == "approve");
        // What is over cannot be done again, and says so.
        assert_ne!(shell(&env, hint).code, Some(0));
        for hint in hints(&shell(&env, hint)) {
            assert!(!is_usage(&shell(&env, &hint)), "{hint}");
        }
    }
    let env = place::completed();
    let undo = hints(&env.run(["run", "show", "last"]).exits(0));
    assert_eq!(undo.len(), 1, "{undo:?}");
    drop(shell(&env, &undo[0]).exits(0));
    assert_eq!(env.read("CODEMAP.md"), None);
    drop(shell(&env, &undo[0]).exits(1).says("undone already"));
}
