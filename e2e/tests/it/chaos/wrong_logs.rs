//! Logs that are not the one that the store was filled from: refused, and healed as docs/operations.md says.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::ensure;
use testkit::{copy_folder, wait_until_async};

use super::{
    report::Report,
    stage::{PATIENCE, PROBED, Stage},
    tested::Tested,
};
use crate::{
    client::Client,
    metrics::{metric, wait_until_not_ready, wait_until_ready},
    model::{Launch, Model, random_launches},
};

const ACCOUNTS: usize = 3;
const LAUNCHES: usize = 600;
/// The remedy that the refusal names.
const REMEDY: &str = "filled again from the log";

/// Somebody removes the stream under a running pipeline, and a start makes a new one: the store is newer than the log.
pub async fn recreated(seed: u64) -> anyhow::Result<Report> {
    let (mut stage, launches) = (Stage::new().await?, random_launches(seed, ACCOUNTS, LAUNCHES));
    let old_position = post(&stage.client()?, &launches[..LAUNCHES / 2]).await?;
    stage.pipeline()?.wait_until_applied().await?;
    stage.pipeline()?.nats_cli(&["stream", "rm", "LAUNCHES", "--force"], None)?;
    // Nothing takes messages any more; what is posted must not be acknowledged.
    wait_until_not_ready(&stage.pipeline()?.ingest, "").await?;
    let unwritten = stage.client()?.post(&launches[LAUNCHES / 2]).await?;
    ensure!(unwritten.status == 503, "there is no log: {unwritten:?}");
    stage.stop().await?;
    stage.start().await?;
    refused_then_healed(stage, &launches, &old_position).await
}

/// The log's folder is put back to an older state under a newer store.
pub async fn restored(seed: u64) -> anyhow::Result<Report> {
    let (mut stage, launches) = (Stage::new().await?, random_launches(seed, ACCOUNTS, LAUNCHES));
    let backup = testkit::temp_folder()?;
    post(&stage.client()?, &launches[..LAUNCHES / 4]).await?;
    stage.pipeline()?.wait_until_applied().await?;
    let log = stage.pipeline()?.folder().join("nats");
    stage.stop().await?;
    copy_folder(&log, backup.path())?;
    stage.start().await?;
    let old_position = post(&stage.client()?, &launches[LAUNCHES / 4..LAUNCHES / 2]).await?;
    stage.pipeline()?.wait_until_applied().await?;
    stage.stop().await?;

    fs::remove_dir_all(&log)?;
    copy_folder(backup.path(), &log)?;
    stage.start().await?;
    refused_then_healed(stage, &launches, &old_position).await
}

/// The lanes are refused, which everybody is told; posting goes on; the remedy works; what the log has lost is posted again.
async fn refused_then_healed(mut stage: Stage, launches: &[Launch], old: &str) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let aggregator = stage.pipeline()?.aggregator.clone();
    wait_until_not_ready(&aggregator, "is stopped").await?;
    wait_until_not_ready(&aggregator, REMEDY).await?;
    ensure!(metric(&aggregator, "saldo_aggregator_refused", "").await? > 0.0, "no metric tells it");
    post(&stage.client()?, &launches[LAUNCHES / 2..]).await?;
    reads_are_refused(&stage.client()?).await?;

    let begun_at = Instant::now();
    raise_epoch(&stage)?;
    let store = stage.pipeline()?.folder().join("store");
    stage.stop().await?;
    fs::remove_dir_all(store)?;
    stage.start().await?;
    stage.wait_until_well(begun_at, &mut report).await?;
    wait_until_ready(&stage.pipeline()?.aggregator).await?;
    let gone = stage.client()?.get("/v1/accounts/store-0/balance", Some(old)).await?;
    ensure!(gone.status == 410, "a position of the log that was lost: {gone:?}");

    // Clients that know what they had posted post all of it again.
    post(&stage.client()?, launches).await?;
    stage.pipeline()?.wait_until_applied().await?;
    let mut model = Model::default();
    launches.iter().chain(&stage.probes().launches().collect::<Vec<_>>()).for_each(|launch| model.add(launch));
    ensure!(model.count_of(PROBED) > 0, "nothing showed that all was well");
    stage.client()?.check(&model, None).await?;
    stage.stop().await?;
    Ok(report)
}

/// As docs/operations.md says.
fn raise_epoch(stage: &Stage) -> anyhow::Result<()> {
    let mut command = Command::new(testkit::cargo_binary("saldo")?);
    let output = command.args(["log", "raise-epoch", "--nats", &stage.pipeline()?.nats]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Posts launches until all are acknowledged; returns the position.
async fn post(client: &Client, launches: &[Launch]) -> anyhow::Result<String> {
    wait_until_async("an acknowledgement", PATIENCE, async || {
        let answer = client.post_ndjson(launches).await.ok()?;
        let is_taken = answer.status == 200 && answer.body["rejected"] == 0;
        if is_taken { answer.body["position"].as_str().map(str::to_owned) } else { None }
    })
    .await
}

/// What is stored is of another log: no account of a refused lane is answered.
async fn reads_are_refused(client: &Client) -> anyhow::Result<()> {
    for account in (0..ACCOUNTS).map(|number| format!("store-{number}")) {
        let path = format!("/v1/accounts/{account}/balance");
        wait_until_async("the refusal", Duration::from_secs(60), async || {
            let answer = client.get(&path, None).await.ok()?;
            (answer.status == 503 && answer.body["type"] == "urn:saldo:problem:account_stopped").then_some(())
        })
        .await?;
    }
    Ok(())
}
