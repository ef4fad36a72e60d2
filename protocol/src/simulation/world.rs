//! The world of one seed: what may happen, and what is checked whenever it happens.

mod checks;
mod disasters;
#[cfg(test)]
mod tests;
mod vanishing;
mod workers;

use std::collections::{BTreeMap, BTreeSet};

use ledger::AccountKey;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    Switches, Violation,
    driver::Driver,
    log::Log,
    readers::{Moment, Query, Sent, Surroundings},
    store::{Put, SYNC_PERIOD_MS, SimulatedStore, StoreMode},
};
use crate::{
    notice::{Changed, Notice},
    parked::ParkedMessage,
    store_reading::buckets::{self, Sizes},
    worker::{Worker, WorkerConfig, config::Bounds},
};

/// See [`super`].
pub(crate) struct World {
    pub(crate) rng: StdRng,
    pub(crate) now_ms: u64,
    pub(crate) log: Log,
    pub(crate) store: SimulatedStore,
    switches: Switches,
    config: WorkerConfig,
    bounds: Bounds,
    parked: BTreeMap<(u16, u64), ParkedMessage>,
    /// Parked messages of messages that the log has lost since.
    parked_of_lost: BTreeSet<(u16, u64)>,
    pub(crate) drivers: Vec<Driver>,
    /// One query instance, lane by lane.
    queries: Vec<Query>,
    /// Writes that nobody waits for any more.
    late: Vec<Vec<Put>>,
    /// Lanes of which the store holds messages that the log has lost: all their workers must refuse.
    doomed: BTreeSet<u16>,
    /// Some workers may have read what the log has lost.
    has_lost_end: bool,
    store_crashes: u32,
    /// Whether a stored row may come to harm, and the accounts to which that happened.
    may_be_damaged: bool,
    /// No worker crashes any more.
    is_settling: bool,
    /// How much happens at the far end, compared with the workers.
    share_of_readers: f64,
    /// Until then readers come in a rush, and workers get on slowly.
    rush_until_ms: u64,
    /// Whether what a worker says while it replays is sometimes not heard.
    replays_unheard: bool,
    /// How many workers have started.
    starts: u64,
    damaged: BTreeSet<AccountKey>,
    /// The highest head or progress that ever landed, by lane.
    highest_claim: BTreeMap<usize, u64>,
    /// The highest head or progress that the store has forgotten, by lane.
    lost_claim: BTreeMap<usize, u64>,
    trace: Option<Vec<String>>,
}

type Checked = Result<(), Violation>;

