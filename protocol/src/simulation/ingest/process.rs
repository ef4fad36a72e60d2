//! One process of ingest: what it knows of recent launches, and its partitions' ways to the log.

use std::collections::BTreeMap;

use rand::rngs::StdRng;

use super::{
    Checked, IngestSwitches, SurroundingRules,
    broker::Broker,
    knowledge::Knowledge,
    launch::{Launch, Number},
    network::Sender,
    publisher::{Connection, Publisher},
    violation,
    warm::{Tail, Warm},
};
use crate::{
    deduplication::{Claim, Held, Settlement, Shard},
    high_water::HighWater,
};

/// As in the service.
pub(super) const UNKNOWN_TTL_MS: u64 = 120_000;

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    pub(super) accepted: usize,
    pub(super) unknown: usize,
    /// Of the log's end, when it starts.
    pub(super) tail: Tail,
}

#[derive(Debug)]
pub(super) struct Process {
    pub(super) sender: Sender,
    pub(super) is_running: bool,
    pub(super) is_connected: bool,
    pub(super) shard: Shard<Number>,
    /// Flights whose claims have not ended, with what was claimed for them.
    pub(super) live: BTreeMap<u64, Vec<(Launch, Held)>>,
    flights: u64,
    pub(super) publishers: Vec<Publisher>,
    /// What of the log's end is still to be read.
    pub(super) warm: Warm,
    pub(super) knowledge: Knowledge,
    memory: Memory,
    unknown: usize,
    /// The log that it was started with.
    incarnation: u64,
    pub(super) high_water: HighWater,
    /// It has looked at the log since it was connected.
    pub(super) has_looked: bool,
    /// It answers nothing more.
    pub(super) has_stopped: bool,
    /// When it could see that the log is another, or lost what it knew of: a number of a happening.
    pub(super) noticed: Option<u64>,
}

impl Process {
    pub(super) fn start(
        sender: Sender,
        memory: Memory,
        (partitions, most_in_flight): (u16, usize),
        broker: &Broker,
        switches: &IngestSwitches,
        now_ms: u64,
    ) -> Self {
        let publisher = |partition| Publisher::new(partition, most_in_flight, switches);
        let (high_water, mut knowledge) = (HighWater::default(), Knowledge::default());
        high_water.saw(broker.end());
        knowledge.saw(broker.end());
        Self {
            sender,
            is_running: true,
            is_connected: !broker.is_away,
            shard: Shard::new(memory.accepted).with_rules(switches.deduplication),
            live: BTreeMap::new(),
            flights: 0,
            publishers: (0..partitions).map(publisher).collect(),
            warm: Warm::begin(memory.tail, partitions, broker, switches, now_ms),
            knowledge,
            memory,
            unknown: 0,
            incarnation: broker.incarnation,
            high_water,
            has_looked: false,
            has_stopped: false,
            noticed: None,
        }
    }

    /// Whether it may forget what it was told.
    pub(super) fn forgets(&self) -> bool {
        self.memory.accepted < usize::from(u8::MAX) || self.memory.unknown < usize::from(u8::MAX)
    }

    pub(super) fn connection(&self, now_ms: u64) -> Connection {
        Connection { sender: self.sender, is_up: self.is_connected, now_ms }
    }

    /// A flight for which nothing is claimed yet.
    pub(super) fn new_flight(&mut self) -> u64 {
        self.flights += 1;
        self.live.insert(self.flights, Vec::new());
        self.flights
    }

    pub(super) fn claim(&mut self, launch: Launch, flight: u64, now_ms: u64) -> Claim<Number> {
        let live = |number| self.live.contains_key(&number).then_some(Number(number));
        let claiming = self.shard.claim(launch.claimed(), &Number(flight), live, || now_ms, UNKNOWN_TTL_MS);
        let (claim, doubt_ends) = claiming;
        self.unknown -= usize::from(doubt_ends);
        if let Claim::New { slot } = claim
            && let Some(held) = self.live.get_mut(&flight)
        {
            held.push((launch, Held { launch: launch.claimed(), slot }));
        }
        claim
    }

    /// Ends the claims of a flight.
    pub(super) fn settle(&mut self, flight: u64, settlement: Settlement) {
        let held = self.live.remove(&flight).unwrap_or_default();
        let (unknown, most) = (&mut self.unknown, self.memory.unknown);
        let has_room = || {
            let has_room = *unknown < most;
            *unknown += usize::from(has_room);
            has_room
        };
        let claims = held.iter().map(|(_, held)| *held);
        let ended = self.shard.settle(claims, &Number(flight), settlement, has_room);
        self.unknown -= ended;
        if let Settlement::Published { sequence } = settlement {
            held.iter().for_each(|(launch, _)| self.knowledge.learn(*launch, sequence));
        }
    }

    pub(super) fn sweep(&mut self, now_ms: u64) {
        self.unknown -= self.shard.sweep(now_ms, UNKNOWN_TTL_MS);
    }

    /// Reads a bit of the log's end.
    pub(super) fn warm(&mut self, rng: &mut StdRng, broker: &Broker, now_ms: u64, is_calm: bool) -> Checked {
        for (launch, sequence) in self.warm.read(rng, broker, now_ms, is_calm)? {
            self.unknown -= usize::from(self.shard.accept(launch.claimed(), sequence));
            self.knowledge.learn(launch, sequence);
        }
        Ok(())
    }

    /// Whoever has read the log's end knows what stands there.
    pub(super) fn check_warm(&self, launch: Launch, claim: &Claim<Number>) -> Checked {
        let is_new = matches!(claim, Claim::New { .. });
        if is_new && !self.forgets() && self.warm.must_know(launch.id) {
            return violation(format!("{:?} has read the log's end and does not know {launch:?}", self.sender));
        }
        Ok(())
    }

    /// Looks at the log. What was known of another one, or of one that lost its end, is of no use.
    pub(super) fn look(&mut self, broker: &Broker, happening: u64, rules: SurroundingRules) {
        self.publishers.iter_mut().for_each(Publisher::probe);
        self.could_see(broker, happening);
        self.has_looked = true;
        let known = self.high_water.known();
        let is_short = rules.ends_are_compared && self.high_water.ends_at(broker.end(), known).is_err();
        if is_short || broker.incarnation != self.incarnation || self.high_water.went_back().is_some() {
            self.stop_answering(rules);
        }
    }

    /// Naively: whether who looks at the log now sees that it is another, or shorter than what was acknowledged.
    pub(super) fn could_see(&mut self, broker: &Broker, happening: u64) {
        if broker.incarnation != self.incarnation || broker.end() < self.knowledge.highest() {
            self.noticed.get_or_insert(happening);
        }
    }

    pub(super) fn stop_answering(&mut self, rules: SurroundingRules) {
        if rules.another_log_stops_posts && !self.has_stopped {
            self.has_stopped = true;
            self.shard.forget();
            self.knowledge.forget();
            self.warm.give_up();
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.publishers.iter().all(Publisher::is_idle)
    }
}
