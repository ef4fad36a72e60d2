//! A bulk: lines in, batches out to the lanes, counts and refused lines back.
//!
//! Taking a line is plain computing; everything that waits is in [`Bulk::send_full`], [`Bulk::flush`] and
//! [`Bulk::finish`]. Lines are claimed some hundreds at a time, see [`gathered`], with the outcome of one after the
//! other. A line whose id is on its way already (in this body or in another request) is a duplicate or a conflict once that
//! publish has succeeded, so it waits in a list, by flight. Before this bulk waits for another's
//! flight it sends what it has itself: two bulks never wait for each other.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use ledger::{Invalid, Reason, Tenant, parse_posted};
use nats::Batch;
use tokio::time::Instant;

use crate::{
    flight::{Cause, Failure, Outcome},
    key::{Claimed, key_digest, packed_message_id},
    lines::Line,
    publish::Claims,
    recent::Claim,
    shared::{Refusal, Shared, date_of},
    tenants::Snapshot,
};

mod gathered;
mod open;
mod report;
mod waits;

use gathered::Gathered;
use open::OpenBatch;
pub use report::{Finished, LineError, Report};
use waits::{Wait, Waits};

/// Batches of one bulk that wait for the log's answer: enough to keep every lane busy, few enough to bound memory.
const MAX_SENT: usize = 16;
/// Flights that lines of one bulk may wait for; at more, the oldest is waited for.
const MAX_WAITS: usize = 64;
/// Buffers of answered batches that are kept for the next ones: fresh memory of that size costs a page fault every 4 KiB.
const MAX_SPARES: usize = 8;

/// One bulk while it is read.
pub struct Bulk {
    shared: Arc<Shared>,
    tenant: Tenant,
    settings: Snapshot,
    /// By partition.
    open: Vec<Option<OpenBatch>>,
    open_bytes: usize,
    /// Bytes of the last full batch: the next ones need not grow to it step by step.
    usual_bytes: usize,
    full: Vec<OpenBatch>,
    /// Empty.
    spares: Vec<Vec<u8>>,
    gathered: Gathered,
    sent: FuturesUnordered<BoxFuture<'static, Answered>>,
    waits: Waits,
    report: Report,
    failure: Option<Failure>,
    first_uncertain_line: Option<u64>,
}

struct Answered {
    partition: u16,
    first_line: u64,
    entries: u64,
    lines: Bytes,
    outcome: Outcome,
}

impl Bulk {
    /// A bulk of `tenant` that has taken no line.
    pub fn new(shared: Arc<Shared>, tenant: Tenant) -> Self {
        let partitions = usize::from(shared.identity.partitions);
        Self {
            settings: shared.tenants.snapshot(),
            open: std::iter::repeat_with(|| None).take(partitions).collect(),
            report: Report::new(shared.identity.epoch),
            shared,
            tenant,
            open_bytes: 0,
            usual_bytes: 0,
            full: Vec::new(),
            spares: Vec::new(),
            gathered: Gathered::default(),
            sent: FuturesUnordered::new(),
            waits: Waits::default(),
            failure: None,
            first_uncertain_line: None,
        }
    }

    /// Takes a line. After a failure lines are only noted as uncertain.
    pub fn take(&mut self, number: u64, line: Line<'_>) {
        if self.failure.is_some() {
            return self.uncertain_from(number);
        }
        let taken = match line {
            Line::Text(text) => self.take_text(number, text),
            Line::TooLong => Err(too_long().into()),
        };
        match taken {
            Ok(()) => {}
            Err(Refusal::Invalid(invalid)) => self.report.reject(number, &invalid),
            Err(Refusal::Unavailable(failure)) => self.fail(failure, number),
        }
    }

    fn take_text(&mut self, number: u64, text: &[u8]) -> Result<(), Refusal> {
        let draft = parse_posted(text, &self.tenant)?;
        let missing = || Invalid::new(Reason::MissingField, "every launch of a bulk needs an id");
        let id = draft.id.as_ref().ok_or_else(missing)?;
        let date = date_of(&draft, &self.settings, &self.tenant)?;
        let key = key_digest(&self.tenant, &draft.account, date, id);
        let launch = Claimed { key, content: draft.content_digest };
        let partition = self.shared.partition(&self.tenant, &draft.account);
        let unavailable = || Refusal::Unavailable(Failure::new(Cause::LogUnavailable));
        let place = self.open.get_mut(usize::from(partition)).ok_or_else(unavailable)?;
        let batch = place.get_or_insert_with(|| {
            let lines = self.spares.pop().unwrap_or_else(|| Vec::with_capacity(self.usual_bytes));
            OpenBatch::new(partition, number, lines, Claims::new(Arc::clone(&self.shared.lanes.recent)))
        });
        let start = batch.lines.len();
        draft.write_line(&self.tenant, id, date, &mut batch.lines)?;
        batch.lines.push(b'\n');
        batch.gathered();
        let end = batch.lines.len();
        self.open_bytes += end - start;
        self.gathered.push(launch, gathered::Line { number, partition, start, end });
        if self.gathered.is_full() || self.has_full_batch(partition) {
            self.claim_gathered();
            self.close_if_full(partition);
        }
        Ok(())
    }

