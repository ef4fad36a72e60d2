//! Disks that are full, under the store, under the log, and under both; and a log that has reached its bound.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use testkit::wait_until_async;
use tokio::time::sleep;

use super::{
    kills::some_moment,
    load::Load,
    outage,
    poster::Way,
    report::Report,
    stage::{PATIENCE, Stage},
};
use crate::{
    client::Client,
    metrics::{is_not_ready, metric, wait_for_metric, wait_until_not_ready, wait_until_ready, with_readiness},
    model::random_launches,
    pipeline::Setup,
    small_disk::{Kind, Mounted, SmallDisk},
};

/// The account that is read while something is broken: the load has launches of it from the first moment on.
const WATCHED: &str = "/v1/accounts/store-0/balance";
/// How often a disk is filled in one round.
const TIMES: u8 = 2;
/// Makes room without taking anything away.
const ENLARGED_BY_MEBIBYTES: u32 = 16;
/// A disk that a log may lie on: the bound that a start chooses leaves at least 64 MiB of it free.
const LOG_DISK_MEBIBYTES: u32 = 128;
/// The log's first bound, and what it is raised to: by an operator, then at a start.
const BOUND_BYTES: u32 = 2 * 1024 * 1024;
/// A bulk that brings the bound near.
const BULK: usize = 1_000;
/// What ingest says of a log whose disk is full, as long as callers post.
const STORES_NOTHING: &str = "the log answers, but stores nothing";

/// The store's disk is full: posting goes on, reads say how old they are, and with room the store opens itself again.
pub async fn under_the_store(seed: u64) -> anyhow::Result<Report> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut stage = on_small_disk(SmallDisk { part: "store", mebibytes: 32, kind: Kind::Memory }).await?;
    let load = Load::start(&stage, seed)?;
    let mut disk = mounted(&mut stage)?;
    let mut report = Report::default();
    for time in 0..TIMES {
        some_moment(&mut random, 1_500).await;
        wait_until_readable(&stage.client()?).await?;
        disk.fill()?;
        let aggregator = stage.pipeline()?.aggregator.clone();
        wait_until_not_ready(&aggregator, "waits for the store").await?;
        wait_for_metric(&aggregator, "saldo_aggregator_lag_seconds", "", |seconds| seconds > 0.0).await?;
        wait_until_incomplete(&stage.client()?).await?;
        posts_are_acknowledged(&stage, &load, time).await?;
        sleep(outage(Duration::from_secs(1), Duration::from_secs(20))).await;
        let room_at = Instant::now();
        if random.random_bool(0.5) {
            disk.enlarge(ENLARGED_BY_MEBIBYTES)?
        } else {
            disk.empty()?
        }
        stage.wait_until_well(room_at, &mut report).await?;
        wait_until_ready(&aggregator).await?;
    }
    let losses = metric(&stage.pipeline()?.aggregator, "saldo_aggregator_restarts_total", "StoreLost").await?;
    ensure!(losses > 0.0, "the store was never reopened");
    report.add(load.finish(&mut stage).await?);
    Ok(report)
}

/// The log's disk is full: posts are answered 503, reads go on, and with room nats-server is started anew.
pub async fn under_the_log(seed: u64) -> anyhow::Result<Report> {
    let stage = on_small_disk(SmallDisk { part: "nats", mebibytes: LOG_DISK_MEBIBYTES, kind: Kind::Memory }).await?;
    fill_where_the_log_is(stage, seed).await
}

/// One disk for everything, as `saldo up` has it by default, and somebody else fills it.
pub async fn under_everything(seed: u64) -> anyhow::Result<Report> {
    let stage = on_small_disk(SmallDisk { part: "", mebibytes: LOG_DISK_MEBIBYTES, kind: Kind::Memory }).await?;
    fill_where_the_log_is(stage, seed).await
}

/// A first start makes the folders, the next has the disk.
pub(super) async fn on_small_disk(disk: SmallDisk) -> anyhow::Result<Stage> {
    let mut stage = Stage::new().await?;
    stage.stop().await?;
    stage.setup().small_disk = Some(disk);
    stage.start().await?;
    Ok(stage)
}

pub(super) fn mounted(stage: &mut Stage) -> anyhow::Result<Mounted> {
    let (process, data) = (stage.pipeline()?.id(), stage.pipeline()?.folder().to_path_buf());
    let disk = stage.setup().small_disk.as_ref().context("there is no small disk")?;
    Ok(disk.of(process, &data))
}

fn bound(bytes: u32) -> Vec<(String, String)> {
    vec![("SALDO_LOG_MAX_BYTES".to_owned(), bytes.to_string())]
}

async fn fill_where_the_log_is(mut stage: Stage, seed: u64) -> anyhow::Result<Report> {
    let mut random = StdRng::seed_from_u64(seed);
    let load = Load::start(&stage, seed)?;
    let mut report = Report::default();
    some_moment(&mut random, 1_500).await;
    wait_until_readable(&stage.client()?).await?;
    let disk = mounted(&mut stage)?;
    let filled_at = Instant::now();
    let ingest = stage.pipeline()?.ingest.clone();
    fill_until_not_ready(&disk, &ingest).await?;
    report.took("until ingest said that it is not ready", filled_at.elapsed());
    sleep(outage(Duration::from_secs(2), Duration::from_secs(20))).await;
    reads_go_on(&stage.client()?).await?;
    let room_at = Instant::now();
    disk.empty()?;
    stage.wait_until_well(room_at, &mut report).await?;
    wait_until_ready(&ingest).await?;
    ensure!(metric(&ingest, "saldo_nats_server_restarts_total", "").await? > 0.0, "what made it well?");
    report.add(load.finish(&mut stage).await?);
    Ok(report)
}

