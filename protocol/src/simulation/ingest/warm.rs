//! How a process that starts reads the log's end, lane by lane, up to where it was then.
//!
//! Only a tail is read, and not for ever: of what is older the process knows nothing, and only the log's duplicate window stands
//! between it and a second place. What of the tail the log had at the start is remembered naively: a process that has read
//! all of it must know it.

use std::collections::BTreeSet;

use rand::rngs::StdRng;

use super::{IngestSwitches, broker::Broker, launch::Launch, readers::Reader};
use crate::simulation::Violation;

/// Steps of a reader at once: deliveries come together.
const STEPS: usize = 8;

/// How much of the log's end is read, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    /// Messages of the whole log.
    pub(super) messages: u64,
    pub(super) patience_ms: u64,
}

#[derive(Debug)]
struct Lane {
    reader: Reader,
    partition: u16,
    end: u64,
}

/// A launch with the sequence of its message.
pub(super) type Found = (Launch, u64);

#[derive(Debug, Default)]
pub(super) struct Warm {
    /// Those that are not at their end.
    lanes: Vec<Lane>,
    until_ms: u64,
    /// A lane was given up.
    is_partial: bool,
    /// Ids that the tail had when the process started.
    ids: BTreeSet<u8>,
}

impl Warm {
    pub(super) fn begin(tail: Tail, partitions: u16, broker: &Broker, switches: &IngestSwitches, now_ms: u64) -> Self {
        let from = broker.end().saturating_sub(tail.messages) + 1;
        let lane = |partition| {
            let end = broker.end_of(partition).filter(|end| *end >= from)?;
            Some(Lane { reader: Reader::beginning_at(partition, from, broker, switches), partition, end })
        };
        let in_tail = broker.messages.iter().filter(|message| message.sequence >= from);
        let ids = in_tail.flat_map(|message| &message.launches).map(|launch| launch.id).collect();
        let read = if switches.surroundings.warms_every_lane { partitions } else { 1 };
        Self {
            lanes: (0..read).filter_map(lane).collect(),
            until_ms: now_ms + tail.patience_ms,
            is_partial: false,
            ids,
        }
    }

    /// Reads a bit; nothing more once it took too long.
    pub(super) fn read(
        &mut self,
        rng: &mut StdRng,
        broker: &Broker,
        now_ms: u64,
        is_calm: bool,
    ) -> Result<Vec<Found>, Violation> {
        let mut found = Vec::new();
        if now_ms >= self.until_ms {
            self.give_up();
        }
        for lane in &mut self.lanes {
            for _ in 0..STEPS {
                lane.reader.happen(rng, broker, now_ms, is_calm)?;
                let Some(sequence) = lane.reader.take_handed_out() else { continue };
                let message = broker.read(lane.partition, sequence).filter(|message| message.sequence == sequence);
                found.extend(message.into_iter().flat_map(|message| &message.launches).map(|it| (*it, sequence)));
                if sequence >= lane.end {
                    lane.end = 0;
                    break;
                }
            }
        }
        self.is_partial |= self.lanes.iter().any(|lane| lane.end > 0 && lane.reader.has_refused());
        self.lanes.retain(|lane| lane.end > 0 && !lane.reader.has_refused());
        Ok(found)
    }

    pub(super) fn give_up(&mut self) {
        self.is_partial |= !self.lanes.is_empty();
        self.lanes.clear();
    }

    pub(super) fn is_over(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Whether whoever has read all of it must know an id.
    pub(super) fn must_know(&self, id: u8) -> bool {
        self.is_over() && !self.is_partial && self.ids.contains(&id)
    }

    pub(super) fn disconnect(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.reader.disconnect());
    }

    pub(super) fn log_went_back(&mut self, broker: &Broker, partitions: u16) {
        self.lanes.iter_mut().for_each(|lane| lane.reader.log_went_back(broker, partitions));
    }
}
