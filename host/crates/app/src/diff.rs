//! Change sets as unified diffs: what an approver reads.
//!
//! Every line of the result is this module's or has one of ` `, `+`, `-` in front: neither a name
//! nor a content can make a line of its own. What a terminal would obey is left to whoever prints.

use std::collections::{BTreeMap, BTreeSet};

use base::{Change, ChangeKind, ChangeSet, Digest, RootName};
use engine::files::{Roots, content};
use similar::TextDiff;
use similar::udiff::UnifiedHunkHeader;

use crate::deceptive::is_deceptive;

/// Longest file that is shown line by line, in bytes. A longer one is shown by its digests.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Length after which the rest is shown by digests, in bytes.
const DIFF_BYTES_MAX: usize = 4 << 20;
/// Unchanged lines around a change.
const CONTEXT_LINES: usize = 3;

/// The changes of a run as a unified diff against what is on disk. `kept` gives the contents that
/// the journal has.
pub(crate) fn unified(
    set: &ChangeSet,
    roots: Option<&Roots>,
    kept: impl Fn(&Digest) -> Option<Vec<u8>>,
) -> String {
    let both = |change: &Change| {
        let mut both = sides(change, roots, &kept);
        for side in &mut both {
            side.is_kept = side.digest.is_some_and(|digest| kept(&digest).is_some());
        }
        both
    };
    show_all(set, both)
}

/// The same for a call outside a run, which keeps nothing: `staged` gives the new contents.
pub(crate) fn unified_of_call(
    set: &ChangeSet,
    roots: &Roots,
    staged: impl Fn(&Digest) -> Option<Vec<u8>>,
) -> String {
    show_all(set, |change| sides(change, Some(roots), &staged))
}

fn show_all(set: &ChangeSet, sides: impl Fn(&Change) -> [Side; 2]) -> String {
    let moves = Moves::of(set);
    let mut text = String::new();
    for change in set.changes() {
        text += &match change.kind {
            ChangeKind::CreateDir => format!("new folder {}\n", name('b', change)),
            ChangeKind::RemoveDir => format!("removed folder {}\n", name('a', change)),
            _ if moves.is_left(change) => continue,
            _ => match moves.origin(change) {
                Some(from) => format!("moved from {}\nmoved to {}\n", name('a', from), name('b', change)),
                None if text.len() > DIFF_BYTES_MAX => {
                    header(change) + &by_digest("after much else", &sides(change))
                }
                None => show(change, &sides(change)),
            },
        };
    }
    text
}

/// Files that come up elsewhere with the content that they had.
struct Moves<'a> {
    /// By where they are then.
    origins: BTreeMap<&'a Change, &'a Change>,
    left: BTreeSet<&'a Change>,
}

impl<'a> Moves<'a> {
    /// Each file that goes is the origin of at most one that comes.
    fn of(set: &'a ChangeSet) -> Self {
        let mut going: BTreeMap<(&RootName, Digest), Vec<&Change>> = BTreeMap::new();
        for change in set.changes().iter().rev().filter(|change| change.kind == ChangeKind::Delete) {
            if let Some(pre) = change.pre {
                going.entry((&change.root, pre)).or_default().push(change);
            }
        }
        let coming = set.changes().iter().filter(|change| change.kind == ChangeKind::Create);
        let origin = |to: &'a Change| Some((to, going.get_mut(&(&to.root, to.post?))?.pop()?));
        let origins: BTreeMap<_, _> = coming.filter_map(origin).collect();
        Self { left: origins.values().copied().collect(), origins }
    }

    fn origin(&self, change: &Change) -> Option<&'a Change> {
        self.origins.get(change).copied()
    }

    /// Whether it is shown with the file that it became.
    fn is_left(&self, change: &Change) -> bool {
        self.left.contains(change)
    }
}

/// One side of a change.
struct Side {
    /// None if there is no file on this side.
    digest: Option<Digest>,
    /// None if there is no file, or its content is not at hand.
    content: Option<Vec<u8>>,
    /// Whether the digest can be asked for later.
    is_kept: bool,
}

