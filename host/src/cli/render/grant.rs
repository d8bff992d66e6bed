//! Grants as text.

use app::{ExplainView, GrantView, ReachView, TightenView, TightenedView};

use super::list;
use crate::ui::one_line;

/// A line of `grant list`.
pub(crate) fn grant(view: &GrantView) -> String {
    let lapse = match view.lapse {
        None => String::new(),
        Some("expired") => "  not in force: expired".to_owned(),
        Some("other_signer") => "  not in force: given to another signer".to_owned(),
        Some("not_installed") => "  not in force: the pack is not installed".to_owned(),
        Some(_) => "  not in force: forbidden by the ceiling".to_owned(),
    };
    format!("{:<24} {}{}{lapse}\n", view.pack.to_string(), one_line(&view.grant), terms(view))
}

/// What was granted just now.
pub(crate) fn granted(view: &GrantView) -> String {
    let mut text = format!("`{}` has {}{}.\n", view.pack, one_line(&view.grant), terms(view));
    if view.cut_by_ceiling {
        text += "note: the ceiling in `config.toml` may leave less of it\n";
    }
    if let Some(note) = &view.note {
        text += &format!("note: {}\n", one_line(note));
    }
    text
}

/// What it is given on, where that is more than a signer.
fn terms(view: &GrantView) -> String {
    let mut text = String::new();
    if let Some(expires) = &view.expires {
        text += &format!("  until {expires}");
    }
    if view.may_disclose {
        text += "  may disclose";
    }
    if !view.limits.is_empty() {
        let limits: Vec<_> = view.limits.iter().map(|(name, amount)| format!("{name} {amount}")).collect();
        text += &format!("  limits {}", limits.join(", "));
    }
    text
}

/// Each capability of an operation from every side, and its limits.
pub(crate) fn explain(view: &ExplainView) -> String {
    let mut text = format!("{}  effect {}\n", view.operation, view.effect);
    text += &view.capabilities.iter().map(reach).collect::<String>();
    if view.capabilities.is_empty() {
        text += "  nothing: it can only compute and log\n";
    }
    text += "  limits\n";
    for side in ["operation", "grant", "ceiling"] {
        let limits = view.limits.iter().filter(|limit| limit.decided_by == side);
        let limits: Vec<_> = limits.map(|limit| format!("{} {}", limit.limit, limit.text)).collect();
        if !limits.is_empty() {
            text += &format!("    {:<9}  {}\n", side, limits.join(", "));
        }
    }
    text
}

/// The difference, and how to make it.
pub(crate) fn tighten(view: &TightenView) -> String {
    let mut text = format!("`{}`: {} recorded call(s) in {} run(s)\n", view.pack, view.calls, view.runs);
    if view.unrecorded_calls > 0 {
        text += &format!(
            "note: of {} older call(s) it is not recorded what they reached\n",
            view.unrecorded_calls
        );
    }
    if view.damaged_runs > 0 {
        text += &format!("note: {} run(s) cannot be read: see `capstan doctor`\n", view.damaged_runs);
    }
    if view.calls == 0 {
        return text + "Nothing is recorded that grants could be held against. Nothing was changed.\n";
    }
    text += &view.capabilities.iter().map(tightened).collect::<String>();
    text += match (view.commands.is_empty(), view.applied) {
        (true, _) => "The grants are as small as the recorded use.\n",
        (false, true) => "Wrote the smaller grants.\n",
        (false, false) => "Nothing was changed: `--apply` writes the smaller grants, as would:\n",
    };
    if !view.applied {
        text += &view.commands.iter().map(|command| format!("  {}\n", one_line(command))).collect::<String>();
    }
    text
}

fn tightened(row: &TightenedView) -> String {
    let why = match row.kept {
        None if row.after.is_empty() => "  not used",
        None => "",
        Some("more") => "  stays: a call reached more than was recorded",
        Some("needed") => "  stays: not used, but a plan of the same calls wants a grant of it",
        Some("too_many") => "  stays: it would be too many scopes",
        Some(_) => "  stays: where it was used is not recorded",
    };
    let mut text = format!("  {}{why}\n", row.capability);
    for scope in row.before.iter().filter(|scope| !row.after.contains(scope)) {
        text += &format!("    - {}\n", one_line(scope));
    }
    for scope in &row.after {
        let mark = if row.before.contains(scope) { ' ' } else { '+' };
        text += &format!("    {mark} {}\n", one_line(scope));
    }
    text
}

fn reach(row: &ReachView) -> String {
    let scopes = |scopes: &Option<Vec<String>>| match scopes.as_deref() {
        None => "-".to_owned(),
        Some([]) => "all".to_owned(),
        Some(scopes) => list(scopes),
    };
    let live = match row.held {
        None => "live",
        Some("disclosure") => "live; held for an approval where no grant may disclose: there is a source",
        Some(_) => "live; each call is held for an approval",
    };
    let state = row.cut_by.map_or(live.to_owned(), |cut| format!("cut by {}", cut.replace('_', " ")));
    let mut text = format!("  {:<12} {state}\n", row.capability);
    text += &format!("    requested  {}\n", scopes(&row.requested));
    text += &format!("    granted    {}\n", scopes(&row.granted));
    let further = [
        ("discloses", &row.may_disclose),
        ("expired", &row.expired),
        ("to another signer", &row.other_signer),
    ];
    for (name, scopes) in further.into_iter().filter(|(_, scopes)| !scopes.is_empty()) {
        text += &format!("    {name:<9}  {}\n", list(scopes));
    }
    match row.ceiling.as_deref() {
        None => {}
        Some([]) => text += "    ceiling    nothing\n",
        Some(scopes) => text += &format!("    ceiling    {}\n", list(scopes)),
    }
    for grant in &row.grants {
        text += &format!("    hint: {}\n", one_line(grant));
    }
    text
}
