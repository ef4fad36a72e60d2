//! What befalls one of three servers of NATS, each of which has a copy of the log.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;
use testkit::wait_until_async;
use tokio::{task::block_in_place, time::sleep};

use super::scene::Scene;
use crate::chaos::{kills::some_moment, outage, stage::PATIENCE};

/// The stream of launches.
const STREAM: &str = "LAUNCHES";

/// `kill -9` of the server that leads the log: the two others go on, with one of them as leader.
pub async fn leader_killed(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    some_moment(&mut scene.random, 1_000).await;
    let leader = leader(scene)?;
    kill(scene, &leader)?;
    scene.well_again(Instant::now()).await?;
    come_back(scene, &leader).await
}

/// A server is away for long and comes back with an old copy; when it has caught up, it has to stand in for the leader, which
/// dies then.
pub async fn node_lost(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    some_moment(&mut scene.random, 1_000).await;
    let leader_before = leader(scene)?;
    let names: Vec<String> = scene.machines.cluster.nats.names().map(str::to_owned).collect();
    let lost = names.iter().find(|name| **name != leader_before).context("there are others")?;
    kill(scene, lost)?;
    scene.well_again(Instant::now()).await?;
    sleep(outage(Duration::from_secs(2), Duration::from_secs(60))).await;
    come_back(scene, lost).await?;
    let leader = leader(scene)?;
    kill(scene, &leader)?;
    scene.wait_until_well(Instant::now(), "until well without the leader, nats_node_lost").await?;
    come_back(scene, &leader).await
}

fn kill(scene: &mut Scene<'_>, name: &str) -> anyhow::Result<()> {
    let node = scene.machines.cluster.nats.node(name)?;
    block_in_place(|| node.kill())
}

/// Starts it again, and waits until its copies are what the others have.
async fn come_back(scene: &mut Scene<'_>, name: &str) -> anyhow::Result<()> {
    let began = Instant::now();
    let node = scene.machines.cluster.nats.node(name)?;
    block_in_place(|| node.restart())?;
    let scene_now = &*scene;
    wait_until_async("every copy of the log to be current", PATIENCE, async || {
        is_current(&info(scene_now).ok()?).then_some(())
    })
    .await?;
    scene.report.took("until a server of NATS had caught up", began.elapsed());
    Ok(())
}

fn is_current(info: &Value) -> bool {
    let others = info["cluster"]["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_good = |other: &Value| other["current"] == true && other["offline"] != true;
    info["cluster"]["leader"].is_string() && others.len() == 2 && others.iter().all(is_good)
}

fn leader(scene: &Scene<'_>) -> anyhow::Result<String> {
    let leader = info(scene)?["cluster"]["leader"].as_str().map(str::to_owned);
    leader.context("the log has no leader")
}

fn info(scene: &Scene<'_>) -> anyhow::Result<Value> {
    block_in_place(|| scene.machines.cluster.log().stream_info(STREAM))
}
