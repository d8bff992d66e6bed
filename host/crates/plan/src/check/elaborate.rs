//! YAML values to typed expressions, directed by the expected type. Every mistake in a value is
//! reported at its own place; the value as a whole is then none.

use base::Code;
use serde_json::Value as Json;
use values::{Case, Field, Type, Value};

use super::names::{Item, Names, Use, shown};
use crate::expression::has_text;
use crate::finding::{Finding, Findings, did_you_mean, quoted};
use crate::syntax::{self, Origin, Part, Path, Syntax, SyntaxKind, Template};
use crate::yaml::{Entry, Kind, Node, Text};
use crate::{Expr, Reference, Root, Span, TextPart};

/// Types the values of one step, or of the outputs.
pub(super) struct Elaborator<'a> {
    /// The planfile.
    pub(super) text: &'a str,
    pub(super) names: &'a Names,
    pub(super) item: Item<'a>,
    /// The step the values are for; none for outputs.
    pub(super) step: Option<usize>,
    /// The steps that were referred to.
    pub(super) uses: Vec<Use>,
    pub(super) findings: &'a mut Findings,
    /// What the present value is called in messages, such as ``argument `head.path` ``.
    pub(super) place: Place,
}

/// A place inside a value: `head.path[3]`.
pub(super) struct Place {
    pub(super) noun: &'static str,
    pub(super) path: String,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() { f.write_str(self.noun) } else { write!(f, "{} `{}`", self.noun, self.path) }
    }
}

impl<'a> Elaborator<'a> {
    /// The arguments of a call, one for each parameter. `missing_at` is where an absent one is reported.
    pub(super) fn arguments(
        &mut self,
        entries: &[Entry],
        parameters: &[Field],
        missing_at: Span,
    ) -> Option<Vec<(String, Expr)>> {
        self.fields(entries, parameters, missing_at, "argument")
    }

    /// `node` as a value of exactly `expected`.
    pub(super) fn value(&mut self, node: &Node, expected: &Type) -> Option<Expr> {
        match (&node.kind, expected) {
            (Kind::Refused, _) => None,
            (Kind::Text(text), _) => self.text(node.span, text, expected),
            (Kind::Null, Type::Option(_)) => Some(Expr::Literal(Value::Option(None))),
            (_, Type::Option(inner)) => self.value(node, inner).map(some),
            (Kind::List(items), Type::List(item)) if **item != Type::U8 => {
                self.items(items.iter().map(|node| (node, &**item))).map(list)
            }
            (Kind::List(items), Type::Tuple(types)) if items.len() == types.len() => {
                self.items(items.iter().zip(types)).map(Expr::Tuple)
            }
            (Kind::List(items), Type::Flags(_)) => self.flags(node.span, items, expected),
            (Kind::Map(entries), Type::Record(fields)) => {
                let start = entries.first().map_or(node.span, |entry| entry.key.span);
                self.fields(entries, fields, start, "field").map(Expr::Record)
            }
            (Kind::Map(entries), Type::Variant(cases)) => match entries.as_slice() {
                [entry] => self.variant(entry, cases),
                _ => self.mismatch(
                    node.span,
                    &node.kind.describe(),
                    &format!("one case of {}", shown(expected)),
                ),
            },
            (Kind::Map(entries), Type::Result { ok, err }) => match entries.as_slice() {
                [entry] if entry.key.text == "ok" => {
                    self.payload(&entry.value, ok.as_deref()).map(|payload| Expr::Result(Ok(payload)))
                }
                [entry] if entry.key.text == "err" => {
                    self.payload(&entry.value, err.as_deref()).map(|payload| Expr::Result(Err(payload)))
                }
                _ => self.mismatch(node.span, &node.kind.describe(), "`ok` or `err`, and its value"),
            },
            (kind, _) => match json(kind) {
                Some(json) => self.literal(node.span, &json, expected, &node.kind.describe()),
                None => self.mismatch(node.span, &node.kind.describe(), &shown(expected)),
            },
        }
    }

    /// `node` with the type that it has by itself.
    pub(super) fn infer(&mut self, node: &Node) -> Option<(Expr, Type)> {
        match &node.kind {
            Kind::Refused => None,
            Kind::Text(text) => self.infer_text(node.span, text),
            Kind::List(items) => self.infer_list(node.span, items),
            Kind::Map(entries) if entries.is_empty() => self.mismatch(node.span, "an empty map", "a value"),
            Kind::Map(entries) => self.infer_record(entries),
            scalar => self.infer_scalar(node.span, scalar),
        }
    }

