//! How far the log is known to reach, so that one that lost its end is noticed: it hands sequences out twice, and what stood there is
//! gone.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// The log ends, or goes on, below what it was known to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the log lost its end: it had sequence {known}, and {found} is its {} (an older copy was put back, or it was made anew)",
    if *.is_end { "last" } else { "newest, given out a second time" }
)]
pub struct WentBack {
    /// The highest sequence that it was known to have.
    pub known: u64,
    /// What it has, or has given out.
    pub found: u64,
    /// Whether `found` is its end; else it is the sequence of a message that was just stored.
    pub is_end: bool,
}

/// The highest sequence that is known to be in the log. Shared by all that write into it; each call is an atomic operation or two.
///
/// Messages are under way side by side, and their acknowledgements come in any order. So what the log says is compared with what was
/// known *before* it was asked: only that must lie below.
#[derive(Debug, Default)]
pub struct HighWater {
    known: AtomicU64,
    went_back: OnceLock<WentBack>,
}

impl HighWater {
    /// The highest sequence known; to be taken before the log is asked or a message is sent for the first time.
    pub fn known(&self) -> u64 {
        self.known.load(Relaxed)
    }

    /// The log has this sequence on disk.
    pub fn saw(&self, sequence: u64) {
        self.known.fetch_max(sequence, Relaxed);
    }

    /// The log has stored a message that it did not have before; `known_before` was known before it was first sent.
    ///
    /// # Errors
    /// The sequence was given out before: the log went back, and stays so.
    pub fn stored(&self, sequence: u64, known_before: u64) -> Result<(), WentBack> {
        if sequence <= known_before {
            return Err(self.go_back(WentBack { known: known_before, found: sequence, is_end: false }));
        }
        self.saw(sequence);
        Ok(())
    }

    /// The log has said where it ends; `known_before` was known before it was asked.
    ///
    /// # Errors
    /// It ends before that: the log went back, and stays so.
    pub fn ends_at(&self, end: u64, known_before: u64) -> Result<(), WentBack> {
        if end < known_before {
            return Err(self.go_back(WentBack { known: known_before, found: end, is_end: true }));
        }
        Ok(())
    }

    /// Whether the log went back since this was made, as it was first noticed.
    pub fn went_back(&self) -> Option<WentBack> {
        self.went_back.get().copied()
    }

    fn go_back(&self, went_back: WentBack) -> WentBack {
        *self.went_back.get_or_init(|| went_back)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn acknowledgements_may_come_in_any_order() {
        let water = HighWater::default();
        let sent_together = [water.known(); 3];
        for (sequence, known) in [3, 1, 2].into_iter().zip(sent_together) {
            assert_eq!(water.stored(sequence, known), Ok(()));
        }
        assert_eq!((water.known(), water.went_back()), (3, None));
    }

    #[test]
    fn a_sequence_that_was_known_before_sending_is_not_given_out_again() {
        let water = HighWater::default();
        water.saw(7);
        let known = water.known();
        let found = WentBack { known: 7, found: 7, is_end: false };
        assert_eq!(water.stored(7, known), Err(found));
        assert_eq!(water.stored(9, known), Ok(()), "it goes on from there, but it is not the same log");
        assert_eq!(water.went_back(), Some(found));
    }

    #[test]
    fn an_end_below_what_was_known_is_noticed_and_not_forgotten() {
        let water = HighWater::default();
        water.saw(7);
        assert_eq!(water.ends_at(7, water.known()), Ok(()));
        let asked = water.known();
        water.saw(12);
        assert_eq!(water.ends_at(9, asked), Ok(()), "it was asked before");
        assert!(water.ends_at(11, water.known()).is_err() && water.ends_at(20, water.known()).is_ok());
        assert_eq!(water.went_back(), Some(WentBack { known: 12, found: 11, is_end: true }));
    }

    /// A log that stores messages one after the other while several are under way; at one moment it may lose its end.
    #[derive(Clone, Debug)]
    enum Event {
        Send,
        Store(usize),
        Answer(usize),
        Look,
        Lose(u64),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => Just(Event::Send),
            4 => (0_usize..8).prop_map(Event::Store),
            4 => (0_usize..8).prop_map(Event::Answer),
            1 => Just(Event::Look),
            1 => (1_u64..6).prop_map(Event::Lose),
        ]
    }

    proptest! {
        /// The naive model remembers every sequence acknowledged; the log must not be said to go back before one of them is lost, and a
        /// message sent after that gets no sequence that was acknowledged before it was sent.
        #[test]
        fn it_is_noticed_if_and_only_if_acknowledged_sequences_are_given_out_twice(
            events in proptest::collection::vec(event(), 0..80)
        ) {
            let water = HighWater::default();
            let (mut end, mut lost) = (0_u64, false);
            let mut acknowledged = std::collections::BTreeSet::new();
            // Sent: (known then, acknowledged then); stored: the same with its sequence.
            let (mut sent, mut stored) = (Vec::new(), Vec::new());
            for event in events {
                match event {
                    Event::Send => sent.push((water.known(), acknowledged.clone())),
                    Event::Store(index) if index < sent.len() => {
                        end += 1;
                        let (known, before) = sent.remove(index);
                        stored.push((end, known, before));
                    }
                    Event::Answer(index) if index < stored.len() => {
                        let (sequence, known, before) = stored.remove(index);
                        let is_twice = before.contains(&sequence);
                        let outcome = water.stored(sequence, known);
                        prop_assert!(!is_twice || outcome.is_err());
                        prop_assert!(outcome.is_ok() || lost);
                        acknowledged.insert(sequence);
                    }
                    Event::Look => {
                        let is_short = acknowledged.last().is_some_and(|last| *last > end);
                        prop_assert_eq!(water.ends_at(end, water.known()).is_err(), is_short);
                    }
                    Event::Lose(count) => {
                        let shorter = end.saturating_sub(count);
                        lost |= acknowledged.range(shorter + 1..).next().is_some();
                        end = shorter;
                        // What was on its way and is lost is never answered.
                        stored.retain(|(sequence, _, _)| *sequence <= end);
                    }
                    Event::Store(_) | Event::Answer(_) => {}
                }
            }
            prop_assert!(water.went_back().is_none() || lost);
        }
    }
}
