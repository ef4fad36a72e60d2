//! The services, each a process of its own, over one nats-server and one Cassandra.

use std::{collections::BTreeMap, process::Command, time::Duration};

use anyhow::{Context, ensure};
use nats::{ClientConfig, FoundLease, Leases};
use protocol::leases::Lease;
use testkit::{CASSANDRA_DATACENTER, Cassandra, ChildProcess, NatsServer};

use super::PATIENCE;
use crate::client::Client;

/// Lanes of the log.
pub const PARTITIONS: u16 = 6;
/// Shorter than where it matters: a checkpoint lags by twice as much, and is what a worker begins at.
const COMMIT_LOG_PERIOD_MS: u32 = 2_000;

/// Each living instance renews its entry in this time.
const LONGER_THAN_A_HEARTBEAT: Duration = Duration::from_millis(1_700);

/// Whether an instance holds each of its lanes, by its name.
pub type Held = BTreeMap<String, BTreeMap<u16, bool>>;

/// Everything that runs. Ends with the value.
pub struct Cluster {
    aggregators: BTreeMap<String, ChildProcess>,
    others: Vec<ChildProcess>,
    ingest: String,
    queries: [String; 2],
    leases: Leases,
    nats: NatsServer,
    cassandra: Cassandra,
}

impl Cluster {
    /// One ingest and two queries; aggregators join later.
    pub async fn start() -> anyhow::Result<Self> {
        let cassandra = tokio::task::spawn_blocking(|| {
            Cassandra::options().careless().commit_log_period_ms(COMMIT_LOG_PERIOD_MS).start()
        });
        let (nats, cassandra) = (NatsServer::start()?, cassandra.await??);
        for job in [&["schema", "apply"][..], &["log", "apply", "--partitions", &PARTITIONS.to_string()]] {
            let output = verb(job, &nats, &cassandra)?.output()?;
            ensure!(output.status.success(), "{job:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let config = ClientConfig {
            url: nats.url(),
            name: "e2e".to_owned(),
            user: None,
            password: None,
            credentials_file: None,
            connect_timeout_ms: 5_000,
        };
        let leases = Leases::open(&nats::Client::connect(&config).await?, 1).await?;
        let mut others = Vec::new();
        let mut service = |name: &str| {
            let option = format!("--{name}");
            let mut process = ChildProcess::spawn(verb(&[name, &option, "127.0.0.1:0"], &nats, &cassandra)?)?;
            let address = address(&mut process)?;
            others.push(process);
            anyhow::Ok(address)
        };
        let (ingest, queries) = (service("ingest")?, [service("query")?, service("query")?]);
        Ok(Self { aggregators: BTreeMap::new(), others, ingest, queries, leases, nats, cassandra })
    }

    /// Starts an aggregator of this name.
    pub fn join(&mut self, name: &str) -> anyhow::Result<()> {
        let mut command = verb(&["aggregator", "--aggregator", "127.0.0.1:0"], &self.nats, &self.cassandra)?;
        command.env("SALDO_AGGREGATOR_INSTANCE", name);
        self.aggregators.insert(name.to_owned(), ChildProcess::spawn(command)?);
        Ok(())
    }

    /// SIGTERM; it must end by itself and successfully.
    pub async fn leave(&mut self, name: &str) -> anyhow::Result<()> {
        let mut process = self.aggregators.remove(name).with_context(|| format!("no aggregator {name}"))?;
        process.terminate()?;
        let stop = move || {
            let status = process.wait(PATIENCE)?;
            ensure!(status.success(), "an aggregator ended with {status}:\n{}", process.output());
            Ok(())
        };
        tokio::task::spawn_blocking(stop).await?
    }

    /// SIGKILL.
    pub fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        self.aggregators.remove(name).with_context(|| format!("no aggregator {name}"))?.kill()
    }

    /// SIGSTOP.
    pub fn pause(&mut self, name: &str) -> anyhow::Result<()> {
        self.aggregator(name)?.pause()
    }

    /// SIGCONT.
    pub fn resume(&mut self, name: &str) -> anyhow::Result<()> {
        self.aggregator(name)?.resume()
    }

    /// What an aggregator has said.
    pub fn output(&self, name: &str) -> String {
        self.aggregators.get(name).map(ChildProcess::output).unwrap_or_default()
    }

    /// What all have said.
    pub fn outputs(&self) -> String {
        let outputs = self.aggregators.iter().map(|(name, process)| format!("{name}:\n{}\n", process.output()));
        outputs.collect()
    }

    /// Every entry that is there: the lanes of each instance, and whether it holds them. `None` when they cannot be read now.
    pub async fn leases(&self) -> Option<Held> {
        self.leases.all().await.ok()?.iter().map(held).collect()
    }

    /// The entries that are renewed.
    pub async fn leases_of_living(&self) -> Option<Held> {
        let before = self.leases.all().await.ok()?;
        tokio::time::sleep(LONGER_THAN_A_HEARTBEAT).await;
        let renewed = |found: &&FoundLease| {
            before.iter().all(|old| old.instance != found.instance || old.revision != found.revision)
        };
        self.leases.all().await.ok()?.iter().filter(renewed).map(held).collect()
    }

    /// A caller of each query.
    pub fn clients(&self) -> anyhow::Result<Vec<Client>> {
        self.queries.iter().map(|query| Client::of(&self.ingest, query)).collect()
    }

    /// SIGTERM for all; each must end successfully.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let names: Vec<String> = self.aggregators.keys().cloned().collect();
        for name in names {
            self.leave(&name).await?;
        }
        for process in &mut self.others {
            process.terminate()?;
            let status = process.wait(PATIENCE)?;
            ensure!(status.success(), "a service ended with {status}:\n{}", process.output());
        }
        Ok(())
    }

    fn aggregator(&mut self, name: &str) -> anyhow::Result<&mut ChildProcess> {
        self.aggregators.get_mut(name).with_context(|| format!("no aggregator {name}"))
    }
}

/// A verb with what it needs to find the servers.
fn verb(words: &[&str], nats: &NatsServer, cassandra: &Cassandra) -> anyhow::Result<Command> {
    let mut command = Command::new(testkit::cargo_binary("saldo")?);
    command.args(words).env("SALDO_NATS", format!("127.0.0.1:{}", nats.port()));
    command.env("SALDO_PARTITIONS", PARTITIONS.to_string());
    command.env("SALDO_SCYLLA_NODES", cassandra.address()).env("SALDO_SCYLLA_CONSISTENCY", "local_one");
    command.env("SALDO_SCYLLA_REPLICATION", format!("{CASSANDRA_DATACENTER}:1"));
    command.env("SALDO_SCYLLA_COMMIT_LOG_PERIOD_MS", COMMIT_LOG_PERIOD_MS.to_string());
    Ok(command)
}

/// Where a service listens.
fn address(process: &mut ChildProcess) -> anyhow::Result<String> {
    let line = process.wait_for_line("address=", PATIENCE)?;
    let (_, address) = line.rsplit_once("address=").context("no address")?;
    Ok(format!("http://{}", address.split_whitespace().next().unwrap_or_default()))
}

fn held(found: &FoundLease) -> Option<(String, BTreeMap<u16, bool>)> {
    let lease: Lease = serde_json::from_slice(&found.payload).ok()?;
    let (name, _) = found.instance.rsplit_once('-')?;
    Some((name.to_owned(), lease.lanes.iter().map(|(lane, claim)| (*lane, claim.held)).collect()))
}
