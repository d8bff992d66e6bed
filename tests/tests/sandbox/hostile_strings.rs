//! Two thousand path strings through every operation on files. More than half of them are
//! well-formed, so that the file system is what has to hold them; what nothing holds is a new name
//! inside, and takes an approval.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use tests::Env;

use crate::guest::call;
use crate::hostile_paths::{CANARY, Place, is_from_disk};
use crate::outside::Seen;

/// How many strings.
const STRINGS: usize = 2_000;
/// Bytes of paths of one call: an argument of a process may have 128 KiB, and escapes take room.
const BYTES_PER_CALL: usize = 32 << 10;
/// Paths of one call: each takes up to six of its files.
const PATHS_PER_CALL: usize = 100;
/// Anything else would be as good; a failure must be the same again.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// What has to stop a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopped {
    /// The rules for paths.
    Form,
    /// The scope: `**` matches no segment with a dot in front.
    Scope,
    /// What is on disk: a link, a special file, a file where a folder is needed, a name too long, or
    /// a folder with any of them in it.
    Disk,
    /// Nothing may stop it: it is a name inside, however it looks.
    Nothing,
}

/// A generator of numbers that are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn path(&mut self, segments: &[&str], most: usize) -> String {
        let length = 1 + self.below(most);
        (0..length).map(|_| self.pick(segments)).collect::<Vec<_>>().join("/")
    }
}

/// Words that are names, whatever they look like to somebody.
const WORDS: &[&str] = &[
    "outside",
    "secret.txt",
    "etc",
    "passwd",
    "dir",
    "new.txt",
    "sub",
    "a.txt",
    "x",
    "\u{ff0e}\u{ff0e}",
    "\u{2024}\u{2024}",
    "\u{2025}",
    "%2e%2e",
    "%252e%252e",
    "\\..",
    "\u{202e}..",
    "\u{200b}..",
    "~",
    "~root",
    "C:",
    "\\\\?\\C:",
    "\\\\server\\share",
    "file:",
    "workspace:..",
    "%00",
    "\\0",
    "\u{feff}..",
    "\u{0430}",
    "a\\..\\..\\outside",
    "a\u{2215}..\u{2215}b",
    "a\u{2044}b",
    "a\u{ff0f}b",
    "a%2fb",
    "a%5cb",
    "a\u{29f8}b",
    "a..",
    "a.",
    "CON",
    "nul",
    "aux.txt",
    "con:",
    "a:b",
    "a b",
    " ",
    "-rf",
    "--",
    "$(id)",
    "`id`",
    "a;b",
    "\u{1}",
    "\u{7f}",
    "\n",
    "\r\n",
    "\t",
    "\u{1b}[2J",
    "\u{85}",
    "\u{2028}",
    "\u{fffd}",
    "\u{fffd}..",
    "\u{fffd}\u{fffd}",
    "e\u{301}",
    "é",
    "\u{212a}",
    "\u{10ffff}",
    "\u{e0041}",
];

/// What is no path under a root, made of what often is taken for one.
fn malformed(dice: &mut Dice, outside: &Path) -> String {
    let outside = outside.to_str().unwrap();
    let odd = ["..", ".", "", "in", "links/absolute", "in/a.txt", "x", "\u{fffd}", "etc", "%2e%2e"];
    let end = dice.pick(&["secret.txt", "dir/deep.txt", "new.txt", "passwd", "dir"]).to_owned();
    let middle = dice.path(&odd, 6);
    match dice.below(12) {
        0 => format!("/{middle}/{end}"),
        1 => format!("//{middle}/{end}"),
        2 => format!("{middle}/../{end}"),
        3 => format!("../{middle}/{end}"),
        4 => format!("./{middle}/{end}"),
        5 => format!("{middle}/{end}/"),
        6 => format!("{middle}//{end}"),
        7 => format!("{middle}/./{end}"),
        8 => format!("{middle}\0/{end}"),
        9 => format!("{outside}/{middle}/{end}"),
        10 => format!("links/absolute/{end}/{}", dice.pick(&["", ".", "..", "/"])),
        _ => format!("{}{end}", "a/".repeat(2_049 + dice.below(40))),
    }
}

/// A well-formed path with a dot in front of a segment.
fn dotted(dice: &mut Dice) -> String {
    let dots = [
        "...",
        "....",
        ".. ",
        "..\\outside",
        ".\\in",
        "..%2foutside",
        "..;",
        "..\u{2215}x",
        "..\u{338}",
        ".\u{200d}.",
        "..\u{feff}",
        ".ssh",
        "..x",
        ".\u{2024}",
        "..\t",
        "..\n",
        ".git",
        ".GIT",
        ".g\u{200c}it",
    ];
    let (before, after) = (dice.path(WORDS, 2), dice.path(WORDS, 2));
    let dot = dice.pick(&dots);
    [format!("{dot}/{after}"), format!("{before}/{dot}"), format!("in/{dot}"), format!("in/{dot}/{after}")]
        [dice.below(4)]
    .clone()
}