/// Something that a query does.
type Happening = fn(&mut Query, &mut StdRng, &Moment<'_>) -> Checked;

impl World {
    pub(crate) fn new(seed: u64, switches: Switches, is_traced: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mode = if rng.random_bool(0.35) { StoreMode::Atomic } else { StoreMode::Stepwise };
        let log = Log::new(&mut rng);
        // A chunk has not more launches than a bucket.
        let chunk_facts = rng.random_range(1..5);
        let bounds = Bounds {
            batch_rows: rng.random_range(3..12),
            chunk_facts,
            chunk_bytes: rng.random_range(150..1_000),
            bucket_facts: rng.random_range(2..6).max(chunk_facts as u64),
            load_windows: rng.random_range(1..4),
        };
        let replays_unheard = mode == StoreMode::Stepwise && rng.random_bool(0.25);
        // Where memory is short each commit waits until the one before is safe, and that takes too long.
        let budgets: &[usize] = if replays_unheard { &[1_000_000] } else { &[1, 1, 4_000, 10_000, 20_000, 1_000_000] };
        let config = WorkerConfig {
            atomic_commits: mode == StoreMode::Atomic,
            checkpoint_lag_ms: CHECKPOINT_LAG_MS,
            read_ahead_bytes: rng.random_range(1..6_000),
            commit_launches: rng.random_range(1..20),
            commit_bytes: rng.random_range(1_000..10_000),
            memory_bytes: *super::log::pick(&mut rng, budgets),
        };
        // Mostly several; what a lone one has not repaired yet is seen by readers for longer.
        let workers = *super::log::pick(&mut rng, &[1, 2, 2, 3, 3]);
        let may_be_damaged = rng.random_bool(0.15);
        let share_of_readers = *super::log::pick(&mut rng, &[0.1, 0.2, 0.5]);
        let lanes = log.identity.partitions;
        let drivers = (0..lanes).flat_map(|lane| (0..workers).map(move |_| Driver::new(lane))).collect();
        let is_atomic = mode == StoreMode::Atomic;
        let query = |lane| Query::new(lane, is_atomic, switches.query, switches.reader, seed ^ u64::from(lane));
        let sizes = Sizes { bucket_facts: bounds.bucket_facts, chunk_facts, ..buckets::SIZES };
        let store = SimulatedStore::with_rules(mode, switches.store, sizes);
        Self {
            rng,
            now_ms: 1_000_000,
            log,
            store,
            switches,
            config,
            bounds,
            parked: BTreeMap::new(),
            parked_of_lost: BTreeSet::new(),
            drivers,
            queries: (0..lanes).map(query).collect(),
            late: Vec::new(),
            doomed: BTreeSet::new(),
            has_lost_end: false,
            store_crashes: 0,
            may_be_damaged,
            is_settling: false,
            share_of_readers,
            rush_until_ms: 0,
            replays_unheard,
            starts: 0,
            damaged: BTreeSet::new(),
            highest_claim: BTreeMap::new(),
            lost_claim: BTreeMap::new(),
            trace: is_traced.then(Vec::new),
        }
    }

    /// What happened, when it was recorded.
    pub(crate) fn trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }

    fn tell(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.trace.is_some() {
            let line = format!("{:>8} {}", self.now_ms, what(self));
            self.trace.iter_mut().for_each(|trace| trace.push(line.clone()));
        }
    }

    fn is_atomic(&self) -> bool {
        self.config.atomic_commits
    }

    /// The whole history of a seed.
    pub(crate) fn run(&mut self) -> Checked {
        let steps = self.rng.random_range(150..700);
        for _ in 0..steps {
            self.happen()?;
        }
        self.settle()
    }

    /// Something happens.
    fn happen(&mut self) -> Checked {
        self.now_ms +=
            if self.rng.random_bool(0.02) { self.rng.random_range(0..7_000) } else { self.rng.random_range(0..250) };
        match self.rng.random_range(0..1_000) {
            0..70 => self.append(),
            70..110 => self.land_late()?,
            110..128 => self.crash_worker(),
            128..142 => self.put_to_sleep(),
            142..148 => self.crash_store(),
            148..150 => self.lose_end(),
            150..172 => self.heartbeat(),
            172..176 => self.speak_as_another(),
            176..180 => self.damage_row(),
            180..183 if self.replays_unheard => self.replay_unheard()?,
            _ if self.readers_come_next() => self.step_query()?,
            _ => self.step_some_worker()?,
        }
        match self.store.broken() {
            Some(what) => Err(Violation(what.to_owned())),
            None => Ok(()),
        }
    }

    fn readers_come_next(&mut self) -> bool {
        let share = if self.now_ms < self.rush_until_ms { SHARE_IN_A_RUSH } else { self.share_of_readers };
        self.rng.random_bool(share)
    }

    fn append(&mut self) {
        if self.log.messages.len() < MAX_MESSAGES {
            self.log.append(&mut self.rng, self.now_ms);
            self.tell(|world| format!("append {}", world.log.end()));
        }
    }

    fn land_late(&mut self) -> Checked {
        if self.late.is_empty() {
            return Ok(());
        }
        let index = self.rng.random_range(0..self.late.len());
        let puts = self.late.swap_remove(index);
        if self.rng.random_bool(0.2) { Ok(()) } else { self.land(&puts) }
    }

    fn step_query(&mut self) -> Checked {
        let lane = self.rng.random_range(0..self.queries.len());
        self.step_query_of(lane)
    }

    fn step_query_of(&mut self, lane: usize) -> Checked {
        self.at_query(lane, Query::happen)
    }

    fn at_query(&mut self, lane: usize, does: Happening) -> Checked {
        let is_atomic = self.is_atomic();
        let Self { rng, now_ms, log, store, drivers, queries, damaged, lost_claim, .. } = self;
        let of_lane = || drivers.iter().filter(|driver| usize::from(driver.lane) == lane);
        let is_unknowing = |driver: &Driver| driver.worker.is_some() && driver.generations != store.generations();
        let surroundings = Surroundings {
            has_forgotten: self.store_crashes > 0 && !is_atomic,
            has_unknowing: of_lane().any(is_unknowing),
            is_doomed: self.doomed.iter().any(|doomed| usize::from(*doomed) == lane),
            damaged,
            lost_claim: lost_claim.get(&lane).copied().unwrap_or(0),
            bucket_facts: self.bounds.bucket_facts,
        };
        does(&mut queries[lane], rng, &Moment { now_ms: *now_ms, store, log, surroundings })
    }

    fn heartbeat(&mut self) {
        let index = self.rng.random_range(0..self.drivers.len());
        if self.drivers[index].asleep_until_ms <= self.now_ms {
            self.send_heartbeat(index);
        }
    }

    fn send_heartbeat(&mut self, index: usize) {
        if self.drivers[index].has_refused {
            self.send_refusal(index);
        } else if self.switches.driver.heartbeats {
            self.send_standing(index, true);
        }
    }

    /// Where a worker stands, and where the lane ends.
    fn send_standing(&mut self, index: usize, knows_end: bool) {
        let Driver { lane, worker: Some(worker), end_when_told, .. } = &mut self.drivers[index] else { return };
        *end_when_told = self.log.end_of_lane(*lane);
        if knows_end {
            worker.log_ends_at(*end_when_told);
        }
        let notice = worker.heartbeat();
        self.publish(index, notice);
    }

    /// Nothing may be told of the lane any more.
    fn send_refusal(&mut self, index: usize) {
        if self.switches.driver.refusals_are_told {
            let refusal = Notice { changed: Changed::Refused, ..self.empty_notice(self.drivers[index].lane, 0) };
            self.publish(index, refusal);
        }
    }

    fn empty_notice(&self, partition: u16, at: u64) -> Notice {
        Notice {
            log_is_whole: None,
            generation: 1,
            epoch: 1,
            incarnation: Some(self.log.identity.name().incarnation),
            partition,
            worker: None,
            from: at,
            to: at,
            time_ms: 0,
            end: at,
            replaying: false,
            changed: Changed::Accounts(Vec::new()),
            stopped: Vec::new(),
        }
    }

    fn publish(&mut self, index: usize, notice: Notice) {
        let Driver { end_when_told, generations, .. } = self.drivers[index];
        self.tell(|_| format!("worker {index} says {notice:?}"));
        let sent = Sent { notice, end_when_told, generations };
        self.queries[usize::from(sent.notice.partition)].send(index, sent, self.now_ms);
    }

    /// A worker of another generation or of another epoch, which is somewhere else altogether.
    fn speak_as_another(&mut self) {
        let lane = self.rng.random_range(0..self.log.identity.partitions);
        let at = self.log.end_of_lane(lane) + self.rng.random_range(0..3);
        let mut notice = self.empty_notice(lane, at);
        if self.rng.random_bool(0.5) {
            notice.generation = 2
        } else {
            notice.epoch = 2
        }
        let sent = Sent { notice, end_when_told: at, generations: self.store.generations() };
        self.queries[usize::from(lane)].send(self.drivers.len(), sent, self.now_ms);
    }

    /// A batch lands in the store: every row must be what the fold says.
    fn land(&mut self, puts: &[Put]) -> Checked {
        self.tell(|_| format!("lands: {}", puts.iter().map(brief).collect::<Vec<_>>().join(", ")));
        let before = self.progress_of_lanes();
        self.store.apply(puts, self.now_ms);
        self.note_lies(&before);
        if !self.doomed.is_empty() {
            return Ok(());
        }
        for put in puts {
            self.note_claim(put);
            self.check_put(put)?;
            self.check_view(put)?;
        }
        Ok(())
    }

    /// All is well from now on: every lane must come to its end, and everything must be there.
    fn settle(&mut self) -> Checked {
        self.tell(|_| "all is well from here".to_owned());
        self.is_settling = true;
        self.queries.iter_mut().for_each(|query| query.mute_until(0));
        for puts in std::mem::take(&mut self.late) {
            if self.rng.random_bool(0.5) {
                self.land(&puts)?;
            }
        }
        for index in 0..self.drivers.len() {
            self.drivers[index].asleep_until_ms = 0;
        }
        for _ in 0..SETTLING_STEPS {
            if self.is_settled() {
                return self.check_end();
            }
            self.now_ms += self.rng.random_range(0..250);
            self.step_some_worker()?;
            if self.rng.random_bool(0.05) {
                self.land_late()?;
            }
            if let Some(what) = self.store.broken() {
                return Err(Violation(what.to_owned()));
            }
        }
        Err(Violation("the lanes do not come to their end".to_owned()))
    }

    /// Every worker is at the end and knows the store, or has refused.
    fn is_settled(&self) -> bool {
        let is_done = |driver: &Driver| {
            let at_end = |worker: &Worker| worker.committed_sequence() == self.log.end_of_lane(driver.lane);
            let knows_the_store = driver.generations == self.store.generations();
            driver.has_refused
                || (knows_the_store && !driver.is_disconnected && driver.worker.as_ref().is_some_and(at_end))
        };
        self.drivers.iter().all(is_done)
    }
}

fn brief(put: &Put) -> String {
    match put {
        Put::Journal(chunk) => format!("journal {:?} {:?}..{:?}", chunk.window, chunk.first(), chunk.last()),
        Put::Balances(batch) => format!("balances {:?} at {} {:?}", batch.key, batch.applied, batch.rows),
        Put::Rollups(lane, batch) => format!("rollups {:?} of {lane} at {}", batch.tenant, batch.applied),
        other => format!("{other:?}"),
    }
}

/// Twice the sync period.
const CHECKPOINT_LAG_MS: u64 = 2 * SYNC_PERIOD_MS;
/// How much happens at the far end while readers come in a rush.
const SHARE_IN_A_RUSH: f64 = 0.9;
/// Messages of one history.
const MAX_MESSAGES: usize = 40;
/// So many steps lead every lane to its end when nothing breaks any more.
const SETTLING_STEPS: usize = 20_000;
