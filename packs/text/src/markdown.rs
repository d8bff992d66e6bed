//! Markdown: the first paragraph, else the first heading.

use crate::sentence;

/// The first sentence of the first paragraph, else the first heading.
pub(crate) fn summary(text: &str) -> Option<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut heading: Option<&str> = None;
    let mut paragraph: Vec<&str> = Vec::new();
    let mut skip_until: Option<&str> = None;
    for line in without_front_matter(text).lines().map(str::trim).chain([""]) {
        if let Some(end) = skip_until {
            if line.contains(end) {
                skip_until = None;
            }
            continue;
        }
        if line.is_empty() {
            if let Some(found) = prose(&paragraph) {
                return Some(found);
            }
            paragraph.clear();
        } else if is_underline(line) && !paragraph.is_empty() {
            heading = heading.or(paragraph.last().copied());
            paragraph.clear();
        } else if let Some(title) = sentence::heading_text(line) {
            if let Some(found) = prose(&paragraph) {
                return Some(found);
            }
            paragraph.clear();
            heading = heading.or(Some(title));
        } else if let Some(end) = passed_over(line) {
            skip_until = (!line.get(1..).unwrap_or_default().contains(end)).then_some(end);
        } else if !is_definition(line) {
            paragraph.push(line.trim_start_matches('>').trim_start());
        }
    }
    heading.and_then(sentence::first)
}

/// The first sentence of a paragraph that is more than a row of links, such as badges.
fn prose(paragraph: &[&str]) -> Option<String> {
    let is_link =
        |line: &&str| (line.starts_with('[') || line.starts_with('!')) && line.ends_with([')', ']']);
    if paragraph.iter().all(is_link) { None } else { sentence::first(&paragraph.join(" ")) }
}

/// What follows a `---` or `+++` block at the very start.
fn without_front_matter(text: &str) -> &str {
    for fence in ["---", "+++"] {
        if let Some((first, rest)) = text.split_once('\n')
            && first.trim_end() == fence
        {
            let mut at = 0;
            for line in rest.split_inclusive('\n') {
                at += line.len();
                if line.trim_end() == fence {
                    return rest.get(at..).unwrap_or_default();
                }
            }
        }
    }
    text
}

/// For a line that opens something which is no prose: the text that closes it.
fn passed_over(line: &str) -> Option<&'static str> {
    [("<!--", "-->"), ("```", "```"), ("~~~", "~~~"), ("<", ">"), ("|", "|")]
        .into_iter()
        .find(|(open, _)| line.starts_with(open) && !is_autolink(line))
        .map(|(_, close)| close)
}

/// `[label]: target`, and the marker of a boxed note (`> [!NOTE]`).
fn is_definition(line: &str) -> bool {
    let line = line.trim_start_matches('>').trim_start();
    line.starts_with("[!") && line.ends_with(']') || line.starts_with('[') && line.contains("]: ")
}

fn is_autolink(line: &str) -> bool {
    line.starts_with("<http")
}

fn is_underline(line: &str) -> bool {
    line.chars().all(|c| c == '=') || line.chars().all(|c| c == '-')
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn the_first_paragraph_is_found_behind_what_is_no_prose() {
        for text in [
            "# Title\n\nReads files. More.",
            "Title\n=====\n\nReads\nfiles. More.\n",
            "---\ntitle: x\n---\n\n# Title\nReads files. More.",
            "[![badge](a.svg)](https://example.org)\n![logo](b.png)\n\n[Documentation](d.md)\n\nReads files.",
            "[a]: https://example.org\n\n> [!NOTE]\n> Reads files.",
            "<!-- a\ncomment -->\n<p align=\"center\">\n<img src=\"x\">\n</p>\n\n> Reads files.",
            "```sh\nrun it\n```\n\n| a | b |\n|---|---|\n\nReads [files](b.md).",
        ] {
            assert_eq!(summary(text).as_deref(), Some("Reads files."), "{text}");
        }
    }

    #[test]
    fn a_heading_stands_in() {
        assert_eq!(summary("# Title #\n\n## Second\n").as_deref(), Some("Title"));
        assert_eq!(summary("Title\n-----\n").as_deref(), Some("Title"));
    }

    #[test]
    fn an_empty_or_broken_text_has_no_summary() {
        for text in ["", "---\n", "```\nopen", "<!-- open", "#", "|"] {
            assert_eq!(summary(text), None, "{text}");
        }
    }
}
