//! Thousands of histories with all rules; and for each rule, that histories without it go wrong.

use super::*;

const SEEDS: u64 = 15_000;
/// Within so many seeds the loss of a rule must show.
const MUTATED_SEEDS: u64 = 10_000;

#[test]
fn every_answer_agrees_with_the_history_of_the_log() {
    for seed in 0..SEEDS {
        if let Err(violation) = run(seed) {
            let command = "cargo run --release -p protocol --example simulate -- --only ingest --tell";
            panic!("seed {seed}: {violation}\n{command} {seed}");
        }
    }
}

/// Name, and how the rule is left out.
type Mutation = (&'static str, fn(&mut IngestSwitches));

const MUTATIONS: &[Mutation] = &[
    ("what is on its way is pending", |switches| switches.deduplication.on_its_way_is_pending = false),
    ("an unknown outcome keeps other content away", |switches| switches.deduplication.unknown_is_pending = false),
    ("an unknown outcome outlives what was not sent", |switches| {
        switches.deduplication.unknown_outlives_not_sent = false;
    }),
    ("what was not sent is free again", |switches| switches.deduplication.not_sent_is_free = false),
    ("the first place counts", |switches| switches.deduplication.first_place_counts = false),
    ("unclear attempts count", |switches| switches.publishing.unclear_attempts_count = false),
    ("an attempt without an answer is unclear", |switches| switches.publishing.silence_is_unclear = false),
    ("answers name their message", |switches| switches.publishing.answers_by_number = false),
    ("deliveries are numbered", |switches| switches.reading.deliveries_are_numbered = false),
    ("going back is refused", |switches| switches.reading.going_back_is_refused = false),
    ("a log that is too short is refused", |switches| switches.reading.short_log_is_refused = false),
    ("silence makes the consumer anew", |switches| switches.reading.silence_recreates = false),
    ("so does a partition that goes on without it", |switches| switches.reading.stuck_recreates = false),
    ("a message's id covers the content", |switches| switches.surroundings.message_id_covers_content = false),
    ("the claims of what breaks off end", |switches| switches.surroundings.broken_off_claims_end = false),
    ("unknown outcomes are swept", |switches| switches.surroundings.sweeps = false),
    ("acknowledgements are compared", |switches| switches.surroundings.acknowledgements_are_compared = false),
    ("ends are compared", |switches| switches.surroundings.ends_are_compared = false),
    ("nothing is answered before the log was looked at", |switches| {
        switches.surroundings.looks_before_answering = false;
    }),
    ("memory is told after a look at the log", |switches| {
        switches.surroundings.looks_before_answering_from_memory = false;
    }),
    ("another log stops posts", |switches| switches.surroundings.another_log_stops_posts = false),
    ("every lane's end is read", |switches| switches.surroundings.warms_every_lane = false),
    ("readers check the log", |switches| switches.surroundings.readers_check_the_log = false),
];

#[test]
fn without_any_of_its_rules_histories_go_wrong() {
    let shows = |(_, leave_out): &Mutation| {
        let mut switches = IngestSwitches::default();
        leave_out(&mut switches);
        (0..MUTATED_SEEDS).any(|seed| run_without(seed, switches).is_err())
    };
    let harmless: Vec<&str> = MUTATIONS.iter().filter(|mutation| !shows(mutation)).map(|(name, _)| *name).collect();
    assert!(harmless.is_empty(), "nothing goes wrong without these: {harmless:?}");
}
