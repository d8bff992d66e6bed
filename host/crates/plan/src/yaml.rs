//! The YAML of planfiles: the core schema without anchors, aliases, tags, merge keys, duplicate keys,
//! directives, several documents, and the scalars that two readers may take for different things
//! (`0x1f`, `007`, `.inf`, `True`). What is left means the same to everyone, and has a place.

use std::collections::BTreeMap;

use base::Code;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput};

use crate::Span;
use crate::bounds::{DEPTH_MAX, KEY_BYTES_MAX, NODES_MAX, SCALAR_BYTES_MAX};
use crate::finding::{Finding, Findings, quoted};

/// A YAML value and where it is.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(Text),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Something that a finding was reported for. Whoever meets it stays silent.
    Refused,
}

/// A scalar that is a string.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) value: String,
    /// Where `value` begins, if the planfile spells it byte for byte: without escapes and folding.
    pub(crate) exact: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) value: Node,
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl Kind {
    /// What it is, for messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool(value) => format!("the boolean `{value}`"),
            Self::Integer(value) => format!("the integer `{value}`"),
            Self::Float(value) => format!("the number `{value}`"),
            Self::Text(text) => format!("the text {}", quoted(&text.value)),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a map".to_owned(),
            Self::Refused => "something else".to_owned(),
        }
    }
}

/// Reads the one document in `text[block]`. None if there is no tree at all; findings tell why.
pub(crate) fn read(text: &str, block: Span, findings: &mut Findings) -> Option<Node> {
    let yaml = text.get(block.start..block.end)?;
    if !check_characters(yaml, block.start, findings) || !check_directives(yaml, block.start, findings) {
        return None;
    }
    let offsets = Offsets::of(yaml, block.start);
    let mut reader = Reader { parser: Parser::new_from_str(yaml), text, offsets, findings, nodes: 0 };
    reader.document().unwrap_or(None)
}

/// Refuses what is not visible, or makes the visible order another than the read one.
fn check_characters(yaml: &str, base: usize, findings: &mut Findings) -> bool {
    let mut chars = yaml.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        let refused = match char {
            '\n' | '\t' => false,
            '\r' => chars.peek().is_none_or(|(_, next)| *next != '\n'),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{061c}' => true,
            '\u{2028}' | '\u{2029}' | '\u{feff}' => true,
            other => other.is_control(),
        };
        if refused {
            let span = Span::new(base + at, base + at + char.len_utf8());
            let message = format!("the character U+{:04X} is not allowed", u32::from(char));
            let finding = Finding::new(Code::PlanSyntax, span, message);
            findings.push(
                finding.fix(format!(
                    r#"write it as "\u{:04X}" in double quotes, or remove it"#,
                    u32::from(char)
                )),
            );
            return false;
        }
    }
    true
}

fn check_directives(yaml: &str, base: usize, findings: &mut Findings) -> bool {
    let mut start = base;
    for line in yaml.split_inclusive('\n') {
        let content = line.trim();
        if content.starts_with('%') {
            let span = Span::new(start, start + content.len());
            findings.push(
                Finding::new(Code::PlanSyntax, span, "YAML directives are not supported")
                    .fix("remove the line"),
            );
            return false;
        }
        if !content.is_empty() && !content.starts_with('#') {
            return true;
        }
        start += line.len();
    }
    true
}

/// The parser counts characters, spans are bytes of the whole file.
struct Offsets {
    base: usize,
    /// The byte of each character; none if each is one byte long.
    bytes: Option<Vec<usize>>,
    length: usize,
}

impl Offsets {
    fn of(yaml: &str, base: usize) -> Self {
        let bytes = (!yaml.is_ascii()).then(|| yaml.char_indices().map(|(at, _)| at).collect());
        Self { base, bytes, length: yaml.len() }
    }

    fn byte(&self, index: usize) -> usize {
        let byte = self.bytes.as_ref().map_or(Some(index), |bytes| bytes.get(index).copied());
        self.base + byte.unwrap_or(self.length).min(self.length)
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        let start = self.byte(span.start.index());
        Span::new(start, self.byte(span.end.index()).max(start))
    }
}

