//! Which messages of the log are gone. Nothing may be deleted of it, so that every sequence from 1 to its end has a message: a hole
//! is damage.

use std::{fmt, num::ParseIntError, ops::RangeInclusive, str::FromStr};

/// Most ranges that are named; all are counted.
pub const MAX_RANGES: usize = 100;

/// Sequences without a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    messages: u64,
    ranges: Vec<RangeInclusive<u64>>,
    further_ranges: u64,
}

impl Missing {
    /// How many messages are gone.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Whether nothing is gone.
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Where they are gone, ascending; the first [`MAX_RANGES`].
    pub fn ranges(&self) -> &[RangeInclusive<u64>] {
        &self.ranges
    }

    /// All of it, accepted as lost; `None` where it has more ranges than are named.
    pub fn accepted(&self) -> Option<AcceptedLoss> {
        (self.further_ranges == 0).then(|| AcceptedLoss(self.ranges.clone()))
    }

    fn add(&mut self, range: RangeInclusive<u64>, most_ranges: usize) {
        if range.is_empty() {
            return;
        }
        self.messages = self.messages.saturating_add((range.end() - range.start()).saturating_add(1));
        if self.ranges.len() < most_ranges {
            self.ranges.push(range);
        } else {
            self.further_ranges += 1;
        }
    }
}

impl fmt::Display for Missing {
    /// `3 in all: 17, 20-21 and 5 more ranges`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} in all: {}", self.messages, Ranges(&self.ranges))?;
        match self.further_ranges {
            0 => Ok(()),
            further => write!(formatter, " and {further} more ranges"),
        }
    }
}

struct Ranges<'r>(&'r [RangeInclusive<u64>]);

impl fmt::Display for Ranges<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            match range.start() == range.end() {
                true => write!(formatter, "{separator}{}", range.start())?,
                false => write!(formatter, "{separator}{}-{}", range.start(), range.end())?,
            }
        }
        Ok(())
    }
}

/// A loss that an operator has accepted: sequences that are expected to have no message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcceptedLoss(Vec<RangeInclusive<u64>>);

/// The text names no sequences.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no sequences: write 17, or 20-21, with commas between")]
pub struct AcceptedLossError(String);

impl AcceptedLoss {
    /// How many messages that are.
    pub fn messages(&self) -> u64 {
        self.0.iter().fold(0, |total, range| total.saturating_add((range.end() - range.start()).saturating_add(1)))
    }

    /// The highest sequence of all.
    pub fn last(&self) -> Option<u64> {
        self.0.last().map(|range| *range.end())
    }

    /// Whether every sequence of the range is accepted as lost.
    pub fn covers(&self, range: RangeInclusive<u64>) -> bool {
        let mut missing = Missing::default();
        self.rest_of(range, &mut missing, 0);
        missing.is_empty()
    }

    /// Adds what is not accepted of a range.
    fn rest_of(&self, range: RangeInclusive<u64>, missing: &mut Missing, most_ranges: usize) {
        let mut from = *range.start();
        for accepted in &self.0 {
            if accepted.end() < &from || accepted.start() > range.end() {
                continue;
            }
            missing.add(from..=accepted.start().saturating_sub(1), most_ranges);
            match accepted.end().checked_add(1) {
                Some(next) => from = next,
                None => return,
            }
        }
        missing.add(from..=*range.end(), most_ranges);
    }
}

impl FromStr for AcceptedLoss {
    type Err = AcceptedLossError;

    fn from_str(text: &str) -> Result<Self, AcceptedLossError> {
        let wrong = || AcceptedLossError(text.to_owned());
        let mut ranges = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let range =
                range_of(part).ok().filter(|range| !range.is_empty() && *range.start() > 0).ok_or_else(wrong)?;
            ranges.push(range);
        }
        ranges.sort_unstable_by_key(|range| *range.start());
        let mut joined: Vec<RangeInclusive<u64>> = Vec::new();
        for range in ranges {
            match joined.last_mut() {
                Some(last) if *range.start() <= *last.end() => *last = *last.start()..=*last.end().max(range.end()),
                _ => joined.push(range),
            }
        }
        Ok(Self(joined))
    }
}

impl fmt::Display for AcceptedLoss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ranges(&self.0).fmt(formatter)
    }
}

fn range_of(text: &str) -> Result<RangeInclusive<u64>, ParseIntError> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Ok(first.trim().parse()?..=last.trim().parse()?)
}

/// Looks at the sequences that a log hands out, in order, and finds those that it leaves out.
#[derive(Clone, Debug)]
pub struct SequenceCheck {
    accepted: AcceptedLoss,
    next: u64,
    missing: Missing,
    most_ranges: usize,
}

