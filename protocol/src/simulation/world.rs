//! The world of one seed: what may happen, and what is checked whenever it happens.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{BusinessDate, Grain};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    Switches, Violation,
    driver::{Driver, Sending, Sent},
    log::Log,
    store::{NODES, Put, SimulatedStore, StoreMode},
};
use crate::{
    lane::partition_of,
    load::{LoadRequest, Loaded},
    log::LogMessage,
    notice::Notice,
    parked::ParkedMessage,
    worker::{Step, Worker, WorkerConfig, config::Bounds},
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
    pub(crate) drivers: Vec<Driver>,
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
            drivers,
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
        self.now_ms += if self.rng.random_bool(0.02) { self.rng.random_range(0..7_000) } else { self.rng.random_range(0..250) };
        match self.rng.random_range(0..1_000) {
            0..70 => self.append(),
            70..110 => self.land_late()?,
            110..128 => self.crash_worker(),
            128..142 => self.put_to_sleep(),
            142..148 => self.crash_store(),
            148..150 => self.lose_end(),
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

    fn crash_worker(&mut self) {
        let index = self.rng.random_range(0..self.drivers.len());
        self.tell(|_| format!("worker {index} crashes"));
        self.drop_worker(index);
    }

    fn drop_worker(&mut self, index: usize) {
        let under_way = self.drivers[index].crash();
        for puts in under_way {
            if !self.is_atomic() && self.rng.random_bool(0.4) {
                self.late.push(puts);
            }
        }
    }

    /// One worker, or all of them, as when a machine is paused; perhaps right after the store's nodes have answered, and
    /// perhaps a node crashes meanwhile.
    fn put_to_sleep(&mut self) {
        let is_long = self.rng.random_bool(0.5);
        let for_ms = if is_long { self.rng.random_range(11_000..60_000) } else { self.rng.random_range(500..9_000) };
        let all = self.rng.random_bool(0.2);
        let one = self.rng.random_range(0..self.drivers.len());
        let sleepers = if all { 0..self.drivers.len() } else { one..one + 1 };
        self.tell(|_| format!("workers {sleepers:?} sleep for {for_ms} ms"));
        for index in sleepers {
            self.drivers[index].asleep_until_ms = self.now_ms + for_ms;
            if self.rng.random_bool(0.5) {
                self.drivers[index].answer = Some(self.store.generations());
            }
        }
        if self.rng.random_bool(0.25) {
            self.crash_store();
        }
        if all {
            self.now_ms += for_ms;
        }
    }

    /// A node crashes and forgets; or the atomic store is reopened at an older state, which no worker survives.
    fn crash_store(&mut self) {
        // Nor is a store that forgets what it was filled from, after the log has forgotten it, too.
        if !self.doomed.is_empty() {
            return;
        }
        let node = self.rng.random_range(0..NODES);
        let cut_ms = self.now_ms - self.rng.random_range(0..=super::store::SYNC_PERIOD_MS);
        self.tell(|_| format!("node {node} crashes and loses what came after {cut_ms}"));
        self.store.crash(node, cut_ms, self.now_ms);
        self.store_crashes += 1;
        if self.is_atomic() {
            (0..self.drivers.len()).for_each(|index| self.drop_worker(index));
        }
    }

    /// The log loses its end, and all readers their connection; the store keeps what it has.
    fn lose_end(&mut self) {
        let highest = |lane| self.store.current().highest(lane, self.log.identity.partitions);
        let highest: Vec<(u64, u64)> = (0..self.log.identity.partitions).map(highest).collect();
        // A store that crashed may have lost a head and taken rows since. Two disasters at once are not survived.
        let ever = |lane: usize| self.highest_claim.get(&lane).copied().unwrap_or(0);
        let has_lost_head = highest.iter().enumerate().any(|(lane, (claimed, rows))| rows > claimed && ever(lane) > *claimed);
        if self.log.end() < 5 || self.has_lost_end || has_lost_head {
            return;
        }
        let highest_row = highest.iter().map(|(_, rows)| *rows).max().unwrap_or(0);
        let is_aimed = highest_row > 0 && self.rng.random_bool(0.5);
        let last = if is_aimed { highest_row - 1 } else { self.log.end() - self.rng.random_range(1..5) };
        self.has_lost_end = true;
        for index in 0..self.drivers.len() {
            // Who has a commit under way may have written rows that are not seen here.
            if self.drivers[index].sending.is_some() {
                self.drop_worker(index);
            }
            self.drivers[index].is_disconnected = true;
        }
        self.late.clear();
        let is_doomed = |(_, (claimed, rows)): &(u16, &(u64, u64))| *claimed.max(rows) > last;
        self.doomed = (0..).zip(&highest).filter(is_doomed).map(|(lane, _)| lane).collect();
        self.log.lose_end(last);
        self.tell(|world| format!("the log loses all above {last}, doomed: {:?}", world.doomed));
    }

    fn step_some_worker(&mut self) -> Checked {
        let index = self.rng.random_range(0..self.drivers.len());
        if self.drivers[index].asleep_until_ms > self.now_ms || self.drivers[index].has_refused {
            return Ok(());
        }
        self.step_worker(index)
    }

    fn step_worker(&mut self, index: usize) -> Checked {
        if self.drivers[index].worker.is_none() {
            return self.start_worker(index);
        }
        if std::mem::take(&mut self.drivers[index].is_disconnected) {
            return self.verify(index);
        }
        if self.hears_of_loss(index) {
            self.tell(|_| format!("worker {index} hears that the store lost rows"));
            self.drop_worker(index);
            return Ok(());
        }
        // What the nodes answered is looked at before anything else: only a worker that sleeps takes long to do so.
        if self.drivers[index].answer.is_some() {
            self.hear_nodes(index);
            return Ok(());
        }
        match self.rng.random_range(0..100) {
            0..40 => self.read(index),
            40..50 => self.drivers[index].answer = Some(self.store.generations()),
            _ => return self.advance(index),
        }
        Ok(())
    }

    fn start_worker(&mut self, index: usize) -> Checked {
        let lane = self.drivers[index].lane;
        self.drivers[index].generations = self.store.generations();
        let state = self.store.partition_state(lane);
        self.tell(|_| format!("worker {index} starts from {state:?}"));
        let identity = self.log.identity.clone();
        match Worker::start(self.config.clone(), identity, lane, 1, &state, self.now_ms) {
            Ok(worker) => {
                let worker = worker.with_rules(self.bounds, self.switches.worker);
                self.drivers[index].worker = Some(worker);
                self.verify(index)
            }
            Err(refusal) => Err(Violation(format!("worker {index} refuses to start: {refusal}"))),
        }
    }

    /// The reader is created: does the log agree with what is remembered of it?
    fn verify(&mut self, index: usize) -> Checked {
        let stored = self.store.partition_state(self.drivers[index].lane);
        let Some(worker) = self.drivers[index].worker.as_mut() else { return Ok(()) };
        let get = |mark: &crate::log::LogMark| self.log.get(mark.sequence).cloned();
        let verified = worker.store_says(&stored).and_then(|()| {
            let found: Vec<Option<LogMessage>> = worker.marks_to_verify().iter().map(get).collect();
            worker.verify(&found)
        });
        match verified {
            Ok(()) if self.doomed.contains(&self.drivers[index].lane) => {
                let what = "goes on although the log has lost what the store was filled from";
                Err(Violation(format!("worker {index} {what}")))
            }
            Ok(()) => Ok(()),
            Err(refusal) if refusal.restart_helps() && self.has_lost_end => {
                self.tell(|_| format!("worker {index}: {refusal}"));
                self.drop_worker(index);
                Ok(())
            }
            Err(_) if self.doomed.contains(&self.drivers[index].lane) => {
                self.drop_worker(index);
                self.drivers[index].has_refused = true;
                Ok(())
            }
            Err(refusal) => Err(Violation(format!("worker {index} refuses: {refusal}"))),
        }
    }

    /// A lost connection, a down event, an answer with another generation: sooner or later a worker hears of it.
    fn hears_of_loss(&mut self, index: usize) -> bool {
        let is_lost = self.drivers[index].generations != self.store.generations();
        is_lost && self.switches.driver.store_loss_is_a_crash && self.rng.random_bool(0.03)
    }

    fn read(&mut self, index: usize) {
        let Driver { lane, worker: Some(worker), .. } = &mut self.drivers[index] else { return };
        if worker.has_room()
            && let Some(message) = self.log.read(*lane, worker.read_from())
        {
            worker.offer(message.parsed.clone());
        }
    }

    /// Looks at what the nodes answered when they were asked for their generations.
    fn hear_nodes(&mut self, index: usize) {
        let driver = &mut self.drivers[index];
        let is_unchanged = driver.answer.take() == Some(driver.generations);
        if !is_unchanged && self.switches.driver.store_loss_is_a_crash {
            self.tell(|_| format!("worker {index} sees another generation"));
            self.drop_worker(index);
        } else if let Some(worker) = &mut driver.worker {
            worker.store_unchanged(self.now_ms);
        }
    }

    fn advance(&mut self, index: usize) -> Checked {
        let Some(worker) = self.drivers[index].worker.as_mut() else { return Ok(()) };
        match worker.next(self.now_ms) {
            Step::Wait => Ok(()),
            Step::Load(request) => {
                self.load(index, &request);
                Ok(())
            }
            Step::Park(parked) => {
                self.park(index, &parked);
                Ok(())
            }
            Step::Commit(commit) => {
                let steps = || Sending::new(self.store.commit_steps(&commit));
                let sending = self.drivers[index].sending.take().unwrap_or_else(steps);
                self.send(index, sending)
            }
            Step::WriteCheckpoint(mark) => self.write_checkpoint(index, mark),
            Step::Notify(notice) => self.notify(index, &notice),
            Step::Restart(reason) => {
                self.tell(|_| format!("worker {index} restarts: {reason}"));
                self.drop_worker(index);
                Ok(())
            }
            Step::Refuse(refusal) => Err(Violation(format!("worker {index} refuses: {refusal}"))),
        }
    }

    /// Rows first; the journals after them, perhaps much later.
    fn load(&mut self, index: usize, request: &LoadRequest) {
        let lane = self.drivers[index].lane;
        let rows = match self.drivers[index].loading.take() {
            None if self.is_atomic() => self.store.load_rows(lane, request),
            None => {
                self.drivers[index].loading = Some(self.store.load_rows(lane, request));
                return;
            }
            Some(rows) => rows,
        };
        let windows = self.store.load_windows(request);
        if let Some(worker) = &mut self.drivers[index].worker {
            worker.loaded(Loaded { windows, ..rows });
        }
    }

    /// The parked stream takes one message for each log message and refuses others; it may die in between.
    fn park(&mut self, index: usize, parked: &[ParkedMessage]) {
        for message in parked {
            if self.rng.random_bool(0.05) {
                return;
            }
            self.parked.entry((message.partition, message.sequence)).or_insert_with(|| message.clone());
        }
        if let Some(worker) = &mut self.drivers[index].worker {
            worker.parked();
        }
    }

    fn send(&mut self, index: usize, mut sending: Sending) -> Checked {
        match sending.send(&mut self.rng, self.config.atomic_commits) {
            Sent::Done => {
                if let Some(worker) = &mut self.drivers[index].worker {
                    worker.committed(self.now_ms);
                    let sequence = worker.committed_sequence();
                    self.tell(|_| format!("worker {index} has committed {sequence}"));
                }
                return Ok(());
            }
            Sent::Landed(puts) | Sent::Unheard(puts) => {
                self.land(&puts)?;
                self.check_claim(index, &puts)?;
            }
            Sent::Late(puts) => {
                if self.rng.random_bool(0.5) {
                    self.store.apply_half(&puts);
                }
                self.late.push(puts);
            }
            Sent::Lost => {}
        }
        self.drivers[index].sending = Some(sending);
        Ok(())
    }

    fn write_checkpoint(&mut self, index: usize, mark: crate::log::LogMark) -> Checked {
        let put = Put::Checkpoint(self.drivers[index].lane, mark);
        if self.rng.random_bool(0.2) {
            self.late.push(vec![put]);
            return Ok(());
        }
        self.land(&[put])?;
        if let Some(worker) = &mut self.drivers[index].worker {
            worker.checkpoint_written();
        }
        Ok(())
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

    fn note_claim(&mut self, put: &Put) {
        let (lane, sequence) = match put {
            Put::Head(lane, mark) => (lane, mark.sequence),
            Put::Progress(lane, progress) => (lane, progress.sequence),
            _ => return,
        };
        let highest = self.highest_claim.entry(usize::from(*lane)).or_default();
        *highest = sequence.max(*highest);
    }

    /// Whoever reads progress may believe it, as long as its writer knows the store's state.
    fn check_claim(&self, index: usize, puts: &[Put]) -> Checked {
        let knows_the_store = self.drivers[index].generations == self.store.generations();
        for put in puts {
            if let Put::Progress(lane, progress) = put
                && knows_the_store
                && self.doomed.is_empty()
            {
                self.check_complete(self.store.current(), *lane, progress.sequence)?;
            }
        }
        Ok(())
    }

    /// An account's rows, read at one moment, are the fold of the log up to their static `applied`, all together. (Where a
    /// node has crashed this holds again when every worker has heard of it.)
    fn check_view(&self, put: &Put) -> Checked {
        let Put::Balances(batch) = put else { return Ok(()) };
        if self.store_crashes > 0 && !self.is_atomic() {
            return Ok(());
        }
        let lane = partition_of(&batch.key, self.log.identity.partitions);
        let whole = Grain::ALL.map(|grain| (grain, BusinessDate::MIN, BusinessDate::MAX));
        let (applied, rows) = self.store.account_view(&batch.key, &whole);
        let rows: BTreeMap<_, _> = rows.into_iter().map(|(key, balance)| (key, balance.totals)).collect();
        let expected = self.log.truths[usize::from(lane)].account_rows(&batch.key, applied.unwrap_or(0));
        if rows == expected {
            return Ok(());
        }
        Err(Violation(format!("{:?} at {applied:?} is {rows:?}, the fold says {expected:?}", batch.key)))
    }

    fn check_put(&self, put: &Put) -> Checked {
        match put {
            Put::Progress(lane, progress) => self.check_parked(*lane, progress.sequence),
            Put::Checkpoint(lane, mark) => {
                let tables = if self.is_atomic() { self.store.current() } else { self.store.durable() };
                self.check_complete(tables, *lane, mark.sequence)
                    .map_err(|Violation(what)| Violation(format!("checkpoint {} is not safe: {what}", mark.sequence)))
            }
            Put::Journal(_) | Put::Balances(_) | Put::Rollups(..) | Put::Account(_) | Put::Head(..) => {
                let fits = |truth: &super::truth::Truth| truth.check_put(put);
                let errors: Vec<String> = self.log.truths.iter().filter_map(|truth| fits(truth).err()).collect();
                if errors.len() < self.log.truths.len() { Ok(()) } else { Err(Violation(errors.join("; "))) }
            }
        }
    }

    fn check_complete(&self, tables: &super::tables::Tables, lane: u16, upto: u64) -> Checked {
        let truth = &self.log.truths[usize::from(lane)];
        truth.check_complete(tables, upto, self.bounds.bucket_facts).map_err(Violation)
    }

    fn check_parked(&self, lane: u16, upto: u64) -> Checked {
        for (sequence, lines) in self.log.truths[usize::from(lane)].bad.range(..=upto) {
            let parked = self.parked.get(&(lane, *sequence));
            let parked: Vec<u32> = parked.into_iter().flat_map(|parked| &parked.lines).map(|line| line.line).collect();
            if parked != *lines {
                return Err(Violation(format!("lines {lines:?} of {sequence} are bad, parked are {parked:?}")));
            }
        }
        Ok(())
    }

    /// A notice claims that everything up to its end can be read.
    fn notify(&mut self, index: usize, notice: &Notice) -> Checked {
        if !self.doomed.is_empty() {
            return Ok(());
        }
        if !notice.stopped.is_empty() {
            return Err(Violation(format!("worker {index} has stopped {:?}", notice.stopped)));
        }
        let lane = notice.partition;
        self.log.truths[usize::from(lane)].check_notice(notice).map_err(Violation)?;
        let knows_the_store = self.drivers[index].generations == self.store.generations();
        if knows_the_store { self.check_complete(self.store.current(), lane, notice.to) } else { Ok(()) }
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

    fn check_end(&self) -> Checked {
        if !self.doomed.is_empty() {
            return Ok(());
        }
        for lane in 0..self.log.identity.partitions {
            let end = self.log.end_of_lane(lane);
            self.check_complete(self.store.current(), lane, end)?;
            self.check_parked(lane, end)?;
            let progress = self.store.partition_state(lane).progress.map_or(0, |progress| progress.sequence);
            if progress != end {
                return Err(Violation(format!("lane {lane} ends at {end}, its progress is {progress}")));
            }
        }
        self.check_rows_at_end()
    }

    /// Not a row more than the fold has, and each as the fold has it.
    fn check_rows_at_end(&self) -> Checked {
        let tables = self.store.current();
        let balances = tables.balances.iter().map(|(key, owner)| Put::Balances(crate::commit::AccountBatch {
            key: key.clone(),
            applied: owner.applied,
            rows: owner.rows.iter().map(|(key, balance)| (*key, *balance)).collect(),
        }));
        let rollups = tables.rollups.iter().map(|((tenant, lane), owner)| {
            let rows = owner.rows.iter().map(|(key, balance)| (*key, *balance)).collect();
            Put::Rollups(*lane, crate::commit::RollupBatch { tenant: tenant.clone(), applied: owner.applied, rows })
        });
        balances.chain(rollups).try_for_each(|put| self.check_put(&put))
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
const CHECKPOINT_LAG_MS: u64 = 2 * super::store::SYNC_PERIOD_MS;
/// Messages of one history.
const MAX_MESSAGES: usize = 40;
/// So many steps lead every lane to its end when nothing breaks any more.
const SETTLING_STEPS: usize = 20_000;
