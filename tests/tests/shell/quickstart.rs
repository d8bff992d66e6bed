//! The README's quickstart, typed line by line.

use std::fs;

use tests::golden::shell;
use tests::repository;

use crate::place;

/// The plan that `help planfile` explains the language with is one.
#[test]
fn the_planfile_of_the_help_checks() {
    let env = place::installed();
    let help = env.run(["help", "planfile"]).exits(0).stdout;
    let block = help.split("\n\n").nth(1).expect("an example after the first paragraph");
    env.write("example.plan.yaml", block);
    drop(env.run(["plan", "check", "example.plan.yaml"]).exits(0).says("output path: string"));
    drop(env.run(["plan", "run", "example.plan.yaml"]).exits(3).says("+2 files"));
}

/// What each line ends with. Without a terminal `plan run` parks, as the README says.
const CODES: [i32; 6] = [0, 0, 0, 0, 3, 0];

#[test]
fn the_quickstart_does_what_it_shows() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let block = readme.split("```sh quickstart\n").nth(1).expect("the README has a quickstart");
    let lines: Vec<&str> = block.split("```").next().unwrap().lines().collect();
    assert_eq!(lines.len(), CODES.len(), "the quickstart is six lines: {lines:#?}");
    let env = place::clone();
    for (line, code) in lines.iter().zip(CODES) {
        assert_eq!(env.read("CODEMAP.md"), None, "written before `{line}`");
        let outcome = shell(&env, line).exits(code);
        if code == 3 {
            drop(
                outcome.says("create   workspace:CODEMAP.md").says("+- `reader.rs`: Reads what it is given."),
            );
        }
    }
    let map = env.read("CODEMAP.md").expect("the approval wrote the map");
    assert!(map.contains("- `main.rs`: Starts the program."), "{map}");
    assert!(readme.contains("`capstan run undo last`"));
    drop(env.run(["run", "undo", "last"]).exits(0));
    assert_eq!(env.read("CODEMAP.md"), None);
}
