//! `/health/live`, `/health/ready` and `/metrics`: the same three paths on every service.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::json;

use crate::{
    http::{Answered, json},
    problem::{Problem, kinds},
};

/// The media type of the OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Check = dyn Fn() -> Result<(), String> + Send + Sync;
type Remark = dyn Fn() -> Option<String> + Send + Sync;

/// Tells whether the service can do its work now. The check is asked on every request, so it must be quick: let a
/// background task look at the log or the store, and let the check report what it saw.
#[derive(Clone)]
pub struct Readiness {
    check: Arc<Check>,
    remark: Arc<Remark>,
}

impl Readiness {
    /// Readiness by a check that answers at once: `Err` holds a sentence for a person.
    pub fn new(check: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { check: Arc::new(check), remark: Arc::new(|| None) }
    }

    /// The same, with what an operator should know although the service does most of its work: it stands beside "ready".
    #[must_use]
    pub fn with_remark(self, remark: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self { remark: Arc::new(remark), ..self }
    }

    /// Whether the service can do its work now.
    ///
    /// # Errors
    /// The sentence that says why not.
    pub fn check(&self) -> Result<(), String> {
        (self.check)()
    }
}

/// The routes. `/health/live` answers as long as the process serves requests at all; `/health/ready` is 503 while the
/// check says no.
pub fn router(readiness: Readiness, registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/health/live", get(async || json(StatusCode::OK, &json!({"status": "live"}))))
        .route("/health/ready", get(ready).with_state(readiness))
        .route("/metrics", get(metrics).with_state(registry))
}

async fn ready(State(readiness): State<Readiness>) -> Answered {
    match readiness.check() {
        Ok(()) => {
            let state = match (readiness.remark)() {
                None => json!({"status": "ready"}),
                Some(remark) => json!({"status": "ready", "detail": remark}),
            };
            json(StatusCode::OK, &state)
        }
        Err(why) => {
            let state = json!({"status": "not ready", "detail": why});
            let mut answer = json(StatusCode::SERVICE_UNAVAILABLE, &state)?;
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            Ok(answer)
        }
    }
}

async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => Problem::new(kinds::INTERNAL, error.to_string()).into_response(),
    }
}
