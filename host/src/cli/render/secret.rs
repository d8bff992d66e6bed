//! Secrets as text, without their values.

use app::SecretView;

/// A line for each.
pub(crate) fn secrets(views: &[SecretView]) -> String {
    if views.is_empty() {
        return "There is no secret. Keep one with `capstan secret set <name>`.\n".to_owned();
    }
    let row = |view: &SecretView| {
        let place =
            view.variable.as_ref().map_or_else(|| view.backend.to_owned(), |name| format!("env:{name}"));
        let state = match (&view.set, view.is_set) {
            (Some(set), _) => format!("set {set}"),
            (None, true) => "set".to_owned(),
            (None, false) => "not set".to_owned(),
        };
        format!("{:<24} {place:<24} {state}\n", view.name)
    };
    views.iter().map(row).collect()
}
