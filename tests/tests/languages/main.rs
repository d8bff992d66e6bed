//! Components of other languages on the inert WASI baseline: the same guest, `polyglot`, in Rust for
//! `wasm32-wasip2`, in Python and in JavaScript, each made by its own tools.
//!
//! `cargo xtask test --long` builds them. Without that, and for a language whose tools cannot be
//! had, the tests are counted as ignored, with the reason: this program is its own harness. Each
//! test runs with guests on threads, and again with guests in processes.

mod polyglot;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;

use polyglot::{Installed, TESTS};
use tests::program;

const LANGUAGES: [&str; 3] = ["rust", "python", "javascript"];
/// Where guests run, as `config.toml` has it.
const ISOLATIONS: [&str; 2] = ["thread", "process"];

/// The pack of a language.
///
/// # Errors
/// Why there is none.
fn pack(language: &str) -> Result<PathBuf, String> {
    if std::env::var_os("CAPSTAN_TEST_LONG").is_none() {
        return Err("only in `cargo xtask test --long`".to_owned());
    }
    let target = program().ancestors().nth(2).expect("the program is two folders below").to_owned();
    let project = target.join("languages").join(language);
    let missing = std::fs::read_to_string(project.join("missing.txt"));
    match missing {
        Ok(why) => Err(why.trim().to_owned()),
        Err(_) if project.join("dist/pack.dsse.json").is_file() => Ok(project.join("dist")),
        Err(_) => panic!("`{}` is not built: run `cargo xtask test --long`", project.display()),
    }
}

/// How the tests ended, in the words of the standard harness.
#[derive(Default)]
struct Tally {
    passed: u32,
    failed: Vec<String>,
    ignored: u32,
    filtered: u32,
}

impl Tally {
    fn of(filters: &[String]) -> Self {
        let mut tally = Self::default();
        for language in LANGUAGES {
            let mut installed = None;
            for isolation in ISOLATIONS {
                for (test, run) in TESTS {
                    let name = format!("languages::{language}::{isolation}::{test}");
                    if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter)) {
                        tally.filtered += 1;
                        continue;
                    }
                    match pack(language) {
                        Err(why) => tally.ignore(&name, &why),
                        Ok(pack) => tally.run(&name, || {
                            let installed = installed.get_or_insert_with(|| Installed::new(language, &pack));
                            installed.isolate(isolation);
                            run(installed);
                        }),
                    }
                }
            }
        }
        tally
    }

    fn ignore(&mut self, name: &str, why: &str) {
        println!("test {name} ... ignored, {why}");
        self.ignored += 1;
    }

    fn run(&mut self, name: &str, test: impl FnOnce()) {
        // What the test leaves half done is a home that the next one asserts things of.
        let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if passed {
            self.passed += 1;
        } else {
            self.failed.push(name.to_owned());
        }
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--list") {
        return ExitCode::SUCCESS;
    }
    let filters: Vec<String> = words.into_iter().filter(|word| !word.starts_with('-')).collect();
    let Tally { passed, failed, ignored, filtered } = Tally::of(&filters);
    let (said, code) = match failed.len() {
        0 => ("ok", ExitCode::SUCCESS),
        _ => ("FAILED", ExitCode::FAILURE),
    };
    for name in &failed {
        println!("failed: {name}");
    }
    println!(
        "\ntest result: {said}. {passed} passed; {} failed; {ignored} ignored; 0 measured; {filtered} filtered out",
        failed.len()
    );
    code
}
