//! Python: the module's docstring, else the comment at the top, else the first docstring.

use crate::sentence;

/// The most lines that a signature is followed over.
const SIGNATURE_LINES_MAX: usize = 50;

/// The first sentence of what the file says of itself.
pub(crate) fn summary(text: &str) -> Option<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    docstring(after_comments(text)).or_else(|| top_comment(text)).or_else(|| first_definition(text))
}

/// What follows the blank and comment lines at the start.
fn after_comments(text: &str) -> &str {
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            break;
        }
        rest = after;
    }
    rest
}

/// The docstring that `code` starts with.
fn docstring(code: &str) -> Option<String> {
    let literal = code.trim_start().trim_start_matches(['r', 'R', 'u', 'U']);
    for quote in ["\"\"\"", "'''", "\"", "'"] {
        if let Some(body) = literal.strip_prefix(quote) {
            let body = match quote.len() {
                1 => body.lines().next().unwrap_or_default(),
                _ => body,
            };
            let (body, _) = body.split_once(quote)?;
            return sentence::first_paragraph(body.lines());
        }
    }
    None
}

/// The first block of comment lines that is addressed to a reader.
fn top_comment(text: &str) -> Option<String> {
    let comments: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| line.is_empty() || line.starts_with('#'))
        .filter(|line| !line.starts_with("#!"))
        .map(|line| line.trim_start_matches('#').trim())
        .collect();
    comments
        .split(|line| line.is_empty())
        .filter(|block| !block.iter().any(|line| is_for_tools(line)))
        .find_map(|block| sentence::first_paragraph(block.iter().copied()))
}

/// The docstring of the first function or class that has one.
fn first_definition(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some((line, after)) = rest.split_once('\n') {
        rest = after;
        let line = line.trim_start();
        if !["def ", "class ", "async def "].iter().any(|keyword| line.starts_with(keyword)) {
            continue;
        }
        if let Some(found) = body(line, after).and_then(docstring) {
            return Some(found);
        }
    }
    None
}

/// What follows a signature that starts with `line` and may go on in `after`.
fn body<'a>(line: &str, after: &'a str) -> Option<&'a str> {
    if line.trim_end().ends_with(':') {
        return Some(after);
    }
    let mut end = 0;
    for more in after.split_inclusive('\n').take(SIGNATURE_LINES_MAX) {
        end += more.len();
        if more.trim_end().ends_with(':') {
            return after.get(end..);
        }
    }
    None
}

/// Whether a comment line speaks to a tool or a lawyer.
pub(crate) fn is_for_tools(line: &str) -> bool {
    const MARKS: [&str; 15] = [
        "copyright",
        "licensed under",
        "license:",
        "spdx-",
        "all rights reserved",
        "coding:",
        "coding=",
        "vim:",
        "pylint:",
        "noqa",
        "type: ignore",
        "eslint",
        "@ts-",
        "prettier-ignore",
        "jshint",
    ];
    let line = line.to_lowercase();
    MARKS.iter().any(|mark| line.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn the_modules_docstring_comes_first() {
        for text in [
            "\"\"\"Reads files. More.\"\"\"\nimport os",
            "#!/usr/bin/env python3\n# -*- coding: utf-8 -*-\n\n'''\nReads files.\n\nMore.\n'''",
            "r\"\"\"Reads\nfiles. More.\"\"\"",
            "'Reads files.'\nx = 1",
            "\u{feff}# Copyright someone\n\"\"\"Reads files.\"\"\"",
        ] {
            assert_eq!(summary(text).as_deref(), Some("Reads files."), "{text}");
        }
    }

    #[test]
    fn then_the_comment_at_the_top_without_the_licence() {
        let text = "#!/usr/bin/python\n# Copyright someone.\n# All rights reserved.\n#\n# Reads files.\n# More.\n\nimport os";
        assert_eq!(summary(text).as_deref(), Some("Reads files."));
    }

    #[test]
    fn then_the_first_definition_with_a_docstring() {
        let text =
            "import os\n\ndef bare():\n    return 1\n\nclass Reader:\n    \"\"\"Reads files. More.\"\"\"\n";
        assert_eq!(summary(text).as_deref(), Some("Reads files."));
        let text = "def read(\n    path: str,\n) -> str:\n    '''Reads files.'''\n";
        assert_eq!(summary(text).as_deref(), Some("Reads files."));
    }

    #[test]
    fn a_file_without_docs_has_no_summary() {
        for text in ["", "x = 1", "\"\"\"never closed", "# coding: utf-8\nx = 1", "def f(", "\"\"\"\"\"\""] {
            assert_eq!(summary(text), None, "{text}");
        }
    }
}