impl SequenceCheck {
    /// Nothing was seen yet: sequence 1 is to come.
    pub fn new(accepted: AcceptedLoss) -> Self {
        Self { accepted, next: 1, missing: Missing::default(), most_ranges: MAX_RANGES }
    }

    /// Names up to so many ranges instead of [`MAX_RANGES`].
    pub fn naming(self, most_ranges: usize) -> Self {
        Self { most_ranges, ..self }
    }

    /// The lowest sequence that was neither seen nor found missing.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The log has handed out this sequence, and nothing between it and the one before. One that was seen already changes nothing.
    pub fn saw(&mut self, sequence: u64) {
        if sequence < self.next {
            return;
        }
        self.accepted.rest_of(self.next..=sequence.saturating_sub(1), &mut self.missing, self.most_ranges);
        self.next = sequence.saturating_add(1);
    }

    /// The log hands out nothing more up to `end`: what is missing.
    pub fn finish(mut self, end: u64) -> Missing {
        if end >= self.next {
            self.accepted.rest_of(self.next..=end, &mut self.missing, self.most_ranges);
        }
        self.missing
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn check(seen: impl IntoIterator<Item = u64>, end: u64, accepted: &str) -> Missing {
        let mut check = SequenceCheck::new(accepted.parse().unwrap());
        seen.into_iter().for_each(|sequence| check.saw(sequence));
        check.finish(end)
    }

    #[test]
    fn a_whole_log_has_no_holes() {
        assert!(check(1..=9, 9, "").is_empty());
        assert!(check([], 0, "").is_empty(), "an empty one");
        assert!(check(1..=12, 9, "").is_empty(), "one that grew meanwhile");
    }

    #[test]
    fn holes_are_named_at_the_beginning_within_and_at_the_end() {
        let missing = check([3, 4, 7], 9, "");
        assert_eq!(missing.to_string(), "6 in all: 1-2, 5-6, 8-9");
        assert_eq!(missing.ranges(), [1..=2, 5..=6, 8..=9]);
        assert_eq!(check([1, 3], 3, "").to_string(), "1 in all: 2");
        assert_eq!(check([], 3, "").to_string(), "3 in all: 1-3");
    }

    #[test]
    fn what_is_accepted_is_not_missing() {
        assert!(check([1, 4], 4, "2-3").is_empty());
        assert_eq!(check([1, 9], 9, "8, 3-4").to_string(), "4 in all: 2, 5-7");
        assert!(check([5], 5, "1-4,2-3").is_empty());
        assert_eq!("3-4,8, 4-5".parse::<AcceptedLoss>().unwrap().to_string(), "3-5, 8");
        for wrong in ["x", "3-2", "0", "1-2-3", "-"] {
            assert!(wrong.parse::<AcceptedLoss>().is_err(), "{wrong}");
        }
        let accepted: AcceptedLoss = "1-4".parse().unwrap();
        assert!(accepted.covers(1..=4) && accepted.covers(2..=3) && !accepted.covers(4..=5));
        assert_eq!(accepted.messages(), 4);
    }

    #[test]
    fn many_holes_are_counted_and_some_are_named() {
        let missing = check((1..=1_000).filter(|sequence| sequence % 2 == 0), 1_000, "");
        assert_eq!((missing.messages(), missing.ranges().len()), (500, MAX_RANGES));
        assert!(missing.to_string().ends_with("and 400 more ranges"));
        assert_eq!(missing.accepted(), None, "what is not named is not accepted");
        let mut check = SequenceCheck::new(AcceptedLoss::default()).naming(500);
        (1..=1_000).filter(|sequence| sequence % 2 == 0).for_each(|sequence| check.saw(sequence));
        let accepted = check.finish(1_000).accepted().unwrap();
        assert_eq!((accepted.messages(), accepted.last()), (500, Some(999)));
        assert_eq!(accepted.to_string().parse(), Ok(accepted));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_set_of_sequences(
            seen in proptest::collection::btree_set(1_u64..60, 0..60),
            accepted in proptest::collection::vec((1_u64..60, 0_u64..5), 0..4),
            end in 0_u64..60,
        ) {
            let text: Vec<String> = accepted.iter().map(|(from, more)| format!("{from}-{}", from + more)).collect();
            let is_accepted = |sequence: u64| accepted.iter().any(|(from, more)| (*from..=from + more).contains(&sequence));
            let last = end.max(seen.last().copied().unwrap_or(0));
            let naive: BTreeSet<u64> = (1..=last).filter(|sequence| !seen.contains(sequence) && !is_accepted(*sequence)).collect();
            let found = check(seen.iter().copied(), end, &text.join(","));
            let named: BTreeSet<u64> = found.ranges().iter().cloned().flatten().collect();
            prop_assert_eq!(&named, &naive);
            prop_assert_eq!(found.messages(), naive.len() as u64);
        }
    }
}
