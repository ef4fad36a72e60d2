//! What befalls the nats-server: it dies, it stands still, it is away.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use rand::{SeedableRng, rngs::StdRng};
use tokio::time::sleep;

use super::{
    kills::some_moment,
    load::Load,
    outage, patience_of_ingest,
    poster::Way,
    report::Report,
    stage::{PAUSE, PROBED, Stage, signal},
};
use crate::{model::Launch, pipeline::Setup};

/// How often it is killed in one round.
const KILLS: u8 = 3;

/// `kill -9` of nats-server: it comes back by itself.
pub async fn killed(seed: u64) -> anyhow::Result<Report> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut stage = Stage::new().await?;
    let load = Load::start(&stage, seed)?;
    let mut report = Report::default();
    for _ in 0..KILLS {
        some_moment(&mut random, 1_000).await;
        let killed_at = Instant::now();
        signal(stage.pipeline()?.nats_server_id()?, "KILL")?;
        stage.wait_until_well(killed_at, &mut report).await?;
    }
    report.add(load.finish(&mut stage).await?);
    Ok(report)
}

/// SIGSTOP of nats-server: its connections stay open and nothing answers; then SIGCONT.
pub async fn paused(seed: u64) -> anyhow::Result<Report> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut stage = Stage::with(Setup { variables: patience_of_ingest(), ..Setup::default() }).await?;
    let load = Load::start(&stage, seed)?;
    let mut report = Report::default();
    some_moment(&mut random, 1_000).await;
    stage.wait_until_well(Instant::now(), &mut Report::default()).await?;
    let server = stage.pipeline()?.nats_server_id()?;
    signal(server, "STOP")?;
    callers_are_told(&stage, &load, outage(Duration::from_secs(3), Duration::from_secs(60))).await?;
    let back_at = Instant::now();
    signal(server, "CONT")?;
    stage.wait_until_well(back_at, &mut report).await?;
    report.add(load.finish(&mut stage).await?);
    Ok(report)
}

/// nats-server dies and cannot be started for a while: its program is not there.
pub async fn away(seed: u64) -> anyhow::Result<Report> {
    let mut random = StdRng::seed_from_u64(seed);
    let programs = tempfile::tempdir()?;
    let program = programs.path().join("nats-server");
    std::os::unix::fs::symlink(testkit::nats_server_binary()?, &program)?;
    let mut stage =
        Stage::with(Setup { nats_server: Some(program.clone()), variables: patience_of_ingest(), ..Setup::default() })
            .await?;
    let load = Load::start(&stage, seed)?;
    let mut report = Report::default();
    some_moment(&mut random, 1_000).await;
    stage.wait_until_well(Instant::now(), &mut Report::default()).await?;
    let hidden = hide(&program)?;
    signal(stage.pipeline()?.nats_server_id()?, "KILL")?;
    callers_are_told(&stage, &load, outage(Duration::from_secs(3), Duration::from_secs(60))).await?;
    let back_at = Instant::now();
    fs::rename(hidden, &program)?;
    stage.wait_until_well(back_at, &mut report).await?;
    report.add(load.finish(&mut stage).await?);
    Ok(report)
}

fn hide(program: &Path) -> anyhow::Result<PathBuf> {
    let hidden = program.with_extension("away");
    fs::rename(program, &hidden)?;
    Ok(hidden)
}

/// While the log is away, a reader that demands nothing is answered, and a poster is told 503 before it gives up.
async fn callers_are_told(stage: &Stage, load: &Load, duration: Duration) -> anyhow::Result<()> {
    let client = stage.client()?;
    let poster = load.poster(client.clone(), Way::Hasty);
    let until = Instant::now() + duration;
    for number in 0_u64.. {
        let read = client.get(&format!("/v1/accounts/{PROBED}/balance"), None).await.context("a read")?;
        ensure!(read.status == 200, "a read while the log is away: {read:?}");
        let posted = poster.post_once(&hurried(number)).await.context("a post")?;
        ensure!(posted.status == 503, "a post while the log is away: {posted:?}");
        ensure!(!posted.header("retry-after").is_empty(), "{posted:?}");
        if Instant::now() >= until {
            break;
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

fn hurried(number: u64) -> Launch {
    let account = format!("store-{}", number % 3);
    let (date, id) = ("2026-10-05".to_owned(), format!("hurried-{number}"));
    Launch { account, date, id, credit: false, currency: "JPY", minor_units: 7 }
}
