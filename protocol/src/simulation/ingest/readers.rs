//! Readers of one partition each: a consumer at the broker, deliveries that come or not, and who takes what is handed out.

use rand::{RngExt, rngs::StdRng};

use super::{Checked, IngestSwitches, broker::Broker, violation};
use crate::reading::{Look, Reading, Step};

/// As in the service.
const SILENCE_MS: u64 = 1_500;
/// So much is asked for and not yet taken.
const MOST_UNDER_WAY: usize = 8;

/// A message on its way to the reader.
#[derive(Clone, Copy, Debug)]
struct Delivery {
    number: u64,
    sequence: u64,
    serial: u64,
}

/// What the server keeps of a consumer.
#[derive(Clone, Copy, Debug)]
struct Consumer {
    from: u64,
    delivered: u64,
    /// The server does not have it, and says nothing of it.
    is_gone: bool,
    /// The server has it and says so, and delivers nothing.
    is_stuck: bool,
    /// The log lost its end since it was made.
    went_back: bool,
}

/// One reader with its caller.
#[derive(Debug)]
pub(super) struct Reader {
    partition: u16,
    reading: Reading,
    consumer: Option<Consumer>,
    under_way: Vec<Delivery>,
    /// Sequence and serial of what was handed out last.
    last: Option<(u64, u64)>,
    has_refused: bool,
    checks_the_log: bool,
    /// Where it begins, and sequence and serial of what stood before that.
    begins: u64,
    before: Option<(u64, u64)>,
    /// What was handed out and not yet taken.
    handed_out: Option<u64>,
}

impl Reader {
    pub(super) fn new(partition: u16, switches: &IngestSwitches) -> Self {
        Self {
            partition,
            reading: Reading::new(1, SILENCE_MS).with_rules(switches.reading),
            consumer: None,
            under_way: Vec::new(),
            last: None,
            has_refused: false,
            checks_the_log: switches.surroundings.readers_check_the_log,
            begins: 1,
            before: None,
            handed_out: None,
        }
    }

    /// One that begins at a sequence of the log as it is.
    pub(super) fn beginning_at(partition: u16, from: u64, broker: &Broker, switches: &IngestSwitches) -> Self {
        let before = from - 1;
        Self {
            reading: Reading::new(from, SILENCE_MS).with_rules(switches.reading),
            begins: from,
            before: broker.serial_at(before).map(|serial| (before, serial)),
            ..Self::new(partition, switches)
        }
    }

    /// The sequence that was handed out last, once.
    pub(super) fn take_handed_out(&mut self) -> Option<u64> {
        self.handed_out.take()
    }

    pub(super) fn has_refused(&self) -> bool {
        self.has_refused
    }

    /// The connection is lost: what was under way is, and so may be the consumer.
    pub(super) fn disconnect(&mut self) {
        self.under_way.clear();
        self.consumer = None;
    }

    /// The log lost its end, or is another, while the connection stayed: the consumer goes on from its new end. Where the log
    /// has several partitions the consumer is lost, too: a sequence that comes again may be another partition's, and a reader
    /// whose consumer went on would see nothing of it.
    pub(super) fn log_went_back(&mut self, broker: &Broker, partitions: u16) {
        if partitions > 1 {
            return self.disconnect();
        }
        self.under_way.clear();
        if let Some(consumer) = &mut self.consumer {
            consumer.from = consumer.from.min(broker.end() + 1);
            consumer.went_back = true;
        }
    }

    /// The server forgets the consumer, or that it has something to deliver.
    pub(super) fn vanish(&mut self, rng: &mut StdRng) {
        if let Some(consumer) = &mut self.consumer {
            if rng.random_bool(0.5) {
                consumer.is_gone = true;
            } else {
                consumer.is_stuck = true;
            }
        }
    }

    /// Something happens to it, perhaps badly.
    pub(super) fn happen(&mut self, rng: &mut StdRng, broker: &Broker, now_ms: u64, is_calm: bool) -> Checked {
        if self.has_refused {
            return Ok(());
        }
        let Some(consumer) = self.consumer else { return self.create(broker, now_ms) };
        let is_there = !consumer.is_gone && !broker.is_away;
        if is_there && (is_calm || rng.random_bool(0.95)) {
            // Its heartbeats come several times in the silence that means trouble.
            self.reading.heard(now_ms);
        }
        match rng.random_range(0..10) {
            0..4 if is_there && !consumer.is_stuck => {
                self.deliver(rng, broker, is_calm);
                Ok(())
            }
            4..8 if !self.under_way.is_empty() => self.take(rng, broker, now_ms, is_calm),
            _ => self.on_time(broker, now_ms),
        }
    }

