//! The metrics of one lane, looked up once.

use std::time::Duration;

use ledger::Reason;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge, histogram::Histogram};
use protocol::worker::Counters;
use retry::BreakerState;

use super::{
    Metrics, ParkFailure, RestartReason,
    families::{ByLane, LaneLabels, ParkFailureLabels, ReasonLabels, RestartLabels, Seconds},
};

/// The reason of a parked line whose id is known with other content.
const CONFLICT: &str = "conflict";

/// One lane's share of [`Metrics`].
#[derive(Clone)]
pub(crate) struct LaneMetrics {
    partition: u16,
    families: Metrics,
    applied: Gauge,
    end: Gauge,
    lag_sequences: Gauge,
    lag_seconds: Seconds,
    commit_seconds: Histogram,
    commit_launches: Histogram,
    load_seconds: Histogram,
}

impl LaneMetrics {
    pub(crate) fn new(families: &Metrics, partition: u16) -> Self {
        let labels = LaneLabels { partition };
        begin_counters(families, partition);
        Self {
            partition,
            applied: families.applied.get_or_create_owned(&labels),
            end: families.end.get_or_create_owned(&labels),
            lag_sequences: families.lag_sequences.get_or_create_owned(&labels),
            lag_seconds: families.lag_seconds.get_or_create_owned(&labels),
            commit_seconds: families.commit_seconds.get_or_create_owned(&labels),
            commit_launches: families.commit_launches.get_or_create_owned(&labels),
            load_seconds: families.load_seconds.get_or_create_owned(&labels),
            families: families.clone(),
        }
    }

    /// Up to which sequence the lane is applied, where it ends, and the log's time between the two.
    pub(crate) fn set_lag(&self, applied: u64, end: u64, behind: Duration) {
        self.applied.set(signed(applied));
        self.end.set(signed(end));
        self.lag_sequences.set(signed(end.saturating_sub(applied)));
        self.lag_seconds.set(behind.as_secs_f64());
    }

    pub(crate) fn set_working(&self, is_working: bool) {
        self.gauge(&self.families.working).set(i64::from(is_working));
    }

    pub(crate) fn set_refused(&self, is_refused: bool) {
        self.gauge(&self.families.refused).set(i64::from(is_refused));
    }

    pub(crate) fn set_replaying(&self, is_replaying: bool) {
        self.gauge(&self.families.replaying).set(i64::from(is_replaying));
    }

    pub(crate) fn set_breaker(&self, state: BreakerState) {
        let number = match state {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        };
        self.families.breaker.set(number);
    }

    pub(crate) fn restarted(&self, reason: RestartReason) {
        self.families.restarts.get_or_create_owned(&RestartLabels { partition: self.partition, reason }).inc();
    }

    /// A message that stands in no lane was parked, with so many lines.
    pub(crate) fn stray_parked(&self, lines: u32) {
        self.add(&self.families.parked_messages, 1);
        self.note_parked(Reason::WrongLane.slug(), lines.into());
    }

    pub(crate) fn park_failed(&self, why: ParkFailure) {
        self.families.park_failures.get_or_create_owned(&ParkFailureLabels { partition: self.partition, why }).inc();
    }

    pub(crate) fn store_failed(&self) {
        self.add(&self.families.store_errors, 1);
    }

    pub(crate) fn log_failed(&self) {
        self.add(&self.families.log_errors, 1);
    }

    pub(crate) fn notice_lost(&self) {
        self.add(&self.families.notices_lost, 1);
    }

