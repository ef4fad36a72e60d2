//! Reading ahead: takes messages from the log and parses them, while the worker folds earlier ones on another core.

use std::sync::Arc;

use nats::{LaneReader, NatsError, ReadEvent, ReaderSettings};
use protocol::{log::LogMessage, worker::ParsedMessage};
use retry::Backoff;
use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    mpsc::{Receiver, Sender, channel},
};
use tracing::warn;

use super::Lane;
use crate::{compute::compute, threads::Moving};

/// Parsed messages between the two tasks, in bytes: enough that neither waits for the other at every message.
const PARSED_BYTES: usize = 4 * 1024 * 1024;
/// The same in messages, where they are small.
const PARSED_MESSAGES: usize = 1_024;
/// Delays between attempts to read again after an error.
const READ_DELAYS_MS: (u64, u64) = (50, 2_000);

/// What the reading task hands to the worker, in the order of the log.
pub(super) enum Incoming {
    /// The reader was (re)created: the log must be verified before anything behind this is taken.
    Created,
    /// The next message.
    Message(ParsedMessage, OwnedSemaphorePermit),
    /// This reader cannot go on: the log is not what it was. A new session looks at it from the start.
    Ended(String),
}

/// The reading task of one session; ends when dropped.
pub(super) struct Reading {
    pub(super) incoming: Receiver<Incoming>,
    room: Arc<Semaphore>,
    _task: Moving<()>,
}

impl Reading {
    /// Reads the lane from sequence `from` on.
    pub(super) fn start(lane: Arc<Lane>, from: u64) -> Self {
        let (sender, incoming) = channel(PARSED_MESSAGES);
        let room = Arc::new(Semaphore::new(PARSED_BYTES));
        let reader = lane.dependencies.log.reader(lane.partition(), from, ReaderSettings::default());
        let places = lane.places.clone();
        let task = Task { lane, room: Arc::clone(&room), sender };
        Self { incoming, room, _task: places.spawn(task.read_for_ever(reader)) }
    }

    /// Bytes that are parsed and not taken.
    pub(super) fn waiting_bytes(&self) -> usize {
        PARSED_BYTES.saturating_sub(self.room.available_permits())
    }
}

struct Task {
    lane: Arc<Lane>,
    room: Arc<Semaphore>,
    sender: Sender<Incoming>,
}

impl Task {
    async fn read_for_ever(self, mut reader: LaneReader) {
        let mut backoff = Backoff::new(READ_DELAYS_MS.0, READ_DELAYS_MS.1);
        loop {
            self.lane.places.rested().await;
            let incoming = match reader.next().await {
                Ok(ReadEvent::Created { .. }) => Incoming::Created,
                Ok(ReadEvent::Message(message)) => {
                    backoff.reset();
                    self.parse(message).await
                }
                Err(error) if error.retry_helps() => {
                    self.failed(&error);
                    tokio::time::sleep(backoff.next_delay()).await;
                    continue;
                }
                Err(error) => Incoming::Ended(format!("the log cannot be read: {error}")),
            };
            let is_last = matches!(incoming, Incoming::Ended(_));
            if self.sender.send(incoming).await.is_err() || is_last {
                return;
            }
        }
    }

    async fn parse(&self, message: LogMessage) -> Incoming {
        let partitions = self.lane.dependencies.log.identity().partitions;
        let bytes = message.payload.len();
        let parsed = compute(bytes, || ParsedMessage::parse(message, self.lane.partition(), partitions));
        let cost = u32::try_from(parsed.cost().min(PARSED_BYTES)).unwrap_or(u32::MAX);
        match Arc::clone(&self.room).acquire_many_owned(cost).await {
            Ok(permit) => Incoming::Message(parsed, permit),
            Err(closed) => Incoming::Ended(closed.to_string()),
        }
    }

    fn failed(&self, error: &NatsError) {
        warn!(partition = self.lane.partition(), %error, "reading the log failed, trying again");
        self.lane.metrics.log_failed();
    }
}
