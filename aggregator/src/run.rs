//! The service: all its lanes, and its HTTP server.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use nats::{Changes, Leases, Log, Parked};
use protocol::worker::FOLD_VERSION;
use retry::{Backoff, RetryError, Shutdown, retry};
use store::{GenerationRecord, Store, StoreError};
use tokio::{net::TcpListener, task::JoinSet, time::Instant};
use tracing::info;

use crate::{
    AggregatorConfig, http,
    keeper::Keeper,
    lanes::{Equipment, Lanes, Statuses},
    log_watch::LogWatch,
    metrics::{LaneMetrics, Metrics},
    status,
    store_gate::StoreGate,
    strays::{self, STRAY_PARTITION},
    threads::{Places, Threads},
    voice::Voice,
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
    /// Where aggregators that share the log and the store say who works on which lanes. Without it this one works on the
    /// lanes of its configuration.
    pub leases: Option<Leases>,
    /// Where lanes work when other services share the cores. Without it they work where the service runs.
    pub threads: Option<Threads>,
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
    let statuses = Statuses::default();
    let mut registry = service::metrics::registry();
    let metrics = Metrics::register(&mut registry);
    let threads = dependencies.threads.clone().map(|threads| (threads, Metrics::register_modes(&mut registry)));
    let (log_watch, log_health) = LogWatch::new(dependencies.log.clone(), &mut registry);
    let router = http::router(registry, status::readiness(statuses.clone(), log_health.clone()));

    let mut parts = JoinSet::new();
    let server = service::serve(listener, router, shutdown.clone(), config.http.clone());
    parts.spawn(async move { server.await.context("the HTTP server failed") });
    parts.spawn(log_watch.run(shutdown.clone()));
    if let Some(generation) = open_generation(dependencies.store.as_ref(), &shutdown).await? {
        let gate = Arc::new(StoreGate::new(Arc::clone(&dependencies.store)));
        let generation = generation.generation;
        parts.spawn(strays::park(dependencies.clone(), LaneMetrics::new(&metrics, STRAY_PARTITION), shutdown.clone()));
        let places = Places::new(threads, &dependencies.log, statuses.clone());
        let equipment =
            Equipment { config: Arc::new(config), dependencies, metrics, gate, generation, places, log_health };
        parts.spawn(work(equipment, statuses, shutdown.clone()));
    }
    while let Some(ended) = parts.join_next().await {
        ended.context(ENDED)??;
        anyhow::ensure!(shutdown.is_begun(), ENDED);
    }
    Ok(())
}

/// Works on the lanes that are this instance's.
async fn work(equipment: Equipment, statuses: Statuses, shutdown: Shutdown) -> anyhow::Result<()> {
    let partitions = equipment.dependencies.log.identity().partitions;
    let (config, metrics) = (Arc::clone(&equipment.config), equipment.metrics.clone());
    match equipment.dependencies.leases.clone() {
        Some(leases) => {
            let lanes = Lanes::new(equipment, statuses.clone(), partitions.into());
            let keeper = Keeper::new(leases, config.leases.clone(), partitions, lanes, statuses, metrics);
            keeper.run(shutdown).await
        }
        None => {
            let chosen = config.workers.lanes(partitions);
            info!(partitions = ?chosen, generation = equipment.generation, "working");
            let lanes = Lanes::new(equipment, statuses.clone(), chosen.len());
            statuses.decided();
            work_on(lanes, &chosen, shutdown).await
        }
    }
}

/// Works on the same lanes until the shutdown.
async fn work_on(mut lanes: Lanes, chosen: &[u16], shutdown: Shutdown) -> anyhow::Result<()> {
    for partition in chosen {
        lanes.begin(*partition, Voice::default());
    }
    tokio::select! {
        ended = lanes.ended() => {
            ended?;
            anyhow::bail!(ENDED)
        }
        () = shutdown.begun() => {}
    }
    let left =
        shutdown.deadline().map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(Instant::now()));
    lanes.stop(left).await
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
