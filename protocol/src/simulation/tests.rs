//! Thousands of histories with all rules; and for each rule, that histories without it go wrong.

use super::*;

const SEEDS: u64 = 3_000;
/// Within so many seeds the loss of a rule must show.
const MUTATED_SEEDS: u64 = 10_000;

#[test]
fn every_history_agrees_with_the_naive_fold() {
    for seed in 0..SEEDS {
        if let Err(violation) = run(seed) {
            panic!("seed {seed}: {violation}\ncargo run --release -p protocol --example simulate -- --tell {seed}");
        }
    }
}

/// Name, and how the rule is left out.
type Mutation = (&'static str, fn(&mut Switches));

/// Every rule of the write side that can be left out.
const MUTATIONS: &[Mutation] = &[
    ("a launch is applied only above the row's stamp", |switches| switches.worker.apply_above_stamp = false),
    ("the stamp as loaded decides", |switches| switches.worker.stamp_as_loaded = false),
    ("only what lies below exists", |switches| switches.worker.only_below_exists = false),
    ("what is folded is journaled again", |switches| switches.worker.journal_again = false),
    ("account rows at every first touch", |switches| switches.worker.account_row_every_first_touch = false),
    ("the head covers the rows", |switches| switches.worker.head_covers_rows = false),
    ("the last message read is verified", |switches| switches.worker.verify_last_read = false),
    ("checkpoint and head are verified", |switches| switches.worker.verify_marks = false),
    ("a worker that stood still starts anew", |switches| switches.worker.restart_after_standstill = false),
    ("the checkpoint lags", |switches| switches.worker.checkpoint_lags = false),
    ("commits end on message boundaries", |switches| switches.worker.whole_messages = false),
    ("day checks wait for the replay", |switches| switches.worker.day_check_waits = false),
    ("notices list what was not written, too", |switches| switches.worker.notice_lists_unwritten = false),
    ("bad lines are parked before the commit", |switches| switches.worker.park_before_commit = false),
    ("only what is safe is evicted", |switches| switches.worker.evict_only_safe = false),
    ("rows are put if newer", |switches| switches.store.put_if_newer = false),
    ("marks carry their own stamps", |switches| switches.store.own_stamps = false),
    ("the phases of a commit are ordered", |switches| switches.store.ordered_phases = false),
    ("a lost store is a crash", |switches| switches.driver.store_loss_is_a_crash = false),
];

#[test]
fn without_any_of_its_rules_histories_go_wrong() {
    let harmless: Vec<&str> =
        MUTATIONS.iter().filter(|mutation| first_wrong(mutation).is_none()).map(|(name, _)| *name).collect();
    assert!(harmless.is_empty(), "nothing goes wrong without these: {harmless:?}");
}

/// The first seed that goes wrong without a rule.
fn first_wrong((_, leave_out): &Mutation) -> Option<u64> {
    let mut switches = Switches::default();
    leave_out(&mut switches);
    (0..MUTATED_SEEDS).find(|seed| run_without(*seed, switches).is_err())
}
