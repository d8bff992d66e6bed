//! The inputs of a run, against their declarations.

use std::collections::BTreeMap;

use base::Code;
use serde_json::{Map, Value as Json};
use values::{Type, Value};

use crate::finding::{did_you_mean, quoted};
use crate::{CheckedPlan, Diagnostic, InputDeclaration, Location, Severity, Span};

impl CheckedPlan {
    /// Reads the inputs from a JSON object by name, and fills in the defaults.
    ///
    /// # Errors
    /// Every unknown, missing and ill-typed input (`E-PLAN-INPUT`), placed at its declaration.
    pub fn inputs_from_json(&self, json: &Json) -> Result<BTreeMap<String, Value>, Vec<Diagnostic>> {
        match json {
            Json::Object(given) => self.inputs(given, Vec::new()),
            _ => Err(vec![self.finding(None, "the inputs are no JSON object".to_owned())]),
        }
    }

    /// Reads the inputs from texts `name=value`, and fills in the defaults. The value of a string, a
    /// character or an enum is the text itself, every other one is JSON.
    ///
    /// # Errors
    /// As [`Self::inputs_from_json`], and for a text without `=` or a name that is given twice.
    pub fn inputs_from_assignments<T: AsRef<str>>(
        &self,
        assignments: &[T],
    ) -> Result<BTreeMap<String, Value>, Vec<Diagnostic>> {
        let mut given = Map::new();
        let mut findings = Vec::new();
        for assignment in assignments {
            let Some((name, text)) = assignment.as_ref().split_once('=') else {
                let message = format!("{} is no input", quoted(assignment.as_ref()));
                findings.push(Diagnostic {
                    expected: Some("`name=value`".to_owned()),
                    ..self.finding(None, message)
                });
                continue;
            };
            let declared = self.inputs.get(name);
            let json = match declared.map(|input| value_json(text, &input.ty)) {
                Some(Err(message)) => {
                    let message = format!("the value of the input `{name}` is no JSON: {message}");
                    findings.push(self.finding(declared, message));
                    Json::Null
                }
                Some(Ok(json)) => json,
                None => Json::Null,
            };
            if given.insert(name.to_owned(), json).is_some() {
                findings.push(self.finding(declared, format!("the input {} is given twice", quoted(name))));
            }
        }
        self.inputs(&given, findings)
    }

    fn inputs(
        &self,
        given: &Map<String, Json>,
        mut findings: Vec<Diagnostic>,
    ) -> Result<BTreeMap<String, Value>, Vec<Diagnostic>> {
        let was_refused = !findings.is_empty();
        for name in given.keys().filter(|name| !self.inputs.contains_key(*name)) {
            let fix = did_you_mean(name, self.inputs.keys().map(String::as_str));
            let names: Vec<_> = self.inputs.keys().map(|name| format!("`{name}`")).collect();
            let expected = if names.is_empty() { "no input".to_owned() } else { names.join(", ") };
            let finding = self.finding(None, format!("the plan has no input {}", quoted(name)));
            findings.push(Diagnostic { expected: Some(expected), fix, ..finding });
        }
        let mut inputs = BTreeMap::new();
        for (name, declared) in &self.inputs {
            match given.get(name) {
                Some(json) => match values::from_json(json, &declared.ty) {
                    Ok(value) => drop(inputs.insert(name.clone(), value)),
                    // What is no JSON is null here, and was reported.
                    Err(_) if was_refused && json.is_null() => {}
                    Err(errors) => findings.extend(errors.into_iter().map(|error| {
                        let message = format!("the input `{name}`{} is {}", at(&error.path), error.found);
                        let fix = error.suggestion.map(|name| format!("did you mean `{name}`?"));
                        Diagnostic {
                            expected: Some(error.expected),
                            fix,
                            ..self.finding(Some(declared), message)
                        }
                    })),
                },
                None => match (&declared.default, &declared.ty) {
                    (Some(value), _) => drop(inputs.insert(name.clone(), value.clone())),
                    (None, Type::Option(_)) => drop(inputs.insert(name.clone(), Value::Option(None))),
                    (None, ty) => {
                        let finding = self.finding(Some(declared), format!("the input `{name}` is missing"));
                        let fix = Some(format!("give it with `--input {name}=..`"));
                        findings.push(Diagnostic { expected: Some(format!("`{ty}`")), fix, ..finding });
                    }
                },
            }
        }
        if findings.is_empty() { Ok(inputs) } else { Err(findings) }
    }

    fn finding(&self, declared: Option<&InputDeclaration>, message: String) -> Diagnostic {
        let start = Location { span: Span::default(), line: 1, column: 1, end_line: 1, end_column: 1 };
        Diagnostic {
            code: Code::PlanInput,
            severity: Severity::Error,
            message,
            path: self.path.clone(),
            at: declared.map_or(start, |declared| declared.at),
            expected: None,
            related: Vec::new(),
            fix: None,
        }
    }
}

fn at(pointer: &str) -> String {
    if pointer.is_empty() { String::new() } else { format!(" at {}", quoted(pointer)) }
}

fn value_json(text: &str, ty: &Type) -> Result<Json, String> {
    match ty {
        Type::String | Type::Char | Type::Enum(_) => Ok(Json::String(text.to_owned())),
        Type::Option(inner) if text != "null" => value_json(text, inner),
        _ => values::parse_json(text.as_bytes()).map_err(|error| error.to_string()),
    }
}
