//! The text of expressions: references, literals, `len`, and `${ }` inside of text.

use std::cell::Cell;

use base::Code;

use crate::Span;
use crate::finding::{Finding, did_you_mean, quoted};
use crate::yaml::Kind;

/// What a scalar says once its dollars are read.
#[derive(Debug)]
pub(crate) enum Template {
    /// Text without an expression, `$$` already one dollar.
    Plain(String),
    /// A reference that is the whole scalar: its value, whatever the type.
    Reference(Path),
    /// Text with expressions in it.
    Parts(Vec<Part>),
}

#[derive(Debug)]
pub(crate) enum Part {
    Text(String),
    Value(Syntax),
}

/// An expression.
#[derive(Debug)]
pub(crate) struct Syntax {
    pub(crate) span: Span,
    pub(crate) kind: SyntaxKind,
}

#[derive(Debug)]
pub(crate) enum SyntaxKind {
    Path(Path),
    Length(Path),
    /// A literal; a [`Kind::Text`] of it is taken as it is.
    Literal(Kind),
}

/// `$name.name.name`
#[derive(Debug, Clone)]
pub(crate) struct Path {
    pub(crate) span: Span,
    pub(crate) root: Name,
    pub(crate) fields: Vec<Name>,
}

#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// Where a scalar's text is in the planfile.
pub(crate) struct Origin<'a> {
    source: &'a str,
    whole: Span,
    exact: Option<usize>,
    /// For a text with escapes or folding: where in the scalar's source the last piece was found.
    /// Pieces are asked for from left to right.
    found: Cell<usize>,
}

impl<'a> Origin<'a> {
    /// `source` is the planfile, `whole` the scalar in it, `exact` as [`crate::yaml::Text::exact`].
    pub(crate) fn new(source: &'a str, whole: Span, exact: Option<usize>) -> Self {
        Self { source, whole, exact, found: Cell::new(whole.start) }
    }

    fn span(&self, text: &str, start: usize, end: usize) -> Span {
        if let Some(base) = self.exact {
            return Span::new(base + start, base + end);
        }
        let piece = text.get(start..end).filter(|piece| !piece.is_empty());
        let rest = self.source.get(self.found.get()..self.whole.end).unwrap_or_default();
        match piece.and_then(|piece| rest.find(piece)) {
            Some(at) => {
                let start_in_source = self.found.get() + at;
                self.found.set(start_in_source);
                Span::new(start_in_source, start_in_source + (end - start))
            }
            None => self.whole,
        }
    }
}

/// Reads the scalar `text` of a `with`, an output or a default.
pub(crate) fn template(text: &str, origin: &Origin<'_>) -> Result<Template, Finding> {
    let mut cursor = Cursor { text, at: 0, origin };
    if cursor.at_path() {
        let path = cursor.path()?;
        if cursor.rest().is_empty() {
            return Ok(Template::Reference(path));
        }
        let (shown, rest) = (text.get(..cursor.at).unwrap_or_default(), cursor.rest_span());
        let finding = Finding::new(
            Code::PlanExpression,
            rest,
            format!("there is more text after the reference `{shown}`"),
        );
        return Err(finding
            .expected("a reference alone, or `${ }` around it")
            .fix(format!("write `${{ {shown} }}`")));
    }
    let mut parts = Vec::new();
    let mut plain = String::new();
    while let Some(dollar) = cursor.rest().find('$') {
        plain.push_str(cursor.take(dollar));
        if cursor.eat("$$") {
            plain.push('$');
        } else if cursor.eat("${") {
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Value(cursor.expression()?));
            cursor.close("}")?;
        } else {
            let message = "a `$` inside of text is neither `$$` nor `${ }`";
            let finding = Finding::new(Code::PlanExpression, cursor.next_span(), message);
            return Err(finding.fix("write `$$` for a dollar, `${ $name }` or `${ len($name) }` for a value"));
        }
    }
    plain.push_str(cursor.rest());
    if parts.is_empty() {
        return Ok(Template::Plain(plain));
    }
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(Template::Parts(parts))
}

/// Reads a bare expression, the whole of `text`.
pub(crate) fn expression(text: &str, origin: &Origin<'_>) -> Result<Syntax, Finding> {
    let mut cursor = Cursor { text, at: 0, origin };
    if text.starts_with("${") {
        let finding =
            Finding::new(Code::PlanExpression, cursor.rest_span(), "the expression is inside of `${ }`");
        return Err(finding.expected("a bare expression such as `$step`").fix("remove `${` and `}`"));
    }
    let syntax = cursor.expression()?;
    cursor.skip_spaces();
    if cursor.rest().is_empty() { Ok(syntax) } else { Err(cursor.unexpected("the end of the expression")) }
}

