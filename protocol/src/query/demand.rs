//! What a reader demands with a position: how far a lane must be before it is answered.

use crate::position::Position;

/// What a reader demands of the lanes that its answer covers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    position: Option<Position>,
}

/// Why a position cannot be demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DemandError {
    /// Of an epoch that this log does not know: it says nothing any more.
    #[error("the position belongs to another log than the one that is served now")]
    UnknownEpoch,
    /// Names a lane that the log does not have.
    #[error("the position names a partition that the log does not have")]
    UnknownPartition,
}

impl Demand {
    /// Nothing demanded: every lane satisfies it.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// At least this position. `partitions` is `None` while nothing has told how many lanes the log has.
    ///
    /// # Errors
    /// The position means nothing in `epoch`, or names a lane beyond `partitions`.
    pub fn at_least(position: Position, epoch: u8, partitions: Option<u16>) -> Result<Self, DemandError> {
        if position.epoch != epoch {
            return Err(DemandError::UnknownEpoch);
        }
        let highest = position.lanes.keys().next_back().copied().unwrap_or(0);
        if partitions.is_some_and(|count| highest >= count) {
            return Err(DemandError::UnknownPartition);
        }
        Ok(Self { position: Some(position) })
    }

    /// The sequence that the lane must have reached; 0 when the position does not cover it.
    pub fn of_lane(&self, partition: u16) -> u64 {
        self.position.as_ref().and_then(|position| position.lanes.get(&partition)).copied().unwrap_or(0)
    }
}
