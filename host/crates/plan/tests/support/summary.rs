//! A checked plan as text, every decision of the checker on a line.

use std::fmt::Write as _;

use plan::{CheckedPlan, CheckedStep, Expr, TextPart};

pub(crate) fn summary(plan: &CheckedPlan) -> String {
    let mut out = String::new();
    let line = &mut |text: String| writeln!(out, "{text}").unwrap();
    line(format!("plan {} {}", plan.name, plan.digest));
    for (alias, pack) in &plan.packs {
        line(format!("pack {alias} = {} {} {}", pack.id, pack.version, pack.statement.short()));
    }
    for (name, input) in &plan.inputs {
        let default =
            input.default.as_ref().map(|value| format!(" = {}", values::to_json(value))).unwrap_or_default();
        let description = input.description.as_ref().map(|text| format!(" # {text}")).unwrap_or_default();
        line(format!("input {name}: {}{default}{description}", input.ty));
    }
    let budget = plan.budget;
    line(format!(
        "budget calls {} fuel {} wall {} ms files {} file bytes {} model tokens {} cost {}",
        budget.calls,
        budget.fuel,
        budget.wall_ms,
        budget.files,
        budget.file_bytes,
        budget.model_tokens,
        base::show_cost(budget.model_cost),
    ));
    for step in &plan.steps {
        step_lines(step, line);
    }
    for (name, expr) in &plan.outputs {
        line(format!("output {name}: {} = {}", plan.output_types[name], show(expr)));
    }
    for gate in &plan.gates {
        line(format!("gate {}", gate.to_json()));
    }
    out
}

fn step_lines(step: &CheckedStep, line: &mut impl FnMut(String)) {
    line(format!(
        "step {} = {} {}{}",
        step.id,
        step.operation,
        step.effect,
        if step.idempotent { "" } else { " once" }
    ));
    if let Some(fan_out) = &step.for_each {
        let items = show(&fan_out.items);
        line(format!(
            "  for-each {items}: {}, at most {}, {} in parallel",
            fan_out.item_type, fan_out.items_max, fan_out.max_parallel
        ));
    }
    for (name, expr) in &step.arguments {
        line(format!("  {name} = {}", show(expr)));
    }
    if !step.depends_on.is_empty() {
        let ids: Vec<&str> = step.depends_on.iter().map(base::StepId::as_str).collect();
        line(format!("  after {}", ids.join(", ")));
    }
    line(format!("  gives {}", step.ty.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string)));
}

fn show(expr: &Expr) -> String {
    let join = |items: &[Expr]| items.iter().map(show).collect::<Vec<_>>().join(", ");
    let payload = |expr: &Option<Box<Expr>>| expr.as_ref().map_or_else(|| "_".to_owned(), |expr| show(expr));
    match expr {
        Expr::Literal(value) => values::to_json(value).to_string(),
        Expr::Reference(reference) => reference.to_string(),
        Expr::Coerce(inner, ty) => format!("{} as {ty}", show(inner)),
        Expr::List(items) => format!("[{}]", join(items)),
        Expr::Tuple(items) => format!("({})", join(items)),
        Expr::Record(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, expr)| format!("{name}: {}", show(expr))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Expr::Variant { case, payload: inner } => format!("{case}({})", payload(inner)),
        Expr::Some(inner) => format!("some({})", show(inner)),
        Expr::Result(Ok(inner)) => format!("ok({})", payload(inner)),
        Expr::Result(Err(inner)) => format!("err({})", payload(inner)),
        Expr::Length(reference) => format!("len({reference})"),
        Expr::Text(parts) => {
            let part = |part: &TextPart| match part {
                TextPart::Literal(text) => format!("{text:?}"),
                TextPart::Value(expr) => show(expr),
            };
            parts.iter().map(part).collect::<Vec<_>>().join(" ++ ")
        }
    }
}
