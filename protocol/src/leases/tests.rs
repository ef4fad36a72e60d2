//! Instances that come, go, die, stand still and are late, over one bucket; and what must be true of them all the same.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

const TIMES: LeaseTimes = LeaseTimes { heartbeat_ms: 800, timeout_ms: 2_400 };
const LOOK_EVERY_MS: u64 = 400;
/// A lane is without a worker no longer than this, as long as some instance lives that has looked around.
const HELD_WITHIN_MS: u64 = 5_000;

struct Instance {
    name: String,
    holder: LeaseHolder,
    /// When each lane was begun, and how far it is.
    lanes: BTreeMap<u16, (u64, u64)>,
    looks_at_ms: u64,
    writes_at_ms: u64,
    stands_until_ms: u64,
    is_leaving: bool,
}

struct World {
    partitions: u16,
    random: StdRng,
    now_ms: u64,
    instances: Vec<Instance>,
    bucket: BTreeMap<String, (u64, Lease)>,
    revision: u64,
    /// Since when nobody who runs has worked on a lane.
    unheld_since_ms: BTreeMap<u16, u64>,
    begins: usize,
    bucket_is_down_until_ms: u64,
    last_event_ms: u64,
}

impl World {
    fn new(partitions: u16, seed: u64) -> Self {
        Self {
            partitions,
            random: StdRng::seed_from_u64(seed),
            now_ms: 1_000_000,
            instances: Vec::new(),
            bucket: BTreeMap::new(),
            revision: 0,
            unheld_since_ms: BTreeMap::new(),
            begins: 0,
            bucket_is_down_until_ms: 0,
            last_event_ms: 0,
        }
    }

    fn join(&mut self) {
        let name = format!("{:08x}", self.random.random::<u32>());
        let holder = LeaseHolder::new(TIMES, &name, self.partitions);
        let now_ms = self.now_ms;
        self.instances.push(Instance {
            name,
            holder,
            lanes: BTreeMap::new(),
            looks_at_ms: now_ms,
            writes_at_ms: 0,
            stands_until_ms: 0,
            is_leaving: false,
        });
    }

    fn any(&mut self) -> Option<usize> {
        (!self.instances.is_empty()).then(|| self.random.random_range(0..self.instances.len()))
    }

    fn kill(&mut self) {
        if let Some(index) = self.any() {
            self.instances.remove(index);
        }
    }

    fn leave(&mut self) {
        if let Some(index) = self.any() {
            self.instances[index].holder.leave();
            self.instances[index].is_leaving = true;
        }
    }

    fn stand_still(&mut self, for_ms: u64) {
        if let Some(index) = self.any() {
            self.instances[index].stands_until_ms = self.now_ms + for_ms;
        }
    }

    fn run(&mut self, for_ms: u64) {
        let until_ms = self.now_ms + for_ms;
        while self.now_ms < until_ms {
            self.now_ms += 50;
            for index in 0..self.instances.len() {
                let instance = &self.instances[index];
                if instance.stands_until_ms <= self.now_ms && instance.looks_at_ms <= self.now_ms {
                    self.turn(index);
                }
            }
            self.end_those_who_may();
            self.check_held();
        }
    }

    /// What an instance does every half second: look, act, write.
    fn turn(&mut self, index: usize) {
        let (now_ms, late_ms) = (self.now_ms, self.random.random_range(0..300));
        let catching_up_ms = self.random.random_range(0..6_000);
        let instance = &mut self.instances[index];
        instance.looks_at_ms = now_ms + LOOK_EVERY_MS + late_ms;
        if now_ms < self.bucket_is_down_until_ms {
            return;
        }
        // Everybody who has caught up is at the log's end, which is the time.
        for (begun_ms, applied) in instance.lanes.values_mut() {
            *applied = if now_ms - *begun_ms >= catching_up_ms { now_ms } else { 1 };
        }
        let standings: BTreeMap<u16, Standing> =
            instance.lanes.iter().map(|(lane, at)| (*lane, standing(*at))).collect();
        let found = self.bucket.iter().map(|(name, (revision, lease))| FoundEntry {
            instance: name.clone(),
            revision: *revision,
            lease: lease.clone(),
        });
        let steps = instance.holder.observe(now_ms, found.collect(), &standings);
        for step in &steps {
            match step {
                LeaseStep::Begin { partition, .. } => {
                    self.begins += 1;
                    assert!(instance.lanes.insert(*partition, (now_ms, 1)).is_none(), "begun twice");
                }
                LeaseStep::LetGo { partition } => assert!(instance.lanes.remove(partition).is_some(), "let go twice"),
            }
        }
        if !steps.is_empty() || now_ms - instance.writes_at_ms >= TIMES.heartbeat_ms {
            self.revision += 1;
            instance.writes_at_ms = now_ms;
            self.bucket.insert(instance.name.clone(), (self.revision, instance.holder.lease(&standings)));
        }
    }

