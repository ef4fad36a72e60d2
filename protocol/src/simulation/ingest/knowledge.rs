//! What a process must know of accepted launches: the first place of each id that it was told of. Naively.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Checked,
    launch::{Launch, Number},
    violation,
};
use crate::deduplication::Claim;

#[derive(Debug, Default)]
pub(super) struct Knowledge {
    /// By id: sequences and contents.
    places: BTreeMap<u8, BTreeSet<(u64, u8)>>,
    /// How far the log was seen to reach.
    highest: u64,
}

impl Knowledge {
    pub(super) fn learn(&mut self, launch: Launch, sequence: u64) {
        self.places.entry(launch.id).or_default().insert((sequence, launch.content));
    }

    pub(super) fn saw(&mut self, sequence: u64) {
        self.highest = self.highest.max(sequence);
    }

    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    pub(super) fn forget(&mut self) {
        self.places.clear();
    }

    /// Whether an answer is what is known: the first place. Where memory is short it may be a later one, or nothing.
    pub(super) fn check(&self, launch: Launch, claim: &Claim<Number>, forgets: bool) -> Checked {
        let known = self.places.get(&launch.id);
        let first = known.and_then(|places| places.first());
        let is = |told: u64, same: bool| {
            let is_told = |place: &&(u64, u8)| place.0 == told && (place.1 == launch.content) == same;
            let is_known = known.is_some_and(|places| places.iter().any(|place| is_told(&place)));
            // A log that lost its end gives a sequence out again.
            is_known && (forgets || first.is_some_and(|(sequence, _)| *sequence == told))
        };
        let is_right = match claim {
            Claim::Known { sequence } => is(*sequence, true),
            Claim::Conflict { sequence } => is(*sequence, false),
            Claim::New { .. } | Claim::Pending { .. } => forgets || first.is_none(),
        };
        if is_right { Ok(()) } else { violation(format!("{launch:?} is answered {claim:?}, known is {known:?}")) }
    }
}
