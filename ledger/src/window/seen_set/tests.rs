use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

type Model = HashMap<Digest, (Digest, Place)>;

fn remember(model: &mut Model, (id, content, place): (Digest, Digest, Place)) {
    let known = model.entry(id).or_insert((content, place));
    if place < known.1 {
        *known = (content, place);
    }
}

fn expected(model: &Model, (id, content, place): (Digest, Digest, Place)) -> Seen {
    match model.get(&id) {
        Some((same, first)) if *first < place && *same == content => Seen::Duplicate { first: *first },
        Some((_, first)) if *first < place => Seen::Conflict { first: *first },
        _ => Seen::New,
    }
}

/// Digests as they come, and digests that crowd at one end or differ in their last bits only.
fn digest(number: u16, crowded: bool) -> Digest {
    if crowded { Digest(u128::from(number).to_be_bytes()) } else { Digest::of(&number.to_be_bytes()) }
}

/// One of two contents: it follows from the place, for at one place stands one entry.
fn content_at(place: Place) -> Digest {
    Digest::of(&[u8::from((place.sequence + u64::from(place.line)).is_multiple_of(2))])
}

fn entries(ids: u16, count: usize) -> impl Strategy<Value = Vec<(Digest, Digest, Place)>> {
    let entry = (0..ids, 1..2_000_u64, 1..4_u32);
    (any::<bool>(), proptest::collection::vec(entry, 0..count)).prop_map(|(crowded, entries)| {
        let to_digests = |(id, sequence, line)| {
            let place = Place::new(sequence, line);
            (digest(id, crowded), content_at(place), place)
        };
        entries.into_iter().map(to_digests).collect()
    })
}

fn agrees(set: &SeenSet, model: &Model, probes: &[(Digest, Digest, Place)]) -> Result<(), TestCaseError> {
    prop_assert_eq!(set.len(), model.len());
    for probe in probes {
        prop_assert_eq!(set.check(probe.0, probe.1, probe.2), expected(model, *probe));
    }
    let highest = model.values().map(|(_, first)| *first).max();
    for place in probes.iter().map(|probe| probe.2).take(20).chain(highest) {
        let below = model.values().filter(|(_, first)| *first < place).count();
        prop_assert_eq!(set.count_below(place), below as u64);
    }
    prop_assert_eq!(set.count_below(Place::new(u64::MAX, 0)), model.len() as u64);
    prop_assert_eq!(set.count_below(Place::default()), 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_small_set_is_a_map_that_keeps_the_lower_place(seen in entries(40, 80), probes in entries(60, 80)) {
        let (mut set, mut model) = (SeenSet::default(), Model::new());
        for entry in seen {
            prop_assert_eq!(set.check(entry.0, entry.1, entry.2), expected(&model, entry));
            set.insert(entry.0, entry.1, entry.2);
            remember(&mut model, entry);
        }
        agrees(&set, &model, &probes)?;
    }

    #[test]
    fn a_large_set_is_the_same_map(seen in entries(3_000, 4_000), probes in entries(4_000, 500)) {
        let (mut set, mut model) = (SeenSet::default(), Model::new());
        for entry in seen {
            prop_assert_eq!(set.check(entry.0, entry.1, entry.2), expected(&model, entry));
            set.insert(entry.0, entry.1, entry.2);
            remember(&mut model, entry);
        }
        agrees(&set, &model, &probes)?;
    }

    #[test]
    fn looking_and_remembering_is_checking_and_inserting(seen in entries(300, 900), known in entries(300, 200)) {
        let mut looked = SeenSet::load(known.iter().copied());
        let mut checked = looked.clone();
        for (id, content, place) in seen {
            let (expected, is_known) = (checked.check(id, content, place), checked.remembered(checked.spot(id), id).is_some());
            let said = match looked.look(id, content, place) {
                Looked::New(new) => {
                    prop_assert_eq!((new.is_known(), new.set().len()), (is_known, checked.len()));
                    new.remember(place);
                    checked.insert(id, content, place);
                    Seen::New
                }
                Looked::Duplicate { first } => Seen::Duplicate { first },
                Looked::Conflict { first } => Seen::Conflict { first },
            };
            prop_assert_eq!(said, expected);
        }
        prop_assert_eq!(looked.len(), checked.len());
        for (id, content, place) in known {
            prop_assert_eq!(looked.check(id, content, place), checked.check(id, content, place));
            prop_assert_eq!(looked.count_below(place), checked.count_below(place));
        }
    }

    #[test]
    fn a_loaded_set_is_the_same_map_and_goes_on(seen in entries(2_000, 3_000), more in entries(3_000, 1_000)) {
        let mut model = Model::new();
        for entry in &seen {
            remember(&mut model, *entry);
        }
        let mut set = SeenSet::load(seen);
        agrees(&set, &model, &more)?;
        for entry in &more {
            set.insert(entry.0, entry.1, entry.2);
            remember(&mut model, *entry);
        }
        agrees(&set, &model, &more)?;
    }
}

#[test]
fn at_its_own_place_an_id_is_new_again() {
    let mut set = SeenSet::default();
    let (id, content, other) = (Digest::of(b"id"), Digest::of(b"content"), Digest::of(b"other"));
    let first = Place::new(7, 2);
    assert!(set.is_empty());
    set.insert(id, content, first);
    assert_eq!(set.check(id, content, first), Seen::New);
    assert_eq!(set.check(id, other, Place::new(7, 1)), Seen::New);
    assert_eq!(set.check(id, content, Place::new(7, 3)), Seen::Duplicate { first });
    assert_eq!(set.check(id, other, Place::new(8, 1)), Seen::Conflict { first });
    assert_eq!(set.len(), 1);
}

/// Mean bytes a launch over the filling of a window, without the fixed size of the set itself.
fn mean_bytes(launches: u64) -> u64 {
    let mut set = SeenSet::default();
    let mut hundredths = 0;
    for number in 1..=launches {
        let id = Digest::of(&number.to_be_bytes());
        set.insert(id, id, Place::new(number, 1));
        hundredths += 100 * (set.memory_bytes() - size_of::<SeenSet>()) as u64 / number;
    }
    hundredths / launches / 100
}

#[test]
fn a_filling_window_holds_at_most_48_bytes_a_launch() {
    assert!(size_of::<SeenSet>() <= 48);
    for launches in [1, 8, 100, 300, 5_000, 100_000] {
        let mean = mean_bytes(launches);
        assert!(mean < 48, "{launches} launches: {mean} bytes");
    }
}
