//! The recent launches: what is on its way, and what was accepted lately.
//!
//! What a claim is answered follows from [`protocol::deduplication`].
//!
//! It is a courtesy: what it has forgotten, the aggregator decides. Memory: at most about 65 bytes a launch, accepted or
//! on its way (48 of them in its slot, the rest in the index and the order); what is on its way is bounded by the publisher's queues.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use ledger::{Fingerprint, FingerprintSecret};
use protocol::deduplication::{self, Claimed, Held, Settlement};
use tokio::time::Instant;

use crate::flight::{Flight, Outcome};

mod flights;

use flights::Flights;

type Shard = deduplication::Shard<Arc<Flight>>;

/// Locks are held for a fraction of a microsecond; this many make meeting on one rare.
const SHARDS: usize = 64;
/// Slots have numbers of 32 bits; half of them are left for what is on its way.
const MAX_SHARD_ENTRIES: usize = 1 << 31;

/// Bounds of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentConfig {
    /// `SALDO_INGEST_RECENT_ENTRIES`: accepted launches remembered, oldest forgotten first. Default 1,000,000, about 65 MB.
    pub entries: usize,
    /// `SALDO_INGEST_UNKNOWN_TTL_MS`: milliseconds for which an id whose publish has an unknown outcome refuses other
    /// content. Default 120,000: the log's duplicate window, after which nothing of that publish can still arrive.
    pub unknown_ttl_ms: u64,
    /// `SALDO_INGEST_UNKNOWN_ENTRIES`: most ids kept for their unknown outcome. Default 200,000, about 20 MB.
    pub unknown_entries: usize,
}

impl Default for RecentConfig {
    fn default() -> Self {
        Self { entries: 1_000_000, unknown_ttl_ms: 120_000, unknown_entries: 200_000 }
    }
}

/// What is known of a launch when it is posted.
pub type Claim = deduplication::Claim<Arc<Flight>>;

/// Shared by all requests.
pub struct Recent {
    shards: Box<[Mutex<Shard>]>,
    flights: Flights,
    /// Unknown outcomes that are kept, also those behind a new flight.
    unknown: AtomicUsize,
    secret: FingerprintSecret,
    /// From where times count.
    start: Instant,
    config: RecentConfig,
}