    pub(crate) fn commit_took(&self, duration: Duration) {
        self.commit_seconds.observe(duration.as_secs_f64());
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 launches")]
    pub(crate) fn committed_launches(&self, launches: u64) {
        self.commit_launches.observe(launches as f64);
    }

    pub(crate) fn load_took(&self, duration: Duration) {
        self.load_seconds.observe(duration.as_secs_f64());
    }

    /// Adds what a worker has done between `before` and `now`, which is what it counts itself; read ahead by the service
    /// are `waiting_bytes` more.
    pub(crate) fn note(&self, before: &Counters, now: &Counters, waiting_bytes: usize) {
        self.note_entries(before, now);
        self.note_store(before, now);
        let waiting_bytes = u64::try_from(waiting_bytes).unwrap_or(u64::MAX);
        self.gauge(&self.families.memory_bytes).set(signed(now.memory_bytes));
        self.gauge(&self.families.read_ahead_bytes).set(signed(now.read_ahead_bytes.saturating_add(waiting_bytes)));
        self.gauge(&self.families.stopped_accounts).set(signed(now.stopped_accounts));
    }

    fn note_entries(&self, before: &Counters, now: &Counters) {
        let families = &self.families;
        self.add(&families.messages, now.messages - before.messages);
        self.add(&families.empty_messages, now.empty_messages - before.empty_messages);
        self.add(&families.launches, now.launches - before.launches);
        self.add(&families.duplicates, now.duplicates - before.duplicates);
        self.add(&families.parked_messages, now.parked_messages - before.parked_messages);
        self.add(&families.stopped_entries, now.stopped_entries - before.stopped_entries);
        for (reason, count) in &now.parked_lines {
            let new = count - before.parked_lines.get(reason).copied().unwrap_or(0);
            self.note_parked(reason, new);
        }
    }

    fn note_parked(&self, reason: &'static str, lines: u64) {
        let labels = ReasonLabels { partition: self.partition, reason };
        self.families.parked.get_or_create_owned(&labels).inc_by(lines);
        if reason == CONFLICT {
            self.add(&self.families.conflicts, lines);
        }
    }

    fn note_store(&self, before: &Counters, now: &Counters) {
        let families = &self.families;
        self.add(&families.commits, now.commits - before.commits);
        self.add(&families.rows, now.rows_written - before.rows_written);
        self.add(&families.batches, now.batches_written - before.batches_written);
        self.add(&families.names, now.names_written - before.names_written);
        self.add(&families.chunks, now.chunks_written - before.chunks_written);
        self.add(&families.loads, now.loads - before.loads);
        self.add(&families.windows_loaded, now.windows_loaded - before.windows_loaded);
        self.add(&families.windows_evicted, now.windows_evicted - before.windows_evicted);
        self.add(&families.memory_waits, now.memory_waits - before.memory_waits);
    }

    fn add(&self, family: &ByLane<Counter>, count: u64) {
        family.get_or_create_owned(&LaneLabels { partition: self.partition }).inc_by(count);
    }

    fn gauge(&self, family: &ByLane<Gauge>) -> Gauge {
        family.get_or_create_owned(&LaneLabels { partition: self.partition })
    }
}

/// What has not happened yet is there as 0: a rate or an increase over what is absent sees nothing of the first event.
fn begin_counters(families: &Metrics, partition: u16) {
    for family in families.counters() {
        family.get_or_create_owned(&LaneLabels { partition });
    }
    for reason in RestartReason::ALL {
        families.restarts.get_or_create_owned(&RestartLabels { partition, reason });
    }
    for why in ParkFailure::ALL {
        families.park_failures.get_or_create_owned(&ParkFailureLabels { partition, why });
    }
    for reason in Reason::ALL.map(Reason::slug) {
        families.parked.get_or_create_owned(&ReasonLabels { partition, reason });
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_happened_yet_is_there_as_nought() {
        let mut registry = service::metrics::registry();
        let _lane = LaneMetrics::new(&Metrics::register(&mut registry), 3);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for name in [
            r#"parked_lines_total{partition="3",reason="conflict"}"#,
            r#"parked_lines_total{partition="3",reason="malformed"}"#,
            r#"parked_messages_total{partition="3"}"#,
            r#"park_failures_total{partition="3",why="Full"}"#,
            r#"restarts_total{partition="3",reason="Panic"}"#,
            r#"restarts_total{partition="3",reason="StoreLost"}"#,
            r#"store_errors_total{partition="3"}"#,
        ] {
            assert!(text.contains(&format!("saldo_aggregator_{name} 0\n")), "{name} in\n{text}");
        }
    }
}
