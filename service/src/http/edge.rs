//! The outermost layer of every route: request id, panics, problems with their request id, metrics and the access log.

use std::{
    io::Write,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Uri},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;

use super::Routes;
use crate::{
    health::{self, Readiness},
    metrics::HttpMetrics,
    problem::{Pending, Problem, ProblemKind, kinds},
};

/// The request id's header, taken over from the caller if it is sane, and on every answer.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken over from a caller.
const MAX_REQUEST_ID_BYTES: usize = 64;
/// Two numbers of 64 bits in hexadecimal digits, and what stands between them.
const MADE_ID_BYTES: usize = 33;

/// Adds to the service's own routes what every service has: `/health/…`, `/metrics`, problems for unknown paths and
/// methods, and the edge. Every answer then has a request id, every refusal is a problem, and a panic is a 500 of its own
/// request only.
pub fn finish(
    router: Router,
    metrics: HttpMetrics,
    readiness: Readiness,
    registry: Arc<prometheus_client::registry::Registry>,
) -> Routes {
    finish_with(router, metrics, readiness, registry, Problem::new(kinds::NOT_FOUND, "no such path"))
}

/// The routes of a service that waits for what it works with: health and metrics, and for everything else that it is not available.
pub fn waiting(
    kind: ProblemKind,
    metrics: HttpMetrics,
    readiness: Readiness,
    registry: Arc<prometheus_client::registry::Registry>,
) -> Routes {
    let problem = Problem::new(kind, "the service is starting; nothing of this was done").retry_after(1);
    finish_with(Router::new(), metrics, readiness, registry, problem)
}

fn finish_with(
    router: Router,
    metrics: HttpMetrics,
    readiness: Readiness,
    registry: Arc<prometheus_client::registry::Registry>,
    elsewhere: Problem,
) -> Routes {
    let edge = Arc::new(Edge { metrics, ids: RequestIds::new() });
    let router = router
        .merge(health::router(readiness, registry))
        .fallback(async move || elsewhere.clone())
        .method_not_allowed_fallback(async || Problem::new(kinds::METHOD_NOT_ALLOWED, "see the Allow header"))
        .layer(from_fn_with_state(Arc::clone(&edge), through));
    Routes::new(router, edge)
}

/// Shared as one: what is counted up and down with every request is a line of memory that the cores take from each other.
pub(super) struct Edge {
    metrics: HttpMetrics,
    ids: RequestIds,
}

/// A request whose answer is still to be made.
pub(super) struct Begun {
    started: Instant,
    id: HeaderValue,
    /// For the access log, where it is written.
    line: Option<(Method, Uri)>,
}

/// The router's way: the handlers with what every answer has.
async fn through(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let begun = edge.begin(&request);
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut answer = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(answer) => answer,
        Err(_panic) => begun.panicked().into_response(),
    };
    if let Some(Pending(problem)) = answer.extensions_mut().remove() {
        answer = keep_headers(&answer, problem.to_response(begun.id()).map(Body::new));
    }
    edge.end(begun, &mut answer, |metrics, status, elapsed| {
        metrics.note(route.as_ref().map(MatchedPath::as_str), status, elapsed);
    });
    answer
}

impl Edge {
    pub(super) fn begin<B>(&self, request: &Request<B>) -> Begun {
        let started = Instant::now();
        let id = self.ids.of(request.headers());
        let line = tracing::enabled!(tracing::Level::DEBUG).then(|| (request.method().clone(), request.uri().clone()));
        Begun { started, id, line }
    }

    /// Counts the answer and gives it its request id. `note` counts it under its route, given its status and its time.
    pub(super) fn end<B>(
        &self,
        begun: Begun,
        answer: &mut Response<B>,
        note: impl FnOnce(&HttpMetrics, u16, Duration),
    ) {
        let Begun { started, id, line } = begun;
        let (status, elapsed) = (answer.status().as_u16(), started.elapsed());
        note(&self.metrics, status, elapsed);
        if let Some((method, uri)) = line {
            let duration_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
            tracing::debug!(http.method = %method, http.path = uri.path(), http.status = status, duration_us, request.id = id.to_str().unwrap_or_default());
        }
        answer.headers_mut().insert(REQUEST_ID_HEADER, id);
    }
}

impl Begun {
    /// The request id, for those who write it into the answer's text.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.to_str().ok()
    }

    /// The panic's text went to standard error by the panic hook; the caller learns only that it was our fault.
    pub(super) fn panicked(&self) -> Problem {
        tracing::error!(request.id = self.id().unwrap_or_default(), "a handler panicked");
        Problem::new(kinds::INTERNAL, "the request met a fault of the service; its id leads to the log")
    }
}

/// Headers that a handler or the router added to a problem, such as `Allow`, outlive its rendering.
fn keep_headers(first: &Response, mut rendered: Response) -> Response {
    for (name, value) in first.headers() {
        if name != axum::http::header::CONTENT_LENGTH && !rendered.headers().contains_key(name) {
            rendered.headers_mut().append(name, value.clone());
        }
    }
    rendered
}

/// Makes request ids: random for the process, counted within it.
struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    fn new() -> Self {
        Self { process: rand::random(), next: AtomicU64::new(0) }
    }

    fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let sane = |value: &&HeaderValue| {
            let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(byte);
            (1..=MAX_REQUEST_ID_BYTES).contains(&value.len()) && value.as_bytes().iter().all(allowed)
        };
        headers.get(REQUEST_ID_HEADER).filter(sane).cloned().unwrap_or_else(|| self.make())
    }

    fn make(&self) -> HeaderValue {
        let mut text = [0; MADE_ID_BYTES];
        let mut rest = text.as_mut_slice();
        // The space is that of the longest id.
        let _written = write!(rest, "{:016x}-{:x}", self.process, self.next.fetch_add(1, Relaxed));
        let unused = rest.len();
        HeaderValue::from_bytes(&text[..MADE_ID_BYTES - unused]).unwrap_or(HeaderValue::from_static("unknown"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sane_ids_are_taken_over_and_others_replaced() {
        let ids = RequestIds::new();
        let of = |value: &'static str| {
            let headers = HeaderMap::from_iter([(REQUEST_ID_HEADER, HeaderValue::from_static(value))]);
            ids.of(&headers)
        };
        assert_eq!(of("trace-1.2:3_x"), "trace-1.2:3_x");
        for insane in ["", "a b", "\"quoted\"", "<script>"] {
            assert_ne!(of(insane), insane);
        }
        assert_ne!(ids.of(&HeaderMap::new()), ids.of(&HeaderMap::new()));
    }
}
