//! Why a worker must not go on.

use crate::log::LogIdentity;

/// What an operator does when log and store do not belong together: the log is the one to keep.
const EMPTY_STORE: &str = "stop Saldo and start it with an empty store, which is filled from the log";

/// A worker refuses to write, because what it would write could be wrong. The text is for an operator and names the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The log's metadata makes no sense.
    #[error("the log's metadata says {what}, which cannot be: run `saldo log raise-epoch`")]
    BadIdentity {
        /// What it says.
        what: String,
    },
    /// The store was filled from another log.
    #[error("partition {partition} of the store was filled from {stored}, but the log is {found}: {EMPTY_STORE}")]
    OtherLog {
        /// The lane.
        partition: u16,
        /// Which log the store was filled from.
        stored: LogIdentity,
        /// Which log this is.
        found: LogIdentity,
    },
    /// The store holds messages that the log does not have, or has other ones in their place.
    #[error(
        "the message at sequence {sequence} of partition {partition} is not the one that the store was filled from (the \
         log lost its end, or was restored to an older state): run `saldo log raise-epoch`, {EMPTY_STORE}"
    )]
    LogDiffers {
        /// The lane.
        partition: u16,
        /// Stream sequence of the message.
        sequence: u64,
    },
    /// A message that this worker has read is not in the log any more; perhaps nothing of it is stored.
    #[error(
        "the message at sequence {sequence} of partition {partition} has vanished from the log since it was read: the worker \
         starts anew from its checkpoint"
    )]
    ReadMessageVanished {
        /// The lane.
        partition: u16,
        /// Stream sequence of the message.
        sequence: u64,
    },
    /// The stored rows of too many accounts do not agree with their journals.
    #[error(
        "the stored rows of {accounts} accounts of partition {partition} do not agree with their journals: the store is \
         damaged; {EMPTY_STORE}"
    )]
    TooManyStopped {
        /// The lane.
        partition: u16,
        /// How many accounts are stopped.
        accounts: usize,
    },
}

impl Refusal {
    /// Whether a new worker, started from the stored checkpoint, may be able to go on.
    pub fn restart_helps(&self) -> bool {
        matches!(self, Self::ReadMessageVanished { .. })
    }
}
