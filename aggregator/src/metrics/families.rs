//! The families, labelled by lane.

use std::{fmt::Debug, sync::atomic::AtomicU64};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Registry},
};
use protocol::leases::BeginReason;
use service::metrics::latency_histogram;

/// Launches of one commit: from a lone launch to a flood.
const LAUNCHES_BUCKETS: [f64; 9] = [1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LaneLabels {
    pub(super) partition: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabels {
    pub(super) partition: u16,
    pub(super) reason: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RestartLabels {
    pub(super) partition: u16,
    pub(super) reason: RestartReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ParkFailureLabels {
    pub(super) partition: u16,
    pub(super) why: ParkFailure,
}

/// Why a lane began anew from its stored checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum RestartReason {
    /// The store was reopened, or a node of it was lost.
    StoreLost,
    /// Nobody asked the worker for too long: what it believes about the store may be outdated.
    StoodStill,
    /// A message that had been read is not on the log any more.
    LogChanged,
    /// The lane was refused, and its time to look again came.
    Refused,
    /// A fault of ours.
    Panic,
}

impl RestartReason {
    /// All of them.
    pub(super) const ALL: [Self; 5] = [Self::StoreLost, Self::StoodStill, Self::LogChanged, Self::Refused, Self::Panic];
}

/// Why a message with bad lines was not kept in the parked stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum ParkFailure {
    /// The stream is full.
    Full,
    /// The broker refuses the message.
    Refused,
}

impl ParkFailure {
    /// All of them.
    pub(super) const ALL: [Self; 2] = [Self::Full, Self::Refused];
}

pub(super) type ByLane<M> = Family<LaneLabels, M>;
pub(super) type HistogramByLane = Family<LaneLabels, Histogram, fn() -> Histogram>;
pub(super) type Seconds = Gauge<f64, AtomicU64>;

/// All families; cloning is cheap and gives the same ones.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(super) applied: ByLane<Gauge>,
    pub(super) end: ByLane<Gauge>,
    pub(super) lag_sequences: ByLane<Gauge>,
    pub(super) lag_seconds: ByLane<Seconds>,
    pub(super) working: ByLane<Gauge>,
    pub(super) refused: ByLane<Gauge>,
    pub(super) replaying: ByLane<Gauge>,
    pub(super) stopped_accounts: ByLane<Gauge>,
    pub(super) memory_bytes: ByLane<Gauge>,
    pub(super) read_ahead_bytes: ByLane<Gauge>,
    pub(super) messages: ByLane<Counter>,
    pub(super) empty_messages: ByLane<Counter>,
    pub(super) launches: ByLane<Counter>,
    pub(super) duplicates: ByLane<Counter>,
    pub(super) conflicts: ByLane<Counter>,
    pub(super) parked: Family<ReasonLabels, Counter>,
    pub(super) parked_messages: ByLane<Counter>,
    pub(super) park_failures: Family<ParkFailureLabels, Counter>,
    pub(super) stopped_entries: ByLane<Counter>,
    pub(super) commits: ByLane<Counter>,
    pub(super) rows: ByLane<Counter>,
    pub(super) batches: ByLane<Counter>,
    pub(super) names: ByLane<Counter>,
    pub(super) chunks: ByLane<Counter>,
    pub(super) loads: ByLane<Counter>,
    pub(super) windows_loaded: ByLane<Counter>,
    pub(super) windows_evicted: ByLane<Counter>,
    pub(super) memory_waits: ByLane<Counter>,
    pub(super) restarts: Family<RestartLabels, Counter>,
    pub(super) store_errors: ByLane<Counter>,
    pub(super) log_errors: ByLane<Counter>,
    pub(super) notices_lost: ByLane<Counter>,
    pub(super) commit_seconds: HistogramByLane,
    pub(super) commit_launches: HistogramByLane,
    pub(super) load_seconds: HistogramByLane,
    /// 0 closed, 1 half-open, 2 open.
    pub(super) breaker: Gauge,
    lanes: Gauge,
    lanes_held: Gauge,
    instances: Gauge,
    takeovers: Counter,
    handovers: Counter,
    lease_errors: Counter,
}

impl Metrics {
    /// Makes and registers them; their names begin with `aggregator_`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let mut place = Place { registry: registry.sub_registry_with_prefix("aggregator") };
        Self {
            applied: place.put("applied_sequence", "Stream sequence up to which a lane is applied"),
            end: place.put("end_sequence", "Stream sequence of the last message of a lane"),
            lag_sequences: place.put("lag_sequences", "Stream sequences between what is applied and the lane's end"),
            lag_seconds: place.put("lag_seconds", "Log time between what is applied and the lane's end"),
            working: place.put("working", "1 while a lane is worked on, 0 while it is stopped"),
            refused: place.put("refused", "1 while a lane is refused: see the error in the log"),
            replaying: place.put("replaying", "1 while a lane replays below the progress or head that it found"),
            stopped_accounts: place.put("stopped_accounts", "Accounts whose stored rows contradict their journal"),
            memory_bytes: place.put("memory_bytes", "Bytes of windows and rows held"),
            read_ahead_bytes: place.put("read_ahead_bytes", "Bytes of messages that wait to be folded"),
            messages: place.put("messages", "Messages folded, empty ones included"),
            empty_messages: place.put("empty_messages", "Messages without any line, skipped"),
            launches: place.put("launches", "Launches that counted"),
            duplicates: place.put("duplicates", "Launches known already with the same content"),
            conflicts: place.put("conflicts", "Launches whose id is known with other content, parked"),
            parked: place.put("parked_lines", "Lines that cannot be applied, by reason"),
            parked_messages: place.put("parked_messages", "Messages with lines that cannot be applied"),
            park_failures: place.put("park_failures", "Messages with bad lines that the parked stream did not take"),
            stopped_entries: place.put("stopped_entries", "Launches passed over because their account is stopped"),
            commits: place.put("commits", "Commits acknowledged by the store"),
            rows: place.put("rows_written", "Balance and roll-up rows of acknowledged commits"),
            batches: place
                .put("batches_written", "Batches that those rows were in: of an account, or a tenant's roll-ups"),
            names: place.put("names_written", "Names of accounts of acknowledged commits"),
            chunks: place.put("chunks_written", "Journal chunks of acknowledged commits"),
            loads: place.put("loads", "Load requests answered by the store"),
            windows_loaded: place.put("windows_loaded", "Windows loaded"),
            windows_evicted: place.put("windows_evicted", "Windows evicted to stay within the memory budget"),
            memory_waits: place.put("memory_waits", "Times that folding waited because nothing could be evicted"),
            restarts: place.put("restarts", "Times that a lane began anew from its checkpoint, by reason"),
            store_errors: place.put("store_errors", "Calls that the store failed"),
            log_errors: place.put("log_errors", "Requests and reads that the log failed"),
            notices_lost: place.put("notices_lost", "Change notices that could not be sent"),
            commit_seconds: place.put_histogram(
                "commit_seconds",
                "Time of a commit, attempts that failed included",
                latency_histogram,
            ),
            commit_launches: place.put_histogram("commit_launches", "Launches of a commit", launches_histogram),
            load_seconds: place.put_histogram(
                "load_seconds",
                "Time of a load, attempts that failed included",
                latency_histogram,
            ),
            breaker: place.put("breaker_state", "Circuit breaker of the store: 0 closed, 1 half-open, 2 open"),
            lanes: place.put("lanes", "Lanes that this instance shares with others and works on"),
            lanes_held: place
                .put("lanes_held", "Those of them that it holds; it catches up with the holders of the rest"),
            instances: place.put("instances", "Instances that live and share the lanes, as this one sees them"),
            takeovers: place.put("takeovers", "Lanes begun because their holder was not heard any more"),
            handovers: place.put("handovers", "Lanes begun beside a holder that lets go when this one has caught up"),
            lease_errors: place.put("lease_errors", "Requests for the leases that NATS failed"),
        }
    }

    /// How the lanes work: for where they have the choice.
    pub(crate) fn register_modes(registry: &mut Registry) -> ModeMetrics {
        let mut place = Place { registry: registry.sub_registry_with_prefix("aggregator") };
        ModeMetrics {
            insists: place.put(
                "insists",
                "1 while the lanes take a share of the cores, 0 while they work where nobody else wants one",
            ),
            rests: place.put("rests", "Times that the lanes read nothing for a while, so that callers go first"),
        }
    }

    /// How this instance shares the lanes.
    pub(crate) fn set_leases(&self, lanes: usize, held: usize, instances: usize) {
        let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.lanes.set(signed(lanes));
        self.lanes_held.set(signed(held));
        self.instances.set(signed(instances));
    }

    /// Everything that is counted of a lane by its number alone.
    pub(super) fn counters(&self) -> [&ByLane<Counter>; 19] {
        [
            &self.messages,
            &self.empty_messages,
            &self.launches,
            &self.duplicates,
            &self.conflicts,
            &self.parked_messages,
            &self.stopped_entries,
            &self.commits,
            &self.rows,
            &self.batches,
            &self.names,
            &self.chunks,
            &self.loads,
            &self.windows_loaded,
            &self.windows_evicted,
            &self.memory_waits,
            &self.store_errors,
            &self.log_errors,
            &self.notices_lost,
        ]
    }

    /// A lane was begun.
    pub(crate) fn begun(&self, why: BeginReason) {
        match why {
            BeginReason::Free => {}
            BeginReason::Takeover => drop(self.takeovers.inc()),
            BeginReason::Handover => drop(self.handovers.inc()),
        }
    }

    /// The bucket of leases did not answer.
    pub(crate) fn lease_failed(&self) {
        self.lease_errors.inc();
    }

    /// A lane is let go: what is said of it here would look like a lane that does not move.
    pub(crate) fn forget(&self, partition: u16) {
        let labels = LaneLabels { partition };
        let gauges = [
            &self.applied,
            &self.end,
            &self.lag_sequences,
            &self.working,
            &self.refused,
            &self.replaying,
            &self.stopped_accounts,
            &self.memory_bytes,
            &self.read_ahead_bytes,
        ];
        for gauge in gauges {
            gauge.remove(&labels);
        }
        self.lag_seconds.remove(&labels);
    }
}

fn launches_histogram() -> Histogram {
    Histogram::new(LAUNCHES_BUCKETS)
}

/// How the lanes work that can choose.
#[derive(Debug)]
pub(crate) struct ModeMetrics {
    pub(crate) insists: Gauge,
    pub(crate) rests: Counter,
}

/// Where metrics are registered.
struct Place<'a> {
    registry: &'a mut Registry,
}

impl Place<'_> {
    fn put<M: Metric + Clone + Default + Debug>(&mut self, name: &str, help: &str) -> M {
        let metric = M::default();
        self.registry.register(name, help, metric.clone());
        metric
    }

    fn put_histogram(&mut self, name: &str, help: &str, make: fn() -> Histogram) -> HistogramByLane {
        let family = Family::new_with_constructor(make);
        self.registry.register(name, help, family.clone());
        family
    }
}
