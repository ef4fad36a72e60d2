//! The shipped binary, started as a user starts it, in a folder of its own.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tempfile::TempDir;
use testkit::ChildProcess;

use crate::edges::Edges;

/// How long starting, stopping and applying may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running `saldo up`.
pub struct Pipeline {
    /// Where callers reach it.
    pub edges: Edges,
    /// Where its nats-server listens.
    pub nats: String,
    process: ChildProcess,
    data: TempDir,
    /// When the services had been started, as far as its output tells.
    pub started: Instant,
}

impl Pipeline {
    /// Starts it on an empty folder.
    pub fn start(saldo: &Path, partitions: u16) -> anyhow::Result<Self> {
        let data = tempfile::Builder::new().prefix("saldo-bench-").tempdir()?;
        Self::start_on(saldo, partitions, data)
    }

    /// Starts it on data that are there.
    pub fn start_on(saldo: &Path, partitions: u16, data: TempDir) -> anyhow::Result<Self> {
        let mut command = Command::new(saldo);
        command.arg("up").arg("--data").arg(data.path()).arg("--nats-server").arg(testkit::nats_server_binary()?);
        command.args(["--partitions", &partitions.to_string()]);
        for option in ["--ingest", "--query", "--aggregator", "--nats"] {
            command.args([option, "127.0.0.1:0"]);
        }
        let mut process = ChildProcess::spawn(command)?;
        let nats = process.wait_for_line("nats-server ", PATIENCE)?;
        let nats = nats.split_whitespace().last().context("nats-server has an address")?.to_owned();
        process.wait_for_line("aggregator ", PATIENCE)?;
        let started = Instant::now();
        let query = address(&process.wait_for_line("query ", PATIENCE)?)?;
        let ingest = address(&process.wait_for_line("ingest ", PATIENCE)?)?;
        process.wait_for_line("Saldo is up", PATIENCE)?;
        Ok(Self { edges: Edges { ingest, query }, nats, process, data, started })
    }

    /// Stops it and gives its folder back.
    pub fn stop(mut self) -> anyhow::Result<TempDir> {
        self.process.terminate()?;
        let status = self.process.wait(PATIENCE)?;
        ensure!(status.success(), "saldo ended with {status}:\n{}", self.process.output());
        Ok(self.data)
    }

    /// Memory that is resident now, of Saldo and of its nats-server, in bytes.
    pub fn resident_bytes(&self) -> anyhow::Result<[u64; 2]> {
        let nats_server: u32 = fs::read_to_string(self.data.path().join("nats-server.pid"))?.trim().parse()?;
        Ok([resident_bytes(self.process.id())?, resident_bytes(nats_server)?])
    }

    /// Waits until everything up to `position` is in readable days.
    pub async fn wait_for(&self, position: &[u8]) -> anyhow::Result<()> {
        self.edges.wait_for(position, PATIENCE).await.with_context(|| self.process.output())
    }
}

/// Where nats-server keeps its streams in a pipeline's folder.
pub fn log_folder(data: &TempDir) -> PathBuf {
    data.path().join("nats")
}

/// Where the store lies in it.
pub fn store_folder(data: &TempDir) -> PathBuf {
    data.path().join("store")
}

fn address(line: &str) -> anyhow::Result<SocketAddr> {
    let (_, address) = line.split_once("http://").with_context(|| format!("no address in {line:?}"))?;
    address.trim().parse().with_context(|| format!("no address in {line:?}"))
}

/// `VmRSS` of a process.
fn resident_bytes(process: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().context("VmRSS is no number")?;
    Ok(kib * 1024)
}
