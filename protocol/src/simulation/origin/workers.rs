//! Workers that fill the store, each from the log that there was when it started.

use rand::{RngExt, rngs::StdRng};

use super::{
    logs::{Entry, Logs},
    store::Store,
};
use crate::{
    commit::Progress,
    notice::{Changed, ChangedAccount, Notice},
    query::StoreScan,
    worker::check_other_lane,
};

/// Messages of a commit.
const MOST_OF_A_COMMIT: usize = 3;
pub(super) const GENERATION: u32 = 1;

#[derive(Clone, Debug)]
pub(super) struct Worker {
    /// Drawn anew at each start.
    number: u64,
    log: usize,
    lane: u16,
    position: u64,
    time_ms: i64,
    has_refused: bool,
}

impl Worker {
    /// Starts, and says where it stands.
    pub(super) fn start(
        number: u64,
        (log, lane): (usize, u16),
        (store, logs): (&Store, &Logs),
        looks_at_other_lanes: bool,
    ) -> (Self, Notice) {
        let mut worker = Self { number, log, lane, position: 0, time_ms: 0, has_refused: false };
        if looks_at_other_lanes && store.progress(lane).is_none() {
            worker.has_refused = worker.has_other_lanes(store, logs);
        }
        if worker.belongs(store, logs) {
            let progress = store.progress(lane);
            worker.position = progress.map_or(0, |progress| progress.sequence);
            worker.time_ms = progress.map_or(0, |progress| progress.time_ms);
        }
        let notice = worker.heartbeat(logs);
        (worker, notice)
    }

    /// Which log it works for.
    pub(super) fn log(&self) -> usize {
        self.log
    }

    pub(super) fn has_refused(&self) -> bool {
        self.has_refused
    }

    /// Whether the store was filled from a log with another number of lanes.
    fn has_other_lanes(&self, store: &Store, logs: &Logs) -> bool {
        let identity = &logs.get(self.log).identity;
        let mut scan = StoreScan::default();
        while let Some(lane) = scan.next() {
            let progress = store.progress(lane);
            if check_other_lane(identity, lane, progress).is_err() {
                return true;
            }
            scan.found(progress);
        }
        false
    }

    /// Whether log and store belong together; it refuses if not.
    fn belongs(&mut self, store: &Store, logs: &Logs) -> bool {
        let identity = &logs.get(self.log).identity;
        self.has_refused |= store.progress(self.lane).is_some_and(|progress| progress.identity != *identity);
        !self.has_refused
    }

    /// Commits some of what follows.
    pub(super) fn work(&mut self, rng: &mut StdRng, store: &mut Store, logs: &Logs, happening: u64) -> Option<Notice> {
        if !self.belongs(store, logs) {
            return Some(self.heartbeat(logs));
        }
        // Another worker of the lane may have been faster.
        let stored = store.progress(self.lane).map_or(0, |progress| progress.sequence);
        let from = self.position;
        let count = rng.random_range(1..=MOST_OF_A_COMMIT);
        let next: Vec<(u64, Entry)> = logs.behind(self.log, self.lane, from).take(count).collect();
        let to = next.last()?.0;
        (self.position, self.time_ms) = (to, time_ms(to));
        let unwritten: Vec<Entry> = next.iter().filter(|(at, _)| *at > stored).map(|(_, entry)| *entry).collect();
        if to > stored {
            let identity = logs.get(self.log).identity.clone();
            let progress = Progress { sequence: to, time_ms: time_ms(to), identity };
            store.commit(self.lane, progress, &unwritten, happening);
        }
        let changed = next.iter().map(|(_, entry)| changed(logs, entry.account)).collect();
        Some(Notice { from, changed: Changed::Accounts(changed), ..self.heartbeat(logs) })
    }

    pub(super) fn heartbeat(&self, logs: &Logs) -> Notice {
        let identity = &logs.get(self.log).identity;
        let nothing = Changed::Accounts(Vec::new());
        Notice {
            log_is_whole: None,
            generation: GENERATION,
            epoch: identity.epoch,
            incarnation: Some(identity.name().incarnation),
            partition: self.lane,
            worker: (!self.has_refused).then_some(self.number),
            from: self.position,
            to: self.position,
            time_ms: self.time_ms,
            end: logs.end_of_lane(self.log, self.lane),
            replaying: false,
            changed: if self.has_refused { Changed::Refused } else { nothing },
            stopped: Vec::new(),
        }
    }
}

fn changed(logs: &Logs, account: usize) -> ChangedAccount {
    let key = logs.accounts()[account].clone();
    ChangedAccount { tenant: key.tenant, account: key.account, date: ledger::BusinessDate::MIN }
}

/// The log's time of a message.
fn time_ms(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}
