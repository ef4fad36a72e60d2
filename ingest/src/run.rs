//! The service: start, serve, stop.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use nats::{Client, Log, Publisher};
use prometheus_client::registry::Registry;
use retry::Shutdown;
use service::{Authenticator, FairPool, HttpMetrics, Readiness};
use tokio::{net::TcpListener, runtime::Handle, task::JoinSet, time::Instant};

use crate::{
    clock::Clock,
    config::IngestConfig,
    http,
    metrics::Metrics,
    probe::{LogState, Probe},
    publish::Lanes,
    recent::Recent,
    shared::Shared,
    tenants::{Tenants, TenantsGauges, keep_fresh},
    warm::warm,
};

/// How long the lanes may take to empty when the shutdown names no time. Longer than a publish is tried.
const CLOSE_GRACE: Duration = Duration::from_secs(15);

/// What ingest is given.
pub struct Dependencies {
    /// The connection to NATS.
    pub client: Client,
    /// The log, made or checked.
    pub log: Log,
    /// This service's own metrics.
    pub registry: Registry,
    /// What time it is.
    pub clock: Clock,
    /// Where bulks are read: threads that may give way to those of everything else.
    pub bulks: Handle,
}

/// Serves `POST /v1/launches`, health and metrics on `listener` until `shutdown` begins; then finishes what it has taken
/// and returns.
///
/// # Errors
/// At start only: the listener can be reached by callers who are not trusted, the tenants' file is bad, or the listener is broken.
pub async fn run(
    config: IngestConfig,
    listener: TcpListener,
    dependencies: Dependencies,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let Dependencies { client, log, mut registry, clock, bulks } = dependencies;
    let address = listener.local_addr().context("the listener has no address")?;
    let authenticator = Authenticator::without_credentials(address, config.trusted)?;
    let tenants = Tenants::load(config.tenants.clone(), clock.clone())?;
    let (metrics, http_metrics) = (Arc::new(Metrics::register(&mut registry)), HttpMetrics::register(&mut registry));
    registry.register_collector(Box::new(TenantsGauges(tenants.clone())));
    let recent = Arc::new(Recent::new(config.recent.clone()));
    let publisher = Publisher::start(log.clone(), config.publisher.clone());
    let log_state = LogState::default();

    let mut tasks = JoinSet::new();
    tasks.spawn(keep_fresh(tenants.clone(), shutdown.clone()));
    tasks.spawn(warm_then_ready(log.clone(), Arc::clone(&recent), config.clone(), log_state.clone()));
    let settings = tenants.clone();
    let readiness = readiness(client, publisher.clone(), log_state.clone()).with_remark(move || settings.remark());
    let probe = Probe {
        log: log.clone(),
        recent: Arc::clone(&recent),
        metrics: Arc::clone(&metrics),
        state: log_state.clone(),
    };
    tasks.spawn(probe.run(shutdown.clone()));

    let shared = Arc::new(Shared {
        lanes: Lanes { publisher: publisher.clone(), recent, metrics },
        identity: log.identity().clone(),
        name: log.identity().name(),
        log: log.clone(),
        log_state,
        tenants,
        clock,
        authenticator,
        bulk_places: FairPool::new(config.bodies.max_bulks),
        body_room: http::BodyRoom::new(&config.bodies, config.http.max_connections),
        turns: FairPool::without_reserve(std::thread::available_parallelism().map_or(1, usize::from)),
        bulks,
        shutdown: shutdown.clone(),
        config: config.clone(),
    });
    let router = http::router(Arc::clone(&shared));
    let routes = service::http::finish(router, http_metrics, readiness, Arc::new(registry));
    let routes = routes.with_short_way(http::PlainPosts(shared));
    let served = service::serve(listener, routes, shutdown.clone(), config.http).await;
    publisher.close(shutdown.deadline().unwrap_or_else(|| Instant::now() + CLOSE_GRACE)).await;
    tasks.shutdown().await;
    served.context("cannot serve")
}

async fn warm_then_ready(log: Log, recent: Arc<Recent>, config: IngestConfig, state: LogState) {
    warm(log, recent, config.warm).await;
    state.warmed();
}

/// What is known at once without asking the server, and what the probe saw. The lanes come last: that they are not
/// acknowledged follows from what the probe knows the reason of, and they hide it nearly always while callers post.
fn readiness(client: Client, publisher: Publisher, log_state: LogState) -> Readiness {
    Readiness::new(move || {
        if !client.is_connected() {
            return Err("there is no connection to NATS".to_owned());
        }
        log_state.check()?;
        if !publisher.is_healthy() {
            return Err("JetStream does not acknowledge".to_owned());
        }
        Ok(())
    })
}
