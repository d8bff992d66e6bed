//! The command line: a task and its few options.

use crate::failure::Failure;
use crate::guest_compiler::Choice;
use crate::test::TestOptions;

/// What `cargo xtask help` prints.
pub(crate) const HELP: &str = "\
usage: cargo xtask <task>

  demo                     build all that is needed, then play the five acts
  packs [--debian]         build capstan, then build and sign the reference packs
  test [--long] [filter]   build capstan, packs and guests, then run every test
  ci                       formatting, lints, dependency rules, then what `test` runs
  bench                    measure against the bare libraries
  codemap                  make host/CODEMAP.md
  help                     print this

  --debian                 compile guests with Debian's compiler though another is there
  --long                   run the large counts too, and components of other languages
  filter                   run only the tests whose names contain it";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Print the usage.
    Help,
    /// Build and sign the reference packs.
    Packs {
        /// Which compiler for the guests.
        compiler: Choice,
    },
    /// Play the five acts.
    Demo,
    /// Measure.
    Bench,
    /// Make the committed map.
    Codemap,
    /// Run every test.
    Test(TestOptions),
    /// Run what CI runs.
    Ci,
}

impl Task {
    /// Reads the words after `cargo xtask`.
    pub(crate) fn parse(words: &[String]) -> Result<Self, Failure> {
        let Some((name, options)) = words.split_first() else {
            return Ok(Self::Help);
        };
        match name.as_str() {
            "help" | "--help" | "-h" => no_options(options, Self::Help),
            "ci" => no_options(options, Self::Ci),
            "bench" => no_options(options, Self::Bench),
            "codemap" => no_options(options, Self::Codemap),
            "demo" => no_options(options, Self::Demo),
            "packs" => parse_packs(options),
            "test" => parse_test(options),
            unknown => Err(Failure::new(format!("there is no task `{unknown}`; see `cargo xtask help`"))),
        }
    }
}

fn no_options(options: &[String], task: Task) -> Result<Task, Failure> {
    match options.first() {
        None => Ok(task),
        Some(option) => Err(unknown_option(option)),
    }
}

fn parse_packs(options: &[String]) -> Result<Task, Failure> {
    let mut compiler = Choice::FirstFound;
    for option in options {
        match option.as_str() {
            "--debian" => compiler = Choice::Debian,
            other => return Err(unknown_option(other)),
        }
    }
    Ok(Task::Packs { compiler })
}

fn parse_test(options: &[String]) -> Result<Task, Failure> {
    let mut parsed = TestOptions::default();
    for option in options {
        match option.as_str() {
            "--long" => parsed.long = true,
            other if other.starts_with('-') || parsed.filter.is_some() => return Err(unknown_option(other)),
            filter => parsed.filter = Some(filter.to_owned()),
        }
    }
    Ok(Task::Test(parsed))
}

fn unknown_option(option: &str) -> Failure {
    Failure::new(format!("the task does not take `{option}`; see `cargo xtask help`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Task, Failure> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Task::parse(&words)
    }

    #[test]
    fn tasks_and_their_options_are_read() {
        assert_eq!(parse("").unwrap(), Task::Help);
        assert_eq!(parse("ci").unwrap(), Task::Ci);
        assert_eq!(parse("packs").unwrap(), Task::Packs { compiler: Choice::FirstFound });
        assert_eq!(parse("packs --debian").unwrap(), Task::Packs { compiler: Choice::Debian });
        let long = TestOptions { long: true, filter: Some("tidy".to_owned()) };
        assert_eq!(parse("test tidy --long").unwrap(), Task::Test(long));
    }

    #[test]
    fn unknown_tasks_and_options_are_named() {
        for (line, named) in [
            ("pack", "`pack`"),
            ("ci now", "`now`"),
            ("packs --all", "`--all`"),
            ("test --short", "`--short`"),
            ("test one two", "`two`"),
        ] {
            let failure = parse(line).unwrap_err().to_string();
            assert!(failure.contains(named), "{line}: {failure}");
        }
    }
}
