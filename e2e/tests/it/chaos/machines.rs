//! Services that run alone, as on many machines: what befalls one of them, their store, or a server of NATS.
//!
//! | module | |
//! |---|---|
//! | [`scene`] | the services, and what is known of the round so far |
//! | [`aggregators`] | one of three aggregators dies, or stands still |
//! | [`store`] | the CQL server dies, stands still, and loses rows that it had acknowledged |
//! | [`cql_nodes`] | one of three CQL nodes dies, stands still, and comes back with older rows |
//! | [`nats`] | the log's leader dies, and a server of the cluster is away for long |
//!
//! All failures of a scenario befall the same services one after the other, under one load, and the verdict comes at the end: a
//! start of Cassandra costs more than most of them. `SALDO_CHAOS_FAILURES` names the wanted ones, with commas between
//! (`cargo xtask chaos --only machines:cql_rows_lost`).

mod aggregators;
mod cql_nodes;
mod nats;
mod scene;
mod store;

use std::{
    env,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use rand::{SeedableRng, rngs::StdRng};

use super::{load::Load, report::Report};
use crate::cluster::Servers;
use scene::{Machines, Scene};

/// Which of those failures are wanted.
pub const WANTED: &str = "SALDO_CHAOS_FAILURES";

/// Pause of a caller after each answer: a round of all failures takes minutes.
const PAUSE: Duration = Duration::from_millis(60);

/// A failure by its name.
struct Failure {
    name: &'static str,
    /// Which servers it befalls.
    servers: Servers,
    /// What the time until all was well again is reported as.
    well_again: &'static str,
}

/// A table of failures: how many servers there are, the name, and the function that brings it about and waits until all is well
/// again.
macro_rules! failures {
    ($($servers:ident $name:ident: $bring_about:path,)*) => {
        const FAILURES: &[Failure] = &[
            $(Failure {
                name: stringify!($name),
                servers: Servers::$servers,
                well_again: concat!("until all was well again, ", stringify!($name)),
            },)*
        ];

        async fn bring_about(failure: &Failure, scene: &mut Scene<'_>) -> anyhow::Result<()> {
            $(if failure.name == stringify!($name) {
                return $bring_about(scene).await;
            })*
            bail!("there is no failure {}", failure.name)
        }
    };
}

// Those of NATS come last: a launch whose outcome they left unknown may be refused for a while after them.
failures! {
    ThreeOfNats aggregator_killed: aggregators::killed,
    ThreeOfNats aggregator_paused: aggregators::paused,
    ThreeOfNats cql_server_killed: store::killed,
    ThreeOfNats cql_server_paused: store::paused,
    ThreeOfNats cql_rows_lost: store::rows_lost,
    ThreeOfNats nats_leader_killed: nats::leader_killed,
    ThreeOfNats nats_node_lost: nats::node_lost,
    ThreeOfCql cql_node_killed: cql_nodes::killed,
    ThreeOfCql cql_node_paused: cql_nodes::paused,
    ThreeOfCql cql_node_rows_lost: cql_nodes::rows_lost,
}

/// One round: the wanted failures of services, of a server of NATS, and of the only one of CQL.
pub async fn failures(seed: u64) -> anyhow::Result<Report> {
    round(seed, Servers::ThreeOfNats).await
}

/// One round: the wanted failures of a CQL node beside two others.
pub async fn failures_of_cql_nodes(seed: u64) -> anyhow::Result<Report> {
    round(seed, Servers::ThreeOfCql).await
}

/// The wanted failures one after the other.
async fn round(seed: u64, servers: Servers) -> anyhow::Result<Report> {
    let wanted = wanted(servers)?;
    let mut machines = Machines::start(servers).await?;
    let load = Load::start_with(&machines, seed, PAUSE)?;
    let mut scene = Scene::new(&mut machines, &load, StdRng::seed_from_u64(seed));
    let outcome = all(&wanted, &mut scene).await;
    let mut report = scene.report;
    outcome.with_context(|| machines.outputs())?;
    let seen = load.finish(&mut machines).await;
    report.add(seen.with_context(|| machines.outputs())?);
    Ok(report)
}

async fn all(wanted: &[&Failure], scene: &mut Scene<'_>) -> anyhow::Result<()> {
    scene.wait_until_well(Instant::now(), "until all was well at the start").await?;
    for failure in wanted {
        one(failure, scene).await.context(failure.name)?;
    }
    Ok(())
}

async fn one(failure: &Failure, scene: &mut Scene<'_>) -> anyhow::Result<()> {
    println!("chaos: {}", failure.name);
    scene.well_again = failure.well_again;
    let (accepted, refused) = scene.load.book.report().posts();
    bring_about(failure, scene).await?;
    let (accepted_now, refused_now) = scene.load.book.report().posts();
    ensure!(accepted_now > accepted, "nothing was accepted");
    if !failure.name.starts_with("nats_") {
        ensure!(refused_now == refused, "ingest did not accept {} posts", refused_now - refused);
    }
    Ok(())
}

fn wanted(servers: Servers) -> anyhow::Result<Vec<&'static Failure>> {
    let failures: Vec<_> = FAILURES.iter().filter(|failure| failure.servers == servers).collect();
    let Ok(names) = env::var(WANTED) else { return Ok(failures) };
    let failure = |name: &str| failures.iter().copied().find(|failure| failure.name == name);
    names.split(',').map(|name| failure(name).with_context(|| format!("{WANTED}: there is no {name}"))).collect()
}
