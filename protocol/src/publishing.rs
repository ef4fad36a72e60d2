//! One message between a publisher and the log: sent, sent again, answered or given up, and what its end means to those
//! who wait for it.
//!
//! | what happened | meaning |
//! |---|---|
//! | the log answers with a sequence | stored, whichever attempt it answers |
//! | that sequence was known before the message was sent | the log lost its end: nobody knows |
//! | it refuses, or has no room | certainly not stored, unless another attempt has no definite answer |
//! | nobody answers at all | that attempt was certainly not stored; the message is sent again |
//! | another answer, or none | the attempt may have been stored, now or in a moment; the message is sent again |
//! | given up, or the connection is closed | certainly not sent if every attempt is known not to be stored, else unknown |
//!
//! Times are milliseconds of the publisher's own clock. Pauses between attempts are the driver's: it knows how to spread
//! them.

mod attempts;
mod message_id;
mod outstanding;
#[cfg(test)]
mod tests;

pub use attempts::{Attempts, Overdue};
pub use message_id::{LaunchName, MessageId, message_id};
pub use outstanding::{OnItsWay, Outstanding};

/// When a message without an answer is in trouble, and when it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// A message unacknowledged for this long means trouble, in milliseconds.
    pub ack_timeout_ms: u64,
    /// A message unacknowledged for this long is given up, in milliseconds; at least `ack_timeout_ms`.
    pub give_up_after_ms: u64,
}

/// What the log says to one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// On disk.
    Stored {
        /// Stream sequence.
        sequence: u64,
        /// The log had a message with this id: the sequence is that one's.
        duplicate: bool,
    },
    /// Certainly not stored by this attempt; nobody was there to take it.
    NotThere,
    /// Certainly not stored by this attempt: no room.
    Full,
    /// Certainly not stored by this attempt, and never will be.
    Refused,
    /// Stored or not: try again.
    Unclear,
}

impl Answer {
    /// Whether the log decided: it works, whatever it decided.
    pub fn is_definite(self) -> bool {
        matches!(self, Self::Stored { .. } | Self::Full | Self::Refused)
    }
}

/// What a failed publish means to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishFailure {
    /// Certainly not on the log.
    NotSent,
    /// May be on the log, now or in a moment.
    Unknown,
    /// The log has no room; certainly not on it.
    LogFull,
    /// The log will not take it, however often it is sent; certainly not on it.
    Refused,
}

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// On disk in the log.
    Stored {
        /// Stream sequence.
        sequence: u64,
        /// The log had it before this publisher sent it for the first time.
        duplicate: bool,
    },
    /// Not stored, as far as is known.
    Failed(PublishFailure),
}

/// Rules that can be left out, to show what they are there for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublishingRules {
    /// A definite "no" counts only while no other attempt is unclear.
    pub(crate) unclear_attempts_count: bool,
    /// An attempt without an answer is unclear.
    pub(crate) silence_is_unclear: bool,
    /// An answer ends the message that it names.
    pub(crate) answers_by_number: bool,
}

impl Default for PublishingRules {
    fn default() -> Self {
        Self { unclear_attempts_count: true, silence_is_unclear: true, answers_by_number: true }
    }
}
