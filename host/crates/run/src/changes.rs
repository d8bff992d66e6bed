//! Effect sets as a whole: the order in which they are made, and what they are about.

use base::{Change, ChangeKind, ChangeSet};

/// The changes in an order in which each can be made: a folder is made before what goes into it,
/// and removed after what was in it. Contents come before others go, so that what is renamed is
/// at one of its names at least.
pub(crate) fn in_order(set: &ChangeSet) -> Vec<&Change> {
    let of = |kinds: &'static [ChangeKind]| {
        set.changes().iter().filter(move |change| kinds.contains(&change.kind))
    };
    // A folder's path comes before those of what is in it.
    of(&[ChangeKind::CreateDir])
        .chain(of(&[ChangeKind::Create, ChangeKind::Replace]))
        .chain(of(&[ChangeKind::Delete]))
        .chain(of(&[ChangeKind::RemoveDir]).rev())
        .collect()
}

/// What a person types to approve the set where it destroys: `root:path` of the one folder or
/// file that all is in that goes, in the first root. Where nothing goes, the same of all that
/// changes. None if nothing does.
#[must_use]
pub fn target(set: &ChangeSet) -> Option<String> {
    let goes = |change: &Change| change.kind.removes();
    let any_goes = set.changes().iter().any(goes);
    let mut targets = set.changes().iter().filter(|change| !any_goes || goes(change));
    let first = targets.next()?;
    let common = targets
        .filter(|change| change.root == first.root)
        .fold(first.path.as_str(), |common, change| common_folder(common, &change.path));
    Some(format!("{}:{common}", first.root))
}

/// The deepest path that both are, or are in; empty if that is the root.
fn common_folder<'a>(one: &'a str, other: &str) -> &'a str {
    let ends = one.match_indices('/').map(|(at, _)| at).chain([one.len()]);
    let holds = |folder: &&str| {
        other.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    ends.filter_map(|end| one.get(..end)).take_while(holds).last().unwrap_or_default()
}

#[cfg(test)]
mod tests;
