//! What breaks.

use rand::RngExt;

use super::World;
use crate::simulation::{
    readers::Query,
    store::{NODES, SYNC_PERIOD_MS},
};

impl World {
    pub(super) fn crash_worker(&mut self) {
        let index = self.rng.random_range(0..self.drivers.len());
        self.tell(|_| format!("worker {index} crashes"));
        self.drop_worker(index);
    }

    /// Perhaps right after the store's nodes have answered, and perhaps a node crashes meanwhile.
    pub(super) fn put_to_sleep(&mut self) {
        let is_long = self.rng.random_bool(0.5);
        let for_ms = if is_long { self.rng.random_range(11_000..60_000) } else { self.rng.random_range(500..9_000) };
        let index = self.rng.random_range(0..self.drivers.len());
        self.tell(|_| format!("worker {index} sleeps for {for_ms} ms"));
        self.drivers[index].asleep_until_ms = self.now_ms + for_ms;
        if self.rng.random_bool(0.5) {
            self.drivers[index].answer = Some(self.store.generations());
        }
        if self.rng.random_bool(0.25) {
            self.crash_store();
        }
    }

    /// All workers sleep, a moment after the store's nodes have answered; and one of these crashes meanwhile.
    pub(super) fn pause_machine(&mut self) {
        for driver in &mut self.drivers {
            driver.answer = Some(self.store.generations());
        }
        self.crash_store();
        let for_ms = self.rng.random_range(5_000..60_000);
        self.tell(|_| format!("all workers sleep for {for_ms} ms"));
        self.now_ms += for_ms;
    }

    /// What a lane's workers say is lost for a while between two servers of NATS, and nobody hears of it.
    pub(super) fn mute(&mut self, lane: usize) {
        let for_ms = self.rng.random_range(500..10_000);
        self.tell(|_| format!("nothing is heard of lane {lane} for {for_ms} ms"));
        self.queries[lane].mute_until(self.now_ms + for_ms);
    }

    /// A node crashes and forgets; or the atomic store is reopened at an older state, which no worker survives.
    pub(super) fn crash_store(&mut self) {
        let node = self.rng.random_range(0..NODES);
        let cut_ms = self.now_ms - self.rng.random_range(0..=SYNC_PERIOD_MS);
        self.crash_node(node, cut_ms);
    }

    /// The node loses what came after, but nothing that was synced.
    pub(super) fn crash_node(&mut self, node: usize, cut_ms: u64) {
        // Nor is a store that forgets what it was filled from, after the log has forgotten it, too.
        if !self.doomed.is_empty() {
            return;
        }
        self.tell(|_| format!("node {node} crashes and loses what came after {cut_ms}"));
        self.store.crash(node, cut_ms, self.now_ms);
        self.store_crashes += 1;
        if self.is_atomic() {
            (0..self.drivers.len()).for_each(|index| self.drop_worker(index));
            self.queries.iter_mut().for_each(|query| query.store_lost(self.now_ms, &self.store));
        } else {
            self.note_lost_claims();
            self.queries.iter_mut().for_each(Query::rows_forgotten);
        }
    }

    /// Heads and progress may be forgotten, too: then the store does not say up to where there may be rows.
    fn note_lost_claims(&mut self) {
        for (lane, highest) in &self.highest_claim {
            let lane_number = u16::try_from(*lane).unwrap_or(0);
            let (claimed, _) = self.store.current().highest(lane_number, self.log.identity.partitions);
            if claimed < *highest {
                self.lost_claim.insert(*lane, *highest);
            }
        }
    }

    /// The log loses its end, and all readers their connection; the store keeps what it has.
    pub(super) fn lose_end(&mut self) {
        let highest = |lane| self.store.highest_seen(lane, self.log.identity.partitions);
        let highest: Vec<(u64, u64)> = (0..self.log.identity.partitions).map(highest).collect();
        // A store that crashed may have lost a head and taken rows since. Two disasters at once are not survived.
        let ever = |lane: usize| self.highest_claim.get(&lane).copied().unwrap_or(0);
        let has_lost_head =
            highest.iter().enumerate().any(|(lane, (claimed, rows))| rows > claimed && ever(lane) > *claimed);
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
        self.store.forget_what_is_kept();
        let is_doomed = |(_, (claimed, rows)): &(u16, &(u64, u64))| *claimed.max(rows) > last;
        self.doomed = (0..).zip(&highest).filter(is_doomed).map(|(lane, _)| lane).collect();
        // Their places in the parked stream are taken, whatever comes to stand there in the log.
        self.parked_of_lost = self.parked.keys().copied().filter(|(_, sequence)| *sequence > last).collect();
        self.log.lose_end(last);
        self.tell(|world| format!("the log loses all above {last}, doomed: {:?}", world.doomed));
    }

    /// A stored row of some day comes to harm while nobody works on its lane.
    pub(super) fn damage_row(&mut self) {
        if !self.may_be_damaged || !self.damaged.is_empty() || self.has_lost_end {
            return;
        }
        let Some((account, lane)) = self.store.damage_a_day(&mut self.rng, self.log.identity.partitions) else {
            return;
        };
        self.tell(|_| format!("a row of {account:?} is damaged"));
        for index in 0..self.drivers.len() {
            if self.drivers[index].lane == lane {
                self.drop_worker(index);
            }
        }
        self.late.clear();
        self.damaged.insert(account);
    }
}
