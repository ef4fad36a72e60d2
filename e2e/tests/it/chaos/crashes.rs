//! Crashes at chosen steps of a commit, by fail points in the child process.

use std::time::Instant;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{load::Load, report::Report, stage::Stage};

const POINTS: [&str; 3] = ["before_commit", "after_commit", "after_notice"];

/// The process dies before the commit, after it, and after its notice, each time at some commit under load.
pub async fn commit(seed: u64) -> anyhow::Result<Report> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut stage = Stage::new().await?;
    let load = Load::start(&stage, seed)?;
    let mut report = Report::default();
    for point in POINTS {
        stage.stop().await?;
        let commits = random.random_range(1..30);
        stage.start_until_it_fails(format!("{point}:{commits}")).await?;
        let crashed_at = Instant::now();
        stage.start().await?;
        stage.wait_until_well(crashed_at, &mut report).await?;
    }
    report.add(load.finish(&mut stage).await?);
    Ok(report)
}
