//! One file, one test: `ok/*` is checked to the summary beside it, `fail/*` to the diagnostics beside
//! it. `BLESS=1` rewrites what is beside. A planfile whose name has `ungranted` is checked without the
//! grant of `files-write`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test, which fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "reads its own planfiles; BLESS is for the person who runs it"
)]

#[path = "support/catalog.rs"]
mod catalog;
#[path = "support/summary.rs"]
mod summary;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use base::{Code, CodeClass};
use catalog::FakeCatalog;
use libtest_mimic::{Arguments, Failed, Trial};
use plan::{Checked, PlanSource};

fn main() {
    let mut trials = Vec::new();
    for folder in ["ok", "fail"] {
        for file in planfiles(folder) {
            let name = format!("{folder}/{}", file.file_name().unwrap().to_string_lossy());
            trials.push(Trial::test(name, move || golden(&file, folder == "ok")));
        }
    }
    trials.push(Trial::test("every plan code has a failing planfile", every_code_fails));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn planfiles(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end != "out")).collect();
    files.sort();
    files
}

fn check(file: &Path, text: &str) -> Checked {
    let name = file.file_name().unwrap().to_string_lossy();
    let catalog = FakeCatalog { write_granted: !name.contains("ungranted") };
    plan::check(&PlanSource { name: &name, text }, &catalog)
}

fn golden(file: &Path, ok: bool) -> Result<(), Failed> {
    let text = fs::read_to_string(file).unwrap();
    let name = file.file_name().unwrap().to_string_lossy();
    let checked = check(file, &text);
    let report = plan::render_text(&checked.diagnostics, &PlanSource { name: &name, text: &text });
    if let Some(without) = checked.diagnostics.iter().find(|found| found.fix.is_none()) {
        return Err(format!("no fix is offered for: {}", without.message).into());
    }
    let actual = match (&checked.plan, ok) {
        (Some(plan), true) => summary::summary(plan),
        (None, false) if !checked.diagnostics.is_empty() => report,
        _ => {
            return Err(
                format!("expected {}, found:\n{report}", if ok { "a plan" } else { "diagnostics" }).into()
            );
        }
    };
    let mut beside = file.as_os_str().to_owned();
    beside.push(".out");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&beside, &actual).unwrap();
        return Ok(());
    }
    let expected = fs::read_to_string(&beside).unwrap_or_default();
    if actual == expected { Ok(()) } else { Err(format!("expected:\n{expected}\nfound:\n{actual}").into()) }
}

fn every_code_fails() -> Result<(), Failed> {
    let found: BTreeSet<Code> = planfiles("fail")
        .iter()
        .flat_map(|file| check(file, &fs::read_to_string(file).unwrap()).diagnostics)
        .map(|diagnostic| diagnostic.code)
        .collect();
    // An input is given when the plan runs: tests/inputs.rs.
    let of_a_planfile = |code: &&Code| code.as_str().starts_with("E-PLAN-") && **code != Code::PlanInput;
    let missing: Vec<_> =
        Code::ALL.iter().filter(of_a_planfile).filter(|code| !found.contains(code)).collect();
    assert_eq!(Code::PlanGrant.class(), CodeClass::Refused);
    if missing.is_empty() { Ok(()) } else { Err(format!("no planfile in fail/ gives {missing:?}").into()) }
}
