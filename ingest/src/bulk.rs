//! A bulk: lines in, batches out to the lanes, counts and refused lines back.
//!
//! Taking a line is plain computing; everything that waits is in [`sending`]. Lines are claimed some hundreds at a time, see
//! [`gathered`], with the outcome of one after the other. A line whose id is on its way already (in this body or in another
//! request) is a duplicate or a conflict once that publish has succeeded, so it waits in a list, by flight. Before this bulk
//! waits for another's flight it sends what it has itself: two bulks never wait for each other.

use std::{sync::Arc, time::Duration};

use futures_util::{future::BoxFuture, stream::FuturesUnordered};
use ledger::{Invalid, Reason, Tenant, parse_posted};
use protocol::deduplication::Claimed;
use tokio::time::Instant;

use crate::{
    flight::{Cause, Failure},
    key::LaunchKey,
    lines::Line,
    publish::Claims,
    recent::Claim,
    shared::{Refusal, Shared, date_of},
    tenants::Snapshot,
};

mod gathered;
mod open;
mod remembered;
mod report;
mod sending;
mod waits;

use gathered::Gathered;
use open::OpenBatch;
use remembered::Remembered;
pub use report::{Finished, LineError, Report};
use sending::Answered;
use waits::Waits;

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
    /// What was answered from memory, until the log was looked at.
    remembered: Remembered,
    failure: Option<Failure>,
    first_uncertain_line: Option<u64>,
}

impl Bulk {
    /// A bulk of `tenant` that has taken no line.
    pub fn new(shared: Arc<Shared>, tenant: Tenant) -> Self {
        let partitions = usize::from(shared.identity.partitions);
        Self {
            settings: shared.tenants.snapshot(),
            open: std::iter::repeat_with(|| None).take(partitions).collect(),
            report: Report::new(shared.name),
            remembered: Remembered::new(shared.name),
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
        let secret = self.shared.lanes.recent.secret();
        let key = LaunchKey::new(&self.tenant, &draft.account, date, id).fingerprint(secret);
        let launch = Claimed { key, content: draft.content_fingerprint(secret) };
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
            Claim::New { .. } => {}
            Claim::Known { sequence } => self.remembered.duplicate(number, partition, sequence),
            Claim::Conflict { sequence } => self.remembered.conflict(number, partition, sequence),
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

    /// When [`Self::flush`] is due, for no unfinished batch may keep its ids from others for longer; never with nothing
    /// to do.
    pub fn flush_at(&self) -> Option<Instant> {
        let claiming = self.open.iter().flatten().filter(|batch| !batch.claims.launches().is_empty());
        let oldest = claiming.map(|batch| batch.begun).min()?;
        Some(oldest + Duration::from_millis(self.shared.config.bodies.flush_ms))
    }

    /// Whether [`Self::flush`] is due.
    pub fn is_due(&self, now: Instant) -> bool {
        self.flush_at().is_some_and(|due| due <= now)
    }

    /// Whether [`Self::send_full`] has something to send.
    pub fn has_full(&self) -> bool {
        !self.full.is_empty()
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

    fn uncertain_from(&mut self, line: u64) {
        let first = self.first_uncertain_line.map_or(line, |known| known.min(line));
        self.first_uncertain_line = Some(first);
    }
}

fn too_long() -> Invalid {
    Invalid::new(Reason::LineTooLong, format!("a line has at most {} bytes", ledger::MAX_LINE_BYTES))
}
