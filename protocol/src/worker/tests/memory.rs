//! What a worker holds, and what one commit may bring.

use super::alone::{Alone, line};
use crate::{
    simulation::store::{SimulatedStore, StoreMode},
    worker::{Step, WorkerConfig, config::Bounds},
};

const ACCOUNTS_A_MESSAGE: usize = 600;

fn alone(memory_bytes: usize) -> Alone {
    let config = WorkerConfig { memory_bytes, ..WorkerConfig::default() };
    Alone::with(config, Bounds::default(), SimulatedStore::new(StoreMode::Atomic))
}

/// One launch of each of so many accounts; no message has the accounts of another.
fn offer(alone: &mut Alone, sequences: std::ops::RangeInclusive<u64>) {
    for sequence in sequences {
        let line = |index| line(&format!("a{sequence}-{index}"), "2026-11-01", "launch", "1.00");
        alone.offer(sequence, (0..ACCOUNTS_A_MESSAGE).map(line).collect::<Vec<_>>().join("\n"));
    }
}

#[test]
fn a_commit_of_many_windows_is_cut_by_the_budget() {
    let mut small = alone(1);
    offer(&mut small, 1..=6);
    assert_eq!(small.drive(), Step::Wait);
    let chunks: Vec<usize> = small.commits.iter().map(|commit| commit.journal.len()).collect();
    assert_eq!(chunks, [ACCOUNTS_A_MESSAGE; 6], "two messages have more than 1,024 windows");

    let mut large = alone(64 * 1024 * 1024);
    offer(&mut large, 1..=6);
    assert_eq!(large.drive(), Step::Wait);
    assert_eq!(large.commits.len(), 1, "six messages have less than 16,384");
}

#[test]
fn no_more_than_the_budget_and_one_run_is_held() {
    let (budget, run) = (4 * 1024 * 1024, ACCOUNTS_A_MESSAGE as u64 * 4_096);
    let mut alone = alone(budget);
    let mut most = 0;
    for sequence in 1..=30 {
        offer(&mut alone, sequence..=sequence);
        assert_eq!(alone.drive(), Step::Wait);
        most = most.max(alone.worker.counters().memory_bytes);
    }
    assert!(alone.worker.counters().windows_evicted > 0);
    assert!(most <= budget as u64 + run, "{most} bytes");
}
