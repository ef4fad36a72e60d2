//! How fast launches get onto the log, by messages in flight in each lane: starts a NATS server of its own that syncs every
//! message.
//!
//! `publisher_speed [messages_in_flight] [partitions] [launches] [callers]`: with `callers` 0 everything is offered at once;
//! otherwise that many callers each publish one launch after the other, as HTTP connections do.

use std::{env, time::Instant};

use bytes::Bytes;
use ledger::{Digest, Tenant};
use nats::{Batch, Client, ClientConfig, Log, LogSettings, MessageId, Publisher, PublisherConfig};
use testkit::NatsServer;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let (messages_in_flight, partitions, launches, callers) = (number(1)?, number(4)?, number(500_000)?, number(0)?);
    let server = NatsServer::start()?;
    let config = ClientConfig {
        url: server.url(),
        name: "publisher-speed".to_owned(),
        user: None,
        password: None,
        credentials_file: None,
        connect_timeout_ms: 5_000,
    };
    let client = Client::connect(&config).await?;
    let settings = LogSettings { partitions: u16::try_from(partitions)?, replicas: 1, max_bytes: -1, epoch: 1 };
    let log = Log::ensure(&client, &settings).await?;
    let publisher = Publisher::start(log.clone(), PublisherConfig { messages_in_flight, ..PublisherConfig::default() });
    let start = Instant::now();
    let mut waits_us = if callers == 0 {
        offer_all(&publisher, settings.partitions, launches).await?;
        Vec::new()
    } else {
        one_after_the_other(&publisher, settings.partitions, launches, callers).await?
    };
    let elapsed = start.elapsed();
    let messages = log.usage().await?.messages;
    let rate = u128::try_from(launches)? * 1_000 / elapsed.as_millis().max(1);
    println!(
        "{launches} launches, {partitions} lanes, {messages_in_flight} in flight, {callers} callers: {rate} launches/s, \
         {messages} messages, fsync before every acknowledgement"
    );
    waits_us.sort_unstable();
    if let (Some(middle), Some(late)) = (waits_us.get(waits_us.len() / 2), waits_us.get(waits_us.len() * 99 / 100)) {
        println!("    acknowledged after {middle} us (median), {late} us (99 %)");
    }
    Ok(())
}

async fn offer_all(publisher: &Publisher, partitions: u16, launches: usize) -> anyhow::Result<()> {
    let mut lanes = Vec::new();
    for partition in 0..partitions {
        let publisher = publisher.clone();
        lanes.push(tokio::spawn(async move {
            let mut receipts = Vec::new();
            for number in (usize::from(partition)..launches).step_by(usize::from(partitions)) {
                receipts.push(publisher.submit_waiting(partition, launch(number)?).await?);
            }
            for receipt in receipts {
                receipt.await?;
            }
            anyhow::Ok(())
        }));
    }
    for lane in lanes {
        lane.await??;
    }
    Ok(())
}

async fn one_after_the_other(
    publisher: &Publisher,
    partitions: u16,
    launches: usize,
    callers: usize,
) -> anyhow::Result<Vec<u128>> {
    let mut tasks = Vec::new();
    for caller in 0..callers {
        let publisher = publisher.clone();
        tasks.push(tokio::spawn(async move {
            let mut waits_us = Vec::new();
            for number in (caller..launches).step_by(callers) {
                let partition = u16::try_from(number * 31 % usize::from(partitions))?;
                let start = Instant::now();
                publisher.submit(partition, launch(number)?)?.await?;
                waits_us.push(start.elapsed().as_micros());
            }
            anyhow::Ok(waits_us)
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await??);
    }
    Ok(all)
}

fn launch(number: usize) -> anyhow::Result<Batch> {
    let id = format!("launch-{number}");
    let line = format!(
        "{{\"id\":\"{id}\",\"tenant\":\"acme\",\"account\":\"store-{}\",\"date\":\"2026-11-22\",\"kind\":\"credit\",\
         \"amount\":\"150.75\",\"currency\":\"BRL\"}}\n",
        number % 1_000
    );
    let message_id = MessageId::Packed(Digest::of(id.as_bytes()));
    let tenant = Tenant::parse("acme")?;
    Ok(Batch { tenant, lines: Bytes::from(line), entries: 1, message_id })
}
