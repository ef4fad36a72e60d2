//! The aggregator over the CQL store, whose server is killed and loses what it had acknowledged.

use std::{sync::Arc, time::Duration};

use store::{Replication, ScyllaConfig, ScyllaConsistency, ScyllaStore, Store, apply_schema};
use testkit::{CASSANDRA_DATACENTER, Cassandra, temp_folder, wait_until_async};

use crate::support::{DEADLINE, PARTITIONS, World, random_messages};

/// Short, so that a checkpoint is seen to move.
const COMMIT_LOG_PERIOD_MS: u32 = 3_000;
const KEYSPACE: &str = "saldo";

async fn connect(server: &Cassandra) -> anyhow::Result<Arc<dyn Store>> {
    let config = ScyllaConfig {
        keyspace: KEYSPACE.to_owned(),
        consistency: ScyllaConsistency::LocalOne,
        commit_log_period_ms: COMMIT_LOG_PERIOD_MS.into(),
        ..ScyllaConfig::new(vec![server.address()])
    };
    apply_schema(&config, &Replication::from([(CASSANDRA_DATACENTER.to_owned(), 1)])).await?;
    Ok(Arc::new(ScyllaStore::connect(config).await?))
}

/// The checkpoints of all lanes together.
async fn checkpoints(world: &World) -> anyhow::Result<u64> {
    let mut sum = 0;
    for partition in 0..PARTITIONS {
        sum += world.store.partition_state(partition).await?.checkpoint.sequence;
    }
    Ok(sum)
}

/// Kill -9 and restart under load; then an older state of its disk, as an outage of its machine leaves it: the rows written
/// since then are gone, though they had been acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_one_that_loses_acknowledged_rows() -> anyhow::Result<()> {
    let mut server = Cassandra::options().commit_log_period_ms(COMMIT_LOG_PERIOD_MS).start()?;
    let mut world = World::over(connect(&server).await?).await?;
    let aggregator = world.start().await?;
    world.publish(&random_messages(60, 300)).await?;
    world.wait_until_applied().await?;
    world.check().await?;
    wait_until_async("the checkpoint to follow", DEADLINE, async || {
        (checkpoints(&world).await.ok()? > 0).then_some(())
    })
    .await?;

    let commits = aggregator.metric("commits_total", "").await?;
    let mut published = Box::pin(publish_slowly(&mut world, 61));
    tokio::select! {
        published = &mut published => anyhow::bail!("nothing was left to be published: {published:?}"),
        loaded = wait_until_async("a commit under load", DEADLINE, async || {
            (aggregator.metric("commits_total", "").await.ok()? > commits).then_some(())
        }) => loaded?,
    }
    server.kill()?;
    aggregator.wait_until_not_ready("the store").await?;
    server.restart()?;
    published.await?;
    settle(&world, &aggregator).await?;

    // What an outage leaves: the disk as it was at some sync, here with nothing on its way.
    let older = temp_folder()?;
    let before = checkpoints(&world).await?;
    server.pause()?;
    server.copy_data(older.path())?;
    server.resume()?;
    world.publish(&random_messages(70, 300)).await?;
    settle(&world, &aggregator).await?;
    let restarts = aggregator.metric("restarts_total", "StoreLost").await?.unwrap_or_default();
    server.kill()?;
    server.restore_data(older.path())?;
    server.restart()?;
    wait_until_async("the loss to be found out", DEADLINE, async || {
        let lost = aggregator.metric("restarts_total", "StoreLost").await.ok()??;
        (lost > restarts).then_some(())
    })
    .await?;
    world.publish(&random_messages(71, 100)).await?;
    settle(&world, &aggregator).await?;
    anyhow::ensure!(checkpoints(&world).await? >= before, "the checkpoint went back");
    aggregator.stop().await
}

async fn publish_slowly(world: &mut World, seed: u64) -> anyhow::Result<()> {
    for messages in random_messages(seed, 600).chunks(30) {
        world.publish(messages).await?;
        // The publisher's own pace: the load lasts while the server goes.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Everything is applied, by workers that do not replay any more, and it is what a naive fold says.
async fn settle(world: &World, aggregator: &crate::support::Running) -> anyhow::Result<()> {
    aggregator.wait_until_ready().await?;
    world.wait_until_applied().await?;
    aggregator.wait_for_metric("replaying", "", 0.0).await?;
    world.check().await
}
