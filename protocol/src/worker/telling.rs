//! What a worker says of itself.

use super::{Counters, Worker};
use crate::notice::{Changed, Notice};

impl Worker {
    /// The notice that repeats how far the worker is; to be published every second, and once right after the start.
    pub fn heartbeat(&self) -> Notice {
        let name = self.identity.name();
        Notice {
            generation: self.generation,
            epoch: name.epoch,
            incarnation: Some(name.incarnation),
            partition: self.partition,
            worker: Some(self.number),
            from: self.committed.sequence,
            to: self.committed.sequence,
            time_ms: self.committed_time_ms,
            end: self.log_end.max(self.committed.sequence),
            replaying: self.is_replaying() && self.rules.replay_is_told,
            log_is_whole: None,
            changed: Changed::Accounts(Vec::new()),
            stopped: self.stops.accounts().iter().cloned().collect(),
        }
    }

    /// Every message of the lane up to this sequence is committed.
    pub fn committed_sequence(&self) -> u64 {
        self.committed.sequence
    }

    /// Whether the worker is still below the progress that it found when it started, or below the head: rows up to there may
    /// be stored in part.
    pub fn is_replaying(&self) -> bool {
        self.committed.sequence < self.replays_up_to
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        Counters {
            windows_evicted: self.held.evicted,
            memory_bytes: self.held.memory_bytes() as u64,
            read_ahead_bytes: self.queue.bytes() as u64,
            stopped_accounts: self.stops.accounts().len() as u64,
            ..self.counters.clone()
        }
    }
}
