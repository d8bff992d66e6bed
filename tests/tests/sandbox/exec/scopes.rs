//! Which commands a grant holds, and which file a program is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::{HOSTILE, hostile, printed, reason, run, run_with, with_hostile, with_programs};

#[test]
fn a_granted_command_runs_and_gives_everything_back() {
    let env = with_programs(&["exec=workspace:hostile echo {word} *"]);
    let command = json!({ "program": HOSTILE, "arguments": ["echo", "a-b", "c d\n'"], "stdin": "input" });
    let said = run_with(&env, &command);
    let result = &said["result"];
    assert_eq!(result["success"], false, "{said:#}");
    assert_eq!(result["code"], 7);
    assert_eq!(result["stdout"], "[a-b][c d\n']input");
    assert_eq!(result["stderr"], "and this is an error");
    assert_eq!(result["lossy"], false);
}

/// Each beside the same command as it is granted.
#[test]
fn no_argument_gets_past_its_pattern() {
    let env = with_programs(&["exec=workspace:hostile echo --depth={int} {word} {path} *"]);
    let fits = ["echo", "--depth=12", "a-b.c", "docs/a.md", "any text; $(id)"];
    assert_eq!(
        run(&env, HOSTILE, &fits)["result"]["stdout"],
        "[--depth=12][a-b.c][docs/a.md][any text; $(id)]"
    );
    let mut refused = 0;
    for (at, others) in [
        (0, vec!["flood", "", "Echo", "echo "]),
        (
            1,
            vec![
                "--depth=",
                "--depth=-1",
                "--depth=1x",
                "--depth",
                "-d1",
                "12",
                "--depth=0123456789012345678",
            ],
        ),
        (2, vec!["-x", "--upload-pack=id", "", "a b", "a/b", "a;b", "ü", "$(id)"]),
        (3, vec!["/etc/shadow", "../a", "a/../b", "-o", "a//b", "./a", "", "a/", "."]),
        (4, vec!["-exec", "--", "-", ""]),
    ] {
        for other in others {
            let mut arguments = fits;
            arguments[at] = other;
            let said = run(&env, HOSTILE, &arguments);
            assert_eq!(reason(&said), "denied", "{arguments:?}");
            refused += 1;
        }
    }
    for arguments in [&fits[..4], &[&fits[..], &["more"]].concat(), &[]] {
        assert_eq!(reason(&run(&env, HOSTILE, arguments)), "denied", "{arguments:?}");
    }
    assert!(refused >= 30);
}

