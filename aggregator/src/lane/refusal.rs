//! A refused lane tells its readers: what is stored may be of another log, and must not look like an answer.

use std::time::Duration;

use protocol::notice::{Changed, Notice};
use tokio::time::{Instant, timeout};

use super::Lane;

/// As often as heartbeats: a query that starts meanwhile hears of it soon.
const REPEATED_EVERY: Duration = Duration::from_secs(1);

/// Repeats the refusal for `pause`; false when the shutdown begins.
pub(super) async fn tell_readers(lane: &Lane, pause: Duration) -> bool {
    let until = Instant::now() + pause;
    let notice = refused(lane);
    while Instant::now() < until {
        if lane.may_speak() {
            let published = timeout(REPEATED_EVERY, lane.dependencies.changes.publish(&notice)).await;
            if !matches!(published, Ok(Ok(()))) {
                lane.metrics.notice_lost();
            }
        }
        if !lane.shutdown.sleep(REPEATED_EVERY.min(until - Instant::now())).await {
            return false;
        }
    }
    true
}

fn refused(lane: &Lane) -> Notice {
    let name = lane.dependencies.log.identity().name();
    Notice {
        generation: lane.generation,
        epoch: name.epoch,
        incarnation: Some(name.incarnation),
        partition: lane.partition(),
        worker: None,
        from: 0,
        to: 0,
        time_ms: 0,
        end: 0,
        replaying: false,
        log_is_whole: None,
        changed: Changed::Refused,
        stopped: Vec::new(),
    }
}
