//! The even spread of lanes over instances, with as few moves as can be.

use std::collections::{BTreeMap, BTreeSet};

use super::Lease;

/// The lanes that each staying instance is to work on.
pub type Share<'a> = BTreeMap<&'a str, BTreeSet<u16>>;

/// Spreads `partitions` lanes over the living instances that stay: the numbers of their lanes differ by one at most. Each
/// keeps what it holds, up to its share; what others have already begun is not given to a third. Whoever computes it from the
/// same entries gets the same.
pub fn spread<'a>(partitions: u16, living: &BTreeMap<&'a str, &Lease>) -> Share<'a> {
    let staying = living.iter().filter(|(_, lease)| !lease.leaving).map(|(instance, lease)| (*instance, *lease));
    let staying: BTreeMap<&str, &Lease> = staying.collect();
    let owned = owned(partitions, &staying);
    let mut room = room(partitions, &staying);
    let mut shares = Share::new();
    for (instance, lanes) in owned {
        let kept = kept(&lanes, room[instance], instance, &staying);
        room.entry(instance).and_modify(|room| *room -= kept.len());
        shares.insert(instance, kept);
    }
    give_out(partitions, &mut shares, &mut room, &staying);
    shares
}

/// What each staying instance holds; of two that hold a lane the first has it.
fn owned<'a>(partitions: u16, staying: &BTreeMap<&'a str, &Lease>) -> Share<'a> {
    let mut owned: Share<'a> = staying.keys().map(|instance| (*instance, BTreeSet::new())).collect();
    for partition in 0..partitions {
        let holds = |lease: &Lease| lease.lanes.get(&partition).is_some_and(|claim| claim.held);
        let owner = staying.iter().find(|(_, lease)| holds(lease)).map(|(instance, _)| *instance);
        if let Some(lanes) = owner.and_then(|owner| owned.get_mut(owner)) {
            lanes.insert(partition);
        }
    }
    owned
}

/// How many lanes each is to have: those who work on most have one more where it does not come out even. A lane that is on
/// its way counts for the one that it goes to: a share does not change while lanes move.
fn room<'a>(partitions: u16, staying: &BTreeMap<&'a str, &Lease>) -> BTreeMap<&'a str, usize> {
    let counts = |instance: &str, lease: &Lease| {
        let own =
            lease.lanes.iter().filter(|(lane, claim)| !claim.held || !is_begun_elsewhere(**lane, instance, staying));
        own.count()
    };
    let mut by_lanes: Vec<_> = staying.iter().map(|(instance, lease)| (*instance, counts(instance, lease))).collect();
    by_lanes.sort_by_key(|(instance, count)| (std::cmp::Reverse(*count), *instance));
    let (count, partitions) = (by_lanes.len().max(1), usize::from(partitions));
    let (base, extra) = (partitions / count, partitions % count);
    by_lanes.iter().enumerate().map(|(rank, (instance, _))| (*instance, base + usize::from(rank < extra))).collect()
}

fn is_begun_elsewhere(partition: u16, instance: &str, staying: &BTreeMap<&str, &Lease>) -> bool {
    staying.iter().any(|(other, lease)| *other != instance && lease.lanes.contains_key(&partition))
}

/// What an instance keeps of its own: rather what nobody else has begun.
fn kept(lanes: &BTreeSet<u16>, room: usize, instance: &str, staying: &BTreeMap<&str, &Lease>) -> BTreeSet<u16> {
    let mut lanes: Vec<u16> = lanes.iter().copied().collect();
    lanes.sort_by_key(|partition| (is_begun_elsewhere(*partition, instance, staying), *partition));
    lanes.into_iter().take(room).collect()
}

/// Gives what is left to whoever has begun it, else to whoever has most room.
fn give_out<'a>(
    partitions: u16,
    shares: &mut Share<'a>,
    room: &mut BTreeMap<&'a str, usize>,
    staying: &BTreeMap<&'a str, &Lease>,
) {
    for only_begun in [true, false] {
        for partition in 0..partitions {
            if shares.values().any(|lanes| lanes.contains(&partition)) {
                continue;
            }
            let has_begun = |instance: &str| staying[instance].lanes.contains_key(&partition);
            let with_room = room.iter().filter(|(_, room)| **room > 0);
            let fitting = with_room.filter(|(instance, _)| !only_begun || has_begun(instance));
            // Of those with equal room the first by name.
            let Some(chosen) = fitting.rev().max_by_key(|(_, room)| **room).map(|(instance, _)| *instance) else {
                continue;
            };
            room.entry(chosen).and_modify(|room| *room -= 1);
            shares.entry(chosen).or_default().insert(partition);
        }
    }
}
