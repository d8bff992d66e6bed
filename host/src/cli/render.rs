//! Views as text for people. Text that came from packs, files or other people is made visible.

mod grant;
mod pack;
mod run;
mod secret;

pub(super) use grant::{explain, grant, granted, tighten};
pub(super) use pack::{
    audit, build, inspect, install, operation, operations, packs, requested_grants, sign, validate,
};
pub(super) use run::{approval, approvals, artifact, call, event, plan, run, runs, undo, whole_approval};
pub(super) use secret::secrets;

use app::Finding;

use crate::ui::one_line;

/// Findings, one a line, with what to do below each.
pub(super) fn findings(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        text += &format!("{:<8} {:<14} {}\n", finding.severity, finding.check, one_line(&finding.message));
        if let Some(hint) = &finding.hint {
            text += &format!("{:24}hint: {}\n", "", one_line(hint));
        }
    }
    text
}

/// Bytes as people say them.
fn bytes(count: u64) -> String {
    match count {
        0..=9_999 => format!("{count} B"),
        10_000..=10_239_999 => format!("{} KiB", count >> 10),
        _ => format!("{} MiB", count >> 20),
    }
}

/// A list, or a dash.
fn list(items: &[String]) -> String {
    if items.is_empty() { "-".to_owned() } else { one_line(&items.join(", ")) }
}
