//! What is safe in the store: the checkpoint, eviction, and when a worker must not trust itself any more.

use super::{RestartReason, Worker};
use crate::log::LogMark;

impl Worker {
    /// The safe position, as far as it may become the checkpoint and is not. An atomic store has it from the commit.
    pub(super) fn checkpoint_due(&self) -> Option<LogMark> {
        if self.config.atomic_commits {
            return None;
        }
        let mark = self.below_ceiling(self.safe);
        (mark.sequence > self.checkpoint.sequence).then_some(mark)
    }

    pub(super) fn below_ceiling(&self, mark: LogMark) -> LogMark {
        let ceiling = self.stops.ceiling(&self.held).filter(|_| self.rules.stops_hold_checkpoint);
        ceiling.filter(|ceiling| ceiling.sequence < mark.sequence).unwrap_or(mark)
    }

    /// Keeps the memory's budget. False when folding has to wait until more is safe in the store.
    pub(super) fn make_room(&mut self) -> bool {
        if self.held.memory_bytes() <= self.config.memory_bytes {
            return true;
        }
        let safe = if self.rules.evict_only_safe { self.safe.sequence } else { u64::MAX };
        if self.eviction_failed_at != Some(safe) {
            self.held.evict(self.config.memory_bytes, safe);
            self.eviction_failed_at = None;
        }
        // With no claim pending nothing will become safe by waiting: a run may need more than the budget by itself.
        let waits = self.held.memory_bytes() > self.config.memory_bytes && !self.claims.is_empty();
        if waits && self.eviction_failed_at.is_none() {
            self.eviction_failed_at = Some(safe);
            self.counters.memory_waits += 1;
        }
        !waits
    }

    /// Every live node of the store has just answered with the generation that it had when this worker started. The
    /// question was put at most half the checkpoint's lag ago.
    pub fn store_unchanged(&mut self, now_ms: u64) {
        self.notice_standstill(now_ms);
        if self.restart.is_none()
            && let Some(mark) = self.claims.store_unchanged(now_ms)
        {
            self.safe = mark;
        }
    }

    /// A worker that stood still may hold answers of the store from before, and take them for new ones: it starts anew.
    pub(super) fn notice_standstill(&mut self, now_ms: u64) {
        let stood_still_ms = now_ms.saturating_sub(self.last_call_ms);
        self.last_call_ms = now_ms;
        let is_long = stood_still_ms > self.config.checkpoint_lag_ms / 2;
        if is_long && !self.config.atomic_commits && self.rules.restart_after_standstill {
            self.restart = Some(RestartReason::StoodStill { stood_still_ms });
        }
    }
}
