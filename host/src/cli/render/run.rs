//! Plans, calls, runs and approvals as text.

use app::{
    ApprovalView, ArtifactView, CallView, ChangeKind, ChangeSet, HowApplied, PlanView, Receipt, RunSummary,
    RunView, StepView, UndoView,
};
use serde_json::Value;

use super::{bytes, list};
use crate::ui::{one_line, visible};

pub(crate) fn plan(view: &PlanView) -> String {
    let mut text = visible(&view.rendered);
    if view.status == "ill-typed" {
        return text;
    }
    if let (Some(name), Some(digest)) = (&view.name, &view.digest) {
        text += &format!("plan `{}`  {digest}\n", one_line(name));
    }
    for step in &view.effects {
        let gate = match (view.gates.contains(&step.step), step.discloses) {
            (_, true) => "  stops for approval: what it asks for could hold what it reads",
            (true, false) => "  stops for approval",
            (false, false) => "",
        };
        text += &format!("  {:<12} {:<16} {}{gate}\n", step.effect, step.step, step.operation);
    }
    for (name, input) in &view.inputs {
        let default = input.default.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
        let required = if input.required { "  (required)" } else { "" };
        text += &format!("  input  {}: {}{}{required}\n", one_line(name), input.ty, one_line(&default));
    }
    for (name, ty) in &view.outputs {
        text += &format!("  output {}: {ty}\n", one_line(name));
    }
    text
}

pub(crate) fn call(view: &CallView) -> String {
    let mut text = String::new();
    for line in &view.log {
        text += &format!("log: {}\n", one_line(line));
    }
    match &view.error {
        None if view.held.is_some() => {}
        None => text += &format!("{}\n", visible(&pretty(&view.result))),
        Some(error) => text += &format!("error[{}]: {}\n", error.code, one_line(&error.message)),
    }
    if !view.staged.is_empty() {
        text += &format!("staged, not applied:\n{}{}", changes(&view.staged), quoted(&view.diff));
    }
    if let Some(held) = &view.held {
        text += &format!(
            "held, not sent:\n  {}  {}\n{}",
            held.capability,
            one_line(&held.target),
            quoted(&held.text)
        );
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
        let status = state(&run.status, run.live, run.undone);
        format!("{short}  {status:<18} {}  {}\n", run.started, one_line(&run.plan))
    };
    runs.iter().map(row).collect()
}

/// A run's state, with what it does not say by itself.
fn state(status: &str, live: bool, undone: bool) -> String {
    match status {
        "running" if !live => "interrupted".to_owned(),
        status if undone => format!("{status}, undone"),
        status => status.to_owned(),
    }
}

