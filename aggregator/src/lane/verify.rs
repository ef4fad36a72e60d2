//! Whether the log is still the one that store and worker know.

use nats::LogError;
use protocol::{
    log::{LogMark, LogMessage},
    worker::Remedy,
};
use retry::{Backoff, RetryError, retry};

use super::{Ended, Lane, ends::LaneEnd};

/// Delays between attempts while the log does not answer.
const VERIFY_DELAYS_MS: (u64, u64) = (50, 2_000);

/// What the log says when it is asked whether it is still the same.
pub(super) struct Fetched {
    /// What it has at the marks, in their order.
    pub(super) found: Vec<Option<LogMessage>>,
    /// Where the lane ends. A worker that announces itself without knowing this would promise that nothing waits.
    pub(super) end: LaneEnd,
}

/// What the log has at `marks` and where the lane ends, once the stream is known to be the one that this service opened.
pub(super) async fn fetch(lane: &Lane, marks: &[LogMark]) -> Result<Fetched, Ended> {
    let mut backoff = Backoff::new(VERIFY_DELAYS_MS.0, VERIFY_DELAYS_MS.1);
    let fetched = retry("verifying the log", &mut backoff, &lane.shutdown, LogError::retry_helps, || once(lane, marks));
    fetched.await.map_err(|error| match error {
        RetryError::Permanent(error) => Ended::Refused(error.to_string(), Remedy::None),
        RetryError::ShutDown(_) => Ended::Stopped,
    })
}

async fn once(lane: &Lane, marks: &[LogMark]) -> Result<Fetched, LogError> {
    let log = &lane.dependencies.log;
    let fetch = async {
        log.verify().await?;
        let mut found = Vec::with_capacity(marks.len());
        for mark in marks {
            found.push(log.message_at(mark.sequence).await?);
        }
        let end = LaneEnd::of(log.lane_end(lane.partition()).await?);
        Ok(Fetched { found, end })
    };
    let outcome: Result<_, LogError> = fetch.await;
    if outcome.is_err() {
        lane.metrics.log_failed();
    }
    outcome
}
