//! Stores that went back, workers that replay what was lost, and which of them was heard before.

use super::*;

fn replaying(from: u64, to: u64, changed: &[(&str, i32)]) -> Notice {
    Notice { replaying: true, ..notice(from, to, changed) }
}

fn of(worker: u64, notice: Notice) -> Notice {
    Notice { worker: Some(worker), ..notice }
}

/// All that a worker said while it replayed has vanished, and its next word joins on to what is known.
#[test]
fn a_worker_that_was_not_heard_before_drops_everything_once() {
    let mut lane = lane();
    fill(&mut lane, &key("a", 5));
    let in_flight = begin(&mut lane, &key("b", 5));
    assert!(lane.on_notice(&of(2, notice(10, 10, &[])), 0).gap);
    assert_eq!((lane.cached_entries(), lane.stamp(0).position), (0, 10));
    assert!(matches!(lane.finish_fill(in_flight, Some(("b", 1)), 0), FillOutcome::Answer(_)));
    assert!(!is_cached(&mut lane, &key("b", 5)));
    fill(&mut lane, &key("a", 5));
    for (worker, from, to) in [(1, 10, 11), (2, 10, 11), (1, 11, 12), (2, 11, 12), (2, 12, 12), (1, 12, 13)] {
        assert!(
            !lane.on_notice(&of(worker, notice(from, to, &[])), 0).gap,
            "two workers, each joins on to its own word"
        );
    }
    assert!(is_cached(&mut lane, &key("a", 5)));
}

#[test]
fn a_worker_without_a_number_drops_everything_each_time() {
    let mut lane = lane();
    for _ in 0..2 {
        fill(&mut lane, &key("a", 5));
        assert!(lane.on_notice(&Notice { worker: None, ..notice(10, 10, &[]) }, 0).gap);
        assert_eq!(lane.cached_entries(), 0);
    }
}

#[test]
fn a_worker_that_was_forgotten_counts_as_new() {
    let mut lane = lane();
    for worker in 2..=voices::MOST_WORKERS as u64 {
        lane.on_notice(&of(worker, notice(10, 10, &[])), 0);
    }
    assert!(!lane.on_notice(&notice(10, 10, &[]), 0).gap, "so many are remembered");
    for worker in 2..=voices::MOST_WORKERS as u64 + 1 {
        lane.on_notice(&of(worker, notice(10, 10, &[])), 0);
    }
    assert!(lane.on_notice(&notice(10, 10, &[]), 0).gap);
}

#[test]
fn a_notice_that_does_not_join_on_to_its_workers_last_drops_everything() {
    let mut lane = lane();
    lane.on_notice(&of(2, notice(10, 10, &[])), 0);
    lane.on_notice(&notice(10, 14, &[]), 0);
    fill(&mut lane, &key("a", 5));
    assert!(!lane.on_notice(&of(2, notice(10, 11, &[])), 0).gap);
    assert!(is_cached(&mut lane, &key("a", 5)));
    assert!(lane.on_notice(&of(2, notice(12, 14, &[])), 0).gap);
    assert!(!is_cached(&mut lane, &key("a", 5)));
}

/// It may replay what the store has lost together with its progress: then no notice says so.
#[test]
fn the_first_word_of_a_worker_from_below_counts_as_a_replay_until_progress_is_read() {
    let mut lane = lane();
    let stale = lane.begin_progress_read();
    assert!(lane.on_notice(&of(2, notice(7, 7, &[])), 0).may_have_gone_back);
    assert_eq!((lane.stamp(0).position, lane.stamp(0).complete), (7, false));
    assert!(lane.finish_progress_read(stale, Some(&progress(10))).outdated, "it was read before that word");
    fill(&mut lane, &key("a", 5));
    assert!(lane.on_notice(&of(2, notice(7, 8, &[])), 0).may_have_gone_back, "as long as progress was not read");
    let ticket = lane.begin_progress_read();
    assert!(lane.finish_progress_read(ticket, Some(&progress(10))).moved);
    assert_eq!((lane.stamp(0).position, lane.cached_entries()), (10, 0));
}

#[test]
fn a_second_loss_during_a_replay_asks_the_store_again() {
    let mut lane = lane();
    lane.on_notice(&replaying(4, 8, &[]), 0);
    assert!(lane.on_notice(&of(2, notice(2, 2, &[])), 0).may_have_gone_back);
    assert_eq!(lane.stamp(0).position, 2);
    let ticket = lane.begin_progress_read();
    assert!(lane.finish_progress_read(ticket, Some(&progress(2))).went_back);
    assert_eq!(lane.stamp(0).position, 2);
}

#[test]
fn a_replay_of_which_a_part_was_not_heard_ends_with_its_workers_word() {
    let mut lane = lane();
    lane.on_notice(&replaying(4, 4, &[]), 0);
    fill(&mut lane, &key("a", 5));
    assert!(lane.on_notice(&notice(7, 10, &[]), 0).gap);
    assert_eq!((lane.stamp(0).position, lane.cached_entries()), (10, 0));
}

