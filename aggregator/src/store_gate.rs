//! The way to the store: backoff for each caller, one circuit breaker for all lanes.
//!
//! A call is made again, with the same bytes, until the store takes it. While the store is down every lane would ask it
//! again and again; the breaker lets one of them try.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use retry::{Backoff, BreakerSettings, BreakerState, CircuitBreaker, Shutdown};
use store::{Store, StoreError, StoreErrorKind};
use tokio::sync::Notify;
use tracing::{field::Empty, info, warn};

use crate::{metrics::LaneMetrics, status::LaneStatus};

/// The first delay: most failures of a store are over at once.
const FIRST_DELAY_MS: u64 = 20;
/// The longest delay: so long a store that has come back may stay unnoticed.
const LONGEST_DELAY_MS: u64 = 3_000;
/// Five failures in a row, of whichever lanes, are no coincidence.
const BREAKER: BreakerSettings = BreakerSettings { failures_to_open: 5, open_ms: 500, max_open_ms: 3_000 };

/// Why a call will not succeed however often it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GateError {
    /// The store is not the one that the worker's rows came from any more.
    Lost(String),
    /// What is stored cannot be read, or does not belong here.
    Refused(String),
    /// The shutdown began before the store took it.
    ShutDown,
}

/// The store behind its breaker; shared by all lanes.
pub(crate) struct StoreGate {
    store: Arc<dyn Store>,
    breaker: Mutex<CircuitBreaker>,
    /// Ends every pause: the store answers again.
    recovered: Notify,
    started: Instant,
}

/// Who calls: where failures are told.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) partition: u16,
    pub(crate) metrics: &'a LaneMetrics,
    pub(crate) status: &'a LaneStatus,
    /// Ends every pause of this caller.
    pub(crate) shutdown: &'a Shutdown,
}

impl StoreGate {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let breaker = Mutex::new(CircuitBreaker::new(BREAKER));
        Self { store, breaker, recovered: Notify::new(), started: Instant::now() }
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Makes a call until it succeeds.
    ///
    /// # Errors
    /// [`GateError`]: another attempt would not help, or must not be made.
    pub(crate) async fn call<T, F, Fut>(&self, caller: Caller<'_>, what: &str, operation: F) -> Result<T, GateError>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, StoreError>>,
    {
        let mut backoff = Backoff::new(FIRST_DELAY_MS, LONGEST_DELAY_MS);
        loop {
            self.wait_for_permission(caller).await?;
            let error = match operation().await {
                Ok(value) => {
                    self.succeeded(caller);
                    return Ok(value);
                }
                Err(error) => error,
            };
            if error.kind == StoreErrorKind::Unavailable {
                // While the breaker is open its wait is enough: both together would find the store's return late.
                if self.failed(caller, what, &error) == BreakerState::Closed {
                    self.pause(caller, backoff.next_delay()).await?;
                }
                continue;
            }
            // A clear answer, though not the wanted one: the lanes need not go on waiting for the store.
            self.succeeded(caller);
            return Err(if error.kind == StoreErrorKind::Lost {
                GateError::Lost(error.message)
            } else {
                GateError::Refused(error.message)
            });
        }
    }

    async fn wait_for_permission(&self, caller: Caller<'_>) -> Result<(), GateError> {
        loop {
            let now_ms = self.now_ms();
            let wait_ms = {
                let mut breaker = self.breaker();
                let is_allowed = breaker.allows(now_ms);
                caller.metrics.set_breaker(breaker.state());
                if is_allowed { 0 } else { breaker.retry_after_ms(now_ms).max(1) }
            };
            if wait_ms == 0 {
                return Ok(());
            }
            self.pause(caller, Duration::from_millis(wait_ms)).await?;
        }
    }

    async fn pause(&self, caller: Caller<'_>, duration: Duration) -> Result<(), GateError> {
        tokio::select! {
            is_over = caller.shutdown.sleep(duration) => if is_over { Ok(()) } else { Err(GateError::ShutDown) },
            () = self.recovered.notified() => Ok(()),
        }
    }

    fn succeeded(&self, caller: Caller<'_>) {
        let mut breaker = self.breaker();
        if breaker.state() != BreakerState::Closed {
            info!(partition = caller.partition, "the store answers again");
            self.recovered.notify_waiters();
        }
        breaker.on_success();
        caller.metrics.set_breaker(breaker.state());
        caller.status.store_answered(None);
    }

    /// Notes a failure; how the breaker stands after it.
    fn failed(&self, caller: Caller<'_>, what: &str, error: &StoreError) -> BreakerState {
        warn!(recurs = Empty, partition = caller.partition, %error, "the store failed to {what}, trying again");
        let now_ms = self.now_ms();
        let mut breaker = self.breaker();
        breaker.on_failure(now_ms);
        caller.metrics.set_breaker(breaker.state());
        caller.metrics.store_failed();
        caller.status.store_answered(Some(error.message.clone()));
        breaker.state()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn breaker(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use store::{EmbeddedConfig, EmbeddedStore};

    use super::*;
    use crate::metrics::Metrics;

    /// Otherwise the breaker stays half-open, and each of the other lanes waits seconds for a trial of its own.
    #[tokio::test]
    async fn a_store_that_was_reopened_is_well_for_all_lanes() {
        let folder = testkit::temp_folder().unwrap();
        let store = Arc::new(EmbeddedStore::open(EmbeddedConfig::new(folder.path().join("store"))).unwrap());
        let gate = StoreGate::new(store);
        let metrics = LaneMetrics::new(&Metrics::register(&mut service::metrics::registry()), 0);
        let status = LaneStatus::new(0);
        let shutdown = Shutdown::new();
        let caller = Caller { partition: 0, metrics: &metrics, status: &status, shutdown: &shutdown };
        let calls = AtomicU32::new(0);
        let outcome: Result<(), GateError> = gate
            .call(caller, "commit", async || {
                let is_down = calls.fetch_add(1, Relaxed) < BREAKER.failures_to_open;
                let kind = if is_down { StoreErrorKind::Unavailable } else { StoreErrorKind::Lost };
                Err(StoreError::new(kind, "as the test asked"))
            })
            .await;
        assert_eq!(outcome, Err(GateError::Lost("as the test asked".to_owned())));
        assert_eq!(gate.breaker().state(), BreakerState::Closed);
    }
}
