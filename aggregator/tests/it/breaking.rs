//! What it survives: a store that fails, rows that are lost, a broker that is killed.

use std::cell::Cell;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use testkit::wait_until_async;

use crate::support::{DEADLINE, Fault, PARTITIONS, World, random_messages};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_is_told_and_waited_for() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    world.publish(&random_messages(20, 50)).await?;
    let aggregator = world.start().await?;
    world.wait_until_applied().await?;
    aggregator.wait_until_ready().await?;

    world.store.set_down(true);
    world.publish(&random_messages(21, 100)).await?;
    aggregator.wait_until_not_ready("waits for the store: the test says that the store is down").await?;
    aggregator.wait_for_metric("breaker_state", "", 2.0).await?;
    wait_until_async("lag to be told", DEADLINE, async || {
        let (sequences, seconds) = ("lag_sequences", "lag_seconds");
        let is_told = aggregator.metric(sequences, "").await.ok()?? > 0.0;
        (is_told && aggregator.metric(seconds, "").await.ok()?? > 0.0).then_some(())
    })
    .await?;
    anyhow::ensure!(aggregator.metric("store_errors_total", "").await?.is_some_and(|errors| errors >= 5.0));

    world.store.set_down(false);
    world.wait_until_applied().await?;
    aggregator.wait_until_ready().await?;
    aggregator.wait_for_metric("breaker_state", "", 0.0).await?;
    world.check().await?;
    aggregator.stop().await
}

/// Far more waits on the log than the budgets of what is read ahead.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_down_memory_stays_bounded() -> anyhow::Result<()> {
    const READ_AHEAD_BYTES: u32 = 1024 * 1024;
    /// What the reading task has parsed, and one message above each of both budgets.
    const BESIDES_BYTES: u32 = 5 * 1024 * 1024;
    let lanes = f64::from(PARTITIONS);
    let (full, bound) = (lanes * f64::from(READ_AHEAD_BYTES), lanes * f64::from(READ_AHEAD_BYTES + BESIDES_BYTES));
    let mut world = World::new().await?;
    world.config.read_ahead_bytes = usize::try_from(READ_AHEAD_BYTES)? * usize::from(PARTITIONS);
    world.publish(&random_messages(22, 30)).await?;
    let aggregator = world.start().await?;
    world.wait_until_applied().await?;

    world.store.set_down(true);
    let messages = random_messages(23, 30 * 500);
    let packed: Vec<_> = messages.chunks(60).map(|part| (part[0].0, in_lane(part))).collect();
    world.publish(&packed).await?;
    let before = Cell::new(0.0_f64);
    wait_until_async("reading ahead to come to its end", DEADLINE, async || {
        // The loop that beats also sets the gauge, both every second: after three beats it is a new one.
        world.wait_for_heartbeats(3).await.ok()?;
        let bytes = aggregator.metric("read_ahead_bytes", "").await.ok()??;
        assert!(bytes < bound, "{bytes} bytes are read ahead");
        (bytes > full && bytes.to_bits() == before.replace(bytes).to_bits()).then_some(())
    })
    .await?;

    world.store.set_down(false);
    world.wait_until_applied().await?;
    world.check().await?;
    aggregator.stop().await
}

/// The lines of several messages, all put into the lane of the first.
fn in_lane(messages: &[(u16, Vec<crate::support::Line>)]) -> Vec<crate::support::Line> {
    let lane = messages[0].0;
    messages.iter().filter(|(other, _)| *other == lane).flat_map(|(_, lines)| lines.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_fail_or_whose_answer_is_lost_count_once() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let mut random = StdRng::seed_from_u64(24);
    let faults = [Fault::Unwritten, Fault::AnswerLost, Fault::Lost, Fault::None, Fault::None];
    world.store.inject((0..40).map(|_| faults[random.random_range(0..faults.len())]));
    let aggregator = world.start().await?;
    let messages = random_messages(25, 2_000);
    let mut parts = messages.chunks(20);
    while world.store.faults_left() > 0 {
        world.publish(parts.next().unwrap_or_default()).await?;
        world.wait_until_applied().await?;
    }
    world.check().await?;
    let restarts = aggregator.metric("restarts_total", "StoreLost").await?;
    anyhow::ensure!(restarts.is_some_and(|restarts| restarts >= 1.0), "{restarts:?}");
    aggregator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_and_comes_back_is_waited_for() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    world.publish(&random_messages(26, 200)).await?;
    let aggregator = world.start().await?;
    wait_until_async("a first commit", DEADLINE, async || (world.applied(0).await? > 0).then_some(())).await?;
    world.server.kill()?;
    aggregator.wait_until_not_ready("waits for the log").await?;
    world.server.restart()?;
    world.publish(&random_messages(27, 200)).await?;
    world.wait_until_applied().await?;
    aggregator.wait_until_ready().await?;
    world.check().await?;
    aggregator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_in_time_while_the_store_is_down() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    world.store.set_down(true);
    world.publish(&random_messages(28, 50)).await?;
    let aggregator = world.start().await?;
    aggregator.wait_until_not_ready("waits for the store").await?;
    aggregator.stop().await?;
    world.store.set_down(false);
    let aggregator = world.start().await?;
    world.wait_until_applied().await?;
    world.check().await?;
    aggregator.stop().await
}
