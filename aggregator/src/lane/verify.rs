//! Whether the log is still the one that store and worker know.

use nats::LogError;
use protocol::log::{LogMark, LogMessage};
use retry::{Backoff, RetryError, retry};

use super::{Ended, Lane};

/// Delays between attempts while the log does not answer.
const VERIFY_DELAYS_MS: (u64, u64) = (50, 2_000);

/// What the log has at `marks`, in the same order, once the stream is known to be the one that this service opened.
pub(super) async fn fetch(lane: &Lane, marks: &[LogMark]) -> Result<Vec<Option<LogMessage>>, Ended> {
    let mut backoff = Backoff::new(VERIFY_DELAYS_MS.0, VERIFY_DELAYS_MS.1);
    let fetched = retry("verifying the log", &mut backoff, &lane.shutdown, LogError::retry_helps, || once(lane, marks));
    fetched.await.map_err(|error| match error {
        RetryError::Permanent(error) => Ended::Refused(error.to_string()),
        RetryError::ShutDown(_) => Ended::Stopped,
    })
}

async fn once(lane: &Lane, marks: &[LogMark]) -> Result<Vec<Option<LogMessage>>, LogError> {
    let log = &lane.dependencies.log;
    let fetch = async {
        log.verify().await?;
        let mut found = Vec::with_capacity(marks.len());
        for mark in marks {
            found.push(log.message_at(mark.sequence).await?);
        }
        Ok(found)
    };
    let outcome: Result<_, LogError> = fetch.await;
    if outcome.is_err() {
        lane.metrics.log_failed();
    }
    outcome
}
