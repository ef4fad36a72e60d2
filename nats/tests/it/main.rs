//! The contract against a real nats-server.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests: what fails here is a failed test"
)]

mod changes;
mod connection;
mod damage;
mod going_back;
mod leases;
mod log;
mod log_settings;
mod outage;
mod parked;
mod publisher;
mod reader;
mod server_config;

use std::time::Duration;

use bytes::Bytes;
use ledger::{Account, BusinessDate, Digest, LaunchId, Tenant};
use nats::{
    Batch, Client, ClientConfig, LaneReader, LaunchName, Log, LogSettings, MessageId, PublishError, Published,
    Publisher, PublisherConfig, ReadEvent,
};
use protocol::log::LogMessage;
use testkit::NatsServer;

/// Longer than anything here takes; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn connect(server: &NatsServer) -> Client {
    Client::connect(&client_config(server)).await.expect("the server is up")
}

pub(crate) fn client_config(server: &NatsServer) -> ClientConfig {
    ClientConfig {
        url: server.url(),
        name: "test".to_owned(),
        user: None,
        password: None,
        credentials_file: None,
        connect_timeout_ms: 5_000,
    }
}

/// A client that knows nothing of this crate, for what other programs do.
pub(crate) async fn foreign_client(server: &NatsServer) -> async_nats::Client {
    async_nats::connect(server.url()).await.expect("the server is up")
}

pub(crate) fn settings(partitions: u16) -> LogSettings {
    LogSettings { partitions, replicas: 1, max_bytes: -1, epoch: 1 }
}

pub(crate) async fn new_log(server: &NatsServer, partitions: u16) -> Log {
    Log::ensure(&connect(server).await, &settings(partitions)).await.expect("an empty server takes a stream")
}

/// A batch of `entries` lines, each `<name>.<line>`.
pub(crate) fn batch(name: &str, entries: u32) -> Batch {
    let lines: String = (0..entries).map(|line| format!("{name}.{line}\n")).collect();
    let digest = Digest::of(lines.as_bytes());
    let message_id = match entries {
        1 => MessageId::Launch(launch_name(name, digest)),
        _ => MessageId::Packed(digest),
    };
    let tenant = Tenant::parse("acme").expect("a tenant's name");
    Batch { tenant, lines: Bytes::from(lines), entries, message_id }
}

fn launch_name(id: &str, content: Digest) -> LaunchName {
    LaunchName {
        tenant: Tenant::parse("acme").expect("a tenant"),
        account: Account::parse("store-1").expect("an account"),
        date: BusinessDate::MIN,
        id: LaunchId::parse(&id.replace(" ", "-")).expect("an id"),
        key: Digest::of(id.as_bytes()),
        content,
    }
}

pub(crate) async fn publish(publisher: &Publisher, partition: u16, batch: Batch) -> Result<Published, PublishError> {
    publisher.submit_waiting(partition, batch).await?.await
}

/// Patient enough for a server that is restarted meanwhile.
pub(crate) fn patient() -> PublisherConfig {
    PublisherConfig { ack_timeout_ms: 20_000, give_up_after_ms: 40_000, ..PublisherConfig::default() }
}

/// The next event, however often the reader must begin anew.
pub(crate) async fn next_event(reader: &mut LaneReader) -> ReadEvent {
    let reading = async {
        loop {
            match reader.next().await {
                Ok(event) => return event,
                // As the reader asks of its caller: wait a little and call again.
                Err(error) if error.retry_helps() => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(error) => panic!("the reader gave up: {error}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("something is there to read")
}

/// The next message; consumers made meanwhile are passed over.
pub(crate) async fn next_message(reader: &mut LaneReader) -> LogMessage {
    loop {
        if let ReadEvent::Message(message) = next_event(reader).await {
            return message;
        }
    }
}

/// Reads until `count` lines have come.
pub(crate) async fn read_lines(reader: &mut LaneReader, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    while lines.len() < count {
        let message = next_message(reader).await;
        let text = String::from_utf8(message.payload.to_vec()).expect("tests write text");
        lines.extend(text.lines().map(str::to_owned));
    }
    lines
}
