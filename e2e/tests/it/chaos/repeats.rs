//! The same launches from everywhere at once.

use std::time::Instant;

use anyhow::ensure;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::{
    book::{Key, Posted},
    kills::some_moment,
    load::Load,
    poster::Way,
    report::Report,
    stage::{Stage, signal},
};
use crate::model::random_launches;

const CLIENTS: u64 = 8;
const LAUNCHES: usize = 1_500;

/// Eight clients post the same NDJSON twice, each time in another order, while nats-server is killed once: everything is
/// acknowledged to everybody, and counts once.
pub async fn same_ndjson(seed: u64) -> anyhow::Result<Report> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut stage = Stage::new().await?;
    let load = Load::start(&stage, seed)?;
    let poster = load.poster(stage.client()?, Way::Repeating);
    let mut launches = random_launches(seed, super::load::ACCOUNTS, LAUNCHES);
    launches.iter_mut().for_each(|launch| launch.id = format!("same-{}", launch.id));
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let (poster, mut own) = (poster.clone(), launches.clone());
        let mut random = StdRng::seed_from_u64(seed.wrapping_mul(CLIENTS).wrapping_add(number));
        clients.push(tokio::spawn(async move {
            for _ in 0..2 {
                own.shuffle(&mut random);
                poster.post_ndjson(&own).await?;
            }
            anyhow::Ok(())
        }));
    }
    some_moment(&mut random, 500).await;
    let mut report = Report::default();
    let killed_at = Instant::now();
    signal(stage.pipeline()?.nats_server_id()?, "KILL")?;
    stage.wait_until_well(killed_at, &mut report).await?;
    for client in clients {
        client.await??;
    }
    let is_acknowledged = |contents: &Vec<Posted>| contents.iter().all(|posted| posted.acknowledged.is_some());
    let same = |key: &Key| key.2.starts_with("same-");
    let acknowledged = load.book.posted().iter().filter(|(key, all)| same(key) && is_acknowledged(all)).count();
    ensure!(acknowledged == LAUNCHES, "{acknowledged} of {LAUNCHES} are acknowledged");
    report.add(load.finish(&mut stage).await?);
    Ok(report)
}