impl Recent {
    /// An empty cache.
    pub fn new(config: RecentConfig) -> Self {
        let capacity = config.entries.div_ceil(SHARDS).clamp(1, MAX_SHARD_ENTRIES);
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard::new(capacity))).collect();
        let secret = FingerprintSecret::new(rand::random());
        let (flights, unknown, start) = (Flights::default(), AtomicUsize::new(0), Instant::now());
        Self { shards, flights, unknown, secret, start, config }
    }

    /// Under which keys and contents are compared.
    pub fn secret(&self) -> &FingerprintSecret {
        &self.secret
    }

    /// Asks what is known of a launch; if nothing is, it belongs to `flight` from now on.
    pub fn claim(&self, launch: Claimed, flight: &Arc<Flight>) -> Claim {
        self.flights.list(flight);
        self.claim_in(&mut self.shard(launch.key), launch, flight)
    }

    /// Claims many launches, each for the flight that `flight_of` its index gives (those without one are left out), as
    /// if one after the other. Returns the answers that are not [`Claim::New`], in order, with their indexes; of the others
    /// `slots` gets, by the index, where the cache keeps them.
    pub fn claim_all<'f>(
        &self,
        launches: &[Claimed],
        flight_of: impl Fn(usize) -> Option<&'f Arc<Flight>>,
        slots: &mut Vec<u32>,
    ) -> Vec<(usize, Claim)> {
        let mut known = Vec::new();
        slots.clear();
        slots.resize(launches.len(), 0);
        self.each(
            launches,
            |launch| launch.key,
            |shard, indexes| {
                shard.fetch(indexes.iter().map(|index| launches[*index].key));
                for index in indexes {
                    let Some(flight) = flight_of(*index) else { continue };
                    self.flights.list(flight);
                    match self.claim_in(shard, launches[*index], flight) {
                        Claim::New { slot } => slots[*index] = slot,
                        claim => known.push((*index, claim)),
                    }
                }
            },
        );
        known.sort_unstable_by_key(|(index, _)| *index);
        known
    }

    fn claim_in(&self, shard: &mut Shard, launch: Claimed, flight: &Arc<Flight>) -> Claim {
        let live = |number| self.flights.get(number);
        let now_ms = || self.ms(Instant::now());
        let (claim, doubt_ends) = shard.claim(launch, flight, live, now_ms, self.config.unknown_ttl_ms);
        self.note_ends(usize::from(doubt_ends));
        claim
    }

    fn note_ends(&self, doubts: usize) {
        if doubts > 0 {
            self.unknown.fetch_sub(doubts, Relaxed);
        }
    }

    /// Ends the claims of `flight` and wakes who waits for it. Claims are released or turned into memory before the
    /// outcome is told, so that whoever asks again after waiting finds the new state.
    pub fn settle(&self, flight: &Arc<Flight>, held: &[Held], outcome: Outcome) {
        let settlement = match outcome {
            Outcome::Published { sequence } => Settlement::Published { sequence },
            Outcome::NotSent(_) => Settlement::NotSent,
            Outcome::Unknown(_) => Settlement::Unknown { since_ms: self.ms(Instant::now()) },
        };
        self.each(
            held,
            |held| held.launch.key,
            |shard, indexes| {
                let of_shard = indexes.iter().map(|index| held[*index]);
                self.note_ends(shard.settle(of_shard, flight, settlement, || self.keeps_one_more_unknown()));
            },
        );
        flight.settle(outcome);
        self.flights.strike(flight);
    }

    /// Remembers a launch read from the log, unless its key is known from an earlier place. Requests are served meanwhile, and
    /// may have had a launch accepted again, or with other content, that stands below: what stands first is what counts.
    pub fn warm(&self, launch: Claimed, sequence: u64) {
        let doubt_ends = self.shard(launch.key).accept(launch, sequence);
        self.note_ends(usize::from(doubt_ends));
    }

    /// Forgets unknown outcomes that are older than their time.
    pub fn sweep(&self, now: Instant) {
        let (now_ms, ttl_ms) = (self.ms(now), self.config.unknown_ttl_ms);
        self.note_ends(self.shards.iter().map(|shard| lock(shard).sweep(now_ms, ttl_ms)).sum());
    }

    /// Forgets everything accepted: the log is another one.
    pub fn forget(&self) {
        self.shards.iter().for_each(|shard| lock(shard).forget());
    }

    /// How many launches are remembered, and how many are on their way or of unknown outcome.
    pub fn sizes(&self) -> (usize, usize) {
        let sizes = self.shards.iter().map(|shard| lock(shard).sizes());
        sizes.fold((0, 0), |total, size| (total.0 + size.0, total.1 + size.1))
    }

    fn ms(&self, time: Instant) -> u64 {
        u64::try_from(time.saturating_duration_since(self.start).as_millis()).unwrap_or(u64::MAX)
    }

    fn keeps_one_more_unknown(&self) -> bool {
        let more = |kept| (kept < self.config.unknown_entries).then_some(kept + 1);
        self.unknown.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    /// Acts on the launches of each shard by their indexes, which are in order.
    fn each<L>(&self, launches: &[L], key: impl Fn(&L) -> Fingerprint, mut act: impl FnMut(&mut Shard, &[usize])) {
        if let [launch] = launches {
            return act(&mut self.shard(key(launch)), &[0]);
        }
        // One lock a shard instead of one a launch: between two locks the processor fetches no memory ahead.
        let (order, ends) = by_shard(launches, key);
        let mut start = 0;
        for (shard, end) in self.shards.iter().zip(ends) {
            if start < end {
                act(&mut lock(shard), &order[start..end]);
                start = end;
            }
        }
    }

    fn shard(&self, key: Fingerprint) -> MutexGuard<'_, Shard> {
        lock(&self.shards[shard_of(key)])
    }
}

fn shard_of(key: Fingerprint) -> usize {
    usize::from(key.0[15]) % SHARDS
}

/// The indexes of the launches, shard by shard, in order within each; and where each shard's end.
fn by_shard<L>(launches: &[L], key: impl Fn(&L) -> Fingerprint) -> (Vec<usize>, [usize; SHARDS]) {
    let mut ends = [0; SHARDS];
    launches.iter().for_each(|launch| ends[shard_of(key(launch))] += 1);
    let (mut next, mut total) = ([0; SHARDS], 0);
    for (start, end) in next.iter_mut().zip(&mut ends) {
        *start = total;
        total += *end;
        *end = total;
    }
    let mut order = vec![0; launches.len()];
    for (index, launch) in launches.iter().enumerate() {
        let place = &mut next[shard_of(key(launch))];
        order[*place] = index;
        *place += 1;
    }
    (order, ends)
}

/// A panic in a shard leaves it consistent enough for a courtesy.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "recent/tests.rs"]
mod tests;
