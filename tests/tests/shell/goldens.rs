//! Plays every golden of `tests/cli`. Each starts in a clone without a home.

use std::fs;

use tests::{golden, repository};

use crate::place;

#[test]
fn what_is_printed_is_what_the_goldens_say() {
    let folder = repository().join("tests/cli");
    let entries = fs::read_dir(&folder).expect("there are goldens");
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    paths.sort();
    assert!(paths.len() >= 10, "the goldens were not found: {paths:?}");
    let bless = std::env::var_os("BLESS").is_some();
    let mut differences = Vec::new();
    for path in paths {
        let (expected, actual) = golden::play(&path, &place::clone());
        if bless {
            fs::write(&path, &actual).unwrap();
        } else if expected != actual {
            differences.push(format!("{}\n{}", path.display(), difference(&expected, &actual)));
        }
    }
    let advice = "if that is what it should print, run again with BLESS=1";
    assert!(differences.is_empty(), "{}\n{advice}", differences.join("\n"));
}

/// The lines from the first to the last that differ.
fn difference(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old[same..].iter().rev().zip(new[same..].iter().rev()).take_while(|(a, b)| a == b).count();
    let lines =
        |mark: char, lines: &[&str]| lines.iter().map(|line| format!("{mark} {line}\n")).collect::<String>();
    format!(
        "line {}:\n{}{}",
        same + 1,
        lines('-', &old[same..old.len() - rest]),
        lines('+', &new[same..new.len() - rest])
    )
}
