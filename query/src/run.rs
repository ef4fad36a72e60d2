//! The service as a whole: wired, served, stopped.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use retry::Shutdown;
use service::{Authenticator, HttpMetrics, Readiness};
use store::Store;
use tokio::net::TcpListener;

use crate::{
    config::QueryConfig,
    http,
    lanes::Clock,
    metrics::{LaneGauges, ReadMetrics},
    reader::Reader,
    upkeep::{StoreHealth, Upkeep},
};

/// Serves readers on `listener` until the shutdown, then drains. Store and NATS may be away at the start and at any time:
/// requests are answered as far as the protocol allows.
///
/// # Errors
/// The listener can be reached by callers who are not trusted, or the store was filled by other rules.
pub async fn run(
    config: QueryConfig,
    listener: TcpListener,
    store: Arc<dyn Store>,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let authenticator = Authenticator::without_credentials(listener.local_addr()?, config.trusted)?;
    let mut registry = service::metrics::registry();
    let http_metrics = HttpMetrics::register(&mut registry);
    let metrics = ReadMetrics::register(&mut registry);
    let reader = Arc::new(Reader::new(store, &config, metrics, shutdown.clone()));
    registry.register_collector(Box::new(LaneGauges::new(&reader)));
    let health = StoreHealth::new();
    let readiness = Readiness::new({
        let (health, reader) = (health.clone(), Arc::clone(&reader));
        move || health.get().and_then(|()| reader.check())
    });
    let api = http::Api { reader: Arc::clone(&reader), authenticator };
    let router = http::router(api.clone());
    let routes = service::http::finish(router, http_metrics, readiness, Arc::new(registry));
    let routes = routes.with_short_way(http::CachedDays(api));
    let limits = config.http.clone();
    let drain = Duration::from_millis(limits.drain_ms);
    let upkeep = Upkeep { config, reader, clock: Clock::start(), health, shutdown: shutdown.clone() };
    let keep_up = async {
        // Upkeep that fails ends the server, too.
        upkeep.run().await.inspect_err(|_| shutdown.begin(drain))
    };
    let serve = service::serve(listener, routes, shutdown.clone(), limits);
    let (served, kept_up) = tokio::join!(serve, keep_up);
    kept_up?;
    served.context("the HTTP server cannot run")
}
