//! How fast lanes are read: starts a NATS server of its own, fills the log with packed messages, reads all lanes at once.
//!
//! `reader_speed [partitions] [messages] [bytes of a message]`

use std::{env, time::Instant};

use bytes::Bytes;
use ledger::{Digest, Tenant};
use nats::{
    Batch, Client, ClientConfig, LaneReader, Log, LogSettings, MessageId, Publisher, PublisherConfig, ReadEvent,
    ReaderSettings,
};
use testkit::NatsServer;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let (partitions, messages, bytes) = (number(4)?, number(4_000)?, number(200_000)?);
    let server = NatsServer::options().without_sync().start()?;
    let config = ClientConfig {
        url: server.url(),
        name: "reader-speed".to_owned(),
        user: None,
        password: None,
        credentials_file: None,
        connect_timeout_ms: 5_000,
    };
    let client = Client::connect(&config).await?;
    let settings = LogSettings { partitions: u16::try_from(partitions)?, replicas: 1, max_bytes: -1, epoch: 1 };
    let log = Log::ensure(&client, &settings).await?;
    fill(&log, messages, bytes).await?;
    let start = Instant::now();
    let lanes: Vec<_> = (0..settings.partitions)
        .map(|partition| {
            let reader = log.reader(partition, 1, ReaderSettings::default());
            let count = (usize::from(partition)..messages).step_by(partitions).count();
            tokio::spawn(read(reader, count))
        })
        .collect();
    let (mut read_bytes, mut created) = (0, 0);
    for lane in lanes {
        let (lane_bytes, lane_created) = lane.await??;
        read_bytes += lane_bytes;
        created += lane_created;
    }
    let elapsed_ms = start.elapsed().as_millis().max(1);
    let (mib, each) = (u128::try_from(read_bytes)? * 1_000 / elapsed_ms / 1_048_576, u128::try_from(messages)?);
    println!(
        "{messages} messages of {bytes} bytes in {partitions} lanes: {mib} MiB/s, {} messages/s, {created} consumers made",
        each * 1_000 / elapsed_ms
    );
    Ok(())
}

async fn fill(log: &Log, messages: usize, bytes: usize) -> anyhow::Result<()> {
    let config = PublisherConfig { max_message_entries: 1, messages_in_flight: 8, ..PublisherConfig::default() };
    let publisher = Publisher::start(log.clone(), config);
    let mut line = vec![b'x'; bytes.max(1)];
    line[bytes.max(1) - 1] = b'\n';
    let lines = Bytes::from(line);
    let mut receipts = Vec::new();
    for number in 0..messages {
        let partition = u16::try_from(number % usize::from(log.identity().partitions))?;
        let message_id = MessageId::Packed(Digest::of(&number.to_le_bytes()));
        let batch = Batch { tenant: Tenant::parse("acme")?, lines: lines.clone(), entries: 1, message_id };
        receipts.push(publisher.submit_waiting(partition, batch).await?);
    }
    for receipt in receipts {
        receipt.await?;
    }
    Ok(())
}

async fn read(mut reader: LaneReader, messages: usize) -> anyhow::Result<(usize, u32)> {
    let (mut bytes, mut created, mut count) = (0, 0, 0);
    while count < messages {
        match reader.next().await? {
            ReadEvent::Created { .. } => created += 1,
            ReadEvent::Message(message) => {
                bytes += message.payload.len();
                count += 1;
            }
        }
    }
    Ok((bytes, created))
}
