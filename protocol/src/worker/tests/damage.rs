//! Rows that do not agree with their journals, logs that are not the store's, floods of nothing.

use bytes::Bytes;

use super::alone::{Alone, identity, key, line, message};
use crate::{
    log::LogIdentity,
    notice::Changed,
    simulation::store::{Put, SimulatedStore, StoreMode},
    worker::{ParsedMessage, Refusal, Remedy, Step, Worker, WorkerConfig, config::Bounds},
};

fn restarted(alone: Alone) -> Alone {
    Alone::with(WorkerConfig::default(), Bounds::default(), alone.store)
}

/// A store with one launch each of the accounts `a` and `b` (sequences 1 and 2), of which `a`'s day row counts one too many.
fn damaged() -> Alone {
    let mut alone = Alone::new();
    alone.offer(1, line("a", "2026-11-22", "1", "1.00"));
    alone.offer(2, line("b", "2026-11-22", "1", "1.00"));
    assert_eq!(alone.drive(), Step::Wait);
    let mut batch = alone.commits[0].balances[0].clone();
    batch.rows.retain(|(key, _)| key.grain == ledger::Grain::Day);
    batch.rows[0].1.totals.credit_count += 1;
    batch.rows[0].1.applied = 3;
    let mut store = SimulatedStore::new(StoreMode::Atomic);
    for commit in &alone.commits {
        store.commit(commit, 0);
    }
    // As if a commit up to 3 had been written wrongly.
    store.apply(&[Put::Balances(batch)], 0);
    let mut last = alone.commits[0].clone();
    (last.balances, last.rollups, last.journal) = (Vec::new(), Vec::new(), Vec::new());
    last.progress.sequence = 3;
    last.head = message(3, "").mark();
    last.checkpoint = Some(last.head);
    store.commit(&last, 0);
    Alone::with(WorkerConfig::default(), Bounds::default(), store)
}

#[test]
fn an_account_whose_day_disagrees_with_its_journal_is_stopped_and_the_others_go_on() {
    let mut alone = damaged();
    alone.offer(4, line("a", "2026-11-22", "2", "1.00"));
    alone.offer(5, line("b", "2026-11-22", "2", "1.00"));
    assert_eq!(alone.drive(), Step::Wait);
    assert_eq!(alone.notices.last().unwrap().stopped, [key("acme", "a")]);
    assert_eq!(alone.worker.counters().stopped_entries, 1);
    let commit = alone.commits.last().unwrap();
    assert!(commit.balances.iter().all(|batch| batch.key == key("acme", "b")));
    assert!(commit.journal.iter().all(|chunk| chunk.window.account.as_str() == "b"));
    assert_eq!(commit.progress.sequence, 5);
    let Changed::Accounts(changed) = &alone.notices.last().unwrap().changed else { panic!("few accounts") };
    assert_eq!(changed.len(), 2, "the entry of the stopped account is told, too");
}

#[test]
fn a_stopped_account_stays_stopped_after_a_restart_whatever_date_comes_next() {
    let mut alone = damaged();
    alone.offer(4, line("a", "2026-11-22", "2", "1.00"));
    assert_eq!(alone.drive(), Step::Wait);
    assert_eq!(alone.store.partition_state(0).checkpoint.sequence, 3, "the checkpoint stays below");
    let mut alone = restarted(alone);
    assert_eq!(alone.worker.read_from(), 4);
    alone.offer(4, line("a", "2026-11-22", "2", "1.00"));
    alone.offer(5, line("a", "2026-11-23", "3", "1.00"));
    assert_eq!(alone.drive(), Step::Wait);
    assert_eq!(alone.notices.last().unwrap().stopped, [key("acme", "a")]);
    assert_eq!(alone.rows(&key("acme", "a")).len(), 3, "no row of the later date");
}

#[test]
fn a_million_empty_messages_cost_one_commit() {
    let mut alone = Alone::new();
    alone.offer(1, line("a", "2026-11-22", "1", "1.00"));
    for sequence in 2..=1_000_001 {
        assert!(alone.worker.has_room());
        alone.offer(sequence, Bytes::new());
    }
    alone.offer(1_000_002, line("a", "2026-11-22", "2", "1.00"));
    assert_eq!(alone.drive(), Step::Wait);
    let counters = alone.worker.counters();
    assert_eq!((counters.commits, counters.empty_messages, counters.launches), (1, 1_000_000, 2));
    assert_eq!(alone.worker.committed_sequence(), 1_000_002);
}

#[test]
fn a_store_of_another_log_is_refused_with_the_remedy() {
    let mut alone = Alone::new();
    alone.offer(1, line("a", "2026-11-22", "1", "1.00"));
    alone.drive();
    let state = alone.store.partition_state(0);
    let start = |identity: LogIdentity| Worker::start(WorkerConfig::default(), identity, 0, 1, 1, &state, 0);
    let refusal = start(LogIdentity { stream_id: "another".into(), ..identity() }).unwrap_err();
    assert_eq!(refusal.remedy(), Remedy::EmptyStore);
    assert!(!refusal.restart_helps());
    let refusal = start(LogIdentity { epoch: 201, ..identity() }).unwrap_err();
    assert!(matches!(refusal, Refusal::BadIdentity { .. }));
    assert!(start(identity()).is_ok());
}

