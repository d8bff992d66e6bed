//! JavaScript and TypeScript: the comment at the top, else the first JSDoc block.

use crate::python::is_for_tools;
use crate::sentence;

/// The first sentence of what the file says of itself.
pub(crate) fn summary(text: &str) -> Option<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with("#!") || is_directive(line) {
            continue;
        }
        let mut comment = Vec::new();
        if let Some(first) = line.strip_prefix("/*") {
            block(first.trim_start_matches('*'), &mut lines, &mut comment);
        } else if let Some(first) = line.strip_prefix("//") {
            comment.push(first);
            while let Some(next) = lines.next_if(|line| line.starts_with("//")) {
                comment.push(next.trim_start_matches('/'));
            }
        } else {
            break;
        }
        if let Some(found) = summary_of(&comment) {
            return Some(found);
        }
    }
    first_jsdoc(text)
}

/// `'use strict'` and its like, which may stand before the first comment.
fn is_directive(line: &str) -> bool {
    let line = line.trim_end_matches(';');
    ['"', '\''].iter().any(|quote| line.starts_with(&format!("{quote}use ")) && line.ends_with(*quote))
}

fn first_jsdoc(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if let Some(first) = line.strip_prefix("/**").filter(|rest| !rest.starts_with(['*', '/'])) {
            let mut comment = Vec::new();
            block(first, &mut lines, &mut comment);
            if let Some(found) = summary_of(&comment) {
                return Some(found);
            }
        }
    }
    None
}

/// Collects a block comment's lines without their stars; `first` is what follows the opening.
fn block<'a>(first: &'a str, lines: &mut impl Iterator<Item = &'a str>, out: &mut Vec<&'a str>) {
    let mut line = first;
    loop {
        let (content, closed) = line.split_once("*/").map_or((line, false), |(content, _)| (content, true));
        let content = content.trim();
        out.push(content.strip_prefix('*').unwrap_or(content));
        if closed {
            return;
        }
        match lines.next() {
            Some(next) => line = next,
            None => return,
        }
    }
}

/// The first sentence of a comment, if it is addressed to a reader. Tags end the prose, but the
/// text of `@file`, `@fileoverview`, `@module` and `@description` is prose.
fn summary_of(comment: &[&str]) -> Option<String> {
    const PROSE_TAGS: [&str; 5] = ["@fileoverview ", "@file ", "@overview ", "@description ", "@summary "];
    let is_notice = |line: &&str| {
        let line = line.trim();
        is_for_tools(line)
            || line.starts_with("@license")
            || line.starts_with("@preserve")
            || line.starts_with('!')
            || ["global ", "globals ", "exported "].iter().any(|word| line.starts_with(word))
            || line.starts_with("<reference")
            || line.starts_with("/ <reference")
            || line.starts_with("# sourceMappingURL")
    };
    if comment.iter().any(is_notice) {
        return None;
    }
    let prose = comment.iter().map(|line| line.trim()).map(|line| {
        let tagged = PROSE_TAGS.iter().find_map(|tag| line.strip_prefix(tag));
        // Any other tag ends the prose before it and is passed over where there is none yet.
        tagged.unwrap_or(if line.starts_with('@') { "" } else { line })
    });
    sentence::first_paragraph(prose)
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn the_comment_at_the_top_comes_first() {
        for text in [
            "/** Reads files. More. */\nexport function f() {}",
            "/**\n * @fileoverview Reads files.\n * @author someone\n */",
            "// Reads files. More.\n// Even more.\nimport fs from 'fs';",
            "#!/usr/bin/env node\n'use strict';\n\n/* Reads\n   files. */",
            "/**\n * @module reader\n *\n * Reads files.\n */",
        ] {
            assert_eq!(summary(text).as_deref(), Some("Reads files."), "{text}");
        }
    }

    #[test]
    fn licences_and_directives_are_passed_over() {
        for text in [
            "/*! Copyright someone */\n// eslint-disable-next-line\n\n// Reads files.",
            "/**\n * @license MIT\n * Something.\n */\n/** Reads files. */",
            "// Copyright 2020 Someone.\n// Licensed under the Apache License.\n\nimport a from 'a';\n\n/** Reads files. */\nexport class A {}",
            "/* global window, document */\n// Reads files.",
            "/// <reference types=\"node\" />\n/** Reads files. */",
        ] {
            assert_eq!(summary(text).as_deref(), Some("Reads files."), "{text}");
        }
    }

    #[test]
    fn a_glob_in_a_string_is_no_comment() {
        assert_eq!(summary("const g = 'src/**/*.ts';\nconst h = \"/** no */\";"), None);
    }

    #[test]
    fn a_file_without_docs_has_no_summary() {
        for text in ["", "x = 1", "/*", "/**", "//", "/** @param x the x */\nf();", "'use strict'"] {
            assert_eq!(summary(text), None, "{text}");
        }
    }
}
