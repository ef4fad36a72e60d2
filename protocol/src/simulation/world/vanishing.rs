//! Disasters that chance alone rarely brings about: a store's nodes forget what a lane was told last, readers ask just then,
//! and of what the lane's worker says while it replays some vanishes, or all. Or a query has just started, and what it is told
//! of progress was read before.

use rand::RngExt;

use super::{Checked, World};
use crate::simulation::{log::pick, readers::Query, store::NODES};

impl World {
    pub(super) fn replay_unheard(&mut self) -> Checked {
        let index = self.rng.random_range(0..self.drivers.len());
        let lane = usize::from(self.drivers[index].lane);
        if !self.doomed.is_empty() {
            return Ok(());
        }
        let others: Vec<usize> = (0..self.drivers.len()).filter(|other| self.is_beside(*other, index)).collect();
        let cut_ms = self.now_ms;
        self.commit_something(index)?;
        let unknowing = others.first().copied().filter(|_| self.rng.random_bool(0.5));
        if let Some(other) = unknowing {
            self.work_to_end(other, MOST_STEPS)?;
        }
        self.let_all_be_heard(index);
        if self.rng.random_bool(0.2) {
            self.queries[lane].restart_with_an_answer_under_way(&self.store);
        }
        self.forget(cut_ms);
        self.read_often(lane)?;
        others.iter().filter(|other| Some(**other) != unknowing).for_each(|other| self.silence(*other));
        self.drop_worker(index);
        self.begin_to_replay(index, unknowing)?;
        if self.rng.random_bool(0.6) {
            self.mute(lane);
        }
        self.work_to_end(index, MOST_STEPS)?;
        self.queries[lane].mute_until(0);
        self.let_all_be_heard(index);
        self.step_query_of(lane)
    }

    fn commit_something(&mut self, index: usize) -> Checked {
        for _ in 0..self.rng.random_range(1..=3) {
            self.now_ms += 1;
            self.append();
            self.work_to_end(index, MOST_STEPS)?;
        }
        Ok(())
    }

    /// The worker says where it stands, and all that was sent arrives.
    fn let_all_be_heard(&mut self, index: usize) {
        self.send_heartbeat(index);
        let lane = usize::from(self.drivers[index].lane);
        self.queries[lane].deliver_all(self.now_ms, &self.store);
    }

    fn is_beside(&self, other: usize, index: usize) -> bool {
        other != index && self.drivers[other].lane == self.drivers[index].lane
    }

    /// One node forgets, or all, as in a rack that loses its power.
    fn forget(&mut self, cut_ms: u64) {
        let first = self.rng.random_range(0..NODES);
        let count = *pick(&mut self.rng, &[1, NODES]);
        (first..first + count).for_each(|node| self.crash_node(node % NODES, cut_ms));
    }

    /// Often the first words are heard, and readers ask meanwhile. Another worker that has not heard of the loss may speak, too.
    fn begin_to_replay(&mut self, index: usize, unknowing: Option<usize>) -> Checked {
        let lane = usize::from(self.drivers[index].lane);
        if unknowing.is_some() || self.rng.random_bool(0.5) {
            let steps = self.rng.random_range(1..100);
            self.work_to_end(index, steps)?;
            self.queries[lane].deliver_all(self.now_ms, &self.store);
            self.step_query_of(lane)?;
            self.read_often(lane)?;
        }
        if let Some(other) = unknowing {
            self.work_unknowingly(other)?;
            self.queries[lane].deliver_all(self.now_ms, &self.store);
            self.read_often(lane)?;
        }
        Ok(())
    }

    /// A worker that has not heard of the loss commits something more, and is gone.
    fn work_unknowingly(&mut self, index: usize) -> Checked {
        let lane = self.drivers[index].lane;
        let end = self.log.end_of_lane(lane);
        for _ in 0..MOST_APPENDED {
            if self.log.end_of_lane(lane) == end {
                self.now_ms += 1;
                self.append();
            }
        }
        for _ in 0..MOST_STEPS {
            if self.drivers[index].worker.as_ref().is_none_or(|worker| worker.committed_sequence() > end) {
                break;
            }
            self.now_ms += self.rng.random_range(0..MOST_STEP_MS);
            if self.rng.random_bool(0.4) {
                self.read(index);
            } else {
                self.advance(index)?;
            }
        }
        self.silence(index);
        Ok(())
    }

    /// A worker is gone for a while.
    fn silence(&mut self, index: usize) {
        self.tell(|_| format!("worker {index} is gone for a while"));
        self.drop_worker(index);
        self.drivers[index].asleep_until_ms = self.now_ms + GONE_MS;
    }

    fn work_to_end(&mut self, index: usize, most_steps: u32) -> Checked {
        let lane = usize::from(self.drivers[index].lane);
        self.drivers[index].asleep_until_ms = 0;
        for _ in 0..most_steps {
            if self.is_at_end(index) || self.drivers[index].has_refused {
                return Ok(());
            }
            self.now_ms += self.rng.random_range(0..MOST_STEP_MS);
            self.step_worker(index)?;
            if self.rng.random_bool(0.1) {
                self.step_query_of(lane)?;
            }
        }
        Ok(())
    }

    fn is_at_end(&self, index: usize) -> bool {
        let end = self.log.end_of_lane(self.drivers[index].lane);
        self.drivers[index].generations == self.store.generations()
            && self.drivers[index].worker.as_ref().is_some_and(|worker| worker.committed_sequence() == end)
    }

    /// Nothing happens at the far end but that readers come and are answered.
    fn read_often(&mut self, lane: usize) -> Checked {
        (0..READERS_STEPS).try_for_each(|_| self.at_query(lane, Query::serve))
    }
}

/// So much a worker does at most, in less than a sync period.
const MOST_STEPS: u32 = 400;
const MOST_STEP_MS: u64 = 15;
/// Longer than all of it.
const GONE_MS: u64 = 30_000;
/// Messages until one is in the lane that is wanted.
const MOST_APPENDED: u32 = 8;
/// Enough for some answers.
const READERS_STEPS: u32 = 60;
