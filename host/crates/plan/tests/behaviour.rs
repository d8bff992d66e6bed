//! What goldens cannot show: inputs, values, JSON, bounds, and text that nobody would write.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test, which fails by panicking")]

#[path = "behaviour/bounds.rs"]
mod bounds;
#[path = "support/catalog.rs"]
mod catalog;
#[path = "behaviour/catalogs.rs"]
mod catalogs;
#[path = "behaviour/evaluation.rs"]
mod evaluation;
#[path = "behaviour/expressions.rs"]
mod expressions;
#[path = "behaviour/forms.rs"]
mod forms;
#[path = "behaviour/hostile.rs"]
mod hostile;
#[path = "behaviour/inputs.rs"]
mod inputs;

use base::Code;
use catalog::FakeCatalog;
use plan::{Checked, CheckedPlan, PlanSource};

/// The start of every plan here.
const HEAD: &str = "schema: capstan.plan/v1
name: test
packs: { files: capstan:files ^0.1, text: capstan:text ^0.1, s: acme:shapes ^0.1 }
";

fn check(text: &str) -> Checked {
    plan::check(&PlanSource { name: "test.plan.yaml", text }, &FakeCatalog { write_granted: true })
}

/// Checks `HEAD` and `rest`.
#[track_caller]
fn plan_of(rest: &str) -> CheckedPlan {
    let text = format!("{HEAD}{rest}");
    let checked = check(&text);
    let source = PlanSource { name: "test.plan.yaml", text: &text };
    let report = plan::render_text(&checked.diagnostics, &source);
    checked.plan.unwrap_or_else(|| panic!("the plan was refused:\n{report}"))
}

fn codes(text: &str) -> Vec<Code> {
    check(text).diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}