/// The text cannot be read further; the finding is recorded.
struct Stop;

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    text: &'a str,
    offsets: Offsets,
    findings: &'a mut Findings,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Option<Node>, Stop> {
        let mut root = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => break,
                (Event::StreamStart | Event::DocumentEnd | Event::Nothing, _) => {}
                (Event::DocumentStart(_), span) if root.is_some() => {
                    return Err(self.stop(
                        span,
                        "there is more than one document",
                        "keep one document, without `---` inside",
                    ));
                }
                (Event::DocumentStart(_), _) => {
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, span, 0)?);
                }
                (_, span) => {
                    return Err(self.stop(span, "there is more than one document", "keep one document"));
                }
            }
        }
        Ok(root)
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Stop> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, self.offsets.span(span))),
            Some(Err(error)) => Err(self.scan_error(&error)),
            None => Ok((
                Event::StreamEnd,
                Span::new(self.offsets.byte(usize::MAX), self.offsets.byte(usize::MAX)),
            )),
        }
    }

    fn scan_error(&mut self, error: &ScanError) -> Stop {
        let start = self.offsets.byte(error.marker().index());
        let next = self.text.get(start..).and_then(|rest| rest.chars().next());
        let end = start + next.filter(|c| *c != '\n').map_or(0, char::len_utf8);
        let message = format!("the YAML does not parse: {}", error.info());
        let finding = Finding::new(Code::PlanSyntax, Span::new(start, end), message);
        self.findings.push(
            finding.fix("correct the YAML: close what is open, and quote text with `: `, ` #` or brackets"),
        );
        Stop
    }

    fn stop(&mut self, span: Span, message: &str, fix: &str) -> Stop {
        self.refuse(span, message, fix);
        Stop
    }

    fn refuse(&mut self, span: Span, message: impl Into<String>, fix: impl Into<String>) {
        self.findings.push(Finding::new(Code::PlanSyntax, span, message).fix(fix));
    }

    fn too_large(&mut self, span: Span, message: String, fix: &str) {
        self.findings.push(Finding::new(Code::PlanTooLarge, span, message).fix(fix));
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Stop> {
        if depth > DEPTH_MAX {
            self.too_large(span, format!("lists and maps nest deeper than {DEPTH_MAX} levels"), "nest less");
            return Err(Stop);
        }
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            self.too_large(
                span,
                format!("there are more than {NODES_MAX} keys and values"),
                "write a smaller plan",
            );
            return Err(Stop);
        }
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(anchor, tag)
            | Event::MappingStart(anchor, tag) => (*anchor, tag.is_some()),
            _ => (0, false),
        };
        if anchor != 0 {
            self.refuse(
                span,
                "anchors are not supported",
                "remove `&` and its name, and write the value out where it is needed",
            );
        }
        if tag {
            self.refuse(span, "tags are not supported", "remove the `!` and its name");
        }
        match event {
            Event::Scalar(value, style, ..) => Ok(self.scalar(&value, style, span)),
            Event::SequenceStart(..) => self.list(span, depth),
            Event::MappingStart(..) => self.map(span, depth),
            Event::Alias(_) => {
                self.refuse(span, "aliases are not supported", "write the value out");
                Ok(Node { span, kind: Kind::Refused })
            }
            _ => Ok(Node { span, kind: Kind::Null }),
        }
    }

    fn list(&mut self, span: Span, depth: usize) -> Result<Node, Stop> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, end) => {
                    let span = self.enclosing(span, end, items.last().map(|node: &Node| node.span));
                    return Ok(Node { span, kind: Kind::List(items) });
                }
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, span: Span, depth: usize) -> Result<Node, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, end) => {
                    let span = self.enclosing(span, end, entries.last().map(|entry| entry.value.span));
                    return Ok(Node { span, kind: Kind::Map(entries) });
                }
                (event, span) => self.key(event, span, depth)?,
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            let Some(key) = key else { continue };
            if let Some(first) = seen.get(&key.text) {
                let message = format!("the key {} is here twice", quoted(&key.text));
                let finding =
                    Finding::new(Code::PlanDuplicateKey, key.span, message).related(*first, "the first one");
                self.findings.push(finding.fix("rename or remove one of them"));
                continue;
            }
            seen.insert(key.text.clone(), key.span);
            entries.push(Entry { key, value });
        }
    }

    fn key(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Option<Key>, Stop> {
        let merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
        if merge {
            self.refuse(span, "merge keys are not supported", "write the keys out");
        }
        let node = self.node(event, span, depth + 1)?;
        match node.kind {
            _ if merge => Ok(None),
            Kind::Text(text) if text.value.len() > KEY_BYTES_MAX => {
                self.too_large(
                    span,
                    format!("a key is longer than {KEY_BYTES_MAX} bytes"),
                    "shorten the key",
                );
                Ok(None)
            }
            Kind::Text(text) => Ok(Some(Key { text: text.value, span: node.span })),
            Kind::Refused => Ok(None),
            _ => {
                self.refuse(
                    node.span,
                    format!("a key must be text, this is {}", node.kind.describe()),
                    "write the key in quotes",
                );
                Ok(None)
            }
        }
    }

    /// The span of a list or map: to its bracket, or to the end of its last child.
    fn enclosing(&self, start: Span, end: Span, last: Option<Span>) -> Span {
        let closed = self.text.get(end.start..end.end).is_some_and(|text| matches!(text, "]" | "}"));
        let end = if closed { end.end } else { last.map_or(start.end, |last| last.end) };
        Span::new(start.start, end.max(start.start))
    }

    fn scalar(&mut self, value: &str, style: ScalarStyle, span: Span) -> Node {
        let source = self.text.get(span.start..span.end).unwrap_or_default();
        let span = Span::new(span.start, span.start + source.trim_end().len());
        if value.len() > SCALAR_BYTES_MAX {
            self.too_large(
                span,
                format!("a value is longer than {SCALAR_BYTES_MAX} bytes"),
                "shorten it, or make it an input",
            );
            return Node { span, kind: Kind::Refused };
        }
        let plain = style == ScalarStyle::Plain;
        let begin = span.start + usize::from(!plain);
        let exact = self.text.get(begin..begin + value.len()).is_some_and(|text| text == value);
        let text = || Kind::Text(Text { value: value.to_owned(), exact: exact.then_some(begin) });
        let kind = if plain { self.resolve(value, span).unwrap_or_else(text) } else { text() };
        Node { span, kind }
    }

    /// What a plain scalar is, if not text (YAML 1.2.2, 10.3.2, less what is ambiguous).
    fn resolve(&mut self, value: &str, span: Span) -> Option<Kind> {
        match value {
            "" | "~" | "null" => return Some(Kind::Null),
            "true" => return Some(Kind::Bool(true)),
            "false" => return Some(Kind::Bool(false)),
            _ => {}
        }
        match number(value) {
            Number::No if !is_ambiguous(value) => None,
            Number::Integer(number) => Some(Kind::Integer(number)),
            Number::Float(number) => Some(Kind::Float(number)),
            Number::No | Number::Odd => {
                let message =
                    format!("{} means different things to different readers of YAML", quoted(value));
                self.refuse(
                    span,
                    message,
                    format!(
                        "write \"{value}\" for the text, or a plain decimal number, `true`, `false` or `null`"
                    ),
                );
                Some(Kind::Refused)
            }
        }
    }
}

