//! One instance's view of all entries, and what it does about them.

use std::collections::{BTreeMap, BTreeSet};

use super::{BeginReason, Claim, FoundEntry, Lease, LeaseStep, LeaseTimes, Standing, spread};

/// Another instance, or this one, as its entry tells.
#[derive(Clone, Debug)]
struct Seen {
    revision: u64,
    lease: Lease,
    /// How long it was not renewed, as far as it was watched.
    age_ms: u64,
}

/// The state machine of one instance: see the head of [`crate::leases`]. Time is an argument, in milliseconds of any clock of
/// this machine that does not go back.
#[derive(Clone, Debug)]
pub struct LeaseHolder {
    times: LeaseTimes,
    instance: String,
    partitions: u16,
    /// Every entry that is there, this instance's own included.
    seen: BTreeMap<String, Seen>,
    /// Since when it may decide: others that start at the same time are to be seen first.
    decides_from_ms: Option<u64>,
    observed_at_ms: u64,
    /// The lanes worked on, and whether they are held.
    lanes: BTreeMap<u16, bool>,
    is_leaving: bool,
}

impl LeaseHolder {
    /// An instance without lanes, in a log of `partitions` lanes.
    pub fn new(times: LeaseTimes, instance: &str, partitions: u16) -> Self {
        Self {
            times,
            instance: instance.to_owned(),
            partitions,
            seen: BTreeMap::new(),
            decides_from_ms: None,
            observed_at_ms: 0,
            lanes: BTreeMap::new(),
            is_leaving: false,
        }
    }

    /// Takes in everything that the bucket has now, and says what to do. It counts as done.
    pub fn observe(
        &mut self,
        now_ms: u64,
        found: Vec<FoundEntry>,
        standings: &BTreeMap<u16, Standing>,
    ) -> Vec<LeaseStep> {
        let stood_still = self.has_stood_still(now_ms);
        let is_heard = self.look(now_ms, found);
        if self.decides_from_ms.is_none() && is_heard {
            self.decides_from_ms = Some(now_ms + self.times.heartbeat_ms);
        }
        if self.decides_from_ms.is_none_or(|from| now_ms < from) {
            return Vec::new();
        }
        let mut steps = if stood_still { self.give_up_what_others_hold() } else { Vec::new() };
        self.hold_what_is_reached(standings);
        let shares = self.shares();
        steps.extend(self.begin(shares.get(&self.instance)));
        steps.extend(self.let_go(&shares, standings));
        steps
    }

    /// From now on others are to take over its lanes.
    pub fn leave(&mut self) {
        self.is_leaving = true;
    }

    /// Whether it may end: nobody who stays has to wait for it.
    pub fn may_end(&self) -> bool {
        self.lanes.is_empty() || !self.others().any(|(_, lease)| !lease.leaving)
    }

    /// What its entry is to say.
    pub fn lease(&self, standings: &BTreeMap<u16, Standing>) -> Lease {
        let claim = |(partition, held): (&u16, &bool)| {
            let applied = standings.get(partition).map_or(0, |standing| standing.applied);
            (*partition, Claim { held: *held, applied })
        };
        Lease { leaving: self.is_leaving, lanes: self.lanes.iter().map(claim).collect() }
    }

    /// Whether it has decided once what to work on.
    pub fn has_decided(&self) -> bool {
        self.decides_from_ms.is_some_and(|from| self.observed_at_ms >= from)
    }

    /// Whether it has looked at nobody for so long that others take it for dead: it must look before it says anything.
    pub fn has_stood_still(&self, now_ms: u64) -> bool {
        self.decides_from_ms.is_some() && now_ms.saturating_sub(self.observed_at_ms) > self.times.timeout_ms
    }

    /// The lanes that it holds.
    pub fn held_lanes(&self) -> impl Iterator<Item = u16> {
        self.lanes.iter().filter(|(_, held)| **held).map(|(partition, _)| *partition)
    }

    /// The lanes that it works on, and which another instance holds.
    pub fn held_by_others(&self) -> BTreeSet<u16> {
        self.lanes.keys().copied().filter(|partition| self.held_elsewhere(*partition).is_some()).collect()
    }

    /// How many instances live, this one included.
    pub fn living(&self) -> usize {
        self.others().count() + 1
    }

    /// Takes in the entries; whether this instance's own writes arrive. Others age only while they do: a bucket that takes
    /// no writes, or a copy of it that lags, says nothing about anybody.
    fn look(&mut self, now_ms: u64, found: Vec<FoundEntry>) -> bool {
        let passed_ms = now_ms.saturating_sub(self.observed_at_ms).min(self.times.heartbeat_ms);
        self.observed_at_ms = now_ms;
        let before = std::mem::take(&mut self.seen);
        for entry in found {
            let known = before.get(&entry.instance).filter(|known| known.revision == entry.revision);
            let age_ms = known.map_or(0, |known| known.age_ms + passed_ms);
            self.seen.insert(entry.instance, Seen { revision: entry.revision, lease: entry.lease, age_ms });
        }
        let own_age_ms = self.seen.get(&self.instance).map(|own| own.age_ms);
        let is_heard = own_age_ms.is_some_and(|age_ms| age_ms <= 2 * self.times.heartbeat_ms);
        if !is_heard {
            for (instance, seen) in &mut self.seen {
                seen.age_ms = before.get(instance).map_or(0, |known| known.age_ms).min(seen.age_ms);
            }
        }
        is_heard
    }

