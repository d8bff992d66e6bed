//! Two hundred names that are odd and legal: each is listed, read, replaced and removed like any other.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use serde_json::json;
use tests::Env;

use crate::guest::{call, result, with_writer};

/// Paths of one call: its arguments must fit the command line.
const PATHS_PER_CALL: usize = 60;

fn names() -> Vec<String> {
    let plain = [
        " ",
        "  two",
        "trailing ",
        "a b",
        "tab\there",
        "line\nbreak",
        "cr\rhere",
        "'",
        "\"",
        "`id`",
        "$(id)",
        "$HOME",
        "$$",
        "$1",
        "${x}",
        "a$",
        "a;b",
        "a&b",
        "a|b",
        "a>b",
        "a<b",
        "!",
        "!!",
        "#",
        "# x",
        "%",
        "%s%n",
        "%00",
        "%2e%2e",
        "^",
        "~",
        "~root",
        "*",
        "**x",
        "?",
        "[a]",
        "[!a]",
        "{a,b}",
        "{",
        "}",
        "(",
        ")",
        "+",
        ",",
        "=",
        "@",
        "-",
        "--",
        "-rf",
        "--help",
        "-- x",
        "\\",
        "\\n",
        "a\\b",
        "\\x00",
        "a:b",
        "C:",
        "workspace:x",
        "a.",
        "a..",
        "a...",
        "x.tar.gz",
        "CON",
        "nul",
        "AUX.txt",
        "null",
        "true",
        "~",
        "no",
        "1e3",
        "0x10",
        "- item",
        "key: value",
        "&anchor",
        "*alias",
        "|",
        ">",
        "%YAML",
        "---",
        "\u{7f}",
        "\u{1}",
        "\u{1b}[31m",
        "\u{8}",
        "\u{85}",
        "\u{a0}",
        "\u{2028}",
        "\u{2029}",
        "\u{feff}",
        "\u{200b}",
        "\u{202e}gpj.exe",
        "\u{fffd}",
        "\u{ffff}",
        "\u{10ffff}",
        "é",
        "e\u{301}",
        "ß",
        "ẞ",
        "ı",
        "İ",
        "ﬁ",
        "日本語",
        "עברית",
        "العربية",
        "👩‍👩‍👧",
        "🏳️‍🌈",
        "ａ",
        "\u{0}x",
    ];
    let mut names: BTreeSet<String> =
        plain.iter().filter(|name| !name.contains('\0')).map(|name| (*name).to_owned()).collect();
    names.extend([1, 100, 255].map(|length| "n".repeat(length)));
    names.extend([
        "é".repeat(127),
        "日".repeat(85),
        format!("{}/deep", "d/".repeat(60).trim_end_matches('/')),
    ]);
    names.insert(format!("{}/far", vec!["s".repeat(200); 18].join("/")));
    // Each of them as a folder, and as the end of a name.
    let folders: Vec<String> = names
        .iter()
        .filter(|name| name.len() < 60)
        .flat_map(|name| [format!("in {name}/{name}"), format!("x{name}")])
        .collect();
    names.extend(folders);
    // A name cannot be a file and a folder at once.
    names
        .iter()
        .filter(|name| !names.iter().any(|other| other.starts_with(&format!("{name}/"))))
        .cloned()
        .collect()
}

#[test]
fn odd_names_are_names() {
    let env = with_writer();
    let names = names();
    assert!(names.len() >= 200, "{}", names.len());
    for name in &names {
        env.write(name, format!("of {name}"));
    }
    // Not text, so no guest can name it; it must not hide the others.
    fs::write(env.work().join(OsStr::from_bytes(b"\xff\xfe")), "unnamed").unwrap();
    let listed = result(&env, "test:writer/raw.list", &json!({ "root": "workspace", "glob": "**" }));
    assert_eq!(listed, json!(names), "all of them, sorted by bytes");
    for names in names.chunks(PATHS_PER_CALL) {
        let answers = result(&env, "test:writer/probe.look", &json!({ "root": "workspace", "paths": names }));
        for (name, answer) in names.iter().zip(answers.as_array().unwrap()) {
            assert_eq!(answer["read"], format!("of {name}"), "{name:?}");
            assert_eq!(answer["stat"], format!("of {name}").len().to_string(), "{name:?}");
        }
    }
}

#[test]
fn odd_names_are_written_after_approval() {
    let env = with_writer();
    let names = names();
    for name in &names {
        env.write(name, "before");
    }
    for names in names.chunks(PATHS_PER_CALL) {
        let arguments = json!({ "root": "workspace", "paths": names, "text": "after" });
        let staged = env
            .json(["op", "call", "test:writer/probe.touch", &arguments.to_string(), "--no-prompt"])
            .exits(3)
            .json();
        let changes = staged["approvals"][0]["changes"].as_array().unwrap();
        assert_eq!(changes.len(), names.len());
        drop(env.run(["approve", "last"]).exits(0));
        for name in names {
            assert_eq!(env.read(name).as_deref(), Some("after"), "{name:?}");
        }
    }
    let one = call(&env, "test:writer/raw.read", &json!({ "root": "workspace", "path": "-rf" }));
    assert_eq!(one["result"], "after");
}

/// A file renamed, a folder made, another removed with what is in it: after approval, and back.
#[test]
fn odd_names_are_renamed_made_and_removed_whole() {
    let env = with_writer();
    let names: Vec<String> = names().into_iter().filter(|name| !name.contains('/')).collect();
    assert!(names.len() >= 200, "{}", names.len());
    fs::create_dir_all(env.work().join("moved")).unwrap();
    fs::create_dir_all(env.work().join("made")).unwrap();
    for name in &names {
        env.write(&format!("files/{name}"), format!("of {name}"));
        env.write(&format!("folders/{name}/{name}"), "inner");
    }
    let before = Env::tree(&env.work());
    for names in names.chunks(PATHS_PER_CALL) {
        let arguments = json!({ "root": "workspace", "names": names });
        let staged = call(&env, "test:writer/probe.rearrange", &arguments);
        assert_eq!(staged["status"], "requires_approval", "{staged:#}");
        let approval = &staged["approvals"][0];
        // Two for each name that moves, one that is made, two that go.
        assert_eq!(approval["changes"].as_array().unwrap().len(), 5 * names.len());
        let target = approval["confirm"].as_str().unwrap();
        let done = env.json(["approve", "last", "--confirm", target]).exits(0).json();
        assert_eq!(done["outputs"], json!({ "result": [] }), "no call failed");
        for name in names {
            assert_eq!(env.read(&format!("moved/{name}")), Some(format!("of {name}")), "{name:?}");
            assert!(env.work().join(format!("made/{name}")).is_dir(), "{name:?}");
            assert!(!env.work().join(format!("folders/{name}")).exists(), "{name:?}");
        }
        drop(env.run(["run", "undo", "last"]).exits(0));
        assert_eq!(Env::tree(&env.work()), before);
        assert_eq!(fs::read_dir(env.work().join("made")).unwrap().count(), 0);
    }
}
