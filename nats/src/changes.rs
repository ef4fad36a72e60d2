//! Change notices over core NATS: at most once, so a listener is told when something may be missing. What vanishes between
//! two servers nobody can tell it: hence each notice names its worker (`worker` in the JSON, a number drawn at each start,
//! absent in those of an older release) and where that one was before (`from`).

use bytes::Bytes;
use futures_util::StreamExt;
use protocol::notice::{MAX_NOTICE_BYTES, Notice};
use tokio::sync::watch;
use tracing::{field::Empty, warn};

use crate::{
    client::{Client, ConnectionEvents},
    error::NatsError,
    subjects,
};

/// Publishes and hears notices of one epoch. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Changes {
    client: Client,
    epoch: u8,
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeEvent {
    /// A notice.
    Notice(Notice),
    /// Something may be missing: the listener was too slow, the connection was made anew, or a notice was undecodable.
    /// When this is returned after a reconnect, the server has the subscription again.
    Lost,
}

impl Changes {
    /// The notices of one epoch.
    pub fn new(client: Client, epoch: u8) -> Self {
        Self { client, epoch }
    }

    /// Sends one notice; whoever listens now gets it.
    ///
    /// # Errors
    /// `Unavailable` without a connection: the notice is dropped, listeners learn of it from the next one. `Refused` for
    /// one that is longer than [`MAX_NOTICE_BYTES`].
    pub async fn publish(&self, notice: &Notice) -> Result<(), NatsError> {
        let payload = serde_json::to_vec(notice).map_err(NatsError::refused)?;
        if payload.len() > MAX_NOTICE_BYTES {
            return Err(NatsError::refused(format!("a notice of {} bytes is too long", payload.len())));
        }
        if !self.client.is_connected() {
            return Err(NatsError::unavailable("not connected to NATS"));
        }
        let subject = subjects::changes_subject(self.epoch, notice.partition);
        self.client.inner().publish(subject, Bytes::from(payload)).await.map_err(NatsError::unavailable)
    }

    /// Listens to all lanes: when this returns, the server has the subscription.
    ///
    /// # Errors
    /// When the connection is lost or the server does not answer in time.
    pub async fn subscribe(&self) -> Result<Notices, NatsError> {
        Notices::subscribe(&self.client, subjects::changes_pattern(self.epoch)).await
    }
}

/// A subscription to notices. What waits in it is bounded by the client's subscription capacity; beyond it notices are
/// dropped and [`NoticeEvent::Lost`] follows.
pub struct Notices {
    client: Client,
    subscriber: async_nats::Subscriber,
    events: watch::Receiver<ConnectionEvents>,
    seen: ConnectionEvents,
}

impl Notices {
    /// Listens to all lanes of whatever log: for those who do not know its epoch yet, or see it change. When this returns, the
    /// server has the subscription.
    ///
    /// # Errors
    /// When the connection is lost or the server does not answer in time.
    pub async fn of_every_epoch(client: &Client) -> Result<Self, NatsError> {
        Self::subscribe(client, subjects::ALL_CHANGES.to_owned()).await
    }

    async fn subscribe(client: &Client, pattern: String) -> Result<Self, NatsError> {
        let mut events = client.events();
        let seen = *events.borrow_and_update();
        let subscriber = client.inner().subscribe(pattern).await.map_err(NatsError::unavailable)?;
        client.flush().await?;
        Ok(Self { client: client.clone(), subscriber, events, seen })
    }

    /// The next event; `None` when the client is closed. Cancel safe.
    pub async fn next(&mut self) -> Option<NoticeEvent> {
        loop {
            let now = *self.events.borrow();
            if now != self.seen {
                if self.client.flush().await.is_ok() {
                    self.seen = now;
                    return Some(NoticeEvent::Lost);
                }
                self.events.changed().await.ok()?;
                continue;
            }
            tokio::select! {
                biased;
                changed = self.events.changed() => changed.ok()?,
                message = self.subscriber.next() => return message.map(|message| decode(&message.payload)),
            }
        }
    }
}

fn decode(payload: &[u8]) -> NoticeEvent {
    match serde_json::from_slice(payload) {
        Ok(notice) => NoticeEvent::Notice(notice),
        Err(error) => {
            warn!(recurs = Empty, %error, "an undecodable change notice is taken as a lost one");
            NoticeEvent::Lost
        }
    }
}