/// A well-formed path that leads to a link, through one, or to what is no file or folder.
fn held_by_disk(dice: &mut Dice, place: &Place) -> String {
    let folder = dice.pick(&["links", "in/sub/links", "far/down/the/tree"]);
    let tail = dice.path(WORDS, 4);
    let links: Vec<&str> = place
        .folder_links()
        .iter()
        .map(|link| link.0)
        .chain(place.file_links().iter().map(|link| link.0))
        .collect();
    let link = dice.pick(&links);
    let special = dice.pick(&["fifo", "socket"]);
    match dice.below(10) {
        0 => format!("{folder}/{link}"),
        1..=5 => format!("{folder}/{link}/{tail}"),
        6 => format!("special/{special}"),
        7 => format!("special/{special}/{tail}"),
        8 => format!("{}/{tail}", dice.pick(&["in/a.txt", "in/sub/b.txt"])),
        _ => {
            let long = dice.pick(&["n", "é", "\u{fffd}"]);
            format!("in/{}{}", long.repeat(256 / long.len() + 1), dice.pick(&["", "/x", "/secret.txt"]))
        }
    }
}

/// A name that nothing has, in a folder that there is, or below one that there is not.
fn nothing_there(dice: &mut Dice) -> String {
    let (name, deep) = (dice.path(WORDS, 1), dice.path(WORDS, 5));
    let longest = format!("{}/{}", "d".repeat(255), "e".repeat(255));
    match dice.below(6) {
        0 => name,
        1 => format!("in/{name} {}", dice.below(1_000)),
        2 => format!("spare/{name}{}", dice.below(1_000)),
        3 => format!("in/{}{}", "n".repeat(250), dice.below(1_000)),
        4 => format!("{longest}/{deep}"),
        _ => format!("none/{deep}"),
    }
}

fn hostile(place: &Place) -> Vec<(String, Stopped)> {
    let mut dice = Dice(SEED);
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let folders = ["in", "in/sub", "links", "far", "far/down", "far/down/the/tree", "special"];
    let exact =
        [4_095_usize, 4_096].map(|length| format!("{}x", "a/".repeat(length / 2)) + &"y".repeat(length % 2));
    let first = folders.iter().map(|folder| ((*folder).to_owned(), Stopped::Disk));
    let first = first.chain(
        exact
            .iter()
            .map(|path| (path.clone(), if path.len() > 4_096 { Stopped::Form } else { Stopped::Nothing })),
    );
    for (path, stopped) in first {
        seen.insert(path.clone());
        found.push((path, stopped));
    }
    while found.len() < STRINGS {
        let (path, stopped) = match dice.below(20) {
            0..=5 => (malformed(&mut dice, &place.outside), Stopped::Form),
            6..=7 => (dotted(&mut dice), Stopped::Scope),
            8..=15 => (held_by_disk(&mut dice, place), Stopped::Disk),
            _ => (nothing_there(&mut dice), Stopped::Nothing),
        };
        if seen.insert(path.clone()) {
            found.push((path, stopped));
        }
    }
    found
}

