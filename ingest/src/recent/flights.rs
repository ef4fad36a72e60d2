//! The flights that launches are claimed for, by their numbers: a launch on its way names its flight by eight bytes, so
//! that a claim touches no counter of references. Between two such the processor fetches no memory ahead.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::flight::Flight;

/// Single launches have a flight each; neighbours are kept apart.
const PARTS: usize = 16;

/// Flights whose claims have not ended yet: at most as many as there are requests and batches on their way.
#[derive(Default)]
pub(super) struct Flights {
    parts: [Mutex<HashMap<u64, Arc<Flight>>>; PARTS],
}

impl Flights {
    /// Lists a flight before its first claim.
    pub(super) fn list(&self, flight: &Arc<Flight>) {
        if flight.is_news() {
            self.part(flight.number()).insert(flight.number(), Arc::clone(flight));
        }
    }

    /// Strikes a flight off after its last claim has ended.
    pub(super) fn strike(&self, flight: &Flight) {
        if flight.is_listed() {
            self.part(flight.number()).remove(&flight.number());
        }
    }

    /// The flight with a number, while any claim of it lasts.
    pub(super) fn get(&self, number: u64) -> Option<Arc<Flight>> {
        self.part(number).get(&number).cloned()
    }

    fn part(&self, number: u64) -> MutexGuard<'_, HashMap<u64, Arc<Flight>>> {
        let part = usize::try_from(number % PARTS as u64).unwrap_or_default();
        self.parts[part].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