    fn create(&mut self, broker: &Broker, now_ms: u64) -> Checked {
        if broker.is_away {
            return Ok(());
        }
        if let Some((sequence, serial)) = self.last
            && self.checks_the_log
            && broker.serial_at(sequence) != Some(serial)
        {
            return self.refuse(broker);
        }
        self.consumer = Some(Consumer {
            from: self.reading.next_sequence(),
            delivered: 0,
            is_gone: false,
            is_stuck: false,
            went_back: false,
        });
        self.reading.created(now_ms);
        Ok(())
    }

    /// The server sends the next message; the network does what it likes with it.
    fn deliver(&mut self, rng: &mut StdRng, broker: &Broker, is_calm: bool) {
        let Some(consumer) = &mut self.consumer else { return };
        let Some(message) = broker.read(self.partition, consumer.from) else { return };
        if self.under_way.len() >= MOST_UNDER_WAY {
            return;
        }
        consumer.delivered += 1;
        consumer.from = message.sequence + 1;
        let delivery = Delivery { number: consumer.delivered, sequence: message.sequence, serial: message.serial };
        let copies = match rng.random_range(0..100) {
            _ if is_calm => 1,
            0..4 => 0,
            4..7 => 2,
            _ => 1,
        };
        self.under_way.extend(std::iter::repeat_n(delivery, copies));
    }

    fn take(&mut self, rng: &mut StdRng, broker: &Broker, now_ms: u64, is_calm: bool) -> Checked {
        let is_shuffled = !is_calm && rng.random_bool(0.03);
        let index = if is_shuffled { rng.random_range(0..self.under_way.len()) } else { 0 };
        let delivery = self.under_way.remove(index);
        self.reading.heard(now_ms);
        let step = self.reading.delivered(delivery.number, delivery.sequence);
        if step == Step::HandOut { self.hand_out(delivery, broker) } else { self.act(step, broker) }
    }

    fn hand_out(&mut self, delivery: Delivery, broker: &Broker) -> Checked {
        let from = self.last.map_or(self.begins, |(sequence, _)| sequence + 1);
        let wanted = broker.read(self.partition, from).map(|message| message.serial);
        if wanted != Some(delivery.serial) || self.holds_what_is_lost(broker) {
            return violation(format!("a reader hands out {delivery:?} after {:?}, wanted is {wanted:?}", self.last));
        }
        self.last = Some((delivery.sequence, delivery.serial));
        self.handed_out = Some(delivery.sequence);
        Ok(())
    }

    fn on_time(&mut self, broker: &Broker, now_ms: u64) -> Checked {
        let step = self.reading.silent(now_ms);
        if step != Step::Continue {
            return self.act(step, broker);
        }
        if now_ms < self.reading.look_at_end_ms() || broker.is_away {
            return Ok(());
        }
        let end = broker.end();
        let of_partition = match self.reading.log_ends_at(end) {
            Look::Refuse(refusal) => return self.act(Step::Refuse(refusal), broker),
            Look::Enough => None,
            Look::AskPartition => broker.end_of(self.partition),
        };
        let step = self.reading.partition_ends_at(end, of_partition, now_ms);
        self.act(step, broker)
    }

    fn act(&mut self, step: Step, broker: &Broker) -> Checked {
        match step {
            Step::HandOut | Step::Continue => Ok(()),
            Step::Recreate(_) => {
                self.disconnect();
                Ok(())
            }
            Step::Refuse(_) => self.refuse(broker),
        }
    }

    fn refuse(&mut self, broker: &Broker) -> Checked {
        self.has_refused = true;
        let is_lost = |(sequence, serial)| broker.serial_at(sequence) != Some(serial);
        let begins_behind_the_end = self.last.is_none() && self.before.is_some_and(is_lost);
        if self.holds_what_is_lost(broker) || begins_behind_the_end {
            return Ok(());
        }
        violation(format!("a reader refuses, and the log has all that it handed out: {:?}", self.last))
    }

    /// Whether the log has lost what was handed out last.
    fn holds_what_is_lost(&self, broker: &Broker) -> bool {
        self.last.is_some_and(|(sequence, serial)| broker.serial_at(sequence) != Some(serial))
    }

    /// Whether it has come to where it belongs.
    pub(super) fn is_settled(&self, broker: &Broker) -> bool {
        let is_at_end = broker.read(self.partition, self.last.map_or(1, |(sequence, _)| sequence + 1)).is_none();
        if self.holds_what_is_lost(broker) { self.has_refused || self.cannot_tell(broker) } else { is_at_end }
    }

    /// The consumer went on while the log lost its end, and the log is as long again: until something is delivered, or the
    /// consumer is made anew, nothing says so.
    fn cannot_tell(&self, broker: &Broker) -> bool {
        self.consumer.is_some_and(|consumer| consumer.went_back && !consumer.is_gone)
            && broker.end() + 1 >= self.reading.next_sequence()
    }
}
