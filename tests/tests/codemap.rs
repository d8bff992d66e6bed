//! The committed map of the sources is what the plan would make of them now.

use std::fs;
use std::process::Command;

use tests::{Env, repository};

const MAP: &str = "host/CODEMAP.md";
const TARGET: &str = "target=host/CODEMAP.md";
const PLAN: &str = "packs/text/plans/codemap.plan.md";

#[test]
fn the_committed_codemap_is_up_to_date() {
    let env = Env::with_packs();
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "--", "*.rs", MAP, PLAN])
        .current_dir(repository())
        .output()
        .expect("git runs");
    let listed = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    for path in listed.lines() {
        if let Ok(bytes) = fs::read(repository().join(path)) {
            env.write(path, bytes);
        }
    }
    let words = ["plan", "run", PLAN, "--input", "glob={host,packs,sdk,tests}/**/*.rs", "--input", TARGET];
    let run = env.json(words).json();
    let diff = run["approvals"][0]["diff"].as_str().unwrap_or_default();
    assert_eq!(run["status"], "completed", "run `cargo xtask codemap`: the map is out of date\n{diff}");
}

#[test]
fn a_map_that_is_out_of_date_is_noticed() {
    let env = Env::with_packs();
    env.write("host/src/one.rs", "//! First.\n");
    env.write(MAP, "# Code map\n");
    env.write(PLAN, fs::read(repository().join(PLAN)).expect("the plan is there"));
    let words = ["plan", "run", PLAN, "--input", TARGET];
    drop(env.run(words).exits(3).says("+- `one.rs`: First."));
    drop(env.run(["approve", "last"]).exits(0));
    // Made again it is the same, so there is nothing to approve, whatever gates the plan has.
    assert_eq!(env.json(words).exits(0).json()["status"], "completed");
}
