mod replays;

use ledger::{Account, AccountKey, BusinessDate, Tenant};
use smol_str::SmolStr;

use super::*;
use crate::{
    commit::Progress,
    log::{Incarnation, LogIdentity, LogName},
    notice::{Changed, ChangedAccount, MAX_STOPPED_ACCOUNTS, Notice},
};

type Lane = QueryLane<u8, &'static str>;

/// What a lane of the log with the stream `s` is made with.
fn settings() -> LaneSettings {
    LaneSettings { generation: 1, log: name("s"), partition: 0, cache_bytes: 1 << 20, commits_are_whole: false }
}

fn name(stream_id: &str) -> LogName {
    LogName { epoch: 1, incarnation: Incarnation::of(stream_id) }
}

fn account(name: &str) -> AccountKey {
    AccountKey { tenant: Tenant::parse("acme").unwrap(), account: Account::parse(name).unwrap() }
}

fn date(day: i32) -> BusinessDate {
    BusinessDate::from_days(day).unwrap()
}

fn key(name: &str, day: i32) -> EntryKey<u8> {
    EntryKey { account: account(name), until: date(day), representation: 0 }
}

fn notice(from: u64, to: u64, changed: &[(&str, i32)]) -> Notice {
    let entry = |(name, day): &(&str, i32)| {
        let AccountKey { tenant, account } = account(name);
        ChangedAccount { tenant, account, date: date(*day) }
    };
    Notice {
        log_is_whole: None,
        generation: 1,
        epoch: 1,
        incarnation: Some(Incarnation::of("s")),
        partition: 0,
        worker: Some(1),
        from,
        to,
        time_ms: i64::try_from(to).unwrap() * 1_000,
        end: to,
        replaying: false,
        changed: Changed::Accounts(changed.iter().map(entry).collect()),
        stopped: Vec::new(),
    }
}

fn progress(sequence: u64) -> Progress {
    let identity = LogIdentity { epoch: 1, stream_id: SmolStr::new("s"), partitions: 1 };
    Progress { sequence, time_ms: i64::try_from(sequence).unwrap() * 1_000, identity }
}

/// A lane that has heard of position 10 just now (at 0 ms).
fn lane() -> Lane {
    let mut lane = Lane::new(settings());
    lane.on_notice(&notice(10, 10, &[]), 0);
    lane
}

fn begin(lane: &mut Lane, key: &EntryKey<u8>) -> FillTicket<u8> {
    match lane.read(key, 0, 0) {
        Reading::Fill(ticket) => ticket,
        other => unreachable!("a fill was expected, not {other:?}"),
    }
}

fn fill(lane: &mut Lane, key: &EntryKey<u8>) {
    let ticket = begin(lane, key);
    assert!(matches!(lane.finish_fill(ticket, Some(("bytes", 5)), 0), FillOutcome::Answer(_)));
}

fn is_cached(lane: &mut Lane, key: &EntryKey<u8>) -> bool {
    matches!(lane.read(key, 0, 0), Reading::Cached(..))
}

#[test]
fn a_filled_answer_is_served_with_the_present_stamp() {
    let mut lane = lane();
    fill(&mut lane, &key("a", 5));
    lane.on_notice(&notice(10, 12, &[("b", 1)]), 1_000);
    let Reading::Cached(value, stamp) = lane.read(&key("a", 5), 12, 1_000) else { unreachable!() };
    assert_eq!((value, stamp), ("bytes", Stamp { position: 12, time_ms: 12_000, complete: true }));
}

#[test]
fn a_notice_drops_its_accounts_from_the_date_on() {
    let mut lane = lane();
    for key in [key("a", 4), key("a", 5), key("a", 6), key("b", 9)] {
        fill(&mut lane, &key);
    }
    let effect = lane.on_notice(&notice(10, 11, &[("a", 5)]), 0);
    assert_eq!((effect.dropped, effect.gap, effect.moved), (2, false, true));
    assert!(is_cached(&mut lane, &key("a", 4)) && is_cached(&mut lane, &key("b", 9)));
    assert!(!is_cached(&mut lane, &key("a", 5)));
}

#[test]
fn a_notice_wholly_behind_drops_what_it_lists() {
    let mut lane = lane();
    fill(&mut lane, &key("a", 5));
    let effect = lane.on_notice(&notice(3, 4, &[("a", 5)]), 0);
    assert_eq!((effect.dropped, effect.moved, effect.may_have_gone_back), (1, false, true));
}