fn chunks(paths: &[(String, Stopped)]) -> Vec<&[(String, Stopped)]> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, (path, _)) in paths.iter().enumerate() {
        if bytes + path.len() > BYTES_PER_CALL || at - start == PATHS_PER_CALL {
            chunks.push(&paths[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += path.len();
    }
    chunks.push(&paths[start..]);
    chunks
}

#[track_caller]
fn assert_stopped(path: &str, stopped: Stopped, operation: &str, answer: &str) {
    assert!(!answer.contains(CANARY), "{operation} {path:?}: {answer}");
    let as_expected = match stopped {
        Stopped::Form => answer.starts_with('!') && answer.contains("invalid path") && !is_from_disk(answer),
        Stopped::Scope => answer.starts_with('!') && answer.contains("denied"),
        Stopped::Disk => answer.starts_with('!') && is_from_disk(answer),
        Stopped::Nothing => !answer.contains("denied") && !answer.contains("invalid path"),
    };
    assert!(as_expected, "{operation} {path:?}, {stopped:?}: {answer}");
}

/// The answers of one call, and the approval that it waits for, if it staged something.
fn ask(env: &Env, operation: &str, paths: &[&str]) -> (Vec<Value>, Value) {
    let mut arguments = json!({ "root": "workspace", "paths": paths });
    if operation == "touch" {
        arguments["text"] = "written".into();
    }
    let said = call(env, &format!("test:writer/probe.{operation}"), &arguments);
    assert!(!said.to_string().contains(CANARY), "{said:#}");
    let Some(run) = said["run_id"].as_str() else {
        assert_eq!(said["outcome"], "returned", "{said:#}");
        return (said["result"].as_array().unwrap().clone(), Value::Null);
    };
    let view = env.json(["run", "show", run]).exits(0).json();
    let events = env.json(["run", "events", run]).exits(0).lines();
    let staged = events.iter().find(|event| event["event"] == "effects_staged").expect("it staged");
    let output = &staged["call"]["output"];
    let answers = match output["artifact"]["digest"].as_str() {
        None => output["inline"].clone(),
        Some(digest) => {
            let shown = env.json(["artifact", "show", digest]).exits(0).json();
            serde_json::from_str(shown["text"].as_str().unwrap()).unwrap()
        }
    };
    (answers.as_array().unwrap().clone(), view["approvals"][0].clone())
}

/// Approves what was staged, and asserts that it is all that changed. Then it is taken back.
fn approve(place: &Place, approval: &Value) {
    let (env, before) = (&place.env, Env::tree(&place.env.work()));
    let id = approval["id"].as_str().unwrap();
    let confirm = approval["confirm"].as_str().map(|target| ["--confirm".to_owned(), target.to_owned()]);
    let words = ["approve".to_owned(), id.to_owned()].into_iter().chain(confirm.into_iter().flatten());
    drop(env.run(words).exits(0));
    let after = Env::tree(&env.work());
    let changed: BTreeSet<&Path> = after
        .iter()
        .filter(|(path, content)| before.get(*path) != Some(content))
        .map(|(path, _)| path.as_path())
        .chain(before.keys().filter(|path| !after.contains_key(*path)).map(|path| path.as_path()))
        .collect();
    let changes = approval["changes"].as_array().unwrap();
    let files = changes.iter().filter(|change| !change["kind"].as_str().unwrap().ends_with("-dir"));
    let approved: BTreeSet<&Path> = files.map(|change| Path::new(change["path"].as_str().unwrap())).collect();
    assert_eq!(changed, approved);
    drop(env.run(["run", "undo", "last"]).exits(0));
    assert_eq!(Env::tree(&env.work()), before);
}

#[test]
fn two_thousand_hostile_strings_leave_the_outside_alone() {
    let place = Place::new();
    place.env.write("spare/keep", "spare");
    let strings = hostile(&place);
    let well_formed =
        strings.iter().filter(|(_, stopped)| matches!(stopped, Stopped::Disk | Stopped::Nothing));
    let count = well_formed.count();
    assert!(strings.len() == STRINGS && count >= STRINGS / 2, "{count} of {} reach the disk", strings.len());
    let (outside, inside) = (Seen::of(&place.outside), Env::tree(&place.env.work()));
    let mut approved = 0;
    for chunk in chunks(&strings) {
        let paths: Vec<&str> = chunk.iter().map(|(path, _)| path.as_str()).collect();
        for (operation, names) in [
            ("look", &["stat", "read", "listed"][..]),
            ("touch", &["removed", "written"]),
            ("move-all", &["made", "moved_from", "moved_to", "removed"]),
        ] {
            let (answers, approval) = ask(&place.env, operation, &paths);
            assert_eq!(answers.len(), paths.len());
            for ((path, stopped), answer) in chunk.iter().zip(&answers) {
                for name in names {
                    let said = answer[name.replace('_', "-")].as_str().or(answer[*name].as_str()).unwrap();
                    check(&place, path, *stopped, &format!("{operation} {name}"), said);
                }
            }
            if approval != Value::Null {
                approve(&place, &approval);
                approved += 1;
            }
        }
        assert_eq!(Seen::of(&place.outside).digest(), outside.digest());
    }
    assert_eq!(Seen::of(&place.outside), outside);
    assert_eq!(Env::tree(&place.env.work()), inside);
    assert!(approved > 10, "names that look hostile are written and moved inside: {approved}");
}

/// A pattern is no path, and a folder may be looked at.
fn check(place: &Place, path: &str, stopped: Stopped, operation: &str, said: &str) {
    if operation == "look listed" {
        assert!(said.is_empty() || said.starts_with('!'), "{path:?}: {said}");
        return;
    }
    let is_folder = || place.env.work().join(path).symlink_metadata().is_ok_and(|meta| meta.is_dir());
    if operation == "look stat" && stopped == Stopped::Disk && said == "0" {
        assert!(is_folder(), "{path:?}");
        return;
    }
    assert_stopped(path, stopped, operation, said);
}
