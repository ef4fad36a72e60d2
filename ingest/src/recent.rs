//! The recent launches: what is on its way, and what was accepted lately.
//!
//! | state of a key | same content | other content |
//! |---|---|---|
//! | never seen, or forgotten | new | new |
//! | on its way | wait for that publish | pending |
//! | outcome unknown | new: the publish is repeated | pending, for [`RecentConfig::unknown_ttl_ms`] |
//! | on its way again, after an unknown outcome | wait for that publish; not sent: unknown as before | pending |
//! | accepted | known | conflict |
//!
//! It is a courtesy: what it has forgotten, the aggregator decides. Memory: at most about 60 bytes an accepted launch
//! (48 of them in the ring, the rest in its index); what is on its way is bounded by the publisher's queues.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use ledger::Digest;
use tokio::time::Instant;

use crate::{
    flight::{Flight, Outcome},
    key::Claimed,
};

mod shard;

use shard::Shard;

/// Locks are held for a fraction of a microsecond; this many make meeting on one rare.
const SHARDS: usize = 64;

/// Bounds of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentConfig {
    /// `SALDO_INGEST_RECENT_ENTRIES`: accepted launches remembered, oldest forgotten first. Default 1,000,000, about 60 MB.
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
#[derive(Clone, Debug)]
pub enum Claim {
    /// Nothing: it is the claimer's to publish and to settle.
    New,
    /// Accepted before, with the same content.
    Known {
        /// Stream sequence of the first one.
        sequence: u64,
    },
    /// Accepted before, with other content.
    Conflict {
        /// Stream sequence of the accepted one.
        sequence: u64,
    },
    /// On its way, or of unknown outcome.
    Pending {
        /// The publish that decides.
        flight: Arc<Flight>,
        /// Whether it carries the same content.
        same_content: bool,
    },
}

/// Shared by all requests.
pub struct Recent {
    shards: Box<[Mutex<Shard>]>,
    /// Unknown outcomes that are kept, also those behind a new flight.
    unknown: AtomicUsize,
    config: RecentConfig,
}

impl Recent {
    /// An empty cache.
    pub fn new(config: RecentConfig) -> Self {
        let capacity = config.entries.div_ceil(SHARDS).max(1);
        let seed = rand::random();
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard::new(capacity, seed))).collect();
        Self { shards, unknown: AtomicUsize::new(0), config }
    }

    /// Asks what is known of a launch; if nothing is, it belongs to `flight` from now on.
    pub fn claim(&self, launch: Claimed, flight: &Arc<Flight>) -> Claim {
        let ttl = Duration::from_millis(self.config.unknown_ttl_ms);
        let (claim, doubt_ends) = self.shard(launch.key).claim(launch, flight, ttl);
        if doubt_ends {
            self.unknown.fetch_sub(1, Relaxed);
        }
        claim
    }

    /// Ends the claims of `flight` and wakes who waits for it. Claims are released or turned into memory before the
    /// outcome is told, so that whoever asks again after waiting finds the new state.
    pub fn settle(&self, flight: &Arc<Flight>, launches: &[Claimed], outcome: Outcome) {
        match outcome {
            Outcome::Published { sequence } => self.each(launches, |shard, launch| {
                if shard.end(launch.key, flight) {
                    self.unknown.fetch_sub(1, Relaxed);
                }
                shard.remember(launch, sequence);
            }),
            Outcome::NotSent(_) => self.each(launches, |shard, launch| shard.release(launch.key, flight)),
            Outcome::Unknown(_) => self.each(launches, |shard, launch| {
                shard.doubt(launch.key, flight, || self.keeps_one_more_unknown());
            }),
        }
        flight.settle(outcome);
    }

    /// Remembers a launch read from the log, unless its key is known already.
    pub fn warm(&self, launch: Claimed, sequence: u64) {
        self.shard(launch.key).warm(launch, sequence);
    }

    /// Forgets unknown outcomes that are older than their time.
    pub fn sweep(&self, now: Instant) {
        let ttl = Duration::from_millis(self.config.unknown_ttl_ms);
        let forgotten: usize = self.shards.iter().map(|shard| lock(shard).sweep(now, ttl)).sum();
        self.unknown.fetch_sub(forgotten, Relaxed);
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

    fn keeps_one_more_unknown(&self) -> bool {
        let more = |kept| (kept < self.config.unknown_entries).then_some(kept + 1);
        self.unknown.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    fn each(&self, launches: &[Claimed], act: impl Fn(&mut Shard, Claimed)) {
        if let [launch] = launches {
            return act(&mut self.shard(launch.key), *launch);
        }
        // One lock a shard instead of one a launch: between two locks the processor fetches no memory ahead.
        let mut by_shard: Vec<&Claimed> = launches.iter().collect();
        by_shard.sort_by_key(|launch| shard_of(launch.key));
        for together in by_shard.chunk_by(|left, right| shard_of(left.key) == shard_of(right.key)) {
            let Some(first) = together.first() else { continue };
            let mut shard = self.shard(first.key);
            together.iter().for_each(|launch| act(&mut shard, **launch));
        }
    }

    fn shard(&self, key: Digest) -> MutexGuard<'_, Shard> {
        lock(&self.shards[shard_of(key)])
    }
}

fn shard_of(key: Digest) -> usize {
    usize::from(key.0[15]) % SHARDS
}

/// A panic in a shard leaves it consistent enough for a courtesy.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "recent/tests.rs"]
mod tests;