#[test]
fn all_drops_everything() {
    let mut lane = lane();
    fill(&mut lane, &key("a", 5));
    let ticket = begin(&mut lane, &key("b", 5));
    lane.on_notice(&Notice { changed: Changed::All, ..notice(10, 11, &[]) }, 0);
    lane.finish_fill(ticket, Some(("old", 3)), 0);
    assert_eq!((lane.cached_entries(), lane.cached_bytes()), (0, 0));
}

#[test]
fn a_gap_drops_everything_and_spoils_fills_in_flight() {
    let mut lane = lane();
    fill(&mut lane, &key("a", 5));
    let ticket = begin(&mut lane, &key("b", 5));
    assert!(lane.on_notice(&notice(11, 12, &[]), 0).gap);
    assert!(!is_cached(&mut lane, &key("a", 5)));
    let outcome = lane.finish_fill(ticket, Some(("old", 3)), 0);
    assert_eq!(outcome, FillOutcome::Answer(Stamp { position: 10, time_ms: 10_000, complete: true }));
    assert!(!is_cached(&mut lane, &key("b", 5)));
}

#[test]
fn lost_notices_drop_like_a_gap() {
    let mut lane = lane();
    fill(&mut lane, &key("a", 5));
    let ticket = begin(&mut lane, &key("b", 5));
    assert_eq!(lane.on_notices_lost(), 1);
    lane.finish_fill(ticket, Some(("old", 3)), 0);
    assert_eq!(lane.cached_entries(), 0);
}

#[test]
fn a_fill_that_a_notice_touched_is_answered_but_not_cached() {
    let mut lane = lane();
    let ticket = begin(&mut lane, &key("a", 5));
    lane.on_notice(&notice(10, 11, &[("a", 5)]), 0);
    let outcome = lane.finish_fill(ticket, Some(("old", 3)), 0);
    assert_eq!(outcome, FillOutcome::Answer(Stamp { position: 10, time_ms: 10_000, complete: true }));
    assert!(!is_cached(&mut lane, &key("a", 5)));
}

#[test]
fn a_fill_that_a_notice_of_later_dates_passed_is_cached() {
    let mut lane = lane();
    let ticket = begin(&mut lane, &key("a", 5));
    lane.on_notice(&notice(10, 11, &[("a", 6), ("b", 1)]), 0);
    lane.finish_fill(ticket, Some(("bytes", 5)), 0);
    assert!(is_cached(&mut lane, &key("a", 5)));
}

#[test]
fn readers_join_a_fill_that_satisfies_them_and_no_other() {
    let mut lane = lane();
    let first = begin(&mut lane, &key("a", 5));
    assert!(matches!(lane.read(&key("a", 5), 10, 0), Reading::Join(id) if id == first.id()));
    assert!(matches!(lane.read(&key("a", 5), 11, 0), Reading::Wait));
    lane.on_notice(&notice(10, 11, &[("b", 1)]), 0);
    let Reading::Fill(second) = lane.read(&key("a", 5), 11, 0) else { unreachable!() };
    assert!(matches!(lane.read(&key("a", 5), 11, 0), Reading::Join(id) if id == second.id()));
    lane.abandon_fill(first);
    lane.abandon_fill(second);
    assert_eq!(lane.fills_in_flight(), 0);
}

#[test]
fn silence_bypasses_the_cache_and_ends_completeness() {
    let mut lane = lane();
    fill(&mut lane, &key("a", 5));
    assert!(
        matches!(lane.read(&key("a", 5), 0, HEARTBEAT_SILENCE_MS - 1), Reading::Cached(_, stamp) if stamp.complete)
    );
    let Reading::Fill(ticket) = lane.read(&key("a", 5), 0, HEARTBEAT_SILENCE_MS) else { unreachable!() };
    assert!(!ticket.stamp().complete);
    lane.on_notice(&notice(10, 10, &[]), 6_000);
    assert!(matches!(lane.read(&key("a", 5), 0, 6_000), Reading::Cached(..)), "what was kept is good again");
    lane.finish_fill(ticket, Some(("silent", 6)), 6_000);
    assert!(matches!(lane.read(&key("a", 5), 0, 6_000), Reading::Cached("bytes", _)), "begun in silence: not cached");
}

#[test]
fn complete_means_at_the_end_that_was_told() {
    let mut lane = lane();
    lane.on_notice(&Notice { end: 20, ..notice(10, 11, &[]) }, 0);
    assert!(!lane.stamp(0).complete);
    lane.on_notice(&notice(9, 9, &[]), 0);
    assert!(!lane.stamp(0).complete, "an old worker's heartbeat does not move the end back");
    lane.on_notice(&notice(11, 20, &[]), 0);
    assert!(lane.stamp(0).complete);
}

