//! Services as processes of their own, over NATS and a CQL store that they share: what runs on many machines, here on one.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};
use testkit::{CASSANDRA_DATACENTER, Cassandra, ChildProcess, NatsCluster, wait_until};

use crate::{edges::Edges, load::in_own_thread, metrics::Metrics};

/// How long starting, stopping and sharing lanes may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a server of Cassandra syncs its commit log where nobody says otherwise.
const COMMIT_LOG_PERIOD_MS: u32 = 10_000;

/// Everything that runs. Ends with the value.
pub struct Deployment {
    /// Where callers reach it.
    pub edges: Edges,
    aggregators: BTreeMap<String, Service>,
    query: Service,
    _ingest: Service,
    environment: Environment,
    _nats: NatsCluster,
    _cassandra: Cassandra,
}

/// How a service finds what it needs.
#[derive(Clone)]
struct Environment {
    saldo: PathBuf,
    variables: Vec<(&'static str, String)>,
}

struct Service {
    process: ChildProcess,
    address: SocketAddr,
}

impl Deployment {
    /// One nats-server, one Cassandra as it ships, tables, log, ingest and query; no aggregator yet.
    pub fn start(saldo: &Path, partitions: u16) -> anyhow::Result<Self> {
        let nats = NatsCluster::start_one()?;
        let cassandra = Cassandra::options().fast().commit_log_period_ms(COMMIT_LOG_PERIOD_MS).start()?;
        let variables = vec![
            ("SALDO_NATS", addresses(&nats)),
            ("SALDO_SCYLLA_NODES", cassandra.address()),
            ("SALDO_SCYLLA_CONSISTENCY", "local_one".to_owned()),
            ("SALDO_SCYLLA_REPLICATION", format!("{CASSANDRA_DATACENTER}:1")),
            ("SALDO_SCYLLA_COMMIT_LOG_PERIOD_MS", COMMIT_LOG_PERIOD_MS.to_string()),
        ];
        let environment = Environment { saldo: saldo.to_owned(), variables };
        environment.run(&["schema", "apply"])?;
        environment.run(&["log", "apply", "--partitions", &partitions.to_string()])?;
        let (ingest, query) = (environment.start("ingest")?, environment.start("query")?);
        let edges = Edges { ingest: ingest.address, query: query.address };
        let aggregators = BTreeMap::new();
        Ok(Self { edges, aggregators, query, _ingest: ingest, environment, _nats: nats, _cassandra: cassandra })
    }

    /// Starts aggregators of these names.
    pub fn join(&mut self, names: &[&str]) -> anyhow::Result<()> {
        for name in names {
            let mut environment = self.environment.clone();
            environment.variables.push(("SALDO_AGGREGATOR_INSTANCE", (*name).to_owned()));
            self.aggregators.insert((*name).to_owned(), environment.start("aggregator")?);
        }
        Ok(())
    }

    /// SIGTERM for an aggregator; it must end successfully.
    pub fn leave(&mut self, name: &str) -> anyhow::Result<()> {
        let mut process = self.aggregators.remove(name).with_context(|| format!("no aggregator {name}"))?.process;
        process.terminate()?;
        let status = process.wait(PATIENCE)?;
        ensure!(status.success(), "an aggregator ended with {status}:\n{}", process.output());
        Ok(())
    }

    /// Goes on with the same log over empty tables, which nobody has filled yet.
    pub fn with_empty_tables(&mut self) -> anyhow::Result<()> {
        self.environment.variables.push(("SALDO_SCYLLA_KEYSPACE", "saldo_empty".to_owned()));
        self.environment.run(&["schema", "apply"])?;
        self.query = self.environment.start("query")?;
        self.edges.query = self.query.address;
        Ok(())
    }

    /// SIGKILL for an aggregator.
    pub fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        self.aggregators.remove(name).with_context(|| format!("no aggregator {name}"))?.process.kill()
    }

    /// Waits until the lanes are spread evenly, each aggregator holds its own, and none catches up beside another.
    pub fn wait_until_even(&self, partitions: u16) -> anyhow::Result<()> {
        let each = u64::from(partitions) / u64::try_from(self.aggregators.len())?.max(1);
        let is_even = |metrics: &Metrics| {
            metrics.sum(LANES_HELD) == each && metrics.sum(LANES) == each && metrics.sum(REPLAYING) == 0
        };
        let evenly = || self.metrics().ok().filter(|all| all.iter().all(is_even)).map(drop);
        wait_until("lanes spread evenly", PATIENCE, evenly).with_context(|| self.output())
    }

