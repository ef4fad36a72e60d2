//! What befalls one of three CQL nodes, each of which has a copy of every row. Reads and writes go on with the two others;
//! workers begin anew whenever a node may have lost rows.

use std::time::{Duration, Instant};

use rand::RngExt;
use testkit::{Cassandra, temp_folder};
use tokio::{task::block_in_place, time::sleep};

use super::scene::Scene;
use crate::chaos::{kills::some_moment, outage};

/// `kill -9`, and a start over the same data after a while: what was written meanwhile is not on it.
pub async fn killed(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let number = some_node(scene);
    some_moment(&mut scene.random, 1_000).await;
    let losses = scene.store_losses().await?;
    kill(scene, number)?;
    scene.wait_until_well(Instant::now(), "until all was well beside a dead CQL node").await?;
    scene.wait_for_store_losses(&losses).await?;
    sleep(outage(Duration::from_secs(1), Duration::from_secs(20))).await;
    come_back(scene, number).await
}

/// SIGSTOP: connections stay open and nothing answers; then SIGCONT.
pub async fn paused(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let number = some_node(scene);
    some_moment(&mut scene.random, 1_000).await;
    let paused_at = Instant::now();
    node(scene, number)?.pause()?;
    scene.wait_until_well(paused_at, "until all was well beside a paused CQL node").await?;
    sleep(outage(Duration::from_secs(4), Duration::from_secs(30)).saturating_sub(paused_at.elapsed())).await;
    let back_at = Instant::now();
    node(scene, number)?.resume()?;
    scene.well_again(back_at).await
}

/// Its machine fails and comes back with its disk as it was some seconds before. What it and one other had acknowledged is on
/// that other one only.
pub async fn rows_lost(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let number = some_node(scene);
    let older = temp_folder()?;
    some_moment(&mut scene.random, 1_000).await;
    let node = self::node(scene, number)?;
    node.pause()?;
    block_in_place(|| node.copy_data(older.path()))?;
    node.resume()?;
    // These launches were read back: afterwards they must be there again.
    scene.post_and_read().await?;
    sleep(outage(Duration::from_secs(1), Duration::from_secs(15))).await;
    kill(scene, number)?;
    block_in_place(|| self::node(scene, number)?.restore_data(older.path()))?;
    come_back(scene, number).await
}

fn some_node(scene: &mut Scene<'_>) -> usize {
    scene.random.random_range(0..scene.machines.cluster.cassandra.size())
}

fn node<'a>(scene: &'a mut Scene<'_>, number: usize) -> anyhow::Result<&'a mut Cassandra> {
    scene.machines.cluster.cassandra.node(number)
}

fn kill(scene: &mut Scene<'_>, number: usize) -> anyhow::Result<()> {
    block_in_place(|| node(scene, number)?.kill())
}

/// Starts it, and waits until all is well and each worker has noticed.
async fn come_back(scene: &mut Scene<'_>, number: usize) -> anyhow::Result<()> {
    let losses = scene.store_losses().await?;
    let began = Instant::now();
    // Rows that it and one other had acknowledged may be missed by it and the third; the second time nobody has to remember what
    // was cached until now.
    scene.load.book.note_loss();
    block_in_place(|| scene.machines.cluster.cassandra.restart(number))?;
    scene.load.book.note_loss();
    scene.report.took("until the CQL node was up again", began.elapsed());
    scene.well_again(Instant::now()).await?;
    scene.wait_for_store_losses(&losses).await
}
