//! Crashes at chosen steps of a commit, by fail points in the child process.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, ensure};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

use super::{kills::some_moment, load::Load, report::Report, stage::Stage};

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

/// How often the journal is torn in one round.
const TEARS: u8 = 3;

/// `kill -9`, and the end of the store's journal is gone, as after a loss of power: commits do not sync. The cut lies
/// anywhere in what was written since the start, so that most often a batch is torn.
pub async fn torn(seed: u64) -> anyhow::Result<Report> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut stage = Stage::new().await?;
    let load = Load::start(&stage, seed)?;
    let mut report = Report::default();
    for _ in 0..TEARS {
        let journal = newest_journal(stage.data())?;
        let written_before = written_bytes(&journal)?;
        stage.wait_until_well(Instant::now(), &mut Report::default()).await?;
        some_moment(&mut random, 1_500).await;
        stage.kill()?;
        let killed_at = Instant::now();
        if newest_journal(stage.data())? == journal {
            tear(&journal, written_before, &mut random)?;
        }
        stage.start().await?;
        stage.wait_until_well(killed_at, &mut report).await?;
    }
    report.add(load.finish(&mut stage).await?);
    Ok(report)
}

/// Takes away everything from some byte on; what was allocated stays so, as zeros.
fn tear(journal: &Path, written_before: u64, random: &mut impl Rng) -> anyhow::Result<()> {
    let (file, end) = (File::options().write(true).open(journal)?, written_bytes(journal)?);
    ensure!(written_before < end, "nothing was written that could be lost");
    let (cut, length) = (random.random_range(written_before..end), file.metadata()?.len());
    file.set_len(cut)?;
    Ok(file.set_len(length)?)
}

fn newest_journal(data: &Path) -> anyhow::Result<PathBuf> {
    let mut newest = None;
    for entry in fs::read_dir(data.join("store/fjall"))? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse::<u64>().ok());
        if path.extension().is_some_and(|extension| extension == "jnl") {
            newest = newest.max(number.map(|number| (number, path)));
        }
    }
    newest.map(|(_, path)| path).context("the store has no journal")
}

/// Where the zeros begin that the store has allocated and not written yet.
fn written_bytes(journal: &Path) -> anyhow::Result<u64> {
    const BLOCK: usize = 4_096;
    let bytes = fs::read(journal)?;
    let last = bytes.chunks(BLOCK).rposition(|block| block != &[0; BLOCK][..block.len()]).unwrap_or(0);
    let block = &bytes[last * BLOCK..bytes.len().min((last + 1) * BLOCK)];
    let within = block.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    Ok(u64::try_from(last * BLOCK + within)?)
}
