//! The services, each a process of its own, over NATS and Cassandra.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};
use ledger::{Account, AccountKey, Tenant};
use nats::{FoundLease, Leases};
use protocol::{lane::partition_of, leases::Lease};
use testkit::{CASSANDRA_DATACENTER, Cassandra, CassandraCluster, ChildProcess, NatsCluster, wait_until_async};

use crate::{
    client::{Client, TENANT},
    log::LogAt,
};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Shorter than where it matters: a checkpoint lags by twice as much, and is what a worker begins at.
const COMMIT_LOG_PERIOD_MS: u32 = 2_000;

/// Each living instance renews its entry in this time, on a busy machine, too: many heartbeats.
const RENEWED_WITHIN: Duration = Duration::from_secs(15);

/// Whether an instance holds each of its lanes, by its name.
pub type Held = BTreeMap<String, BTreeMap<u16, bool>>;

/// What runs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Lanes of the log.
    pub partitions: u16,
    pub servers: Servers,
    /// Variables of every service's environment.
    pub variables: Vec<(String, String)>,
}

/// How many servers there are of each kind: each of three keeps a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Servers {
    /// One each, which nobody breaks.
    One,
    /// Three of NATS and one of CQL, any of which may be killed.
    ThreeOfNats,
    /// One of NATS and three of CQL, any of which may be killed.
    ThreeOfCql,
}

/// Everything that runs. Ends with the value.
pub struct Cluster {
    setup: Setup,
    aggregators: BTreeMap<String, ChildProcess>,
    others: Vec<(&'static str, ChildProcess)>,
    pub ingest: String,
    pub queries: [String; 2],
    leases: Leases,
    pub nats: NatsCluster,
    pub cassandra: CassandraCluster,
}

impl Cluster {
    /// One ingest and two queries; aggregators join later.
    pub async fn start(setup: Setup) -> anyhow::Result<Self> {
        let servers = setup.servers;
        let cassandra = tokio::task::spawn_blocking(move || start_cassandra(servers));
        let nats = match servers {
            Servers::ThreeOfNats => NatsCluster::start()?,
            Servers::One | Servers::ThreeOfCql => NatsCluster::start_one()?,
        };
        run(verb(&["log", "apply"], &setup, &nats, None)?)?;
        let cassandra = cassandra.await??;
        run(verb(&["schema", "apply"], &setup, &nats, Some(&cassandra))?)?;
        let leases = Leases::open(&LogAt::new(nats.urls()).connect().await?, 1).await?;
        let mut others = Vec::new();
        let mut service = |name: &'static str| {
            let option = format!("--{name}");
            let command = verb(&[name, &option, "127.0.0.1:0"], &setup, &nats, Some(&cassandra))?;
            let mut process = ChildProcess::spawn(command)?;
            let address = address(&mut process)?;
            others.push((name, process));
            anyhow::Ok(address)
        };
        let (ingest, queries) = (service("ingest")?, [service("query")?, service("query")?]);
        Ok(Self { setup, aggregators: BTreeMap::new(), others, ingest, queries, leases, nats, cassandra })
    }

    /// Lanes of the log.
    pub fn partitions(&self) -> u16 {
        self.setup.partitions
    }

    /// Its log.
    pub fn log(&self) -> LogAt {
        LogAt::new(self.nats.urls())
    }

    /// The names of the aggregators that were started and not ended since.
    pub fn aggregators(&self) -> Vec<String> {
        self.aggregators.keys().cloned().collect()
    }

    /// Where an aggregator's metrics are.
    pub fn aggregator_address(&mut self, name: &str) -> anyhow::Result<String> {
        address(self.aggregator(name)?)
    }

