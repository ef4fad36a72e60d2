//! The services of a round, and what is known of it so far.

use std::time::Instant;

use anyhow::{Context, ensure};
use rand::{rngs::StdRng, seq::IndexedRandom};
use tokio::time::sleep;

use crate::{
    chaos::{
        load::Load,
        patience_of_ingest,
        probes::Probes,
        report::Report,
        stage::{PATIENCE, PAUSE},
        tested::Tested,
    },
    client::Client,
    cluster::{Cluster, Servers, Setup, account_in},
    log::LogAt,
    metrics::metric,
};

/// Lanes of the log.
const PARTITIONS: u16 = 4;
/// Three aggregators, and how the lanes are spread over them.
const AGGREGATORS: [&str; 3] = ["one", "two", "three"];
const SPREAD: [usize; 3] = [1, 1, 2];
/// The same while one is away.
pub const SPREAD_OVER_TWO: [usize; 2] = [2, 2];

/// Ingest, three aggregators and two queries over servers that break.
pub struct Machines {
    pub cluster: Cluster,
    probes: Probes,
}

impl Machines {
    pub async fn start(servers: Servers) -> anyhow::Result<Self> {
        let setup = Setup { partitions: PARTITIONS, servers, variables: patience_of_ingest() };
        let mut cluster = Cluster::start(setup).await?;
        for name in AGGREGATORS {
            cluster.join(name)?;
        }
        cluster.wait_for_spread(&SPREAD).await?;
        // Whatever breaks, it may befall some lanes only.
        let accounts = (0..PARTITIONS).map(|partition| account_in("probe", partition, PARTITIONS));
        Ok(Self { cluster, probes: Probes::of(accounts.collect::<anyhow::Result<_>>()?) })
    }

    /// What everybody has said, but for servers of NATS that look for one which is away.
    pub fn outputs(&self) -> String {
        let all = format!("{}{}", self.cluster.outputs(), self.cluster.nats.outputs());
        let lines = all.lines().filter(|line| !line.contains("Error trying to connect to route"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Tested for Machines {
    fn clients(&self) -> anyhow::Result<Vec<Client>> {
        self.cluster.clients()
    }

    fn log(&self) -> anyhow::Result<LogAt> {
        Ok(self.cluster.log())
    }

    fn probes(&self) -> &Probes {
        &self.probes
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        self.cluster.stop().await
    }
}

/// A round.
pub struct Scene<'a> {
    pub machines: &'a mut Machines,
    pub load: &'a Load,
    pub random: StdRng,
    pub report: Report,
    /// What the time until all was well again is reported as.
    pub well_again: &'static str,
}

impl<'a> Scene<'a> {
    pub fn new(machines: &'a mut Machines, load: &'a Load, random: StdRng) -> Self {
        Self { machines, load, random, report: Report::default(), well_again: "" }
    }

    /// All is well, which is reported as so long after `since`.
    pub async fn well_again(&mut self, since: Instant) -> anyhow::Result<()> {
        self.wait_until_well(since, self.well_again).await
    }

    /// The same, reported as `what`.
    pub async fn wait_until_well(&mut self, since: Instant, what: &'static str) -> anyhow::Result<()> {
        self.post_and_read().await?;
        self.report.took(what, since.elapsed());
        Ok(())
    }

    /// Posts a launch in each lane until it is acknowledged, and reads it back from each query.
    pub async fn post_and_read(&mut self) -> anyhow::Result<()> {
        let Machines { cluster, probes } = &mut *self.machines;
        probes.pass(&cluster.clients()?, Instant::now()).await.map(drop)
    }

    /// One of the aggregators.
    pub fn some_aggregator(&mut self) -> anyhow::Result<&'static str> {
        AGGREGATORS.choose(&mut self.random).copied().context("there are aggregators")
    }

    /// Every living instance has its share of the lanes.
    pub async fn wait_for_even_spread(&self) -> anyhow::Result<()> {
        self.machines.cluster.wait_for_spread(&SPREAD).await
    }

    /// Waits until each aggregator's workers have begun anew since they did so as often as `before`.
    pub async fn wait_for_store_losses(&mut self, before: &[f64]) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.store_losses().await?;
            if found.iter().zip(before).all(|(now, before)| now > before) {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "some aggregator did not begin anew: {found:?} times, {before:?} before"
            );
            sleep(PAUSE).await;
        }
    }

    /// How often each aggregator's workers began anew because the store may have lost rows.
    pub async fn store_losses(&mut self) -> anyhow::Result<Vec<f64>> {
        let cluster = &mut self.machines.cluster;
        let mut losses = Vec::new();
        for name in cluster.aggregators() {
            let address = cluster.aggregator_address(&name)?;
            losses.push(metric(&address, "saldo_aggregator_restarts_total", "StoreLost").await?);
        }
        Ok(losses)
    }
}
