//! What a reader demands with a position: how far a lane must be before it is answered.

use crate::{log::LogName, position::Position};

/// What a reader demands of the lanes that its answer covers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    position: Option<Position>,
}

/// Why a position cannot be demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DemandError {
    /// Of another epoch or incarnation: it says nothing of this log.
    #[error("the position belongs to another log than the one that is served")]
    OtherLog,
    /// Names a lane that the log does not have.
    #[error("the position names a partition that the log does not have")]
    UnknownPartition,
}

impl Demand {
    /// Nothing demanded: every lane satisfies it.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// At least this position, of the log of this name, which has so many lanes.
    ///
    /// # Errors
    /// The position means nothing in `log`, or names a lane beyond `partitions`.
    pub fn at_least(position: Position, log: LogName, partitions: u16) -> Result<Self, DemandError> {
        if position.log != log {
            return Err(DemandError::OtherLog);
        }
        let highest = position.lanes.keys().next_back().copied().unwrap_or(0);
        if highest >= partitions {
            return Err(DemandError::UnknownPartition);
        }
        Ok(Self { position: Some(position) })
    }

    /// The sequence that the lane must have reached; 0 when the position does not cover it.
    pub fn of_lane(&self, partition: u16) -> u64 {
        self.position.as_ref().and_then(|position| position.lanes.get(&partition)).copied().unwrap_or(0)
    }
}
