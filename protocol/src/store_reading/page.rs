//! A page of a window's launches, whatever they are read from: chunks that overlap, in any order.

use std::{collections::BTreeMap, ops::ControlFlow};

use ledger::{Fact, Kind, Place};

/// Which part of a journal a reader wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Only launches behind this place.
    pub after: Option<Place>,
    /// Only launches with a sequence up to this.
    pub upto: u64,
    /// At most so many, 1 or more.
    pub limit: usize,
}

impl Wanted {
    /// Whether `place` lies behind what the reader has.
    pub fn is_behind(&self, place: Place) -> bool {
        self.after.is_none_or(|after| place > after)
    }

    fn contains(&self, place: Place) -> bool {
        self.is_behind(place) && place.sequence <= self.upto
    }
}

/// First and last place of a chunk.
pub type ChunkKey = (Place, Place);

/// The launches of a chunk, in whatever form they are stored.
pub trait ChunkFacts<E> {
    /// Hands over those whose place `is_wanted`.
    ///
    /// # Errors
    /// What is stored cannot be read.
    fn each(&self, is_wanted: &dyn Fn(Place) -> bool, found: &mut dyn FnMut(Fact)) -> Result<(), E>;
}

/// A page of a window's launches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaunchesPage {
    /// In log order, without repeats.
    pub facts: Vec<Fact>,
    /// Whether there are more behind the last one.
    pub more: bool,
}

/// The lowest facts found, one place more than the limit.
#[derive(Debug)]
pub struct Page {
    wanted: Wanted,
    facts: BTreeMap<(Place, Kind), Fact>,
}

impl Page {
    /// An empty page.
    pub fn new(wanted: Wanted) -> Self {
        Self { wanted, facts: BTreeMap::new() }
    }

    /// What the reader wants.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Takes what is wanted of a chunk; breaks when neither it nor any chunk that begins at or behind its first place can be on
    /// this page, nor change whether there is more behind it. Without `facts` the chunk is not there, or not whole.
    ///
    /// # Errors
    /// The chunk cannot be read.
    pub fn take<E>(
        &mut self,
        (first, last): ChunkKey,
        facts: Option<&dyn ChunkFacts<E>>,
    ) -> Result<ControlFlow<()>, E> {
        if self.ends_before(first) {
            return Ok(ControlFlow::Break(()));
        }
        if let Some(facts) = facts.filter(|_| self.wanted.is_behind(last)) {
            self.add(facts)?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Whether nothing from `place` on can be on this page, nor change whether there is more behind it.
    pub fn ends_before(&self, place: Place) -> bool {
        let is_full = self.facts.len() > self.wanted.limit;
        let is_full_before = is_full && self.facts.last_key_value().is_some_and(|((last, _), _)| *last < place);
        place.sequence > self.wanted.upto || is_full_before
    }

    fn add<E>(&mut self, facts: &dyn ChunkFacts<E>) -> Result<(), E> {
        let wanted = self.wanted;
        facts.each(&|place| wanted.contains(place), &mut |fact| {
            self.facts.insert((fact.place, fact.kind), fact);
        })?;
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
    pub fn finish(self) -> LaunchesPage {
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
