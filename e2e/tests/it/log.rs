//! The log, as tests look at it from outside.

use std::{
    collections::BTreeMap,
    fs::File,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use nats::{ClientConfig, Log};
use protocol::position::Position;
use serde_json::Value;

use crate::client::Client;

/// How long applying may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long one command of the `nats` CLI may take; some of its commands wait for a terminal.
const CLI_PATIENCE: Duration = Duration::from_secs(100);
/// How long reading the whole log may take, and how often it is tried.
const READ_PATIENCE: Duration = Duration::from_secs(30);
const READ_ATTEMPTS: usize = 5;

/// Where the log is.
#[derive(Clone, Debug)]
pub struct LogAt {
    servers: String,
}

impl LogAt {
    /// `nats://host:port`, several with commas between.
    pub fn new(servers: impl Into<String>) -> Self {
        Self { servers: servers.into() }
    }

    /// A connection of one's own.
    pub async fn connect(&self) -> anyhow::Result<nats::Client> {
        let config = ClientConfig {
            url: self.servers.clone(),
            name: "e2e".to_owned(),
            user: None,
            password: None,
            credentials_file: None,
            connect_timeout_ms: 5_000,
        };
        Ok(nats::Client::connect(&config).await?)
    }

    /// Waits until everything that is on the log now is in days that this client reads.
    pub async fn wait_until_applied(&self, client: &Client) -> anyhow::Result<()> {
        let position = self.end().await?;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = client.get("/v1/accounts?limit=1", Some(&position.to_string())).await?;
            if answer.status == 200 {
                return Ok(());
            }
            ensure!(answer.status == 503, "waiting for {position}: {answer:?}");
            ensure!(tokio::time::Instant::now() < deadline, "{position} is not applied");
        }
    }

    /// The last position of every lane.
    pub async fn end(&self) -> anyhow::Result<Position> {
        let log = Log::open(&self.connect().await?, 1).await?;
        let mut lanes = BTreeMap::new();
        for partition in 0..log.identity().partitions {
            let end = log.lane_end(partition).await?;
            lanes.insert(partition, end.map_or(0, |message| message.sequence));
        }
        Ok(Position { log: log.identity().name(), lanes })
    }

    /// Runs the real `nats` CLI and returns what it printed.
    pub fn nats_cli(&self, arguments: &[&str], input: Option<&Path>) -> anyhow::Result<String> {
        self.nats_cli_within(CLI_PATIENCE, arguments, input)
    }

    /// All lanes as the CLI prints them. At a cluster one of whose servers was away, this command of the CLI waits now and then
    /// for ever; the next attempt does not.
    pub fn read(&self) -> anyhow::Result<String> {
        let read = || self.nats_cli_within(READ_PATIENCE, &["sub", "--stream", "LAUNCHES", "launches.>", "-T"], None);
        (1..READ_ATTEMPTS).find_map(|_| read().ok()).map_or_else(read, Ok)
    }

    fn nats_cli_within(&self, patience: Duration, arguments: &[&str], input: Option<&Path>) -> anyhow::Result<String> {
        let mut command = Command::new("timeout");
        command
            .arg(patience.as_secs().to_string())
            .arg(testkit::nats_cli()?)
            .args(["--server", &self.servers])
            .args(arguments);
        command.stdin(input.map_or_else(|| Ok(Stdio::null()), |file| File::open(file).map(Stdio::from))?);
        let output = command.output().context("cannot run the nats CLI")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "nats {arguments:?} ended with {}: {errors}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What the CLI tells of a stream.
    pub fn stream_info(&self, stream: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.nats_cli(&["stream", "info", stream, "--json"], None)?)?)
    }
}
