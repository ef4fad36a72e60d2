//! Which workers a lane has heard of late, and how far each had come.

use std::collections::VecDeque;

use super::QueryRules;
use crate::notice::Notice;

/// So many are remembered, and one that was forgotten counts as new. A lane has one worker, two during a handover, and
/// perhaps some that nobody has stopped yet.
pub(super) const MOST_WORKERS: usize = 8;

/// The workers heard of late, the last one first, each with the end of its last notice.
///
/// Positions alone do not show that a notice is missing: a worker that replays what the store has lost ends where the one
/// before it was. Who has heard nothing of the replay would keep what was read before it.
#[derive(Debug, Default)]
pub(super) struct Voices {
    heard: VecDeque<(u64, u64)>,
    rules: QueryRules,
}

impl Voices {
    pub(super) fn new(rules: QueryRules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Takes in a notice. Says whether its worker may have said something before that was not heard.
    pub(super) fn hear(&mut self, notice: &Notice) -> bool {
        let Some(worker) = notice.worker else { return self.rules.new_worker_drops };
        let known = self.heard.iter().position(|(heard, _)| *heard == worker);
        let last = known.and_then(|index| self.heard.remove(index));
        self.heard.truncate(MOST_WORKERS - 1);
        self.heard.push_front((worker, notice.to));
        match last {
            None => self.rules.new_worker_drops,
            Some((_, to)) => notice.from > to && self.rules.own_gap_drops,
        }
    }
}
