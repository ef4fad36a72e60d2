//! What a worker wants done next.

use std::sync::Arc;

use super::Refusal;
use crate::{commit::Commit, load::LoadRequest, log::LogMark, notice::Notice, parked::ParkedMessage};

/// What the driver of a worker does next. Until it is acknowledged by the method named, the same step is asked again.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing, until a message is offered, [`super::Worker::store_unchanged`] is told, or time passes.
    Wait,
    /// Load this, then [`super::Worker::loaded`].
    Load(Arc<LoadRequest>),
    /// Put these into the parked stream; each is acknowledged, or refused as already there, or counted because the stream
    /// is full. Then [`super::Worker::parked`].
    Park(Arc<Vec<ParkedMessage>>),
    /// Write this, again and again until it is acknowledged, then [`super::Worker::committed`].
    Commit(Arc<Commit>),
    /// Move the stored checkpoint to here, then [`super::Worker::checkpoint_written`].
    WriteCheckpoint(LogMark),
    /// Publish this once; it needs no acknowledgement.
    Notify(Notice),
    /// Drop this worker with all that it has read, and start a new one from what is stored.
    Restart(RestartReason),
    /// Drop this worker and tell an operator.
    Refuse(Refusal),
}

/// Why a worker has to start anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestartReason {
    /// Nobody called it for longer than half the checkpoint's lag: what it believes about the store may be outdated.
    #[error("the worker stood still for {stood_still_ms} ms")]
    StoodStill {
        /// For how long.
        stood_still_ms: u64,
    },
}
