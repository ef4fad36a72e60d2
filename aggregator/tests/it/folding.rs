//! Totals equal a naive fold, whatever stands on the log and however often the worker begins anew.

use crate::support::{DEADLINE, World, random_messages};
use testkit::wait_until_async;

#[tokio::test(flavor = "multi_thread")]
async fn totals_equal_a_naive_fold() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let messages = random_messages(1, 400);
    world.publish(&messages[..200]).await?;
    let aggregator = world.start().await?;
    world.wait_until_applied().await?;
    world.check().await?;
    world.publish(&messages[200..]).await?;
    world.wait_until_applied().await?;
    world.check().await?;
    anyhow::ensure!(world.model.duplicates > 0 && world.model.conflicts > 0 && world.model.parked.len() >= 5);
    aggregator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_was_done() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    world.publish(&random_messages(2, 200)).await?;
    let aggregator = world.start().await?;
    world.wait_until_applied().await?;
    let model = &world.model;
    for (name, wanted) in [
        ("launches_total", model.launches()),
        ("duplicates_total", model.duplicates),
        ("conflicts_total", model.conflicts),
        ("empty_messages_total", model.empty_messages),
        ("parked_messages_total", model.parked_messages),
        ("messages_total", 200),
        ("lag_sequences", 0),
        ("breaker_state", 0),
        ("refused", 0),
        ("replaying", 0),
    ] {
        aggregator.wait_for_metric(name, "", wanted as f64).await?;
    }
    for (reason, wanted) in &model.parked {
        aggregator.wait_for_metric("parked_lines_total", &format!("reason=\"{reason}\""), *wanted as f64).await?;
    }
    let of_writes =
        ["commits_total", "rows_written_total", "batches_written_total", "names_written_total", "chunks_written_total"];
    for name in of_writes.into_iter().chain(["loads_total", "memory_bytes", "commit_seconds_count"]) {
        let value = aggregator.metric(name, "").await?;
        anyhow::ensure!(value.is_some_and(|value| value > 0.0), "{name} is {value:?}");
    }
    let (status, text) = aggregator.get("/metrics").await?;
    anyhow::ensure!(status == 200 && text.contains("# TYPE saldo_aggregator_lag_seconds gauge"), "{text}");
    aggregator.wait_until_ready().await?;
    anyhow::ensure!(aggregator.get("/health/live").await?.0 == 200);
    aggregator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_after_being_stopped_and_killed_in_the_middle() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    for (round, messages) in random_messages(3, 1_200).chunks(200).enumerate() {
        world.publish(messages).await?;
        let before = world.applied(0).await;
        let aggregator = world.start().await?;
        wait_until_async("the first commit", DEADLINE, async || (world.applied(0).await > before).then_some(()))
            .await?;
        if round % 2 == 0 { aggregator.kill().await } else { aggregator.stop().await? }
    }
    let aggregator = world.start().await?;
    world.wait_until_applied().await?;
    world.check().await?;
    aggregator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_leaves_the_checkpoint_where_the_next_start_goes_on() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    world.publish(&random_messages(4, 100)).await?;
    let aggregator = world.start().await?;
    world.wait_until_applied().await?;
    aggregator.stop().await?;
    let aggregator = world.start().await?;
    aggregator.wait_until_ready().await?;
    world.publish(&random_messages(5, 30)).await?;
    world.wait_until_applied().await?;
    aggregator.wait_for_metric("messages_total", "", 30.0).await?;
    world.check().await?;
    aggregator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_on_the_same_lanes_write_the_same_rows() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let messages = random_messages(6, 1_000);
    let (first, second) = (world.start().await?, world.start().await?);
    for part in messages.chunks(250) {
        world.publish(part).await?;
    }
    world.wait_until_applied().await?;
    first.kill().await;
    let third = world.start().await?;
    world.publish(&random_messages(7, 200)).await?;
    world.wait_until_applied().await?;
    for running in [&second, &third] {
        running.wait_for_metric("lag_sequences", "", 0.0).await?;
    }
    world.check().await?;
    second.stop().await?;
    third.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_do_not_fit_into_memory_are_loaded_again() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    world.config.memory_bytes = 150_000;
    let aggregator = world.start().await?;
    for messages in random_messages(8, 600).chunks(100) {
        world.publish(messages).await?;
        world.wait_until_applied().await?;
    }
    world.check().await?;
    let evicted = aggregator.metric("windows_evicted_total", "").await?;
    anyhow::ensure!(evicted.is_some_and(|evicted| evicted > 0.0), "{evicted:?}");
    aggregator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_chosen_lanes_are_worked_on() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    world.publish(&random_messages(9, 60)).await?;
    world.config.workers = aggregator::Workers::Only([1].into());
    let one = world.start().await?;
    let end = world.log.lane_end(1).await?.map_or(0, |message| message.sequence);
    wait_until_async("lane 1", DEADLINE, async || (world.applied(1).await? == end).then_some(())).await?;
    anyhow::ensure!((world.applied(0).await, world.applied(2).await) == (Some(0), Some(0)));
    world.config.workers = aggregator::Workers::Only([0, 2, 77].into());
    let others = world.start().await?;
    world.wait_until_applied().await?;
    world.check().await?;
    one.stop().await?;
    others.stop().await
}