#[test]
fn a_replay_that_is_further_back_drops_what_was_read_at_the_higher_position() {
    let mut lane = lane();
    lane.on_notice(&of(2, replaying(4, 4, &[])), 0);
    lane.on_notice(&replaying(4, 9, &[]), 0);
    fill(&mut lane, &key("a", 5));
    assert!(lane.on_notice(&of(2, replaying(4, 5, &[])), 0).gap);
    assert_eq!((lane.stamp(0).position, lane.cached_entries()), (5, 0));
}

#[test]
fn while_a_worker_replays_the_replayed_position_counts() {
    let mut lane = lane();
    fill(&mut lane, &key("a", 5));
    let in_flight = begin(&mut lane, &key("b", 5));
    lane.on_notice(&replaying(4, 4, &[]), 0);
    assert_eq!((lane.stamp(0).position, lane.stamp(0).complete), (4, false));
    assert!(matches!(lane.read(&key("a", 5), 10, 0), Reading::Wait));
    assert_eq!(lane.finish_fill(in_flight, Some(("b", 1)), 0), FillOutcome::Again);
    lane.on_notice(&of(2, notice(10, 12, &[])), 0);
    assert_eq!(lane.stamp(0).position, 4, "a worker that goes on does not know of the loss");
    lane.on_notice(&replaying(4, 8, &[]), 0);
    assert_eq!(lane.stamp(0).position, 8);
    lane.on_notice(&notice(8, 13, &[]), 0);
    assert_eq!(lane.stamp(0), Stamp { position: 13, time_ms: 13_000, complete: true });
}

#[test]
fn a_replay_that_falls_silent_gives_way() {
    let mut lane = lane();
    lane.on_notice(&replaying(4, 4, &[]), 0);
    lane.on_notice(&of(2, notice(10, 12, &[])), HEARTBEAT_SILENCE_MS - 1);
    assert_eq!(lane.stamp(0).position, 4);
    assert!(lane.on_notice(&of(2, notice(12, 12, &[])), HEARTBEAT_SILENCE_MS).gap);
    assert_eq!(lane.stamp(0).position, 12);
}

#[test]
fn progress_found_during_a_replay_is_not_claimed() {
    let mut lane = Lane::new(settings());
    lane.on_notice(&replaying(4, 4, &[]), 0);
    let ticket = lane.begin_progress_read();
    lane.finish_progress_read(ticket, Some(&progress(10)));
    assert_eq!(lane.stamp(0).position, 4);
}

#[test]
fn what_was_read_before_a_worker_was_heard_first_says_nothing() {
    let mut lane = Lane::new(settings());
    let read_before = lane.begin_progress_read();
    // The store had progress 33 when it was read, and has lost it since: a new worker begins where the log does.
    lane.on_notice(&notice(0, 0, &[]), 0);
    assert!(lane.finish_progress_read(read_before, Some(&progress(33))).outdated);
    assert_eq!(lane.stamp(0).position, 0);
    let read_after = lane.begin_progress_read();
    lane.on_notice(&notice(0, 3, &[]), 0);
    assert!(!lane.finish_progress_read(read_after, Some(&progress(6))).outdated, "the same worker goes on");
    assert_eq!(lane.stamp(0).position, 6);
}

#[test]
fn a_store_that_went_back_takes_the_lane_with_it() {
    let mut lane = lane();
    fill(&mut lane, &key("a", 5));
    let in_flight = begin(&mut lane, &key("b", 5));
    assert!(lane.on_notice(&notice(7, 7, &[]), 0).may_have_gone_back);
    let (first, second) = (lane.begin_progress_read(), lane.begin_progress_read());
    assert!(lane.finish_progress_read(first, Some(&progress(7))).went_back);
    assert!(lane.finish_progress_read(second, Some(&progress(10))).outdated);
    assert_eq!((lane.stamp(0).position, lane.cached_entries()), (7, 0));
    assert_eq!(lane.finish_fill(in_flight, Some(("b", 1)), 0), FillOutcome::Again);
}

/// One node has lost rows, another one progress: what is found in the store is no more replayed than before.
#[test]
fn a_replay_goes_on_when_the_store_is_found_to_have_less() {
    let mut lane = lane();
    lane.on_notice(&replaying(4, 4, &[]), 0);
    fill(&mut lane, &key("a", 5));
    let ticket = lane.begin_progress_read();
    assert!(lane.finish_progress_read(ticket, Some(&progress(8))).went_back);
    assert_eq!((lane.stamp(0).position, lane.stamp(0).complete, lane.cached_entries()), (4, false, 0));
    assert!(matches!(lane.read(&key("a", 5), 8, 0), Reading::Wait));
    lane.on_notice(&notice(4, 8, &[("a", 5)]), 0);
    assert_eq!((lane.stamp(0).position, lane.stamp(0).complete), (8, false), "the lane's end was 10");
}