    /// Claims what is gathered. Until then it counts as new, so that no batch is fuller than it seems.
    fn claim_gathered(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let mut gathered = std::mem::take(&mut self.gathered);
        for (line, known) in gathered.claim(&self.shared.lanes.recent, &mut self.open) {
            self.already_known(line.number, line.partition, known);
        }
        self.open_bytes = self.open.iter().flatten().map(|batch| batch.lines.len()).sum();
        gathered.clear();
        self.gathered = gathered;
    }

    fn already_known(&mut self, number: u64, partition: u16, known: Claim) {
        match known {
            Claim::New => {}
            Claim::Known { sequence } => self.report.duplicate(partition, sequence, 1),
            Claim::Conflict { sequence } => self.report.conflicts(partition, sequence, 1, &[number]),
            Claim::Pending { flight, same_content } => {
                self.waits.add(flight, partition, number, same_content);
            }
        }
    }

    /// Whether a batch may be full, if everything gathered is new.
    fn has_full_batch(&self, partition: u16) -> bool {
        let is_full = |batch: &OpenBatch| batch.is_full(&self.shared.config.bodies);
        self.open_bytes > self.shared.config.bodies.open_bytes
            || self.open[usize::from(partition)].as_ref().is_some_and(is_full)
    }

    /// Nothing is gathered here.
    fn close_if_full(&mut self, partition: u16) {
        let bounds = &self.shared.config.bodies;
        if self.open[usize::from(partition)].as_ref().is_some_and(|batch| batch.is_full(bounds)) {
            self.close(usize::from(partition));
        } else if self.open_bytes > bounds.open_bytes {
            let sizes = self.open.iter().map(|batch| batch.as_ref().map_or(0, |batch| batch.lines.len()));
            let largest = sizes.enumerate().max_by_key(|(_, size)| *size);
            self.close(largest.map_or(0, |(index, _)| index));
        }
    }

    fn close(&mut self, index: usize) {
        let Some(batch) = self.open[index].take() else { return };
        self.open_bytes -= batch.lines.len();
        self.usual_bytes = batch.lines.len().min(self.shared.config.bodies.open_bytes / self.open.len());
        if !batch.claims.launches().is_empty() {
            self.full.push(batch);
        }
    }

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

    /// When [`Self::flush`] is due, for no unfinished batch may keep its ids from others for longer; never with nothing
    /// to do.
    pub fn flush_at(&self) -> Option<Instant> {
        let claiming = self.open.iter().flatten().filter(|batch| !batch.claims.launches().is_empty());
        let oldest = claiming.map(|batch| batch.begun).min()?;
        Some(oldest + Duration::from_millis(self.shared.config.bodies.flush_ms))
    }

    /// Hands the unfinished batches to their lanes, too.
    pub async fn flush(&mut self) {
        self.claim_gathered();
        (0..self.open.len()).for_each(|index| self.close(index));
        for batch in std::mem::take(&mut self.full) {
            self.send(batch).await;
        }
    }

    /// Whether it makes no sense to read on.
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Gives up at a line: it and all later ones are not taken.
    pub fn fail(&mut self, failure: Failure, line: u64) {
        self.claim_gathered();
        self.failure.get_or_insert(failure);
        self.uncertain_from(line);
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
        self.abandon();
        self.report.finish(self.failure, self.first_uncertain_line)
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
        let message = Batch { lines: lines.clone(), entries, message_id };
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

    fn uncertain_from(&mut self, line: u64) {
        let first = self.first_uncertain_line.map_or(line, |known| known.min(line));
        self.first_uncertain_line = Some(first);
    }
}

fn too_long() -> Invalid {
    Invalid::new(Reason::LineTooLong, format!("a line has at most {} bytes", ledger::MAX_LINE_BYTES))
}
