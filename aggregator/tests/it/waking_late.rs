//! Two workers on the same lanes, one of which stood still in the middle of its commits and wakes late.

use std::sync::Arc;

use testkit::wait_until_async;

use crate::support::{DEADLINE, HeldStore, PARTITIONS, World, random_messages};

/// The embedded store belongs to one process, so both workers run in this one, each with its own view of the store: the
/// late one's commits are made, stand still before the store is asked, and are written when the other has long gone on.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_wakes_late_changes_nothing() -> anyhow::Result<()> {
    for seed in 0..3 {
        round(seed).await?;
    }
    Ok(())
}

async fn round(seed: u64) -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let late_store = Arc::new(HeldStore::new(Arc::clone(&world.store)));
    world.publish(&random_messages(100 + seed, 60)).await?;
    let late = world.start_over(Arc::clone(&late_store) as _).await?;
    world.wait_until_applied().await?;

    late_store.hold();
    world.publish(&random_messages(200 + seed, 60)).await?;
    let every_lane = u64::from(PARTITIONS);
    wait_until_async("a commit of each lane", DEADLINE, async || (late_store.held() == every_lane).then_some(()))
        .await?;
    let timely = world.start().await?;
    world.wait_until_applied().await?;
    world.publish(&random_messages(300 + seed, 60)).await?;
    world.wait_until_applied().await?;
    world.check().await?;
    let before = world.everything().await?;

    late_store.wake_first(every_lane);
    wait_until_async("the late commits", DEADLINE, async || (late_store.written_late() == every_lane).then_some(()))
        .await?;
    for (before, after) in before.lines().zip(world.everything().await?.lines()) {
        anyhow::ensure!(before == after, "seed {seed}: the late worker changed {before} to {after}");
    }

    late_store.wake();
    late.wait_for_metric("lag_sequences", "", 0.0).await?;
    world.check().await?;

    // Both go on, on the same lanes.
    world.publish(&random_messages(400 + seed, 60)).await?;
    world.wait_until_applied().await?;
    for running in [&late, &timely] {
        running.wait_for_metric("lag_sequences", "", 0.0).await?;
    }
    world.check().await?;
    late.stop().await?;
    timely.stop().await
}
