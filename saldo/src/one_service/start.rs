//! What a service waits for before it works, and how it says so.

use std::{
    fmt::Display,
    sync::{Arc, Mutex, PoisonError},
};

use nats::{Client, ClientConfig, Leases, Log, LogError, NatsError, Parked};
use retry::{Backoff, RetryError, Shutdown, retry};
use service::{
    HttpMetrics, ProblemKind, Readiness,
    http::{RouterOnly, Routes},
};
use store::{ScyllaConfig, ScyllaStore, Store, StoreError};

use crate::nats_client;

/// Delays between attempts at the start.
const FIRST_DELAY_MS: u64 = 100;
const LONGEST_DELAY_MS: u64 = 5_000;

/// A start that is under way.
pub(super) struct Start {
    shutdown: Shutdown,
    /// Why the service does not work yet.
    why: Arc<Mutex<String>>,
}

impl Start {
    pub(super) fn new(shutdown: Shutdown) -> Self {
        Self { shutdown, why: Arc::new(Mutex::new("starting".to_owned())) }
    }

    /// Health and metrics; everything else is not available.
    pub(super) fn routes(&self, kind: ProblemKind) -> Routes<RouterOnly> {
        let why = Arc::clone(&self.why);
        let readiness = Readiness::new(move || Err(why.lock().unwrap_or_else(PoisonError::into_inner).clone()));
        let mut registry = service::metrics::registry();
        let metrics = HttpMetrics::register(&mut registry);
        service::http::waiting(kind, metrics, readiness, Arc::new(registry))
    }

    pub(super) async fn reach_nats(&self, config: &ClientConfig) -> anyhow::Result<Client> {
        Ok(self.retry("connecting to NATS", NatsError::retry_helps, async || Client::connect(config).await).await?)
    }

    /// Opens the log that somebody has made.
    pub(super) async fn open_log(&self, client: &Client) -> anyhow::Result<Log> {
        let open = async || Log::open(client, nats_client::STREAM_EPOCH).await;
        Ok(self.retry("opening the log", LogError::retry_helps, open).await?)
    }

    pub(super) async fn open_parked(&self, client: &Client) -> anyhow::Result<Parked> {
        let open = async || Parked::open(client).await;
        Ok(self.retry("opening the parked stream", LogError::retry_helps, open).await?)
    }

    pub(super) async fn open_leases(&self, client: &Client, epoch: u8) -> anyhow::Result<Leases> {
        let open = async || Leases::open(client, epoch).await;
        Ok(self.retry("opening the bucket of leases", LogError::retry_helps, open).await?)
    }

    pub(super) async fn connect_store(&self, config: &ScyllaConfig) -> anyhow::Result<Arc<dyn Store>> {
        let connect = async || ScyllaStore::connect(config.clone()).await;
        Ok(Arc::new(self.retry("connecting to the CQL store", StoreError::retry_helps, connect).await?))
    }

    /// As often as it takes.
    async fn retry<T, E: Display>(
        &self,
        what: &str,
        retry_helps: impl Fn(&E) -> bool,
        operation: impl AsyncFn() -> Result<T, E>,
    ) -> Result<T, RetryError<E>> {
        self.note(what.to_owned());
        let noted = || async { operation().await.inspect_err(|error| self.note(format!("{what} failed: {error}"))) };
        retry(what, &mut Backoff::new(FIRST_DELAY_MS, LONGEST_DELAY_MS), &self.shutdown, retry_helps, noted).await
    }

    fn note(&self, why: String) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}
