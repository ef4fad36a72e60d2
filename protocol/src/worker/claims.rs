//! When a commit may become the checkpoint, where the store does not write commits as a whole.

use std::collections::VecDeque;

use crate::log::LogMark;

/// Commits of this part of the lag become one claim: bounds how many are kept.
const CLAIMS_A_LAG: u64 = 64;

/// Commits that have ended and are not yet known to be safe.
#[derive(Debug)]
pub(crate) struct Claims {
    lag_ms: u64,
    pending: VecDeque<Claim>,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    mark: LogMark,
    first_ended_ms: u64,
    last_ended_ms: u64,
}

impl Claims {
    pub(crate) fn new(lag_ms: u64) -> Self {
        Self { lag_ms, pending: VecDeque::new() }
    }

    /// A commit up to `mark` has ended.
    pub(crate) fn committed(&mut self, mark: LogMark, now_ms: u64) {
        let together_ms = self.lag_ms / CLAIMS_A_LAG;
        match self.pending.back_mut() {
            Some(last) if now_ms.saturating_sub(last.first_ended_ms) < together_ms => {
                last.mark = mark;
                last.last_ended_ms = now_ms;
            }
            _ => self.pending.push_back(Claim { mark, first_ended_ms: now_ms, last_ended_ms: now_ms }),
        }
    }

    /// All nodes are known to be as they were: the newest commit that is old enough is safe.
    pub(crate) fn store_unchanged(&mut self, now_ms: u64) -> Option<LogMark> {
        let mut safe = None;
        while let Some(claim) = self.pending.front()
            && claim.last_ended_ms + self.lag_ms <= now_ms
        {
            safe = Some(claim.mark);
            self.pending.pop_front();
        }
        safe
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}
