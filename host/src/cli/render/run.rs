//! Plans, calls, runs and approvals as text.

use app::{
    ApprovalView, ArtifactView, CallView, ChangeSet, PlanView, RunSummary, RunView, StepView, UndoView,
};
use serde_json::Value;

use super::{bytes, list};
use crate::ui::{one_line, visible};

pub(crate) fn plan(view: &PlanView) -> String {
    let mut text = visible(&view.rendered);
    if view.status == "ill-typed" {
        return text;
    }
    text += &format!("plan `{}`", view.name.as_deref().map(one_line).unwrap_or_default());
    text += &view.digest.map(|digest| format!("  {digest}\n")).unwrap_or_else(|| "\n".to_owned());
    for step in &view.effects {
        let gate = if view.gates.contains(&step.step) { "  stops for approval" } else { "" };
        text += &format!("  {:<12} {:<16} {}{gate}\n", step.effect, step.step, step.operation);
    }
    text
}

pub(crate) fn call(view: &CallView) -> String {
    let mut text = String::new();
    for line in &view.log {
        text += &format!("log: {}\n", one_line(line));
    }
    match view.outcome {
        "returned" => text += &format!("{}\n", visible(&pretty(&view.result))),
        "failed" => text += &format!("error: the operation failed: {}\n", visible(&pretty(&view.result))),
        outcome => {
            text += &format!("error: {outcome}: {}\n", one_line(view.reason.as_deref().unwrap_or_default()));
        }
    }
    if !view.staged.is_empty() {
        text += &format!("staged, not applied:\n{}{}", changes(&view.staged), visible(&view.diff));
    }
    for grant in &view.missing_grants {
        text += &format!("hint: {}\n", one_line(grant));
    }
    text
}

/// A string prints as itself: what a person called for, without quotes around it.
fn pretty(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => format!("{other:#}"),
    }
}

pub(crate) fn runs(runs: &[RunSummary]) -> String {
    if runs.is_empty() {
        return "No run yet. Start one with `capstan plan run <planfile>`.\n".to_owned();
    }
    let row = |run: &RunSummary| {
        let short: String = run.run_id.as_str().chars().take(12).collect();
        format!("{short}  {:<18} {}  {}\n", run.status, run.started, one_line(&run.plan))
    };
    runs.iter().map(row).collect()
}

pub(crate) fn run(view: &RunView) -> String {
    let mut text = format!("run {}  {}  {}\n", view.run_id, view.status, one_line(&view.plan));
    text += &format!("  started {}, mode {}\n", view.started, view.mode);
    for step in &view.steps {
        text += &self::step(step);
    }
    if let Some(reason) = &view.reason {
        text += &format!("{}: {}\n", reason.code, visible(&reason.message));
    }
    for approval in view.approvals.iter().filter(|approval| approval.status == "waiting") {
        text += &self::approval(approval);
    }
    if view.status == "completed" {
        text += &format!("outputs {}\n", visible(&format!("{:#}", view.outputs)));
    }
    text += &format!(
        "{} calls, {} fuel, {} at most, {} ms in calls\n",
        view.usage.calls,
        view.usage.fuel,
        bytes(view.usage.memory_bytes_max),
        view.usage.wall_us / 1000
    );
    for action in &view.next_actions {
        // A shell takes the line as it is.
        text += &format!("hint: {}   # {}\n", one_line(&action.command), one_line(&action.label));
    }
    text
}

fn step(step: &StepView) -> String {
    let items = step.items.map(|(done, all)| format!("  {done}/{all}")).unwrap_or_default();
    let tries = if step.attempts > 1 { format!("  {} attempts", step.attempts) } else { String::new() };
    let mut text = format!("  {:<18} {:<16} {}{items}{tries}\n", step.status, step.id, step.operation);
    if let Some(reason) = &step.reason {
        text += &format!("    {}: {}\n", reason.code, visible(&reason.message));
    }
    for receipt in &step.receipts {
        text += &format!("    {}\n", one_line(receipt));
    }
    text
}

pub(crate) fn approvals(views: &[ApprovalView]) -> String {
    if views.is_empty() {
        return "Nothing waits for approval.\n".to_owned();
    }
    let row = |view: &ApprovalView| {
        format!(
            "{}  run {}  {}  {}  {} change(s)\n",
            view.id,
            view.run_id,
            view.step,
            view.operation,
            view.changes.changes().len()
        )
    };
    views.iter().map(row).collect()
}

/// What an approver sees: the exact change first, then what the approval is bound to.
pub(crate) fn approval(view: &ApprovalView) -> String {
    let mut text = format!(
        "approval {}  {}  step {}  {} ({})\n",
        view.id, view.status, view.step, view.operation, view.effect
    );
    text += &changes(&view.changes);
    text += &visible(&view.diff);
    for reason in &view.reasons {
        text += &format!("  because {}: {}\n", reason.rule, one_line(&reason.text));
    }
    if let Some(expires) = &view.expires {
        text += &format!("  until   {expires}\n");
    }
    if let Some(by) = &view.decided_by {
        let unattended = if view.unattended == Some(true) { " (unattended)" } else { "" };
        text += &format!("  by      {}{unattended}\n", one_line(by));
    }
    text += &format!("  digest  {}\n", view.digest);
    text
}

fn changes(set: &ChangeSet) -> String {
    let row = |change: &app::Change| {
        format!("  {:<8} {}:{}\n", change.kind.to_string(), change.root, one_line(&change.path))
    };
    set.changes().iter().map(row).collect()
}

pub(crate) fn undo(view: &UndoView) -> String {
    if view.reverted.is_empty() {
        return format!("run {} changed nothing that could be taken back.\n", view.run_id);
    }
    format!("Took back what run {} applied: {}\n", view.run_id, list(&view.reverted))
}

pub(crate) fn artifact(view: &ArtifactView) -> String {
    match &view.text {
        Some(text) => visible(text),
        None => format!(
            "{}  {} that are not text; `--format json` has them as base64\n",
            view.digest,
            bytes(view.bytes)
        ),
    }
}

/// An event as one line: its number, when, its name, its fields.
pub(crate) fn event(event: &Value) -> String {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let field = |name: &str| event.get(name).map(plain).unwrap_or_default();
    let mut text = format!("{:>4}  {}  {:<20}", field("seq"), field("at"), field("event"));
    for (name, value) in event.as_object().into_iter().flatten() {
        if !matches!(name.as_str(), "seq" | "at" | "event" | "run_id") && !value.is_null() {
            text += &format!("  {name} {}", plain(value));
        }
    }
    format!("{}\n", one_line(&text))
}
