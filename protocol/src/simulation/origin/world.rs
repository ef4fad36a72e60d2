//! The world of one seed: what may happen.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    Checked, OriginSwitches,
    driver::{Moment, Query},
    logs::Logs,
    store::Store,
    violation,
    workers::{GENERATION, Worker},
};
use crate::{notice::Notice, position::Position};

/// Entries of one log.
const MAX_ENTRIES: usize = 40;
/// So many steps lead to the right log when nothing breaks any more.
const SETTLING_STEPS: usize = 5_000;
/// So many steps lie between two heartbeats then.
const HEARTBEAT_STEPS: usize = 150;

/// See [`super`].
pub(super) struct World {
    rng: StdRng,
    now_ms: u64,
    /// Counts what happens: two things happen in one millisecond.
    happening: u64,
    switches: OriginSwitches,
    logs: Logs,
    store: Store,
    /// Stores that others took the place of.
    put_away: Vec<Store>,
    workers: Vec<Worker>,
    starts: u64,
    query: Query,
    /// Positions that readers were given.
    told: Vec<Position>,
    trace: Option<Vec<String>>,
}

/// Something that the query does.
type Happening = fn(&mut Query, &mut StdRng, &Moment<'_>, &mut Vec<Position>) -> Checked;

impl World {
    pub(super) fn new(seed: u64, switches: OriginSwitches, is_traced: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let now_ms = 1_000_000;
        Self {
            now_ms,
            happening: 1,
            logs: Logs::new(&mut rng),
            store: Store::default(),
            put_away: Vec::new(),
            workers: Vec::new(),
            starts: 0,
            query: Query::start(switches, now_ms),
            told: Vec::new(),
            trace: is_traced.then(Vec::new),
            switches,
            rng,
        }
    }

    /// What happened, when it was recorded.
    pub(super) fn trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }

    fn tell(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.trace.is_some() {
            let line = format!("{:>8} {}", self.now_ms, what(self));
            self.trace.iter_mut().for_each(|trace| trace.push(line.clone()));
        }
    }

    /// The whole history of a seed.
    pub(super) fn run(&mut self) -> Checked {
        let steps = self.rng.random_range(100..600);
        for _ in 0..steps {
            self.happen()?;
        }
        self.settle()
    }

    fn pass(&mut self) {
        self.happening += 1;
        self.now_ms +=
            if self.rng.random_bool(0.02) { self.rng.random_range(0..7_000) } else { self.rng.random_range(0..150) };
    }

    fn happen(&mut self) -> Checked {
        self.pass();
        match self.rng.random_range(0..1_000) {
            0..90 => self.append(),
            90..96 => self.rename(),
            96..106 => self.logs.is_away = !self.logs.is_away,
            106..112 => self.restart_query(),
            112..124 if self.query.is_withheld() => self.repair(),
            124..140 => self.start_workers(),
            140..146 => self.crash_a_worker(),
            146..152 => self.speak_as_another(),
            152..158 => self.at_query(|query, _, moment, _| {
                query.lose_notices(moment);
                Ok(())
            })?,
            _ => self.go_on()?,
        }
        self.look()
    }

    /// Something that does no harm.
    fn go_on(&mut self) -> Checked {
        match self.rng.random_range(0..100) {
            0..15 => self.work(),
            15..20 => self.heartbeat(),
            20..26 => self.at_query(|query, _, moment, _| {
                query.ask_stream(moment);
                Ok(())
            }),
            26..40 => self.at_query(|query, rng, moment, _| {
                query.follow(rng, moment);
                Ok(())
            }),
            40..58 => self.at_query(|query, _, moment, _| {
                query.hear(moment);
                Ok(())
            }),
            58..78 => self.at_query(Query::read),
            _ => self.at_query(Query::go_on_with_a_fill),
        }
    }

    fn at_query(&mut self, does: Happening) -> Checked {
        let Self { rng, now_ms, happening, logs, store, query, told, .. } = self;
        does(query, rng, &Moment { now_ms: *now_ms, happening: *happening, store, logs }, told)
    }

    fn look(&mut self) -> Checked {
        self.at_query(|query, _, moment, _| query.check_service(moment))
    }

    fn append(&mut self) {
        if !self.logs.is_away && self.logs.present().entries.len() < MAX_ENTRIES {
            self.logs.append(&mut self.rng);
        }
    }

    fn rename(&mut self) {
        self.logs.rename(&mut self.rng);
        self.tell(|world| format!("the log is {} from here", world.logs.present().identity));
    }

    /// The instance stops, and another starts. The store may be another one then.
    fn restart_query(&mut self) {
        self.query = Query::start(self.switches, self.now_ms);
        self.tell(|_| "another query starts".to_owned());
        if self.rng.random_bool(0.4) {
            self.repair();
        }
    }

    /// An operator stops every worker and puts an empty store in place, or one that was put away before.
    fn repair(&mut self) {
        let holds_present = !self.store.holds_other_than(&self.logs.present().identity);
        if self.query.is_withheld() && holds_present {
            return;
        }
        self.workers.clear();
        // By then all that they said has arrived, while nothing was answered.
        self.query.inbox.clear();
        let is_old = !self.put_away.is_empty() && self.rng.random_bool(0.3);
        let other = if is_old {
            let index = self.rng.random_range(0..self.put_away.len());
            self.put_away.swap_remove(index)
        } else {
            Store::default()
        };
        let before = std::mem::replace(&mut self.store, other.put_in_place(self.happening));
        self.put_away.push(before);
        self.tell(|_| format!("another store is in place, {}", if is_old { "an old one" } else { "empty" }));
    }

    /// Somebody starts workers of the log, or of one from before: of all lanes, or of some.
    fn start_workers(&mut self) {
        let last = self.logs.last();
        let log = if self.rng.random_bool(0.2) { self.rng.random_range(0..=last) } else { last };
        // Two that find the store empty at the same time, with other lanes each, cannot be told apart.
        let partitions = |log: usize| self.logs.get(log).identity.partitions;
        if self.workers.iter().any(|worker| partitions(worker.log()) != partitions(log)) {
            return;
        }
        let share = if self.rng.random_bool(0.5) { 1.0 } else { 0.5 };
        self.start_workers_of(log, share);
    }

    fn start_workers_of(&mut self, log: usize, share: f64) {
        self.tell(|world| format!("workers of {} start", world.logs.get(log).identity));
        for lane in 0..self.logs.get(log).identity.partitions {
            if self.rng.random_bool(share) {
                self.starts += 1;
                let looks = self.switches.driver.workers_look_at_other_lanes;
                let (worker, notice) = Worker::start(self.starts, (log, lane), (&self.store, &self.logs), looks);
                self.workers.push(worker);
                self.publish(notice);
            }
        }
    }

    fn crash_a_worker(&mut self) {
        if !self.workers.is_empty() {
            let index = self.rng.random_range(0..self.workers.len());
            self.workers.swap_remove(index);
        }
    }

    fn work(&mut self) -> Checked {
        if self.workers.is_empty() {
            return Ok(());
        }
        let index = self.rng.random_range(0..self.workers.len());
        let Self { rng, store, logs, workers, happening, .. } = self;
        let notice = workers[index].work(rng, store, logs, *happening);
        notice.into_iter().for_each(|notice| self.publish(notice));
        Ok(())
    }

    fn heartbeat(&mut self) -> Checked {
        if !self.workers.is_empty() {
            let index = self.rng.random_range(0..self.workers.len());
            let notice = self.workers[index].heartbeat(&self.logs);
            self.publish(notice);
        }
        Ok(())
    }

    /// A worker that fills another projection, or one of another epoch.
    fn speak_as_another(&mut self) {
        let Some(worker) = self.workers.last() else { return };
        let notice = worker.heartbeat(&self.logs);
        let ahead = Notice { from: notice.to, to: notice.to + 5, end: notice.end + 5, ..notice };
        let other = if self.rng.random_bool(0.5) {
            Notice { generation: GENERATION + 1, ..ahead }
        } else {
            Notice { epoch: ahead.epoch + 1, ..ahead }
        };
        self.publish(other);
    }

    fn publish(&mut self, notice: Notice) {
        self.tell(|_| format!("a worker says {notice:?}"));
        self.query.inbox.push_back(notice);
    }

    /// All is well from now on: the log that there is must be served to its end.
    fn settle(&mut self) -> Checked {
        self.tell(|_| "all is well from here".to_owned());
        self.logs.is_away = false;
        self.workers.clear();
        for step in 0..SETTLING_STEPS {
            self.pass();
            self.settle_store(step);
            self.go_on()?;
            self.look()?;
            if self.is_settled() {
                return Ok(());
            }
        }
        violation(format!("the log is never served to its end: {:?}", self.query.shown))
    }

    /// The operator repairs a store of another log, which the query says, or a worker of the log that there is; then every
    /// service is stopped.
    fn settle_store(&mut self, step: usize) {
        let last = self.logs.last();
        let is_wrong = self.store.holds_other_than(&self.logs.present().identity);
        let is_refused = self.workers.iter().any(|worker| worker.log() == last && worker.has_refused());
        if is_wrong && (self.query.is_withheld() || is_refused) {
            if !self.query.is_withheld() {
                self.query = Query::start(self.switches, self.now_ms);
            }
            self.workers.clear();
            self.query.inbox.clear();
            self.store = Store::default().put_in_place(self.happening);
            self.tell(|_| "an empty store is in place".to_owned());
        }
        if self.workers.is_empty() {
            self.start_workers_of(last, 1.0);
        }
        if step.is_multiple_of(HEARTBEAT_STEPS) {
            let notices: Vec<Notice> = self.workers.iter().map(|worker| worker.heartbeat(&self.logs)).collect();
            notices.into_iter().for_each(|notice| self.publish(notice));
        }
    }

    fn is_settled(&self) -> bool {
        let Some(lanes) = self.query.present() else { return false };
        let is_at_end = |(lane, at): (u16, &crate::query::QueryLane<(), super::driver::Value>)| {
            at.stamp(self.now_ms).position == self.logs.end_of_lane(self.logs.last(), lane)
        };
        let is_present = lanes.log == self.logs.present().identity;
        is_present && self.query.inbox.is_empty() && (0..).zip(&lanes.lanes).all(is_at_end)
    }
}