    fn end_those_who_may(&mut self) {
        let ended = |instance: &Instance| instance.is_leaving && instance.holder.may_end();
        for gone in self.instances.iter().filter(|instance| ended(instance)) {
            self.bucket.remove(&gone.name);
        }
        self.instances.retain(|instance| !ended(instance));
    }

    /// Every lane is worked on by somebody who runs, but for the time that it takes to notice that nobody does.
    fn check_held(&mut self) {
        let runs = |instance: &&Instance| instance.stands_until_ms <= self.now_ms;
        let worked: BTreeSet<u16> =
            self.instances.iter().filter(runs).flat_map(|instance| instance.lanes.keys().copied()).collect();
        let may_act = |instance: &Instance| !instance.is_leaving && instance.holder.has_decided();
        let somebody_stays = self.instances.iter().filter(runs).any(may_act);
        let is_down = self.now_ms < self.bucket_is_down_until_ms;
        for partition in 0..self.partitions {
            if worked.contains(&partition) || !somebody_stays || is_down {
                self.unheld_since_ms.remove(&partition);
                continue;
            }
            let since_ms = *self.unheld_since_ms.entry(partition).or_insert(self.now_ms);
            // Who was to take it over may have died, too: each death has its own five seconds.
            let for_ms = self.now_ms - since_ms.max(self.last_event_ms).max(self.bucket_is_down_until_ms);
            assert!(for_ms <= HELD_WITHIN_MS, "nobody works on lane {partition} for {for_ms} ms");
        }
    }

    fn check_even(&self) {
        let counts: Vec<usize> = self.instances.iter().map(|instance| instance.lanes.len()).collect();
        let (least, most) = (counts.iter().min().copied(), counts.iter().max().copied());
        let (Some(least), Some(most)) = (least, most) else { return };
        assert!(most - least <= 1, "{counts:?}");
        assert_eq!(counts.iter().sum::<usize>(), usize::from(self.partitions), "one for each lane: {counts:?}");
        let lanes: BTreeSet<u16> = self.instances.iter().flat_map(|instance| instance.lanes.keys().copied()).collect();
        assert_eq!(lanes.len(), usize::from(self.partitions));
    }

    /// How many lanes are begun while this happens and settles.
    fn begins_of(&mut self, what: impl FnOnce(&mut Self)) -> usize {
        let before = self.begins;
        what(self);
        self.run(40_000);
        self.check_even();
        self.begins - before
    }
}

fn standing((_, applied): (u64, u64)) -> Standing {
    Standing { applied, is_caught_up: applied > 1 }
}

fn settled(instances: usize, partitions: u16, seed: u64) -> World {
    let mut world = World::new(partitions, seed);
    (0..instances).for_each(|_| world.join());
    world.run(40_000);
    world.check_even();
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn whatever_happens_lanes_are_held_and_spread_evenly_in_the_end(
        seed in any::<u64>(),
        partitions in 1_u16..9,
        events in proptest::collection::vec((0_u8..8, 0_u64..12_000), 1..25),
    ) {
        let mut world = World::new(partitions, seed);
        world.join();
        for (event, pause_ms) in events {
            world.last_event_ms = world.now_ms;
            match event {
                0..=2 => world.join(),
                3 => world.kill(),
                4 => world.leave(),
                5 => world.stand_still(pause_ms),
                6 => world.bucket_is_down_until_ms = world.now_ms + pause_ms,
                _ => {}
            }
            world.run(pause_ms);
        }
        world.run(60_000);
        world.check_even();
        let before = world.begins;
        world.run(30_000);
        prop_assert_eq!(world.begins, before, "nothing moves without a reason");
    }

    #[test]
    fn no_more_lanes_move_than_must(seed in any::<u64>(), partitions in 1_u16..17, instances in 1_usize..6) {
        let mut world = settled(instances, partitions, seed);
        let lanes = usize::from(partitions);
        prop_assert_eq!(world.begins_of(World::join), lanes / (instances + 1), "those of the new one");
        let most = lanes.div_ceil(instances + 1);
        prop_assert!(world.begins_of(World::leave) <= most, "those of the one that leaves");
        if instances > 1 {
            // Two who notice at different times may both begin a lane; one of them lets go of it again.
            prop_assert!(world.begins_of(World::kill) <= lanes.div_ceil(instances) + 1, "those of the dead one");
        }
    }
}

