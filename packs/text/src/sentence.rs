//! The first sentence of a paragraph, made fit for one line of Markdown.

/// The most characters of a summary.
const SUMMARY_CHARS_MAX: usize = 200;
/// The most characters of a paragraph that are looked at, so that no text costs more than its length.
const PARAGRAPH_CHARS_MAX: usize = 4_000;
/// Words that end in a full stop and do not end a sentence.
const ABBREVIATIONS: [&str; 8] = ["e.g.", "i.e.", "etc.", "vs.", "cf.", "approx.", "resp.", "no."];

/// The first sentence of `paragraph`, in which any white space counts as one space.
/// `None` if there is no letter or digit in it.
pub(crate) fn first(paragraph: &str) -> Option<String> {
    let start: String = paragraph.chars().take(PARAGRAPH_CHARS_MAX).collect();
    let line = without_links(&without_tags(&start.split_whitespace().collect::<Vec<_>>().join(" ")));
    // Emphasis that opens the paragraph would be cut open by the end of the sentence.
    let line = if line.starts_with("**") { line.replace("**", "") } else { line };
    let sentence = line.get(..sentence_end(&line)).unwrap_or(&line).trim_end_matches(':').trim();
    sentence.chars().any(char::is_alphanumeric).then(|| cut(sentence))
}

/// The first paragraph of Markdown `lines`: headings and single words (a module's own name) are
/// passed over, but the first one stands in where nothing follows it; code fences, lists and tables
/// end the search.
pub(crate) fn first_paragraph<'a>(lines: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut heading = None;
    let mut paragraph: Vec<&str> = Vec::new();
    for line in lines.map(str::trim) {
        if line.is_empty() {
            if let [word] = paragraph.as_slice()
                && !word.contains(' ')
            {
                heading = heading.or(Some(*word));
                paragraph.clear();
            }
            if paragraph.is_empty() {
                continue;
            }
            break;
        }
        if line.starts_with("```") || line.starts_with("~~~") || line.starts_with('|') {
            break;
        }
        if let Some(title) = heading_text(line) {
            if !paragraph.is_empty() {
                break;
            }
            heading = heading.or(Some(title));
            continue;
        }
        if starts_list_item(line) && !paragraph.is_empty() {
            break;
        }
        paragraph.push(line);
    }
    first(&paragraph.join(" ")).or_else(|| first(heading?))
}

/// The text of an ATX heading (`## Title`).
pub(crate) fn heading_text(line: &str) -> Option<&str> {
    let title = line.trim_start_matches('#');
    let level = line.len() - title.len();
    ((1..=6).contains(&level) && (title.is_empty() || title.starts_with(' ')))
        .then(|| title.trim().trim_end_matches('#').trim_end())
}

fn starts_list_item(line: &str) -> bool {
    ["- ", "* ", "+ "].iter().any(|bullet| line.starts_with(bullet))
}

/// Where the first sentence ends, in bytes: behind a full stop, question or exclamation mark that a
/// space follows, outside code spans and not behind an abbreviation.
fn sentence_end(line: &str) -> usize {
    let mut in_code = false;
    let mut characters = line.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let end = at + character.len_utf8();
        match character {
            '`' => in_code = !in_code,
            '。' if !in_code => return end,
            '.' | '!' | '?' if !in_code => {
                let at_end = characters.peek().is_none_or(|(_, next)| *next == ' ');
                if at_end && !ends_in_abbreviation(line.get(..end).unwrap_or_default()) {
                    return end;
                }
            }
            _ => {}
        }
    }
    line.len()
}

fn ends_in_abbreviation(text: &str) -> bool {
    let word = text.rsplit(' ').next().unwrap_or_default().trim_start_matches(['(', '"', '*', '_']);
    ABBREVIATIONS.iter().any(|abbreviation| word.eq_ignore_ascii_case(abbreviation))
}

