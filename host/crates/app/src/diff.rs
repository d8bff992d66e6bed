//! Change sets as unified diffs: what an approver reads.

use base::{Change, ChangeKind, ChangeSet, Digest};
use engine::files::{Roots, content};
use similar::TextDiff;

/// Longest file that is shown line by line, in bytes. A longer one is shown by its digests.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// The changes as a unified diff against what is on disk. `blob` gives the new contents.
pub(crate) fn unified(
    set: &ChangeSet,
    roots: Option<&Roots>,
    blob: impl Fn(&Digest) -> Option<Vec<u8>>,
) -> String {
    set.changes()
        .iter()
        .map(|change| one(change, before(change, roots, &blob), after(change, &blob)))
        .collect()
}

/// The content before: what is on disk if it is still that, else the kept pre-image.
fn before(
    change: &Change,
    roots: Option<&Roots>,
    blob: &impl Fn(&Digest) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let pre = change.pre?;
    let on_disk = roots.and_then(|roots| content(roots, &change.root, &change.path).ok().flatten());
    on_disk.filter(|bytes| Digest::of(bytes) == pre).or_else(|| blob(&pre))
}

fn after(change: &Change, blob: &impl Fn(&Digest) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    blob(&change.post?)
}

fn one(change: &Change, before: Option<Vec<u8>>, after: Option<Vec<u8>>) -> String {
    let name = |side: char, exists: bool| {
        if exists { format!("{side}/{}/{}", change.root, change.path) } else { "/dev/null".to_owned() }
    };
    let old_name = name('a', change.kind != ChangeKind::Create);
    let new_name = name('b', change.kind != ChangeKind::Delete);
    let missing = (change.pre.is_some() && before.is_none()) || (change.post.is_some() && after.is_none());
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    match (text(&before), text(&after)) {
        (Some(old), Some(new)) if !missing => TextDiff::from_lines(old, new)
            .unified_diff()
            .context_radius(3)
            .header(&old_name, &new_name)
            .to_string(),
        _ => {
            let side =
                |digest: &Option<Digest>| digest.map_or_else(|| "nothing".to_owned(), |d| d.to_string());
            format!("--- {old_name}\n+++ {new_name}\n{} becomes {}\n", side(&change.pre), side(&change.post))
        }
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    if bytes.len() > TEXT_BYTES_MAX || bytes.contains(&0) {
        return None;
    }
    std::str::from_utf8(bytes).ok()
}
