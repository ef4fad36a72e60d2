use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::flight::{Cause, Failure};

fn launch(id: u64, content: u64) -> Claimed {
    let secret = FingerprintSecret::new([7; FingerprintSecret::BYTES]);
    Claimed { key: secret.of(&id.to_le_bytes()), content: Fingerprint(u128::from(content).to_le_bytes()) }
}

fn cache(entries: usize) -> Recent {
    Recent::new(RecentConfig { entries, ..RecentConfig::default() })
}

/// Ends claims whose slots nobody knows.
fn settle(recent: &Recent, flight: &Arc<Flight>, launches: &[Claimed], outcome: Outcome) {
    let held: Vec<Held> = launches.iter().map(|launch| Held { launch: *launch, slot: u32::MAX }).collect();
    recent.settle(flight, &held, outcome);
}

fn published(sequence: u64) -> Outcome {
    Outcome::Published { sequence }
}

fn unknown() -> Outcome {
    Outcome::Unknown(Failure::new(Cause::OutcomeUnknown))
}

#[test]
fn what_was_published_is_known_or_a_conflict() {
    let (recent, flight) = (cache(1_000), Arc::default());
    assert!(matches!(recent.claim(launch(1, 1), &flight), Claim::New { .. }));
    settle(&recent, &flight, &[launch(1, 1)], published(9));
    let other = Arc::default();
    assert!(matches!(recent.claim(launch(1, 1), &other), Claim::Known { sequence: 9 }));
    assert!(matches!(recent.claim(launch(1, 2), &other), Claim::Conflict { sequence: 9 }));
    assert_eq!(recent.sizes(), (1, 0));
}

#[test]
fn what_the_log_has_first_counts_though_it_is_read_last() {
    let (recent, flight, other) = (cache(1_000), Arc::default(), Arc::default());
    for (id, claimed) in [(1, launch(1, 2)), (2, launch(2, 2))] {
        assert!(matches!(recent.claim(claimed, &flight), Claim::New { .. }), "the log's end is not read yet");
        settle(&recent, &flight, &[claimed], published(9));
        recent.warm(launch(id, id), 5);
        recent.warm(claimed, 9);
    }
    assert!(matches!(recent.claim(launch(1, 1), &other), Claim::Known { sequence: 5 }));
    assert!(matches!(recent.claim(launch(1, 2), &other), Claim::Conflict { sequence: 5 }));
    assert!(matches!(recent.claim(launch(2, 2), &other), Claim::Known { sequence: 5 }));
    assert_eq!(recent.sizes(), (2, 0));
}

