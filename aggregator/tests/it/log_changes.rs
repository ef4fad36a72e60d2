//! Logs that are not what they were: refused with a sentence that names the remedy, and nothing is written.

use std::{path::Path, sync::Arc};

use testkit::{copy_folder, wait_until_async};

use crate::support::{DEADLINE, HeldStore, PARTITIONS, RawNats, Running, World, random_messages};

async fn delete_stream(raw: &mut RawNats) -> anyhow::Result<()> {
    raw.publish("$JS.API.STREAM.DELETE.LAUNCHES", b"").await?;
    raw.flush().await
}

/// Messages of the first lane only.
fn of_lane_0(seed: u64, count: usize) -> Vec<(u16, Vec<crate::support::Line>)> {
    random_messages(seed, count).into_iter().filter(|(lane, _)| *lane == 0).collect()
}

/// Puts the folder `state` in the place of the server's own, while it is down.
async fn replace_log(world: &mut World, state: &Path) -> anyhow::Result<()> {
    world.server.kill()?;
    let folder = world.server.store_dir();
    std::fs::remove_dir_all(&folder)?;
    copy_folder(state, &folder)?;
    world.server.restart()?;
    world.wait_until_connected().await
}

/// A copy of the log as it is now.
async fn copy_log(world: &mut World, to: &Path) -> anyhow::Result<()> {
    world.server.stop()?;
    copy_folder(&world.server.store_dir(), to)?;
    world.server.restart()?;
    world.wait_until_connected().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_stream_under_a_filled_store_is_refused_and_other_lanes_go_on() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    world.publish(&of_lane_0(40, 100)).await?;
    let aggregator = world.start().await?;
    world.wait_until_applied().await?;
    aggregator.stop().await?;

    let applied = world.applied(0).await;
    delete_stream(&mut world.raw().await?).await?;
    world.reopen_log().await?;
    world.publish(&random_messages(41, 100)).await?;
    let aggregator = world.start().await?;
    aggregator.wait_until_not_ready("partition 0 is stopped: partition 0 of the store was filled from stream").await?;
    aggregator.wait_until_not_ready("filled again from the log").await?;
    aggregator.wait_for_metric("refused", "partition=\"0\"", 1.0).await?;
    for partition in 1..PARTITIONS {
        aggregator.wait_for_metric("working", &format!("partition=\"{partition}\""), 1.0).await?;
        aggregator.wait_for_metric("lag_sequences", &format!("partition=\"{partition}\""), 0.0).await?;
    }
    anyhow::ensure!(world.applied(0).await == applied, "nothing was written");
    aggregator.stop().await
}

/// Accounts of the stored lane belong to others there: their rows would be taken for those of the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_recreated_with_other_lanes_is_refused_in_lanes_without_progress() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let last = PARTITIONS - 1;
    let messages: Vec<_> = random_messages(44, 100).into_iter().filter(|(lane, _)| *lane == last).collect();
    world.publish(&messages).await?;
    let aggregator = world.start().await?;
    world.wait_until_applied().await?;
    aggregator.stop().await?;

    let applied = world.applied(last).await;
    delete_stream(&mut world.raw().await?).await?;
    world.reopen_log_with(last).await?;
    world.publish(&of_lane_0(45, 100)).await?;
    let aggregator = world.start().await?;
    let why = format!("partition 0 is stopped: partition {last} of the store was filled from stream");
    aggregator.wait_until_not_ready(&why).await?;
    aggregator.wait_until_not_ready("filled again from the log").await?;
    aggregator.wait_for_metric("refused", "", f64::from(last)).await?;
    anyhow::ensure!(world.applied(0).await == Some(0), "nothing was written");
    anyhow::ensure!(world.applied(last).await == applied, "nothing was written");
    aggregator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_recreated_under_a_running_worker_is_refused() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    world.publish(&random_messages(42, 100)).await?;
    let aggregator = world.start().await?;
    world.wait_until_applied().await?;
    let applied = world.applied(0).await;
    delete_stream(&mut world.raw().await?).await?;
    world.reopen_log().await?;
    world.publish(&random_messages(43, 300)).await?;
    aggregator.wait_until_not_ready("is stopped").await?;
    aggregator.wait_for_metric("refused", "", f64::from(PARTITIONS)).await?;
    anyhow::ensure!(world.applied(0).await == applied, "nothing was written");
    aggregator.stop().await
}

/// Makes a stream of the log's name that refuses readers such as ours; returns when lane 0 has been refused.
async fn make_work_queue(world: &World) -> anyhow::Result<()> {
    let mut raw = world.raw().await?;
    raw.subscribe("$JS.API.CONSUMER.CREATE.LAUNCHES.*.launches.0").await?;
    let queue = br#"{"name":"LAUNCHES","subjects":["launches.*"],"retention":"workqueue"}"#;
    // Each consumer is asked for under a name of its own.
    let asked_before = raw.heard().len();
    raw.publish("$JS.API.STREAM.CREATE.LAUNCHES", queue).await?;
    wait_until_async("lane 0 to ask for a consumer of it", DEADLINE, async || {
        world.log.usage().await.ok()?;
        (raw.heard().len() > asked_before).then_some(())
    })
    .await
}

