//! The world of one seed: what may happen, and what is checked whenever it happens.

mod checks;
mod disasters;
mod workers;

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    Switches, Violation,
    driver::Driver,
    log::Log,
    readers::Query,
    store::{Put, SYNC_PERIOD_MS, SimulatedStore, StoreMode},
};
use crate::{
    parked::ParkedMessage,
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
    /// The highest head or progress that ever landed, by lane.
    highest_claim: BTreeMap<usize, u64>,
    trace: Option<Vec<String>>,
}

type Checked = Result<(), Violation>;

impl World {
    pub(crate) fn new(seed: u64, switches: Switches, is_traced: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mode = if rng.random_bool(0.35) { StoreMode::Atomic } else { StoreMode::Stepwise };
        let log = Log::new(&mut rng);
        let bounds = Bounds {
            batch_rows: rng.random_range(3..12),
            chunk_facts: rng.random_range(1..5),
            chunk_bytes: rng.random_range(150..1_000),
            bucket_facts: rng.random_range(2..6),
            load_windows: rng.random_range(1..4),
        };
        let config = WorkerConfig {
            atomic_commits: mode == StoreMode::Atomic,
            checkpoint_lag_ms: CHECKPOINT_LAG_MS,
            read_ahead_bytes: rng.random_range(1..6_000),
            commit_launches: rng.random_range(1..20),
            commit_bytes: rng.random_range(1_000..10_000),
            memory_bytes: *super::log::pick(&mut rng, &[1, 1, 4_000, 10_000, 1_000_000]),
        };
        let workers = rng.random_range(2..=3);
        let lanes = log.identity.partitions;
        let drivers = (0..lanes).flat_map(|lane| (0..workers).map(move |_| Driver::new(lane))).collect();
        let store = SimulatedStore::with_rules(mode, switches.store, bounds.bucket_facts);
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
            queries: (0..lanes).map(Query::new).collect(),
            late: Vec::new(),
            doomed: BTreeSet::new(),
            has_lost_end: false,
            store_crashes: 0,
            highest_claim: BTreeMap::new(),
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
            150..260 => self.step_query()?,
            260..280 => self.heartbeat(),
            _ => self.step_some_worker()?,
        }
        match self.store.broken() {
            Some(what) => Err(Violation(what.to_owned())),
            None => Ok(()),
        }
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

    /// Readers are looked at as long as what they are told can be right: where nodes of a store have forgotten rows and not
    /// every worker has heard of it, or the log has lost its end, it cannot.
    fn step_query(&mut self) -> Checked {
        let lane = self.rng.random_range(0..self.queries.len());
        if self.has_lost_end || (self.store_crashes > 0 && !self.is_atomic()) {
            return Ok(());
        }
        self.queries[lane].happen(&mut self.rng, self.now_ms, &self.store, &self.log.truths[lane])
    }

    fn heartbeat(&mut self) {
        let index = self.rng.random_range(0..self.drivers.len());
        let Driver { lane, worker: Some(worker), asleep_until_ms, .. } = &mut self.drivers[index] else { return };
        if *asleep_until_ms <= self.now_ms {
            worker.log_ends_at(self.log.end_of_lane(*lane));
            self.queries[usize::from(*lane)].send(index, worker.heartbeat());
        }
    }

    /// A batch lands in the store: every row must be what the fold says.
    fn land(&mut self, puts: &[Put]) -> Checked {
        self.tell(|_| format!("lands: {}", puts.iter().map(brief).collect::<Vec<_>>().join(", ")));
        self.store.apply(puts, self.now_ms);
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
            driver.has_refused || (knows_the_store && driver.worker.as_ref().is_some_and(at_end))
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
/// Messages of one history.
const MAX_MESSAGES: usize = 40;
/// So many steps lead every lane to its end when nothing breaks any more.
const SETTLING_STEPS: usize = 20_000;
