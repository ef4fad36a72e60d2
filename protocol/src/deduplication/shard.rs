//! One part of the cache: slots of launches, on their way and accepted alike, and one index of them.
//!
//! A launch gets its slot when it is claimed and keeps it when it is accepted. The oldest accepted one gives its slot to one
//! that is claimed later: so launches that come together stand together in memory, and nothing but the index is searched
//! far and wide.

use std::collections::{HashMap, VecDeque};

use hashbrown::HashTable;
use ledger::Fingerprint;

use super::{Claim, Claimed, DeduplicationRules, Flight, Held, Settlement};

/// Slots with which a shard begins, if it may have as many: it need not grow to them step by step.
const FIRST_SLOTS: usize = 16_384;

/// 48 bytes.
#[derive(Clone, Copy, Debug)]
struct Slot {
    launch: Claimed,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Of nobody; listed as free.
    Free,
    /// Claimed for the flight with this number.
    OnItsWay(u64),
    /// On the log, with this stream sequence.
    Accepted(u64),
}

/// A flight of unknown outcome.
#[derive(Debug)]
struct Doubt<F> {
    flight: F,
    since_ms: u64,
}

/// A claim's answer, and whether an unknown outcome is not kept any more because of it.
type Claiming<F> = (Claim<F>, bool);

/// Launches by key. Several of these, each behind a lock of its own, make up a cache.
#[derive(Debug)]
pub struct Shard<F> {
    rules: DeduplicationRules,
    slots: Vec<Slot>,
    free: VecDeque<u32>,
    /// Slots of the accepted ones, the oldest first.
    accepted: VecDeque<u32>,
    /// Most accepted ones.
    capacity: usize,
    /// Slots by key.
    index: HashTable<u32>,
    /// By slot: the flight of unknown outcome. It is the slot's own, or an earlier one of the same content, which counts
    /// again if the slot's own is not sent.
    unknown: HashMap<u32, Doubt<F>>,
}

impl<F: Flight + Clone> Shard<F> {
    /// Remembers so many accepted launches.
    pub fn new(capacity: usize) -> Self {
        let first_slots = capacity.min(FIRST_SLOTS);
        Self {
            rules: DeduplicationRules::default(),
            slots: Vec::with_capacity(first_slots),
            free: VecDeque::new(),
            accepted: VecDeque::with_capacity(first_slots),
            capacity,
            index: HashTable::with_capacity(first_slots),
            unknown: HashMap::new(),
        }
    }

    #[must_use]
    pub(crate) fn with_rules(mut self, rules: DeduplicationRules) -> Self {
        self.rules = rules;
        self
    }

    /// Looks where these keys stand, or would stand: one short search after the other, so that the processor waits for the
    /// memory of all of them at the same time, and the claims that follow find it in its caches.
    pub fn fetch(&self, keys: impl ExactSizeIterator<Item = Fingerprint>) {
        if keys.len() > 1 {
            let known = keys.filter(|key| self.find(*key).is_some());
            std::hint::black_box(known.count());
        }
    }

    /// Ends the claims of a flight. `has_room` says whether one more unknown outcome may be kept, and counts it. Returns how
    /// many unknown outcomes are not kept any more.
    pub fn settle(
        &mut self,
        held: impl ExactSizeIterator<Item = Held> + Clone,
        flight: &F,
        settlement: Settlement,
        mut has_room: impl FnMut() -> bool,
    ) -> usize {
        match settlement {
            Settlement::Published { sequence } => {
                self.make_room(held.clone(), flight);
                held.filter(|held| self.accept_held(*held, flight, sequence)).count()
            }
            Settlement::NotSent => {
                held.for_each(|held| self.release(held, flight));
                0
            }
            Settlement::Unknown { since_ms } => {
                held.for_each(|held| self.doubt(held, flight, since_ms, &mut has_room));
                0
            }
        }
    }