/// A lane is never let go before its next holder has reached the position of the last.
#[test]
fn a_handover_waits_for_the_new_one() {
    let mut old = LeaseHolder::new(TIMES, "old", 2);
    let mut new = LeaseHolder::new(TIMES, "new", 2);
    let (mut revision, mut now_ms) = (0, 0);
    let mut bucket: BTreeMap<String, FoundEntry> = BTreeMap::new();
    let mut turn = |holder: &mut LeaseHolder, name: &str, applied: u64, is_caught_up: bool| {
        (now_ms, revision) = (now_ms + 250, revision + 1);
        let standings = BTreeMap::from([0, 1].map(|lane| (lane, Standing { applied, is_caught_up })));
        let steps = holder.observe(now_ms, bucket.values().cloned().collect(), &standings);
        let entry = FoundEntry { instance: name.to_owned(), revision, lease: holder.lease(&standings) };
        bucket.insert(name.to_owned(), entry);
        steps
    };
    let begun: Vec<LeaseStep> = (0..12).flat_map(|_| turn(&mut old, "old", 100, true)).collect();
    assert_eq!(begun, [0, 1].map(|partition| LeaseStep::Begin { partition, why: BeginReason::Free }));
    let mut begun = Vec::new();
    for _ in 0..12 {
        begun.extend(turn(&mut new, "new", 50, true));
        assert_eq!(turn(&mut old, "old", 100, true), [], "it is needed");
    }
    assert_eq!(begun, [LeaseStep::Begin { partition: 1, why: BeginReason::Handover }]);
    assert_eq!((new.held_lanes().count(), new.held_by_others()), (0, BTreeSet::from([1])));
    turn(&mut new, "new", 100, false);
    assert_eq!(turn(&mut old, "old", 100, true), [], "a replay is no position");
    turn(&mut new, "new", 100, true);
    assert_eq!(turn(&mut old, "old", 100, true), [LeaseStep::LetGo { partition: 1 }]);
    turn(&mut new, "new", 100, true);
    assert_eq!((old.held_lanes().count(), new.held_lanes().count()), (1, 1));
    assert_eq!(new.held_by_others(), BTreeSet::new());
}

/// It wakes, finds its lanes held, lets go of them at once, and says nothing before it has looked.
#[test]
fn who_stood_still_gives_up_what_others_hold() {
    let mut world = settled(2, 4, 7);
    let sleeper = world.instances[0].name.clone();
    world.instances[0].stands_until_ms = world.now_ms + 10_000;
    world.run(9_000);
    assert_eq!(world.instances[1].lanes.len(), 4, "the other has taken over");
    let holder = &world.instances[0].holder;
    assert!(holder.has_stood_still(world.now_ms));
    world.run(1_100);
    let woken = world.instances.iter().find(|instance| instance.name == sleeper).unwrap();
    assert_eq!(woken.holder.held_lanes().count(), 0);
    world.run(30_000);
    world.check_even();
}

/// Nobody takes anybody for dead because the bucket takes no writes: then all are silent.
#[test]
fn a_bucket_that_takes_no_writes_says_nothing() {
    let mut holder = LeaseHolder::new(TIMES, "a", 2);
    let held =
        |partition| Lease { leaving: false, lanes: BTreeMap::from([(partition, Claim { held: true, applied: 1 })]) };
    let entry = |instance: &str, revision, partition| FoundEntry {
        instance: instance.to_owned(),
        revision,
        lease: held(partition),
    };
    for turn in 0..10 {
        holder.observe(turn * 500, vec![entry("a", turn, 0), entry("b", turn + 100, 1)], &BTreeMap::new());
    }
    assert_eq!(holder.living(), 2);
    for turn in 10..100 {
        let steps = holder.observe(turn * 500, vec![entry("a", 9, 0), entry("b", 109, 1)], &BTreeMap::new());
        assert_eq!(steps, []);
    }
    assert_eq!(holder.living(), 2);
}