    /// A bare expression with the type that it has by itself.
    pub(super) fn infer_bare(&mut self, span: Span, text: &Text) -> Option<(Expr, Type)> {
        let origin = Origin::new(self.text, span, text.exact);
        let syntax = self.keep(syntax::expression(&text.value, &origin))?;
        self.infer_syntax(&syntax)
    }

    /// Reports what is wrong inside `node` whatever its type, and notes the steps it refers to: all that
    /// can be done where the expected type is not known.
    pub(super) fn survey(&mut self, node: &Node) {
        match &node.kind {
            Kind::List(items) => items.iter().for_each(|item| self.survey(item)),
            Kind::Map(entries) => entries.iter().for_each(|entry| self.survey(&entry.value)),
            Kind::Text(text) => {
                let origin = Origin::new(self.text, node.span, text.exact);
                match self.keep(syntax::template(&text.value, &origin)) {
                    Some(Template::Reference(path)) => drop(self.resolve(&path)),
                    Some(Template::Parts(parts)) => parts.iter().for_each(|part| self.survey_part(part)),
                    Some(Template::Plain(_)) | None => {}
                }
            }
            _ => {}
        }
    }

    fn survey_part(&mut self, part: &Part) {
        if let Part::Value(Syntax { kind: SyntaxKind::Path(path) | SyntaxKind::Length(path), .. }) = part {
            drop(self.resolve(path));
        }
    }

    fn keep<T>(&mut self, result: Result<T, Finding>) -> Option<T> {
        result.map_err(|finding| self.findings.push(finding)).ok()
    }

    fn resolve(&mut self, path: &Path) -> Option<(Reference, Option<&'a Type>)> {
        if self.findings.is_full() {
            return None;
        }
        let resolved = self.keep(self.names.resolve(path, self.item))?;
        if let (Some(from), Some(to)) = (self.step, resolved.step) {
            self.uses.push(Use { from, to, span: path.span });
        }
        Some((resolved.reference, resolved.ty))
    }

    fn mismatch<T>(&mut self, span: Span, found: &str, expected: &str) -> Option<T> {
        self.mismatch_fix(span, found, expected, None)
    }

    fn mismatch_fix<T>(&mut self, span: Span, found: &str, expected: &str, fix: Option<String>) -> Option<T> {
        let message = format!("{} is {found}", self.place);
        self.findings.push(Finding::new(Code::PlanType, span, message).expected(expected).maybe_fix(fix));
        None
    }

    /// Runs `inner` with a longer place.
    fn at<T>(&mut self, piece: &str, inner: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.place.path.len();
        if length > 0 && !piece.starts_with('[') {
            self.place.path.push('.');
        }
        self.place.path.extend(piece.chars().take(80));
        let result = inner(self);
        self.place.path.truncate(length);
        result
    }

