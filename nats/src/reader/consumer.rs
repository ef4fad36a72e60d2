//! One ephemeral consumer and the pulls that are open on it.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{ReaderSettings, delivery::Delivery};
use crate::{api, client::Client, error::NatsError, log::Log, subjects};

/// The server removes a consumer that nobody pulls from for this long.
const INACTIVE_THRESHOLD: Duration = Duration::from_secs(30);
/// A pull that is not used up ends after this long; then the next is sent.
const PULL_EXPIRES: Duration = Duration::from_secs(20);
/// The server's shortest interval of heartbeats.
const MIN_HEARTBEAT: Duration = Duration::from_millis(100);
/// What a message may carry besides its payload (subject, address, headers), counted into a pull's bytes.
const MESSAGE_OVERHEAD: usize = 64 * 1024;
/// A pull is this part of what may be outstanding: the next is asked for while the present one is delivered.
const PULLS: usize = 2;

/// A consumer that reads one lane from a sequence on.
///
/// What is asked for and not yet handed out ("credit") is bounded: it is what waits in memory, here and in the server's
/// buffer of this connection.
pub(super) struct Consumer {
    client: Client,
    next_subject: String,
    name: String,
    inbox: String,
    deliveries: async_nats::Subscriber,
    pull: Bytes,
    pull_bytes: usize,
    pull_messages: usize,
    credit_bytes: usize,
    credit_messages: usize,
    open_pulls: usize,
    /// When the server last said anything.
    pub(super) heard: Instant,
}

impl Consumer {
    /// Makes a consumer that starts at `from`.
    pub(super) async fn create(
        log: Log,
        partition: u16,
        from: u64,
        settings: ReaderSettings,
    ) -> Result<Self, NatsError> {
        let name = format!("saldo-{partition}-{:016x}", rand::random::<u64>());
        let filter = subjects::lane_subject(partition);
        let mut config = config(log.stream_name(), &name, from);
        config["config"]["filter_subject"] = json!(filter);
        let verb = format!("CONSUMER.CREATE.{}.{name}.{filter}", log.stream_name());
        Self::made(&log, name, &verb, &config, &settings).await
    }

    /// Makes a consumer that starts at `from` and gets the headers of every message of the log.
    pub(super) async fn create_of_all(log: Log, from: u64, settings: ReaderSettings) -> Result<Self, NatsError> {
        let name = format!("saldo-audit-{:016x}", rand::random::<u64>());
        let mut config = config(log.stream_name(), &name, from);
        config["config"]["headers_only"] = json!(true);
        let verb = format!("CONSUMER.CREATE.{}.{name}", log.stream_name());
        Self::made(&log, name, &verb, &config, &settings).await
    }

    async fn made(
        log: &Log,
        name: String,
        verb: &str,
        config: &Value,
        settings: &ReaderSettings,
    ) -> Result<Self, NatsError> {
        let (client, stream) = (log.client().clone(), log.stream_name());
        let inbox = client.inner().new_inbox();
        let deliveries = client.inner().subscribe(inbox.clone()).await.map_err(NatsError::unavailable)?;
        let _made: Value = api::request(&client, verb, config).await.map_err(NatsError::from)?;
        let pull_bytes = (settings.pull_bytes / PULLS).max(client.inner().max_payload() + MESSAGE_OVERHEAD);
        let pull_messages = (settings.pull_messages / PULLS).max(1);
        Ok(Self {
            next_subject: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"),
            pull: pull(pull_messages, pull_bytes, Duration::from_millis(settings.silence_ms)),
            client,
            name,
            inbox,
            deliveries,
            pull_bytes,
            pull_messages,
            credit_bytes: 0,
            credit_messages: 0,
            open_pulls: 0,
            heard: Instant::now(),
        })
    }

    /// Removes the consumer from the server, if that is easy: otherwise it goes when nobody pulls from it.
    pub(super) async fn remove(client: &Client, stream: &str, name: &str) {
        let subject = format!("$JS.API.CONSUMER.DELETE.{stream}.{name}");
        if client.is_connected() {
            // It goes by itself as well.
            drop(client.inner().publish(subject, Bytes::new()).await);
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether more must be asked for.
    pub(super) fn is_short(&self) -> bool {
        let low = self.credit_bytes < self.pull_bytes * (PULLS - 1) + 1
            || self.credit_messages < self.pull_messages * (PULLS - 1) + 1;
        low && self.open_pulls < PULLS + 1
    }

    /// Asks for more. Cancel safe: what was not sent is not counted.
    pub(super) async fn ask(&mut self) -> Result<(), NatsError> {
        let (subject, inbox, pull) = (self.next_subject.clone(), self.inbox.clone(), self.pull.clone());
        let sent = self.client.inner().publish_with_reply(subject, inbox, pull).await;
        sent.map_err(NatsError::unavailable)?;
        if self.open_pulls == 0 {
            // Until now the server had no reason to say anything.
            self.heard = Instant::now();
        }
        self.open_pulls += 1;
        self.credit_bytes += self.pull_bytes;
        self.credit_messages += self.pull_messages;
        Ok(())
    }

    /// What has already come, without waiting.
    pub(super) fn ready(&mut self) -> Option<Option<Delivery>> {
        let ready = self.deliveries.next().now_or_never()?;
        Some(ready.map(|message| self.take(message)))
    }

    /// Waits for the next delivery; `None` when the client is closed. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Delivery> {
        let message = self.deliveries.next().await?;
        Some(self.take(message))
    }

    fn take(&mut self, message: async_nats::Message) -> Delivery {
        self.heard = Instant::now();
        let delivery = Delivery::read(message);
        match &delivery {
            Delivery::Message { bytes, .. } => self.used(1, *bytes),
            Delivery::PullEnded { messages, bytes } => {
                self.open_pulls = self.open_pulls.saturating_sub(1);
                self.used(*messages, *bytes);
                if self.open_pulls == 0 {
                    (self.credit_bytes, self.credit_messages) = (0, 0);
                }
            }
            Delivery::Heartbeat | Delivery::Gone(_) => {}
        }
        delivery
    }

    fn used(&mut self, messages: usize, bytes: usize) {
        self.credit_messages = self.credit_messages.saturating_sub(messages);
        self.credit_bytes = self.credit_bytes.saturating_sub(bytes);
    }
}

fn config(stream: &str, name: &str, from: u64) -> Value {
    json!({
        "stream_name": stream,
        "action": "create",
        "config": {
            "name": name,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": from.max(1),
            "ack_policy": "none",
            "replay_policy": "instant",
            "mem_storage": true,
            "num_replicas": 1,
            "inactive_threshold": nanoseconds(INACTIVE_THRESHOLD),
        },
    })
}

/// The body of every pull: three heartbeats fit into the silence that means trouble.
fn pull(messages: usize, bytes: usize, silence: Duration) -> Bytes {
    let heartbeat = (silence / 3).clamp(MIN_HEARTBEAT, PULL_EXPIRES / 2);
    let body = json!({
        "batch": messages,
        "max_bytes": bytes,
        "expires": nanoseconds(PULL_EXPIRES),
        "idle_heartbeat": nanoseconds(heartbeat),
    });
    Bytes::from(body.to_string())
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
