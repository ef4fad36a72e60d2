//! What the aggregator answers by HTTP: `/health/live`, `/health/ready` and `/metrics`, nothing else.

use std::sync::Arc;

use axum::Router;
use prometheus_client::registry::Registry;
use service::{HttpMetrics, Readiness, http::Routes};

/// The routes.
pub(crate) fn router(mut registry: Registry, readiness: Readiness) -> Routes {
    let metrics = HttpMetrics::register(&mut registry);
    service::http::finish(Router::new(), metrics, readiness, Arc::new(registry))
}
