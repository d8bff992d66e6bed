//! Rust: the docs of the file, else of its first item.

use crate::sentence;

/// The first sentence of the `//!` (or `/*!`) docs at the top, else of the first `///` (or `/**`).
pub(crate) fn summary(text: &str) -> Option<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    inner(text).or_else(|| outer(text))
}

/// The docs of the file itself. Attributes, plain comments and blank lines may stand before them.
fn inner(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim);
    let mut attribute_depth = 0_usize;
    while let Some(line) = lines.next() {
        if attribute_depth > 0 || line.starts_with("#!") {
            attribute_depth =
                (attribute_depth + line.matches('[').count()).saturating_sub(line.matches(']').count());
        } else if let Some(first) = line.strip_prefix("//!") {
            let rest = lines.map_while(|line| line.strip_prefix("//!"));
            return sentence::first_paragraph(std::iter::once(first).chain(rest));
        } else if let Some(first) = line.strip_prefix("/*!") {
            return block(first, lines);
        } else if line.starts_with("/*") && !line.starts_with("/**") {
            skip_block(line, &mut lines);
        } else if !line.is_empty() && (!line.starts_with("//") || line.starts_with("///")) {
            return None;
        }
    }
    None
}

/// The docs of the first item that has any.
fn outer(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if let Some(first) = line.strip_prefix("///").filter(|rest| !rest.starts_with('/')) {
            let rest = lines.map_while(|line| line.strip_prefix("///"));
            return sentence::first_paragraph(std::iter::once(first).chain(rest));
        }
        if let Some(first) = line.strip_prefix("/**").filter(|rest| !rest.starts_with(['*', '/'])) {
            return block(first, lines);
        }
    }
    None
}

/// The docs in a block comment whose first line (behind the opening) is `first`.
pub(crate) fn block<'a>(first: &'a str, lines: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut open = true;
    let body = std::iter::once(first).chain(lines).map_while(move |line| {
        if !open {
            return None;
        }
        let (content, closed) = line.split_once("*/").map_or((line, false), |(content, _)| (content, true));
        open = !closed;
        let content = content.trim();
        Some(content.strip_prefix('*').unwrap_or(content))
    });
    sentence::first_paragraph(body)
}

/// Passes over a block comment that `line` opens.
pub(crate) fn skip_block<'a>(line: &str, lines: &mut impl Iterator<Item = &'a str>) {
    if !line.contains("*/") {
        lines.find(|line| line.contains("*/"));
    }
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn the_files_own_docs_come_first() {
        for text in [
            "//! Reads files. More.\n//! Even more.\n\n/// An item.\nfn f() {}",
            "#!/usr/bin/env run\n// licence\n\n#![deny(\n  warnings,\n)]\n/* plain\n */\n//! Reads\n//! files. More.",
            "//!\n//! # Title\n//!\n//! Reads files. More.",
            "/*! Reads files. More. */\nfn f() {}",
            "/*!\n * Reads files. More.\n */",
            "\u{feff}//! Reads files.\r\n//!\r\n//! More.",
        ] {
            assert_eq!(summary(text).as_deref(), Some("Reads files."), "{text}");
        }
    }

    #[test]
    fn else_those_of_the_first_documented_item() {
        for text in [
            "use std::fs;\n\n/// Reads [`File`]s. More.\npub fn read() {}",
            "mod a {\n    /** Reads `File`s.\n     * More. */\n    fn f() {}\n}",
            "//////////////\n/// Reads `File`s.\nfn f() {}",
            "/***************/\n/// Reads `File`s.\nfn f() {}",
        ] {
            assert_eq!(summary(text).as_deref(), Some("Reads `File`s."), "{text}");
        }
    }

    #[test]
    fn a_file_without_docs_has_no_summary() {
        for text in ["", "fn main() {}", "// only a comment\nfn main() {}", "//!\n//!", "/* open", "#![open"]
        {
            assert_eq!(summary(text), None, "{text}");
        }
    }
}