#[test]
fn what_is_on_its_way_is_pending_and_free_again_when_it_was_not_sent() {
    let (recent, flight) = (cache(1_000), Arc::<Flight>::default());
    assert!(matches!(recent.claim(launch(1, 1), &flight), Claim::New { .. }));
    let other = Arc::default();
    assert!(matches!(recent.claim(launch(1, 1), &other), Claim::Pending { same_content: true, .. }));
    assert!(matches!(recent.claim(launch(1, 2), &other), Claim::Pending { same_content: false, .. }));
    settle(&recent, &flight, &[launch(1, 1)], Outcome::NotSent(Failure::new(Cause::LogFull)));
    assert!(matches!(recent.claim(launch(1, 2), &other), Claim::New { .. }));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_can_be_repeated_but_not_changed_until_its_time_is_over() {
    let (recent, flight) = (cache(1_000), Arc::<Flight>::default());
    recent.claim(launch(1, 1), &flight);
    settle(&recent, &flight, &[launch(1, 1)], unknown());
    let other = Arc::default();
    assert!(matches!(recent.claim(launch(1, 2), &other), Claim::Pending { same_content: false, .. }));
    assert!(matches!(recent.claim(launch(1, 1), &other), Claim::New { .. }));
    settle(&recent, &flight, &[launch(1, 1)], Outcome::NotSent(Failure::new(Cause::LogFull)));
    let third = Arc::default();
    assert!(matches!(recent.claim(launch(1, 1), &third), Claim::Pending { .. }), "the claim is the second flight's");
    settle(&recent, &other, &[launch(1, 1)], unknown());
    tokio::time::advance(Duration::from_secs(121)).await;
    assert!(matches!(recent.claim(launch(1, 2), &third), Claim::New { .. }));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_outlives_repetitions_that_were_not_sent() {
    let recent = Recent::new(RecentConfig { unknown_entries: 1, ..RecentConfig::default() });
    let refused = Outcome::NotSent(Failure::new(Cause::LogFull));
    let attempt = |outcome| {
        let flight = Arc::default();
        assert!(matches!(recent.claim(launch(1, 1), &flight), Claim::New { .. }));
        settle(&recent, &flight, &[launch(1, 1)], outcome);
        assert_eq!(recent.unknown.load(Relaxed), 1);
    };
    let other = || recent.claim(launch(1, 2), &Arc::default());
    attempt(unknown());
    attempt(refused);
    attempt(refused);
    assert!(matches!(other(), Claim::Pending { same_content: false, .. }));
    tokio::time::advance(Duration::from_secs(60)).await;
    attempt(unknown());
    attempt(refused);
    tokio::time::advance(Duration::from_secs(119)).await;
    assert!(matches!(other(), Claim::Pending { same_content: false, .. }), "the time counts from the last of them");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(matches!(other(), Claim::New { .. }), "nothing of it can still arrive");
    assert_eq!(recent.unknown.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_ends_with_a_published_repetition() {
    let (recent, first, second) = (cache(1_000), Arc::default(), Arc::default());
    recent.claim(launch(1, 1), &first);
    settle(&recent, &first, &[launch(1, 1)], unknown());
    recent.claim(launch(1, 1), &second);
    settle(&recent, &second, &[launch(1, 1)], published(4));
    assert!(matches!(recent.claim(launch(1, 2), &Arc::default()), Claim::Conflict { sequence: 4 }));
    assert_eq!((recent.sizes(), recent.unknown.load(Relaxed)), ((1, 0), 0));
}

#[tokio::test(start_paused = true)]
async fn unknown_outcomes_are_bounded_and_swept() {
    let recent = Recent::new(RecentConfig { unknown_entries: 2, ..RecentConfig::default() });
    for id in 0..4 {
        let flight = Arc::default();
        recent.claim(launch(id, 0), &flight);
        settle(&recent, &flight, &[launch(id, 0)], unknown());
    }
    assert_eq!(recent.sizes(), (0, 2));
    tokio::time::advance(Duration::from_secs(121)).await;
    recent.sweep(Instant::now());
    assert_eq!((recent.sizes(), recent.unknown.load(Relaxed)), ((0, 0), 0));
}

#[test]
fn the_oldest_are_forgotten_first_and_the_bound_holds() {
    let recent = cache(SHARDS * 8);
    for id in 0..20_000 {
        recent.warm(launch(id, id), id);
        assert!(recent.sizes().0 <= SHARDS * 8);
    }
    let known =
        |id| matches!(recent.claim(launch(id, id), &Arc::default()), Claim::Known { sequence } if sequence == id);
    assert!((19_900..20_000).all(known), "far fewer than the bound ago");
    assert!((0..10_000).all(|id| !known(id)));
    let index: usize = recent.shards.iter().map(|shard| lock(shard).sizes().0).sum();
    assert_eq!(index, SHARDS * 8);
}

#[test]
fn the_first_in_the_log_counts() {
    let recent = cache(1_000);
    for (sequence, content) in [(20, 2), (10, 1), (30, 3)] {
        settle(&recent, &Arc::default(), &[launch(1, content)], published(sequence));
    }
    assert!(matches!(recent.claim(launch(1, 1), &Arc::default()), Claim::Known { sequence: 10 }));
    recent.warm(launch(1, 9), 15);
    assert!(matches!(recent.claim(launch(1, 1), &Arc::default()), Claim::Known { sequence: 10 }));
    recent.warm(launch(1, 9), 5);
    assert!(matches!(recent.claim(launch(1, 1), &Arc::default()), Claim::Conflict { sequence: 5 }));
    recent.forget();
    assert_eq!(recent.sizes().0, 0);
    assert!(matches!(recent.claim(launch(1, 9), &Arc::default()), Claim::New { .. }));
}

#[test]
fn what_is_on_its_way_outlives_any_number_of_accepted_ones() {
    let (recent, flight) = (cache(SHARDS * 2), Arc::<Flight>::default());
    let many: Vec<Claimed> = (0..1_000).map(|id| launch(id, 1)).collect();
    assert!(recent.claim_all(&many, |_| Some(&flight), &mut Vec::new()).is_empty());
    (1_000..20_000).for_each(|id| recent.warm(launch(id, id), id));
    assert_eq!(recent.sizes(), (SHARDS * 2, 1_000));
    let is_pending = |launch: &Claimed| matches!(recent.claim(*launch, &Arc::default()), Claim::Pending { .. });
    assert!(many.iter().all(is_pending));
    settle(&recent, &flight, &many, published(30_000));
    assert_eq!(recent.sizes(), (SHARDS * 2, 0));
    let known = many.iter().filter(|launch| matches!(recent.claim(**launch, &flight), Claim::Known { .. })).count();
    assert_eq!(known, SHARDS * 2, "the newest, and each of them once");
}

#[test]
fn forgetting_keeps_what_is_on_its_way() {
    let (recent, first, second) = (cache(1_000), Arc::<Flight>::default(), Arc::<Flight>::default());
    (0..100).for_each(|id| recent.warm(launch(id, id), 1));
    recent.claim(launch(200, 1), &first);
    recent.claim(launch(201, 1), &second);
    settle(&recent, &first, &[launch(200, 1)], unknown());
    recent.forget();
    assert_eq!(recent.sizes(), (0, 2));
    let other = Arc::default();
    assert!(matches!(recent.claim(launch(200, 2), &other), Claim::Pending { same_content: false, .. }));
    assert!(matches!(recent.claim(launch(201, 1), &other), Claim::Pending { same_content: true, .. }));
    settle(&recent, &second, &[launch(201, 1)], published(7));
    assert!(matches!(recent.claim(launch(201, 1), &other), Claim::Known { sequence: 7 }));
}

#[test]
fn a_slot_that_is_anothers_by_now_is_not_taken_for_the_launchs() {
    let (recent, flight) = (cache(SHARDS * 100), Arc::<Flight>::default());
    // Of one shard, so that their slots follow one another.
    let shard = shard_of(launch(0, 0).key);
    let ids: Vec<u64> = (0..).filter(|id| shard_of(launch(*id, 0).key) == shard).take(20).collect();
    ids[..10].iter().for_each(|id| recent.warm(launch(*id, 0), 1));
    let held: Vec<Held> = ids[10..]
        .iter()
        .map(|id| match recent.claim(launch(*id, 0), &flight) {
            Claim::New { slot } => Held { launch: launch(*id, 0), slot },
            _ => unreachable!("it was never seen"),
        })
        .collect();
    recent.forget();
    ids[..10].iter().for_each(|id| recent.warm(launch(*id, 0), 1));
    recent.settle(&flight, &held, published(7));
    let other = Arc::default();
    let known = |id: &u64, first| matches!(recent.claim(launch(*id, 0), &other), Claim::Known { sequence } if sequence == first);
    assert!(ids[..10].iter().all(|id| known(id, 1)) && ids[10..].iter().all(|id| known(id, 7)));
    assert_eq!(recent.sizes(), (20, 0));
}

#[test]
fn no_flight_stays_listed_after_its_claims() {
    let recent = cache(1_000);
    for outcome in [published(1), unknown(), Outcome::NotSent(Failure::new(Cause::LogFull))] {
        let flight = Arc::<Flight>::default();
        recent.claim(launch(flight.number(), 1), &flight);
        assert!(recent.flights.get(flight.number()).is_some());
        settle(&recent, &flight, &[launch(flight.number(), 1)], outcome);
        assert!(recent.flights.get(flight.number()).is_none());
    }
}

/// What a claim was answered, without its flight's address.
fn told(claim: &Claim) -> (u8, u64, bool) {
    match claim {
        Claim::New { .. } => (0, 0, false),
        Claim::Known { sequence } => (1, *sequence, true),
        Claim::Conflict { sequence } => (1, *sequence, false),
        Claim::Pending { same_content, .. } => (2, 0, *same_content),
    }
}

proptest! {
    /// Rounds of claims for two flights, which end in one way or another.
    #[test]
    fn claims_together_are_claims_one_after_the_other(
        rounds in prop::collection::vec((prop::collection::vec((0..60_u64, 0..2_u64, any::<bool>()), 0..80), [0..3_u8, 0..3]), 1..8)
    ) {
        let (together, singly) = (cache(SHARDS * 50), cache(SHARDS * 50));
        for (sequence, (claims, ends)) in (1..).zip(rounds) {
            let flights: [[Arc<Flight>; 2]; 2] = Default::default();
            let launches: Vec<Claimed> = claims.iter().map(|(id, content, _)| launch(*id, *content)).collect();
            let second = |index: usize| usize::from(claims[index].2);
            let answers: Vec<Claim> = (0..).zip(&launches).map(|(index, launch)| singly.claim(*launch, &flights[0][second(index)])).collect();
            let mut expected: Vec<_> = answers.iter().map(told).enumerate().collect();
            expected.retain(|(_, told)| told.0 != 0);
            let mut slots = Vec::new();
            let known = together.claim_all(&launches, |index| Some(&flights[1][second(index)]), &mut slots);
            prop_assert_eq!(known.iter().map(|(index, claim)| (*index, told(claim))).collect::<Vec<_>>(), expected);
            for (flight, end) in ends.into_iter().enumerate() {
                let new = |(index, claim): &(usize, &Claim)| matches!(claim, Claim::New { .. }) && second(*index) == flight;
                let own: Vec<usize> = answers.iter().enumerate().filter(new).map(|(index, _)| index).collect();
                let held: Vec<Held> = own.iter().map(|index| Held { launch: launches[*index], slot: slots[*index] }).collect();
                let outcome = [published(sequence), unknown(), Outcome::NotSent(Failure::new(Cause::LogFull))][usize::from(end)];
                together.settle(&flights[1][flight], &held, outcome);
                // Without the numbers of their slots: they are searched.
                own.iter().rev().for_each(|index| settle(&singly, &flights[0][flight], &[launches[*index]], outcome));
            }
            prop_assert_eq!(together.sizes(), singly.sizes());
        }
    }
}
