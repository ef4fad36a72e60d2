//! Parks what stands on the log in no lane. nats-server takes a publish to `launches.in.acme.*`, and its transform leaves a subject
//! with a wildcard as it is: acknowledged, and read by no worker.
//!
//! Every instance does this, from the beginning of the log at each start: parking again changes nothing, only what is parked for the
//! first time is counted, and there are few such messages.

use std::time::Duration;

use ledger::Reason;
use nats::{NatsError, ParkOutcome};
use protocol::{parked::ParkedMessage, worker::ParsedMessage};
use retry::Shutdown;
use tracing::{debug, error, warn};

use crate::{
    Dependencies,
    metrics::{LaneMetrics, ParkFailure},
};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(2);
/// They are parked, and counted, as if they stood in the first lane.
pub(crate) const STRAY_PARTITION: u16 = 0;

/// Parks each of them, until the shutdown begins.
pub(crate) async fn park(dependencies: Dependencies, metrics: LaneMetrics, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut from = 1;
    loop {
        match park_next(&dependencies, &metrics, from).await {
            Ok(Some(sequence)) => from = sequence + 1,
            Ok(None) if shutdown.sleep(EVERY).await => {}
            Err(error) if shutdown.sleep(EVERY).await => {
                debug!(%error, "messages that stand in no lane are not parked yet")
            }
            Ok(None) | Err(_) => return Ok(()),
        }
    }
}

/// Parks the next one and returns its sequence; `None` when there is none.
async fn park_next(dependencies: &Dependencies, metrics: &LaneMetrics, from: u64) -> Result<Option<u64>, NatsError> {
    let Some((subject, message)) = dependencies.log.stray_from(from).await? else { return Ok(None) };
    let sequence = message.sequence;
    let stray = ParsedMessage::stray(message, &subject);
    if stray.bad_lines > 0 {
        let parked = stray.parked(dependencies.log.identity().epoch, STRAY_PARTITION);
        match dependencies.parked.park(&parked).await {
            Ok(ParkOutcome::Stored) => {
                metrics.stray_parked(parked.bad_lines);
                tell(&parked, &subject);
            }
            Ok(ParkOutcome::AlreadyThere) => {}
            Ok(ParkOutcome::Full) => not_kept(metrics, sequence, ParkFailure::Full),
            Err(error) if error.retry_helps() => return Err(error),
            Err(_) => not_kept(metrics, sequence, ParkFailure::Refused),
        }
    }
    Ok(Some(sequence))
}

fn tell(parked: &ParkedMessage, subject: &str) {
    let (sequence, bad_lines, reason) = (parked.sequence, parked.bad_lines, Reason::WrongLane.slug());
    warn!(sequence, bad_lines, reason, subject, "a message that stands in no lane is parked");
}

fn not_kept(metrics: &LaneMetrics, sequence: u64, why: ParkFailure) {
    metrics.park_failed(why);
    error!(sequence, ?why, "a message that stands in no lane is not kept in the parked stream; the log has it");
}
