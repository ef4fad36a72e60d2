//! Processes that are killed.

use std::time::{Duration, Instant};

use anyhow::ensure;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use tokio::time::sleep;

use super::{
    load::Load,
    report::Report,
    stage::{Stage, is_alive},
};

/// How often `saldo up` is killed in one round.
const KILLS: u8 = 4;

/// The seed chooses the moment of a failure; nothing is waited for.
pub async fn some_moment(random: &mut impl Rng, at_most_ms: u64) {
    sleep(Duration::from_millis(random.random_range(0..at_most_ms))).await;
}

/// `kill -9` of `saldo up` at random moments: no nats-server is left behind, and the next start is well at once.
pub async fn saldo(seed: u64) -> anyhow::Result<Report> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut stage = Stage::new().await?;
    let load = Load::start(&stage, seed)?;
    let mut report = Report::default();
    for _ in 0..KILLS {
        some_moment(&mut random, 1_500).await;
        let server = stage.pipeline()?.nats_server_id()?;
        let killed_at = Instant::now();
        stage.kill()?;
        stage.start().await?;
        report.took("until the next start said that it is up", killed_at.elapsed());
        ensure!(!is_alive(server), "the nats-server of a killed saldo is left behind");
        stage.wait_until_well(killed_at, &mut report).await?;
    }
    report.add(load.finish(&mut stage).await?);
    Ok(report)
}
