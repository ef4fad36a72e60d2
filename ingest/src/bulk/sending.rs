//! The side of a bulk that waits: for room in the lanes, for the log's answers, for other requests' flights.

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use nats::Batch;

use super::{Bulk, Finished, open::OpenBatch, remembered::Remembered, waits::Wait};
use crate::{
    flight::{Cause, Failure, Outcome},
    key::packed_message_id,
};

/// Batches of one bulk that wait for the log's answer: enough to keep every lane busy, few enough to bound memory.
const MAX_SENT: usize = 16;
/// Flights that lines of one bulk may wait for; at more, the oldest is waited for.
const MAX_WAITS: usize = 64;
/// Buffers of answered batches that are kept for the next ones: fresh memory of that size costs a page fault every 4 KiB.
const MAX_SPARES: usize = 8;

/// A batch with what became of it.
pub(super) struct Answered {
    partition: u16,
    first_line: u64,
    entries: u64,
    lines: Bytes,
    outcome: Outcome,
}

impl Bulk {
    /// Hands full batches to their lanes, waiting for room; takes the answers that have come.
    pub async fn send_full(&mut self) {
        self.claim_gathered();
        for batch in std::mem::take(&mut self.full) {
            self.send(batch).await;
        }
        while let Some(Some(answered)) = self.sent.next().now_or_never() {
            self.answered(answered);
        }
        self.settings = self.shared.tenants.snapshot();
        self.settle_waits(MAX_WAITS).await;
    }

    /// Hands the unfinished batches to their lanes, too.
    pub async fn flush(&mut self) {
        self.claim_gathered();
        (0..self.open.len()).for_each(|index| self.close(index));
        for batch in std::mem::take(&mut self.full) {
            self.send(batch).await;
        }
    }

    /// Sends what is left, unless it has failed, and waits for every answer.
    pub async fn finish(mut self) -> Finished {
        if self.failure.is_none() {
            self.flush().await;
        }
        self.abandon();
        while let Some(answered) = self.sent.next().await {
            self.answered(answered);
        }
        self.settle_waits(0).await;
        self.check_memory().await;
        self.abandon();
        self.report.finish(self.failure, self.first_uncertain_line)
    }

    /// One look at the log for all lines that memory answered.
    async fn check_memory(&mut self) {
        let Some(first_line) = self.remembered.first_line() else { return };
        match self.shared.check_memory().await {
            Ok(()) => {
                let remembered = std::mem::replace(&mut self.remembered, Remembered::new(self.shared.name));
                self.report.add(remembered.into_report());
            }
            Err(failure) => self.fail(failure, first_line),
        }
    }

    /// After a failure: what is not sent never will be.
    fn abandon(&mut self) {
        if self.failure.is_none() {
            return;
        }
        let unsent = self.open.iter_mut().filter_map(Option::take).chain(self.full.drain(..));
        let first = unsent.filter(|batch| !batch.claims.launches().is_empty()).map(|batch| batch.first_line).min();
        if let Some(line) = first {
            self.uncertain_from(line);
        }
        self.open_bytes = 0;
    }

    async fn send(&mut self, batch: OpenBatch) {
        if self.failure.is_some() {
            return self.uncertain_from(batch.first_line);
        }
        while self.sent.len() >= MAX_SENT {
            let Some(answered) = self.sent.next().await else { break };
            self.answered(answered);
        }
        let OpenBatch { partition, first_line, lines, claims, .. } = batch;
        let entries = u32::try_from(claims.launches().len()).unwrap_or(u32::MAX);
        let message_id = packed_message_id(claims.launches());
        let lines = Bytes::from(lines);
        let message = Batch { tenant: self.tenant.clone(), lines: lines.clone(), entries, message_id };
        match self.shared.lanes.submit_waiting(partition, message, claims).await {
            Err(failure) => self.fail(failure, first_line),
            Ok(sent) => {
                let entries = u64::from(entries);
                // A task of its own: others may wait for these ids while this bulk waits for its client.
                let answer = tokio::spawn(sent.outcome()).map(move |outcome| {
                    let lost = |_| Outcome::Unknown(Failure::new(Cause::OutcomeUnknown));
                    Answered { partition, first_line, entries, lines, outcome: outcome.unwrap_or_else(lost) }
                });
                self.sent.push(answer.boxed());
            }
        }
    }

    fn answered(&mut self, answered: Answered) {
        self.keep_spare(answered.lines);
        match answered.outcome {
            Outcome::Published { sequence } => {
                self.report.accepted(answered.partition, sequence, answered.entries);
            }
            Outcome::NotSent(failure) | Outcome::Unknown(failure) => self.fail(failure, answered.first_line),
        }
    }

    /// Keeps the buffer for a batch to come, unless somebody else still reads it.
    fn keep_spare(&mut self, mut lines: Bytes) {
        lines.clear();
        if self.spares.len() < MAX_SPARES && lines.is_unique() {
            self.spares.push(lines.into());
        }
    }

    /// Decides waiting lines until at most `most` flights are waited for.
    async fn settle_waits(&mut self, most: usize) {
        if self.waits.len() <= most {
            return;
        }
        for wait in self.waits.take_settled() {
            let outcome = wait.flight.wait().await;
            self.decided(&wait, outcome);
        }
        while self.waits.len() > most {
            self.flush().await;
            let Some(wait) = self.waits.pop_oldest() else { break };
            let outcome = wait.flight.wait().await;
            self.decided(&wait, outcome);
        }
    }

    fn decided(&mut self, wait: &Wait, outcome: Outcome) {
        match outcome {
            Outcome::Published { sequence } => {
                self.report.duplicate(wait.partition, sequence, wait.duplicates);
                self.report.conflicts(wait.partition, sequence, wait.conflicts, &wait.conflict_lines);
            }
            // None of these lines is what may be on the log.
            Outcome::Unknown(_) if wait.duplicates == 0 => self.fail(Failure::new(Cause::IdPending), wait.first_line),
            Outcome::NotSent(failure) | Outcome::Unknown(failure) => self.fail(failure, wait.first_line),
        }
    }
}
