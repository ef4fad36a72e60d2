//! Which launches are on their way to the log, of unknown outcome, or accepted lately: what a repetition is recognised by.
//!
//! | state of a key | same content | other content |
//! |---|---|---|
//! | never seen, or forgotten | new | new |
//! | on its way | wait for that publish | pending |
//! | outcome unknown | new: the publish is repeated | pending, for a time |
//! | on its way again, after an unknown outcome | wait for that publish; not sent: unknown as before | pending |
//! | accepted | known | conflict |
//!
//! It is a courtesy: what it has forgotten, the aggregator decides.

mod shard;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ledger::Fingerprint;

pub use shard::Shard;

/// A launch's key with its content, as this process knows them: what a repetition is recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Of tenant, account, date and id.
    pub key: Fingerprint,
    /// Of its content.
    pub content: Fingerprint,
}

/// A launch claimed for a flight, with the number of its slot: where to look first.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// What was claimed.
    pub launch: Claimed,
    /// The slot that it had when it was claimed. It may be another's by now, if everything was forgotten meanwhile.
    pub slot: u32,
}

/// A publish that launches are claimed for.
pub trait Flight {
    /// Its number, which no other flight of the process has.
    fn number(&self) -> u64;
}

impl<F: Flight> Flight for Arc<F> {
    fn number(&self) -> u64 {
        F::number(self)
    }
}

/// What is known of a launch when it is posted.
#[derive(Clone, Debug)]
pub enum Claim<F> {
    /// Nothing: it is the claimer's to publish and to settle.
    New {
        /// Where it is kept.
        slot: u32,
    },
    /// Accepted before, with the same content.
    Known {
        /// Stream sequence of the first one.
        sequence: u64,
    },
    /// Accepted before, with other content.
    Conflict {
        /// Stream sequence of the accepted one.
        sequence: u64,
    },
    /// On its way, or of unknown outcome.
    Pending {
        /// The publish that decides.
        flight: F,
        /// Whether it carries the same content.
        same_content: bool,
    },
}

/// How a flight ended, as far as its claims are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Its launches are on disk in the log, in the message with this stream sequence.
    Published {
        /// Stream sequence.
        sequence: u64,
    },
    /// Certainly not on the log.
    NotSent,
    /// May be on the log.
    Unknown {
        /// When that was found, in milliseconds.
        since_ms: u64,
    },
}

/// Rules that can be left out, to show what they are there for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeduplicationRules {
    /// What is on its way is nobody else's to publish.
    pub(crate) on_its_way_is_pending: bool,
    /// An unknown outcome keeps other content away.
    pub(crate) unknown_is_pending: bool,
    /// An unknown outcome outlives a repetition that was not sent.
    pub(crate) unknown_outlives_not_sent: bool,
    /// What was not sent is free again.
    pub(crate) not_sent_is_free: bool,
    /// Of two places of a key the first counts.
    pub(crate) first_place_counts: bool,
}

impl Default for DeduplicationRules {
    fn default() -> Self {
        Self {
            on_its_way_is_pending: true,
            unknown_is_pending: true,
            unknown_outlives_not_sent: true,
            not_sent_is_free: true,
            first_place_counts: true,
        }
    }
}