#[test]
fn a_log_that_lost_its_end_is_refused_also_when_it_has_grown_again() {
    let mut alone = Alone::new();
    alone.offer(7, line("a", "2026-11-22", "1", "1.00"));
    alone.drive();
    let mut alone = restarted(alone);
    let marks: Vec<u64> = alone.worker.marks_to_verify().iter().map(|mark| mark.sequence).collect();
    assert_eq!(marks, [7, 7], "checkpoint and head by their digest, progress by its time");
    let original = message(7, line("a", "2026-11-22", "1", "1.00"));
    assert_eq!(alone.worker.verify(&[Some(original.clone()), Some(original.clone())]), Ok(()));
    let mut alone = restarted(alone);
    assert!(matches!(alone.worker.verify(&[None]), Err(Refusal::LogDiffers { sequence: 7, .. })));
    let later = crate::log::LogMessage { time_ms: original.time_ms + 1, ..original };
    let again = alone.worker.verify(&[Some(later)]);
    assert!(matches!(again, Err(Refusal::LogDiffers { sequence: 7, .. })), "the same payload at another time");
}

#[test]
fn what_was_read_and_has_vanished_calls_for_a_restart() {
    let mut alone = Alone::new();
    assert_eq!(alone.worker.verify(&[]), Ok(()));
    alone.offer(3, line("a", "2026-11-22", "1", "1.00"));
    let refusal = alone.worker.verify(&[None]).unwrap_err();
    assert!(refusal.restart_helps(), "{refusal}");
}

#[test]
fn what_another_worker_has_read_at_the_same_place_is_a_contradiction() {
    let mut alone = Alone::new();
    assert_eq!(alone.worker.verify(&[]), Ok(()));
    alone.offer(6, line("a", "2026-11-22", "1", "1.00"));
    let other = message(6, line("a", "2026-11-22", "2", "1.00"));
    let state = crate::commit::PartitionState { head: other.mark(), ..Default::default() };
    assert_eq!(alone.worker.store_says(&state), Ok(()));
    let found: Vec<_> = alone.worker.marks_to_verify().iter().map(|_| Some(other.clone())).collect();
    assert!(alone.worker.verify(&found).unwrap_err().restart_helps());
}

#[test]
fn a_message_offered_twice_is_folded_once() {
    let mut alone = Alone::new();
    for _ in 0..2 {
        alone.offer(1, line("a", "2026-11-22", "1", "1.00"));
    }
    alone.drive();
    alone.worker.offer(ParsedMessage::parse(message(1, line("a", "2026-11-22", "2", "1.00")), 0, 1));
    assert_eq!(alone.drive(), Step::Wait);
    assert_eq!(alone.worker.counters().launches, 1);
}

#[test]
fn a_notice_of_too_many_accounts_says_all() {
    let mut alone = Alone::new();
    let lines: Vec<String> = (0..2_000).map(|n| line(&format!("account-{n}"), "2026-11-22", "1", "1.00")).collect();
    alone.offer(1, lines.join("\n"));
    alone.drive();
    assert_eq!(alone.notices[0].changed, Changed::All);
    alone.offer(2, lines[..300].join("\n"));
    alone.drive();
    let Changed::Accounts(changed) = &alone.notices[1].changed else { panic!("three hundred fit") };
    assert_eq!(changed.len(), 300);
    assert!(serde_json::to_vec(&alone.notices[1]).unwrap().len() <= crate::notice::MAX_NOTICE_BYTES);
}

#[test]
fn below_the_progress_that_it_found_a_worker_says_that_it_replays() {
    let mut alone = Alone::new();
    alone.offer(4, line("a", "2026-11-22", "1", "1.00"));
    alone.drive();
    let mut store = SimulatedStore::new(StoreMode::Stepwise);
    let commit = crate::commit::Commit { checkpoint: None, ..alone.commits[0].clone() };
    store.commit(&commit, 0);
    let config = WorkerConfig { atomic_commits: false, ..WorkerConfig::default() };
    let mut alone = Alone::with(config, Bounds::default(), store);
    let heartbeat = alone.worker.heartbeat();
    assert_eq!((heartbeat.from, heartbeat.to, heartbeat.replaying), (0, 0, true));
    alone.offer(4, line("a", "2026-11-22", "1", "1.00"));
    assert_eq!(alone.drive(), Step::Wait);
    assert!(!alone.worker.heartbeat().replaying);
    assert!(alone.commits[0].balances.is_empty(), "the rows are there");
    assert_eq!(alone.commits[0].journal.len(), 1, "the journal is written again");
    let Changed::Accounts(changed) = &alone.notices[0].changed else { panic!("one account") };
    assert_eq!(changed.len(), 1, "told although no row was written");
}

/// A commit of which nothing but the head, and perhaps some rows, was written before its worker died.
#[test]
fn below_the_head_that_it_found_a_worker_says_that_it_replays() {
    let mut alone = Alone::new();
    alone.offer(4, line("a", "2026-11-22", "1", "1.00"));
    alone.drive();
    let mut store = SimulatedStore::new(StoreMode::Stepwise);
    let steps = store.commit_steps(&alone.commits[0]);
    store.apply(&steps[0][0], 0);
    let config = WorkerConfig { atomic_commits: false, ..WorkerConfig::default() };
    let mut alone = Alone::with(config, Bounds::default(), store);
    assert!(alone.store.partition_state(0).progress.is_none());
    assert!(alone.worker.heartbeat().replaying);
    alone.offer(4, line("a", "2026-11-22", "1", "1.00"));
    assert_eq!(alone.drive(), Step::Wait);
    assert!(!alone.worker.heartbeat().replaying);
}
