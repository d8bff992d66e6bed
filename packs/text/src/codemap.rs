//! The code map: one line a file, grouped by folder.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Renders the map in Markdown. `heads` are paths and what the files say of themselves; a path that
/// comes twice is listed once, with its last summary.
pub(crate) fn page(heads: Vec<(String, Option<String>)>, title: &str) -> String {
    let mut folders: BTreeMap<String, BTreeMap<String, Option<String>>> = BTreeMap::new();
    for (path, summary) in heads {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        folders.entry(folder.to_owned()).or_default().insert(name.to_owned(), summary);
    }
    let files: usize = folders.values().map(BTreeMap::len).sum();
    let silent = folders.values().flat_map(BTreeMap::values).filter(|summary| summary.is_none()).count();

    let mut page = format!("# {}\n\n{}\n", one_line(title), counts(files, folders.len(), silent));
    for (folder, files) in &folders {
        let heading = if folder.is_empty() { "Top folder".to_owned() } else { code(&format!("{folder}/")) };
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## {heading}\n\n");
        for (name, summary) in files {
            let _ = match summary {
                Some(summary) => writeln!(page, "- {}: {}", code(name), escaped(&one_line(summary))),
                None => writeln!(page, "- {}", code(name)),
            };
        }
    }
    page
}

fn counts(files: usize, folders: usize, silent: usize) -> String {
    let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let begin = format!(
        "{} in {}. Each line is the file's own first sentence",
        plural(files, "file"),
        plural(folders, "folder")
    );
    match silent {
        0 => format!("{begin}."),
        n => format!(
            "{begin}; {} none.",
            if n == 1 { "1 file has".to_owned() } else { format!("{n} files have") }
        ),
    }
}

/// A code span, whatever the text holds.
fn code(text: &str) -> String {
    let text = one_line(text);
    let mut longest = 0;
    let mut run = 0;
    for character in text.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

/// Keeps `<` outside code spans from being read as HTML.
fn escaped(text: &str) -> String {
    let parts = text.split('`').count();
    text.split('`')
        .enumerate()
        .map(|(at, part)| {
            // With an odd number of backticks the last one opens nothing.
            let in_code = at % 2 == 1 && at + 1 < parts;
            if in_code { part.to_owned() } else { part.replace('<', "&lt;") }
        })
        .collect::<Vec<_>>()
        .join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(heads: &[(&str, Option<&str>)]) -> String {
        page(
            heads.iter().map(|(path, summary)| ((*path).to_owned(), summary.map(str::to_owned))).collect(),
            "Code map",
        )
    }

    #[test]
    fn files_are_grouped_by_folder_and_sorted_whatever_their_order() {
        let heads = [
            ("src/b/two.rs", Some("Second.")),
            ("build.rs", None),
            ("src/b/one.rs", Some("First.")),
            ("src/a.rs", Some("A `Vec<u8>` of <T>.")),
        ];
        let expected = "# Code map\n\n\
            4 files in 3 folders. Each line is the file's own first sentence; 1 file has none.\n\n\
            ## Top folder\n\n- `build.rs`\n\n\
            ## `src/`\n\n- `a.rs`: A `Vec<u8>` of &lt;T>.\n\n\
            ## `src/b/`\n\n- `one.rs`: First.\n- `two.rs`: Second.\n";
        assert_eq!(map(&heads), expected);
        let mut reversed = heads;
        reversed.reverse();
        assert_eq!(map(&reversed), expected);
    }

    #[test]
    fn an_empty_map_and_a_single_file_read_well() {
        assert_eq!(
            map(&[]),
            "# Code map\n\n0 files in 0 folders. Each line is the file's own first sentence.\n"
        );
        assert!(map(&[("a", None)]).contains("1 file in 1 folder."));
    }

    #[test]
    fn hostile_names_and_summaries_stay_on_their_line() {
        let page = map(&[("a`b\n## x", Some("one\ntwo <script> `open <b>"))]);
        assert_eq!(page.lines().last(), Some("- ``a`b ## x``: one two &lt;script> `open &lt;b>"));
    }
}
