//! How the lanes stand, for `/health/ready`: it answers whether they move.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use protocol::leases::Standing;
use service::Readiness;
use tokio::{sync::watch, time::Instant};

use crate::{lanes::Statuses, log_watch::LogHealth};

/// A lane that is behind and has not moved for so long is stuck. Longer than the largest commit takes on a slow disk.
const STUCK_AFTER: Duration = Duration::from_secs(15);

/// One lane's state, written by its worker.
#[derive(Debug)]
pub(crate) struct LaneStatus {
    partition: u16,
    /// Taken from the log.
    launches: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    is_started: bool,
    is_caught_up: bool,
    refused: Option<String>,
    store_error: Option<String>,
    log_error: Option<String>,
    applied: u64,
    end: u64,
    moved_at: Instant,
    /// What is applied is all that the log had then; `None` until the worker has told how it stands.
    level_at: Option<Instant>,
}

impl LaneStatus {
    pub(crate) fn new(partition: u16) -> Self {
        let state = State {
            is_started: false,
            is_caught_up: false,
            refused: None,
            store_error: None,
            log_error: None,
            applied: 0,
            end: 0,
            moved_at: Instant::now(),
            level_at: None,
        };
        Self { partition, launches: AtomicU64::new(0), state: Mutex::new(state) }
    }

    pub(crate) fn partition(&self) -> u16 {
        self.partition
    }

    /// A worker begins at the checkpoint: it is behind what the lane has told.
    pub(crate) fn session_begins(&self) {
        let mut state = self.state();
        state.is_caught_up = false;
        state.level_at = None;
    }

    /// So many more launches were taken from the log.
    pub(crate) fn took(&self, launches: usize) {
        self.launches.fetch_add(u64::try_from(launches).unwrap_or(u64::MAX), Relaxed);
    }

    /// How far the lane is, for other instances.
    pub(crate) fn standing(&self) -> Standing {
        let state = self.state();
        Standing { applied: state.applied, is_caught_up: state.is_caught_up }
    }

    /// The worker has found its place: log and store belong together.
    pub(crate) fn started(&self) {
        let mut state = self.state();
        state.is_started = true;
        state.refused = None;
        state.moved_at = Instant::now();
    }

    /// The lane stands still until an operator has acted.
    pub(crate) fn refused(&self, why: &str) {
        self.state().refused = Some(why.to_owned());
    }

    /// Whether the store took the last call: `None`, or what it said.
    pub(crate) fn store_answered(&self, error: Option<String>) {
        self.state().store_error = error;
    }

    /// Whether the log answered the last request: `None`, or what is wrong.
    pub(crate) fn log_answered(&self, error: Option<String>) {
        self.state().log_error = error;
    }

    /// How far the lane is applied, where it ends, whether that is a replay below the progress found at the start, and the
    /// log's time between the two.
    pub(crate) fn stands(&self, applied: u64, end: u64, is_replaying: bool, behind: Duration) {
        let now = Instant::now();
        let mut state = self.state();
        let was_level = state.applied >= state.end;
        if applied != state.applied || was_level {
            state.moved_at = now;
        }
        state.level_at = now.checked_sub(behind).or(state.level_at);
        state.is_caught_up = !is_replaying;
        state.applied = applied;
        state.end = end;
    }

    /// For how long launches may have been on the log that are not applied; `None` as long as nobody has told.
    fn behind(&self, now: Instant) -> Option<Duration> {
        self.state().level_at.map(|level_at| now.saturating_duration_since(level_at))
    }

