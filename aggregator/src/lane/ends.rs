//! Where the lane ends, asked every second: for lag, for heartbeats, and to see whether the log answers. Also when lanes begin to
//! rest: they read nothing then that would tell that the lane goes on, and readers must not be told that everything is counted.

use std::{sync::Arc, time::Duration};

use protocol::log::LogMessage;
use tokio::{
    sync::watch::{Receiver, Sender, channel},
    time::{MissedTickBehavior, interval, timeout},
};
use tracing::debug;

use super::Lane;
use crate::threads::Moving;

/// Queries bypass their cache after five seconds without a heartbeat, so four of them may be lost.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The server answers in a millisecond; what takes this long is a lost connection.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// The last message of a lane: sequence 0 while it is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LaneEnd {
    pub(super) sequence: u64,
    pub(super) time_ms: i64,
}

impl LaneEnd {
    pub(super) fn of(last: Option<LogMessage>) -> Self {
        last.map_or_else(Self::default, |message| Self { sequence: message.sequence, time_ms: message.time_ms })
    }
}

/// Asks for the lane's end until it is dropped; each answer is a change of the receiver, also when it is the same again.
pub(super) struct Ends {
    pub(super) receiver: Receiver<LaneEnd>,
    _task: Moving<()>,
}

impl Ends {
    pub(super) fn start(lane: Arc<Lane>) -> Self {
        let (sender, receiver) = channel(LaneEnd::default());
        let places = lane.places.clone();
        Self { receiver, _task: places.spawn(ask_for_ever(lane, sender)) }
    }
}

async fn ask_for_ever(lane: Arc<Lane>, ends: Sender<LaneEnd>) {
    let mut ticks = interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rests = lane.places.rests();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = rests.rung() => {}
        }
        match ask(&lane).await {
            Ok(end) => {
                lane.status.log_answered(None);
                ends.send_replace(end);
            }
            Err(error) => {
                debug!(partition = lane.partition(), error, "the log does not tell the lane's end");
                lane.metrics.log_failed();
                lane.status.log_answered(Some(error));
            }
        }
    }
}

async fn ask(lane: &Lane) -> Result<LaneEnd, String> {
    let answer = timeout(ANSWER_TIMEOUT, lane.dependencies.log.lane_end(lane.partition())).await;
    let message = answer.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.to_string())?;
    Ok(LaneEnd::of(message))
}
