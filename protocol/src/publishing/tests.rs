//! The life of one message, and a property over any answers in any order.

use proptest::prelude::*;

use super::*;
use crate::high_water::HighWater;

const PATIENCE: Patience = Patience { ack_timeout_ms: 2_000, give_up_after_ms: 10_000 };
const STORED: Answer = Answer::Stored { sequence: 7, duplicate: true };

fn sent_times(times: u32) -> Attempts {
    let mut attempts = Attempts::new(0, 0, PATIENCE);
    (0..times).for_each(|_| attempts.left());
    attempts
}

fn answered(attempts: &mut Attempts, answer: Answer) -> Option<End> {
    attempts.answered(answer, &HighWater::default(), 100, || 50)
}

#[test]
fn a_duplicate_is_the_publishers_own_after_a_second_attempt() {
    assert_eq!(answered(&mut sent_times(1), STORED), Some(End::Stored { sequence: 7, duplicate: true }));
    assert_eq!(answered(&mut sent_times(2), STORED), Some(End::Stored { sequence: 7, duplicate: false }));
}

#[test]
fn a_definite_no_is_definite_only_while_no_other_attempt_is_unclear() {
    for (answer, failure) in [(Answer::Full, PublishFailure::LogFull), (Answer::Refused, PublishFailure::Refused)] {
        assert_eq!(answered(&mut sent_times(1), answer), Some(End::Failed(failure)));
        assert_eq!(answered(&mut sent_times(2), answer), Some(End::Failed(PublishFailure::Unknown)));
        let mut one_not_there = sent_times(2);
        assert_eq!(answered(&mut one_not_there, Answer::NotThere), None);
        assert_eq!(answered(&mut one_not_there, answer), Some(End::Failed(failure)));
    }
    assert_eq!(sent_times(0).refused_here(), End::Failed(PublishFailure::Refused));
    assert_eq!(sent_times(1).refused_here(), End::Failed(PublishFailure::Unknown));
}

#[test]
fn a_position_that_was_given_out_before_is_nobodys() {
    let high_water = HighWater::default();
    high_water.saw(7);
    let answer = |sequence, duplicate, known| {
        let mut attempts = Attempts::new(0, known, PATIENCE);
        attempts.left();
        attempts.answered(Answer::Stored { sequence, duplicate }, &high_water, 100, || 50)
    };
    assert_eq!(answer(7, true, 7), Some(End::Stored { sequence: 7, duplicate: true }), "it is that of the first");
    assert_eq!(answer(6, false, 5), Some(End::Stored { sequence: 6, duplicate: false }), "7 was sent beside it");
    assert_eq!(answer(7, false, 7), Some(End::Failed(PublishFailure::Unknown)));
    assert!(high_water.went_back().is_some());
}

#[test]
fn what_never_left_is_given_up_as_soon_as_there_is_trouble() {
    let mut attempts = sent_times(0);
    assert_eq!(attempts.overdue(1_999, || 50), Overdue { in_trouble: false, end: None });
    assert_eq!(attempts.due_ms(), 2_000, "not later than the time of trouble");
    let not_sent = Some(End::Failed(PublishFailure::NotSent));
    assert_eq!(attempts.overdue(2_000, || 50), Overdue { in_trouble: true, end: not_sent });
}

#[test]
fn what_left_is_sent_again_until_it_is_given_up() {
    let mut attempts = sent_times(1);
    assert_eq!(attempts.overdue(9_990, || 50), Overdue { in_trouble: true, end: None });
    assert_eq!(attempts.due_ms(), 10_000);
    let unknown = Some(End::Failed(PublishFailure::Unknown));
    assert_eq!(attempts.overdue(10_000, || 50), Overdue { in_trouble: true, end: unknown });
}

#[test]
fn an_answer_ends_the_message_that_it_names() {
    let mut outstanding = Outstanding::new(PATIENCE);
    for name in ["a", "b"] {
        let mut message = outstanding.begin(name, 0, 0);
        message.attempts.left();
        outstanding.keep(message);
    }
    let (second, _) = outstanding.answered(2, STORED, &HighWater::default(), 1, |_| 50).unwrap();
    assert_eq!((second.message, outstanding.len()), ("b", 1));
    assert!(
        outstanding.answered(2, STORED, &HighWater::default(), 1, |_| 50).is_none(),
        "the second answer to a message sent twice"
    );
    assert!(outstanding.take_due(1_999).is_empty());
    assert_eq!(outstanding.take_due(2_000).len(), 1);
}

/// What became of one attempt, in truth.
#[derive(Clone, Copy, Debug)]
enum Fate {
    NotThere,
    Full,
    Lost,
    StoredUnheard,
    LostAnswer,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::NotThere),
        Just(Fate::Full),
        Just(Fate::Lost),
        Just(Fate::StoredUnheard),
        Just(Fate::LostAnswer)
    ]
}

proptest! {
    #[test]
    fn certainly_not_sent_is_said_only_of_what_is_not_stored(fates in prop::collection::vec(fate(), 0..8)) {
        let mut attempts = Attempts::new(0, 0, PATIENCE);
        let (mut is_stored, mut end) = (false, None);
        for fate in fates {
            attempts.left();
            is_stored |= matches!(fate, Fate::StoredUnheard);
            let answer = match fate {
                Fate::NotThere => Answer::NotThere,
                Fate::Full => Answer::Full,
                Fate::Lost => Answer::Unclear,
                Fate::StoredUnheard | Fate::LostAnswer => continue,
            };
            end = answered(&mut attempts, answer);
            if end.is_some() {
                break;
            }
        }
        let end = end.unwrap_or_else(|| attempts.given_up());
        prop_assert!(!is_stored || end == End::Failed(PublishFailure::Unknown), "{end:?}");
    }
}
