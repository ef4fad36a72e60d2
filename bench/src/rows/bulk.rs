//! NDJSON bulk: accepted, beside packed publishes of the same bytes without us; and until it can be read.

use std::time::{Duration, Instant};

use anyhow::Context;
use async_nats::jetstream;
use bytes::Bytes;
use nats::{Client, ClientConfig, Log, LogSettings};
use testkit::NatsServer;
use tokio::task::JoinSet;

use super::post;
use crate::{
    arguments::Run,
    figures::rate,
    launches::Launches,
    pipeline::Pipeline,
    report::{Figure, Goal, Reference},
};

/// Lines of a message of the reference: near what Saldo packs.
pub const LINES_A_MESSAGE: usize = 1_000;
/// Messages of a lane on their way at once.
const IN_FLIGHT_OF_A_LANE: usize = 2;
/// Transfers accepted a second by TigerBeetle 0.16.99 on the machine of docs/benchmarks.md: it cannot be installed by the
/// bench.
const TIGERBEETLE_QUOTED: u64 = 402_000;
const SERIES: u64 = 1;

pub fn run(run: &Run) -> anyhow::Result<Vec<Figure>> {
    let count = run.bulk_launches();
    let launches = Launches::new(run.seed, SERIES);
    let pipeline = Pipeline::start(&run.saldo, run.partitions())?;
    // The first stretch of a process pays for memory that later ones find.
    post::bulk(&pipeline.edges, Launches::new(run.seed, SERIES + 1), count / 10)?;
    let posted = post::bulk(&pipeline.edges, launches, count)?;
    pipeline.stop()?;
    let bare = publish_bare(run, launches, count)?;
    let notes = format!("{count} launches, {} bytes, {} connections", posted.bytes, post::CONNECTIONS);
    Ok(vec![
        Figure {
            name: "NDJSON bulk accepted".to_owned(),
            unit: "launches/s",
            saldo: rate(count, posted.accepted),
            reference: Some(Reference {
                name: format!("the same bytes published bare, {LINES_A_MESSAGE} launches a message"),
                figure: rate(count, bare),
            }),
            goal: Some(Goal::AtLeast { figure: 500_000, hundredths: 40 }),
            latency: None,
            notes: notes.clone(),
        },
        Figure {
            name: "NDJSON bulk until the last launch is in a readable day".to_owned(),
            unit: "launches/s",
            saldo: rate(count, posted.readable),
            reference: Some(Reference {
                name: "TigerBeetle 0.16.99 accepting, quoted (not measured in this run)".to_owned(),
                figure: TIGERBEETLE_QUOTED,
            }),
            goal: Some(Goal::AtLeast { figure: 300_000, hundredths: 0 }),
            latency: None,
            notes,
        },
    ])
}

/// Time of publishing the same lines with nothing around: messages cut beforehand, as many in flight as Saldo has of large ones,
/// the server's durability the same.
fn publish_bare(run: &Run, launches: Launches, count: u64) -> anyhow::Result<Duration> {
    let messages = messages(launches, count);
    let server = NatsServer::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let settings = LogSettings { partitions: run.partitions(), replicas: 1, max_bytes: -1, epoch: 1 };
        Log::ensure(&Client::connect(&config(&server.url())).await?, &settings).await.map(drop)
    })?;
    publish(&server.url(), run.partitions(), &messages)
}

/// Time of publishing them to a log that is there.
pub fn publish(servers: &str, partitions: u16, messages: &[Bytes]) -> anyhow::Result<Duration> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let servers: Vec<&str> = servers.split(',').collect();
        let context = jetstream::new(async_nats::connect(servers).await.context("cannot connect")?);
        let start = Instant::now();
        let mut lanes = JoinSet::new();
        let senders = usize::from(partitions) * IN_FLIGHT_OF_A_LANE;
        for (sender, lane) in (0..senders).zip((0..partitions).cycle()) {
            let own = messages.iter().skip(sender).step_by(senders).cloned();
            lanes.spawn(publish_in_turn(context.clone(), lane, own.collect()));
        }
        while let Some(ended) = lanes.join_next().await {
            ended??;
        }
        Ok(start.elapsed())
    })
}

/// The lines, cut into messages.
pub fn messages(launches: Launches, count: u64) -> Vec<Bytes> {
    let lines = Bytes::from(launches.lines(0..count));
    let message_bytes = (launches.launch_bytes() + 1) * LINES_A_MESSAGE;
    (0..lines.len()).step_by(message_bytes).map(|at| lines.slice(at..lines.len().min(at + message_bytes))).collect()
}

async fn publish_in_turn(context: jetstream::Context, lane: u16, messages: Vec<Bytes>) -> anyhow::Result<()> {
    for message in messages {
        context.publish(format!("launches.{lane}"), message).await?.await?;
    }
    Ok(())
}

/// How the bench connects to NATS.
pub fn config(url: &str) -> ClientConfig {
    ClientConfig {
        url: url.to_owned(),
        name: "bench".to_owned(),
        user: None,
        password: None,
        credentials_file: None,
        connect_timeout_ms: 5_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_between_lines() {
        let messages = messages(Launches::new(1, 1), 2_500);
        let lines: Vec<usize> = messages.iter().map(|text| memchr::memchr_iter(b'\n', text).count()).collect();
        assert_eq!(lines, [1_000, 1_000, 500]);
        assert!(messages.iter().all(|text| text.starts_with(b"{") && text.ends_with(b"}\n")));
    }
}
