//! A full log into an empty store, beside reading the same log in order and doing nothing with it.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use nats::{Client, LaneReader, Log, ReadEvent, ReaderSettings};
use testkit::NatsServer;
use tokio::task::JoinSet;

use super::{bulk, post};
use crate::{
    arguments::Run,
    figures::rate,
    launches::Launches,
    load::in_own_thread,
    pipeline::{Pipeline, log_folder, store_folder},
    report::{Figure, Goal, Reference},
};

const SERIES: u64 = 3;

pub fn run(run: &Run) -> anyhow::Result<Vec<Figure>> {
    let count = run.bulk_launches();
    let (replayed, raw) = embedded(run, Launches::new(run.seed, SERIES), count)?;
    Ok(vec![Figure {
        name: "replay of a full log into an empty store".to_owned(),
        unit: "launches/s",
        saldo: rate(count, replayed),
        reference: Some(Reference {
            name: "the same log read in order, nothing done with it".to_owned(),
            figure: rate(count, raw),
        }),
        goal: Some(Goal::AtLeast { figure: 600_000, hundredths: 0 }),
        latency: None,
        notes: format!(
            "{count} launches; from the start of the services until every launch is in a readable day: {} ms",
            replayed.as_millis()
        ),
    }])
}

/// Time of a replay into an empty embedded store, and of reading the same log in order.
pub fn embedded(run: &Run, launches: Launches, count: u64) -> anyhow::Result<(Duration, Duration)> {
    let pipeline = Pipeline::start(&run.saldo, run.partitions())?;
    post::bulk(&pipeline.edges, launches, count)?;
    let data = pipeline.stop()?;
    let (raw, ends) = read_raw(&log_folder(&data))?;
    fs::remove_dir_all(store_folder(&data))?;
    let pipeline = Pipeline::start_on(&run.saldo, run.partitions(), data)?;
    in_own_thread(async {
        // A start over an empty store gives the log another incarnation: positions begin with it.
        let client = Client::connect(&bulk::config(&format!("nats://{}", pipeline.nats))).await?;
        let name = Log::open(&client, 1).await?.identity().name();
        pipeline.wait_for(format!("{name}.{ends}").as_bytes()).await
    })?;
    let replayed = pipeline.started.elapsed();
    pipeline.stop()?;
    Ok((replayed, raw))
}

/// Time of reading every lane to its end, and that end as positions write it, behind the log's name.
fn read_raw(folder: &Path) -> anyhow::Result<(Duration, String)> {
    let server = NatsServer::options().store_dir(folder).start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let log = Log::open(&Client::connect(&bulk::config(&server.url())).await?, 1).await?;
        let mut ends = Vec::new();
        for partition in 0..log.identity().partitions {
            ends.push((partition, log.lane_end(partition).await?.map_or(0, |message| message.sequence)));
        }
        let start = Instant::now();
        let mut lanes = JoinSet::new();
        for (partition, end) in ends.iter().copied().filter(|(_, end)| *end > 0) {
            lanes.spawn(read_lane(log.reader(partition, 1, ReaderSettings::default()), end));
        }
        while let Some(ended) = lanes.join_next().await {
            ended??;
        }
        let lanes: Vec<String> = ends.iter().map(|(partition, end)| format!("{partition}.{end}")).collect();
        anyhow::Ok((start.elapsed(), lanes.join("-")))
    });
    let mut server = server;
    server.stop()?;
    outcome
}

async fn read_lane(mut reader: LaneReader, end: u64) -> anyhow::Result<()> {
    loop {
        if let ReadEvent::Message(message) = reader.next().await?
            && message.sequence >= end
        {
            return Ok(());
        }
    }
}
