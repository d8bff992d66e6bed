//! Which part of a planfile is YAML: all of it, or the one ```` ```yaml planfile ```` block of a
//! Markdown file. Prose is never executed, so a block that a reader of the rendered page would not
//! see as a block of its own is refused rather than skipped.

use base::Code;

use crate::Span;
use crate::finding::{Finding, Findings};

const EXPECTED: &str = "exactly one block that starts with ```yaml planfile at the beginning of a line";

/// The YAML of a Markdown planfile.
pub(crate) fn find_block(text: &str, findings: &mut Findings) -> Option<Span> {
    let found = scan(text);
    let fence = |span, message| Finding::new(Code::PlanFence, span, message).expected(EXPECTED);
    for (span, reason) in &found.misplaced {
        let finding = fence(*span, format!("a `yaml planfile` block is {reason}"));
        findings.push(finding.fix("start the block at the beginning of a line, outside of everything else"));
    }
    if let Some(open) = found.unclosed {
        findings.push(fence(open, "a fenced block is not closed".to_owned()).fix("close the block with ```"));
    }
    let mut blocks = found.blocks.iter();
    let Some(first) = blocks.next() else {
        if found.misplaced.is_empty() && found.unclosed.is_none() {
            let finding = fence(Span::new(0, 0), "there is no `yaml planfile` block".to_owned());
            findings.push(finding.fix("start the block with ```yaml planfile"));
        }
        return None;
    };
    for second in blocks {
        let finding = fence(second.fence, "there is more than one `yaml planfile` block".to_owned());
        findings.push(finding.related(first.fence, "the first one").fix("keep one block in the file"));
    }
    findings.is_empty().then_some(first.content)
}

#[derive(Default)]
struct Found {
    blocks: Vec<Block>,
    misplaced: Vec<(Span, &'static str)>,
    unclosed: Option<Span>,
}

struct Block {
    fence: Span,
    content: Span,
}

/// A fence whose end was not met yet.
struct Open {
    mark: Mark,
    fence: Span,
    content_start: usize,
    is_plan: bool,
    /// Inside of a list, a quotation or indented text, and so closed by the end of that too.
    contained: bool,
}

#[derive(Clone, Copy)]
struct Mark {
    char: char,
    length: usize,
}

fn scan(text: &str) -> Found {
    let mut found = Found::default();
    let mut open: Option<Open> = None;
    let mut in_comment = false;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let span = Span::new(start, start + content.len());
        let next = start + line.len();
        if open.as_ref().is_some_and(|open| open.contained && ends_containers(content)) {
            open = None;
        }
        if let Some(fence) = &open {
            if closes(content, fence) {
                if fence.is_plan {
                    found
                        .blocks
                        .push(Block { fence: fence.fence, content: Span::new(fence.content_start, start) });
                }
                open = None;
            }
        } else if in_comment || indented_by_3(content).is_some_and(|line| line.starts_with("<!--")) {
            if opening(without_containers(content)).is_some_and(|(_, info)| is_plan(info)) {
                found.misplaced.push((span, "inside of a comment"));
            }
            in_comment = !content.contains("-->");
        } else if let Some((mark, info)) = opening(without_containers(content)) {
            let contained = indented_by_3(content).and_then(opening).is_none();
            let at_start = content.starts_with(mark.char);
            match (is_plan(info), contained, at_start) {
                (true, true, _) => {
                    found.misplaced.push((span, "inside of a list, a quotation or indented text"));
                }
                (true, false, false) => found.misplaced.push((span, "indented")),
                _ => {}
            }
            open = Some(Open {
                mark,
                fence: span,
                content_start: next,
                is_plan: is_plan(info) && at_start,
                contained,
            });
        }
        start = next;
    }
    found.unclosed = open.filter(|open| !open.contained).map(|open| open.fence);
    found
}

/// The line without its indentation, if that is less than an indented code block's.
fn indented_by_3(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches(' ');
    (line.len() - rest.len() <= 3).then_some(rest)
}

/// The fence that a line opens, and its info string (CommonMark 4.5).
fn opening(line: &str) -> Option<(Mark, &str)> {
    let char = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let info = line.trim_start_matches(char);
    let length = line.len() - info.len();
    let is_fence = length >= 3 && !(char == '`' && info.contains('`'));
    is_fence.then_some((Mark { char, length }, info))
}

fn closes(line: &str, open: &Open) -> bool {
    let line = if open.contained { Some(without_containers(line)) } else { indented_by_3(line) };
    let Some(line) = line else { return false };
    let rest = line.trim_start_matches(open.mark.char);
    line.len() - rest.len() >= open.mark.length && rest.trim().is_empty()
}

/// Whether a line is outside of every list, quotation and indented text.
fn ends_containers(line: &str) -> bool {
    !line.is_empty() && !line.starts_with([' ', '\t', '>'])
}

fn is_plan(info: &str) -> bool {
    info.split_whitespace().eq(["yaml", "planfile"])
}

/// The line without whitespace and the marks of quotations, lists and comments before its text.
fn without_containers(line: &str) -> &str {
    line.trim_start_matches(|c: char| {
        c.is_whitespace() || c.is_ascii_digit() || matches!(c, '>' | '-' | '*' | '+' | '.' | ')' | '<' | '!')
    })
}
