//! Keeping the leases: twice in each heartbeat this instance looks at everybody's entry, acts on its own share, and writes its
//! own entry. What is decided, and why, stands in [`protocol::leases`].

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use nats::{FoundLease, Leases, NatsError};
use protocol::leases::{BeginReason, FoundEntry, Lease, LeaseHolder, LeaseStep};
use retry::Shutdown;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use crate::{
    config::LeaseConfig,
    lanes::{Lanes, Statuses},
    metrics::Metrics,
    voice::{Looks, Voice},
};

/// What is left of the time to stop, for the commits in flight, when others have not taken over.
const LAST_COMMITS: Duration = Duration::from_secs(5);
/// A look and a write may each take a second where the bucket does not answer; what takes longer is standing still.
const SHORTEST_LOOK_VALIDITY: Duration = Duration::from_secs(3);

/// One instance's leases.
pub(crate) struct Keeper {
    leases: Leases,
    config: LeaseConfig,
    instance: String,
    holder: LeaseHolder,
    lanes: Lanes,
    statuses: Statuses,
    metrics: Metrics,
    looks: Looks,
    started: Instant,
    written: Option<(Instant, Lease)>,
    is_reachable: bool,
}

impl Keeper {
    pub(crate) fn new(
        leases: Leases,
        config: LeaseConfig,
        partitions: u16,
        lanes: Lanes,
        statuses: Statuses,
        metrics: Metrics,
    ) -> Self {
        let instance = format!("{}-{:08x}", config.instance, rand::random::<u32>());
        let validity = Duration::from_millis(config.times.timeout_ms).max(SHORTEST_LOOK_VALIDITY);
        info!(instance, timeout_ms = config.times.timeout_ms, "sharing the lanes with the other aggregators");
        Self {
            holder: LeaseHolder::new(config.times, &instance, partitions),
            leases,
            config,
            instance,
            lanes,
            statuses,
            metrics,
            looks: Looks::new(validity),
            started: Instant::now(),
            written: None,
            is_reachable: true,
        }
    }

    /// Works on this instance's share until the shutdown begins, then until others hold it, within bounds.
    ///
    /// # Errors
    /// A lane ended by itself: a fault of ours.
    pub(crate) async fn run(mut self, shutdown: Shutdown) -> anyhow::Result<()> {
        let mut ticks = interval(Duration::from_millis(self.config.times.heartbeat_ms / 2));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut goes_until = None;
        while goes_until.is_none_or(|until| Instant::now() < until && !self.holder.may_end()) {
            tokio::select! {
                _ = ticks.tick() => self.turn().await,
                ended = self.lanes.ended() => ended?,
                () = shutdown.begun(), if goes_until.is_none() => {
                    goes_until = Some(self.leave(&shutdown).await);
                }
            }
        }
        self.end(&shutdown).await
    }

    /// Lets the others know; until when they may take over.
    async fn leave(&mut self, shutdown: &Shutdown) -> Instant {
        self.holder.leave();
        if !self.holder.may_end() {
            info!(lanes = self.lanes.count(), "others take over");
            self.write().await;
        }
        let left = time_left(shutdown).saturating_sub(LAST_COMMITS);
        Instant::now() + left.min(Duration::from_millis(self.config.handover_ms))
    }

    async fn end(self, shutdown: &Shutdown) -> anyhow::Result<()> {
        if self.lanes.count() > 0 {
            info!(lanes = self.lanes.count(), "stopping with lanes that nobody has taken over");
        }
        let stopped = self.lanes.stop(time_left(shutdown)).await;
        if let Err(error) = self.leases.remove(&self.instance).await {
            debug!(%error, "the entry stays until it is too old");
        }
        stopped
    }

    async fn turn(&mut self) {
        match self.leases.all().await {
            Ok(found) => {
                self.answered();
                self.look(&found);
                self.write_if_due().await;
            }
            Err(error) => {
                self.failed(&error);
                // Without an entry nobody would ever be seen in a bucket that was emptied or made anew.
                self.write_if_due().await;
            }
        }
        self.looks.looked();
    }

    fn look(&mut self, found: &[FoundLease]) {
        let found = found.iter().filter_map(entry).collect();
        let steps = self.holder.observe(self.now_ms(), found, &self.lanes.standings());
        for step in steps {
            self.act(step);
        }
        let elsewhere = self.holder.held_by_others();
        let held: BTreeSet<u16> = self.holder.held_lanes().collect();
        self.lanes.tell(|partition| (held.contains(&partition), elsewhere.contains(&partition)));
        if self.holder.has_decided() {
            self.statuses.decided();
        }
        self.metrics.set_leases(self.lanes.count(), held.len(), self.holder.living());
    }

    fn act(&mut self, step: LeaseStep) {
        match step {
            LeaseStep::Begin { partition, why } => {
                info!(partition, ?why, "beginning to work on this lane");
                self.metrics.begun(why);
                let voice = Voice::among_others(self.looks.clone(), why == BeginReason::Handover);
                self.lanes.begin(partition, voice);
            }
            LeaseStep::LetGo { partition } => {
                info!(partition, "letting go of this lane: another aggregator holds it");
                self.lanes.let_go(partition);
            }
        }
    }

    /// At once when anything has changed but positions, else once in each heartbeat.
    async fn write_if_due(&mut self) {
        let lease = self.holder.lease(&self.lanes.standings());
        let heartbeat = Duration::from_millis(self.config.times.heartbeat_ms);
        let is_due = self
            .written
            .as_ref()
            .is_none_or(|(at, written)| at.elapsed() + heartbeat / 4 >= heartbeat || differs(written, &lease));
        if is_due && !self.holder.has_stood_still(self.now_ms()) {
            self.write().await;
        }
    }

    async fn write(&mut self) {
        let lease = self.holder.lease(&self.lanes.standings());
        let Ok(payload) = serde_json::to_vec(&lease) else { return };
        match self.leases.put(&self.instance, payload).await {
            Ok(()) => self.written = Some((Instant::now(), lease)),
            Err(error) => self.failed(&error),
        }
    }

    fn answered(&mut self) {
        if !std::mem::replace(&mut self.is_reachable, true) {
            info!("the leases can be read again");
        }
    }

    fn failed(&mut self, error: &NatsError) {
        self.metrics.lease_failed();
        if std::mem::replace(&mut self.is_reachable, false) {
            warn!(%error, "the leases cannot be kept: going on with the same lanes");
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// An entry that this version understands. Another one is nobody to share with.
fn entry(found: &FoundLease) -> Option<FoundEntry> {
    match serde_json::from_slice(&found.payload) {
        Ok(lease) => Some(FoundEntry { instance: found.instance.clone(), revision: found.revision, lease }),
        Err(error) => {
            debug!(instance = found.instance, %error, "a lease cannot be read");
            None
        }
    }
}

/// Whether they differ in more than positions.
fn differs(one: &Lease, other: &Lease) -> bool {
    let held = |lease: &Lease| lease.lanes.iter().map(|(lane, claim)| (*lane, claim.held)).collect::<Vec<_>>();
    one.leaving != other.leaving || held(one) != held(other)
}

fn time_left(shutdown: &Shutdown) -> Duration {
    let deadline = shutdown.deadline().map(tokio::time::Instant::into_std);
    deadline.map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(Instant::now()))
}