pub(crate) fn run(view: &RunView) -> String {
    let status = state(&view.status, view.live, view.undone);
    let mut text = format!("run {}  {status}  {}\n", view.run_id, one_line(&view.plan));
    text += &format!("  started {}, mode {}\n", view.started, view.mode);
    for step in &view.steps {
        text += &self::step(step);
    }
    if let Some(reason) = &view.reason {
        text += &format!("{}: {}\n", reason.code, one_line(&reason.message));
    }
    for approval in &view.approvals {
        if matches!(approval.status.as_str(), "waiting" | "expired") {
            text += &self::approval(approval);
        } else {
            text += &format!("approval {}  {}{}\n", approval.id, approval.status, decided(approval));
        }
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
    let items = step.items.map(|items| format!("  {}/{}", items.done, items.total)).unwrap_or_default();
    let tries = if step.attempts > 1 { format!("  {} attempts", step.attempts) } else { String::new() };
    let mut text = format!("  {:<18} {:<16} {}{items}{tries}\n", step.status, step.id, step.operation);
    if let Some(reason) = &step.reason {
        text += &format!("    {}: {}\n", reason.code, one_line(&reason.message));
    }
    for receipt in &step.receipts {
        text += &format!("    {}\n", self::receipt(receipt));
    }
    for sent in &step.sent {
        text += &format!("    sent {}: {}\n", one_line(&sent.target), one_line(&sent.answer));
    }
    text
}

pub(crate) fn approvals(views: &[ApprovalView]) -> String {
    if views.is_empty() {
        return "Nothing waits for approval.\n".to_owned();
    }
    let row = |view: &ApprovalView| {
        let what = match &view.call {
            Some(call) => one_line(&call.target),
            None => format!("{} change(s)", view.changes.changes().len()),
        };
        format!(
            "{}  {}  run {}  {}  {}  {what}\n",
            view.id, view.status, view.run_id, view.step, view.operation,
        )
    };
    views.iter().map(row).collect()
}

/// What an approver sees: the exact change, why it is asked about, and its digest.
pub(crate) fn approval(view: &ApprovalView) -> String {
    let mut text = format!(
        "approval {}  {}{}  step {}  {} ({})\n",
        view.id,
        view.status,
        decided(view),
        view.step,
        view.operation,
        view.effect
    );
    text += &changes(&view.changes);
    text += &quoted(&view.diff);
    if let Some(call) = &view.call {
        text += &format!("  {}  {}\n", call.capability, one_line(&call.target));
        text += &quoted(&call.text);
    }
    if let Some(target) = &view.confirm {
        text += &format!("  target  {}\n", one_line(target));
    }
    for reason in &view.reasons {
        text += &format!("  because {}: {}\n", reason.rule, one_line(&reason.text));
    }
    if let Some(expires) = &view.expires {
        text += &format!("  until   {expires}\n");
    }
    text += &format!("  digest  {}\n", view.digest);
    text
}

/// The same, and everything that the digest is over.
pub(crate) fn whole_approval(view: &ApprovalView) -> String {
    let binding = &view.binding;
    let bound = [
        ("run", binding.run.to_string()),
        ("plan", binding.plan.to_string()),
        ("step", format!("{} attempt {}", binding.path, binding.attempt)),
        ("pack", binding.statement.to_string()),
        ("input", binding.input.to_string()),
        ("reach", binding.authority.to_string()),
        ("effects", binding.effects.to_string()),
        ("policy", binding.policy.to_string()),
    ];
    let rows: String = bound.iter().map(|(name, value)| format!("    {name:<7} {value}\n")).collect();
    format!("{}  which is over\n{rows}", approval(view))
}

/// Who decided, and whether a signature says so too.
fn decided(view: &ApprovalView) -> String {
    let Some(by) = &view.decided_by else { return String::new() };
    let signature = match (view.signature, view.unattended) {
        (None, _) | (Some("valid"), Some(false)) => String::new(),
        (Some("valid"), _) => " (unattended)".to_owned(),
        (Some(problem), _) => format!(" (UNPROVEN: the signature is {problem})"),
    };
    format!(" by {}{signature}", one_line(by))
}

/// A diff, each line behind a bar: what a file holds cannot pass for what this program says.
fn quoted(diff: &str) -> String {
    visible(diff).lines().map(|line| format!("  | {line}\n")).collect()
}

fn receipt(receipt: &Receipt) -> String {
    let how = match receipt.how {
        HowApplied::Created => "created",
        HowApplied::Exchanged => "exchanged",
        HowApplied::Replaced => "replaced (this file system cannot exchange files)",
        HowApplied::Removed => "removed",
        HowApplied::Already => "was so already",
    };
    one_line(&format!("{}:{} {how}", receipt.root, receipt.path))
}

fn changes(set: &ChangeSet) -> String {
    let row = |change: &app::Change| {
        let kind = match change.kind {
            ChangeKind::CreateDir => "mkdir".to_owned(),
            ChangeKind::RemoveDir => "rmdir".to_owned(),
            kind => kind.to_string(),
        };
        format!("  {kind:<8} {}:{}\n", change.root, one_line(&change.path))
    };
    set.changes().iter().map(row).collect()
}

pub(crate) fn undo(view: &UndoView) -> String {
    if view.reverted.is_empty() {
        return format!("run {} changed nothing that could be taken back.\n", view.run_id);
    }
    let receipts: Vec<String> = view.reverted.iter().map(receipt).collect();
    format!("Took back what run {} applied: {}\n", view.run_id, list(&receipts))
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
