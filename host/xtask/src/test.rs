//! `cargo xtask test`: everything that tests need, then every test.

use std::process::Command;

use crate::failure::Failure;
use crate::guest_compiler::Choice;
use crate::tree::Tree;
use crate::{debian, languages, packs, phase};

/// How the names of tests begin that need the guests of other languages.
const LANGUAGES: &str = "languages";

/// Which tests to run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TestOptions {
    /// The large counts too: sets `CAPSTAN_TEST_LONG`.
    pub(crate) long: bool,
    /// Only tests whose names contain this.
    pub(crate) filter: Option<String>,
}

/// What the tests of secrets in a keychain take: a bus, a keychain, and who talks to it.
const KEYCHAIN: [(&str, &str); 3] =
    [("dbus-daemon", "dbus"), ("gnome-keyring-daemon", "gnome-keyring"), ("secret-tool", "libsecret-tools")];

/// Builds capstan, packs and guests, runs the tests of each workspace that runs on the host, and
/// ends with a line that counts them.
pub(crate) fn run(tree: &Tree, options: &TestOptions) -> Result<(), Failure> {
    let built = packs::build(tree, Choice::FirstFound)?;
    packs::build_guests(tree, &built)?;
    if options.long && options.filter.as_ref().is_none_or(|filter| filter.starts_with(LANGUAGES)) {
        languages::build(tree, &built.capstan)?;
    }
    prepare_keychain();
    let mut tally = Tally::default();
    let mut outcome = Ok(());
    for (name, workspace) in [("test the host", "."), ("test the sdk", "sdk"), ("test the packs", "packs")] {
        let mut command = tree.cargo("test", workspace);
        select(&mut command, options);
        // A failing workspace does not hide the others' results.
        let result = phase::run_lines(name, &mut command, |line| {
            phase::print(line);
            tally.read(line);
        });
        outcome = outcome.and(result);
    }
    phase::print(&tally.line());
    if outcome.is_ok() && tally.passed == 0 {
        return Err(Failure::new("no test ran"));
    }
    outcome
}

/// Where they cannot be installed, those tests say that they were skipped.
fn prepare_keychain() {
    let is_absent = |program: &str| phase::output(Command::new("which").arg(program)).is_err();
    let absent = KEYCHAIN.iter().filter(|(program, _)| is_absent(program));
    let packages: Vec<&str> = absent.map(|(_, package)| *package).collect();
    if packages.is_empty() {
        return;
    }
    let installed = match debian::can_install() {
        true => debian::install(&packages).map_err(|failure| failure.to_string()),
        false => Err(format!("install {} for them", packages.join(", "))),
    };
    if let Err(why) = installed {
        phase::say(&format!("xtask: SKIPPED the tests of keychains: {why}"));
    }
}

fn select(command: &mut Command, options: &TestOptions) {
    command.args(["--workspace", "--no-fail-fast"]);
    if options.long {
        command.env("CAPSTAN_TEST_LONG", "1");
    }
    if let Some(filter) = &options.filter {
        command.arg(filter);
    }
}

/// The sum of the `test result:` lines that test programs print.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Tally {
    fn read(&mut self, line: &str) {
        let Some((_, counts)) = line.split_once("test result: ") else { return };
        for part in counts.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let (Some(count), Some(what)) = (words.next(), words.next()) else { continue };
            let Ok(count) = count.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.skipped += count,
                _ => {}
            }
        }
    }

    fn line(&self) -> String {
        format!("total: {} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_programs_are_summed() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.03s",
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
        ] {
            tally.read(line);
        }
        assert_eq!(tally.line(), "total: 14 passed, 3 failed, 1 skipped");
    }
}
