//! One lane: its worker from start to end, begun anew where that is needed.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use protocol::worker::{Remedy, WorkerConfig};
use retry::{Backoff, Shutdown};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::{
    AggregatorConfig, Dependencies,
    log_watch::LogHealth,
    metrics::{LaneMetrics, RestartReason},
    status::LaneStatus,
    store_gate::{Caller, StoreGate},
    threads::Places,
    voice::Voice,
};

mod confirming;
mod driver;
mod ends;
mod flight;
mod notifier;
mod pace;
mod parking;
mod reading;
mod refusal;
mod report;
mod session;
mod verify;

/// Delays between restarts: a store that was reopened is asked at once, one that is reopened again and again is not
/// worked to death.
const RESTART_DELAYS_MS: (u64, u64) = (20, 5_000);

/// What a lane's tasks share.
pub(crate) struct Lane {
    pub(crate) generation: u32,
    pub(crate) worker: WorkerConfig,
    pub(crate) config: Arc<AggregatorConfig>,
    pub(crate) dependencies: Dependencies,
    pub(crate) gate: Arc<StoreGate>,
    pub(crate) metrics: LaneMetrics,
    pub(crate) status: Arc<LaneStatus>,
    pub(crate) voice: Voice,
    pub(crate) places: Places,
    pub(crate) log_health: watch::Receiver<LogHealth>,
    pub(crate) shutdown: Shutdown,
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The shutdown began; the commit in flight has ended, or its time was over.
    Stopped,
    /// Everything held is dropped; the next session resumes from the stored checkpoint.
    Restart(RestartReason, String),
    /// Log or store must not be worked with as they are, and what an operator does about it, unless the text says so.
    Refused(String, Remedy),
}

impl Lane {
    pub(crate) fn partition(&self) -> u16 {
        self.status.partition()
    }

    fn caller(&self) -> Caller<'_> {
        Caller { partition: self.partition(), metrics: &self.metrics, status: &self.status, shutdown: &self.shutdown }
    }

    /// Whether readers may be told how the lane stands.
    fn may_speak(&self) -> bool {
        self.voice.may_speak(self.status.standing().is_caught_up)
    }

    /// Log and store belong together: the lane moves.
    fn started(&self) {
        self.status.started();
        self.metrics.set_working(true);
        self.metrics.set_refused(false);
    }

    /// Works until the shutdown begins.
    pub(crate) async fn work(self: Arc<Self>) {
        let mut backoff = Backoff::new(RESTART_DELAYS_MS.0, RESTART_DELAYS_MS.1);
        let mut refused = None;
        while !self.shutdown.is_begun() {
            self.status.session_begins();
            let (ended, has_committed) = self.session().await;
            self.metrics.set_working(false);
            if has_committed {
                refused = None;
                backoff.reset();
            }
            if self.rest(ended, &mut refused, &mut backoff).await.is_break() {
                return;
            }
        }
    }

    /// A session in a task of its own, so that a fault in it ends neither this lane nor the others.
    async fn session(self: &Arc<Self>) -> (Ended, bool) {
        match self.places.spawn(session::run(Arc::clone(self))).ended().await {
            Ok(ended) => ended,
            Err(error) => (Ended::Restart(RestartReason::Panic, format!("a fault of the aggregator: {error}")), false),
        }
    }

    /// Tells why the session ended, once, and waits until the next may begin.
    async fn rest(&self, ended: Ended, refused: &mut Option<String>, backoff: &mut Backoff) -> ControlFlow<()> {
        let partition = self.partition();
        let (reason, pause) = match ended {
            Ended::Stopped => {
                info!(partition, "stopped");
                return ControlFlow::Break(());
            }
            Ended::Restart(reason, why) => {
                warn!(partition, why, "beginning anew from the checkpoint");
                (reason, backoff.next_delay())
            }
            Ended::Refused(why, remedy) => {
                let why = refusal::with_remedy(why, remedy, self.dependencies.store.as_ref());
                self.status.refused(&why);
                self.metrics.set_refused(true);
                if refused.as_ref() != Some(&why) {
                    error!(partition, why, "this partition is stopped, the others go on");
                    *refused = Some(why);
                }
                (RestartReason::Refused, Duration::from_millis(self.config.refused_retry_ms))
            }
        };
        let rested = match reason {
            RestartReason::Refused => self.rest_refused(pause).await,
            _ => self.shutdown.sleep(pause).await,
        };
        if !rested {
            return ControlFlow::Break(());
        }
        self.metrics.restarted(reason);
        ControlFlow::Continue(())
    }

    /// Until the pause is over, or the log that was refused is one to work with again; false when the shutdown begins.
    async fn rest_refused(&self, pause: Duration) -> bool {
        let mut log_health = self.log_health.clone();
        let log_is_well_again = async {
            drop(log_health.wait_for(|health| health.refused().is_some()).await);
            let is_well = log_health.wait_for(|health| health.refused().is_none()).await.is_ok();
            // A watch that has ended says nothing.
            if !is_well {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            rested = refusal::tell_readers(self, pause) => rested,
            () = log_is_well_again => true,
        }
    }
}