#[test]
fn notices_of_others_are_ignored() {
    let mut lane = Lane::new(settings());
    let ours = notice(0, 5, &[]);
    for other in [
        Notice { generation: 2, ..ours.clone() },
        Notice { epoch: 2, ..ours.clone() },
        Notice { incarnation: Some(Incarnation::of("another")), ..ours.clone() },
        Notice { partition: 1, ..ours.clone() },
        Notice { from: 9, ..ours },
    ] {
        assert!(lane.on_notice(&other, 0).ignored);
    }
    assert_eq!((lane.stamp(0), lane.hears_notices(0)), (Stamp::default(), false));
    let of_an_earlier_release = Notice { incarnation: None, ..notice(0, 5, &[]) };
    assert!(!lane.on_notice(&of_an_earlier_release, 0).ignored);
}

#[test]
fn a_progress_read_ahead_of_the_notices_counts_as_a_gap() {
    let mut lane = lane();
    fill(&mut lane, &key("a", 5));
    let ticket = lane.begin_progress_read();
    let effect = lane.finish_progress_read(ticket, Some(&progress(11)));
    assert!(effect.moved && !effect.went_back);
    assert_eq!((lane.cached_entries(), lane.stamp(0).position), (0, 11));
}

#[test]
fn a_progress_read_that_a_notice_overtook_changes_nothing() {
    let mut lane = lane();
    let ticket = lane.begin_progress_read();
    lane.on_notice(&notice(10, 15, &[]), 0);
    assert_eq!(lane.finish_progress_read(ticket, Some(&progress(12))), ProgressEffect::default());
    assert_eq!(lane.stamp(0).position, 15);
}

#[test]
fn a_notice_without_a_time_keeps_the_time_known() {
    let mut lane = lane();
    lane.on_notice(&Notice { time_ms: 0, ..notice(10, 11, &[]) }, 0);
    assert_eq!((lane.stamp(0).position, lane.stamp(0).time_ms), (11, 10_000));
}

#[test]
fn nothing_is_complete_while_messages_of_the_log_are_gone() {
    let mut lane = lane();
    let complete = |lane: &mut Lane, log_is_whole| {
        lane.on_notice(&Notice { log_is_whole, ..notice(10, 10, &[]) }, 0);
        lane.stamp(0).complete
    };
    assert!(complete(&mut lane, None) && complete(&mut lane, Some(true)));
    assert!(!complete(&mut lane, Some(false)));
    assert!(!complete(&mut lane, None), "a worker that has just started does not know");
    assert!(complete(&mut lane, Some(true)), "a backup was restored");
}

#[test]
fn a_stopped_account_stays_so_until_it_was_looked_at_again() {
    let mut lane = lane();
    fill(&mut lane, &key("a", 5));
    let stop = Notice { end: 20, stopped: vec![account("a")], ..notice(10, 11, &[]) };
    lane.on_notice(&stop, 0);
    assert!(matches!(lane.read(&key("a", 5), 0, 0), Reading::Stopped));
    lane.on_notice(&notice(11, 12, &[("b", 5)]), 0);
    assert!(matches!(lane.read(&key("a", 5), 0, 0), Reading::Stopped));
    lane.on_notice(&notice(12, 13, &[("a", 5)]), 0);
    assert!(matches!(lane.read(&key("a", 5), 0, 0), Reading::Fill(_)));
}

/// What it lists may be too much for a notice, or the account is not touched again.
#[test]
fn a_stopped_account_is_answered_again_once_a_worker_has_looked_at_all_of_the_lane() {
    let mut lane = lane();
    lane.on_notice(&Notice { end: 20, stopped: vec![account("a")], ..notice(10, 11, &[]) }, 0);
    let of_the_next = |to| Notice { worker: Some(2), end: 20, changed: Changed::All, ..notice(5, to, &[]) };
    for not_yet in [Notice { replaying: true, ..of_the_next(20) }, of_the_next(19)] {
        lane.on_notice(&not_yet, 0);
        assert!(matches!(lane.read(&key("a", 5), 0, 0), Reading::Stopped), "{not_yet:?}");
    }
    lane.on_notice(&of_the_next(20), 0);
    assert!(matches!(lane.read(&key("a", 5), 0, 0), Reading::Fill(_)));
}

#[test]
fn a_refused_lane_answers_nothing_until_it_is_taken_up_again() {
    let mut lane = lane();
    fill(&mut lane, &key("a", 5));
    lane.on_notice(&Notice { changed: Changed::Refused, ..notice(0, 0, &[]) }, 0);
    assert!(matches!(lane.read(&key("a", 5), 0, 0), Reading::Stopped));
    lane.on_notice(&notice(10, 10, &[]), 0);
    assert!(matches!(lane.read(&key("a", 5), 0, 0), Reading::Fill(_)));
}

