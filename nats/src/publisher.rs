//! Publishing into the lanes of the log.

mod answer;
mod lane;
mod message;
mod queue;
mod shares;
mod turns;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use ledger::Tenant;
pub use protocol::publishing::{LaunchName, MessageId, PublishFailure as PublishErrorKind};
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};
use tokio_util::task::TaskTracker;
use tracing::error;

use self::{
    lane::Lane,
    queue::{Bounds, LaneQueue, Refusal},
    turns::Turns,
};
use crate::log::Log;

/// What a message's headers may take of the longest message that the server accepts.
const HEADER_BYTES: usize = 1_024;

/// Bounds and patience of the lanes.
#[derive(Clone, Debug)]
pub struct PublisherConfig {
    /// Most entries of one message.
    pub max_message_entries: usize,
    /// Most bytes of one message.
    pub max_message_bytes: usize,
    /// Most entries waiting in one lane.
    pub queue_entries: usize,
    /// Most bytes waiting in one lane.
    pub queue_bytes: usize,
    /// A message unacknowledged for this long means trouble: what waits behind it is answered "not sent", new batches are
    /// refused at once, and the message is sent again. In milliseconds.
    pub ack_timeout_ms: u64,
    /// A message unacknowledged for this long is given up: its outcome is unknown. In milliseconds; far below the log's
    /// duplicate window of two minutes, inside which a repeated message is recognised.
    pub give_up_after_ms: u64,
    /// Messages sent and not yet acknowledged, in each lane; two where at least 64 KiB wait for the next.
    pub messages_in_flight: usize,
    /// The same of all lanes together: enough that the log is never idle while an acknowledgement travels; eight of those for
    /// which at least 64 KiB waited.
    pub all_messages_in_flight: usize,
    /// Longest wait of a lane for those of the others, in milliseconds. Turns come after the few messages before; where they do
    /// not, the log may not answer at all, and each lane must find that out by itself.
    pub turn_patience_ms: u64,
}

impl Default for PublisherConfig {
    fn default() -> Self {
        Self {
            max_message_entries: 4_096,
            max_message_bytes: 512 * 1024,
            queue_entries: 16_384,
            queue_bytes: 8 * 1024 * 1024,
            ack_timeout_ms: 2_000,
            give_up_after_ms: 10_000,
            messages_in_flight: 1,
            all_messages_in_flight: 2,
            turn_patience_ms: 100,
        }
    }
}

/// Entries of one lane that travel together: they get neighbouring lines of one message, all of them or none.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Whose they are: what waits in a lane is shared fairly between tenants.
    pub tenant: Tenant,
    /// NDJSON: each line ends with a line feed.
    pub lines: Bytes,
    /// How many lines.
    pub entries: u32,
    /// By what a repetition is recognised.
    pub message_id: MessageId,
}

/// Where a batch stands on the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Stream sequence of the message.
    pub sequence: u64,
    /// Line of the batch's first entry in it, from 1.
    pub first_line: u32,
    /// The log had the message before this publisher sent it; the place is that of the first. (Not when the publisher itself
    /// had to send it more than once.)
    pub duplicate: bool,
}

/// Why a batch was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PublishError {
    /// What it means.
    pub kind: PublishErrorKind,
    /// What happened, for a person.
    pub message: String,
    /// When another attempt may succeed, in seconds; at least 1.
    pub retry_after_s: u64,
}

/// The outcome of a batch that was taken. Dropping it does not take the batch back.
#[derive(Debug)]
pub struct Receipt {
    outcome: oneshot::Receiver<Result<Published, PublishError>>,
}

impl Future for Receipt {
    type Output = Result<Published, PublishError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.outcome).poll(context).map(|outcome| {
            outcome.unwrap_or_else(|_| {
                Err(PublishError {
                    kind: PublishErrorKind::Unknown,
                    message: "the publisher ended before the log answered".to_owned(),
                    retry_after_s: 1,
                })
            })
        })
    }
}

/// The lanes of one process: one task a partition. Cheap to clone; when the last clone is dropped the lanes end as by
/// [`Publisher::close`].
#[derive(Clone, Debug)]
pub struct Publisher {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    lanes: Vec<Arc<LaneQueue>>,
    /// Set to the time by which the lanes must have ended.
    closing: watch::Sender<Option<Instant>>,
    tasks: TaskTracker,
    give_up_after: Duration,
}

