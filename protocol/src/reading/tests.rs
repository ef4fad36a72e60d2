//! What a reader does about each thing that may come.

use super::*;

const SILENCE_MS: u64 = 1_500;

fn reading() -> Reading {
    let mut reading = Reading::new(5, SILENCE_MS);
    reading.created(0);
    reading
}

#[test]
fn deliveries_are_handed_out_as_long_as_their_numbers_follow() {
    let mut reading = reading();
    assert_eq!(reading.delivered(1, 5), Step::HandOut);
    assert_eq!(reading.delivered(2, 9), Step::HandOut, "messages of other partitions lie between");
    assert_eq!(reading.delivered(4, 12), Step::Recreate(Why::Gap { number: 4, last: 2 }));
    assert_eq!(reading.delivered(2, 9), Step::Recreate(Why::Gap { number: 2, last: 2 }));
    assert_eq!(reading.next_sequence(), 10);
    reading.created(10);
    assert_eq!(reading.delivered(1, 10), Step::HandOut, "each consumer counts for itself");
}

#[test]
fn a_log_that_goes_back_is_refused() {
    let mut reading = reading();
    assert_eq!(reading.delivered(1, 5), Step::HandOut);
    assert_eq!(reading.delivered(2, 5), Step::Refuse(Refusal::GoesBack { sequence: 5, next: 6 }));
    assert_eq!(reading.log_ends_at(4), Look::Refuse(Refusal::EndsBefore { end: 4, last: 5 }));
    assert_eq!(reading.log_ends_at(5), Look::AskPartition);
}

#[test]
fn silence_and_what_does_not_come_make_the_consumer_anew() {
    let mut reading = reading();
    reading.heard(1_000);
    assert_eq!((reading.silent(2_499), reading.silent(2_500)), (Step::Continue, Step::Recreate(Why::Silence)));
    assert_eq!(reading.partition_ends_at(7, Some(6), 1_500), Step::Continue);
    assert_eq!((reading.look_at_end_ms(), reading.log_ends_at(7)), (2_250, Look::AskPartition), "it may be on its way");
    assert_eq!(reading.partition_ends_at(7, Some(6), 2_250), Step::Recreate(Why::Stuck));
}

#[test]
fn a_log_that_has_not_grown_is_not_asked_again() {
    let mut reading = reading();
    assert_eq!(reading.partition_ends_at(7, Some(4), 1_500), Step::Continue);
    assert_eq!((reading.look_at_end_ms(), reading.log_ends_at(7)), (3_000, Look::Enough));
    assert_eq!(reading.log_ends_at(8), Look::AskPartition);
}

#[test]
fn what_is_behind_is_looked_for_until_it_comes() {
    let mut reading = reading();
    assert_eq!(reading.partition_ends_at(7, Some(6), 1_500), Step::Continue);
    assert_eq!(reading.delivered(1, 5), Step::HandOut);
    assert_eq!(reading.log_ends_at(7), Look::AskPartition, "6 may be lost, and the log need not grow");
    assert_eq!(reading.partition_ends_at(7, Some(6), 3_000), Step::Continue);
    assert_eq!(reading.partition_ends_at(7, Some(6), 3_750), Step::Recreate(Why::Stuck));
}
