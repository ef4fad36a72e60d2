//! One part of the cache, behind one lock: a ring of the accepted with an index, and the pending.

use std::{sync::Arc, time::Duration};

use hashbrown::{
    HashTable,
    hash_table::{Entry, OccupiedEntry},
};
use ledger::Digest;
use tokio::time::Instant;

use super::Claim;
use crate::{flight::Flight, key::Claimed};

/// An accepted launch: 40 bytes.
#[derive(Clone, Copy)]
struct Accepted {
    launch: Claimed,
    sequence: u64,
}

struct Pending {
    launch: Claimed,
    flight: Arc<Flight>,
    /// An earlier flight of the same content, of unknown outcome: what counts again if `flight` is not sent.
    doubt: Option<Arc<Flight>>,
}

/// A claim's answer, and whether an unknown outcome is no longer kept because of it.
type Claiming = (Claim, bool);

pub(super) struct Shard {
    ring: Vec<Accepted>,
    next: usize,
    capacity: usize,
    /// Slots of the ring by key.
    index: HashTable<u32>,
    pending: HashTable<Pending>,
    seed: [u64; 2],
}

impl Shard {
    /// `seed` is random for the process: nobody can choose ids whose keys meet in the table.
    pub(super) fn new(capacity: usize, seed: [u64; 2]) -> Self {
        let capacity = capacity.min(usize::try_from(u32::MAX).unwrap_or(usize::MAX));
        Self { ring: Vec::new(), next: 0, capacity, index: HashTable::new(), pending: HashTable::new(), seed }
    }

    /// The claim. An unknown outcome stays in mind behind a new flight of the same content, until its time is over.
    pub(super) fn claim(&mut self, launch: Claimed, flight: &Arc<Flight>, ttl: Duration) -> Claiming {
        if let Some(accepted) = self.accepted(launch.key) {
            let sequence = accepted.sequence;
            let same = accepted.launch.content == launch.content;
            return (if same { Claim::Known { sequence } } else { Claim::Conflict { sequence } }, false);
        }
        let (own, seed) = (hash(launch.key, self.seed), self.seed);
        let same_key = |pending: &Pending| pending.launch.key == launch.key;
        match self.pending.entry(own, same_key, |pending| hash(pending.launch.key, seed)) {
            Entry::Vacant(place) => {
                place.insert(Pending { launch, flight: Arc::clone(flight), doubt: None });
                (Claim::New, false)
            }
            Entry::Occupied(mut place) => place.get_mut().claim(launch, flight, ttl),
        }
    }

    /// The flight was not sent: its launch is free again, or of unknown outcome as before.
    pub(super) fn release(&mut self, key: Digest, flight: &Arc<Flight>) {
        let Some(mut place) = self.claimed(key, flight) else { return };
        match place.get_mut().doubt.take() {
            Some(earlier) => place.get_mut().flight = earlier,
            None => drop(place.remove()),
        }
    }

    /// The flight was published; returns whether an earlier unknown outcome ends with it.
    pub(super) fn end(&mut self, key: Digest, flight: &Arc<Flight>) -> bool {
        self.claimed(key, flight).is_some_and(|place| place.remove().0.doubt.is_some())
    }

    /// The flight's outcome is unknown: it is kept in the place of an earlier one, or if there is room for one more.
    pub(super) fn doubt(&mut self, key: Digest, flight: &Arc<Flight>, has_room: impl FnOnce() -> bool) {
        let Some(mut place) = self.claimed(key, flight) else { return };
        if place.get_mut().doubt.take().is_none() && !has_room() {
            place.remove();
        }
    }

    fn claimed(&mut self, key: Digest, flight: &Arc<Flight>) -> Option<OccupiedEntry<'_, Pending>> {
        let is_ours = |pending: &Pending| pending.launch.key == key && Arc::ptr_eq(&pending.flight, flight);
        self.pending.find_entry(hash(key, self.seed), is_ours).ok()
    }

    /// Of two acknowledged publishes of one key the first in the log counts.
    pub(super) fn remember(&mut self, launch: Claimed, sequence: u64) {
        match self.slot(launch.key) {
            Some(slot) if self.ring[slot].sequence <= sequence => {}
            Some(slot) => self.ring[slot] = Accepted { launch, sequence },
            None => self.push(Accepted { launch, sequence }),
        }
    }

    pub(super) fn warm(&mut self, launch: Claimed, sequence: u64) {
        if self.slot(launch.key).is_none() {
            self.push(Accepted { launch, sequence });
        }
    }

    pub(super) fn sweep(&mut self, now: Instant, ttl: Duration) -> usize {
        let before = self.pending.len();
        self.pending.retain(|pending| pending.flight.unknown_for(now).is_none_or(|age| age < ttl));
        before - self.pending.len()
    }

    pub(super) fn forget(&mut self) {
        self.ring = Vec::new();
        self.next = 0;
        self.index = HashTable::new();
    }

    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.ring.len(), self.pending.len())
    }

    fn push(&mut self, accepted: Accepted) {
        let slot = self.next;
        if slot < self.ring.len() {
            self.drop_index(slot);
            self.ring[slot] = accepted;
        } else {
            self.ring.push(accepted);
        }
        self.next = (slot + 1) % self.capacity;
        let (ring, seed) = (&self.ring, self.seed);
        let slot = u32::try_from(slot).unwrap_or(u32::MAX);
        self.index.insert_unique(hash(accepted.launch.key, seed), slot, |slot| {
            hash(ring[usize::try_from(*slot).unwrap_or(usize::MAX)].launch.key, seed)
        });
    }

    fn drop_index(&mut self, slot: usize) {
        let key = self.ring[slot].launch.key;
        if let Ok(place) = self.index.find_entry(hash(key, self.seed), |found| usize::try_from(*found) == Ok(slot)) {
            place.remove();
        }
    }

    fn slot(&self, key: Digest) -> Option<usize> {
        let at = |slot: &u32| usize::try_from(*slot).unwrap_or(usize::MAX);
        self.index.find(hash(key, self.seed), |slot| self.ring[at(slot)].launch.key == key).map(at)
    }

    fn accepted(&self, key: Digest) -> Option<&Accepted> {
        self.slot(key).map(|slot| &self.ring[slot])
    }
}

impl Pending {
    fn claim(&mut self, launch: Claimed, flight: &Arc<Flight>, ttl: Duration) -> Claiming {
        let same_content = self.launch.content == launch.content;
        let (flight, earlier) = (Arc::clone(flight), Arc::clone(&self.flight));
        match self.flight.unknown_for(Instant::now()) {
            Some(age) if age >= ttl => {
                *self = Self { launch, flight, doubt: None };
                (Claim::New, true)
            }
            Some(_) if same_content => {
                *self = Self { launch, flight, doubt: Some(earlier) };
                (Claim::New, false)
            }
            _ => (Claim::Pending { flight: earlier, same_content }, false),
        }
    }
}

/// Keys are digests, so mixing in the seed is enough: a product folded to its halves' exclusive or.
fn hash(key: Digest, seed: [u64; 2]) -> u64 {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = key.0;
    let low = u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ seed[0];
    let high = (u64::from_le_bytes([i, j, k, l, m, n, o, p]) ^ seed[1]) | 1;
    let (product, carried) = low.carrying_mul(high, 0);
    product ^ carried
}
