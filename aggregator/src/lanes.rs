//! The lanes that this instance works on, each in a task of its own: begun, let go, watched.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use protocol::{leases::Standing, worker::WorkerConfig};
use retry::Shutdown;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    AggregatorConfig, Dependencies,
    lane::Lane,
    log_watch::LogHealth,
    metrics::{LaneMetrics, Metrics},
    status::LaneStatus,
    store_gate::StoreGate,
    threads::Places,
    voice::Voice,
};

/// How long a lane that is let go may take to finish its commit.
const LET_GO_GRACE: Duration = Duration::from_secs(10);

/// What every lane is worked on with.
pub(crate) struct Equipment {
    pub(crate) config: Arc<AggregatorConfig>,
    pub(crate) dependencies: Dependencies,
    pub(crate) metrics: Metrics,
    pub(crate) gate: Arc<StoreGate>,
    pub(crate) generation: u32,
    pub(crate) places: Places,
    pub(crate) log_health: watch::Receiver<LogHealth>,
}

/// How the lanes stand that are worked on now; shared with `/health/ready`.
#[derive(Clone, Default)]
pub(crate) struct Statuses(Arc<Mutex<Option<ByLane>>>);

type ByLane = BTreeMap<u16, Arc<LaneStatus>>;

impl Statuses {
    /// Each of them, ascending; `None` as long as nobody has decided what to work on.
    pub(crate) fn all(&self) -> Option<Vec<Arc<LaneStatus>>> {
        self.lock().as_ref().map(|statuses| statuses.values().cloned().collect())
    }

    /// It is decided what to work on, be it nothing.
    pub(crate) fn decided(&self) {
        self.lock().get_or_insert_default();
    }

    fn insert(&self, status: Arc<LaneStatus>) {
        self.lock().get_or_insert_default().insert(status.partition(), status);
    }

    fn remove(&self, partition: u16) {
        self.lock().get_or_insert_default().remove(&partition);
    }

    fn lock(&self) -> MutexGuard<'_, Option<ByLane>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lane that is worked on.
struct Worked {
    status: Arc<LaneStatus>,
    voice: Voice,
    shutdown: Shutdown,
}

/// See the head of the module. Dropping it ends every lane at once.
pub(crate) struct Lanes {
    equipment: Equipment,
    worker: WorkerConfig,
    statuses: Statuses,
    worked: BTreeMap<u16, Worked>,
    /// Also those that were let go and finish their commit.
    tasks: JoinSet<u16>,
}

impl Lanes {
    pub(crate) fn new(equipment: Equipment, statuses: Statuses, shares: usize) -> Self {
        let worker = worker_config(&equipment, shares);
        Self { equipment, worker, statuses, worked: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// Begins to work on a lane.
    pub(crate) fn begin(&mut self, partition: u16, voice: Voice) {
        let (status, shutdown) = (Arc::new(LaneStatus::new(partition)), Shutdown::new());
        let lane = Lane {
            generation: self.equipment.generation,
            worker: self.worker.clone(),
            config: Arc::clone(&self.equipment.config),
            dependencies: self.equipment.dependencies.clone(),
            gate: Arc::clone(&self.equipment.gate),
            metrics: LaneMetrics::new(&self.equipment.metrics, partition),
            status: Arc::clone(&status),
            voice: voice.clone(),
            places: self.equipment.places.clone(),
            log_health: self.equipment.log_health.clone(),
            shutdown: shutdown.clone(),
        };
        self.tasks.spawn(async move {
            Arc::new(lane).work().await;
            partition
        });
        self.statuses.insert(Arc::clone(&status));
        self.worked.insert(partition, Worked { status, voice, shutdown });
    }

    /// Stops working on a lane: its commit in flight may end.
    pub(crate) fn let_go(&mut self, partition: u16) {
        if let Some(worked) = self.worked.remove(&partition) {
            worked.shutdown.begin(LET_GO_GRACE);
            self.statuses.remove(partition);
        }
    }

    /// How each lane stands.
    pub(crate) fn standings(&self) -> BTreeMap<u16, Standing> {
        self.worked.iter().map(|(partition, worked)| (*partition, worked.status.standing())).collect()
    }

    /// Lets each lane's worker know who holds the lane: whether this instance does, and whether another does.
    pub(crate) fn tell(&self, holders: impl Fn(u16) -> (bool, bool)) {
        for (partition, worked) in &self.worked {
            let (is_held, is_held_elsewhere) = holders(*partition);
            worked.voice.set(is_held, is_held_elsewhere);
        }
    }

    /// How many lanes are worked on.
    pub(crate) fn count(&self) -> usize {
        self.worked.len()
    }

    /// Waits for a lane that was let go to end, for ever when there is none. Cancel safe.
    ///
    /// # Errors
    /// A lane ended by itself: a fault of ours.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        let Some(ended) = self.tasks.join_next().await else { return std::future::pending().await };
        let partition = ended.context("a lane broke down")?;
        if !self.worked.contains_key(&partition) {
            self.equipment.metrics.forget(partition);
        }
        Ok(())
    }

    /// Stops every lane within `grace`.
    ///
    /// # Errors
    /// A lane broke down meanwhile.
    pub(crate) async fn stop(mut self, grace: Duration) -> anyhow::Result<()> {
        for worked in self.worked.values() {
            worked.shutdown.begin(grace);
        }
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("a lane broke down")?;
        }
        Ok(())
    }
}

/// Each lane has its share of the memory, whoever works on the others: the last instance alive may have to work on all.
fn worker_config(equipment: &Equipment, shares: usize) -> WorkerConfig {
    let store = &equipment.dependencies.store;
    WorkerConfig {
        atomic_commits: store.commits_atomically(),
        checkpoint_lag_ms: store.checkpoint_lag_ms(),
        read_ahead_bytes: equipment.config.read_ahead_bytes / shares.max(1),
        memory_bytes: equipment.config.memory_bytes / shares.max(1),
        ..WorkerConfig::default()
    }
}
