//! One shard beside a naive model that keeps a list of what happened to each key.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const TTL_MS: u64 = 1_000;
const IDS: u8 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number(u64);

impl Flight for Number {
    fn number(&self) -> u64 {
        self.0
    }
}

fn launch(id: u8, content: u8) -> Claimed {
    Claimed { key: Fingerprint([id; 16]), content: Fingerprint([content; 16]) }
}

/// What the model knows of a key.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Sequence and content of the accepted one.
    accepted: Option<(u64, u8)>,
    /// Flight and content.
    on_its_way: Option<(u64, u8)>,
    /// Flight, content, and since when.
    unknown: Option<(u64, u8, u64)>,
}

impl Known {
    /// Kind of answer, the number that decides, and whether the content is the same.
    fn expected(&mut self, content: u8, now_ms: u64, number: u64) -> (&'static str, u64, bool) {
        if let Some((sequence, first)) = self.accepted {
            return ("accepted", sequence, first == content);
        }
        if let Some((flight, first)) = self.on_its_way {
            return ("pending", flight, first == content);
        }
        if let Some((flight, first, since_ms)) = self.unknown {
            if now_ms - since_ms >= TTL_MS {
                self.unknown = None;
            } else if first != content {
                return ("pending", flight, false);
            }
        }
        self.on_its_way = Some((number, content));
        ("new", 0, true)
    }

    fn settle(&mut self, (flight, content): (u64, u8), settlement: Settlement) {
        match settlement {
            Settlement::Published { sequence } => {
                if self.accepted.is_none_or(|(first, _)| sequence < first) {
                    self.accepted = Some((sequence, content));
                }
                self.unknown = None;
                self.on_its_way = None;
            }
            Settlement::NotSent => self.on_its_way = None,
            Settlement::Unknown { since_ms } => {
                self.on_its_way = None;
                self.unknown = Some((flight, content, since_ms));
            }
        }
    }
}

fn told(claim: &Claim<Number>) -> (&'static str, u64, bool) {
    match claim {
        Claim::New { .. } => ("new", 0, true),
        Claim::Known { sequence } => ("accepted", *sequence, true),
        Claim::Conflict { sequence } => ("accepted", *sequence, false),
        Claim::Pending { flight, same_content } => ("pending", flight.0, *same_content),
    }
}

#[derive(Clone, Debug)]
enum Happening {
    Claim { id: u8, content: u8 },
    Settle { at: usize, how: u8 },
    Pass { ms: u64 },
    Sweep,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0..IDS, 0..2_u8).prop_map(|(id, content)| Happening::Claim { id, content }),
        3 => (any::<usize>(), 0..3_u8).prop_map(|(at, how)| Happening::Settle { at, how }),
        1 => (0..800_u64).prop_map(|ms| Happening::Pass { ms }),
        1 => Just(Happening::Sweep),
    ]
}

proptest! {
    #[test]
    fn a_shard_answers_as_the_table_says(happenings in prop::collection::vec(happening(), 0..60)) {
        let mut shard = Shard::new(1_000);
        let mut model = BTreeMap::<u8, Known>::new();
        let mut flights: Vec<(Number, u8, u8, Held)> = Vec::new();
        let (mut now_ms, mut numbers) = (0, 0..);
        for happening in happenings {
            match happening {
                Happening::Claim { id, content } => {
                    let flight = Number(numbers.next().unwrap());
                    let live = |number| flights.iter().map(|(flight, ..)| *flight).find(|flight| flight.0 == number);
                    let (claim, _) = shard.claim(launch(id, content), &flight, live, || now_ms, TTL_MS);
                    let expected = model.entry(id).or_default().expected(content, now_ms, flight.0);
                    prop_assert_eq!(told(&claim), expected);
                    if let Claim::New { slot } = claim {
                        flights.push((flight, id, content, Held { launch: launch(id, content), slot }));
                    }
                }
                Happening::Settle { at, how } if !flights.is_empty() => {
                    let (flight, id, content, held) = flights.swap_remove(at % flights.len());
                    let published = Settlement::Published { sequence: flight.0 };
                    let settlement = [published, Settlement::NotSent, Settlement::Unknown { since_ms: now_ms }][usize::from(how)];
                    shard.settle([held].into_iter(), &flight, settlement, || true);
                    model.entry(id).or_default().settle((flight.0, content), settlement);
                }
                Happening::Settle { .. } => {}
                Happening::Pass { ms } => now_ms += ms,
                Happening::Sweep => { shard.sweep(now_ms, TTL_MS); }
            }
        }
    }
}
