//! Sending change notices without ever holding up the worker.

use std::{sync::Arc, time::Duration};

use protocol::notice::Notice;
use tokio::{
    sync::mpsc::{Receiver, Sender, channel, error::TrySendError},
    time::timeout,
};
use tracing::debug;

use super::Lane;
use crate::{FailPoint, threads::Moving};

/// Notices that wait to be sent: a minute of heartbeats, or a burst of commits. Those beyond are lost, which listeners see
/// as a gap and answer by dropping what they hold of the lane.
const WAITING_NOTICES: usize = 64;
/// A client that does not take a notice in this time has no connection worth waiting for.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(2);

/// Sends the notices of one session, in order, at most once each.
pub(super) struct Notifier {
    lane: Arc<Lane>,
    waiting: Sender<Notice>,
    task: Moving<()>,
}

impl Notifier {
    pub(super) fn start(lane: Arc<Lane>) -> Self {
        let (waiting, notices) = channel(WAITING_NOTICES);
        let task = lane.places.spawn(send_all(Arc::clone(&lane), notices));
        Self { lane, waiting, task }
    }

    /// Takes a notice; it is sent soon, or lost and counted. Of a lane that another instance holds nothing is told.
    pub(super) fn send(&self, notice: Notice) {
        if !self.lane.may_speak() {
            return;
        }
        match self.waiting.try_send(notice) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => self.lane.metrics.notice_lost(),
        }
    }

    /// Sends what waits, as far as the client takes it at once, then ends.
    pub(super) async fn finish(self) {
        drop(self.waiting);
        let _ended = timeout(PUBLISH_TIMEOUT, self.task.ended()).await;
    }
}

async fn send_all(lane: Arc<Lane>, mut notices: Receiver<Notice>) {
    while let Some(notice) = notices.recv().await {
        let failure = match timeout(PUBLISH_TIMEOUT, lane.dependencies.changes.publish(&notice)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_elapsed) => Some("the client did not take it in time".to_owned()),
        };
        if let Some(error) = failure {
            debug!(partition = notice.partition, error, "a change notice is lost");
            lane.metrics.notice_lost();
        } else if notice.from < notice.to {
            lane.config.fail_points.pass(FailPoint::AfterNotice);
        }
    }
}