#[test]
fn a_program_is_a_name_on_the_operators_path() {
    let env = with_hostile();
    assert!(printed(&env, HOSTILE, &["self"]).contains("seccomp: 2"));
    let programs = env.folder().join("programs");
    let path = programs.join(HOSTILE);
    fs::copy(hostile(), env.work().join("local")).unwrap();
    for program in [path.to_str().unwrap(), "./hostile", "../programs/hostile", "", "-c", "a b", "*", "local"]
    {
        assert_eq!(reason(&run(&env, program, &["self"])), "denied", "{program}");
    }
    let grant = |text: &str| drop(env.run(["grant", "add", "capstan:exec", text]).exits(0));
    for (program, expected) in [
        ("local", "not-found"),
        ("script", "unsupported"),
        ("others", "unsupported"),
        ("plain", "unsupported"),
    ] {
        grant(&format!("exec={program} self"));
        let file = programs.join(program);
        match program {
            "script" => fs::write(&file, "#!/bin/sh\necho self\n").unwrap(),
            "others" | "plain" => drop(fs::copy(hostile(), &file).unwrap()),
            _ => {}
        }
        if program != "local" {
            let mode = match program {
                "others" => 0o757,
                "plain" => 0o644,
                _ => 0o755,
            };
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        assert_eq!(reason(&run(&env, program, &["self"])), expected, "{program}");
    }
}

#[test]
fn a_pinned_program_that_was_replaced_is_not_run() {
    let env = with_programs(&[]);
    let path = env.folder().join("programs").join(HOSTILE);
    let digest = |path: &std::path::Path| {
        use sha2::Digest as _;
        let bytes = sha2::Sha256::digest(fs::read(path).unwrap());
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let pinned = format!("exec=workspace:hostile@sha256:{} self", digest(&path));
    drop(env.run(["grant", "add", "capstan:exec", &pinned]).exits(0));
    printed(&env, HOSTILE, &["self"]);
    // The same program to whoever looks at what it does, and another file.
    let mut bytes = fs::read(&path).unwrap();
    bytes.push(0);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(reason(&run(&env, HOSTILE, &["self"])), "changed");
    drop(env.run(["grant", "add", "capstan:exec", "exec=workspace:hostile self"]).exits(0));
    printed(&env, HOSTILE, &["self"]);
}

/// What the operator is told to type is what the call needs, whatever is in it.
#[test]
fn the_hint_of_a_denied_command_is_what_it_needs() {
    let env = with_programs(&[]);
    for arguments in [
        &["echo"][..],
        &["echo", "it's", "*", "**", "{int}", "a b", "", "\\", "$HOME", "`id`", "ünï"],
        &["echo", "-x", "--y=z", "a=b:c@d"],
    ] {
        let command = json!({ "command": { "program": HOSTILE, "arguments": arguments, "stdin": null, "folder": null } });
        let denied =
            env.json(["op", "call", "capstan:exec/program.run", &command.to_string()]).exits(4).json();
        assert_eq!(reason(&denied), "denied");
        let [hint] = denied["missing_grants"].as_array().unwrap().as_slice() else { panic!("{denied:#}") };
        drop(tests::golden::shell(&env, hint.as_str().unwrap()).exits(0));
        let said = run(&env, HOSTILE, arguments);
        let expected: String = arguments[1..].iter().map(|argument| format!("[{argument}]")).collect();
        assert_eq!(said["result"]["stdout"], expected.as_str(), "{hint}");
    }
}

#[test]
fn the_environment_is_exactly_what_is_documented() {
    let env = with_programs(&["exec=workspace:hostile environment", "exec=workspace:TZ={word} git config *"]);
    let text = printed(&env, HOSTILE, &["environment"]);
    let mut lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.remove(0), format!("hostile in {}", env.work().display()));
    lines.sort_unstable();
    let expected = ["HOME=/dev/shm", "LANG=C.UTF-8", "PATH=/usr/local/bin:/usr/bin:/bin", "TMPDIR=/dev/shm"];
    assert_eq!(lines, expected);
}

#[test]
fn it_runs_in_a_folder_of_its_root_and_nowhere_else() {
    let env = with_hostile();
    env.write("docs/deep/a.md", "a");
    std::os::unix::fs::symlink("/etc", env.work().join("link")).unwrap();
    let folder = |folder: &str| {
        run_with(&env, &json!({ "program": HOSTILE, "arguments": ["environment"], "folder": folder }))
    };
    for inside in ["docs", "docs/deep"] {
        let said = folder(inside);
        let expected = format!("hostile in {}\n", env.work().join(inside).display());
        assert!(said["result"]["stdout"].as_str().unwrap().starts_with(&expected), "{said:#}");
    }
    for outside in [
        "..",
        "docs/..",
        "docs/../..",
        "/etc",
        "link",
        "docs/./deep",
        "docs//deep",
        "gone",
        "docs/deep/a.md",
        ".",
    ] {
        assert_eq!(reason(&folder(outside)), "not-found", "{outside}");
    }
}

#[test]
fn an_external_operation_runs_exactly_what_was_approved_and_once() {
    let env = with_programs(&["exec=workspace:touch *", "files-write=workspace:made/**"]);
    fs::create_dir(env.work().join("made")).unwrap();
    let start = |file: &str| {
        let command = json!({ "program": "touch", "arguments": [file], "stdin": null, "folder": null });
        let arguments = json!({ "command": command });
        crate::guest::run_plan(&env, "capstan:exec", "program.run-external", &arguments).exits(3).json()
    };
    let approve = |run: &Value| {
        let waiting = &run["approvals"][0];
        env.json(["approve", waiting["id"].as_str().unwrap()])
    };
    let run = start("made/it");
    let call = &run["approvals"][0]["call"];
    assert_eq!((call["capability"].as_str(), call["target"].as_str()), (Some("exec"), Some("touch made/it")));
    let text = call["text"].as_str().unwrap();
    for shown in ["argument: \"made/it\"", "digest: sha256:", "may change: `made`", "variable: PATH="] {
        assert!(text.contains(shown), "{shown} in {text}");
    }
    assert!(!env.work().join("made/it").exists(), "run before anybody agreed");
    let done = approve(&run).exits(0).json();
    assert_eq!(done["outputs"]["found"]["code"], 0, "{done:#}");
    assert!(env.work().join("made/it").exists());
    assert_eq!(done["steps"][0]["sent"][0]["answer"], "exited with 0, 0 bytes");
    // Approved or not, it is confined to the folders that are granted.
    let done = approve(&start("beside")).exits(0).json();
    assert_eq!(done["outputs"]["found"]["success"], false, "{done:#}");
    assert!(!env.work().join("beside").exists());
    // The program's file is part of what was approved.
    let env = with_programs(&["exec=workspace:swapped", "files-write=workspace:**"]);
    let program = env.folder().join("programs/swapped");
    fs::copy("/usr/bin/true", &program).unwrap();
    let command = json!({ "program": "swapped", "arguments": [], "stdin": null, "folder": null });
    let arguments = json!({ "command": command });
    let run =
        crate::guest::run_plan(&env, "capstan:exec", "program.run-external", &arguments).exits(3).json();
    fs::remove_file(&program).unwrap();
    fs::copy("/usr/bin/false", &program).unwrap();
    let said = env.json(["approve", run["approvals"][0]["id"].as_str().unwrap()]);
    assert!(said.said().contains("run again, the operation makes another call"), "{}", said.said());
    assert_eq!(said.exits(3).json()["steps"][0]["sent"], json!([]));
}
