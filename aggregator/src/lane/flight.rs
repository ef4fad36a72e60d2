//! What is under way for a worker: one thing at a time, in a task of its own, so that it goes on while the worker's task
//! takes messages.

use std::{sync::Arc, time::Instant};

use protocol::{
    commit::{Commit, PartitionState},
    load::{LoadRequest, Loaded},
    log::LogMark,
    parked::ParkedMessage,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Ended, Lane, parking,
    verify::{self, Fetched},
};
use crate::{FailPoint, store_gate::GateError};

/// What has come of a flight.
pub(super) enum Landed {
    /// What is stored of the partition.
    Looked(PartitionState),
    /// What the log has at the marks, and where the lane ends.
    Fetched(Fetched),
    /// What the store has.
    Loaded(Loaded),
    /// The bad lines are parked, or counted.
    Parked,
    /// The commit is acknowledged.
    Committed,
    /// The checkpoint is moved.
    CheckpointWritten,
}

/// Something under way; dropped, it is given up.
pub(super) struct Flight {
    task: AbortOnDropHandle<Result<Landed, Ended>>,
    is_commit: bool,
}

impl Flight {
    pub(super) fn look(lane: Arc<Lane>) -> Self {
        Self::start(async move {
            let look = || lane.gate.store().partition_state(lane.partition());
            Ok(Landed::Looked(lane.gate.call(lane.caller(), "read a partition's state", look).await?))
        })
    }

    pub(super) fn verify(lane: Arc<Lane>, marks: Vec<LogMark>) -> Self {
        Self::start(async move { verify::fetch(&lane, &marks).await.map(Landed::Fetched) })
    }

    pub(super) fn load(lane: Arc<Lane>, incarnation: u64, request: Arc<LoadRequest>) -> Self {
        Self::start(async move {
            let (started, partition) = (Instant::now(), lane.partition());
            let load = || lane.gate.store().load(incarnation, partition, &request);
            let loaded = lane.gate.call(lane.caller(), "load", load).await?;
            lane.metrics.load_took(started.elapsed());
            Ok(Landed::Loaded(loaded))
        })
    }

    pub(super) fn park(lane: Arc<Lane>, messages: Arc<Vec<ParkedMessage>>) -> Self {
        Self::start(async move {
            parking::park_all(&lane, &messages).await?;
            Ok(Landed::Parked)
        })
    }

    pub(super) fn commit(lane: Arc<Lane>, incarnation: u64, commit: Arc<Commit>) -> Self {
        let flight = Self::start(async move {
            lane.config.fail_points.pass(FailPoint::BeforeCommit);
            let started = Instant::now();
            let write = || lane.gate.store().commit(incarnation, &commit);
            lane.gate.call(lane.caller(), "commit", write).await?;
            lane.config.fail_points.pass(FailPoint::AfterCommit);
            lane.metrics.commit_took(started.elapsed());
            Ok(Landed::Committed)
        });
        Self { is_commit: true, ..flight }
    }

    pub(super) fn write_checkpoint(lane: Arc<Lane>, incarnation: u64, checkpoint: LogMark) -> Self {
        Self::start(async move {
            let partition = lane.partition();
            let write = || lane.gate.store().write_checkpoint(incarnation, partition, checkpoint);
            lane.gate.call(lane.caller(), "move the checkpoint", write).await?;
            Ok(Landed::CheckpointWritten)
        })
    }

    fn start(work: impl Future<Output = Result<Landed, Ended>> + Send + 'static) -> Self {
        Self { task: AbortOnDropHandle::new(tokio::spawn(work)), is_commit: false }
    }

    pub(super) fn is_commit(&self) -> bool {
        self.is_commit
    }

    /// Waits for the outcome. Cancel safe; must not be called again once it has returned.
    pub(super) async fn landed(&mut self) -> Result<Landed, Ended> {
        match (&mut self.task).await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_cancelled) => Err(GateError::ShutDown.into()),
        }
    }
}