    /// Forgets as many of the oldest as these launches, which were published, will displace: together, after the same kind of
    /// look as in [`Self::fetch`].
    fn make_room(&mut self, held: impl ExactSizeIterator<Item = Held>, flight: &F) {
        if self.accepted.len() + held.len() <= self.capacity || held.len() == 1 {
            return;
        }
        let more = held.filter(|held| self.claimed(*held, flight).is_some()).count();
        let accepted = self.accepted.len();
        let leaving = (accepted + more).saturating_sub(self.capacity).min(accepted);
        let stands = |slot: &&u32| {
            let own = hash(self.slots[at(**slot)].launch.key);
            self.index.find(own, |found| found == *slot).is_some()
        };
        std::hint::black_box(self.accepted.iter().take(leaving).filter(stands).count());
        for _ in 0..leaving {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.accepted.pop_front() {
            self.remove(oldest);
        }
    }

    /// The claim. An unknown outcome stays in mind behind a new flight of the same content, until `ttl_ms` are over.
    /// `live` gives the flight with a number, as long as any claim of it lasts. The flag says whether an unknown outcome is
    /// not kept any more.
    pub fn claim(
        &mut self,
        launch: Claimed,
        flight: &F,
        live: impl FnOnce(u64) -> Option<F>,
        now_ms: impl FnOnce() -> u64,
        ttl_ms: u64,
    ) -> Claiming<F> {
        let Some(slot) = self.find(launch.key) else {
            let slot = self.insert(Slot { launch, state: State::OnItsWay(flight.number()) });
            return (Claim::New { slot }, false);
        };
        let known = self.slots[at(slot)];
        let same_content = known.launch.content == launch.content;
        match (known.state, same_content) {
            (State::Accepted(sequence), true) => (Claim::Known { sequence }, false),
            (State::Accepted(sequence), false) => (Claim::Conflict { sequence }, false),
            (State::OnItsWay(number), _) if self.is_doubtful(slot, number) => {
                self.claim_doubtful(slot, launch, flight, now_ms(), ttl_ms)
            }
            (State::OnItsWay(number), _) => match live(number) {
                Some(flight) if self.rules.on_its_way_is_pending => (Claim::Pending { flight, same_content }, false),
                // Its claims have ended, which leaves no slot behind.
                _ => self.take_over(slot, launch, flight),
            },
            (State::Free, _) => self.take_over(slot, launch, flight),
        }
    }

    fn claim_doubtful(&mut self, slot: u32, launch: Claimed, flight: &F, now_ms: u64, ttl_ms: u64) -> Claiming<F> {
        let same_content = self.slots[at(slot)].launch.content == launch.content;
        match self.unknown.get(&slot) {
            Some(doubt) if now_ms.saturating_sub(doubt.since_ms) < ttl_ms && self.rules.unknown_is_pending => {
                if !same_content {
                    return (Claim::Pending { flight: doubt.flight.clone(), same_content }, false);
                }
                self.slots[at(slot)].state = State::OnItsWay(flight.number());
                (Claim::New { slot }, false)
            }
            _ => self.take_over(slot, launch, flight),
        }
    }

    /// Nothing of what was claimed before can still arrive.
    fn take_over(&mut self, slot: u32, launch: Claimed, flight: &F) -> Claiming<F> {
        self.slots[at(slot)] = Slot { launch, state: State::OnItsWay(flight.number()) };
        (Claim::New { slot }, self.unknown.remove(&slot).is_some())
    }

    /// Whether the flight that a slot is claimed for has ended with an unknown outcome.
    fn is_doubtful(&self, slot: u32, number: u64) -> bool {
        self.unknown.get(&slot).is_some_and(|doubt| doubt.flight.number() == number)
    }

    /// The flight was not sent: its launch is free again, or of unknown outcome as before.
    fn release(&mut self, held: Held, flight: &F) {
        let Some(slot) = self.claimed(held, flight) else { return };
        match self.unknown.get(&slot) {
            Some(earlier) if self.rules.unknown_outlives_not_sent => {
                self.slots[at(slot)].state = State::OnItsWay(earlier.flight.number());
            }
            _ if self.rules.not_sent_is_free => self.remove(slot),
            _ => {}
        }
    }

    /// The flight's outcome is unknown: it is kept in the place of an earlier one, or if there is room for one more.
    fn doubt(&mut self, held: Held, flight: &F, since_ms: u64, has_room: impl FnOnce() -> bool) {
        let Some(slot) = self.claimed(held, flight) else { return };
        if self.unknown.contains_key(&slot) || has_room() {
            self.unknown.insert(slot, Doubt { flight: flight.clone(), since_ms });
        } else {
            self.remove(slot);
        }
    }

    /// The slot of a launch that is still claimed for its flight.
    fn claimed(&self, held: Held, flight: &F) -> Option<u32> {
        let key = held.launch.key;
        let is_claimed = |slot: &u32| {
            let found = self.slots.get(at(*slot));
            found.is_some_and(|slot| slot.state == State::OnItsWay(flight.number()) && slot.launch.key == key)
        };
        // The number saves a search of the index, whose parts are seldom in the processor's caches.
        let searched = || self.find(key).filter(is_claimed);
        Some(held.slot).filter(is_claimed).or_else(searched)
    }

    /// As [`Self::accept`], for a launch that was claimed for this flight: its slot saves the search.
    fn accept_held(&mut self, held: Held, flight: &F, sequence: u64) -> bool {
        let known = self.claimed(held, flight).or_else(|| self.find(held.launch.key));
        self.accept_in(known, held.launch, sequence)
    }

    /// The launch was published. Of two acknowledged publishes of one key the first in the log counts. Returns whether an
    /// earlier unknown outcome ends with it.
    pub fn accept(&mut self, launch: Claimed, sequence: u64) -> bool {
        self.accept_in(self.find(launch.key), launch, sequence)
    }

    fn accept_in(&mut self, known: Option<u32>, launch: Claimed, sequence: u64) -> bool {
        let accepted = Slot { launch, state: State::Accepted(sequence) };
        let Some(slot) = known else {
            let slot = self.insert(accepted);
            self.count(slot);
            return false;
        };
        match self.slots[at(slot)].state {
            State::Accepted(first) if first <= sequence && self.rules.first_place_counts => return false,
            State::Accepted(_) => self.slots[at(slot)] = accepted,
            State::OnItsWay(_) | State::Free => {
                self.slots[at(slot)] = accepted;
                self.count(slot);
            }
        }
        !self.unknown.is_empty() && self.unknown.remove(&slot).is_some()
    }

    /// Forgets unknown outcomes that are older than `ttl_ms`, and says how many they were.
    pub fn sweep(&mut self, now_ms: u64, ttl_ms: u64) -> usize {
        let is_over = |(slot, doubt): &(&u32, &Doubt<F>)| {
            let is_own = self.slots[at(**slot)].state == State::OnItsWay(doubt.flight.number());
            is_own && now_ms.saturating_sub(doubt.since_ms) >= ttl_ms
        };
        let over: Vec<u32> = self.unknown.iter().filter(is_over).map(|(slot, _)| *slot).collect();
        for slot in &over {
            self.unknown.remove(slot);
            self.remove(*slot);
        }
        over.len()
    }

    /// Forgets the accepted ones.
    pub fn forget(&mut self) {
        let empty = Self { rules: self.rules, ..Self::new(self.capacity) };
        let mut old = std::mem::replace(self, empty);
        for (number, slot) in (0..).zip(&old.slots) {
            if matches!(slot.state, State::OnItsWay(_)) {
                let kept = self.insert(*slot);
                self.unknown.extend(old.unknown.remove(&number).map(|doubt| (kept, doubt)));
            }
        }
    }

    /// How many are accepted, and how many are on their way or of unknown outcome.
    pub fn sizes(&self) -> (usize, usize) {
        let accepted = self.accepted.len();
        (accepted, self.slots.len() - self.free.len() - accepted)
    }

    /// One more is accepted: perhaps the oldest is forgotten for it.
    fn count(&mut self, slot: u32) {
        if self.accepted.len() >= self.capacity {
            self.forget_oldest();
        }
        self.accepted.push_back(slot);
    }

    fn insert(&mut self, new: Slot) -> u32 {
        let slot = self.free.pop_front().unwrap_or_else(|| {
            self.slots.push(new);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        self.slots[at(slot)] = new;
        let slots = &self.slots;
        let own = hash(new.launch.key);
        self.index.insert_unique(own, slot, |slot| hash(slots[at(*slot)].launch.key));
        slot
    }

    fn remove(&mut self, slot: u32) {
        let own = hash(self.slots[at(slot)].launch.key);
        if let Ok(place) = self.index.find_entry(own, |found| *found == slot) {
            place.remove();
        }
        self.slots[at(slot)].state = State::Free;
        self.free.push_back(slot);
    }

    fn find(&self, key: Fingerprint) -> Option<u32> {
        self.index.find(hash(key), |slot| self.slots[at(*slot)].launch.key == key).copied()
    }
}

#[inline]
fn at(slot: u32) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}

/// A fingerprint under a secret is as good as random, also for whoever chooses the ids.
#[inline]
fn hash(key: Fingerprint) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = key.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
