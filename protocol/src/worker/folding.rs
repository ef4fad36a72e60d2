//! From a run of which everything is held to a commit, and what an ended commit means.

use std::sync::Arc;

use super::{
    Folded, Phase, Refusal, Worker, build,
    fold::{self, Decided, Lane},
    run::Run,
};
use crate::{
    commit::{Commit, Progress},
    log::LogMark,
    notice::{MAX_STOPPED_ACCOUNTS, Notice},
};

impl Worker {
    /// Decides, applies and stamps a run of which everything is held.
    pub(super) fn fold(&mut self, mut run: Run) {
        let Some((mark, time_ms)) = run.end() else { return };
        let lane = Lane { epoch: self.identity.epoch, partition: self.partition };
        let mut decided = fold::decide(&mut run, &mut self.held, lane, (&self.bounds, self.rules), &mut self.counters);
        self.stops.check_up_to(mark.sequence, &mut self.held);
        if self.stops.accounts().len() > MAX_STOPPED_ACCOUNTS {
            let accounts = self.stops.accounts().len();
            self.refusal = Some(Refusal::TooManyStopped { partition: self.partition, accounts });
            return;
        }
        fold::apply(&mut decided.chunks, &mut self.held, self.rules);
        fold::stamp(&run, &mut self.held, mark.sequence);
        let folded = self.build(&run, decided, mark, time_ms);
        let parks_first = self.rules.park_before_commit && !folded.parked.is_empty();
        self.phase = if parks_first { Phase::Parking(folded) } else { Phase::Committing(folded) };
    }

    pub(super) fn build(&mut self, run: &Run, decided: Decided, mark: LogMark, time_ms: i64) -> Folded {
        let held = &mut self.held;
        let changed = build::changed(&decided.accounts, held, self.stops.notice_bytes());
        let accounts = build::first_touched(&decided.accounts, held, self.rules);
        let journal = build::journal(decided.chunks, held);
        let balances = build::balances(run, held, mark.sequence);
        let rollups = build::rollups(run, held, mark.sequence);
        let changed = if self.rules.notice_lists_unwritten { changed } else { build::only_written(changed, &balances) };
        let identity = self.identity.clone();
        let commit = Commit {
            partition: self.partition,
            head: self.head_for(mark),
            journal,
            accounts,
            balances,
            rollups,
            progress: Progress { sequence: mark.sequence, time_ms, identity },
            checkpoint: Some(mark).filter(|mark| self.config.atomic_commits && self.below_ceiling(*mark) == *mark),
        };
        if commit.head.sequence > self.head.sequence {
            self.head = commit.head;
        }
        Folded { parked: Arc::new(decided.parked), commit: Arc::new(commit), mark, changed }
    }

    /// What a commit up to `mark` says of the rows that may exist. Where the store is not atomic that is all that is read,
    /// so that the next commit need not wait for its own head.
    pub(super) fn head_for(&self, mark: LogMark) -> LogMark {
        if !self.rules.head_covers_rows {
            return self.committed;
        }
        let last_read = self.queue.last_mark().filter(|_| !self.config.atomic_commits);
        last_read.filter(|last| last.sequence > mark.sequence).unwrap_or(mark)
    }

    pub(super) fn finish(&mut self, folded: Folded, now_ms: u64) -> Phase {
        let commit = &folded.commit;
        self.counters.committed(commit);
        let from = std::mem::replace(&mut self.committed, folded.mark);
        self.committed_time_ms = commit.progress.time_ms;
        self.checkpoint = commit.checkpoint.unwrap_or(self.checkpoint);
        if self.config.atomic_commits || !self.rules.checkpoint_lags {
            self.safe = folded.mark;
        } else {
            self.claims.committed(folded.mark, now_ms);
        }
        self.notice = Some(Notice { from: from.sequence, changed: folded.changed.clone(), ..self.heartbeat() });
        let parks_late = !self.rules.park_before_commit && !folded.parked.is_empty();
        if parks_late { Phase::ParkingLate(folded) } else { Phase::Idle }
    }
}
