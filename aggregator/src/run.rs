//! The service: all its lanes, and its HTTP server.

use std::sync::Arc;

use anyhow::Context;
use nats::{Changes, Log, Parked};
use protocol::worker::{FOLD_VERSION, WorkerConfig};
use retry::{Backoff, RetryError, Shutdown, retry};
use store::{GenerationRecord, Store, StoreError};
use tokio::{net::TcpListener, task::JoinSet};
use tracing::info;

use crate::{
    AggregatorConfig, http,
    lane::Lane,
    metrics::{LaneMetrics, Metrics},
    status::{self, LaneStatus},
    store_gate::StoreGate,
};

/// Delays between attempts to open the store at the start.
const OPEN_DELAYS_MS: (u64, u64) = (50, 3_000);
/// Nobody asked it to: a fault of ours.
const ENDED: &str = "a part of the aggregator ended by itself";

/// What an aggregator works with.
#[derive(Clone)]
pub struct Dependencies {
    /// The log, checked.
    pub log: Log,
    /// Where change notices are published.
    pub changes: Changes,
    /// Where bad lines are kept.
    pub parked: Parked,
    /// Where rows are kept.
    pub store: Arc<dyn Store>,
}

/// Works on the lanes and answers health and metrics on `listener`, until the shutdown begins: then the commits in flight
/// are finished, within the shutdown's deadline. Dropping the future is a crash, which loses nothing.
///
/// A lane whose log and store do not belong together stops with an error in the log, readiness and metrics, while the others
/// go on. It looks at both again every [`AggregatorConfig::refused_retry_ms`].
///
/// # Errors
/// The store was filled by other rules, or a part of the service ended by itself.
pub async fn run(
    config: AggregatorConfig,
    listener: TcpListener,
    dependencies: Dependencies,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let partitions = config.workers.lanes(dependencies.log.identity().partitions);
    let statuses: Vec<_> = partitions.iter().map(|partition| Arc::new(LaneStatus::new(*partition))).collect();
    let mut registry = service::metrics::registry();
    let metrics = Metrics::register(&mut registry);
    let router = http::router(registry, status::readiness(statuses.clone()));

    let mut parts = JoinSet::new();
    let server = service::serve(listener, router, shutdown.clone(), config.http.clone());
    parts.spawn(async move { server.await.context("the HTTP server failed") });
    if let Some(generation) = open_generation(dependencies.store.as_ref(), &shutdown).await? {
        info!(?partitions, generation = generation.generation, "working");
        let lanes = Lanes { config: Arc::new(config), dependencies, metrics, generation, shutdown: shutdown.clone() };
        lanes.spawn(statuses, &mut parts);
    }
    while let Some(ended) = parts.join_next().await {
        ended.context(ENDED)??;
        anyhow::ensure!(shutdown.is_begun(), ENDED);
    }
    Ok(())
}

/// The record of what the store holds; `None` when the shutdown began before the store answered.
async fn open_generation(store: &dyn Store, shutdown: &Shutdown) -> anyhow::Result<Option<GenerationRecord>> {
    let mut backoff = Backoff::new(OPEN_DELAYS_MS.0, OPEN_DELAYS_MS.1);
    let retry_helps = |error: &StoreError| error.retry_helps();
    let opened =
        retry("opening the store", &mut backoff, shutdown, retry_helps, || store.open_generation(FOLD_VERSION));
    match opened.await {
        Ok(generation) => Ok(Some(generation)),
        Err(RetryError::ShutDown(_)) => Ok(None),
        Err(RetryError::Permanent(error)) => Err(error).context("the store cannot be used"),
    }
}

/// What all lanes have in common.
struct Lanes {
    config: Arc<AggregatorConfig>,
    dependencies: Dependencies,
    metrics: Metrics,
    generation: GenerationRecord,
    shutdown: Shutdown,
}

impl Lanes {
    /// Starts a worker for each of `statuses`.
    fn spawn(self, statuses: Vec<Arc<LaneStatus>>, parts: &mut JoinSet<anyhow::Result<()>>) {
        let gate = Arc::new(StoreGate::new(Arc::clone(&self.dependencies.store), self.shutdown.clone()));
        let worker = self.worker_config(statuses.len());
        for status in statuses {
            let lane = Lane {
                generation: self.generation.generation,
                worker: worker.clone(),
                config: Arc::clone(&self.config),
                dependencies: self.dependencies.clone(),
                gate: Arc::clone(&gate),
                metrics: LaneMetrics::new(&self.metrics, status.partition()),
                status,
                shutdown: self.shutdown.clone(),
            };
            parts.spawn(async move {
                Arc::new(lane).work().await;
                Ok(())
            });
        }
    }

    fn worker_config(&self, lanes: usize) -> WorkerConfig {
        WorkerConfig {
            atomic_commits: self.dependencies.store.commits_atomically(),
            checkpoint_lag_ms: self.dependencies.store.checkpoint_lag_ms(),
            read_ahead_bytes: self.config.read_ahead_bytes / lanes.max(1),
            memory_bytes: self.config.memory_bytes / lanes.max(1),
            ..WorkerConfig::default()
        }
    }
}
