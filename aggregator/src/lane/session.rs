//! A session: one life of a worker, from what the store says until it ends.

use std::sync::Arc;

use protocol::{
    commit::{PartitionState, Progress},
    worker::{Refusal, Remedy, Worker, check_other_lane},
};

use super::{
    Ended, Lane,
    driver::{Clock, Driver},
};
use crate::{metrics::RestartReason, store_gate::GateError};

/// Runs one session; also says whether it has committed anything.
pub(super) async fn run(lane: Arc<Lane>) -> (Ended, bool) {
    // The incarnation comes first: what is read afterwards is at least as new.
    let incarnation = lane.gate.store().incarnation();
    match look(&lane).await.and_then(|state| start(&lane, &state)) {
        Ok((worker, clock)) => Driver::new(lane, worker, clock, incarnation).drive().await,
        Err(ended) => (ended, false),
    }
}

/// What is stored of the lane; where that is nothing, the other lanes are looked at.
async fn look(lane: &Lane) -> Result<PartitionState, Ended> {
    let state = read(lane, lane.partition()).await?;
    if state.progress.is_none() {
        check_other_lanes(lane).await?;
    }
    Ok(state)
}

async fn check_other_lanes(lane: &Lane) -> Result<(), Ended> {
    let identity = lane.dependencies.log.identity();
    let read = async |partition| Ok::<_, Ended>(read(lane, partition).await?);
    let check = |partition, progress: Option<&Progress>| Ok(check_other_lane(identity, partition, progress)?);
    store::scan(read, check).await.map(drop)
}

async fn read(lane: &Lane, partition: u16) -> Result<PartitionState, GateError> {
    let read = || lane.gate.store().partition_state(partition);
    lane.gate.call(lane.caller(), "read a partition's state", read).await
}

fn start(lane: &Lane, state: &PartitionState) -> Result<(Worker, Clock), Ended> {
    let clock = Clock::start();
    let identity = lane.dependencies.log.identity().clone();
    // Queries tell by it one life of a worker from another.
    let number = rand::random();
    let (partition, generation) = (lane.partition(), lane.generation);
    let worker = Worker::start(lane.worker.clone(), identity, partition, generation, number, state, clock.now_ms())?;
    Ok((worker, clock))
}

impl From<GateError> for Ended {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Lost(why) => Self::Restart(RestartReason::StoreLost, why),
            GateError::Refused(why) => Self::Refused(why, Remedy::None),
            GateError::ShutDown => Self::Stopped,
        }
    }
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        if refusal.restart_helps() {
            Self::Restart(RestartReason::LogChanged, refusal.to_string())
        } else {
            Self::Refused(refusal.to_string(), refusal.remedy())
        }
    }
}
