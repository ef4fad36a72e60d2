//! The simulated log: it recognises message ids for a while, may be away or full, and may lose what it had. Everything that
//! ever stood in it is kept beside it, naively: that is what answers are compared with.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checked, launch::Launch, network::Request, violation};
use crate::publishing::Answer;

/// For so long the log recognises the id of a message.
const DUPLICATE_WINDOW_MS: u64 = 120_000;

/// A message of the log.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) sequence: u64,
    pub(super) partition: u16,
    /// Of all messages that were ever stored.
    pub(super) serial: u64,
    pub(super) launches: Vec<Launch>,
    message_id: String,
    stored_ms: u64,
}

/// A launch that was stored once.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) sequence: u64,
    pub(super) launch: Launch,
    /// When the log lost it, as a number of a happening.
    pub(super) lost: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Broker {
    pub(super) messages: Vec<Message>,
    /// By message id: sequence, and when it was stored.
    window: BTreeMap<String, (u64, u64)>,
    stored: u64,
    /// Another one for each log that takes the place of the one before.
    pub(super) incarnation: u64,
    pub(super) is_away: bool,
    pub(super) is_full: bool,
    pub(super) standings: Vec<Standing>,
    /// Batches of which anything was ever stored.
    batches: BTreeSet<u64>,
    /// Batches of which it was said that they are certainly not stored.
    not_sent: BTreeSet<u64>,
}

impl Broker {
    pub(super) fn end(&self) -> u64 {
        self.messages.last().map_or(0, |message| message.sequence)
    }

    pub(super) fn end_of(&self, partition: u16) -> Option<u64> {
        let of_partition = self.messages.iter().rev().find(|message| message.partition == partition);
        of_partition.map(|message| message.sequence)
    }

    /// The first message of a partition at or behind a sequence.
    pub(super) fn read(&self, partition: u16, from: u64) -> Option<&Message> {
        self.messages.iter().find(|message| message.partition == partition && message.sequence >= from)
    }

    /// The serial of the message at a sequence.
    pub(super) fn serial_at(&self, sequence: u64) -> Option<u64> {
        self.messages.iter().find(|message| message.sequence == sequence).map(|message| message.serial)
    }

    /// The first in the present log of an id: what counts.
    pub(super) fn counting(&self, id: u8) -> Option<Launch> {
        self.messages.iter().flat_map(|message| &message.launches).find(|launch| launch.id == id).copied()
    }

    /// Stores a message, unless its id is known.
    pub(super) fn store(&mut self, request: &Request, now_ms: u64) -> Result<Answer, super::Violation> {
        self.window.retain(|_, (_, stored_ms)| now_ms - *stored_ms < DUPLICATE_WINDOW_MS);
        if let Some((sequence, _)) = self.window.get(&request.message_id) {
            return Ok(Answer::Stored { sequence: *sequence, duplicate: true });
        }
        if self.is_full {
            return Ok(Answer::Full);
        }
        self.stored += 1;
        let (sequence, launches) = (self.end() + 1, request.launches.clone());
        self.window.insert(request.message_id.clone(), (sequence, now_ms));
        self.standings.extend(launches.iter().map(|launch| Standing { sequence, launch: *launch, lost: None }));
        self.messages.push(Message {
            sequence,
            partition: request.partition,
            serial: self.stored,
            launches,
            message_id: request.message_id.clone(),
            stored_ms: now_ms,
        });
        self.batches.extend(&request.batches);
        self.check_promises()?;
        Ok(Answer::Stored { sequence, duplicate: false })
    }

    /// A batch is said to be certainly not stored.
    pub(super) fn promise_absent(&mut self, batch: u64) -> Checked {
        self.not_sent.insert(batch);
        self.check_promises()
    }

    fn check_promises(&self) -> Checked {
        match self.batches.intersection(&self.not_sent).next() {
            Some(batch) => violation(format!("batch {batch} is stored, and was said not to be")),
            None => Ok(()),
        }
    }

    /// An older copy takes its place: only so many messages are left. What it recognises it finds in its messages.
    pub(super) fn lose_end(&mut self, left: usize, happening: u64) {
        let end = left.checked_sub(1).and_then(|last| self.messages.get(last)).map_or(0, |message| message.sequence);
        self.messages.truncate(left);
        let is_lost = |standing: &&mut Standing| standing.lost.is_none() && standing.sequence > end;
        self.standings.iter_mut().filter(is_lost).for_each(|standing| standing.lost = Some(happening));
        let known = |message: &Message| (message.message_id.clone(), (message.sequence, message.stored_ms));
        self.window = self.messages.iter().map(known).collect();
    }

    /// Another log takes its place.
    pub(super) fn begin_anew(&mut self, happening: u64) {
        self.lose_end(0, happening);
        self.incarnation += 1;
    }

    /// Whether a launch ever stood at a position that was told in answer to a post which began then: as asked by `is_it`.
    pub(super) fn stands(&self, sequence: u64, lost_since: u64, is_it: impl Fn(Launch) -> bool) -> bool {
        let counts = |standing: &Standing| standing.lost.is_none_or(|lost| lost >= lost_since);
        self.standings
            .iter()
            .any(|standing| standing.sequence == sequence && is_it(standing.launch) && counts(standing))
    }
}
