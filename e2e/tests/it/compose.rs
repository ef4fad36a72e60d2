//! `docker-compose.yml` and the Dockerfile, as far as they can be tried without a Docker engine: read by Compose's own
//! `config`, and run service by service. Every service has its exact command line and environment in a network namespace and
//! a root of its own, with the file's host names, mounts, users and privileges.
//!
//! In place of the images stand the programs of this machine: the binary as cargo built it for Saldo's own image, this
//! nats-server for the one of NATS, Cassandra for ScyllaDB. Needs Linux, and root or a system that lets users make user
//! namespaces; where that is not so, this fails and says it. All of it is gone when the test's process ends.

mod container;
mod dockerfile;
mod file;
mod network;
mod parts;
mod stack;
mod stage;

use std::time::Duration;

use anyhow::{Context, ensure};

use self::{file::ComposeFile, stack::Stack, stage::Stage};
use crate::{
    client::Client,
    model::{Model, random_launches},
};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many launches are posted at once, and how many alone.
const BULK: usize = 2_000;
const SINGLE: usize = 20;
const ACCOUNTS: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn every_service_of_the_file_runs_as_it_says() -> anyhow::Result<()> {
    let Some(stage) = Stage::entered() else {
        return tokio::task::spawn_blocking(|| {
            Stage::enter(concat!(module_path!(), "::every_service_of_the_file_runs_as_it_says"))
        })
        .await?;
    };
    let file = ComposeFile::read(&[])?;
    let stack = tokio::task::spawn_blocking(move || Stack::start(&stage, file)).await??;
    let queries = [stack.url("query-1")?, stack.url("query-2")?];
    let model = post(&Client::of(&stack.url("ingest")?, &queries[0])?).await?;
    for query in &queries {
        let client = Client::of(&stack.url("ingest")?, query)?;
        client.check(&model.0, Some(&model.1)).await.with_context(|| format!("{query} after {}", model.1))?;
    }
    stack.wait_for_users(&["aggregator", "aggregator", "ingest", "query", "query"])?;
    stack.check_servers()?;
    stack.check_copies("LAUNCHES")?;
    stack.check_copies("LAUNCHES_PARKED")?;
    tokio::task::spawn_blocking(move || stack.stop()).await?
}

/// Posts a bulk, and launches one by one; returns what counts and a position behind all of it.
async fn post(client: &Client) -> anyhow::Result<(Model, String)> {
    let launches = random_launches(6, ACCOUNTS, BULK + SINGLE);
    let mut model = Model::default();
    launches.iter().for_each(|launch| model.add(launch));
    for launch in &launches[BULK..] {
        let answer = client.post(launch).await?;
        ensure!(matches!(answer.status, 200 | 201), "{answer:?}");
    }
    // All of them: those that were posted alone are duplicates, and the position covers every lane.
    let answer = client.post_ndjson(&launches).await?;
    ensure!(answer.status == 200 && answer.body["rejected"] == 0, "{answer:?}");
    let position = answer.body["position"].as_str().context("a bulk has a position")?;
    Ok((model, position.to_owned()))
}
