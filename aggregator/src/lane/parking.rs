//! Parking the bad lines of a run before its commit.

use std::sync::Arc;

use nats::{NatsError, NatsErrorKind, ParkOutcome};
use protocol::parked::ParkedMessage;
use retry::{Backoff, RetryError, retry};
use tokio::task::JoinSet;
use tracing::{error, warn};

use super::Lane;
use crate::{metrics::ParkFailure, store_gate::GateError};

/// Messages parked at once: the broker syncs them together.
const AT_ONCE: usize = 32;
/// Delays between attempts while the broker does not answer.
const PARK_DELAYS_MS: (u64, u64) = (50, 2_000);
/// Lines of one message that are logged one by one; what the others are stands in the parked stream.
const LOGGED_LINES: usize = 64;

/// Parks all of `messages`. A message that the stream refuses is counted and told: the log has the original, and no lane
/// stops for it.
///
/// # Errors
/// The shutdown began before all of it was acknowledged.
pub(super) async fn park_all(lane: &Arc<Lane>, messages: &Arc<Vec<ParkedMessage>>) -> Result<(), GateError> {
    let mut under_way = JoinSet::new();
    for index in 0..messages.len() {
        if under_way.len() >= AT_ONCE {
            next_of(&mut under_way).await?;
        }
        let (lane, messages) = (Arc::clone(lane), Arc::clone(messages));
        under_way.spawn(async move {
            match messages.get(index) {
                Some(message) => park(&lane, message).await,
                None => Ok(()),
            }
        });
    }
    while !under_way.is_empty() {
        next_of(&mut under_way).await?;
    }
    Ok(())
}

async fn next_of(under_way: &mut JoinSet<Result<(), GateError>>) -> Result<(), GateError> {
    match under_way.join_next().await {
        None => Ok(()),
        Some(Ok(outcome)) => outcome,
        Some(Err(fault)) => std::panic::resume_unwind(fault.into_panic()),
    }
}

async fn park(lane: &Lane, message: &ParkedMessage) -> Result<(), GateError> {
    let mut backoff = Backoff::new(PARK_DELAYS_MS.0, PARK_DELAYS_MS.1);
    // A full stream takes it perhaps later, but the lane must not wait for that.
    let retry_helps = |error: &NatsError| matches!(error.kind, NatsErrorKind::Unavailable | NatsErrorKind::Timeout);
    let parked = &lane.dependencies.parked;
    match retry("parking", &mut backoff, &lane.shutdown, retry_helps, || parked.park(message)).await {
        Ok(ParkOutcome::Stored) => log_lines(message, true),
        Ok(ParkOutcome::AlreadyThere) => {}
        Ok(ParkOutcome::Full) => not_kept(lane, message, ParkFailure::Full, "the parked stream is full"),
        Err(RetryError::Permanent(error)) => not_kept(lane, message, ParkFailure::Refused, &error.message),
        Err(RetryError::ShutDown(_)) => return Err(GateError::ShutDown),
    }
    Ok(())
}

fn not_kept(lane: &Lane, message: &ParkedMessage, why: ParkFailure, error: &str) {
    lane.metrics.park_failed(why);
    let (partition, sequence) = (message.partition, message.sequence);
    error!(partition, sequence, error, "bad lines are not kept in the parked stream; the log has the message");
    log_lines(message, false);
}

/// How a poster learns that what was answered 201 was parked later. Never the text of a line.
fn log_lines(message: &ParkedMessage, is_kept: bool) {
    let (partition, sequence) = (message.partition, message.sequence);
    for line in message.lines.iter().take(LOGGED_LINES) {
        warn!(
            partition,
            sequence,
            line = line.line,
            reason = line.reason,
            tenant = line.tenant,
            account.id = line.account,
            launch.id = line.id,
            is_kept,
            "a launch cannot be applied and is parked"
        );
    }
    let logged = u32::try_from(message.lines.len().min(LOGGED_LINES)).unwrap_or(u32::MAX);
    if message.bad_lines > logged {
        warn!(partition, sequence, bad_lines = message.bad_lines, "more launches of this message are parked");
    }
}
