//! One small step of one worker's surroundings.

use rand::RngExt;

use super::{Checked, World};
use crate::{
    commit::PartitionState,
    load::{LoadRequest, Loaded},
    log::{LogMark, LogMessage},
    parked::ParkedMessage,
    simulation::{
        Violation,
        driver::{Driver, Sending, Sent},
        log::pick,
        store::Put,
    },
    worker::{Step, Worker},
};

impl World {
    pub(super) fn drop_worker(&mut self, index: usize) {
        let under_way = self.drivers[index].crash();
        for puts in under_way {
            if !self.is_atomic() && self.rng.random_bool(0.4) {
                self.store.reach_few(&puts);
                self.late.push(puts);
            }
        }
    }

    pub(super) fn step_some_worker(&mut self) -> Checked {
        let index = self.rng.random_range(0..self.drivers.len());
        if self.drivers[index].asleep_until_ms > self.now_ms || self.drivers[index].has_refused {
            return Ok(());
        }
        self.step_worker(index)
    }

    pub(super) fn step_worker(&mut self, index: usize) -> Checked {
        if self.drivers[index].worker.is_none() {
            return self.start_worker(index);
        }
        if std::mem::take(&mut self.drivers[index].is_disconnected) {
            return self.verify_again(index);
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

    pub(super) fn start_worker(&mut self, index: usize) -> Checked {
        let lane = self.drivers[index].lane;
        self.drivers[index].generations = self.store.generations();
        let state = self.store.partition_state(lane);
        self.tell(|_| format!("worker {index} starts from {state:?}"));
        let identity = self.log.identity.clone();
        self.starts += 1;
        match Worker::start(self.config.clone(), identity, lane, 1, self.starts, &state, self.now_ms) {
            Ok(worker) => {
                let worker = worker.with_rules(self.bounds, self.switches.worker);
                self.drivers[index].worker = Some(worker);
                self.verify(index, &state)?;
                self.announce(index);
                Ok(())
            }
            Err(refusal) => Err(Violation(format!("worker {index} refuses to start: {refusal}"))),
        }
    }

    /// A worker that has started says where it stands.
    fn announce(&mut self, index: usize) {
        let Driver { lane, worker: Some(_), .. } = self.drivers[index] else { return };
        self.queries[usize::from(lane)].worker_started();
        // What is replayed slowly is seen half done.
        if self.store_crashes > 0 && !self.is_atomic() && !self.is_settling {
            self.rush_until_ms = self.now_ms + *pick(&mut self.rng, &[0, 10_000, 30_000]);
            if self.rng.random_bool(0.3) {
                self.mute(usize::from(lane));
            }
        }
        if self.switches.driver.announces_itself {
            self.send_standing(index, self.switches.driver.knows_end_first);
        }
    }

    /// The reader is created anew.
    fn verify_again(&mut self, index: usize) -> Checked {
        let lane = self.drivers[index].lane;
        if self.switches.driver.asks_store_again {
            let stored = self.store.partition_state(lane);
            return self.verify(index, &stored);
        }
        let known = self.drivers[index].known.clone();
        self.verify(index, &known)
    }

    /// The reader is created: does the log agree with what is remembered of it?
    pub(super) fn verify(&mut self, index: usize, stored: &PartitionState) -> Checked {
        let lane = self.drivers[index].lane;
        self.drivers[index].known = stored.clone();
        let Some(worker) = self.drivers[index].worker.as_mut() else { return Ok(()) };
        let get = |mark: &LogMark| self.log.get(mark.sequence).cloned();
        let verified = worker.store_says(stored).and_then(|()| {
            let found: Vec<Option<LogMessage>> = worker.marks_to_verify().iter().map(get).collect();
            worker.verify(&found)
        });
        match verified {
            Ok(()) if self.doomed.contains(&lane) => {
                let what = "goes on although the log has lost what the store was filled from";
                Err(Violation(format!("worker {index} {what}")))
            }
            Ok(()) => Ok(()),
            Err(refusal) if refusal.restart_helps() && self.has_lost_end => {
                self.tell(|_| format!("worker {index}: {refusal}"));
                self.drop_worker(index);
                Ok(())
            }
            Err(_) if self.doomed.contains(&lane) => {
                self.drop_worker(index);
                self.drivers[index].has_refused = true;
                self.send_refusal(index);
                Ok(())
            }
            Err(refusal) => Err(Violation(format!("worker {index} refuses: {refusal}"))),
        }
    }

    /// A lost connection, a down event, an answer with another generation: sooner or later a worker hears of it.
    pub(super) fn hears_of_loss(&mut self, index: usize) -> bool {
        let is_lost = self.drivers[index].generations != self.store.generations();
        is_lost && self.switches.driver.store_loss_is_a_crash && self.rng.random_bool(0.03)
    }

    pub(super) fn read(&mut self, index: usize) {
        let Driver { lane, worker: Some(worker), .. } = &mut self.drivers[index] else { return };
        if worker.has_room()
            && let Some(message) = self.log.read(*lane, worker.read_from())
        {
            worker.offer(message.parsed.clone());
        }
    }

    /// Looks at what the nodes answered when they were asked for their generations.
    pub(super) fn hear_nodes(&mut self, index: usize) {
        let driver = &mut self.drivers[index];
        let is_unchanged = driver.answer.take() == Some(driver.generations) || !self.switches.driver.asks_the_nodes;
        if !is_unchanged && self.switches.driver.store_loss_is_a_crash {
            self.tell(|_| format!("worker {index} sees another generation"));
            self.drop_worker(index);
        } else if let Some(worker) = &mut driver.worker {
            worker.store_unchanged(self.now_ms);
        }
    }

    pub(super) fn advance(&mut self, index: usize) -> Checked {
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
    pub(super) fn load(&mut self, index: usize, request: &LoadRequest) {
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
    pub(super) fn park(&mut self, index: usize, parked: &[ParkedMessage]) {
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

    pub(super) fn send(&mut self, index: usize, mut sending: Sending) -> Checked {
        match sending.send(&mut self.rng, self.config.atomic_commits, self.switches.driver.sends_again) {
            Sent::Done => {
                if let Some(worker) = &mut self.drivers[index].worker {
                    worker.committed(self.now_ms);
                    let sequence = worker.committed_sequence();
                    self.tell(|_| format!("worker {index} has committed {sequence}"));
                }
                // What it has to say of the commit it says before anything else, or never.
                if !self.is_settling && self.rng.random_bool(0.05) {
                    self.drop_worker(index);
                } else {
                    self.advance(index)?;
                }
                if !self.is_settling && !self.is_atomic() && self.rng.random_bool(0.03) {
                    self.pause_machine();
                }
                return Ok(());
            }
            Sent::Landed(puts) | Sent::Unheard(puts) => {
                self.land(&puts)?;
                self.check_claim(index, &puts)?;
            }
            Sent::Late(puts) => {
                self.store.reach_few(&puts);
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

    pub(super) fn write_checkpoint(&mut self, index: usize, mark: LogMark) -> Checked {
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
}