enum Number {
    Integer(i128),
    Float(f64),
    /// A number of the core schema that is not spelt plainly, or does not fit.
    Odd,
    No,
}

fn number(value: &str) -> Number {
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
    if !digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return Number::No;
    }
    let Ok(float) = value.parse::<f64>() else { return Number::No };
    let whole = digits.split(['.', 'e', 'E']).next().unwrap_or_default();
    let plain = !value.starts_with('+') && !whole.is_empty() && (whole == "0" || !whole.starts_with('0'));
    if !plain || !float.is_finite() {
        return Number::Odd;
    }
    if whole.len() == digits.len() {
        return value.parse().map_or(Number::Odd, Number::Integer);
    }
    Number::Float(float)
}

/// Spellings that the core schema, or YAML 1.1, takes for something else than text.
fn is_ambiguous(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let digits = lower.trim_start_matches(['-', '+']);
    let based = |prefix, radix| {
        digits
            .strip_prefix(prefix)
            .is_some_and(|d: &str| !d.is_empty() && d.chars().all(|c| c.is_digit(radix)))
    };
    matches!(lower.as_str(), "true" | "false" | "null")
        || matches!(digits, ".inf" | ".nan")
        || based("0x", 16)
        || based("0o", 8)
        || based("0b", 2)
}