#[test]
fn a_replay_ends_when_the_store_is_found_to_have_no_more() {
    let mut lane = lane();
    lane.on_notice(&replaying(4, 6, &[]), 0);
    let ticket = lane.begin_progress_read();
    assert!(lane.finish_progress_read(ticket, Some(&progress(6))).went_back);
    lane.on_notice(&notice(6, 11, &[]), 0);
    assert_eq!(lane.stamp(0), Stamp { position: 11, time_ms: 11_000, complete: true });
}

#[test]
fn a_lost_store_claims_nothing_until_progress_is_read() {
    let mut lane = lane();
    fill(&mut lane, &key("a", 5));
    assert_eq!((lane.on_store_lost(), lane.stamp(0).position), (1, 0));
    lane.on_notice(&notice(10, 10, &[]), 0);
    assert_eq!((lane.stamp(0).position, lane.hears_notices(0)), (0, false), "a notice may speak of what was lost");
    let ticket = lane.begin_progress_read();
    lane.finish_progress_read(ticket, Some(&progress(9)));
    assert_eq!(lane.stamp(0).position, 9);
}

/// A store that commits step by step may have forgotten one row of an account and kept a later one.
#[test]
fn readers_of_rows_above_the_position_of_a_replay_wait() {
    let mut lane = lane();
    let ticket = begin(&mut lane, &key("a", 5));
    assert_eq!((ticket.horizon().waits_for(Some(12)), ticket.horizon().upto(Some(12))), (None, 12), "nobody replays");
    lane.on_notice(&replaying(4, 4, &[]), 0);
    assert_eq!(lane.finish_fill(ticket, Some(("a", 1)), 0), FillOutcome::Again);
    let of_replay = begin(&mut lane, &key("a", 5)).horizon();
    assert_eq!(of_replay.waits_for(None), None);
    assert_eq!(of_replay.waits_for(Some(4)), None, "everything up to there is there, and nothing else");
    assert_eq!(of_replay.waits_for(Some(5)), Some(5));
    lane.on_notice(&notice(4, 10, &[("a", 5)]), 0);
    assert_eq!(begin(&mut lane, &key("a", 5)).horizon().waits_for(Some(12)), None, "the replay has ended");
}

#[test]
fn over_a_store_whose_commits_are_whole_no_reader_waits_for_a_replay() {
    let mut lane = Lane::new(LaneSettings { commits_are_whole: true, ..settings() });
    lane.on_notice(&notice(10, 10, &[]), 0);
    lane.on_notice(&replaying(4, 4, &[]), 0);
    assert_eq!(lane.stamp(0).position, 4);
    assert_eq!(begin(&mut lane, &key("a", 5)).horizon().waits_for(Some(10)), None);
}

/// A commit was under way, and some of its rows are gone: it lies above all progress, but not above the head.
#[test]
fn readers_of_rows_that_a_worker_may_have_to_complete_wait() {
    let mut lane = lane();
    lane.on_notice(&replaying(10, 10, &[]), 0);
    assert_eq!(lane.stamp(0).position, 10);
    assert_eq!(begin(&mut lane, &key("a", 5)).horizon().waits_for(Some(12)), Some(12));
    lane.on_notice(&notice(10, 13, &[]), 0);
    assert_eq!(begin(&mut lane, &key("b", 5)).horizon().waits_for(Some(14)), None);
}

/// The store has lost progress together with rows: the worker does not know that it replays.
#[test]
fn readers_of_rows_above_a_position_that_was_higher_before_wait() {
    let mut lane = lane();
    lane.on_notice(&notice(4, 4, &[]), 0);
    let ticket = lane.begin_progress_read();
    assert!(lane.finish_progress_read(ticket, Some(&progress(4))).went_back);
    assert_eq!(begin(&mut lane, &key("a", 5)).horizon().waits_for(Some(9)), Some(9));
    lane.on_notice(&notice(4, 10, &[]), 0);
    assert_eq!(begin(&mut lane, &key("b", 5)).horizon().waits_for(Some(12)), None);
}

/// A read of progress was under way when a worker started that found neither: what the read has found is gone, but rows of it may
/// be left.
#[test]
fn an_outdated_read_of_progress_says_how_far_rows_reach() {
    let mut lane = lane();
    let ticket = lane.begin_progress_read();
    lane.on_notice(&Notice { worker: Some(7), ..notice(0, 0, &[]) }, 0);
    assert!(lane.finish_progress_read(ticket, Some(&progress(12))).outdated);
    assert_eq!(lane.stamp(0).position, 0);
    assert_eq!(begin(&mut lane, &key("a", 5)).horizon().waits_for(Some(12)), Some(12));
}
