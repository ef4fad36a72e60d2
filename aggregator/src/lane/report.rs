//! What a session tells metrics, health and the log of its worker.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ledger::AccountKey;
use protocol::{
    notice::Notice,
    worker::{Counters, ParsedMessage, Worker},
};
use tracing::error;

use super::{Lane, ends::LaneEnd};

/// Remembers what was told before.
pub(super) struct Report {
    lane: Arc<Lane>,
    told: Counters,
    committed_launches: u64,
    end: LaneEnd,
    /// The log's time of the first message read: lag counts from there until something is applied.
    first_time_ms: Option<i64>,
    stopped: BTreeSet<AccountKey>,
}

impl Report {
    pub(super) fn new(lane: Arc<Lane>) -> Self {
        Self {
            lane,
            told: Counters::default(),
            committed_launches: 0,
            end: LaneEnd::default(),
            first_time_ms: None,
            stopped: BTreeSet::new(),
        }
    }

    /// The log says that the lane ends here.
    pub(super) fn ends_at(&mut self, end: LaneEnd) {
        if end.sequence > self.end.sequence {
            self.end = end;
        }
    }

    /// A message was read: the lane does not end before it.
    pub(super) fn saw(&mut self, parsed: &ParsedMessage) {
        let message = &parsed.message;
        self.lane.status.took(parsed.entries.len());
        self.first_time_ms.get_or_insert(message.time_ms);
        self.ends_at(LaneEnd { sequence: message.sequence, time_ms: message.time_ms });
    }

    /// How far the worker is, as it tells others.
    pub(super) fn stands(&mut self, notice: &Notice) {
        let behind = self.behind(notice);
        self.lane.status.stands(notice.to, self.end.sequence, notice.replaying, behind);
        self.lane.metrics.set_lag(notice.to, self.end.sequence, behind);
        self.lane.metrics.set_replaying(notice.replaying);
        for account in &notice.stopped {
            self.stopped_account(notice.partition, account);
        }
    }

    /// The log's time between what is applied and the lane's end.
    fn behind(&self, notice: &Notice) -> Duration {
        if notice.to >= self.end.sequence {
            return Duration::ZERO;
        }
        let is_time_known = notice.time_ms > 0;
        let applied_ms = if is_time_known { notice.time_ms } else { self.first_time_ms.unwrap_or(self.end.time_ms) };
        Duration::from_millis(u64::try_from(self.end.time_ms.saturating_sub(applied_ms)).unwrap_or(0))
    }

    fn stopped_account(&mut self, partition: u16, account: &AccountKey) {
        if self.stopped.insert(account.clone()) {
            let (tenant, account) = (&account.tenant, &account.account);
            error!(
                partition,
                %tenant,
                account.id = %account,
                "the stored rows of this account contradict its journal: it is stopped, the others go on"
            );
        }
    }

    /// Adds what the worker has done since the last time; `waiting_bytes` are read and not offered.
    pub(super) fn note(&mut self, worker: &Worker, waiting_bytes: usize) {
        let now = worker.counters();
        self.lane.metrics.note(&self.told, &now, waiting_bytes);
        self.told = now;
    }

    /// A commit was acknowledged.
    pub(super) fn committed(&mut self, worker: &Worker, waiting_bytes: usize) {
        self.note(worker, waiting_bytes);
        self.lane.metrics.committed_launches(self.told.launches - self.committed_launches);
        self.committed_launches = self.told.launches;
    }
}
