//! The shipped binary, started as a user starts it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, ensure};
use tempfile::TempDir;
use testkit::ChildProcess;

use crate::{client::Client, log::LogAt, small_disk::SmallDisk};

/// How long starting and stopping may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running `saldo up` with data of its own.
#[derive(Debug)]
pub struct Pipeline {
    pub ingest: String,
    pub query: String,
    pub aggregator: String,
    pub nats: String,
    process: ChildProcess,
    data: Data,
}

/// The data of a pipeline, which outlives its processes.
pub type Data = Arc<TempDir>;

/// Where ingest, query, the aggregator and nats-server shall listen.
type Ports = [u16; 4];

/// What it is started with.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// 0 for a free one, chosen by the system.
    pub ports: Ports,
    /// The nats-server to run, instead of the one that tests use.
    pub nats_server: Option<PathBuf>,
    /// Variables of its environment.
    pub variables: Vec<(String, String)>,
    /// A small disk for all its data, or for a part of them.
    pub small_disk: Option<SmallDisk>,
}

impl Pipeline {
    /// Starts it on free ports and an empty folder.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_on(Arc::new(tempfile::tempdir()?)).await
    }

    /// Starts it on data that is there.
    pub async fn start_on(data: Data) -> anyhow::Result<Self> {
        Self::start_with(data, &Setup::default()).await
    }

    /// Starts it on data that is there, on ports and with variables of one's choice.
    pub async fn start_with(data: Data, setup: &Setup) -> anyhow::Result<Self> {
        let setup = setup.clone();
        tokio::task::spawn_blocking(move || Self::start_blocking(data, &setup)).await?
    }

    fn start_blocking(data: Data, setup: &Setup) -> anyhow::Result<Self> {
        let mut process = ChildProcess::spawn(command(data.path(), setup)?)?;
        process.wait_for_line("Saldo is up", PATIENCE)?;
        let nats_line = process.wait_for_line("nats-server", PATIENCE)?;
        let nats = nats_line.split_whitespace().last().context("nats-server tells its address")?;
        let ingest = address(&process.wait_for_line("/v1/launches", PATIENCE)?)?;
        let query = address(&process.wait_for_line("/v1/accounts/", PATIENCE)?)?;
        let aggregator = address(&process.wait_for_line("aggregator ", PATIENCE)?)?;
        Ok(Self { ingest, query, aggregator, nats: format!("nats://{nats}"), process, data })
    }

    /// Its data folder.
    pub fn folder(&self) -> &Path {
        self.data.path()
    }

    /// SIGTERM; it must end by itself and successfully.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop_keeping_data().await.map(drop)
    }

    /// SIGTERM, and a second start on the same data.
    pub async fn stop_and_start(self) -> anyhow::Result<Self> {
        Self::start_on(self.stop_keeping_data().await?).await
    }

    /// SIGKILL, and a second start on the same data.
    pub async fn kill_and_start(self) -> anyhow::Result<Self> {
        Self::start_on(self.kill()?).await
    }

    /// SIGKILL; returns the data folder.
    pub fn kill(mut self) -> anyhow::Result<Data> {
        self.process.kill()?;
        Ok(self.data)
    }

    /// Waits until it ends by itself, however it ends.
    pub async fn wait_for_end(mut self) -> anyhow::Result<()> {
        tokio::task::spawn_blocking(move || self.process.wait(PATIENCE).map(drop)).await?
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The process id of its nats-server.
    pub fn nats_server_id(&self) -> anyhow::Result<u32> {
        Ok(std::fs::read_to_string(self.data.path().join("nats-server.pid"))?.trim().parse()?)
    }

    /// SIGTERM; returns the data folder.
    pub async fn stop_keeping_data(mut self) -> anyhow::Result<Data> {
        let stop = move || {
            self.process.terminate()?;
            let status = self.process.wait(PATIENCE)?;
            ensure!(status.success(), "saldo ended with {status}:\n{}", self.process.output());
            Ok(self.data)
        };
        tokio::task::spawn_blocking(stop).await?
    }

    /// Its log.
    pub fn log(&self) -> LogAt {
        LogAt::new(&self.nats)
    }

    /// Waits until everything that is on the log now is in readable days.
    pub async fn wait_until_applied(&self) -> anyhow::Result<()> {
        let applied = self.log().wait_until_applied(&Client::new(self)?).await;
        applied.with_context(|| self.process.output())
    }

    /// Runs the real `nats` CLI against the pipeline and returns what it printed.
    pub fn nats_cli(&self, arguments: &[&str], input: Option<&Path>) -> anyhow::Result<String> {
        self.log().nats_cli(arguments, input)
    }
}

fn command(data: &Path, setup: &Setup) -> anyhow::Result<Command> {
    let nats_server = setup.nats_server.clone().map_or_else(testkit::nats_server_binary, Ok)?;
    let mut command = Command::new(testkit::cargo_binary("saldo")?);
    command.arg("up").arg("--data").arg(data).arg("--nats-server").arg(nats_server);
    for (option, port) in ["--ingest", "--query", "--aggregator", "--nats"].into_iter().zip(setup.ports) {
        command.arg(option).arg(format!("127.0.0.1:{port}"));
    }
    command.envs(setup.variables.iter().map(|(name, value)| (name, value)));
    match &setup.small_disk {
        None => Ok(command),
        Some(disk) => disk.under(data, &command),
    }
}

/// `http://host:port` out of a line with a curl command.
fn address(line: &str) -> anyhow::Result<String> {
    let from = line.find("http://").with_context(|| format!("no address in {line:?}"))?;
    let authority = line[from..].split('/').nth(2).with_context(|| format!("no address in {line:?}"))?;
    Ok(format!("http://{authority}"))
}
