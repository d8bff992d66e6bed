//! Every command's `--help` has an example, and every example works as it is printed.

use std::fs;

use tests::golden::{shell, shell_command};
use tests::{Env, repository};

use crate::place;
use crate::sources::Sources;

/// The commands that take no further command, as `capstan --help` and its likes list them.
fn leaves(env: &Env, command: &str, found: &mut Vec<(String, String)>) {
    let help = shell(env, &format!("{command} --help")).exits(0).stdout;
    let Some(list) = help.split("\nCommands:\n").nth(1) else {
        found.push((command.to_owned(), help));
        return;
    };
    for line in list.lines().take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap();
        leaves(env, &format!("{command} {name}"), found);
    }
}

/// The example lines of a help page.
fn examples(help: &str) -> Vec<String> {
    let section = help.split("\nExample:\n").nth(1).or_else(|| help.split("\nExamples:\n").nth(1));
    section
        .unwrap_or_default()
        .lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// Where an example makes sense: what it names is there.
fn prepared(line: &str) -> Env {
    let env = match line {
        _ if line == "capstan init" => place::clone(),
        _ if line.starts_with("capstan run undo") => place::completed(),
        _ if line.starts_with("capstan run retry") => place::unknown_outcome(),
        _ if ["last", "artifact"].iter().any(|word| line.contains(word)) => place::parked(),
        _ => place::installed(),
    };
    if ["--fingerprint acme", "--key acme", "trust remove acme"].iter().any(|part| line.contains(part)) {
        drop(env.run(["key", "new", "acme"]).exits(0));
    }
    if line.contains("capstan:http") {
        env.install("packs/http", &[]);
    }
    if line.starts_with("capstan trust") {
        // A publisher's public key, as they hand it out.
        let other = Env::with_home();
        let key =
            other.json(["key", "new", "acme"]).exits(0).json()["public_key"].as_str().unwrap().to_owned();
        env.write("acme.pub", format!("{key}\n"));
        if !line.contains(" add ") {
            drop(env.run(["trust", "add", "acme", "acme.pub"]).exits(0));
        }
    }
    if line.contains("--component") {
        place::notes(&env);
    }
    if line.starts_with("capstan secret") {
        env.write("token.txt", "example-value\n");
        if line.contains(" delete ") {
            drop(shell(&env, "capstan secret set example-token < token.txt").exits(0));
        }
    }
    env
}

/// Whether an example compiles the text pack.
fn compiles(line: &str) -> bool {
    line.starts_with("capstan pack build packs/") || line.starts_with("capstan op call packs/")
}

/// The packs as a clone has them before they are built.
fn packs_sources() -> Sources {
    let sources = Sources::new();
    for folder in ["packs", "sdk", "wit"] {
        place::copy(&repository().join(folder), &sources.folder().join(folder));
    }
    fs::remove_dir_all(sources.folder().join("packs/text/dist")).unwrap();
    sources
}

/// What stands in a help page for something that only this run has.
fn filled(line: &str, env: &Env) -> String {
    let line = line.replace("<fingerprint>", &Env::publisher());
    if line.starts_with("capstan artifact") {
        return line.replace("sha256:6c1f", &place::artifact(env)[..19]);
    }
    line
}

#[test]
fn every_example_of_every_command_works() {
    let mut found = Vec::new();
    leaves(&Env::new(), "capstan", &mut found);
    assert!(found.len() >= 35, "the commands were not found: {found:#?}");
    let mut problems = Vec::new();
    for (command, help) in found {
        let lines = examples(&help);
        if lines.is_empty() {
            problems.push(format!("`{command} --help` has no example"));
        }
        for line in lines {
            if !line.starts_with(&command) {
                problems.push(format!("`{command} --help` has the example of another command: `{line}`"));
            }
            let env = prepared(&line);
            let typed = filled(&line, &env);
            let mut shell = shell_command(&env, &typed);
            // Few examples compile, and those have their sources elsewhere.
            let sources = compiles(&line).then(packs_sources);
            if let Some(sources) = &sources {
                sources.host(&mut shell);
            }
            let outcome = tests::env::finish(&mut shell);
            let parks = ["capstan plan run", "capstan run resume", "capstan run retry"];
            let parks = parks.iter().any(|command| typed.starts_with(command));
            let expected = if parks { 3 } else { 0 };
            if outcome.code != Some(expected) {
                problems.push(format!("`{typed}` exits with {:?}:\n{}", outcome.code, outcome.said()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}
