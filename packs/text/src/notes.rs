//! Notes in source: `TODO`, `FIXME` and `XXX`, with who is named for them.

/// The words that begin a note.
const MARKERS: [&str; 3] = ["TODO", "FIXME", "XXX"];
/// What may stand between the start of a line and a note: list bullets and continued comments.
const LINE_OPENINGS: [&str; 6] = ["*", "-", "- [ ]", "* [ ]", ";", "%"];
/// What may stand before a note behind code: how the languages in use open a comment.
const COMMENT_OPENINGS: [&str; 12] =
    ["//", "///", "//!", "/*", "/**", "/*!", "#", "##", "--", ";;", "<!--", "{-"];

/// How many markers on a line are looked at, so that a line of many costs no more than its length.
const TRIES_MAX: usize = 8;

/// One note.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Note<'a> {
    /// From 1.
    pub(crate) line: u32,
    /// One of [`MARKERS`].
    pub(crate) marker: &'static str,
    /// The text in parentheses behind the marker.
    pub(crate) owner: Option<&'a str>,
    /// The rest of the line.
    pub(crate) text: &'a str,
}

/// The notes in `text`, in order, at most one a line.
pub(crate) fn find(text: &str) -> impl Iterator<Item = Note<'_>> {
    (1..).zip(text.lines()).filter_map(|(number, line)| {
        MARKERS.into_iter().find_map(|marker| {
            line.match_indices(marker).take(TRIES_MAX).find_map(|(at, _)| {
                let before = line.get(..at)?;
                let after = line.get(at + marker.len()..)?;
                opens_note(before).then(|| parse(number, marker, after))?
            })
        })
    })
}

/// Whether a note may follow `before`. Anything but an opening makes it prose or code about notes.
fn opens_note(before: &str) -> bool {
    let before = before.trim();
    let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
    let unspaced = ["//", "/*"].iter().filter_map(|opening| word.strip_suffix(opening));
    before.is_empty()
        || LINE_OPENINGS.contains(&before)
        || COMMENT_OPENINGS.contains(&word)
        || unspaced.into_iter().any(|code| !code.ends_with(['"', '\'', '`', ':']))
}

fn parse<'a>(line: u32, marker: &'static str, after: &'a str) -> Option<Note<'a>> {
    let (owner, rest) = match after.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        Some((owner, rest)) => (Some(owner.trim()).filter(|owner| !owner.is_empty()), rest),
        None => (None, after),
    };
    if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let text = rest.trim_start_matches([':', '!', '?', '-', ' ', '\t']).trim_end();
    let text =
        ["*/", "-->", "-}"].iter().find_map(|close| text.strip_suffix(close)).unwrap_or(text).trim_end();
    Some(Note { line, marker, owner, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(u32, &'static str, Option<&str>, &str)> {
        find(text).map(|note| (note.line, note.marker, note.owner, note.text)).collect()
    }

    #[test]
    fn line_owner_and_text_are_found_in_many_languages() {
        let text = "let x = 1; // TODO(ada): check the sum\n\
            # FIXME: leaks\n\
            /* XXX (not an owner) odd */\n\
            <!-- TODO write -->\n\
            \x20   * TODO( bo ) tidy\n\
            -- TODO\n\
            - [ ] TODO: tick\n\
            TODO: plain\n\
            call();//TODO: close";
        assert_eq!(
            found(text),
            [
                (1, "TODO", Some("ada"), "check the sum"),
                (2, "FIXME", None, "leaks"),
                (3, "XXX", None, "(not an owner) odd"),
                (4, "TODO", None, "write"),
                (5, "TODO", Some("bo"), "tidy"),
                (6, "TODO", None, ""),
                (7, "TODO", None, "tick"),
                (8, "TODO", None, "plain"),
                (9, "TODO", None, "close"),
            ]
        );
    }

    #[test]
    fn text_about_notes_is_no_note() {
        for text in [
            "let marker = \"TODO\";",
            "let marker = \"//TODO\";",
            "a * TODO",
            "see http://TODO",
            "// as the TODO(ada) above says",
            "// TODOS: many",
            "XXXL = 3",
            "MY_TODO: x",
            "fn TODO_list() {}",
            "a.TODO",
            "// todo: lower case",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn a_line_of_nothing_but_markers_ends() {
        assert_eq!(found(&"xTODO".repeat(1_000_000)), []);
        assert_eq!(found(&format!("{}// TODO: y", "xTODO ".repeat(7))).len(), 1);
    }

    #[test]
    fn odd_ends_are_kept_whole() {
        assert_eq!(found("// TODO(open: x"), [(1, "TODO", None, "(open: x")]);
        assert_eq!(found("// TODO(): x"), [(1, "TODO", None, "x")]);
        assert_eq!(found("\r\n// TODO(ü): größe\r\n"), [(2, "TODO", Some("ü"), "größe")]);
    }
}
