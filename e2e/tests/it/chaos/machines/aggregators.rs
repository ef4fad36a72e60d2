//! One of three aggregators dies, or stands still: the others take its lanes.

use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::time::sleep;

use super::scene::{SPREAD_OVER_TWO, Scene};
use crate::chaos::{kills::some_moment, outage};

/// `kill -9`; later another one comes in its place.
pub async fn killed(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let name = scene.some_aggregator()?;
    some_moment(&mut scene.random, 1_000).await;
    let killed_at = Instant::now();
    scene.machines.cluster.kill(name)?;
    taken_over(scene, name, killed_at, "until others had its lanes, aggregator_killed").await?;
    scene.machines.cluster.join(name)?;
    scene.wait_for_even_spread().await
}

/// SIGSTOP, in the middle of whatever it does, for longer than the others wait for it; then it wakes, writes what it was
/// writing, and finds its lanes in other hands.
pub async fn paused(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let name = scene.some_aggregator()?;
    some_moment(&mut scene.random, 1_000).await;
    let paused_at = Instant::now();
    scene.machines.cluster.pause(name)?;
    taken_over(scene, name, paused_at, "until others had its lanes, aggregator_paused").await?;
    // Its lanes are in other hands for good: not in those of one who may still give them back.
    scene.machines.cluster.wait_for_spread(&SPREAD_OVER_TWO).await?;
    sleep(outage(Duration::ZERO, Duration::from_secs(30)).saturating_sub(paused_at.elapsed())).await;
    let awake_at = Instant::now();
    scene.machines.cluster.resume(name)?;
    scene.wait_until_well(awake_at, "until well after it woke, aggregator_paused").await?;
    scene.wait_for_even_spread().await?;
    let said = scene.machines.cluster.output(name);
    ensure!(said.contains("letting go of this lane"), "who stood still gives up what others hold:\n{said}");
    Ok(())
}

/// The others hold its lanes, and all is well again.
async fn taken_over(scene: &mut Scene<'_>, name: &str, struck_at: Instant, what: &'static str) -> anyhow::Result<()> {
    scene.machines.cluster.held_by_others(name).await?;
    scene.report.took(what, struck_at.elapsed());
    scene.well_again(struck_at).await
}
