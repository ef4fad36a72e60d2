//! A disk that stands still under the store: what writes to it is neither done nor refused.

use std::time::{Duration, Instant};

use rand::{SeedableRng, rngs::StdRng};
use tokio::time::sleep;

use super::{
    full_disks::{mounted, on_small_disk, posts_are_acknowledged, wait_until_incomplete, wait_until_readable},
    is_long,
    kills::some_moment,
    load::Load,
    outage,
    report::Report,
};
use crate::{
    metrics::{wait_for_metric, wait_until_ready},
    small_disk::{Kind, SmallDisk, is_root},
};

/// How often the disk stands still in one round.
const TIMES: u8 = 2;
/// So much is no load's doing: nothing is applied.
const LAG_S: f64 = 3.0;

/// The store's disk is frozen and thawed: posting goes on, reads say how old they are, lag is told, and nothing is lost.
///
/// Only root may freeze a disk: in `cargo xtask test` others go without this round.
pub async fn under_the_store(seed: u64) -> anyhow::Result<Report> {
    if !is_long() && !is_root()? {
        println!("store_disk_frozen: not run, only root may freeze a disk");
        return Ok(Report::default());
    }
    let mut random = StdRng::seed_from_u64(seed);
    let mut stage = on_small_disk(SmallDisk { part: "store", mebibytes: 128, kind: Kind::Image }).await?;
    let load = Load::start(&stage, seed)?;
    let disk = mounted(&mut stage)?;
    let aggregator = stage.pipeline()?.aggregator.clone();
    let mut report = Report::default();
    for time in 0..TIMES {
        some_moment(&mut random, 1_500).await;
        wait_until_readable(&stage.client()?).await?;
        let frozen = disk.freeze()?;
        wait_for_metric(&aggregator, "saldo_aggregator_lag_seconds", "", |seconds| seconds > LAG_S).await?;
        wait_until_incomplete(&stage.client()?).await?;
        posts_are_acknowledged(&stage, &load, time).await?;
        sleep(outage(Duration::from_secs(1), Duration::from_secs(20))).await;
        let thawed_at = Instant::now();
        frozen.thaw()?;
        stage.wait_until_well(thawed_at, &mut report).await?;
        wait_until_ready(&aggregator).await?;
    }
    report.add(load.finish(&mut stage).await?);
    Ok(report)
}
