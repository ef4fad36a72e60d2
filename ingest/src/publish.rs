//! Claims and what becomes of them: whatever happens to a request, each of its claims ends, and none ends early.
//!
//! | the request | its claims |
//! |---|---|
//! | goes away before its batch is handed to the lane | are released: the batch was certainly not sent |
//! | goes away afterwards | wait for the outcome in a task of their own |
//! | waits for the outcome | end with it |

use std::sync::Arc;

use nats::{Batch, PublishError, Published, Publisher, Receipt};
use protocol::deduplication::Held;
use tokio::time::Instant;

use crate::{
    flight::{Cause, Failure, Flight, Outcome},
    metrics::Metrics,
    recent::Recent,
};

/// What publishing needs; one for all requests.
pub struct Lanes {
    /// The lanes of the log.
    pub publisher: Publisher,
    /// What is known of recent launches.
    pub recent: Arc<Recent>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// Launches claimed for one flight. Dropped without an outcome, they are free again.
pub struct Claims {
    recent: Arc<Recent>,
    flight: Arc<Flight>,
    launches: Vec<Held>,
    settled: bool,
}

impl Claims {
    /// No claims yet, of a new flight.
    pub fn new(recent: Arc<Recent>) -> Self {
        Self { recent, flight: Arc::default(), launches: Vec::new(), settled: false }
    }

    /// The flight that they are claimed for.
    pub fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    /// The launches in the order in which they were claimed.
    pub fn launches(&self) -> &[Held] {
        &self.launches
    }

    /// Notes a launch that was claimed for this flight.
    pub fn push(&mut self, launch: Held) {
        self.launches.push(launch);
    }

    /// Makes room for so many more.
    pub fn reserve(&mut self, more: usize) {
        self.launches.reserve(more);
    }

    /// Ends them with an outcome.
    pub fn settle(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: Outcome) {
        self.settled = true;
        self.recent.settle(&self.flight, &self.launches, outcome);
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        if !self.settled {
            self.end(Outcome::NotSent(Failure::new(Cause::BrokenOff)));
        }
    }
}

/// A batch that its lane has taken. Dropped without an outcome, it is waited for in a task.
pub struct Sent {
    waiting: Option<(Receipt, Claims)>,
    metrics: Arc<Metrics>,
    started: Instant,
    entries: u32,
}

impl Lanes {
    /// Hands a batch to its lane at once.
    ///
    /// # Errors
    /// The lane does not take it: certainly not sent, the claims are released.
    pub fn submit(&self, partition: u16, batch: Batch, claims: Claims) -> Result<Sent, Failure> {
        let entries = batch.entries;
        self.taken(self.publisher.submit(partition, batch), claims, entries)
    }

    /// As [`Self::submit`], but waits for room in the lane's queue, within the publisher's bound.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn submit_waiting(&self, partition: u16, batch: Batch, claims: Claims) -> Result<Sent, Failure> {
        let entries = batch.entries;
        self.taken(self.publisher.submit_waiting(partition, batch).await, claims, entries)
    }

    fn taken(&self, taken: Result<Receipt, PublishError>, claims: Claims, entries: u32) -> Result<Sent, Failure> {
        match taken {
            Ok(receipt) => {
                self.metrics.in_flight.inc_by(i64::from(entries));
                self.metrics.batch_entries.observe(f64::from(entries));
                let metrics = Arc::clone(&self.metrics);
                Ok(Sent { waiting: Some((receipt, claims)), metrics, started: Instant::now(), entries })
            }
            Err(error) => {
                tracing::debug!(%error, "a lane refuses");
                let outcome = Outcome::from(&error);
                claims.settle(outcome);
                let (Outcome::NotSent(failure) | Outcome::Unknown(failure)) = outcome else {
                    return Err(Failure::new(Cause::LogUnavailable));
                };
                Err(failure)
            }
        }
    }
}

impl Sent {
    /// Waits for the outcome and ends the claims with it.
    pub async fn outcome(mut self) -> Outcome {
        let Some((receipt, _)) = self.waiting.as_mut() else {
            return Outcome::Unknown(Failure::new(Cause::OutcomeUnknown));
        };
        let outcome = outcome_of(receipt.await);
        if let Some((_, claims)) = self.waiting.take() {
            self.note(claims, outcome);
        }
        outcome
    }

    fn note(&self, claims: Claims, outcome: Outcome) {
        self.metrics.in_flight.dec_by(i64::from(self.entries));
        self.metrics.publish_seconds.observe(self.started.elapsed().as_secs_f64());
        claims.settle(outcome);
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let Some(waiting) = self.waiting.take() else { return };
        let (metrics, started, entries) = (Arc::clone(&self.metrics), self.started, self.entries);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(Sent { waiting: Some(waiting), metrics, started, entries }.outcome());
        }
    }
}

fn outcome_of(result: Result<Published, PublishError>) -> Outcome {
    match result {
        Ok(published) => Outcome::Published { sequence: published.sequence },
        Err(error) => {
            tracing::warn!(%error, "a publish failed");
            Outcome::from(&error)
        }
    }
}