    /// # Errors
    /// The sentence that says why the lane does not move.
    fn check(&self, now: Instant) -> Result<(), String> {
        let partition = self.partition;
        let state = self.state();
        if let Some(why) = &state.refused {
            return Err(format!("partition {partition} is stopped: {why}"));
        }
        if let Some(error) = &state.store_error {
            return Err(format!("partition {partition} waits for the store: {error}"));
        }
        if let Some(error) = &state.log_error {
            return Err(format!("partition {partition} waits for the log: {error}"));
        }
        if !state.is_started {
            return Err(format!("partition {partition} has not started yet"));
        }
        let is_stuck = state.applied < state.end && now.duration_since(state.moved_at) > STUCK_AFTER;
        if is_stuck {
            return Err(format!("partition {partition} is at {} of {} and does not move", state.applied, state.end));
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As the lane that is furthest behind; `None` while one has not begun, or nothing is decided.
pub(crate) fn furthest_behind(statuses: &Statuses, now: Instant) -> Option<Duration> {
    let lanes = statuses.all()?;
    lanes.iter().try_fold(Duration::ZERO, |furthest, lane| Some(furthest.max(lane.behind(now)?)))
}

/// Launches that all lanes together have taken from the log.
pub(crate) fn launches(statuses: &Statuses) -> u64 {
    let lanes = statuses.all().unwrap_or_default();
    lanes.iter().map(|lane| lane.launches.load(Relaxed)).sum()
}

/// Ready while the log is whole and every lane is that is worked on; also where that is none, once it is known.
pub(crate) fn readiness(statuses: Statuses, log_health: watch::Receiver<LogHealth>) -> Readiness {
    Readiness::new(move || {
        let now = Instant::now();
        let lanes = statuses.all().ok_or("it is not decided yet which partitions to work on")?;
        lanes.iter().try_for_each(|lane| lane.check(now))?;
        log_health.borrow().check()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> LaneStatus {
        let status = LaneStatus::new(3);
        status.started();
        status
    }

    fn later() -> Instant {
        Instant::now() + STUCK_AFTER + Duration::from_secs(1)
    }

    #[tokio::test]
    async fn a_lane_is_ready_once_it_has_started() {
        let status = LaneStatus::new(3);
        assert_eq!(status.check(Instant::now()).unwrap_err(), "partition 3 has not started yet");
        status.started();
        assert_eq!(status.check(later()), Ok(()), "idle at the end");
    }

    #[tokio::test]
    async fn a_lane_that_is_behind_must_move() {
        let status = started();
        status.stands(7, 9, false, Duration::ZERO);
        assert_eq!(status.check(Instant::now()), Ok(()));
        assert_eq!(status.check(later()).unwrap_err(), "partition 3 is at 7 of 9 and does not move");
        status.stands(9, 9, false, Duration::ZERO);
        assert_eq!(status.check(later()), Ok(()));
    }

    #[tokio::test]
    async fn how_far_behind_grows_while_nothing_is_told() {
        let status = started();
        let (hour, minute) = (Duration::from_secs(3_600), Duration::from_secs(60));
        let behind_in_a_minute = || status.behind(Instant::now() + minute);
        assert_eq!(behind_in_a_minute(), None);
        status.stands(7, 9, false, hour);
        assert!(behind_in_a_minute().is_some_and(|behind| behind >= hour + minute));
        status.stands(9, 9, false, Duration::ZERO);
        assert!(behind_in_a_minute().is_some_and(|behind| behind >= minute && behind < hour));
        status.session_begins();
        assert_eq!(status.behind(Instant::now()), None);
    }

    #[tokio::test]
    async fn what_stops_a_lane_is_told_until_it_is_over() {
        let status = started();
        status.store_answered(Some("no space left".to_owned()));
        assert!(status.check(Instant::now()).unwrap_err().ends_with("waits for the store: no space left"));
        status.store_answered(None);
        status.log_answered(Some("no connection".to_owned()));
        assert!(status.check(Instant::now()).unwrap_err().ends_with("waits for the log: no connection"));
        status.log_answered(None);
        status.refused("another log");
        assert!(status.check(Instant::now()).unwrap_err().ends_with("is stopped: another log"));
        status.started();
        assert_eq!(status.check(Instant::now()), Ok(()));
    }
}
