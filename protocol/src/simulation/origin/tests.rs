//! Thousands of histories with all rules; and for each rule, that histories without it go wrong.

use super::*;

const SEEDS: u64 = 3_000;
/// Within so many seeds the loss of a rule must show.
const MUTATED_SEEDS: u64 = 3_000;

#[test]
fn every_answer_is_of_the_log_that_it_names() {
    for seed in 0..SEEDS {
        if let Err(violation) = run(seed) {
            let command = "cargo run --release -p protocol --example simulate -- --only origin --tell";
            panic!("seed {seed}: {violation}\n{command} {seed}");
        }
    }
}

/// Name, and how the rule is left out.
type Mutation = (&'static str, fn(&mut OriginSwitches));

const MUTATIONS: &[Mutation] = &[
    ("an empty store is scanned again for another name", |switches| {
        switches.origin.renaming_rescans_the_empty = false;
    }),
    ("a store of another log answers nothing", |switches| switches.origin.other_log_answers_nothing = false),
    ("nor does one of several logs", |switches| switches.origin.several_logs_answer_nothing = false),
    ("the stream is waited for", |switches| switches.origin.waits_for_the_stream = false),
    ("every lane is scanned", |switches| switches.origin.every_lane_is_scanned = false),
    ("notices of another log are ignored", |switches| switches.query.only_own_notices = false),
    ("fills of former lanes begin anew", |switches| switches.query.retired_fills_begin_anew = false),
    ("nothing is answered before the log is known", |switches| switches.driver.unknown_answers_nothing = false),
    ("there are as many lanes as the log has", |switches| switches.driver.lanes_are_the_logs = false),
    ("another log gets other lanes", |switches| switches.driver.another_log_gets_other_lanes = false),
    ("positions name their log", |switches| switches.driver.positions_name_their_log = false),
    ("progress of another log is told", |switches| switches.driver.strays_are_told = false),
    ("the stream is asked again", |switches| switches.driver.stream_is_asked_again = false),
    ("a store that is not answered from is scanned again", |switches| {
        switches.driver.withheld_store_is_scanned_again = false;
    }),
    ("a worker looks at other lanes", |switches| switches.driver.workers_look_at_other_lanes = false),
];

#[test]
fn without_any_of_its_rules_histories_go_wrong() {
    let shows = |(_, leave_out): &Mutation| {
        let mut switches = OriginSwitches::default();
        leave_out(&mut switches);
        (0..MUTATED_SEEDS).any(|seed| run_without(seed, switches).is_err())
    };
    let harmless: Vec<&str> = MUTATIONS.iter().filter(|mutation| !shows(mutation)).map(|(name, _)| *name).collect();
    assert!(harmless.is_empty(), "nothing goes wrong without these: {harmless:?}");
}
