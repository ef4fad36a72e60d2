//! Span classes: how a store that seeks finds the chunks of a long journal that reach behind a place.
//!
//! Chunks of class c cover less than (2^bits)^c sequences, so that those which reach behind a place are found by seeking a little
//! before it, overlapping ones included: in each class the chunks are read in the order of their keys, from
//! [`SpanClasses::start`] on, until [`super::page::Page::take`] breaks.

use ledger::Place;

use super::page::ChunkKey;

/// How many bits of a span make a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanClasses {
    bits: u32,
}

impl SpanClasses {
    /// One class for each of these bits of a span, 1 to 64.
    pub const fn of_bits(bits: u32) -> Self {
        assert!(bits >= 1 && bits <= u64::BITS);
        Self { bits }
    }

    /// Every class.
    pub fn all(self) -> std::ops::RangeInclusive<u8> {
        0..=self.class_of_span(u64::MAX)
    }

    /// The class of a chunk.
    pub fn class(self, (first, last): ChunkKey) -> u8 {
        self.class_of_span(last.sequence.saturating_sub(first.sequence))
    }

    fn class_of_span(self, span: u64) -> u8 {
        u8::try_from((u64::BITS - span.leading_zeros()).div_ceil(self.bits)).unwrap_or_default()
    }

    /// The lowest place at which a chunk of `class` can begin when it reaches `place`.
    pub fn start(self, class: u8, place: Place) -> Place {
        let shift = u32::from(class) * self.bits;
        let most_span = 1_u128.checked_shl(shift).unwrap_or(u128::MAX);
        let earliest = u128::from(place.sequence).saturating_sub(most_span - 1);
        Place { sequence: u64::try_from(earliest).unwrap_or_default(), line: 0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_chunk_that_reaches_a_place_begins_at_or_behind_the_start_of_its_class(
            bits in 1_u32..=64, first: (u64, u32), span: u64, shift in 0_u32..64, back: u64
        ) {
            let classes = SpanClasses::of_bits(bits);
            let first = Place::new(first.0, first.1);
            let last = Place::new(first.sequence.saturating_add(span >> shift), first.line);
            let place = Place::new(last.sequence.saturating_sub(back % (last.sequence - first.sequence + 1)), 0);
            let class = classes.class((first, last));
            prop_assert!(classes.all().contains(&class));
            prop_assert!(classes.start(class, place) <= first);
        }
    }

    #[test]
    fn the_first_class_is_of_one_sequence() {
        let classes = SpanClasses::of_bits(8);
        let spans = [0, 1, 255, 256, u64::MAX].map(|span| classes.class((Place::new(0, 9), Place::new(span, 0))));
        assert_eq!((spans, classes.all()), ([0, 1, 1, 2, 8], 0..=8));
        assert_eq!(classes.start(0, Place::new(700, 5)), Place::new(700, 0));
        assert_eq!(classes.start(1, Place::new(700, 5)), Place::new(445, 0));
        assert_eq!(classes.start(8, Place::new(700, 5)), Place::default());
    }
}