/// Drops the HTML tags that pages of Markdown use for layout; `Vec<T>` is none of them.
fn without_tags(line: &str) -> String {
    const TAGS: [&str; 16] = [
        "a", "b", "br", "div", "em", "h1", "h2", "h3", "i", "img", "p", "picture", "source", "span",
        "strong", "sup",
    ];
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, found)) = rest.split_once('<') {
        out.push_str(before);
        let name = found.strip_prefix('/').unwrap_or(found);
        let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let in_code = out.matches('`').count() % 2 == 1;
        match found.split_once('>').filter(|_| !in_code && TAGS.contains(&name)) {
            Some((_, after)) => rest = after,
            None => {
                out.push('<');
                rest = found;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Replaces `[text](target)` and `[text][label]` by `text`, and drops images: a summary is read far
/// from the file that its links are relative to.
fn without_links(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    let mut in_code = false;
    while let Some(at) = rest.find(['[', '`', '!']) {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        let image = found.starts_with("![");
        let link = found.strip_prefix('!').filter(|_| image).unwrap_or(found);
        match link.strip_prefix('[').filter(|_| !in_code).and_then(split_link) {
            Some((text, after)) => {
                if !image {
                    out.push_str(&without_links(text));
                }
                rest = after;
            }
            None => {
                let (mark, after) = found.split_at(1);
                in_code ^= mark == "`";
                out.push_str(mark);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out.trim().to_owned()
}

/// Splits what follows a `[` into the link's text and what follows the link. A bare `[text]` is a
/// link only around a code span, as rustdoc has it.
fn split_link(rest: &str) -> Option<(&str, &str)> {
    let mut depth = 1_usize;
    let close = rest.char_indices().find_map(|(at, character)| {
        match character {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(at)
    })?;
    let (text, after) = (rest.get(..close)?, rest.get(close + 1..)?);
    for (open, end) in [('(', ')'), ('[', ']')] {
        if let Some(target) = after.strip_prefix(open) {
            return Some((text, target.get(target.find(end)? + 1..)?));
        }
    }
    (text.starts_with('`') && text.ends_with('`')).then_some((text, after))
}

fn cut(sentence: &str) -> String {
    if sentence.chars().count() <= SUMMARY_CHARS_MAX {
        return sentence.to_owned();
    }
    let kept: String = sentence.chars().take(SUMMARY_CHARS_MAX - 1).collect();
    let whole_words = kept.rsplit_once(' ').map_or(kept.as_str(), |(words, _)| words);
    format!("{whole_words}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_ends_at_its_mark_and_not_before() {
        for (text, sentence) in [
            ("Reads files. Writes none.", "Reads files."),
            ("Is it? It is.", "Is it?"),
            (
                "Version 1.2.3 of `a. b`, e.g. this (i.e. that). Next.",
                "Version 1.2.3 of `a. b`, e.g. this (i.e. that).",
            ),
            ("No mark at all", "No mark at all"),
            ("The parts:", "The parts"),
            ("spread\n  over\tlines. x", "spread over lines."),
            ("読む。 書く。", "読む。"),
        ] {
            assert_eq!(first(text).as_deref(), Some(sentence), "{text}");
        }
        for empty in ["", "   ", "---", "***", "![logo](x.png)"] {
            assert_eq!(first(empty), None, "{empty}");
        }
    }

    #[test]
    fn links_become_their_text() {
        for (text, plain) in [
            ("See [the book](https://example.org/a) now", "See the book now"),
            ("A [`Foo`] and [`Bar`][crate::bar] and [baz][1]", "A `Foo` and `Bar` and baz"),
            ("![logo](a.png) A tool", "A tool"),
            ("[![badge](b.svg)](https://example.org) A tool", "A tool"),
            ("Takes `a[0](x)` and [u8] and [open", "Takes `a[0](x)` and [u8] and [open"),
        ] {
            assert_eq!(first(text).as_deref(), Some(plain));
        }
    }

    #[test]
    fn layout_is_dropped_and_generics_are_kept() {
        for (text, plain) in [
            ("**A parser.** For all.", "A parser."),
            ("<img alt=\"x\" src=\"y\"> <b>A</b> parser", "A parser"),
            ("A Vec<T>, a `<b>` and a < b", "A Vec<T>, a `<b>` and a < b"),
            ("see <https://example.org>", "see <https://example.org>"),
        ] {
            assert_eq!(first(text).as_deref(), Some(plain));
        }
    }

    #[test]
    fn a_long_sentence_is_cut_between_words() {
        let summary = first(&"größe ".repeat(100)).unwrap();
        assert!(summary.ends_with("größe…") && summary.chars().count() <= SUMMARY_CHARS_MAX, "{summary}");
        assert_eq!(first(&"x".repeat(500)).unwrap().chars().count(), SUMMARY_CHARS_MAX);
        let exact = "y".repeat(SUMMARY_CHARS_MAX);
        assert_eq!(first(&exact), Some(exact));
    }

    #[test]
    fn a_heading_stands_in_only_for_an_absent_paragraph() {
        let paragraph = |text: &str| first_paragraph(text.lines());
        assert_eq!(paragraph("# Title\n\nThe point. More.").as_deref(), Some("The point."));
        assert_eq!(paragraph("# Title\n```\ncode\n```").as_deref(), Some("Title"));
        assert_eq!(paragraph("Lead\n- item").as_deref(), Some("Lead"));
        assert_eq!(paragraph("#hashtag line").as_deref(), Some("#hashtag line"));
        assert_eq!(paragraph("tool.reader\n\nReads files.").as_deref(), Some("Reads files."));
        assert_eq!(paragraph("Reader\n").as_deref(), Some("Reader"));
        assert_eq!(paragraph("\n\n"), None);
    }

    #[test]
    fn hostile_nesting_ends() {
        for mark in ["[", "<a", "`", "![", "[](", "**"] {
            assert!(
                first(&mark.repeat(1_000_000)).is_none_or(|summary| summary.chars().count() <= 200),
                "{mark}"
            );
        }
        assert!(first(&format!("{}x{}", "[".repeat(500), "](u)".repeat(500))).is_some());
    }
}