    fn items<'n>(&mut self, items: impl Iterator<Item = (&'n Node, &'n Type)>) -> Option<Vec<Expr>> {
        let exprs: Vec<Option<Expr>> = items
            .enumerate()
            .map(|(index, (node, ty))| self.at(&format!("[{index}]"), |this| this.value(node, ty)))
            .collect();
        exprs.into_iter().collect()
    }

    fn fields(
        &mut self,
        entries: &[Entry],
        fields: &[Field],
        missing_at: Span,
        noun: &str,
    ) -> Option<Vec<(String, Expr)>> {
        for Entry { key, value } in entries {
            if !fields.iter().any(|field| field.name == key.text) && !self.findings.is_full() {
                let names = || fields.iter().map(|field| field.name.as_str());
                let expected: Vec<String> = names().map(|name| format!("`{name}`")).collect();
                let message = format!("there is no {noun} {}{}", quoted(&key.text), self.inside());
                let finding = Finding::new(Code::PlanArgumentUnknown, key.span, message);
                let finding =
                    if expected.is_empty() { finding } else { finding.expected(expected.join(", ")) };
                let remove = format!("remove {}", quoted(&key.text));
                self.findings.push(finding.fix(remove).maybe_fix(did_you_mean(&key.text, names())));
                self.survey(value);
            }
        }
        let exprs: Vec<Option<(String, Expr)>> = fields
            .iter()
            .map(|field| {
                let entry = entries.iter().find(|entry| entry.key.text == field.name);
                let expr = match (entry, &field.ty) {
                    (Some(entry), ty) => self.at(&field.name, |this| this.value(&entry.value, ty)),
                    (None, Type::Option(_)) => Some(Expr::Literal(Value::Option(None))),
                    (None, ty) => {
                        let message = format!("the {noun} `{}` is missing{}", field.name, self.inside());
                        let finding = Finding::new(Code::PlanArgumentMissing, missing_at, message);
                        let into = if noun == "argument" { " to `with`" } else { "" };
                        let fix = format!("add `{}: ..` ({}){into}", field.name, shown(ty));
                        self.findings.push(finding.fix(fix));
                        None
                    }
                };
                expr.map(|expr| (field.name.clone(), expr))
            })
            .collect();
        let complete = entries.iter().all(|entry| fields.iter().any(|field| field.name == entry.key.text));
        exprs.into_iter().collect::<Option<Vec<_>>>().filter(|_| complete)
    }

    /// `` in argument `head` ``, below the top.
    fn inside(&self) -> String {
        if self.place.path.is_empty() { String::new() } else { format!(" in {}", self.place) }
    }

    fn variant(&mut self, entry: &Entry, cases: &[Case]) -> Option<Expr> {
        let name = &entry.key.text;
        let Some(case) = cases.iter().find(|case| case.name == *name) else {
            self.survey(&entry.value);
            let names = || cases.iter().map(|case| case.name.as_str());
            let expected: Vec<String> = names().map(|name| format!("`{name}`")).collect();
            let expected = format!("one of {}", expected.join(", "));
            return self.mismatch_fix(
                entry.key.span,
                &format!("the unknown case {}", quoted(name)),
                &expected,
                did_you_mean(name, names()),
            );
        };
        let payload = self.at(name, |this| this.payload(&entry.value, case.payload.as_ref()))?;
        Some(Expr::Variant { case: name.clone(), payload })
    }

    /// The payload of a case: none is written as null.
    #[expect(clippy::option_option, reason = "outer: was it well typed; inner: is there a payload")]
    fn payload(&mut self, node: &Node, ty: Option<&Type>) -> Option<Option<Box<Expr>>> {
        match (&node.kind, ty) {
            (Kind::Null, None) => Some(None),
            (_, Some(ty)) => self.value(node, ty).map(|expr| Some(Box::new(expr))),
            (_, None) => self.mismatch(node.span, &node.kind.describe(), "nothing: the case has no value"),
        }
    }

    fn flags(&mut self, span: Span, items: &[Node], expected: &Type) -> Option<Expr> {
        let mut names = Vec::new();
        for item in items {
            let Kind::Text(text) = &item.kind else {
                return self.mismatch(item.span, &item.kind.describe(), "a flag's name");
            };
            names.push(Json::String(text.value.clone()));
        }
        self.literal(span, &Json::Array(names), expected, "a list")
    }

    /// A value that the planfile spells, in the JSON form that `values` reads.
    fn literal(&mut self, span: Span, json: &Json, expected: &Type, found: &str) -> Option<Expr> {
        match values::from_json(json, expected) {
            Ok(value) => Some(Expr::Literal(value)),
            Err(errors) => {
                let error = errors.into_iter().next();
                let (text, suggestion) = match error {
                    Some(error) => (error.expected, error.suggestion),
                    None => (shown(expected), None),
                };
                let quotes = (*expected == Type::String && !matches!(json, Json::Null))
                    .then(|| format!("write \"{json}\" for text"));
                let fix = suggestion.map(|name| format!("did you mean `{name}`?")).or(quotes);
                self.mismatch_fix(span, found, &text, fix)
            }
        }
    }

    fn text(&mut self, span: Span, text: &Text, expected: &Type) -> Option<Expr> {
        let origin = Origin::new(self.text, span, text.exact);
        match self.keep(syntax::template(&text.value, &origin))? {
            Template::Plain(value) => self.plain(span, &value, expected),
            Template::Reference(path) => self.reference(&path, expected),
            Template::Parts(parts) => match (innermost(expected), parts.as_slice()) {
                (Type::String, _) => {
                    let text = self.parts(&parts)?;
                    Some(if matches!(expected, Type::Option(_)) { some(text) } else { text })
                }
                (_, [Part::Value(syntax)]) => self.syntax(syntax, expected),
                _ => {
                    parts.iter().for_each(|part| self.survey_part(part));
                    self.mismatch(span, "text with `${ }`", &shown(expected))
                }
            },
        }
    }

    fn plain(&mut self, span: Span, text: &str, expected: &Type) -> Option<Expr> {
        match expected {
            Type::Option(inner) => self.plain(span, text, inner).map(some),
            Type::String => Some(Expr::Literal(Value::String(text.to_owned()))),
            _ => self.literal(
                span,
                &Json::String(text.to_owned()),
                expected,
                &format!("the text {}", quoted(text)),
            ),
        }
    }

    fn reference(&mut self, path: &Path, expected: &Type) -> Option<Expr> {
        let (reference, ty) = self.resolve(path)?;
        self.fit(path.span, Expr::Reference(reference), ty?, expected)
    }

    /// An expression inside of `${ }` that is the whole value.
    fn syntax(&mut self, syntax: &Syntax, expected: &Type) -> Option<Expr> {
        if let SyntaxKind::Literal(kind) = &syntax.kind {
            let found = kind.describe();
            return match (kind, expected) {
                (Kind::Null, Type::Option(_)) => Some(Expr::Literal(Value::Option(None))),
                (Kind::Text(text), _) => self.plain(syntax.span, &text.value, expected),
                (kind, _) => match json(kind) {
                    Some(json) => self.literal(syntax.span, &json, expected, &found),
                    None => self.mismatch(syntax.span, &found, &shown(expected)),
                },
            };
        }
        let (expr, ty) = self.infer_syntax(syntax)?;
        self.fit(syntax.span, expr, &ty, expected)
    }

    /// `expr` of type `actual` where `expected` is wanted.
    fn fit(&mut self, span: Span, expr: Expr, actual: &Type, expected: &Type) -> Option<Expr> {
        let Err(mismatch) = values::is_subtype(actual, expected) else {
            return Some(if actual == expected {
                expr
            } else {
                Expr::Coerce(Box::new(expr), expected.clone())
            });
        };
        let found = match &expr {
            Expr::Reference(reference) => format!("`{reference}`, a {}", shown(actual)),
            _ => format!("a {}", shown(actual)),
        };
        let fix = match (&expr, actual) {
            (Expr::Reference(reference), Type::List(item)) if values::is_subtype(item, expected).is_ok() => {
                Some(format!("use `for-each: {reference}`, and `$item` here"))
            }
            (Expr::Reference(Reference { root: Root::Input(name), fields }), _) if fields.is_empty() => {
                Some(format!("declare the input `{name}` as `type: {expected}`"))
            }
            _ => None,
        };
        let place = if mismatch.path.is_empty() {
            shown(expected)
        } else {
            format!("`{}` at `{}` of {}", mismatch.expected, mismatch.path, shown(expected))
        };
        self.mismatch_fix(span, &found, &place, fix)
    }

    fn parts(&mut self, parts: &[Part]) -> Option<Expr> {
        let exprs: Vec<Option<TextPart>> = parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => Some(TextPart::Literal(text.clone())),
                Part::Value(syntax) => {
                    let (expr, ty) = self.infer_syntax(syntax)?;
                    if has_text(&ty) {
                        return Some(TextPart::Value(expr));
                    }
                    let found = format!("text with a {} in it", shown(&ty));
                    let length = matches!(ty, Type::List(_))
                        .then(|| "use `len( )` for the number of its items".to_owned());
                    self.mismatch_fix(
                        syntax.span,
                        &found,
                        "a string, number, boolean, character or enum",
                        length,
                    )
                }
            })
            .collect();
        exprs.into_iter().collect::<Option<Vec<_>>>().map(Expr::Text)
    }

    fn infer_text(&mut self, span: Span, text: &Text) -> Option<(Expr, Type)> {
        let origin = Origin::new(self.text, span, text.exact);
        match self.keep(syntax::template(&text.value, &origin))? {
            Template::Plain(value) => Some((Expr::Literal(Value::String(value)), Type::String)),
            Template::Reference(path) => {
                let (reference, ty) = self.resolve(&path)?;
                Some((Expr::Reference(reference), ty?.clone()))
            }
            Template::Parts(parts) => match parts.as_slice() {
                [Part::Value(syntax)] => self.infer_syntax(syntax),
                parts => self.parts(parts).map(|expr| (expr, Type::String)),
            },
        }
    }

    fn infer_syntax(&mut self, syntax: &Syntax) -> Option<(Expr, Type)> {
        match &syntax.kind {
            SyntaxKind::Path(path) => {
                let (reference, ty) = self.resolve(path)?;
                Some((Expr::Reference(reference), ty?.clone()))
            }
            SyntaxKind::Length(path) => {
                let (reference, ty) = self.resolve(path)?;
                match ty? {
                    Type::List(_) => Some((Expr::Length(reference), Type::U64)),
                    other => {
                        let message = format!("`{reference}` is a {}, which has no length", shown(other));
                        self.findings
                            .push(Finding::new(Code::PlanType, path.span, message).expected("a list"));
                        None
                    }
                }
            }
            SyntaxKind::Literal(Kind::Text(text)) => {
                Some((Expr::Literal(Value::String(text.value.clone())), Type::String))
            }
            SyntaxKind::Literal(kind) => self.infer_scalar(syntax.span, kind),
        }
    }

    fn infer_scalar(&mut self, span: Span, kind: &Kind) -> Option<(Expr, Type)> {
        let (value, ty) = match kind {
            Kind::Bool(value) => (Value::Bool(*value), Type::Bool),
            Kind::Float(value) => (Value::F64(*value), Type::F64),
            Kind::Integer(number) => match i64::try_from(*number) {
                Ok(number) => (Value::S64(number), Type::S64),
                Err(_) => return self.mismatch(span, &kind.describe(), "an integer of 64 bits"),
            },
            _ => return self.mismatch(span, &kind.describe(), "a value"),
        };
        Some((Expr::Literal(value), ty))
    }

    fn infer_list(&mut self, span: Span, items: &[Node]) -> Option<(Expr, Type)> {
        let typed: Vec<Option<(Expr, Type)>> = items
            .iter()
            .enumerate()
            .map(|(index, node)| self.at(&format!("[{index}]"), |this| this.infer(node)))
            .collect();
        let typed: Vec<(Expr, Type)> = typed.into_iter().collect::<Option<_>>()?;
        let Some(item) = typed.first().map(|(_, ty)| ty.clone()) else {
            return self.mismatch(span, "an empty list, whose type is not known", "at least one item");
        };
        if item == Type::U8 {
            return self.mismatch(span, "a list of `u8`, which is written as base64", "another type");
        }
        let mut exprs = Vec::new();
        for (index, ((expr, ty), node)) in typed.into_iter().zip(items).enumerate() {
            exprs.push(self.at(&format!("[{index}]"), |this| this.fit(node.span, expr, &ty, &item)));
        }
        exprs.into_iter().collect::<Option<Vec<_>>>().map(|exprs| (list(exprs), Type::List(Box::new(item))))
    }

    fn infer_record(&mut self, entries: &[Entry]) -> Option<(Expr, Type)> {
        let mut fields = Vec::new();
        for Entry { key, value } in entries {
            if key.text.parse::<base::Label>().is_err() {
                let message = format!("{} is no kebab-case name", quoted(&key.text));
                self.findings.push(
                    Finding::new(Code::PlanType, key.span, message).expected("a field such as `file-name`"),
                );
            }
            let typed = self.at(&key.text, |this| this.infer(value));
            fields.push(typed.map(|(expr, ty)| (key.text.clone(), expr, ty)));
        }
        let fields: Vec<(String, Expr, Type)> = fields.into_iter().collect::<Option<_>>()?;
        let ty = fields.iter().map(|(name, _, ty)| Field { name: name.clone(), ty: ty.clone() }).collect();
        let exprs = fields.into_iter().map(|(name, expr, _)| (name, expr)).collect();
        Some((Expr::Record(exprs), Type::Record(ty)))
    }
}

/// The scalar as JSON; none for what is no scalar, or no JSON number.
fn json(kind: &Kind) -> Option<Json> {
    match kind {
        Kind::Null => Some(Json::Null),
        Kind::Bool(value) => Some(Json::Bool(*value)),
        Kind::Integer(number) => {
            i64::try_from(*number).map(Json::from).or_else(|_| u64::try_from(*number).map(Json::from)).ok()
        }
        Kind::Float(number) => serde_json::Number::from_f64(*number).map(Json::Number),
        _ => None,
    }
}

fn innermost(ty: &Type) -> &Type {
    if let Type::Option(inner) = ty { inner } else { ty }
}

fn some(expr: Expr) -> Expr {
    match expr {
        Expr::Literal(value) => Expr::Literal(Value::Option(Some(Box::new(value)))),
        expr => Expr::Some(Box::new(expr)),
    }
}

/// A list; one that the planfile spells wholly is one literal.
fn list(items: Vec<Expr>) -> Expr {
    if !items.iter().all(|item| matches!(item, Expr::Literal(_))) {
        return Expr::List(items);
    }
    let value = |item| if let Expr::Literal(value) = item { Some(value) } else { None };
    Expr::Literal(Value::List(items.into_iter().filter_map(value).collect()))
}