impl Publisher {
    /// Starts the lanes; must be called inside a tokio runtime.
    #[expect(clippy::needless_pass_by_value, reason = "handed over to the lanes, each of which gets its own clone")]
    pub fn start(log: Log, config: PublisherConfig) -> Self {
        let server_bytes = log.client().inner().max_payload().saturating_sub(HEADER_BYTES);
        let bounds = Bounds::new(&config, server_bytes);
        let closing = watch::Sender::new(None);
        let tasks = TaskTracker::new();
        let turns = Arc::new(Turns::new(&config));
        let start_lane = |partition| {
            let queue = Arc::new(LaneQueue::new(bounds));
            let turns = Arc::clone(&turns);
            let lane =
                Lane::new(log.clone(), partition, Arc::clone(&queue), turns, config.clone(), closing.subscribe());
            let in_task = Arc::clone(&queue);
            tasks.spawn(async move {
                match lane.await {
                    Ok(lane) => lane.run().await,
                    Err(error) => error!(partition, %error, "the lane cannot hear the log's answers"),
                }
                message::not_sent(in_task.empty(), "the publisher has ended", 1);
            });
            queue
        };
        let lanes = (0..log.identity().partitions).map(start_lane).collect();
        let give_up_after = Duration::from_millis(config.give_up_after_ms);
        Self { inner: Arc::new(Inner { lanes, closing, tasks, give_up_after }) }
    }

    /// Hands a batch to its lane, at once or not at all.
    ///
    /// # Errors
    /// The batch was certainly not sent: the queue is full or the tenant has its share of it, the log does not acknowledge at the moment, the publisher is
    /// closing (`NotSent`), or the batch is longer than a message may be (`Refused`).
    pub fn submit(&self, partition: u16, batch: Batch) -> Result<Receipt, PublishError> {
        self.lane(partition)?.push(batch).map_err(|refusal| match refusal {
            Refusal::Error(error) => error,
            Refusal::NoRoom(_) => no_room(),
        })
    }

    /// As [`Publisher::submit`], but waits for room in the queue, at most for `give_up_after_ms`. Cancel safe: a batch is
    /// taken only when this returns.
    ///
    /// # Errors
    /// As [`Publisher::submit`].
    pub async fn submit_waiting(&self, partition: u16, mut batch: Batch) -> Result<Receipt, PublishError> {
        let lane = self.lane(partition)?;
        let deadline = Instant::now() + self.inner.give_up_after;
        loop {
            let mut room = std::pin::pin!(lane.room());
            room.as_mut().enable();
            batch = match lane.push(batch) {
                Ok(receipt) => return Ok(receipt),
                Err(Refusal::Error(error)) => return Err(error),
                Err(Refusal::NoRoom(batch)) => *batch,
            };
            tokio::time::timeout_at(deadline, room).await.map_err(|_| no_room())?;
        }
    }

    /// Whether the log acknowledges, as far as the last messages tell: `false` from the moment when a message was not
    /// acknowledged in time until the log answers again, which the lanes find out by themselves.
    pub fn is_healthy(&self) -> bool {
        self.inner.lanes.iter().all(|lane| lane.takes())
    }

    /// Takes nothing more and waits until everything taken has an outcome; at the deadline what is unsent is answered
    /// "not sent" and what is unacknowledged "unknown".
    pub async fn close(&self, deadline: Instant) {
        self.inner.close(deadline);
        self.inner.tasks.wait().await;
    }

    fn lane(&self, partition: u16) -> Result<&LaneQueue, PublishError> {
        let lane = self.inner.lanes.get(usize::from(partition));
        lane.map(Arc::as_ref).ok_or_else(|| PublishError {
            kind: PublishErrorKind::Refused,
            message: format!("the log has no partition {partition}"),
            retry_after_s: 1,
        })
    }
}

impl Inner {
    fn close(&self, deadline: Instant) {
        self.lanes.iter().for_each(|lane| lane.close());
        self.closing.send_replace(Some(deadline));
        self.tasks.close();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.closing.borrow().is_none() {
            self.close(Instant::now() + self.give_up_after);
        }
    }
}

fn no_room() -> PublishError {
    let message = "too much is waiting to be written to the log".to_owned();
    PublishError { kind: PublishErrorKind::NotSent, message, retry_after_s: 1 }
}
