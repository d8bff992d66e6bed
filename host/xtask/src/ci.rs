//! `cargo xtask ci`: what a change must pass. Cheap checks first.

use crate::failure::Failure;
use crate::test::{self, TestOptions};
use crate::tree::{Tree, WORKSPACES};
use crate::{deny, phase};

/// Formatting, lints, dependency rules and every test.
pub(crate) fn run(tree: &Tree) -> Result<(), Failure> {
    for workspace in WORKSPACES {
        let mut command = tree.cargo("fmt", workspace);
        phase::run(&format!("check formatting of {}", shown(workspace)), command.args(["--all", "--check"]))?;
    }
    deny::check(tree)?;
    for workspace in WORKSPACES {
        // Guests are linted as host code: the same sources, with no need for a second clippy.
        let mut command = tree.cargo("clippy", workspace);
        command.args(["--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]);
        phase::run(&format!("lint {}", shown(workspace)), &mut command)?;
    }
    test::run(tree, &TestOptions::default())
}

fn shown(workspace: &str) -> String {
    match workspace {
        "." => "the host".to_owned(),
        folder => format!("`{folder}`"),
    }
}
