//! Packs and operations as text.

use app::{BuildView, CapabilityView, InspectView, InstallView, ListedPack, OperationView, SignView};

use super::{bytes, list};
use crate::ui::{one_line, visible};

pub(crate) fn build(view: &BuildView) -> String {
    format!(
        "Built `{}` {} into `{}`.\n  component   {}\n  imports     {}\n  operations  {}\n",
        view.pack,
        view.version,
        view.folder,
        bytes(view.component_bytes),
        list(&view.imports),
        list(&view.operations)
    )
}

pub(crate) fn sign(view: &SignView) -> String {
    format!(
        "Signed `{}` {} as statement {}.\n  statement    {}\n  fingerprint  {}\n",
        view.pack, view.version, view.sequence, view.statement, view.fingerprint
    )
}

pub(crate) fn validate(view: &InspectView) -> String {
    let mut text = format!("`{}` {} is valid and {}.\n", view.pack, view.version, view.signature);
    text += &format!("  operations  {}\n", view.operations.len());
    for warning in &view.warnings {
        text += &format!("warning: {}\n", one_line(warning));
    }
    text
}

pub(crate) fn packs(views: &[ListedPack]) -> String {
    if views.is_empty() {
        return "No pack is installed. Install one with `capstan pack install <folder>`.\n".to_owned();
    }
    let row = |view: &ListedPack| {
        let name = view.pack.to_string();
        if let Some(problem) = &view.problem {
            return format!("{name:<24} does not verify: {}\n", problem.code);
        }
        format!(
            "{name:<24} {:<10} {}  signed by {}  installed {}\n",
            view.version.as_deref().unwrap_or_default(),
            view.statement.map(|statement| statement.short()).unwrap_or_default(),
            view.signer.as_deref().unwrap_or_default(),
            view.installed.as_deref().unwrap_or_default()
        )
    };
    views.iter().map(row).collect()
}

pub(crate) fn install(view: &InstallView) -> String {
    let mut text = match (&view.replaced, view.unchanged) {
        (_, true) => format!("`{}` {} was installed already.\n", view.pack, view.version),
        (Some(old), _) => format!("Installed `{}` {} over {old}.\n", view.pack, view.version),
        (None, _) => format!("Installed `{}` {}.\n", view.pack, view.version),
    };
    if view.replaced.as_ref() == Some(&view.version) {
        text += "note: the version is the one that was installed, the statement is another\n";
    }
    text += &format!("  statement  {}\n  signer     {}", view.statement, view.signer);
    text += if view.trusted_now { " (trusted from now on)\n" } else { "\n" };
    text += &format!("  granted    {}\n", list(&view.granted));
    if !view.requests_added.is_empty() && view.replaced.is_some() {
        text += &format!("  new requests since the last version: {}\n", list(&view.requests_added));
    }
    if !view.unused_requests.is_empty() {
        text += &format!("  requested but not imported: {}\n", list(&view.unused_requests));
    }
    if !view.lapsed.is_empty() {
        text += &format!("  not in force any more: {}\n", list(&view.lapsed));
    }
    for grant in &view.not_granted {
        text += &format!("hint: capstan grant add {} '{grant}'\n", view.pack);
    }
    text
}

pub(crate) fn operations(views: &[OperationView]) -> String {
    if views.is_empty() {
        return "No operation: no pack is installed.\n".to_owned();
    }
    let width = views.iter().map(|view| view.name.len()).max().unwrap_or_default();
    let row = |view: &OperationView| {
        let docs = view.docs.as_deref().map(first_sentence).unwrap_or_default();
        format!("{:<12} {:<width$}  {}\n", view.effect, view.name, one_line(&docs))
    };
    views.iter().map(row).collect()
}

/// The first sentence, which may go over several lines.
fn first_sentence(docs: &str) -> String {
    let paragraph = docs.trim().split("\n\n").next().unwrap_or_default();
    let words = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    words.split_once(". ").map_or(words.clone(), |(first, _)| format!("{first}."))
}

pub(crate) fn operation(view: &OperationView) -> String {
    let mut text = format!("{}{}\n", view.name, one_line(&view.signature));
    if let Some(docs) = &view.docs {
        text += &format!("\n{}\n\n", visible(docs.trim()));
    }
    text += &format!("  effect      {}\n  idempotent  {}\n", view.effect, view.idempotent);
    text += &format!("  limits      {}\n", view.limits);
    text
}

pub(crate) fn inspect(view: &InspectView) -> String {
    let mut text = header(view);
    text += "files\n";
    for (name, digest) in &view.files {
        text += &format!("  {:<28} {digest}\n", one_line(name));
    }
    text += "operations\n";
    for operation in &view.operations {
        text += &format!("  {:<12} {}{}\n", operation.effect, operation.name, one_line(&operation.signature));
        text += &format!("  {:<12} {}\n", "", operation.limits);
    }
    text += &format!("baseline imports  {}\n", list(&view.baseline_imports));
    text + &inert(view)
}

/// What of a component is there and reaches nothing.
fn inert(view: &InspectView) -> String {
    let mut text = String::new();
    let wasi = view.baseline_imports.iter().filter(|name| name.starts_with("wasi:")).count();
    if wasi > 0 {
        text += &format!(
            "inert\n  {wasi} interfaces of WASI: no environment, arguments, files or sockets; virtual time, \
             seeded randomness, captured output\n"
        );
    }
    if !view.other_exports.is_empty() {
        text += &format!("exports that nothing calls\n  {}\n", list(&view.other_exports));
    }
    text
}

/// The reviewer's screen: who, what, how far, and what is more than needed.
pub(crate) fn audit(view: &InspectView) -> String {
    let mut text = header(view);
    text += "operations\n";
    for operation in &view.operations {
        text += &format!("  {:<12} {}\n", operation.effect, operation.name);
    }
    text += "capabilities\n";
    if view.capabilities.is_empty() {
        text += "  none: it can only compute and log\n";
    }
    for row in &view.capabilities {
        text += &capability(row);
    }
    text += &inert(view);
    text += "digests\n";
    if let Some(statement) = &view.statement {
        text += &format!("  {:<14} {statement}\n", "statement");
    }
    for (name, digest) in &view.files {
        text += &format!("  {:<14} {digest}\n", one_line(name));
    }
    for warning in &view.warnings {
        text += &format!("warning: {}\n", one_line(warning));
    }
    text
}

/// What the pack requests and does not have, as `--grant` takes it.
pub(crate) fn requested_grants(view: &InspectView) -> Vec<String> {
    let mut grants = Vec::new();
    for row in &view.capabilities {
        for scope in row.requested.iter().filter(|scope| !row.granted.contains(scope)) {
            grants.push(if scope == "*" {
                row.capability.clone()
            } else {
                format!("{}={scope}", row.capability)
            });
        }
    }
    grants
}

fn header(view: &InspectView) -> String {
    let signer = view.signer.as_deref().unwrap_or("nobody");
    let sequence = view.sequence.map(|number| format!(", statement {number}")).unwrap_or_default();
    format!("{} {}\n  signed by {signer} ({}{sequence})\n", view.pack, view.version, view.signature)
}

fn capability(row: &CapabilityView) -> String {
    let imported = if row.imported { "imported" } else { "not imported" };
    format!(
        "  {}  ({imported})\n    requested  {}\n    granted    {}\n    used by    {}\n",
        row.capability,
        list(&row.requested),
        list(&row.granted),
        list(&row.used_by)
    )
}