/// What the language has and this version does not run. Longer operators first.
const OPERATORS: [&str; 14] = ["==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "!"];
const WORDS: [&str; 5] = ["and", "or", "not", "contains", "default"];

struct Cursor<'a> {
    text: &'a str,
    at: usize,
    origin: &'a Origin<'a>,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, length: usize) -> &'a str {
        let taken = self.rest().get(..length).unwrap_or_default();
        self.at += taken.len();
        taken
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn span_from(&self, start: usize) -> Span {
        self.origin.span(self.text, start, self.at)
    }

    fn rest_span(&self) -> Span {
        self.origin.span(self.text, self.at, self.text.len())
    }

    fn next_span(&self) -> Span {
        let length = self.rest().chars().next().map_or(0, char::len_utf8);
        self.origin.span(self.text, self.at, self.at + length)
    }

    /// Whether a path starts here: a dollar and a letter.
    fn at_path(&self) -> bool {
        self.rest().strip_prefix('$').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
    }

    fn word(&self) -> &'a str {
        let rest = self.rest();
        let starts = rest.starts_with(|c: char| c.is_ascii_alphabetic());
        let end = rest.find(|c: char| !is_name_char(c)).unwrap_or(rest.len());
        rest.get(..end).filter(|_| starts).unwrap_or_default()
    }

    fn name(&mut self) -> Result<Name, Finding> {
        let start = self.at;
        let length = self.word().len();
        let text = self.take(length).to_owned();
        if text.is_empty() {
            return Err(self.unexpected("a name"));
        }
        Ok(Name { text, span: self.span_from(start) })
    }

    fn path(&mut self) -> Result<Path, Finding> {
        let start = self.at;
        self.eat("$");
        let root = self.name()?;
        let mut fields = Vec::new();
        while self.eat(".") {
            fields.push(self.name()?);
        }
        let end = fields.last().map_or(root.span.end, |field| field.span.end);
        let from = self.origin.exact.map_or(root.span.start.saturating_sub(1), |base| base + start);
        Ok(Path { span: Span::new(from, end), root, fields })
    }

    fn expression(&mut self) -> Result<Syntax, Finding> {
        self.skip_spaces();
        let start = self.at;
        if self.at_path() {
            let path = self.path()?;
            return Ok(Syntax { span: path.span, kind: SyntaxKind::Path(path) });
        }
        if let Some(literal) = self.literal()? {
            return Ok(Syntax { span: self.span_from(start), kind: SyntaxKind::Literal(literal) });
        }
        if self.word() == "len" {
            return self.length();
        }
        Err(self.unexpected("a reference such as `$step.field`, a literal, or `len($step)`"))
    }

    fn length(&mut self) -> Result<Syntax, Finding> {
        let start = self.name()?.span;
        self.skip_spaces();
        if !self.eat("(") {
            return Err(self.unexpected("`(`"));
        }
        self.skip_spaces();
        if !self.at_path() {
            return Err(self.unexpected("a reference to a list such as `$step`"));
        }
        let path = self.path()?;
        let end = self.close(")")?;
        Ok(Syntax { span: Span::new(start.start, end.end.max(start.end)), kind: SyntaxKind::Length(path) })
    }

    fn close(&mut self, bracket: &str) -> Result<Span, Finding> {
        self.skip_spaces();
        let start = self.at;
        if self.eat(bracket) {
            Ok(self.span_from(start))
        } else {
            Err(self.unexpected(&format!("`{bracket}`")))
        }
    }

    fn literal(&mut self) -> Result<Option<Kind>, Finding> {
        for quote in ['"', '\''] {
            if self.rest().starts_with(quote) {
                return self.quoted_text(quote).map(Some);
            }
        }
        let word = self.word();
        let kind = match word {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "null" => Kind::Null,
            _ => return Ok(self.number()),
        };
        self.take(word.len());
        Ok(Some(kind))
    }

    fn number(&mut self) -> Option<Kind> {
        let rest = self.rest();
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
        let text = rest.get(..rest.len() - digits.len() + end)?;
        let kind = match (text.parse::<i128>(), text.parse::<f64>()) {
            (Ok(integer), _) => Kind::Integer(integer),
            (Err(_), Ok(float)) if float.is_finite() => Kind::Float(float),
            _ => return None,
        };
        self.take(text.len());
        Some(kind)
    }

    /// A literal text, without escapes.
    fn quoted_text(&mut self, quote: char) -> Result<Kind, Finding> {
        let start = self.at;
        self.take(1);
        let Some(length) = self.rest().find(quote) else {
            self.at = start;
            return Err(self.unexpected("the closing quote of a text"));
        };
        let value = self.take(length).to_owned();
        self.take(1);
        if value.contains('\\') {
            let message = "texts inside of expressions have no escapes";
            return Err(Finding::new(Code::PlanExpression, self.span_from(start), message)
                .fix("move the text out of `${ }`"));
        }
        Ok(Kind::Text(crate::yaml::Text { value, exact: None }))
    }

    /// A finding about what stands here instead of `expected`: something that is not supported yet, by
    /// its name, or a mistake.
    fn unexpected(&mut self, expected: &str) -> Finding {
        self.skip_spaces();
        let word = self.word();
        let operator = OPERATORS.into_iter().find(|operator| self.rest().starts_with(operator));
        let unsupported = WORDS.into_iter().find(|known| *known == word).or(operator);
        let start = self.at;
        if let Some(name) = unsupported {
            self.take(name.len());
            return Finding::new(
                Code::PlanUnsupported,
                self.span_from(start),
                format!("`{name}` is not supported yet"),
            )
            .expected(expected)
            .fix(format!("remove `{name}`: this version does not run it"));
        }
        let message = match (word, self.rest().chars().next()) {
            ("", None) => "the expression ends too early".to_owned(),
            ("", Some(char)) => format!("{} is not expected here", quoted(&char.to_string())),
            (word, _) => format!("{} is not expected here", quoted(word)),
        };
        let span = if word.is_empty() {
            self.next_span()
        } else {
            self.origin.span(self.text, start, start + word.len())
        };
        let reference = (!word.is_empty()).then(|| format!("write `${word}` for a reference"));
        Finding::new(Code::PlanExpression, span, message)
            .expected(expected)
            .maybe_fix(did_you_mean(word, ["len", "true", "false", "null"]).or(reference))
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}