    fn others(&self) -> impl Iterator<Item = (&str, &Lease)> {
        let living = self.seen.iter().filter(|(_, seen)| seen.age_ms < self.times.timeout_ms);
        living.filter(|(instance, _)| **instance != self.instance).map(|(name, seen)| (name.as_str(), &seen.lease))
    }

    /// The furthest position of another living instance that holds the lane.
    fn held_elsewhere(&self, partition: u16) -> Option<u64> {
        let claims = self.others().filter_map(|(_, lease)| lease.lanes.get(&partition));
        claims.filter(|claim| claim.held).map(|claim| claim.applied).max()
    }

    fn give_up_what_others_hold(&mut self) -> Vec<LeaseStep> {
        let lost = self.held_by_others();
        self.lanes.retain(|partition, _| !lost.contains(partition));
        lost.into_iter().map(|partition| LeaseStep::LetGo { partition }).collect()
    }

    /// A lane is held when nobody else holds it, or this instance is as far as the one that does. It is not any more when
    /// this instance has begun anew, and another goes on.
    fn hold_what_is_reached(&mut self, standings: &BTreeMap<u16, Standing>) {
        let lanes: Vec<u16> = self.lanes.keys().copied().collect();
        for partition in lanes {
            let standing = standings.get(&partition).copied().unwrap_or_default();
            let elsewhere = self.held_elsewhere(partition);
            let reached = elsewhere.is_none_or(|applied| standing.is_caught_up && standing.applied >= applied);
            let stays = elsewhere.is_none() || standing.is_caught_up;
            self.lanes.entry(partition).and_modify(|held| *held = reached || (*held && stays));
        }
    }

    fn shares(&self) -> BTreeMap<String, BTreeSet<u16>> {
        let own = self.lease(&BTreeMap::new());
        let mut living: BTreeMap<&str, &Lease> = self.others().collect();
        living.insert(&self.instance, &own);
        let shares = spread(self.partitions, &living);
        shares.into_iter().map(|(instance, lanes)| (instance.to_owned(), lanes)).collect()
    }

    fn begin(&mut self, share: Option<&BTreeSet<u16>>) -> Vec<LeaseStep> {
        let new = share.into_iter().flatten().filter(|partition| !self.lanes.contains_key(partition));
        let new: Vec<u16> = new.copied().collect();
        let steps = new.iter().map(|partition| self.begin_one(*partition)).collect();
        for partition in new {
            let held = self.held_elsewhere(partition).is_none();
            self.lanes.insert(partition, held);
        }
        steps
    }

    fn begin_one(&self, partition: u16) -> LeaseStep {
        let was_held = self.seen.values().any(|seen| seen.lease.lanes.contains_key(&partition));
        let why = match self.held_elsewhere(partition) {
            Some(_) => BeginReason::Handover,
            None if was_held => BeginReason::Takeover,
            None => BeginReason::Free,
        };
        LeaseStep::Begin { partition, why }
    }

    /// What is another's share is let go once that one holds it and is as far as this one has last told; what was only
    /// begun, once that one has begun it, too.
    fn let_go(
        &mut self,
        shares: &BTreeMap<String, BTreeSet<u16>>,
        standings: &BTreeMap<u16, Standing>,
    ) -> Vec<LeaseStep> {
        let told = self.seen.get(&self.instance).map(|own| own.lease.clone()).unwrap_or_default();
        let is_taken = |partition: u16, held: bool| {
            let (owner, _) = shares.iter().find(|(_, lanes)| lanes.contains(&partition))?;
            let (_, lease) = self.others().find(|(instance, _)| instance == owner)?;
            let claim = lease.lanes.get(&partition)?;
            let standing = standings.get(&partition).copied().unwrap_or_default();
            let told = told.lanes.get(&partition).map_or(0, |claim| claim.applied).min(standing.applied);
            (!held || (claim.held && claim.applied >= told)).then_some(())
        };
        let gone: Vec<u16> = self
            .lanes
            .iter()
            .filter(|(partition, held)| is_taken(**partition, **held).is_some())
            .map(|(partition, _)| *partition)
            .collect();
        self.lanes.retain(|partition, _| !gone.contains(partition));
        gone.into_iter().map(|partition| LeaseStep::LetGo { partition }).collect()
    }
}
