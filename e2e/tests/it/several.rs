//! Several aggregators over one log and one CQL store: how the lanes are spread, and what readers see while instances join,
//! leave, die, and stand still. Every total is compared with a model at the end.

mod probes;

use std::time::{Duration, Instant};

use crate::{
    cluster::{Cluster, Servers, Setup},
    model::Model,
};
use probes::Probes;

/// Lanes of the log.
const PARTITIONS: u16 = 6;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn lanes_are_shared_whoever_comes_and_goes() -> anyhow::Result<()> {
    let mut cluster =
        Cluster::start(Setup { partitions: PARTITIONS, servers: Servers::One, variables: Vec::new() }).await?;
    for name in ["one", "two", "three"] {
        cluster.join(name)?;
    }
    cluster.wait_for_spread(&[2, 2, 2]).await?;
    let probes = Probes::start(&cluster)?;
    probes.seen_everywhere().await?;

    join_and_leave(&mut cluster, &probes).await?;
    kill_one(&mut cluster, &probes).await?;
    let three = stand_still(&mut cluster, &probes).await?;
    anyhow::ensure!(three.contains("letting go of this lane"), "who stood still gives up what others hold:\n{three}");

    let (model, position) = probes.finish().await?;
    check(&cluster, &model, &position).await?;
    cluster.stop().await
}

/// Nobody waits longer than a reader is willing to.
async fn join_and_leave(cluster: &mut Cluster, probes: &Probes) -> anyhow::Result<()> {
    // The start of the cluster is no join: readers wait for the first word of each lane's worker.
    probes.seen_everywhere().await?;
    probes.longest();
    let began = Instant::now();
    cluster.join("four")?;
    cluster.wait_for_spread(&[1, 1, 2, 2]).await?;
    probes.seen_everywhere().await?;
    let took = began.elapsed();
    let seen = probes.longest();
    eprintln!("join: even after {took:.1?}, a launch was read at most {:.1?} after it was posted", seen.wait);
    eprintln!("who demanded no position waited {:.1?} at most", seen.undemanding_wait);
    anyhow::ensure!(seen.refusals == 0, "{} readers were sent away while an instance joined", seen.refusals);

    let began = Instant::now();
    cluster.leave("two").await?;
    let left = began.elapsed();
    cluster.wait_for_spread(&[2, 2, 2]).await?;
    probes.seen_everywhere().await?;
    let seen = probes.longest();
    eprintln!("leave: gone after {left:.1?}, a launch was read at most {:.1?} after it was posted", seen.wait);
    eprintln!("who demanded no position waited {:.1?} at most", seen.undemanding_wait);
    anyhow::ensure!(seen.refusals == 0, "{} readers were sent away while an instance left", seen.refusals);
    Ok(())
}

async fn kill_one(cluster: &mut Cluster, probes: &Probes) -> anyhow::Result<()> {
    let began = Instant::now();
    cluster.kill("one")?;
    cluster.held_by_others("one").await?;
    let held = began.elapsed();
    probes.seen_everywhere().await?;
    let seen = began.elapsed();
    eprintln!("kill -9: all lanes held by others after {held:.1?}, every lane read anew after {seen:.1?}");
    cluster.wait_for_spread(&[3, 3]).await?;
    let seen = probes.longest();
    eprintln!("who demanded no position waited {:.1?} at most, {} refused", seen.undemanding_wait, seen.refusals);
    cluster.join("five")?;
    cluster.wait_for_spread(&[2, 2, 2]).await?;
    probes.seen_everywhere().await
}

/// Stands still for longer than others wait for it, wakes, and goes on as if nothing had been. Returns its output.
async fn stand_still(cluster: &mut Cluster, probes: &Probes) -> anyhow::Result<String> {
    let began = Instant::now();
    cluster.pause("three")?;
    cluster.held_by_others("three").await?;
    eprintln!("SIGSTOP: all lanes held by others after {:.1?}", began.elapsed());
    probes.seen_everywhere().await?;
    cluster.wait_for_spread(&[3, 3]).await?;
    probes.longest();
    cluster.resume("three")?;
    probes.seen_everywhere().await?;
    cluster.wait_for_spread(&[2, 2, 2]).await?;
    probes.seen_everywhere().await?;
    let seen = probes.longest();
    eprintln!("SIGCONT: a launch was read at most {:.1?} after it was posted", seen.wait);
    eprintln!("who demanded no position waited {:.1?} at most", seen.undemanding_wait);
    anyhow::ensure!(seen.refusals == 0, "{} readers were sent away when it woke", seen.refusals);
    Ok(cluster.output("three"))
}

/// Both queries answer exactly what the model has.
async fn check(cluster: &Cluster, model: &Model, position: &str) -> anyhow::Result<()> {
    for client in cluster.clients()? {
        client.check(model, Some(position)).await?;
    }
    Ok(())
}