#[test]
fn too_many_stopped_accounts_stop_the_lane() {
    let mut lane = lane();
    for number in 0..=MAX_STOPPED_ACCOUNTS {
        let stopped = vec![account(&format!("a{number}"))];
        lane.on_notice(&Notice { end: 20, stopped, ..notice(10, 10, &[]) }, 0);
    }
    assert!(matches!(lane.read(&key("another", 5), 0, 0), Reading::Stopped));
}

#[test]
fn a_lane_that_was_stopped_is_answered_again_once_a_worker_has_looked_at_all_of_it() {
    let mut lane = lane();
    let stopped = |range: std::ops::Range<usize>| range.map(|number| account(&format!("a{number}"))).collect();
    lane.on_notice(&Notice { end: 30, stopped: stopped(0..MAX_STOPPED_ACCOUNTS), ..notice(10, 10, &[]) }, 0);
    lane.on_notice(&Notice { end: 30, stopped: stopped(1..MAX_STOPPED_ACCOUNTS + 1), ..notice(10, 10, &[]) }, 0);
    assert!(matches!(lane.read(&key("another", 5), 0, 0), Reading::Stopped));
    let of_the_next = |from, to| Notice { worker: Some(2), end: 30, ..notice(from, to, &[]) };
    for not_yet in [
        Notice { replaying: true, ..of_the_next(5, 5) },
        Notice { replaying: true, ..of_the_next(5, 30) },
        of_the_next(20, 20),
        Notice { end: 40, stopped: stopped(0..MAX_STOPPED_ACCOUNTS + 1), ..of_the_next(20, 40) },
        Notice { end: 40, ..of_the_next(30, 39) },
        Notice { changed: Changed::Refused, ..of_the_next(40, 40) },
    ] {
        lane.on_notice(&not_yet, 0);
        assert!(matches!(lane.read(&key("another", 5), 0, 0), Reading::Stopped), "{not_yet:?}");
    }
    lane.on_notice(&Notice { stopped: stopped(7..8), ..of_the_next(39, 40) }, 0);
    assert!(matches!(lane.read(&key("another", 5), 0, 0), Reading::Fill(_)));
    assert!(matches!(lane.read(&key("a7", 5), 0, 0), Reading::Stopped), "one is damaged still");
    assert!(matches!(lane.read(&key("a6", 5), 0, 0), Reading::Fill(_)));
}

#[test]
fn the_budget_is_kept_and_what_is_read_stays() {
    let budget = 10 * (cache::ENTRY_OVERHEAD_BYTES + 5);
    let mut lane = Lane::new(LaneSettings { cache_bytes: budget, ..settings() });
    lane.on_notice(&notice(0, 10, &[]), 0);
    fill(&mut lane, &key("hot", 5));
    for day in 0..100 {
        assert!(is_cached(&mut lane, &key("hot", 5)), "read since its last turn");
        fill(&mut lane, &key("cold", day));
        assert!(lane.cached_bytes() <= budget);
    }
    assert_eq!(lane.cached_entries(), 10);
    let ticket = begin(&mut lane, &key("huge", 1));
    lane.finish_fill(ticket, Some(("huge", budget)), 0);
    assert_eq!(lane.cached_entries(), 10, "what alone exceeds the budget is not kept");
}

#[test]
fn a_position_of_another_log_means_nothing() {
    let (ours, other) = (name("s"), name("another"));
    let at_least = |text: String| Demand::at_least(text.parse().unwrap(), ours, 4);
    assert_eq!(at_least(format!("2.{}.0.5", ours.incarnation)), Err(DemandError::OtherLog));
    assert_eq!(at_least(format!("{other}.0.5")), Err(DemandError::OtherLog));
    assert_eq!(at_least(format!("{ours}.4.5")), Err(DemandError::UnknownPartition));
    let demand = at_least(format!("{ours}.0.5-3.9")).unwrap();
    assert_eq!((demand.of_lane(0), demand.of_lane(1), demand.of_lane(3)), (5, 0, 9));
    assert_eq!(Demand::nothing().of_lane(3), 0);
}

#[test]
fn what_is_read_for_a_retired_lane_is_begun_anew() {
    let mut lane = lane();
    let in_flight = begin(&mut lane, &key("a", 1));
    lane.retire();
    assert_eq!(lane.finish_fill(in_flight, Some(("bytes", 5)), 0), FillOutcome::Again);
    let later = begin(&mut lane, &key("b", 1));
    assert_eq!(lane.finish_fill(later, Some(("bytes", 5)), 0), FillOutcome::Again);
    assert_eq!((lane.cached_entries(), lane.fills_in_flight()), (0, 0));
}
