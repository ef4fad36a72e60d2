//! What a scrape sees of reads, fills, notices and lanes, besides the answers by route.

use std::sync::{Arc, Weak};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::Counter, gauge::ConstGauge},
    registry::Registry,
};

use crate::{lanes::Lane, reader::Reader};

/// Counters of the reading half.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadMetrics {
    pub(crate) cached: Counter,
    pub(crate) joined: Counter,
    pub(crate) filled: Counter,
    pub(crate) bypassed: Counter,
    pub(crate) waits: Counter,
    pub(crate) given_up: Counter,
    pub(crate) notices: Counter,
    pub(crate) ignored_notices: Counter,
    pub(crate) gaps: Counter,
    pub(crate) losses: Counter,
    pub(crate) dropped: Counter,
    pub(crate) store_errors: Counter,
}

impl ReadMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let mut add = |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        add("query_cached_answers", "Answers from the cache", &metrics.cached);
        add("query_joined_fills", "Answers that shared another reader's read of the store", &metrics.joined);
        add("query_fills", "Reads of the store for an answer", &metrics.filled);
        add("query_bypasses", "Readers who found the cache closed, because no notices come", &metrics.bypassed);
        add("query_waits", "Waits for a position", &metrics.waits);
        add("query_waits_given_up", "Waits for a position that was not reached in time", &metrics.given_up);
        add("query_notices", "Change notices and heartbeats heard", &metrics.notices);
        add("query_ignored_notices", "Notices of another generation, epoch or log", &metrics.ignored_notices);
        add("query_gaps", "Gaps between notices; each empties a lane's cache", &metrics.gaps);
        add("query_notice_losses", "Times that notices may have been lost on the way", &metrics.losses);
        add("query_dropped_answers", "Cached answers that notices have dropped", &metrics.dropped);
        add("query_store_errors", "Reads of the store that failed", &metrics.store_errors);
        metrics
    }
}

/// Gauges of each lane, read when they are scraped.
#[derive(Clone)]
pub(crate) struct LaneGauges(Weak<Reader>);

impl LaneGauges {
    pub(crate) fn new(reader: &Arc<Reader>) -> Self {
        Self(Arc::downgrade(reader))
    }
}

impl std::fmt::Debug for LaneGauges {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("LaneGauges")
    }
}

/// Name, help and reading of a gauge.
type LaneGauge = (&'static str, &'static str, fn(&Lane) -> i64);

const GAUGES: &[LaneGauge] = &[
    ("query_position", "Sequence up to which the lane is applied", |lane| whole(lane.stamp().position)),
    ("query_applied_time_seconds", "The log's time of the last applied message", |lane| lane.stamp().time_ms / 1_000),
    ("query_complete", "1 when nothing is known to wait behind the position", |lane| lane.stamp().complete.into()),
    ("query_hears_notices", "1 when notices come", |lane| lane.hears_notices().into()),
    ("query_cache_entries", "Answers in the cache", |lane| whole(lane.cached().0)),
    ("query_cache_bytes", "Memory of the cache", |lane| whole(lane.cached().1)),
];

fn whole(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

impl Collector for LaneGauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(lanes) = self.0.upgrade().and_then(|reader| reader.lanes()) else { return Ok(()) };
        for (name, help, read) in GAUGES {
            let metric_type = ConstGauge::new(0_i64).metric_type();
            let mut metric = encoder.encode_descriptor(name, help, None, metric_type)?;
            for lane in lanes.iter() {
                let labels = [("partition", lane.partition.to_string())];
                ConstGauge::new(read(lane)).encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
