//! A refused lane: what an operator does about it, and what readers are told, for what is stored may be of another log, and must
//! not look like an answer.

use std::time::Duration;

use protocol::{
    notice::{Changed, Notice},
    worker::Remedy,
};
use store::{Store, begin_anew};
use tokio::time::{Instant, timeout};

use super::Lane;

/// The refusal with the remedy, which depends on what kind of store there is.
pub(super) fn with_remedy(why: String, remedy: Remedy, store: &dyn Store) -> String {
    let begin_anew = begin_anew(&store.how_to_empty());
    match remedy {
        Remedy::None => why,
        Remedy::EmptyStore => format!("{why}: {begin_anew}"),
        Remedy::RaiseEpoch => format!("{why}: raise the epoch by `saldo log raise-epoch`, then {begin_anew}"),
    }
}

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
