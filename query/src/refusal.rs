//! Why a reader gets no answer.

use protocol::position::Position;
use service::problem::{Problem, kinds};

use crate::lanes::Lane;

/// Seconds after which a refusal for now is worth a repetition.
const RETRY_AFTER_S: u64 = 1;

pub(crate) fn not_ready() -> Problem {
    let detail = "it is not known yet which log there is and what of it is stored";
    Problem::new(kinds::STORE_UNAVAILABLE, detail).retry_after(RETRY_AFTER_S)
}

pub(crate) fn other_log() -> Problem {
    let detail = "the store was filled from another log than there is; nothing is told until that is repaired";
    Problem::new(kinds::ACCOUNT_STOPPED, detail)
}

pub(crate) fn nobody_heard() -> Problem {
    let detail = "it is not known yet whether the store belongs to the log: its worker was not heard";
    Problem::new(kinds::STORE_UNAVAILABLE, detail).retry_after(RETRY_AFTER_S)
}

pub(crate) fn overloaded() -> Problem {
    Problem::new(
        kinds::OVERLOADED,
        "as many readers of this tenant wait as its share allows, or the store is too slow for them",
    )
    .retry_after(RETRY_AFTER_S)
}

pub(crate) fn store_unavailable(retry_helps: bool) -> Problem {
    if retry_helps {
        Problem::new(kinds::STORE_UNAVAILABLE, "the store does not answer").retry_after(RETRY_AFTER_S)
    } else {
        Problem::new(kinds::STORE_UNAVAILABLE, "the store holds what this version cannot read")
    }
}

pub(crate) fn stopped() -> Problem {
    let detail =
        "what is stored of the account does not agree with its journal; it is not answered until that is repaired";
    Problem::new(kinds::ACCOUNT_STOPPED, detail)
}

pub(crate) fn refused(lane: &Lane) -> Problem {
    let partition = lane.partition;
    let detail = format!(
        "the aggregator does not work on partition {partition}: log and store do not belong together, or the log is not as it must be; \
         its readiness says why"
    );
    Problem::new(kinds::ACCOUNT_STOPPED, detail).retry_after(RETRY_AFTER_S)
}

pub(crate) fn shutting_down() -> Problem {
    Problem::new(kinds::SHUTTING_DOWN, "the instance stops; another may answer").retry_after(RETRY_AFTER_S)
}

pub(crate) fn not_yet_applied(lane: &Lane) -> Problem {
    let applied = Position::of_lane(lane.log, lane.partition, lane.stamp().position).to_string();
    Problem::new(
        kinds::NOT_YET_APPLIED,
        "the demanded position, or the one that the account's stored rows have, was not reached within the wait",
    )
    .retry_after(RETRY_AFTER_S)
    .with("position", applied)
}