/// Where log and store share the disk, a store that is reopened gives back what it no longer needs, and the log would go on with
/// that: what becomes free is taken, too.
async fn fill_until_not_ready(disk: &Mounted, ingest: &str) -> anyhow::Result<()> {
    let full = wait_until_async("a full disk, and ingest not ready", PATIENCE, async || {
        disk.fill().ok()?;
        is_not_ready(ingest, STORES_NOTHING).await.then_some(())
    });
    with_readiness(ingest, full.await).await
}

/// The log has reached its `max_bytes`: refused with 503 and Retry-After until there is room, once by an operator's hand
/// and once by a restart with another bound.
pub async fn bound_of_the_log(seed: u64) -> anyhow::Result<Report> {
    let mut stage = Stage::with(Setup { variables: bound(BOUND_BYTES), ..Setup::default() }).await?;
    let load = Load::start(&stage, seed)?;
    let mut report = Report::default();
    wait_until_readable(&stage.client()?).await?;

    fill_log(&stage, &load, seed).await?;
    let raised = format!("--max-bytes={}", 2 * BOUND_BYTES);
    let raised_at = Instant::now();
    stage.pipeline()?.nats_cli(&["stream", "edit", "LAUNCHES", &raised, "--force"], None)?;
    stage.wait_until_well(raised_at, &mut report).await?;
    wait_until_ready(&stage.pipeline()?.ingest).await?;

    fill_log(&stage, &load, seed.wrapping_add(1)).await?;
    let stopped_at = Instant::now();
    stage.stop().await?;
    stage.setup().variables = bound(64 * BOUND_BYTES);
    stage.start().await?;
    stage.wait_until_well(stopped_at, &mut report).await?;
    report.add(load.finish(&mut stage).await?);
    Ok(report)
}

/// Posts until the log refuses, and sees that reads do not mind.
async fn fill_log(stage: &Stage, load: &Load, seed: u64) -> anyhow::Result<()> {
    let client = stage.client()?;
    let poster = load.poster(client.clone(), Way::Hasty);
    let mut launches = random_launches(seed, 3, 100 * BULK);
    launches.iter_mut().for_each(|launch| launch.id = format!("filling-{seed}-{}", launch.id));
    let ingest = &stage.pipeline()?.ingest;
    let refused_before = refused_as_full(ingest).await?;
    for bulk in launches.chunks(BULK) {
        poster.post_ndjson(bulk).await?;
        if refused_as_full(ingest).await? > refused_before {
            break;
        }
    }
    wait_until_not_ready(ingest, "the log is full").await?;
    // Longer than any gap that is left.
    let last = launches.len() - BULK;
    launches[last..].iter().for_each(|launch| load.book.note_posted(launch));
    let refused = client.post_ndjson(&launches[last..]).await?;
    ensure!(refused.status == 503 && refused.body["type"] == "urn:saldo:problem:log_full", "{refused:?}");
    let seconds: u64 = refused.header("retry-after").parse().with_context(|| format!("no Retry-After: {refused:?}"))?;
    ensure!(seconds >= 1, "{refused:?}");
    reads_go_on(&client).await
}

async fn refused_as_full(ingest: &str) -> anyhow::Result<f64> {
    metric(ingest, "saldo_ingest_unavailable_total", "log_full").await
}

pub(super) async fn wait_until_readable(client: &Client) -> anyhow::Result<()> {
    wait_until_async("the watched account", PATIENCE, async || {
        (client.get(WATCHED, None).await.ok()?.status == 200).then_some(())
    })
    .await
}

/// Reads are answered and admit that they are not the latest.
pub(super) async fn wait_until_incomplete(client: &Client) -> anyhow::Result<()> {
    wait_until_async("an answer that says that it is incomplete", PATIENCE, async || {
        let answer = client.get(WATCHED, None).await.ok()?;
        let is_told = answer.body["complete"] == false && answer.body["applied_at"].is_string();
        (answer.status == 200 && is_told).then_some(())
    })
    .await
}

/// Ingest does not notice what becomes of the store.
pub(super) async fn posts_are_acknowledged(stage: &Stage, load: &Load, time: u8) -> anyhow::Result<()> {
    let mut launches = random_launches(u64::from(time), 1, 20);
    launches.iter_mut().for_each(|launch| launch.id = format!("meanwhile-{time}-{}", launch.id));
    for launch in &launches {
        load.book.note_posted(launch);
        let answer = stage.client()?.post(launch).await?;
        ensure!(answer.status == 201, "while the store is broken: {answer:?}");
    }
    Ok(())
}

async fn reads_go_on(client: &Client) -> anyhow::Result<()> {
    let answer = client.get(WATCHED, None).await?;
    ensure!(answer.status == 200, "while the log is broken: {answer:?}");
    Ok(())
}
