//! Metrics that every service has: answers by route and status, and how long they took.
//!
//! Looking a route up costs two uncontended read locks and no allocation: cached reads answer in microseconds.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

/// Seconds: from a cached read to the longest wait that a caller may ask for.
pub const LATENCY_BUCKETS_S: [f64; 16] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The label of requests that no route took: one for all, or strangers could make metrics without a bound.
const UNMATCHED: &str = "unmatched";

/// A registry whose metrics begin with `saldo_`. Each service gets its own.
pub fn registry() -> Registry {
    Registry::with_prefix("saldo")
}

/// A histogram of seconds with [`LATENCY_BUCKETS_S`].
pub fn latency_histogram() -> Histogram {
    Histogram::new(LATENCY_BUCKETS_S)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    route: Arc<str>,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: Arc<str>,
}

/// Counts answers and measures their time by route.
#[derive(Clone)]
pub struct HttpMetrics {
    answers: Family<AnswerLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    routes: Arc<RwLock<HashMap<Arc<str>, Arc<Route>>>>,
}

/// A route that is looked up once.
#[derive(Default)]
pub struct KnownRoute(OnceLock<Arc<Route>>);

struct Route {
    name: Arc<str>,
    seconds: Histogram,
    by_status: RwLock<Vec<(u16, Counter)>>,
}

impl HttpMetrics {
    /// Makes the metrics `http_answers_total` and `http_answer_seconds` and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let answers = Family::default();
        let seconds: Family<_, _, fn() -> Histogram> = Family::new_with_constructor(latency_histogram);
        registry.register("http_answers", "Answers by route and status", answers.clone());
        registry.register("http_answer_seconds", "Time from the head of a request to its answer", seconds.clone());
        Self { answers, seconds, routes: Arc::default() }
    }

    /// Notes an answer. `route` is the pattern that matched, never the path itself.
    pub fn note(&self, route: Option<&str>, status: u16, elapsed: Duration) {
        let name = route.unwrap_or(UNMATCHED);
        // Counted under the lock: a clone would be one more thing that all cores count up and down.
        if let Some(route) = self.routes.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return self.count(route, status, elapsed);
        }
        self.count(&self.add_route(name), status, elapsed);
    }

    /// The same for a route that is always `route`: looked up with the first answer, so that there is none before.
    pub fn note_known(&self, known: &KnownRoute, route: &str, status: u16, elapsed: Duration) {
        self.count(known.0.get_or_init(|| self.add_route(route)), status, elapsed);
    }

    fn count(&self, route: &Route, status: u16, elapsed: Duration) {
        route.seconds.observe(elapsed.as_secs_f64());
        let known = route.by_status.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, counter)) = known.iter().find(|(known, _)| *known == status) {
            counter.inc();
            return;
        }
        drop(known);
        self.add_status(route, status).inc();
    }

    fn add_route(&self, name: &str) -> Arc<Route> {
        let name: Arc<str> = name.into();
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let seconds = self.seconds.get_or_create(&RouteLabels { route: Arc::clone(&name) }).clone();
            Arc::new(Route { name: Arc::clone(&name), seconds, by_status: RwLock::default() })
        };
        Arc::clone(routes.entry(Arc::clone(&name)).or_insert_with(make))
    }

    fn add_status(&self, route: &Route, status: u16) -> Counter {
        let counter = self.answers.get_or_create_owned(&AnswerLabels { route: Arc::clone(&route.name), status });
        let mut list = route.by_status.write().unwrap_or_else(PoisonError::into_inner);
        if !list.iter().any(|(known, _)| *known == status) {
            list.push((status, counter.clone()));
        }
        counter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_route_and_status() {
        let mut registry = registry();
        let metrics = HttpMetrics::register(&mut registry);
        for status in [200, 200, 404] {
            metrics.note(Some("/v1/launches"), status, Duration::from_millis(3));
        }
        metrics.note(None, 404, Duration::ZERO);
        let known = KnownRoute::default();
        for status in [200, 429] {
            metrics.note_known(&known, "/v1/launches", status, Duration::ZERO);
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("saldo_http_answers_total{route=\"/v1/launches\",status=\"200\"} 3"), "{text}");
        assert!(text.contains("saldo_http_answers_total{route=\"/v1/launches\",status=\"429\"} 1"), "{text}");
        assert!(text.contains("saldo_http_answers_total{route=\"/v1/launches\",status=\"404\"} 1"), "{text}");
        assert!(text.contains("saldo_http_answers_total{route=\"unmatched\",status=\"404\"} 1"), "{text}");
        assert!(text.contains("saldo_http_answer_seconds_count{route=\"/v1/launches\"} 5"), "{text}");
    }
}
