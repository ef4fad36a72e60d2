//! Who works on which lanes, where several aggregators share a log. For economy only: nothing that is stored rests on it.
//!
//! Each instance keeps one entry in a bucket that all of them read: its lanes, how far it is on each, and that it lives, which
//! others see by the entry's revision. There is no key of a lane, and no key that two write: from the same entries everybody
//! computes the same spread ([`spread`]), and acts on its own share.
//!
//! | event | what happens |
//! |---|---|
//! | an instance joins | those with more than their share go on with all they have; the new one begins beside them, quietly, and holds a lane once it has reached its holder's position; only then the holder lets go |
//! | an instance leaves | the same, the other way round |
//! | an entry is not renewed for `timeout_ms` | its lanes are begun at once by those whose share they are |
//! | this instance stood still for `timeout_ms` | it lets go at once of what others hold meanwhile |
//! | the bucket cannot be read, or takes no writes | everybody goes on with what it has |
//!
//! No two clocks are compared. Time counts against another only as long as this instance sees its own writes arrive.

mod holder;
mod spread;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use holder::LeaseHolder;
pub use spread::{Share, spread};

/// How leases are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    /// An entry is renewed at least this often, in milliseconds.
    pub heartbeat_ms: u64,
    /// An instance whose entry was not renewed for so long, in milliseconds, is taken for dead.
    pub timeout_ms: u64,
}

/// An instance's entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// It has been asked to stop: it goes on with its lanes until others hold them.
    #[serde(default)]
    pub leaving: bool,
    /// The lanes that it works on.
    pub lanes: BTreeMap<u16, Claim>,
}

/// What an instance says of a lane that it works on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// It answers for the lane. Otherwise it is catching up with the one that does.
    pub held: bool,
    /// Stream sequence up to which it has applied the lane.
    pub applied: u64,
}

/// An entry as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundEntry {
    /// Whose it is.
    pub instance: String,
    /// Changes with every write.
    pub revision: u64,
    /// What it says.
    pub lease: Lease,
}

/// How this instance stands on a lane that it works on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Stream sequence up to which it is applied.
    pub applied: u64,
    /// Whether it has passed the progress that it found at its start.
    pub is_caught_up: bool,
}

/// What an instance is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseStep {
    /// Begin to work on a lane.
    Begin {
        /// The lane.
        partition: u16,
        /// Why.
        why: BeginReason,
    },
    /// Stop working on a lane.
    LetGo {
        /// The lane.
        partition: u16,
    },
}

/// Why an instance begins to work on a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeginReason {
    /// Nobody works on it, as far as is known.
    Free,
    /// Its holder is not heard any more.
    Takeover,
    /// Another instance holds it and will let go when this one has caught up.
    Handover,
}
