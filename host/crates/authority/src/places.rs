//! A set of places in a text or pattern, on the stack: matching a path allocates nothing.

/// The places `0..64 * WORDS`.
#[derive(Clone, Copy)]
pub(crate) struct Places<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Places<WORDS> {
    pub(crate) const EMPTY: Self = Self([0; WORDS]);

    /// Just the place 0.
    pub(crate) fn start() -> Self {
        let mut places = Self::EMPTY;
        places.set(0);
        places
    }

    /// Whether `place` is in it; never for one beyond its room.
    pub(crate) fn has(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Adds a place. One beyond its room is lost, so that what it stands for is not reached.
    pub(crate) fn set(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    /// Takes the place 0 out.
    pub(crate) fn clear_start(&mut self) {
        if let Some(word) = self.0.first_mut() {
            *word &= !1;
        }
    }

    /// Adds every place of `other`.
    pub(crate) fn join(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine |= theirs);
    }

    /// Its least place.
    pub(crate) fn first(&self) -> Option<usize> {
        self.iter().next()
    }

    /// Its places, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(64 * index + bit)
            })
        })
    }
}