    /// Lanes that aggregators hold.
    pub fn lanes_held(&self) -> anyhow::Result<u64> {
        Ok(self.metrics()?.iter().map(|metrics| metrics.sum(LANES_HELD)).sum())
    }

    /// What the aggregators have written since they started.
    pub fn written(&self) -> anyhow::Result<Written> {
        Ok(Written::of(&self.metrics()?))
    }

    /// What the aggregators have said.
    pub fn output(&self) -> String {
        self.aggregators.iter().map(|(name, service)| format!("{name}:\n{}\n", service.process.output())).collect()
    }

    fn metrics(&self) -> anyhow::Result<Vec<Metrics>> {
        let addresses: Vec<SocketAddr> = self.aggregators.values().map(|service| service.address).collect();
        in_own_thread(async {
            let mut all = Vec::with_capacity(addresses.len());
            for address in addresses {
                all.push(Metrics::of(address).await?);
            }
            Ok(all)
        })
    }
}

const LANES: &str = "saldo_aggregator_lanes";
const LANES_HELD: &str = "saldo_aggregator_lanes_held";
const REPLAYING: &str = "saldo_aggregator_replaying";

/// Counts of what a store was given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Written {
    /// Launches that counted.
    pub launches: u64,
    /// Commits.
    pub commits: u64,
    /// Balance and roll-up rows.
    pub rows: u64,
    /// Batches that they were in, each with what its owner includes.
    pub batches: u64,
    /// Journal chunks, a row each.
    pub chunks: u64,
    /// Names of accounts, a row each.
    pub names: u64,
}

impl Written {
    fn of(all: &[Metrics]) -> Self {
        let sum = |name: &str| all.iter().map(|metrics| metrics.sum(&format!("saldo_aggregator_{name}_total"))).sum();
        Self {
            launches: sum("launches"),
            commits: sum("commits"),
            rows: sum("rows_written"),
            batches: sum("batches_written"),
            chunks: sum("chunks_written"),
            names: sum("names_written"),
        }
    }

    /// What came since.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            launches: self.launches - before.launches,
            commits: self.commits - before.commits,
            rows: self.rows - before.rows,
            batches: self.batches - before.batches,
            chunks: self.chunks - before.chunks,
            names: self.names - before.names,
        }
    }

    /// Rows that the store was given, a batch's static row included.
    pub fn all_rows(&self) -> u64 {
        self.rows + self.batches + self.chunks + self.names
    }

    /// Requests that the store was sent for them.
    pub fn requests(&self) -> u64 {
        self.batches + self.chunks + self.names
    }
}

impl Environment {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.saldo);
        command.args(words).envs(self.variables.iter().map(|(name, value)| (*name, value.as_str())));
        command
    }

    /// A verb that ends by itself.
    fn run(&self, words: &[&str]) -> anyhow::Result<()> {
        let output = self.command(words).output()?;
        ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn start(&self, service: &str) -> anyhow::Result<Service> {
        let mut process = ChildProcess::spawn(self.command(&[service, &format!("--{service}"), "127.0.0.1:0"]))?;
        let line = process.wait_for_line("address=", PATIENCE)?;
        let address = line.rsplit_once("address=").and_then(|(_, rest)| rest.split_whitespace().next());
        let address =
            address.and_then(|address| address.parse().ok()).with_context(|| format!("no address: {line}"))?;
        Ok(Service { process, address })
    }
}

/// A log of three copies, and one ingest before it: nothing else runs.
pub struct IngestOverCluster {
    /// Where launches are posted.
    pub ingest: SocketAddr,
    /// Where the cluster is.
    pub nats: NatsCluster,
    _service: Service,
}

impl IngestOverCluster {
    /// Three nats-servers, each of which syncs before it acknowledges; a message is acknowledged when two have it.
    pub fn start(saldo: &Path, partitions: u16) -> anyhow::Result<Self> {
        let nats = NatsCluster::start()?;
        let variables = vec![("SALDO_NATS", addresses(&nats))];
        let environment = Environment { saldo: saldo.to_owned(), variables };
        let mut with_copies = environment.clone();
        with_copies.variables.push(("SALDO_LOG_REPLICAS", "3".to_owned()));
        with_copies.run(&["log", "apply", "--partitions", &partitions.to_string()])?;
        let service = environment.start("ingest")?;
        Ok(Self { ingest: service.address, nats, _service: service })
    }
}

/// `host:port` of each server, with commas between, as services take them.
fn addresses(nats: &NatsCluster) -> String {
    nats.urls().replace("nats://", "")
}
