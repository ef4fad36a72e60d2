//! Why a worker must not go on.

use crate::log::LogIdentity;

/// A worker refuses to write, because what it would write could be wrong. The text says what is so; what an operator does about
/// it is [`Refusal::remedy`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The log's metadata makes no sense.
    #[error("the log's metadata says {what}, which cannot be: run `saldo log raise-epoch`")]
    BadIdentity {
        /// What it says.
        what: String,
    },
    /// The store was filled from another log.
    #[error("partition {partition} of the store was filled from {stored}, but the log is {found}")]
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
         log lost its end, or was restored to an older state)"
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
         damaged"
    )]
    TooManyStopped {
        /// The lane.
        partition: u16,
        /// How many accounts are stopped.
        accounts: usize,
    },
}

/// What an operator does about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing more than the text says.
    None,
    /// Begin with an empty store: the log is the one that counts.
    EmptyStore,
    /// Raise the log's epoch, so that positions given out before are known to mean nothing, and begin with an empty store.
    RaiseEpoch,
}

impl Refusal {
    /// What an operator does about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            // Positions of the log that the store was filled from are known to mean nothing in this one.
            Self::OtherLog { .. } | Self::TooManyStopped { .. } => Remedy::EmptyStore,
            Self::LogDiffers { .. } => Remedy::RaiseEpoch,
            Self::BadIdentity { .. } | Self::ReadMessageVanished { .. } => Remedy::None,
        }
    }

    /// Whether a new worker, started from the stored checkpoint, may be able to go on.
    pub fn restart_helps(&self) -> bool {
        matches!(self, Self::ReadMessageVanished { .. })
    }
}
