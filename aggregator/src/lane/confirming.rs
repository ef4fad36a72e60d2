//! Asking the store again and again whether it is still the one that the session began with. Where commits are not atomic, a
//! commit becomes the checkpoint only once that is known.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use store::StoreErrorKind;
use tokio::sync::watch::{Receiver, Sender, channel};
use tracing::debug;

use super::Lane;
use crate::threads::Moving;

/// So often in the checkpoint's lag: an answer is of use for half of it, and some may fail.
const QUESTIONS_A_LAG: u32 = 8;

/// What the store says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirmed {
    /// Nothing yet.
    Unknown,
    /// All of it is as it was; the question was put then.
    At(Instant),
    /// It is another one.
    Lost,
}

/// Asks until it is dropped; each clear answer is a change of the receiver.
pub(super) struct Confirming {
    pub(super) receiver: Receiver<Confirmed>,
    _sender: Sender<Confirmed>,
    _task: Option<Moving<()>>,
}

impl Confirming {
    /// Of a store whose commits are atomic nothing is asked.
    pub(super) fn start(lane: Arc<Lane>, incarnation: u64) -> Self {
        let (sender, receiver) = channel(Confirmed::Unknown);
        let lag = Duration::from_millis(lane.worker.checkpoint_lag_ms);
        let asks = !lane.worker.atomic_commits;
        let task = asks.then(|| {
            let places = lane.places.clone();
            places.spawn(ask_for_ever(lane, incarnation, lag / QUESTIONS_A_LAG, sender.clone()))
        });
        Self { receiver, _sender: sender, _task: task }
    }
}

async fn ask_for_ever(lane: Arc<Lane>, incarnation: u64, pause: Duration, confirmed: Sender<Confirmed>) {
    loop {
        tokio::time::sleep(pause).await;
        let asked = Instant::now();
        match lane.gate.store().confirm_incarnation(incarnation).await {
            Ok(()) => drop(confirmed.send_replace(Confirmed::At(asked))),
            Err(error) if error.kind == StoreErrorKind::Lost => drop(confirmed.send_replace(Confirmed::Lost)),
            Err(error) => debug!(partition = lane.partition(), %error, "the store is not clear about itself"),
        }
    }
}