impl Side {
    /// The text to compare; none if this side cannot be shown line by line.
    fn text(&self) -> Option<&str> {
        match (&self.digest, &self.content) {
            (None, _) => Some(""),
            (Some(_), Some(bytes)) if bytes.len() <= TEXT_BYTES_MAX => std::str::from_utf8(bytes).ok(),
            (Some(_), _) => None,
        }
    }

    fn is_long(&self) -> bool {
        self.content.as_ref().is_some_and(|bytes| bytes.len() > TEXT_BYTES_MAX)
    }

    fn describe(&self, name: &str) -> String {
        let Some(digest) = &self.digest else { return format!("{name}: nothing\n") };
        let size = self.content.as_ref().map_or_else(
            || "of a size that is not known any more".to_owned(),
            |bytes| format!("{} bytes", bytes.len()),
        );
        let show = if self.is_kept { format!(", `capstan artifact show {digest}`") } else { String::new() };
        format!("{name}: {size}, {digest}{show}\n")
    }
}

/// Before and after. Before is what is on disk if it is still that, else what `blob` has of it.
fn sides(change: &Change, roots: Option<&Roots>, blob: &impl Fn(&Digest) -> Option<Vec<u8>>) -> [Side; 2] {
    let on_disk = |pre: &Digest| {
        let found = content(roots?, &change.root, &change.path).ok().flatten();
        found.filter(|bytes| Digest::of(bytes) == *pre)
    };
    let before = change.pre.as_ref().and_then(|pre| on_disk(pre).or_else(|| blob(pre)));
    let after = change.post.as_ref().and_then(blob);
    [(change.pre, before), (change.post, after)].map(|(digest, content)| Side {
        digest,
        content,
        is_kept: false,
    })
}

fn show(change: &Change, sides: &[Side; 2]) -> String {
    let [before, after] = sides;
    let body = match (before.text(), after.text()) {
        (Some(old), Some(new)) => hunks(old, new),
        _ if before.is_long() || after.is_long() => by_digest("too long to show", sides),
        _ => by_digest("not text", sides),
    };
    header(change) + &body
}

fn header(change: &Change) -> String {
    let side = |side, exists| if exists { name(side, change) } else { "/dev/null".to_owned() };
    format!("--- {}\n+++ {}\n", side('a', !change.kind.creates()), side('b', !change.kind.removes()))
}

fn name(side: char, change: &Change) -> String {
    quoted(&format!("{side}/{}/{}", change.root, change.path))
}

fn by_digest(why: &str, [before, after]: &[Side; 2]) -> String {
    format!("{why}\n{}{}", before.describe("before"), after.describe("after"))
}

/// The changed lines with those around them. A line ends at `\n` and nowhere else: what a tool
/// takes for two lines must not stand here with the mark of one.
fn hunks(old: &str, new: &str) -> String {
    let [old, new]: [Vec<&str>; 2] = [old, new].map(|text| text.split_inclusive('\n').collect());
    let diff = TextDiff::configure().diff_slices(&old, &new);
    let mut text = String::new();
    for ops in diff.grouped_ops(CONTEXT_LINES).iter().filter(|ops| !ops.is_empty()) {
        text += &format!("{}\n", UnifiedHunkHeader::new(ops));
        for change in ops.iter().flat_map(|op| diff.iter_changes(op)) {
            text += &format!("{}{}", change.tag(), change.value());
            if !change.value().ends_with('\n') {
                text += "\n\\ No newline at end of file\n";
            }
        }
    }
    text
}

/// A name as git writes it: as it is, or, where that could be read as something else, in double
/// quotes with the escapes of C, bytes in octal.
fn quoted(name: &str) -> String {
    if !name.chars().any(|c| matches!(c, '"' | '\\') || is_deceptive(c)) {
        return name.to_owned();
    }
    let mut text = String::from('"');
    for c in name.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text += "\\n",
            '\r' => text += "\\r",
            '\t' => text += "\\t",
            c if is_deceptive(c) => {
                let mut bytes = [0; 4];
                text.extend(c.encode_utf8(&mut bytes).bytes().map(|byte| format!("\\{byte:03o}")));
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests;
