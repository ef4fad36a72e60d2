//! One part of the cache, behind one lock: a ring of the accepted with an index, and the pending.

use std::{sync::Arc, time::Duration};

use hashbrown::{HashTable, hash_table::Entry};
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
}

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

    /// The claim, and whether it took over an unknown outcome.
    pub(super) fn claim(&mut self, launch: Claimed, flight: &Arc<Flight>, ttl: Duration) -> (Claim, bool) {
        if let Some(accepted) = self.accepted(launch.key) {
            let sequence = accepted.sequence;
            let same = accepted.launch.content == launch.content;
            return (if same { Claim::Known { sequence } } else { Claim::Conflict { sequence } }, false);
        }
        let (own, seed) = (hash(launch.key, self.seed), self.seed);
        let same_key = |pending: &Pending| pending.launch.key == launch.key;
        match self.pending.entry(own, same_key, |pending| hash(pending.launch.key, seed)) {
            Entry::Vacant(place) => {
                place.insert(Pending { launch, flight: Arc::clone(flight) });
                (Claim::New, false)
            }
            Entry::Occupied(mut place) => {
                let pending = place.get_mut();
                let same_content = pending.launch.content == launch.content;
                let unknown_for = pending.flight.unknown_for(Instant::now());
                if unknown_for.is_some_and(|age| same_content || age >= ttl) {
                    *pending = Pending { launch, flight: Arc::clone(flight) };
                    return (Claim::New, true);
                }
                (Claim::Pending { flight: Arc::clone(&pending.flight), same_content }, false)
            }
        }
    }

    pub(super) fn release(&mut self, key: Digest, flight: &Arc<Flight>) {
        let is_ours = |pending: &Pending| pending.launch.key == key && Arc::ptr_eq(&pending.flight, flight);
        if let Ok(place) = self.pending.find_entry(hash(key, self.seed), is_ours) {
            place.remove();
        }
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

/// Keys are digests, so mixing in the seed is enough: a product folded to its halves' exclusive or.
fn hash(key: Digest, seed: [u64; 2]) -> u64 {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = key.0;
    let low = u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ seed[0];
    let high = (u64::from_le_bytes([i, j, k, l, m, n, o, p]) ^ seed[1]) | 1;
    let (product, carried) = low.carrying_mul(high, 0);
    product ^ carried
}
