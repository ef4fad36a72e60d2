//! A page of a window's launches, whatever they are read from: chunks that overlap, in any order.

use std::collections::BTreeMap;

use ledger::{Fact, Kind, Place};
use protocol::load::JournalEntry;

use crate::{LaunchesPage, StoreError, encoding::decode_facts};

/// Which part of a journal a reader wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub after: Option<Place>,
    pub upto: u64,
    pub limit: usize,
}

impl Wanted {
    /// Whether `place` lies behind what the reader has.
    pub(crate) fn is_behind(&self, place: Place) -> bool {
        self.after.is_none_or(|after| place > after)
    }

    fn contains(&self, entry: &JournalEntry) -> bool {
        self.is_behind(entry.place) && entry.place.sequence <= self.upto
    }
}

/// The lowest facts found, one place more than the limit.
pub(crate) struct Page {
    pub(crate) wanted: Wanted,
    facts: BTreeMap<(Place, Kind), Fact>,
}

impl Page {
    /// An empty page.
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self { wanted, facts: BTreeMap::new() }
    }

    /// Whether nothing from `place` on can be on this page, nor change whether there is more behind it.
    pub(crate) fn is_full_before(&self, place: Place) -> bool {
        self.facts.len() > self.wanted.limit && self.facts.last_key_value().is_some_and(|((last, _), _)| *last < place)
    }

    /// Takes what is wanted of a chunk.
    pub(crate) fn add(&mut self, digests: &[u8], lines: &[u8]) -> Result<(), StoreError> {
        let wanted = self.wanted;
        decode_facts(
            digests,
            lines,
            |entry| wanted.contains(entry),
            |fact| {
                self.facts.insert((fact.place, fact.kind), fact);
            },
        )?;
        self.trim();
        Ok(())
    }

    /// Drops what is behind the first place beyond the limit.
    fn trim(&mut self) {
        let beyond = self.facts.keys().nth(self.wanted.limit).map(|(place, _)| *place);
        while let (Some(beyond), Some(last)) = (beyond, self.facts.last_entry()) {
            if last.key().0 <= beyond {
                break;
            }
            last.remove();
        }
    }

    /// The page, and whether there is more behind it.
    pub(crate) fn finish(self) -> LaunchesPage {
        let limit = self.wanted.limit;
        let last_place = limit.checked_sub(1).and_then(|last| self.facts.keys().nth(last)).map(|(place, _)| *place);
        let found = self.facts.len();
        let mut facts: Vec<Fact> = self.facts.into_values().collect();
        // Facts of one place stay together: the reader goes on behind a place.
        facts.retain(|fact| last_place.is_none_or(|last| fact.place <= last));
        let more = facts.len() < found;
        LaunchesPage { facts, more }
    }
}
