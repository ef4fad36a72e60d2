//! What ingest counts. Bulks add up their lines first, so a line costs no metric.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use crate::flight::Cause;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabel {
    cause: &'static str,
}

/// The metrics of one ingest.
pub struct Metrics {
    accepted: Counter,
    duplicate: Counter,
    rejected: Family<ReasonLabel, Counter>,
    unavailable: Family<CauseLabel, Counter>,
    /// Time from handing a batch to its lane until the log has answered.
    pub publish_seconds: Histogram,
    /// Launches in a batch.
    pub batch_entries: Histogram,
    /// Launches handed to the lanes and not yet answered.
    pub in_flight: Gauge,
    /// Launches in the cache of recent ids.
    pub recent_entries: Gauge,
    /// Launches on their way or of unknown outcome.
    pub pending_entries: Gauge,
}

impl Metrics {
    /// Makes and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("ingest");
        let launches = Family::<OutcomeLabel, Counter>::default();
        let counter = |outcome| launches.get_or_create_owned(&OutcomeLabel { outcome });
        let metrics = Self {
            accepted: counter("accepted"),
            duplicate: counter("duplicate"),
            rejected: Family::default(),
            unavailable: Family::default(),
            publish_seconds: service::metrics::latency_histogram(),
            batch_entries: Histogram::new(exponential_buckets(1.0, 4.0, 7)),
            in_flight: Gauge::default(),
            recent_entries: Gauge::default(),
            pending_entries: Gauge::default(),
        };
        registry.register("launches", "Launches acknowledged, by outcome", launches.clone());
        registry.register("rejected", "Launches refused, by reason; conflicts are one", metrics.rejected.clone());
        registry.register("unavailable", "Requests answered 429 or 503, by cause", metrics.unavailable.clone());
        registry.register(
            "publish_seconds",
            "From a batch's lane to the log's answer",
            metrics.publish_seconds.clone(),
        );
        registry.register("batch_entries", "Launches in a batch", metrics.batch_entries.clone());
        registry.register("in_flight", "Launches in the lanes", metrics.in_flight.clone());
        registry.register("recent_entries", "Launches in the cache of recent ids", metrics.recent_entries.clone());
        registry.register("pending_entries", "Launches without a known outcome", metrics.pending_entries.clone());
        metrics
    }

    /// Counts acknowledged launches.
    pub fn acknowledged(&self, accepted: u64, duplicates: u64) {
        self.accepted.inc_by(accepted);
        self.duplicate.inc_by(duplicates);
    }

    /// Counts refused launches.
    pub fn rejected(&self, reason: &'static str, count: u64) {
        self.rejected.get_or_create(&ReasonLabel { reason }).inc_by(count);
    }

    /// Counts a request that had to be sent away.
    pub fn unavailable(&self, cause: Cause) {
        self.unavailable.get_or_create(&CauseLabel { cause: cause.label() }).inc();
    }
}