    /// Starts an aggregator of this name.
    pub fn join(&mut self, name: &str) -> anyhow::Result<()> {
        let mut command =
            verb(&["aggregator", "--aggregator", "127.0.0.1:0"], &self.setup, &self.nats, Some(&self.cassandra))?;
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

    /// What all services have said.
    pub fn outputs(&self) -> String {
        let aggregators = self.aggregators.iter().map(|(name, process)| (name.as_str(), process));
        let all = self.others.iter().map(|(name, process)| (*name, process)).chain(aggregators);
        all.map(|(name, process)| format!("{name}:\n{}\n", process.output())).collect()
    }

    /// Every entry that is there: the lanes of each instance, and whether it holds them. `None` when they cannot be read now.
    pub async fn leases(&self) -> Option<Held> {
        self.leases.all().await.ok()?.iter().map(held).collect()
    }

    /// The entries of those who live: waits until so many have been renewed, or are new.
    async fn leases_of_living(&self, count: usize) -> anyhow::Result<Held> {
        let before = self.leases.all().await?;
        let is_renewed = |found: &&FoundLease| {
            before.iter().all(|old| old.instance != found.instance || old.revision != found.revision)
        };
        let renewed = async || {
            let leases: Held =
                self.leases.all().await.ok()?.iter().filter(is_renewed).map(held).collect::<Option<_>>()?;
            (leases.len() >= count).then_some(leases)
        };
        wait_until_async(&format!("{count} instances to renew their leases"), RENEWED_WITHIN, renewed).await
    }

    /// Waits until those who live hold so many lanes each, in order, every lane is held once, and nothing else is on its way.
    pub async fn wait_for_spread(&self, counts: &[usize]) -> anyhow::Result<()> {
        let spread = async || {
            let leases = self.leases_of_living(counts.len()).await.ok()?;
            let mut held: Vec<usize> = leases.values().map(BTreeMap::len).collect();
            held.sort_unstable();
            (held == counts && leases.values().flat_map(BTreeMap::values).all(|is_held| *is_held)).then_some(())
        };
        let waited = wait_until_async(&format!("a spread of {counts:?}"), PATIENCE, spread).await;
        if waited.is_err() {
            let living = self.leases_of_living(counts.len()).await;
            anyhow::bail!("no spread of {counts:?}: {living:?} of {:?}\n{}", self.leases().await, self.outputs());
        }
        Ok(())
    }

    /// Waits until every lane is held by another than `name`.
    pub async fn held_by_others(&self, name: &str) -> anyhow::Result<()> {
        let held = async || {
            let leases = self.leases().await?;
            let others = leases.iter().filter(|(instance, _)| *instance != name);
            let held = others.flat_map(|(_, lanes)| lanes.iter()).filter(|(_, is_held)| **is_held);
            let held: BTreeSet<u16> = held.map(|(lane, _)| *lane).collect();
            (held.len() == usize::from(self.partitions())).then_some(())
        };
        wait_until_async("the others to hold every lane", PATIENCE, held).await
    }

    /// A caller of each query.
    pub fn clients(&self) -> anyhow::Result<Vec<Client>> {
        self.queries.iter().map(|query| Client::of(&self.ingest, query)).collect()
    }

    /// SIGTERM for all; each must end successfully.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        for name in self.aggregators() {
            self.leave(&name).await?;
        }
        for (name, process) in &mut self.others {
            process.terminate()?;
            let status = process.wait(PATIENCE)?;
            ensure!(status.success(), "{name} ended with {status}:\n{}", process.output());
        }
        Ok(())
    }

    fn aggregator(&mut self, name: &str) -> anyhow::Result<&mut ChildProcess> {
        self.aggregators.get_mut(name).with_context(|| format!("no aggregator {name}"))
    }
}

/// An account that lies in this lane; its name begins with `prefix`.
pub fn account_in(prefix: &str, partition: u16, partitions: u16) -> anyhow::Result<String> {
    let lies_there = |name: &String| {
        let (Ok(tenant), Ok(account)) = (Tenant::parse(TENANT), Account::parse(name)) else { return false };
        partition_of(&AccountKey { tenant, account }, partitions) == partition
    };
    let mut names = (0..1_000).map(|number| format!("{prefix}-{number}"));
    names.find(lies_there).context("some account lies in every lane")
}

fn start_cassandra(servers: Servers) -> anyhow::Result<CassandraCluster> {
    let options = Cassandra::options().commit_log_period_ms(COMMIT_LOG_PERIOD_MS);
    match servers {
        Servers::One => options.careless().start_one(),
        Servers::ThreeOfNats => options.start_one(),
        Servers::ThreeOfCql => options.start_cluster(),
    }
}

/// A verb with what it needs to find the servers.
fn verb(
    words: &[&str],
    setup: &Setup,
    nats: &NatsCluster,
    cassandra: Option<&CassandraCluster>,
) -> anyhow::Result<Command> {
    let mut command = Command::new(testkit::cargo_binary("saldo")?);
    command.args(words).env("SALDO_NATS", nats.urls());
    command.env("SALDO_PARTITIONS", setup.partitions.to_string()).env("SALDO_LOG_REPLICAS", nats.size().to_string());
    if let Some(cassandra) = cassandra {
        let consistency = if cassandra.size() == 1 { "local_one" } else { "local_quorum" };
        command.env("SALDO_SCYLLA_NODES", cassandra.addresses()).env("SALDO_SCYLLA_CONSISTENCY", consistency);
        command.env("SALDO_SCYLLA_DATACENTER", CASSANDRA_DATACENTER);
        command.env("SALDO_SCYLLA_REPLICATION", format!("{CASSANDRA_DATACENTER}:{}", cassandra.size()));
        command.env("SALDO_SCYLLA_COMMIT_LOG_PERIOD_MS", COMMIT_LOG_PERIOD_MS.to_string());
    }
    command.envs(setup.variables.iter().map(|(name, value)| (name, value)));
    Ok(command)
}

/// Runs a job to its successful end.
fn run(mut job: Command) -> anyhow::Result<()> {
    let output = job.output()?;
    ensure!(output.status.success(), "{job:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
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
