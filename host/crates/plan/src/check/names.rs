//! What references can name, with its type.

use std::collections::BTreeMap;

use base::{Code, StepId};
use values::Type;

use crate::finding::{Finding, did_you_mean, quoted};
use crate::syntax::{Name, Path};
use crate::{Reference, Root, Span};

/// The inputs and steps of a plan, as far as they are typed yet.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// None if the declaration is wrong and was reported.
    pub(super) inputs: BTreeMap<String, Option<Type>>,
    pub(super) steps: BTreeMap<String, Known>,
}

/// A step of the plan.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: StepId,
    /// Its place in the file, from 0.
    pub(super) index: usize,
    pub(super) result: ResultType,
}

/// What a reference to a step gives.
#[derive(Debug)]
pub(super) enum ResultType {
    /// The step comes later, so that the reference is refused for that.
    Later,
    /// Something about the step was reported already.
    Unknown,
    /// The operation returns nothing.
    Nothing,
    Type(Type),
}

/// What `$item` is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item<'a> {
    /// There is no fan-out here.
    Outside,
    /// The fan-out's list was reported already.
    Unknown,
    Type(&'a Type),
}

/// A reference that names something.
pub(super) struct Resolved<'a> {
    pub(super) reference: Reference,
    /// None if there is no type to go on with: the reason is reported, or will be.
    pub(super) ty: Option<&'a Type>,
    /// The step it refers to.
    pub(super) step: Option<usize>,
}

impl Names {
    /// Looks up what `path` names.
    pub(super) fn resolve<'a>(&'a self, path: &Path, item: Item<'a>) -> Result<Resolved<'a>, Finding> {
        let (root, ty, step, fields) = match path.root.text.as_str() {
            "inputs" => {
                let (name, fields) = path.fields.split_first().ok_or_else(|| self.no_input_name(path))?;
                let ty = self.inputs.get(&name.text).ok_or_else(|| self.no_input(name))?;
                (Root::Input(name.text.clone()), ty.as_ref(), None, fields)
            }
            "item" => match item {
                Item::Outside => return Err(item_outside(path)),
                Item::Unknown => (Root::Item, None, None, path.fields.as_slice()),
                Item::Type(ty) => (Root::Item, Some(ty), None, path.fields.as_slice()),
            },
            name => {
                let step = self.steps.get(name).ok_or_else(|| self.no_step(&path.root))?;
                let ty = match &step.result {
                    ResultType::Type(ty) => Some(ty),
                    ResultType::Later | ResultType::Unknown => None,
                    ResultType::Nothing => return Err(returns_nothing(path)),
                };
                (Root::Step(step.id.clone()), ty, Some(step.index), path.fields.as_slice())
            }
        };
        let mut reference = Reference { root, fields: Vec::new() };
        let mut ty = ty;
        for field in fields {
            ty = ty.map(|ty| field_type(ty, &reference, field)).transpose()?;
            reference.fields.push(field.text.clone());
        }
        Ok(Resolved { reference, ty, step })
    }

    fn no_input_name(&self, path: &Path) -> Finding {
        let first = self.inputs.keys().next().map_or("name", String::as_str);
        Finding::new(Code::PlanReference, path.span, "`$inputs` alone is no value")
            .expected("the name of an input after it")
            .fix(format!("write `$inputs.{first}`"))
    }

    fn no_input(&self, name: &Name) -> Finding {
        let message = format!("there is no input {}", quoted(&name.text));
        let declare = format!("declare it: `inputs: {{ {}: {{ type: string }} }}`", name.text);
        Finding::new(Code::PlanReference, name.span, message)
            .fix(declare)
            .maybe_fix(did_you_mean(&name.text, self.inputs.keys().map(String::as_str)))
    }

    fn no_step(&self, name: &Name) -> Finding {
        let message = format!("there is no step {}", quoted(&name.text));
        let known = self.steps.keys().map(String::as_str).chain(["inputs", "item"]);
        let input = self
            .inputs
            .contains_key(&name.text)
            .then(|| format!("write `$inputs.{}` for the input", name.text));
        Finding::new(Code::PlanReference, name.span, message)
            .expected("a step above, `inputs` or `item`")
            .maybe_fix(did_you_mean(&name.text, known))
            .maybe_fix(input)
    }
}

fn item_outside(path: &Path) -> Finding {
    let message = "`$item` has no meaning outside of the arguments of a step with `for-each`";
    Finding::new(Code::PlanReference, path.span, message)
        .fix("add `for-each` to the step, or refer to a step or input")
}

fn returns_nothing(path: &Path) -> Finding {
    let message = format!("the step `{}` returns nothing", path.root.text);
    Finding::new(Code::PlanReference, path.span, message).fix("use `needs` to run after it")
}

fn field_type<'a>(ty: &'a Type, of: &Reference, field: &Name) -> Result<&'a Type, Finding> {
    let Type::Record(fields) = ty else {
        let message = format!("`{of}` is {}, which has no fields", shown(ty));
        let fan_out =
            matches!(ty, Type::List(_)).then(|| format!("use `for-each: {of}` and `$item.{}`", field.text));
        let remove = format!("remove `.{}`", field.text);
        return Err(Finding::new(Code::PlanReference, field.span, message).fix(remove).maybe_fix(fan_out));
    };
    let found = fields.iter().find(|known| known.name == field.text);
    found.map(|found| &found.ty).ok_or_else(|| {
        let message = format!("`{of}` has no field {}", quoted(&field.text));
        let names = || fields.iter().map(|field| field.name.as_str());
        Finding::new(Code::PlanReference, field.span, message)
            .expected(format!(
                "one of {}",
                names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            ))
            .maybe_fix(did_you_mean(&field.text, names()))
    })
}

/// A type inside of a message.
pub(super) fn shown(ty: &Type) -> String {
    const CHARS_MAX: usize = 120;
    let text = ty.to_string();
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("`{}...`", text.get(..end).unwrap_or_default()),
        None => format!("`{text}`"),
    }
}

/// A use of another step, as the graph needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) span: Span,
}
