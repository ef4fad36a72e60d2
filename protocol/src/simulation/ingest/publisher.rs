//! What surrounds the messages of one partition of one process: the queue, the connection, who waits.

use std::collections::VecDeque;

use rand::{RngExt, rngs::StdRng};

use super::{
    IngestSwitches,
    launch::Launch,
    network::{Network, Request, Sender},
};
use crate::{
    high_water::HighWater,
    publishing::{Answer, End, MessageId, OnItsWay, Outstanding, Patience, PublishFailure, message_id},
};

/// As in the service.
pub(super) const PATIENCE: Patience = Patience { ack_timeout_ms: 2_000, give_up_after_ms: 10_000 };
const MAX_BATCHES: usize = 3;

/// Launches that travel together.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// Of all that were ever made.
    pub(super) number: u64,
    /// When it was made: a number of a happening.
    pub(super) begun: u64,
    /// What its launches are claimed for.
    pub(super) flight: u64,
    pub(super) launches: Vec<Launch>,
    pub(super) id: MessageId,
}

/// How batches ended.
pub(super) type Ended = Vec<(Batch, End)>;

/// One partition's way to the log.
#[derive(Debug)]
pub(super) struct Publisher {
    partition: u16,
    most_in_flight: usize,
    waiting: VecDeque<Batch>,
    outstanding: Outstanding<Vec<Batch>>,
    /// The log does not acknowledge: nothing is taken.
    is_cut_off: bool,
}

/// Who sends, and whether it can.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    pub(super) sender: Sender,
    pub(super) is_up: bool,
    pub(super) now_ms: u64,
}

impl Publisher {
    pub(super) fn new(partition: u16, most_in_flight: usize, switches: &IngestSwitches) -> Self {
        Self {
            partition,
            most_in_flight,
            waiting: VecDeque::new(),
            outstanding: Outstanding::new(PATIENCE).with_rules(switches.publishing),
            is_cut_off: false,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.outstanding.is_empty() && !self.is_cut_off
    }

    /// Takes a batch, or says that it does not.
    pub(super) fn takes(&mut self, batch: &Batch) -> bool {
        if !self.is_cut_off {
            self.waiting.push_back(batch.clone());
        }
        !self.is_cut_off
    }

    /// Sends what waits as one message.
    pub(super) fn send_next(&mut self, rng: &mut StdRng, network: &mut Network, connection: Connection, known: u64) {
        if self.waiting.is_empty() || self.outstanding.len() >= self.most_in_flight {
            return;
        }
        let count = rng.random_range(1..=MAX_BATCHES).min(self.waiting.len());
        let message = self.outstanding.begin(self.waiting.drain(..count).collect(), known, connection.now_ms);
        self.send(rng, network, connection, message);
    }

    fn send(
        &mut self,
        rng: &mut StdRng,
        network: &mut Network,
        connection: Connection,
        mut message: OnItsWay<Vec<Batch>>,
    ) {
        if connection.is_up {
            message.attempts.left();
            network.requests.push(self.request(&message, connection));
        } else {
            message.attempts.again_after(connection.now_ms, pause_ms(rng));
        }
        self.outstanding.keep(message);
    }

    fn request(&self, message: &OnItsWay<Vec<Batch>>, connection: Connection) -> Request {
        let batches = &message.message;
        Request {
            sender: connection.sender,
            partition: self.partition,
            number: message.number(),
            message_id: message_id(self.partition, batches.iter().map(|batch| &batch.id)),
            launches: batches.iter().flat_map(|batch| batch.launches.clone()).collect(),
            batches: batches.iter().map(|batch| batch.number).collect(),
            sent_ms: connection.now_ms,
        }
    }

    pub(super) fn answered(
        &mut self,
        rng: &mut StdRng,
        (number, answer): (u64, Answer),
        high_water: &HighWater,
        now_ms: u64,
    ) -> Ended {
        let ended = self.outstanding.answered(number, answer, high_water, now_ms, |_| pause_ms(rng));
        let Some((message, end)) = ended else { return Vec::new() };
        if matches!(end, End::Stored { .. }) {
            self.is_cut_off = false;
        }
        with_end(message, end)
    }

    /// Sends again or gives up what is due.
    pub(super) fn on_time(&mut self, rng: &mut StdRng, network: &mut Network, connection: Connection) -> Ended {
        let mut ended = Vec::new();
        for mut message in self.outstanding.take_due(connection.now_ms) {
            let overdue = message.attempts.overdue(connection.now_ms, || pause_ms(rng));
            if overdue.in_trouble {
                ended.extend(self.trouble());
            }
            match overdue.end {
                Some(end) => ended.extend(with_end(message, end)),
                None => self.send(rng, network, connection, message),
            }
        }
        ended
    }

    fn trouble(&mut self) -> Ended {
        self.is_cut_off = true;
        self.refuse_waiting()
    }

    fn refuse_waiting(&mut self) -> Ended {
        self.waiting.drain(..).map(|batch| (batch, End::Failed(PublishFailure::NotSent))).collect()
    }

    /// The connection was made anew.
    pub(super) fn send_all_again(&mut self, rng: &mut StdRng, network: &mut Network, connection: Connection) {
        for message in self.outstanding.take_all() {
            self.send(rng, network, connection, message);
        }
    }

    /// The log was asked and is there.
    pub(super) fn probe(&mut self) {
        if self.outstanding.is_empty() {
            self.is_cut_off = false;
        }
    }

    /// The process stops.
    pub(super) fn finish(&mut self) -> Ended {
        let mut ended = self.refuse_waiting();
        for message in self.outstanding.take_all() {
            let end = message.attempts.given_up();
            ended.extend(with_end(message, end));
        }
        ended
    }
}

fn with_end(message: OnItsWay<Vec<Batch>>, end: End) -> Ended {
    message.message.into_iter().map(|batch| (batch, end)).collect()
}

fn pause_ms(rng: &mut StdRng) -> u64 {
    rng.random_range(0..2_000)
}
