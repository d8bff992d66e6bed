//! Records what a call reaches, as far as a report holds.

use base::{Capability, Reached};

/// Most places and listings that are recorded of one capability in one call.
pub const REACHED_ENTRIES_MAX: usize = 512;
/// Most bytes of text that are recorded of one call.
pub const REACHED_BYTES_MAX: usize = 32 << 10;

/// The record of one call under way.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    reached: Reached,
    bytes: usize,
}

/// What is recorded of a capability that has scopes.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Place,
    Listing,
}

impl Recorder {
    /// Records that `capability` was used, which is all there is to say of one without scopes.
    pub(crate) fn used(&mut self, capability: Capability) {
        self.reached.0.entry(capability).or_default();
    }

    /// Records a `root:path` or a URL.
    pub(crate) fn place(&mut self, capability: Capability, place: String) {
        self.add(capability, place, Kind::Place);
    }

    /// Records the `root:glob` of a listing.
    pub(crate) fn listing(&mut self, capability: Capability, glob: String) {
        self.add(capability, glob, Kind::Listing);
    }

    fn add(&mut self, capability: Capability, text: String, kind: Kind) {
        let uses = self.reached.0.entry(capability).or_default();
        let entries = uses.places.len() + uses.listed.len();
        let texts = match kind {
            Kind::Place => &mut uses.places,
            Kind::Listing => &mut uses.listed,
        };
        if uses.more || texts.contains(&text) {
            return;
        }
        let bytes = self.bytes.saturating_add(text.len());
        if entries >= REACHED_ENTRIES_MAX || bytes > REACHED_BYTES_MAX {
            uses.more = true;
            return;
        }
        self.bytes = bytes;
        texts.insert(text);
    }

    /// The record, once the call has ended.
    pub(crate) fn take(&mut self) -> Reached {
        std::mem::take(&mut self.reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Capability = Capability::FilesRead;

    #[test]
    fn both_bounds_are_marked_and_neither_is_passed() {
        let mut many = Recorder::default();
        for n in 0..REACHED_ENTRIES_MAX {
            many.place(READ, format!("workspace:{n}"));
            many.place(READ, format!("workspace:{n}"));
        }
        assert!(!many.reached.0[&READ].more, "the same place twice is one");
        many.listing(READ, "workspace:**".to_owned());
        many.used(Capability::Clock);
        let reached = many.take();
        assert!(reached.0[&READ].more && reached.0[&READ].listed.is_empty());
        assert_eq!(reached.0.len(), 2, "another capability is not affected");

        let mut long = Recorder::default();
        long.place(READ, "a".repeat(REACHED_BYTES_MAX));
        assert!(!long.reached.0[&READ].more);
        long.place(READ, "b".to_owned());
        assert!(long.reached.0[&READ].more && long.reached.0[&READ].places.len() == 1);
    }
}
