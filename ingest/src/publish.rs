//! Claims and what becomes of them: whatever happens to a request, each of its claims ends, and none ends early.
//!
//! | the request | its claims |
//! |---|---|
//! | goes away before its batch is handed to the lane | are released: the batch was certainly not sent |
//! | goes away afterwards | wait for the outcome in a task of their own; end as unknown if the runtime ends first |
//! | waits for the outcome | end with it |

use std::sync::Arc;

use nats::{Batch, PublishError, PublishErrorKind, Published, Publisher, Receipt};
use protocol::deduplication::Held;
use tokio::time::Instant;
use tracing::{field::Empty, warn};

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
pub struct Sent<R: Answer = Receipt>(Option<Waiting<R>>);

/// How a lane answers.
pub trait Answer: Future<Output = Result<Published, PublishError>> + Unpin + Send + 'static {}

impl<R: Future<Output = Result<Published, PublishError>> + Unpin + Send + 'static> Answer for R {}

/// Claims whose batch may be on the log. Dropped without an outcome, they end as unknown.
struct Waiting<R> {
    receipt: R,
    claims: Option<Claims>,
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
                let claims = Some(claims);
                Ok(Sent(Some(Waiting { receipt, claims, metrics, started: Instant::now(), entries })))
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

impl<R: Answer> Sent<R> {
    /// Waits for the outcome and ends the claims with it.
    pub async fn outcome(mut self) -> Outcome {
        let Some(waiting) = self.0.as_mut() else {
            return Outcome::Unknown(Failure::new(Cause::OutcomeUnknown));
        };
        let outcome = waiting.end().await;
        self.0 = None;
        outcome
    }
}

impl<R: Answer> Drop for Sent<R> {
    /// A runtime that shuts down drops the task at once, on this very stack: what it holds must not begin another one.
    fn drop(&mut self) {
        let Some(mut waiting) = self.0.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { waiting.end().await });
        }
    }
}

impl<R: Answer> Waiting<R> {
    /// Cancel safe.
    async fn end(&mut self) -> Outcome {
        let outcome = outcome_of((&mut self.receipt).await);
        self.note(outcome);
        outcome
    }
}

impl<R> Waiting<R> {
    fn note(&mut self, outcome: Outcome) {
        let Some(claims) = self.claims.take() else { return };
        self.metrics.in_flight.dec_by(i64::from(self.entries));
        self.metrics.publish_seconds.observe(self.started.elapsed().as_secs_f64());
        claims.settle(outcome);
    }
}

impl<R> Drop for Waiting<R> {
    fn drop(&mut self) {
        self.note(Outcome::Unknown(Failure::new(Cause::OutcomeUnknown)));
    }
}

fn outcome_of(result: Result<Published, PublishError>) -> Outcome {
    match result {
        Ok(published) => Outcome::Published { sequence: published.sequence },
        Err(error) => {
            tell(&error);
            Outcome::from(&error)
        }
    }
}

/// One place for each kind: one that callers cause all the time does not keep another out of the log.
fn tell(error: &PublishError) {
    match error.kind {
        PublishErrorKind::NotSent => warn!(recurs = Empty, %error, "launches were not sent"),
        PublishErrorKind::Unknown => warn!(recurs = Empty, %error, "it is not known whether launches are on the log"),
        PublishErrorKind::LogFull => warn!(recurs = Empty, %error, "launches are refused"),
        PublishErrorKind::Refused => warn!(recurs = Empty, %error, "the log refused launches"),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Pending, pending};

    use ledger::Fingerprint;
    use prometheus_client::registry::Registry;
    use protocol::deduplication::Claimed;

    use super::*;
    use crate::recent::{Claim, RecentConfig};

    type Silence = Pending<Result<Published, PublishError>>;

    /// A batch that its lane never answers, its flight, and the count of launches in the lanes.
    fn unanswered(recent: &Arc<Recent>, number: u8) -> (Sent<Silence>, Arc<Flight>, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::register(&mut Registry::default()));
        let mut claims = Claims::new(Arc::clone(recent));
        let launch = Claimed { key: Fingerprint([number; 16]), content: Fingerprint([number; 16]) };
        let Claim::New { slot } = recent.claim(launch, claims.flight()) else { panic!("it is claimed already") };
        claims.push(Held { launch, slot });
        let flight = Arc::clone(claims.flight());
        metrics.in_flight.inc();
        let waiting = Waiting {
            receipt: pending(),
            claims: Some(claims),
            metrics: Arc::clone(&metrics),
            started: Instant::now(),
            entries: 1,
        };
        (Sent(Some(waiting)), flight, metrics)
    }

    fn is_unknown(flight: &Flight) -> bool {
        matches!(flight.outcome(), Some(Outcome::Unknown(_)))
    }

    #[test]
    fn a_runtime_that_ends_leaves_what_was_sent_unknown() {
        let recent = Arc::new(Recent::new(RecentConfig::default()));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let sent: Vec<_> = (0..8).map(|number| unanswered(&recent, number)).collect();
        let flights: Vec<_> =
            sent.iter().map(|(_, flight, metrics)| (Arc::clone(flight), Arc::clone(metrics))).collect();
        // Half of them are left behind by their request before the runtime ends, half go away with it.
        let (waiting, left) =
            sent.into_iter().map(|(sent, ..)| sent).enumerate().partition::<Vec<_>, _>(|(at, _)| at % 2 == 0);
        runtime.block_on(async move {
            drop(left);
            waiting.into_iter().for_each(|(_, sent)| drop(tokio::spawn(sent.outcome())));
            tokio::task::yield_now().await;
        });
        assert!(flights.iter().all(|(flight, _)| flight.outcome().is_none()), "they wait as long as the runtime lives");
        drop(runtime);
        for (flight, metrics) in flights {
            assert!(is_unknown(&flight));
            assert_eq!(metrics.in_flight.get(), 0);
        }
    }

    #[test]
    fn without_a_runtime_what_was_sent_is_unknown_at_once() {
        let recent = Arc::new(Recent::new(RecentConfig::default()));
        let (sent, flight, _) = unanswered(&recent, 1);
        drop(sent);
        assert!(is_unknown(&flight));
    }
}