async fn other_lanes_work(aggregator: &Running, wanted: f64) -> anyhow::Result<()> {
    for partition in 1..PARTITIONS {
        aggregator.wait_for_metric("working", &format!("partition=\"{partition}\""), wanted).await?;
    }
    Ok(())
}

/// A commit cannot be called back: a session that begins while one is under way would find the store empty, take up the log
/// as it is now, and launches of both would be stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_under_way_lands_before_the_log_is_looked_at_anew() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let states = testkit::temp_folder()?;
    let empty = states.path().join("empty");
    copy_log(&mut world, &empty).await?;
    let store = Arc::new(HeldStore::new(Arc::clone(&world.store)));
    store.hold();
    world.publish(&of_lane_0(48, 100)).await?;
    let aggregator = world.start_over(Arc::clone(&store) as _).await?;
    wait_until_async("a commit under way", DEADLINE, async || (store.held() == 1).then_some(())).await?;
    other_lanes_work(&aggregator, 1.0).await?;

    delete_stream(&mut world.raw().await?).await?;
    make_work_queue(&world).await?;
    other_lanes_work(&aggregator, 0.0).await?;
    // The log as it was when it was made: the same one to all who look, but its sequences are handed out again.
    replace_log(&mut world, &empty).await?;
    world.published = 0;
    world.publish(&of_lane_0(49, 100)).await?;
    other_lanes_work(&aggregator, 1.0).await?;
    store.wake();

    aggregator.wait_until_not_ready("partition 0 is stopped: the message at sequence").await?;
    aggregator.wait_until_not_ready("lost its end, or was restored to an older state").await?;
    anyhow::ensure!((store.held(), store.written_late()) == (1, 1), "of the other log nothing was written");
    aggregator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_restored_to_an_older_state_is_refused_until_the_right_one_is_back() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let states = testkit::temp_folder()?;
    let (older, newer) = (states.path().join("older"), states.path().join("newer"));
    world.publish(&of_lane_0(44, 100)).await?;
    copy_log(&mut world, &older).await?;
    world.publish(&of_lane_0(45, 100)).await?;
    let aggregator = world.start().await?;
    world.wait_until_applied().await?;
    aggregator.stop().await?;
    copy_log(&mut world, &newer).await?;
    let (applied, published, model) = (world.applied(0).await, world.published, world.model.clone());

    replace_log(&mut world, &older).await?;
    let aggregator = world.start().await?;
    aggregator.wait_until_not_ready("lost its end, or was restored to an older state").await?;
    // The lost sequences are handed out again, to other messages.
    world.published = world.log.usage().await?.last_sequence;
    world.publish(&of_lane_0(46, 300)).await?;
    anyhow::ensure!(world.published > published);
    aggregator.wait_until_not_ready("lost its end, or was restored to an older state").await?;
    anyhow::ensure!(world.applied(0).await == applied, "nothing was written");

    replace_log(&mut world, &newer).await?;
    (world.published, world.model) = (published, model);
    aggregator.wait_until_ready().await?;
    world.publish(&random_messages(47, 50)).await?;
    world.wait_until_applied().await?;
    world.check().await?;
    aggregator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_filled_by_other_rules_is_refused_at_the_start() -> anyhow::Result<()> {
    use store::Store;
    let world = World::new().await?;
    world.store.open_generation(protocol::worker::FOLD_VERSION + 1).await?;
    let error = world.start().await?.ended().await.unwrap_err();
    anyhow::ensure!(format!("{error:#}").contains("the store cannot be used"), "{error:#}");
    Ok(())
}

async fn edit_stream(world: &World, setting: &str) -> anyhow::Result<()> {
    let mut command = std::process::Command::new("timeout");
    command.arg("20").arg(testkit::nats_cli()?).args(["--server", &world.server.url()]);
    command.args(["stream", "edit", "LAUNCHES", "--force", setting]);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    anyhow::ensure!(output.status.success(), "{output:?}");
    Ok(())
}

/// Each lane is refused once, however long it lasts, and goes on as soon as the setting is taken back.
#[tokio::test(flavor = "multi_thread")]
async fn a_spoilt_setting_refuses_each_lane_once_and_they_go_on_when_it_is_taken_back() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    world.config.refused_retry_ms = 3_600_000;
    world.publish(&random_messages(44, 50)).await?;
    let aggregator = world.start().await?;
    world.wait_until_applied().await?;
    for round in 1..=2 {
        edit_stream(&world, "--max-msgs-per-subject=1000").await?;
        aggregator.wait_until_not_ready("max_msgs_per_subject is 1000").await?;
        aggregator.wait_for_metric("refused", "", f64::from(PARTITIONS)).await?;
        edit_stream(&world, "--max-msgs-per-subject=-1").await?;
        aggregator.wait_for_metric("working", "", f64::from(PARTITIONS)).await?;
        let refused = aggregator.metric("restarts_total", "Refused").await?;
        anyhow::ensure!(refused == Some(f64::from(PARTITIONS * round)), "{refused:?}");
        anyhow::ensure!(aggregator.metric("restarts_total", "LogChanged").await? == Some(0.0));
    }
    world.publish(&random_messages(45, 50)).await?;
    world.wait_until_applied().await?;
    aggregator.stop().await
}
