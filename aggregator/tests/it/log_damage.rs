//! A log that has lost messages: said aloud, and nothing is complete.

use std::{fs, path::PathBuf};

use nats::{Changes, NoticeEvent};
use testkit::wait_until_async;

use crate::support::{DEADLINE, PARTITIONS, Running, World, random_messages};

fn first_block(world: &World) -> PathBuf {
    world.server.store_dir().join("jetstream/$G/streams/LAUNCHES/msgs/1.blk")
}

/// Flips a byte at so many thousandths of the first block, while the server is down.
async fn flip(world: &mut World, thousandths: usize) -> anyhow::Result<()> {
    world.server.stop()?;
    let block = first_block(world);
    let mut bytes = fs::read(&block)?;
    let place = bytes.len() * thousandths / 1_000;
    bytes[place] ^= 0x40;
    fs::write(&block, bytes)?;
    world.server.restart()?;
    world.wait_until_connected().await
}

async fn missing_messages(aggregator: &Running) -> Option<u64> {
    let (_, text) = aggregator.get("/metrics").await.ok()?;
    text.lines().find_map(|line| line.strip_prefix("saldo_log_missing_messages ")?.parse().ok())
}

/// Waits until every lane has said whether the log is whole.
async fn wait_until_told(world: &World, log_is_whole: bool) -> anyhow::Result<()> {
    let mut notices = Changes::new(world.client.clone(), 1).subscribe().await?;
    let mut told = vec![false; usize::from(PARTITIONS)];
    while told.contains(&false) {
        match tokio::time::timeout(DEADLINE, notices.next()).await? {
            Some(NoticeEvent::Notice(notice)) => {
                told[usize::from(notice.partition)] |= notice.log_is_whole == Some(log_is_whole);
            }
            other => anyhow::bail!("{other:?}"),
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_under_an_empty_store_is_said_aloud() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    world.publish(&random_messages(90, 300)).await?;
    flip(&mut world, 500).await?;
    let aggregator = world.start().await?;
    aggregator.wait_until_not_ready("messages of the log are gone, 1 in all: ").await?;
    anyhow::ensure!(missing_messages(&aggregator).await == Some(1));
    wait_until_told(&world, false).await?;
    aggregator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_is_found_above_and_below_the_checkpoint() -> anyhow::Result<()> {
    for thousandths in [200, 900] {
        let mut world = World::new().await?;
        world.publish(&random_messages(91, 200)).await?;
        let aggregator = world.start().await?;
        world.wait_until_applied().await?;
        aggregator.stop().await?;
        world.publish(&random_messages(92, 200)).await?;
        flip(&mut world, thousandths).await?;
        let aggregator = world.start().await?;
        aggregator.wait_until_not_ready("messages of the log are gone, 1 in all: ").await?;
        aggregator.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_block_is_found_after_a_reconnect_while_the_aggregator_runs() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    world.publish(&random_messages(93, 300)).await?;
    let aggregator = world.start().await?;
    aggregator.wait_until_ready().await?;
    wait_until_told(&world, true).await?;
    world.server.stop()?;
    let bytes = fs::read(first_block(&world))?;
    fs::write(first_block(&world), &bytes[bytes.len() / 10..])?;
    world.server.restart()?;
    aggregator.wait_until_not_ready("").await?;
    wait_until_async("the loss to be said", DEADLINE, async || {
        let (status, text) = aggregator.get("/health/ready").await.ok()?;
        let is_said = text.contains("messages of the log are gone")
            || text.contains("begins with sequence")
            || text.contains("tail");
        (status == 503 && is_said).then_some(())
    })
    .await?;
    aggregator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_log_is_never_called_damaged() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let aggregator = world.start().await?;
    wait_until_told(&world, true).await?;
    for round in 0..4 {
        world.publish(&random_messages(94 + round, 200)).await?;
        world.server.restart()?;
        world.wait_until_connected().await?;
        wait_until_told(&world, true).await?;
        anyhow::ensure!(missing_messages(&aggregator).await == Some(0));
    }
    world.wait_until_applied().await?;
    aggregator.wait_until_ready().await?;
    world.check().await?;
    aggregator.stop().await
}

async fn parked_lines(aggregator: &Running) -> u64 {
    let (_, text) = aggregator.get("/metrics").await.unwrap();
    let wanted = "saldo_aggregator_parked_lines_total{partition=\"0\",reason=\"wrong_lane\"} ";
    text.lines().find_map(|line| line.strip_prefix(wanted)?.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_with_a_wildcard_is_parked_once_and_counted() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let line = br#"{"id":"w-1","tenant":"acme","account":"shop-1","date":"2026-11-22","kind":"credit","amount":"1","currency":"BRL"}"#;
    let mut raw = world.raw().await?;
    let taken =
        ["launches.in.acme.*", "launches.in.*.shop-1", "launches.in.acme.>", "launches.in.*.*", "launches.in.>.x"];
    let not_taken =
        ["launches.in.acme", "launches.in.a.b.c", "launches.in.>", "launches.*", "launches.>", "launches.in.a.b*.c"];
    for subject in taken.iter().chain(&not_taken) {
        raw.publish(subject, line).await?;
    }
    raw.publish("launches.in.acme.*", b"").await?;
    raw.flush().await?;
    world.wait_until_stored(taken.len() + 1).await?;
    for start in 0..2 {
        let aggregator = world.start().await?;
        aggregator.wait_until_ready().await?;
        wait_until_async("the strays to be parked", DEADLINE, async || {
            (world.parked.count().await.ok()? == u64::try_from(taken.len()).ok()?).then_some(())
        })
        .await?;
        if start == 0 {
            wait_until_async("them to be counted", DEADLINE, async || {
                (parked_lines(&aggregator).await == u64::try_from(taken.len()).ok()?).then_some(())
            })
            .await?;
        }
        wait_until_told(&world, true).await?;
        aggregator.stop().await?;
    }
    anyhow::ensure!(world.log.usage().await?.last_sequence == u64::try_from(taken.len() + 1)?);
    Ok(())
}
