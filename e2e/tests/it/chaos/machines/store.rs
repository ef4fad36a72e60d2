//! What befalls the only CQL server. Ingest does not notice; readers are told 503, or what is cached, and never less than they
//! demand.

use std::time::{Duration, Instant};

use testkit::{Cassandra, temp_folder};
use tokio::{task::block_in_place, time::sleep};

use super::scene::Scene;
use crate::chaos::{kills::some_moment, outage};

/// `kill -9`, and a start over the same data after a while.
pub async fn killed(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    some_moment(&mut scene.random, 1_000).await;
    kill(scene)?;
    sleep(outage(Duration::from_secs(1), Duration::from_secs(20))).await;
    let back_at = restart(scene)?;
    scene.well_again(back_at).await
}

/// SIGSTOP: connections stay open and nothing answers; then SIGCONT.
pub async fn paused(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    some_moment(&mut scene.random, 1_000).await;
    server(scene)?.pause()?;
    sleep(outage(Duration::from_secs(3), Duration::from_secs(30))).await;
    let back_at = Instant::now();
    server(scene)?.resume()?;
    scene.well_again(back_at).await
}

/// Its machine fails and comes back with its disk as it was some seconds before: what it acknowledged since then, and
/// readers have seen, is gone. Workers find that out by themselves and read the log again from the checkpoint that is there.
pub async fn rows_lost(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let older = temp_folder()?;
    some_moment(&mut scene.random, 1_000).await;
    server(scene)?.pause()?;
    block_in_place(|| server(scene)?.copy_data(older.path()))?;
    server(scene)?.resume()?;
    // These launches were read back: afterwards they must be there again.
    scene.post_and_read().await?;
    sleep(outage(Duration::from_secs(1), Duration::from_secs(15))).await;
    let losses = scene.store_losses().await?;
    kill(scene)?;
    block_in_place(|| server(scene)?.restore_data(older.path()))?;
    let back_at = restart(scene)?;
    scene.well_again(back_at).await?;
    scene.wait_for_store_losses(&losses).await
}

fn server<'a>(scene: &'a mut Scene<'_>) -> anyhow::Result<&'a mut Cassandra> {
    scene.machines.cluster.cassandra.node(0)
}

fn kill(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    block_in_place(|| server(scene)?.kill())
}

/// Starts it; returns when it took CQL again. It has lost rows in any case: of its commit log it reads what lies before the
/// last marker, and while it syncs periodically it writes one every tenth of a second.
fn restart(scene: &mut Scene<'_>) -> anyhow::Result<Instant> {
    let began = Instant::now();
    // The first time nothing can be read of it yet; the second time nobody has to remember what was cached until now.
    scene.load.book.note_loss();
    block_in_place(|| scene.machines.cluster.cassandra.restart(0))?;
    scene.load.book.note_loss();
    scene.report.took("until the CQL server was up again", began.elapsed());
    Ok(Instant::now())
}
